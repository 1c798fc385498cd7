//! A file of nodes, in parts that a journal takes.
//!
//! [`super`] opens it, which reads the header, and lets a thread of its own read the parts: a file may be a pipe whose
//! writer takes its time.
//!
//! What no journal could take fails here, alone, with the journal's own reasons (`proto::convert`), and so does what one
//! file says twice: its parts are decided side by side, and which of the two came first would be chance.
//!
//! **Invariant:** a part has at most [`MAX_ROWS`] rows, each of them in its canonical form, which is short.

use std::{
    collections::{HashMap, hash_map::Entry},
    io::{self, BufRead},
    sync::Arc,
};

use events::vocabulary::{HardwareIdentity, Mac, VClusterId};
use proto::{
    convert::{batch::MAX_ROWS, field, hardware},
    pb::{self, RegisterNodeRequest},
    reason::Reason,
    refusal::Refusal,
};

use super::{
    cells::{Cells, Malformed},
    header::{Column, Header, NoHeader},
    lines::{Line, Lines},
    report::{Fault, Row},
};

/// A file has at most this many rows: a hundred times the largest cluster, and some 300 MB here.
pub const FILE_ROWS_MAX: usize = 2_000_000;
/// What a name that is none is shortened to, in characters.
const SHOWN_CHARS_MAX: usize = 64;

/// Why a file cannot be read, or not on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system cannot read it.
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    /// The first line is no header.
    #[error(transparent)]
    Header(#[from] NoHeader),
    /// It does not end.
    #[error("it has more than {FILE_ROWS_MAX} rows; split it")]
    TooMany,
}

/// Some rows of a file in their order.
#[derive(Debug, Default)]
pub struct Part {
    /// All of them. A row without a fault is one that is asked for.
    pub rows: Vec<Row>,
    /// What is asked for, in the order of the rows without a fault.
    pub requests: Vec<RegisterNodeRequest>,
    /// How many bytes of the file end with this part.
    pub bytes: u64,
}

/// An open file behind its header.
#[derive(Debug)]
pub struct Rows<R> {
    lines: Lines<R>,
    cells: Cells,
    header: Header,
    claims: Claims,
    rows: usize,
}

impl<R: BufRead> Rows<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// If the file cannot be read or its first line is no header.
    pub fn open(file: R) -> Result<Self, ReadError> {
        let (mut lines, mut cells) = (Lines::new(file), Cells::new());
        let first = match lines.next()? {
            None => &[],
            Some((_, Line::TooLong)) => return Err(NoHeader::from(Malformed::TooLong).into()),
            Some((_, Line::Whole(line))) => line,
        };
        let header = Header::read(&cells.split(first).map_err(NoHeader::from)?)?;
        Ok(Self { lines, cells, header, claims: Claims::default(), rows: 0 })
    }

    /// The next rows. None at the end of the file.
    ///
    /// # Errors
    /// If the file cannot be read on, or has too many rows.
    pub fn part(&mut self) -> Result<Option<Part>, ReadError> {
        let mut part = Part::default();
        while part.rows.len() < MAX_ROWS {
            let Some((number, line)) = self.lines.next()? else { break };
            let Some((row, request)) = read(number, line, &mut self.cells, &self.header, &mut self.claims)
            else {
                continue;
            };
            if self.rows == FILE_ROWS_MAX {
                return Err(ReadError::TooMany);
            }
            self.rows += 1;
            part.rows.push(row);
            part.requests.extend(request);
        }
        part.bytes = self.lines.bytes();
        Ok((!part.rows.is_empty()).then_some(part))
    }
}

/// Makes a row of a line, and what to ask for unless it has a fault. None of a blank line.
fn read(
    number: u64,
    line: Line<'_>,
    cells: &mut Cells,
    header: &Header,
    claims: &mut Claims,
) -> Option<(Row, Option<RegisterNodeRequest>)> {
    let split = match line {
        Line::Whole(line) => cells.split(line),
        Line::TooLong => Err(Malformed::TooLong),
    };
    let cells = match split {
        Ok(cells) => cells,
        Err(error) => {
            let fault = Some(Fault::found(Reason::FieldInvalid, error.to_string()));
            return Some((Row { line: number, node_id: None, fault }, None));
        }
    };
    if cells.iter().all(|cell| cell.is_empty()) {
        return None;
    }
    let node_id = header.cell(Column::NodeId, &cells);
    let node_id: Arc<str> = node_id.chars().take(SHOWN_CHARS_MAX).collect::<String>().into();
    let asked = request(header, &cells).and_then(|asked| claims.take(number, &node_id, asked));
    let (request, fault) = match asked {
        Ok(request) => (Some(request), None),
        Err(refusal) => (None, Some(Fault::found(refusal.reason, refusal.message))),
    };
    Some((Row { line: number, node_id: Some(node_id), fault }, request))
}

/// What a row asks for, and its hardware.
type Asked = (RegisterNodeRequest, HardwareIdentity);

/// Reads the cells of a row as a journal would.
fn request(header: &Header, cells: &[&str]) -> Result<Asked, Refusal> {
    if cells.len() != header.width() {
        let told = format!("the row has {} cells, the header has {}", cells.len(), header.width());
        return Err(Refusal::new(Reason::FieldInvalid, told));
    }
    let cell = |column| header.cell(column, cells);
    let node_id = field::node_id(cell(Column::NodeId))?.to_string();
    let hardware = hardware::registered(Some(&pb::HardwareIdentity {
        mac_addresses: macs(cell(Column::Mac)),
        bmc_serial: cell(Column::BmcSerial).to_owned(),
        system_uuid: cell(Column::Uuid).to_owned(),
    }))?;
    let vcluster = Some(cell(Column::VCluster)).filter(|name| !name.is_empty());
    let vcluster = vcluster.map(|name| field::parsed::<VClusterId>("vcluster", name)).transpose()?;
    let request = RegisterNodeRequest {
        node_id,
        // In its canonical form: what a person may write around it has no bound.
        hardware_identity: Some((&hardware).into()),
        vcluster_id: vcluster.map(|name| name.to_string()),
        ..RegisterNodeRequest::default()
    };
    Ok((request, hardware))
}

fn macs(cell: &str) -> Vec<String> {
    cell.split(';').map(str::trim).filter(|mac| !mac.is_empty()).map(str::to_owned).collect()
}

/// What the rows before have asked for, with their lines.
#[derive(Debug, Default)]
struct Claims {
    nodes: HashMap<Arc<str>, u64>,
    macs: HashMap<Mac, u64>,
}

impl Claims {
    /// Keeps the row's name and addresses for it, unless a row before has one of them.
    fn take(&mut self, line: u64, node_id: &Arc<str>, asked: Asked) -> Result<RegisterNodeRequest, Refusal> {
        let (request, hardware) = asked;
        let name = match self.nodes.entry(Arc::clone(node_id)) {
            Entry::Occupied(taken) => {
                let told = format!("line {} of the same file has this node already", taken.get());
                return Err(Refusal::new(Reason::NodeAlreadyEnrolled, told));
            }
            Entry::Vacant(name) => name,
        };
        if let Some((mac, taken)) = hardware.macs.iter().find_map(|mac| Some((mac, self.macs.get(mac)?))) {
            let told = format!("line {taken} of the same file has the MAC address {mac} already");
            return Err(Refusal::new(Reason::HardwareIdentityConflict, told));
        }
        name.insert(line);
        self.macs.extend(hardware.macs.into_iter().map(|mac| (mac, line)));
        Ok(request)
    }
}

#[cfg(test)]
mod tests;
