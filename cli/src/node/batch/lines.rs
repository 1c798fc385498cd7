//! A file's lines, each with its number, none longer than a bound.
//!
//! [`super::rows`] reads a batch with it. A row of a batch is one line: none of its fields can hold a line break, so that
//! a quote which nobody closed spoils its own row and not the rest of the file.
//!
//! **Invariant:** whatever the file is, no more than [`LINE_BYTES_MAX`] bytes of a line are held.

use std::io::{self, BufRead, Read};

/// A row of the longest names and 16 MAC addresses has some 500 bytes.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// A line as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'l> {
    /// Its bytes, without the line break.
    Whole(&'l [u8]),
    /// More bytes than [`LINE_BYTES_MAX`].
    TooLong,
}

/// Reads lines. They end with LF or CRLF; the last one may end with the file.
#[derive(Debug)]
pub struct Lines<R> {
    from: R,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    /// Begins at the first line, which is number 1.
    pub fn new(from: R) -> Self {
        Self { from, line: Vec::new(), number: 0, bytes: 0 }
    }

    /// The next line and its number. None at the end of the file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.line.clear();
        let read = self.read_on()?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if read > LINE_BYTES_MAX && !self.line.ends_with(b"\n") {
            self.skip()?;
            return Ok(Some((self.number, Line::TooLong)));
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        Ok(Some((self.number, Line::Whole(line.strip_suffix(b"\r").unwrap_or(line)))))
    }

    /// How many bytes were read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads up to the end of the line, or to one byte beyond the bound.
    fn read_on(&mut self) -> io::Result<usize> {
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = self.from.by_ref().take(limit).read_until(b'\n', &mut self.line)?;
        self.bytes += read as u64;
        Ok(read)
    }

    /// Leaves the rest of the line out.
    fn skip(&mut self) -> io::Result<()> {
        while !self.line.ends_with(b"\n") {
            self.line.clear();
            if self.read_on()? == 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(file: &[u8]) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut lines = Lines::new(file);
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            found.push((
                number,
                match line {
                    Line::Whole(line) => Some(line.to_vec()),
                    Line::TooLong => None,
                },
            ));
        }
        assert_eq!(lines.bytes(), file.len() as u64);
        found
    }

    #[test]
    fn lines_end_with_lf_or_crlf_or_the_file() {
        let line = |number, text: &str| (number, Some(text.as_bytes().to_vec()));
        assert_eq!(
            all(b"a\nb\r\n\n\r\nc"),
            [line(1, "a"), line(2, "b"), line(3, ""), line(4, ""), line(5, "c")]
        );
        assert_eq!(all(b"a\n"), [line(1, "a")]);
        assert_eq!(all(b""), []);
    }

    #[test]
    fn a_line_beyond_the_bound_is_left_out_and_the_next_one_is_read() {
        let longest = vec![b'x'; LINE_BYTES_MAX];
        let mut file = longest.clone();
        file.extend(b"\n");
        file.extend(vec![b'y'; 3 * LINE_BYTES_MAX + 5]);
        file.extend(b"\nz\n");
        file.extend(vec![b'w'; LINE_BYTES_MAX + 1]);
        assert_eq!(all(&file), [(1, Some(longest)), (2, None), (3, Some(b"z".to_vec())), (4, None)]);
    }
}
