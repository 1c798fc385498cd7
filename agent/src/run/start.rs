//! `pact-agent run`: from its command line to the runtime in which the agent lives.
//!
//! `main` calls it. Where this process is the first of a machine, [`crate::init`] lives the agent's life.
//!
//! Not here, on purpose: what the agent does ([`super`]).

use proto::{hardening, outcome::Failure, supervisor::Supervisor};
use tokio::runtime::{Builder, Runtime};

use super::{Agent, once, until_signalled};
use crate::{
    arguments::RunArguments, init::FirstProcess, kernel_command_line::KernelCommandLine, names,
    report::Report,
};

/// Runs as the command line says, until it is done or stopped.
///
/// # Errors
/// If a file that it names cannot be used, or with what ended the agent.
pub fn start(
    arguments: &RunArguments,
    kernel: &KernelCommandLine,
    first: Option<&FirstProcess>,
) -> Result<(), Failure> {
    hardening::apply();
    if first.is_some() || cfg!(target_feature = "crt-static") {
        names::resolve_alone(kernel.dns.clone());
    }
    if let Some(first) = first.filter(|_| !arguments.once) {
        return first.live(arguments, kernel);
    }
    let agent = Agent::of(arguments)?;
    let report = Report::new(arguments.output);
    runtime()?.block_on(async {
        if arguments.once {
            once(&agent, arguments.timeout, &report).await
        } else {
            until_signalled(&agent, &report.and(Supervisor::of_process())).await
        }
    })
}

/// One thread: a node runs other things than its agent.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Failure::other(format!("the runtime did not start: {error}")))
}
