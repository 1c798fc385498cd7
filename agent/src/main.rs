//! `pact-agent`: starts and stops. What it does is [`agent::run`].

use std::process::ExitCode;

use agent::{
    arguments::{Arguments, Command, RunArguments},
    kernel_command_line, probe,
    report::{self, Report},
    run::{self, Agent},
    services, status,
};
use proto::{
    hardening, logging,
    outcome::{Exit, Failure},
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let kernel = kernel_command_line::of_this_machine();
    let arguments = Arguments::of_process(kernel.as_ref().ok());
    let output = arguments.command.output();
    let begun = logging::init(arguments.log_format).map_err(Failure::from);
    let told = begun.and_then(|()| kernel.map_err(Failure::from));
    let heard = told.map(|kernel| kernel.warn_of_what_has_no_effect());
    let done = heard.and_then(|()| obey(&arguments.command));
    done.map_or_else(|failure| failure.report(output.is_json()), |()| Exit::Done).into()
}

fn obey(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Run(arguments) => start(arguments),
        Command::Hardware(arguments) => {
            Report::new(arguments.output).hardware(&probe::this_machine()?);
            Ok(())
        }
        Command::Status(arguments) => status::show(arguments),
        Command::BecomeService(service) => Err(services::become_service(service.agent, &service.command)),
        Command::Completion(_) | Command::Man {} => report::document(&command.page()),
    }
}

fn start(arguments: &RunArguments) -> Result<(), Failure> {
    hardening::apply();
    let agent = Agent::of(arguments)?;
    let report = Report::new(arguments.output);
    // One thread: a node runs other things than its agent.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::other(format!("the runtime did not start: {error}")))?;
    runtime.block_on(async {
        if arguments.once {
            run::once(&agent, arguments.timeout, &report).await
        } else {
            run::until_signalled(&agent, &report).await
        }
    })
}
