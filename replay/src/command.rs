//! The command line of `pact-replay`: what is asked for, results to stdout, refusals to stderr, exit codes (contract).
//!
//! **Invariant:** with `-o json`, stdout gets exactly one JSON document, also when something is refused. Exit code 5
//! says that the log is not sound; a log that could not be read is 1.

mod failure;
// It knows nothing of ours, and a log is read with `events` alone (design §2): the file is used, not the crate.
#[path = "../../proto/src/manual.rs"]
mod manual;
mod new_file;
mod order;
#[path = "../../proto/src/processor.rs"]
mod processor;
mod tables;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, ValueEnum};
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::diff::diff;
use crate::explain::explain;
use crate::export::{Export, ExportError};
use crate::history;
use crate::history::{history, of_serial};
use crate::state::state;
use crate::told::Told;
use crate::verify::{Report, verify, verify_against};
use events::fact_json;
use failure::Failure;
use order::{Order, Subject, Wanted};

const EXAMPLES: &str = "\
Examples:
  pact-replay verify /var/lib/pact/j1
  pact-replay state /var/lib/pact/j1 --at 2026-01-31T12:00:00Z
  pact-replay history /var/lib/pact/j1 compute-042
  pact-replay diff /var/lib/pact/j1 --from 2026-01-31T12:00:00Z --to 1042
  pact-replay explain /var/lib/pact/j1 --seq 42
  pact-replay export /var/lib/pact/j1 --format jsonl --out facts.jsonl

LOG is a journal's data directory, or a file that export --format jsonl wrote. A journal may be running on its directory:
nothing is locked or written.

Exit codes: 0 done, 1 the log cannot be read or has nothing of the kind, 2 wrong usage, or a point outside of the log,
5 the log is not sound.";

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
        match self.carry_out() {
            Ok(code) => code,
            Err(failure) => self.refuse(&failure),
        }
    }

    fn carry_out(&self) -> Result<ExitCode, Failure> {
        processor::check().map_err(Failure::processor)?;
        match &self.order {
            Order::Verify { log, against: None } => return self.print_report(&verify(log)?),
            Order::Verify { log, against: Some(other) } => {
                return self.print_report(&verify_against(log, other)?);
            }
            Order::State { log, at, seq } => {
                let state = state(log, order::point(*at, *seq))?;
                self.print(|| state.document().0, || tables::state_lines(&state))?;
            }
            Order::History { log, subject } => {
                let told = facts_about(log, subject)?;
                self.print(|| history_json(&told).to_string(), || tables::history_lines(&told))?;
            }
            Order::Diff { log, from, to } => {
                let diff = diff(log, *from, *to)?;
                self.print(|| diff.to_json().to_string(), || tables::diff_lines(&diff))?;
            }
            Order::Explain { log, wanted } => {
                let explained = explain(log, wanted.which())?;
                self.print(|| explained.to_json().to_string(), || tables::explanation_lines(&explained))?;
            }
            Order::Export(wanted) => self.export(wanted)?,
            Order::Completion(completion) => print_bytes(&completion.script(Self::command()))?,
            Order::Man {} => print_bytes(&manual::page(Self::command()))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn export(&self, wanted: &order::Export) -> Result<(), Failure> {
        let (range, format) = (wanted.range(), wanted.format);
        let Some(out) = &wanted.out else {
            if self.output == Output::Json {
                return Err(Failure::usage(
                    "an export is a document a line, and -o json prints one: name a file by --out",
                ));
            }
            let export = Export::prepare(&wanted.log, range)?;
            return match export.write(range, format, &mut BufWriter::new(io::stdout().lock())) {
                Err(ExportError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => Ok(written.map(drop)?),
            };
        };
        let exported = new_file::write(out, |lines| {
            let export = Export::prepare(&wanted.log, range)?;
            export.write(range, format, lines).map_err(|error| error.of_file(out))
        })?;
        let told = || format!("{} facts written to {}\n", exported.facts, out.display());
        self.print(|| exported.to_json(out).to_string(), told)
    }

    fn print_report(&self, report: &Report) -> Result<ExitCode, Failure> {
        self.print(|| report.to_json().to_string(), || tables::report_lines(report))?;
        if report.ok() {
            return Ok(ExitCode::SUCCESS);
        }
        // The report on stdout is the one document; the reason goes to stderr only.
        complain("LOG_DAMAGED", &format!("{} violations found", report.violation_count));
        Ok(ExitCode::from(5))
    }

    /// Prints a document, or the same for people.
    fn print(&self, document: impl Fn() -> String, table: impl Fn() -> String) -> Result<(), Failure> {
        match self.output {
            Output::Json => print(&(document() + "\n")),
            Output::Table => print(&table()),
        }
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

fn facts_about(log: &Path, subject: &Subject) -> Result<Vec<Told>, history::HistoryError> {
    match subject.wanted() {
        Wanted::Node(node_id) => history(log, node_id),
        Wanted::Serial(serial) => of_serial(log, serial),
    }
}

fn history_json(told: &[Told]) -> Value {
    let fact = |told: &Told| fact_json::to_json(&told.record, &told.remarks, &told.chain);
    json!({"facts": told.iter().map(fact).collect::<Value>()})
}

fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(bytes).and_then(|()| stdout.flush());
    match printed {
        // A reader that has seen enough (`pact-replay history … | head`) is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|error| Failure::output(&error)),
    }
}

fn complain(reason: &str, message: &str) {
    // There is nobody left to tell when stderr is closed.
    let _ = writeln!(io::stderr().lock(), "error: {reason}: {message}");
}
