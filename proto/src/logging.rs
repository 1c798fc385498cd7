//! Logs of all binaries: to stderr, as text or as JSON lines, as `RUST_LOG` asks.
//!
//! Every `main` calls [`init`] once, before anything else. Results go to stdout, never here.
//!
//! Not here, on purpose: metrics, and what is logged. Secrets never are (R23).
//!
//! **Invariant:** stdout holds results only.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::ParseError, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// What is logged when `RUST_LOG` is not set. h2 warns of each answer to a ping that it did not send itself, as a journal's are.
const DEFAULT_FILTER: &str = "info,openraft=warn,h2::proto::ping_pong=error";

/// The form of a line of the log, `--log-format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for people, coloured on a terminal.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `RUST_LOG` is not a filter.
    #[error("RUST_LOG is `{text}`, which is no filter; `info` or `journal=debug,info` would be")]
    Filter {
        /// What the variable holds.
        text: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The process logs already.
    #[error("logging was started twice")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts to log to stderr. `RUST_LOG` chooses what; unset or empty, all from level info up.
///
/// # Errors
/// If `RUST_LOG` is no filter, or the process logs already.
pub fn init(format: LogFormat) -> Result<(), LoggingError> {
    let filter = filter(std::env::var("RUST_LOG").ok())?;
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => {
            let ansi = io::stderr().is_terminal();
            registry.with(fmt::layer().with_writer(io::stderr).with_ansi(ansi)).try_init()?;
        }
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(io::stderr)).try_init()?,
    }
    Ok(())
}

fn filter(asked: Option<String>) -> Result<EnvFilter, LoggingError> {
    let text = asked.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| DEFAULT_FILTER.to_owned());
    EnvFilter::try_new(&text).map_err(|source| LoggingError::Filter { text, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_or_empty_filter_means_info_and_of_openraft_warnings() {
        for asked in [None, Some(String::new()), Some(" ".to_owned())] {
            let shown = filter(asked).unwrap().to_string();
            let mut directives: Vec<&str> = shown.split(',').collect();
            directives.sort_unstable();
            assert_eq!(directives, ["h2::proto::ping_pong=error", "info", "openraft=warn"]);
        }
    }

    #[test]
    fn a_broken_filter_is_told_with_the_variable_s_name() {
        let broken = filter(Some("pact=shout".to_owned())).unwrap_err();
        assert!(broken.to_string().contains("RUST_LOG is `pact=shout`"), "{broken}");
    }
}
