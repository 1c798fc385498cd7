//! `pact-agent`: starts and stops. What it does is [`agent::run`], and before that [`agent::init`] where it is the first
//! process of a machine.

use std::process::ExitCode;

use agent::{
    arguments::{Arguments, Command},
    init::FirstProcess,
    kernel_command_line::{self, KernelCommandLine},
    probe,
    report::{self, Report},
    run, services, status,
};
use proto::{
    logging,
    outcome::{Exit, Failure},
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One life of the agent; the first process of a machine has as many as it needs.
pub fn main() -> ExitCode {
    match FirstProcess::begin() {
        Some(first) => first.outlast(|| attempt(Some(&first))),
        None => attempt(None),
    }
}

fn attempt(first: Option<&FirstProcess>) -> ExitCode {
    let kernel = kernel_command_line::of_this_machine();
    let told = kernel.as_ref().ok();
    let arguments = match first {
        Some(first) => first.arguments(told),
        None => Arguments::of_process(told).map_err(|usage| usage.exit()),
    };
    let Ok(arguments) = arguments else { return Exit::Usage.into() };
    let begun = logging::init(arguments.log_format).map_err(Failure::from);
    // The log of a former life goes on.
    let begun = begun.or_else(|failure| first.map(|_| ()).ok_or(failure));
    let done = begun.and_then(|()| obey(&arguments.command, &kernel.map_err(Failure::from)?, first));
    let output = arguments.command.output();
    done.map_or_else(|failure| failure.report(output.is_json()), |()| Exit::Done).into()
}

fn obey(command: &Command, kernel: &KernelCommandLine, first: Option<&FirstProcess>) -> Result<(), Failure> {
    kernel.warn_of_what_has_no_effect();
    match command {
        Command::Run(arguments) => run::start(arguments, kernel, first),
        Command::Hardware(arguments) => {
            Report::new(arguments.output).hardware(&probe::this_machine()?);
            Ok(())
        }
        Command::Status(arguments) => status::show(arguments),
        Command::BecomeService(service) => Err(services::become_service(service.agent, &service.command)),
        Command::Completion(_) | Command::Man {} => report::document(&command.page()),
    }
}
