//! The rows of a log, one after another: from the journal's store, or from the lines of an export.
//!
//! [`super::Facts`] judges them one by one, [`crate::against`] compares those of two logs.
//!
//! **Invariant:** of a log that is longer than memory one row is in it at a time.

use events::codec::keys;
use rocksdb::DBRawIterator;

use super::LineDamage;
use super::ReadFault;
use super::lines::{Line, Lines};

/// A row as it was found; nothing of it is believed.
pub(crate) enum Row<'a> {
    /// Of a store.
    Stored {
        /// The place of the fact, if it is one.
        key: &'a [u8],
        /// Its [`events::codec::StoredValue`].
        value: &'a [u8],
    },
    /// Of an export.
    Exported(Line<'a>),
    /// A line that is none of an export's.
    Illegible(LineDamage),
}

impl Row<'_> {
    /// Its place, by its own word.
    pub(crate) fn seq(&self) -> Option<u64> {
        match self {
            Self::Stored { key, .. } => keys::seq(key),
            Self::Exported(line) => Some(line.seq),
            Self::Illegible(_) => None,
        }
    }

    /// Its stored value.
    pub(crate) fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Stored { value, .. } => Some(value),
            Self::Exported(line) => Some(line.value),
            Self::Illegible(_) => None,
        }
    }
}

/// See the module.
pub(crate) enum Rows<'a> {
    /// The cursor, and whether it stands on a row that was taken already.
    Store(DBRawIterator<'a>, bool),
    /// Of an export.
    Export(Lines<'a>),
}

impl Rows<'_> {
    /// The next row; none: that was the last.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>, ReadFault> {
        match self {
            Self::Store(cursor, taken) => {
                if std::mem::replace(taken, true) {
                    cursor.next();
                }
                if !cursor.valid() {
                    *taken = false;
                    return cursor.status().map(|()| None).map_err(ReadFault::Store);
                }
                Ok(cursor.item().map(|(key, value)| Row::Stored { key, value }))
            }
            Self::Export(lines) => lines.next().map_err(ReadFault::File),
        }
    }
}
