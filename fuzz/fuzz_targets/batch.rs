//! Files of nodes, as people and spreadsheets write them: the rows of `pact node enroll --batch`.
//!
//! Each line is a row once, in order; what is asked for is in its canonical form: written as a file again, it asks for
//! the same, and no row of it fails.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::convert::batch::MAX_ROWS;
use proto::pb::RegisterNodeRequest;

#[path = "../../cli/src/node/batch"]
mod batch {
    pub mod cells;
    pub mod header;
    pub mod lines;
    pub mod report;
    pub mod rows;
}

use batch::report::Row;
use batch::rows::{ReadError, Rows};

fn read(file: &[u8]) -> Result<(Vec<Row>, Vec<RegisterNodeRequest>), ReadError> {
    let (mut rows, mut requests, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut open = Rows::open(file)?;
    while let Some(part) = open.part()? {
        assert!((1..=MAX_ROWS).contains(&part.rows.len()));
        assert!(bytes < part.bytes && part.bytes <= file.len() as u64);
        bytes = part.bytes;
        rows.extend(part.rows);
        requests.extend(part.requests);
    }
    Ok((rows, requests))
}

/// A file that asks for the same.
fn written(requests: &[RegisterNodeRequest]) -> String {
    let row = |request: &RegisterNodeRequest| {
        let hardware = request.hardware_identity.as_ref().expect("a row has hardware");
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let cells = [
            request.node_id.clone(),
            hardware.mac_addresses.join(";"),
            quoted(&hardware.bmc_serial),
            hardware.system_uuid.clone(),
            request.vcluster_id.clone().unwrap_or_default(),
        ];
        cells.join(",")
    };
    let rows = requests.iter().map(row);
    ["node_id,mac,bmc_serial,uuid,vcluster".to_owned()]
        .into_iter()
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\r\n")
}

fuzz_target!(|file: &[u8]| {
    let Ok((rows, requests)) = read(file) else { return };
    assert!(rows.is_sorted_by(|one, next| one.line < next.line) && rows.iter().all(|row| row.line > 1));
    assert!(rows.len() <= file.iter().filter(|byte| **byte == b'\n').count());
    let sound = rows.iter().filter(|row| row.fault.is_none()).map(|row| row.node_id.as_deref());
    assert!(sound.eq(requests.iter().map(|request| Some(request.node_id.as_str()))));

    if requests.is_empty() {
        return;
    }
    let Ok((again, same)) = read(written(&requests).as_bytes()) else { panic!("its header is sound") };
    assert!(again.iter().all(|row| row.fault.is_none()), "{again:?}");
    assert_eq!(same, requests);
});
