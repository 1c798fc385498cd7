//! Files of nodes, right and wrong.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

/// All rows of a file, and what is asked for.
fn all(file: &[u8]) -> Result<(Vec<Row>, Vec<RegisterNodeRequest>), ReadError> {
    let (mut rows, mut requests) = (Vec::new(), Vec::new());
    let mut open = Rows::open(file)?;
    while let Some(part) = open.part()? {
        assert!(part.rows.len() <= MAX_ROWS);
        rows.extend(part.rows);
        requests.extend(part.requests);
    }
    let sound = rows.iter().filter(|row| row.fault.is_none()).map(|row| row.node_id.as_deref());
    assert!(sound.eq(requests.iter().map(|request| Some(request.node_id.as_str()))));
    Ok((rows, requests))
}

/// Line, name and reason of each row of a file with the columns `node_id,mac`.
fn rows(lines: &str) -> Vec<(u64, String, String)> {
    rows_of(format!("node_id,mac\n{lines}").as_bytes())
}

fn rows_of(file: &[u8]) -> Vec<(u64, String, String)> {
    let shown = |row: Row| {
        let reason = row.fault.map(|fault| fault.reason).unwrap_or_default();
        (row.line, row.node_id.unwrap_or_default().to_string(), reason)
    };
    all(file).unwrap().0.into_iter().map(shown).collect()
}

fn row(line: u64, node_id: &str, reason: &str) -> (u64, String, String) {
    (line, node_id.to_owned(), reason.to_owned())
}

const A: &str = "aa:bb:cc:dd:ee:0a";
const B: &str = "aa:bb:cc:dd:ee:0b";

#[test]
fn a_row_asks_for_all_that_its_columns_say_in_canonical_form() {
    let uuid = "4C4C4544-0042-3510-8052-B4C04F4E3732";
    let file = format!(
        "vcluster,mac,uuid,node_id,bmc_serial\n prod , AA-BB-CC-DD-EE-0B;{A};,{uuid},n1,\"SN,1\"\n,{},,n2,\n",
        "aa:bb:cc:dd:ee:0c"
    );
    let (_, requests) = all(file.as_bytes()).unwrap();
    assert_eq!((requests[0].node_id.as_str(), requests[0].vcluster_id.as_deref()), ("n1", Some("prod")));
    let hardware = requests[0].hardware_identity.as_ref().unwrap();
    assert_eq!(hardware.mac_addresses, [A, B]);
    assert_eq!(
        (hardware.bmc_serial.as_str(), hardware.system_uuid.as_str()),
        ("SN,1", &*uuid.to_lowercase())
    );
    assert_eq!((requests[1].node_id.as_str(), requests[1].vcluster_id.as_deref()), ("n2", None));
    let hardware = requests[1].hardware_identity.as_ref().unwrap();
    assert_eq!((hardware.bmc_serial.as_str(), hardware.system_uuid.as_str()), ("", ""));
}

#[test]
fn a_row_that_cannot_be_read_fails_alone_with_its_line() {
    let lines = format!("n1,{A}\nN2,{B}\nn3,aa:bb\nn4\nn5,{B},more\n\"n6,{B}\nn7,\n,{B}\nn8,{B}\n");
    let expected = [
        row(2, "n1", ""),
        row(3, "N2", "NODE_ID_INVALID"),
        row(4, "n3", "HARDWARE_INVALID"),
        row(5, "n4", "FIELD_INVALID"),
        row(6, "n5", "FIELD_INVALID"),
        row(7, "", "FIELD_INVALID"),
        row(8, "n7", "HARDWARE_INVALID"),
        row(9, "", "NODE_ID_INVALID"),
        row(10, "n8", ""),
    ];
    assert_eq!(rows(&lines), expected);
}

#[test]
fn a_vcluster_that_is_no_name_names_its_field() {
    let file = format!("node_id,mac,vcluster\nn1,{A},Prod\n");
    let (rows, _) = all(file.as_bytes()).unwrap();
    let fault = rows[0].fault.as_deref().unwrap();
    assert!(fault.reason == "FIELD_INVALID" && fault.message.starts_with("vcluster: "), "{fault:?}");
}

#[test]
fn bytes_that_are_no_text_fail_alone() {
    let mut file = b"node_id,mac\nn1,\xff\n".to_vec();
    file.extend(format!("n2,{A}\n").bytes());
    assert_eq!(rows_of(&file), [row(2, "", "FIELD_INVALID"), row(3, "n2", "")]);
}

#[test]
fn a_byte_order_mark_and_windows_line_breaks_do_not_count() {
    let file = format!("\u{feff}node_id,mac\r\nn1,{A}\r\nn2,{B}");
    assert_eq!(rows_of(file.as_bytes()), [row(2, "n1", ""), row(3, "n2", "")]);
}

#[test]
fn blank_lines_are_no_rows_and_count_as_lines() {
    let lines = format!("\n,\n\r\n  \nn1,{A}\n\n , \n");
    assert_eq!(rows(&lines), [row(6, "n1", "")]);
}

#[test]
fn a_file_of_a_header_alone_has_no_rows() {
    assert_eq!(rows(""), []);
    assert_eq!(rows_of(b"mac,node_id"), []);
}

#[test]
fn what_stands_twice_in_a_file_fails_the_second_time() {
    let lines = format!("n1,{A}\nn1,{A}\nn2,{A};{B}\nn3,{B}\n");
    let expected = [
        row(2, "n1", ""),
        row(3, "n1", "NODE_ALREADY_ENROLLED"),
        row(4, "n2", "HARDWARE_IDENTITY_CONFLICT"),
        row(5, "n3", ""),
    ];
    assert_eq!(rows(&lines), expected);
    let (rows, _) = all(format!("node_id,mac\n{lines}").as_bytes()).unwrap();
    let told = |at: usize| rows[at].fault.as_deref().unwrap().message.clone();
    assert_eq!(told(1), "line 2 of the same file has this node already");
    assert_eq!(told(2), format!("line 2 of the same file has the MAC address {A} already"));
}

#[test]
fn a_row_that_fails_keeps_nothing_from_the_next_one() {
    let lines = format!("n1,{A};aa:bb\nn1,{A}\n");
    assert_eq!(rows(&lines), [row(2, "n1", "HARDWARE_INVALID"), row(3, "n1", "")]);
}

#[test]
fn a_name_that_is_none_is_shortened() {
    let lines = format!("{},{A}\n", "X".repeat(5000));
    assert_eq!(rows(&lines), [row(2, &"X".repeat(64), "NODE_ID_INVALID")]);
}

#[test]
fn a_wrong_first_line_is_told_before_any_row() {
    for (file, told) in [
        (&b""[..], "the first line is empty"),
        (b"\nnode_id,mac\n", "the first line is empty"),
        (b"node_id,mac,rack\n", "unknown column \"rack\""),
        (b"node_id,mac\rn1,aa\r", "a carriage return alone"),
        (b"\xff\xfen\0o\0", "not UTF-8"),
        (&[0; 40_000], "longer than"),
    ] {
        let error = Rows::open(file).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

fn many(count: usize) -> String {
    let mut file = "node_id,mac\n".to_owned();
    for row in 0..count {
        let [_, _, a, b, c, d] = (row as u64).to_be_bytes()[2..] else { panic!() };
        writeln!(file, "n{row},02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}").unwrap();
    }
    file
}

#[test]
fn a_long_file_comes_in_parts_that_a_journal_takes() {
    let file = many(2 * MAX_ROWS + 1);
    let mut open = Rows::open(file.as_bytes()).unwrap();
    let mut sizes = Vec::new();
    while let Some(part) = open.part().unwrap() {
        sizes.push((part.rows.len(), part.requests.len()));
        assert!(part.bytes <= file.len() as u64);
    }
    assert_eq!(sizes, [(1000, 1000), (1000, 1000), (1, 1)]);
}

#[test]
fn a_file_without_end_is_not_read_for_ever() {
    let mut open = Rows::open(&b"node_id,mac\nn1,aa\n"[..]).unwrap();
    open.rows = FILE_ROWS_MAX;
    assert!(matches!(open.part(), Err(ReadError::TooMany)));
}

/// What files of nodes are made of, and what they should not be made of.
const PIECES: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b"\r",
    b",",
    b"\"",
    b";",
    b"n1",
    b"aa:bb:cc:dd:ee:01",
    b" ",
    b"\0",
    b"\xff",
    "\u{feff}".as_bytes(),
];

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        all(&bytes).ok();
    }

    #[test]
    fn no_bytes_behind_a_header_make_the_reader_panic(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60),
    ) {
        let mut file = b"mac,node_id,vcluster\n".to_vec();
        file.extend(pieces.concat());
        // The header is sound: whatever follows, each line is a row or blank.
        let (rows, _) = all(&file).unwrap();
        prop_assert!(rows.is_sorted_by(|one, next| one.line < next.line));
        prop_assert!(rows.len() <= file.iter().filter(|byte| **byte == b'\n').count());
    }
}
