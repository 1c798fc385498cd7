//! How far it is: a bar on a terminal, a line a second without one, both on stderr.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{task::JoinHandle, time};

/// The progress of one step. It ends when this is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    lines: Option<JoinHandle<()>>,
}

impl Progress {
    /// A step of so many parts.
    pub fn begin(step: &'static str, parts: u32) -> Self {
        let parts = u64::from(parts);
        if io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{msg:12} {wide_bar} {pos}/{len} {per_sec} {elapsed}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(parts).with_style(style).with_message(step);
            return Self { bar, lines: None };
        }
        // A hidden bar counts all the same.
        let bar = ProgressBar::hidden();
        let counted = bar.clone();
        let lines = tokio::spawn(async move {
            let mut second = time::interval(Duration::from_secs(1));
            // The first tick is at once.
            second.tick().await;
            loop {
                second.tick().await;
                say(&format!("{step} {}/{parts}", counted.position()));
            }
        });
        Self { bar, lines: Some(lines) }
    }

    /// Counts parts; clones count for the same step.
    pub fn counter(&self) -> ProgressBar {
        self.bar.clone()
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

/// Says one thing on stderr. Nobody is left to tell if it is closed.
pub fn say(line: &str) {
    writeln!(io::stderr().lock(), "{line}").ok();
}
