//! How far a batch is: a bar on a terminal, a line a second without one, both on stderr.
//!
//! [`super`] begins it and tells it of every part. stdout stays free for the answer.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{task::JoinHandle, time};

/// The progress of a batch. It ends when this is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    lines: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins. The size of the file is not known if it is a pipe.
    pub fn begin(file_bytes: Option<u64>) -> Self {
        if io::stderr().is_terminal() {
            let form = match file_bytes {
                Some(_) => "enrolling {wide_bar} {percent:>3} %  {msg}  {elapsed}",
                None => "enrolling {spinner} {msg}  {elapsed}",
            };
            let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = file_bytes.map_or_else(ProgressBar::no_length, ProgressBar::new);
            return Self { bar: bar.with_style(style).with_message(rows(0)), lines: None };
        }
        // A hidden bar counts all the same.
        let bar = ProgressBar::hidden().with_message(rows(0));
        let lines = tokio::spawn(say_each_second(bar.clone(), file_bytes));
        Self { bar, lines: Some(lines) }
    }

    /// So many rows are done, which are so many bytes of the file.
    pub fn reached(&self, done: usize, bytes: u64) {
        self.bar.set_position(bytes);
        self.bar.set_message(rows(done));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        if let Some(lines) = &self.lines {
            lines.abort();
        }
    }
}

async fn say_each_second(bar: ProgressBar, file_bytes: Option<u64>) {
    let mut second = time::interval(Duration::from_secs(1));
    // The first tick is at once.
    second.tick().await;
    loop {
        second.tick().await;
        let line = line(&bar.message(), bar.position(), file_bytes);
        // Nobody is left to tell if stderr is closed.
        writeln!(io::stderr().lock(), "{line}").ok();
    }
}

fn line(rows: &str, bytes: u64, file_bytes: Option<u64>) -> String {
    match file_bytes.filter(|all| *all > 0) {
        Some(all) => format!("enrolling: {rows}, {} %", u128::from(bytes) * 100 / u128::from(all)),
        None => format!("enrolling: {rows}"),
    }
}

fn rows(done: usize) -> String {
    format!("{done} rows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rows_and_where_the_file_has_an_end_its_share() {
        assert_eq!(line(&rows(2000), 50, Some(200)), "enrolling: 2000 rows, 25 %");
        assert_eq!(line(&rows(0), 0, Some(0)), "enrolling: 0 rows");
        assert_eq!(line(&rows(7), 50, None), "enrolling: 7 rows");
    }
}
