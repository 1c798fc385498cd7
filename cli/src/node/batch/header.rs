//! The first line of a batch: which column holds what, in any order.
//!
//! [`super::rows`] reads it before anything is sent: a wrong header is wrong usage.
//!
//! **Invariant:** a header has `node_id` and `mac`, and no column twice.

use super::cells::Malformed;

/// What a column holds. The order is that of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The name of the node.
    NodeId,
    /// MAC addresses, separated by semicolons.
    Mac,
    /// DMI product_serial; an empty cell is none.
    BmcSerial,
    /// DMI product_uuid; an empty cell is none.
    Uuid,
    /// The vCluster; an empty cell is none.
    VCluster,
}

impl Column {
    const ALL: [Self; 5] = [Self::NodeId, Self::Mac, Self::BmcSerial, Self::Uuid, Self::VCluster];

    const fn name(self) -> &'static str {
        match self {
            Self::NodeId => "node_id",
            Self::Mac => "mac",
            Self::BmcSerial => "bmc_serial",
            Self::Uuid => "uuid",
            Self::VCluster => "vcluster",
        }
    }
}

/// Why a first line is no header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoHeader {
    /// The file is empty, or its first line is.
    #[error("the first line is empty; it names the columns, as in node_id,mac")]
    Empty,
    /// The line is no row of cells.
    #[error("the first line names no columns: {0}")]
    Malformed(#[from] Malformed),
    /// A column that nobody knows.
    #[error(
        "unknown column {name:?}; there are node_id, mac, bmc_serial, uuid and vcluster, separated by commas"
    )]
    Unknown {
        /// Its name, shortened.
        name: String,
    },
    /// A column stands twice.
    #[error("the column {name} stands twice")]
    Doubled {
        /// Its name.
        name: &'static str,
    },
    /// A column without which there is no node.
    #[error("the column {name} is missing")]
    Missing {
        /// Its name.
        name: &'static str,
    },
}

/// The columns of a file in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    columns: Vec<Column>,
}

impl Header {
    /// Reads the cells of the first line.
    ///
    /// # Errors
    /// If they are no columns of a batch.
    pub fn read(cells: &[&str]) -> Result<Self, NoHeader> {
        if cells.is_empty() {
            return Err(NoHeader::Empty);
        }
        let mut columns = Vec::new();
        for cell in cells {
            let known = Column::ALL.into_iter().find(|column| column.name() == *cell);
            let column = known.ok_or_else(|| NoHeader::Unknown { name: cell.chars().take(40).collect() })?;
            if columns.contains(&column) {
                return Err(NoHeader::Doubled { name: column.name() });
            }
            columns.push(column);
        }
        let missing = [Column::NodeId, Column::Mac].into_iter().find(|column| !columns.contains(column));
        match missing {
            Some(column) => Err(NoHeader::Missing { name: column.name() }),
            None => Ok(Self { columns }),
        }
    }

    /// How many cells a row has.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The cell of a column. Empty if the file has no such column, or the row no such cell.
    pub fn cell<'c>(&self, column: Column, cells: &[&'c str]) -> &'c str {
        let at = self.columns.iter().position(|own| *own == column);
        at.and_then(|at| cells.get(at)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_any_order() {
        let header = Header::read(&["uuid", "mac", "node_id"]).unwrap();
        let cells = ["u", "m", "n"];
        for (column, cell) in [
            (Column::NodeId, "n"),
            (Column::Mac, "m"),
            (Column::Uuid, "u"),
            (Column::BmcSerial, ""),
            (Column::VCluster, ""),
        ] {
            assert_eq!(header.cell(column, &cells), cell, "{column:?}");
        }
        assert_eq!(header.width(), 3);
    }

    #[test]
    fn a_wrong_column_is_named() {
        for (cells, told) in [
            (&["node_id", "mac", "rack"][..], "unknown column \"rack\""),
            (&["node_id", "MAC"], "unknown column \"MAC\""),
            (&["node_id;mac"], "separated by commas"),
            (&["node_id", "mac", ""], "unknown column \"\""),
            (&["node_id", "mac", "mac"], "the column mac stands twice"),
            (&["mac"], "the column node_id is missing"),
            (&["node_id", "uuid"], "the column mac is missing"),
            (&[], "the first line is empty"),
        ] {
            let error = Header::read(cells).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
