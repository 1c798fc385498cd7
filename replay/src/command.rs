//! The command line of `pact-replay`: what is asked for, results to stdout, refusals to stderr, exit codes (contract).
//!
//! **Invariant:** with `-o json`, stdout gets exactly one JSON document, also when something is refused. Exit code 5
//! says that the log is not sound; a log that could not be read is 1.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use events::fact_json;
use events::vocabulary::NodeId;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::fact_text;
use crate::history::{HistoryError, Told, history};
use crate::reader::OpenError;
use crate::verify::{Report, VerifyError, verify};

const EXAMPLES: &str = "\
Examples:
  pact-replay verify /var/lib/pact/j1
  pact-replay verify /var/lib/pact/j1 -o json
  pact-replay history /var/lib/pact/j1 compute-042

LOG is a journal's data directory. A journal may be running on it: nothing is locked or written.

Exit codes: 0 done, 1 the log cannot be read or has no such node, 2 wrong usage, 5 the log is not sound.";

/// Reads a journal's log and checks it, by the stored bytes alone.
#[derive(Debug, Parser)]
#[command(name = "pact-replay", version, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    order: Order,
    /// How results are printed.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// How log lines are written to stderr; which ones, RUST_LOG says.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Check the chain, every fact and every invariant after it.
    Verify {
        /// A journal's data directory.
        log: PathBuf,
    },
    /// Show every fact about one node.
    History {
        /// A journal's data directory.
        log: PathBuf,
        /// The node's name.
        node_id: NodeId,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Why an order was not done: what is said, and with which exit code.
struct Failure {
    code: u8,
    reason: &'static str,
    message: String,
}

impl Arguments {
    /// Sends log lines to stderr from here on: warnings, or what `RUST_LOG` says.
    pub fn log_to_stderr(&self) {
        let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).from_env_lossy();
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        match self.log_format {
            LogFormat::Text => lines.init(),
            LogFormat::Json => lines.json().init(),
        }
    }

    /// Does what is asked for. The exit code is one of the contract's.
    pub fn run(&self) -> ExitCode {
        let done = match &self.order {
            Order::Verify { log } => {
                verify(log).map_err(Failure::from).and_then(|report| self.print_report(&report))
            }
            Order::History { log, node_id } => {
                history(log, node_id).map_err(Failure::from).and_then(|told| self.print_history(&told))
            }
        };
        match done {
            Ok(code) => code,
            Err(failure) => self.refuse(&failure),
        }
    }

    fn print_report(&self, report: &Report) -> Result<ExitCode, Failure> {
        match self.output {
            Output::Json => print(&format!("{}\n", report.to_json()))?,
            Output::Table => print(&report_lines(report))?,
        }
        if report.ok() {
            return Ok(ExitCode::SUCCESS);
        }
        // The report on stdout is the one document; the reason goes to stderr only.
        complain("LOG_DAMAGED", &format!("{} violations found", report.violation_count));
        Ok(ExitCode::from(5))
    }

    fn print_history(&self, told: &[Told]) -> Result<ExitCode, Failure> {
        let json = |told: &Told| fact_json::to_json(&told.record, &told.remarks, &told.chain);
        match self.output {
            Output::Json => {
                print(&format!("{}\n", json!({"facts": told.iter().map(json).collect::<Value>()})))?;
            }
            Output::Table => print(&history_lines(told))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn refuse(&self, failure: &Failure) -> ExitCode {
        complain(failure.reason, &failure.message);
        if self.output == Output::Json {
            let document = json!({"error": {"reason": failure.reason, "message": failure.message}});
            // Whoever closed stdout has been told on stderr.
            let _ = print(&format!("{document}\n"));
        }
        ExitCode::from(failure.code)
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        let reason = match &error {
            VerifyError::Open(open) => open_reason(open),
            VerifyError::Read(_) => "LOG_UNREADABLE",
            VerifyError::LaterFormat { .. } => "UPGRADE_NEEDED",
        };
        Self { code: 1, reason, message: whole(&error) }
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        let (code, reason) = match &error {
            HistoryError::NodeNotFound { .. } => (1, "NODE_NOT_FOUND"),
            HistoryError::Open(open) => (1, open_reason(open)),
            HistoryError::Read(_) => (1, "LOG_UNREADABLE"),
            HistoryError::LaterFormat { .. } => (1, "UPGRADE_NEEDED"),
            HistoryError::Damaged(_) => (5, "LOG_DAMAGED"),
        };
        Self { code, reason, message: whole(&error) }
    }
}

const fn open_reason(error: &OpenError) -> &'static str {
    match error {
        OpenError::NotFound { .. } | OpenError::NotALog { .. } => "LOG_NOT_FOUND",
        OpenError::List { .. } | OpenError::Store { .. } => "LOG_UNREADABLE",
        OpenError::Moving { .. } => "LOG_BUSY",
    }
}

/// An error with all its causes, in one line.
fn whole(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}

fn report_lines(report: &Report) -> String {
    let head = report.head.map_or_else(|| "none".to_owned(), |head| head.to_string());
    let mut lines = format!(
        "facts       {}\nhead        {head}\nseconds     {:.3}\nviolations  {}\n",
        report.facts,
        report.seconds(),
        report.violation_count,
    );
    for violation in &report.violations {
        lines.push_str(&format!("{violation}\n"));
    }
    lines.push_str(if report.ok() { "log verified\n" } else { "log not sound\n" });
    lines
}

fn history_lines(told: &[Told]) -> String {
    let row = |told: &Told| {
        let record = &told.record;
        let (time, kind) = (record.recorded_at.to_string(), fact_json::type_name(&record.fact));
        let what = fact_text::what(record, &told.remarks);
        [time, record.seq.to_string(), kind, what, record.principal.to_string()]
    };
    let header = ["TIME", "SEQ", "TYPE", "WHAT", "WHO"].map(str::to_owned);
    aligned(&std::iter::once(header).chain(told.iter().map(row)).collect::<Vec<_>>())
}

/// Columns as wide as their widest cell, two spaces between them.
fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    let failed = |error| format!("the result cannot be printed: {error}");
    printed.map_err(|error| Failure { code: 1, reason: "OUTPUT_FAILED", message: failed(error) })
}

fn complain(reason: &str, message: &str) {
    // There is nobody left to tell when stderr is closed.
    let _ = writeln!(io::stderr().lock(), "error: {reason}: {message}");
}
