//! One line of a batch as its cells: commas between them, quotes where one holds a comma (RFC 4180).
//!
//! [`super::header`] and [`super::rows`] read lines with it. Blanks around a cell do not count, as in the files that
//! people write by hand.
//!
//! Not here, on purpose: what the cells mean.

use csv_core::{ReadRecordResult, Reader};

use super::lines::LINE_BYTES_MAX;

/// Some programs begin a file with it, and files that were put together have it inside too.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Why a line has no cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Longer than any row can be.
    #[error("the line is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("the line is not UTF-8 text")]
    NotText,
    /// A quote is opened and not closed on the same line.
    #[error("a quote is opened and not closed")]
    OpenQuote,
    /// A carriage return inside the line: files of some old systems have no other line breaks.
    #[error("a line ends with a carriage return alone; write LF or CRLF")]
    LoneReturn,
}

/// The parser with its buffers, used for one line after another.
#[derive(Debug)]
pub struct Cells {
    parser: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    /// A parser of lines that are no longer than [`LINE_BYTES_MAX`].
    pub fn new() -> Self {
        // A cell is no longer than its line, and a line of commas alone has one cell more than commas.
        let room = LINE_BYTES_MAX + 2;
        Self { parser: Reader::new(), text: vec![0; room], ends: vec![0; room] }
    }

    /// The cells of a line that holds no line feed. A blank line has none.
    ///
    /// # Errors
    /// If the line is malformed.
    pub fn split(&mut self, line: &[u8]) -> Result<Vec<&str>, Malformed> {
        if line.len() > LINE_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        let line = std::str::from_utf8(line).map_err(|_| Malformed::NotText)?;
        let line = line.trim_start_matches(BYTE_ORDER_MARK).trim();
        if line.is_empty() {
            return Ok(Vec::new());
        }
        if line.contains('\r') {
            return Err(Malformed::LoneReturn);
        }
        self.parser.reset();
        let (result, _, written, mut ended) =
            self.parser.read_record(line.as_bytes(), &mut self.text, &mut self.ends);
        match result {
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                return Err(Malformed::TooLong);
            }
            ReadRecordResult::Record | ReadRecordResult::End => return Err(Malformed::LoneReturn),
        }
        // Inside a quote the line break is part of the cell; anywhere else it ends the row.
        let (text, ends) = (&mut self.text[written..], &mut self.ends[ended..]);
        let (result, _, more, last) = self.parser.read_record(b"\n", text, ends);
        if result != ReadRecordResult::Record {
            return Err(Malformed::OpenQuote);
        }
        ended += last;
        let text = std::str::from_utf8(&self.text[..written + more]).map_err(|_| Malformed::NotText)?;
        let mut begin = 0;
        let cells = self.ends[..ended].iter().map(|end| {
            let cell = text.get(begin..*end).map(str::trim).ok_or(Malformed::NotText);
            begin = *end;
            cell
        });
        cells.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cells_stand_between_commas_and_blanks_do_not_count() {
        let mut cells = Cells::new();
        for (line, expected) in [
            ("a,b", &["a", "b"][..]),
            (" a , b ", &["a", "b"]),
            ("a,", &["a", ""]),
            (",,", &["", "", ""]),
            ("\"a,b\",\"c\"\"d\"", &["a,b", "c\"d"]),
            ("\" a \",\"\"", &["a", ""]),
            ("ä", &["ä"]),
            ("", &[]),
            (" \t", &[]),
            ("\u{feff}", &[]),
            ("\u{feff} \"a\",b", &["a", "b"]),
        ] {
            assert_eq!(cells.split(line.as_bytes()).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_has_no_cells_is_told_and_the_next_line_is_read() {
        let mut cells = Cells::new();
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        for (line, why) in [
            (&b"a,\"b"[..], Malformed::OpenQuote),
            (b"\"", Malformed::OpenQuote),
            (b"a,\xff", Malformed::NotText),
            (b"a\rb", Malformed::LoneReturn),
            (&long, Malformed::TooLong),
        ] {
            assert_eq!(cells.split(line), Err(why));
            assert_eq!(cells.split(b"a,b").as_deref(), Ok(&["a", "b"][..]));
        }
    }

    #[test]
    fn a_line_of_commas_alone_fits() {
        let commas = vec![b','; LINE_BYTES_MAX];
        assert_eq!(Cells::new().split(&commas).map(|cells| cells.len()), Ok(LINE_BYTES_MAX + 1));
        assert_eq!(Cells::new().split(&vec![b'x'; LINE_BYTES_MAX]).map(|cells| cells.len()), Ok(1));
    }

    proptest! {
        #[test]
        fn what_was_written_as_rfc_4180_says_reads_back(
            row in prop::collection::vec("[a-z0-9\",;]{0,8}", 1..6)
                .prop_filter("a row of one empty cell is a blank line", |row| row.len() > 1 || !row[0].is_empty())
        ) {
            let quoted: Vec<String> =
                row.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            let line = quoted.join(",");
            let mut cells = Cells::new();
            prop_assert_eq!(cells.split(line.as_bytes()).unwrap(), row);
        }
    }
}
