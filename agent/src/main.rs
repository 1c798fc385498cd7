//! `pact-agent`: starts and stops. What it does is [`agent::run`].

use std::process::ExitCode;

use agent::{
    arguments::{Arguments, Command, RunArguments},
    report::Report,
    run::{self, Agent},
};
use clap::Parser;
use proto::{
    logging,
    outcome::{Exit, Failure},
};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Command::Run(run) = arguments.command;
    match logging::init(arguments.log_format).map_err(Failure::from).and_then(|()| start(&run)) {
        Ok(()) => Exit::Done,
        Err(failure) => failure.report(run.output.is_json()),
    }
    .into()
}

fn start(arguments: &RunArguments) -> Result<(), Failure> {
    let agent = Agent::of(arguments)?;
    let report = Report::new(arguments.output);
    // One thread: a node runs other things than its agent.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("the runtime did not start: {error}")))?;
    runtime.block_on(async {
        if arguments.once {
            run::once(&agent, arguments.timeout, &report).await
        } else {
            endless(&agent, &report).await
        }
    })
}

async fn endless(agent: &Agent, report: &Report) -> Result<(), Failure> {
    let no_signals = |error| Failure::other(format!("signals cannot be caught: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let stop = async {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
    };
    run::until(stop, agent, report).await
}
