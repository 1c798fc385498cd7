//! What the commands of `pact-journal` do, and how each failure is told: a stable name and a sentence.

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use events::domain::RestoreRejection;
use proto::join_token::{InvalidJoinToken, JoinToken};
use proto::manual;
use proto::outcome::Failure;
use proto::supervisor::Supervisor;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::args::{
    Args, Check, Command, ConfigVerb, Init, Join, Output, RecoverOperator, RenewCertificate, Restore, Serve,
    TokenSource,
};
use crate::config::Config;
use crate::config::layers::Environment;
use crate::config::settings::Settings;
use crate::data_dir::DataDirError;
use crate::dev;
use crate::eviction::EVICTED;
use crate::hardening;
use crate::init::{InitError, Made, init};
use crate::join::{JoinError, join};
use crate::journal::{Broken, Journal, StartError};
use crate::log::{OpenError, RestoringError};
use crate::metrics;
use crate::new_directory::NewDirectoryError;
use crate::recover_operator::{self, recover_operator};
use crate::release;
use crate::renewal::by_hand;
use crate::restore::{self, RestoreError, restore};
use crate::stop::Stop;
use crate::supervisor::tell_ready;

/// Runs the command. `Ok`: done.
pub async fn run(args: &Args) -> Result<(), Failure> {
    release::confess();
    match &args.command {
        Command::Init(options) => run_init(options).await,
        Command::Serve(options) => run_serve(options).await,
        Command::Join(options) => run_join(options).await,
        Command::Restore(options) => run_restore(options).await,
        Command::RecoverOperator(options) => run_recover_operator(options).await,
        Command::Dev(options) => dev::run(options, args.log_format).await,
        Command::RenewCertificate(options) => renew_certificate(options),
        Command::Config(ConfigVerb::Check(options)) => check(options),
        Command::Completion(completion) => print_bytes(&completion.script(Args::command())),
        Command::Man {} => print_bytes(&manual::page(Args::command())),
    }
}

/// Whether failures are told as JSON too.
pub fn wants_json(args: &Args) -> bool {
    match &args.command {
        Command::Init(options) => options.output == Output::Json,
        Command::Restore(options) => options.output == Output::Json,
        Command::RecoverOperator(options) => options.output == Output::Json,
        Command::Serve(_)
        | Command::Join(_)
        | Command::Dev(_)
        | Command::RenewCertificate(_)
        | Command::Config(_)
        | Command::Completion(_)
        | Command::Man {} => false,
    }
}

async fn run_init(options: &Init) -> Result<(), Failure> {
    hardening::apply();
    let made = init(options.plan()).await.map_err(|error| {
        let exists = matches!(error, InitError::Directory(NewDirectoryError::Exists { .. }));
        let reason = if exists { "DATA_DIR_EXISTS" } else { "INIT_FAILED" };
        Failure::named(reason, chain(&error))
    })?;
    print(options.output, &made, table)
}

fn print<T: Serialize>(output: Output, made: &T, table: impl FnOnce(&T) -> String) -> Result<(), Failure> {
    let text = match output {
        Output::Json => serde_json::to_string(made).map_err(|error| Failure::other(error.to_string()))?,
        Output::Table => table(made),
    };
    writeln!(std::io::stdout(), "{text}").map_err(|error| Failure::other(error.to_string()))
}

async fn run_restore(options: &Restore) -> Result<(), Failure> {
    hardening::apply();
    let made = restore(options.plan()).await.map_err(|error| not_restored(&error))?;
    print(options.output, &made, restore::table)
}

fn not_restored(error: &RestoreError) -> Failure {
    let reason = match error {
        RestoreError::Directory(NewDirectoryError::Exists { .. }) => "DATA_DIR_EXISTS",
        RestoreError::InUse { .. } => "DATA_DIR_IN_USE",
        RestoreError::Log(RestoringError::Create(_)) => "RESTORE_FAILED",
        RestoreError::Log(error) if error.needs_upgrade() => "UPGRADE_NEEDED",
        RestoreError::Log(_) => "LOG_UNUSABLE",
        RestoreError::Rejected(RestoreRejection::FounderKnown { .. }) => "JOURNAL_ALREADY_EXISTS",
        RestoreError::Rejected(RestoreRejection::NoAdmin { .. }) => "OPERATOR_NOT_FOUND",
        RestoreError::Rejected(RestoreRejection::NoDomain) => "LOG_UNUSABLE",
        RestoreError::KeyFile { .. } | RestoreError::Key { .. } => "DOMAIN_CA_KEY_INVALID",
        RestoreError::Clock { .. } => "CLOCK_SKEW",
        RestoreError::Overlay { .. }
        | RestoreError::Directory(_)
        | RestoreError::File(_)
        | RestoreError::Server(_)
        | RestoreError::Make(_)
        | RestoreError::Create(_)
        | RestoreError::Prepare(_)
        | RestoreError::Append(_)
        | RestoreError::Operator(_)
        | RestoreError::Random(_) => "RESTORE_FAILED",
    };
    Failure::named(reason, chain(error))
}

async fn run_recover_operator(options: &RecoverOperator) -> Result<(), Failure> {
    hardening::apply();
    let recovered = recover_operator(options).await?;
    print(options.output, &recovered, recover_operator::table)
}

async fn run_join(options: &Join) -> Result<(), Failure> {
    hardening::apply();
    let token = match &options.join_token {
        TokenSource::Text(token) => token.clone(),
        TokenSource::File(path) => read_token(path)?,
    };
    let journal = join(&options.plan(token)).await.map_err(not_joined)?;
    tracing::info!(%journal, data_dir = %options.data_dir.display(), "joined; learning the log");
    let (data_dir, settings) = (options.data_dir.clone(), Settings::default());
    run_serve(&Serve { data_dir, config: None, settings, until_stdin_ends: false }).await
}

pub(crate) fn not_joined(error: JoinError) -> Failure {
    match error {
        JoinError::Exists { .. } => Failure::named("DATA_DIR_EXISTS", chain(&error)),
        JoinError::AnyPort | JoinError::Address { .. } => Failure::Usage(chain(&error)),
        JoinError::Asked(failure) => failure,
        JoinError::Connect(error) => (*error).into(),
        JoinError::Directory { .. }
        | JoinError::File(_)
        | JoinError::Key(_)
        | JoinError::Answer { .. }
        | JoinError::Config(_)
        | JoinError::Identity(_)
        | JoinError::Log(_) => Failure::named("JOIN_FAILED", chain(&error)),
    }
}

fn renew_certificate(options: &RenewCertificate) -> Result<(), Failure> {
    hardening::apply();
    let file = options.config.clone().unwrap_or_else(|| options.data_dir.join("journal.toml"));
    let config = Config::read(&file).map_err(|error| Failure::Usage(chain(&error)))?;
    let renewed = by_hand::renew(&options.data_dir, &config.advertise, options.domain_ca_key.as_deref());
    let renewed = renewed.map_err(|error| Failure::named(by_hand::reason(&error), chain(&error)))?;
    let told = format!(
        "{} is valid until {}; a journal that runs takes it up within seconds",
        renewed.file.display(),
        renewed.not_after
    );
    writeln!(std::io::stdout(), "{told}").map_err(|error| Failure::other(error.to_string()))
}

fn read_token(path: &Path) -> Result<JoinToken, Failure> {
    let usage = |error: String| Failure::Usage(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| usage(error.to_string()))?;
    text.trim().parse().map_err(|error: InvalidJoinToken| usage(error.to_string()))
}

fn check(options: &Check) -> Result<(), Failure> {
    Config::read(&options.config).map_err(|error| Failure::Usage(chain(&error)))?;
    writeln!(std::io::stdout(), "ok").map_err(|error| Failure::other(error.to_string()))
}

fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    std::io::stdout().write_all(bytes).map_err(|error| Failure::other(error.to_string()))
}

/// What the command line, the environment and the file say together.
fn configuration(options: &Serve) -> Result<Config, Failure> {
    let file = options.config.clone().unwrap_or_else(|| options.data_dir.join("journal.toml"));
    let environment = Environment::of_process();
    let config = Config::load(&file, &environment, &options.settings);
    let config = config.map_err(|error| Failure::Usage(chain(&error)))?;
    let strangers = environment.strangers();
    if !strangers.is_empty() {
        tracing::warn!(
            variables = strangers.join(", "),
            "no key of the configuration has this name: ignored"
        );
    }
    Ok(config)
}

fn table(made: &Made) -> String {
    let dir = made.data_dir.display();
    format!(
        "domain {} with journal {} in {dir}\n\n  \
         configuration    {}\n  \
         domain CA        {}   for agents' images and operators\n  \
         domain CA key    {}   keep it offline\n  \
         operator         {}\n  \
         join token       {}\n  \
         server           {}\n\n\
         next: pact-journal serve --data-dir {dir}",
        made.domain_id,
        made.journal_id,
        made.config.display(),
        made.domain_ca.display(),
        made.domain_ca_key.display(),
        made.operator.display(),
        made.join_token.display(),
        made.server.display(),
    )
}

async fn run_serve(options: &Serve) -> Result<(), Failure> {
    // From here on SIGHUP ends nothing, also while the journal waits for its quorum; who it is for listens later.
    let _hangups =
        signal(SignalKind::hangup()).map_err(|error| Failure::other(format!("no signals: {error}")))?;
    if !options.data_dir.join("lock").exists() {
        let error = DataDirError::NotInitialised { path: options.data_dir.clone() };
        return Err(Failure::named("DATA_DIR_INVALID", error.to_string()));
    }
    let config = configuration(options)?;
    hardening::apply();
    metrics::install();
    let supervisor = Supervisor::of_process();
    supervisor.tell("STATUS=reading the log");
    // Before the journal is ready: whoever waits for it may stop it at once.
    let mut stop = who_stops(options)?;
    let started = tokio::select! {
        started = Journal::start(&options.data_dir, &config) => started,
        // Nothing was answered yet; what is half open is left as by a crash, from which a journal starts.
        () = stop.asked() => return Ok(()),
    };
    let mut journal =
        started.map_err(|error| not_started(&error)).inspect_err(|failure| supervisor.tell_end(failure))?;
    let endpoints = journal.endpoints();
    tracing::info!(agents = ?endpoints.agent, operators = ?endpoints.operator, http = ?endpoints.http, "ready");
    tell_ready(&supervisor, endpoints);
    let broken = tokio::select! {
        () = stop.asked() => None,
        message = journal.broken() => Some(message),
    };
    tracing::info!("stopping");
    supervisor.tell("STOPPING=1\nSTATUS=stopping");
    journal.stop().await;
    let ended = broken.map_or(Ok(()), |broken| Err(told(broken)));
    ended.inspect_err(|failure| supervisor.tell_end(failure))
}

fn who_stops(options: &Serve) -> Result<Stop, Failure> {
    let stop = Stop::of_service().map_err(|error| Failure::other(format!("no signals: {error}")))?;
    if !options.until_stdin_ends {
        return Ok(stop);
    }
    stop.or_end_of_stdin().map_err(|error| Failure::Usage(format!("--until-stdin-ends: {error}")))
}

fn told(broken: Broken) -> Failure {
    match broken {
        Broken::Log(message) => Failure::named("LOG_UNWRITABLE", message),
        Broken::Upgrade(message) => Failure::named("UPGRADE_NEEDED", message),
        Broken::Succession => Failure::named(
            "AUTHORITY_STUCK",
            "nobody replaces the authority any more; start the journal again",
        ),
        Broken::Evicted => Failure::named("JOURNAL_EVICTED", EVICTED),
        Broken::Presence => Failure::named(
            "PRESENCE_STUCK",
            "nobody watches over the nodes any more; start the journal again",
        ),
    }
}

fn not_started(error: &StartError) -> Failure {
    let reason = match error {
        StartError::DataDir(DataDirError::InUse { .. }) => "DATA_DIR_IN_USE",
        StartError::DataDir(_) => "DATA_DIR_INVALID",
        StartError::Log(OpenError::Unwritable { .. }) => "LOG_UNWRITABLE",
        StartError::Log(OpenError::Later(_)) | StartError::Broken { needs_upgrade: true, .. } => {
            "UPGRADE_NEEDED"
        }
        StartError::Log(_) => "LOG_UNUSABLE",
        StartError::Clock { .. } => "CLOCK_SKEW",
        StartError::NoDomain | StartError::OtherDomain { .. } => "OTHER_DOMAIN",
        StartError::Workloads(_) => "WORKLOAD_BUNDLE_INVALID",
        StartError::Server(_) | StartError::Tls(_) => "SERVER_CERTIFICATE_INVALID",
        StartError::Listen { .. } => "LISTEN_FAILED",
        StartError::Broken { .. } => "LOG_UNWRITABLE",
        StartError::Evicted => "JOURNAL_EVICTED",
        StartError::Cluster(_) | StartError::Random(_) => "START_FAILED",
        StartError::Actors(_) | StartError::Authority(_) | StartError::Edge(_) | StartError::Probes(_) => {
            "START_FAILED"
        }
    };
    Failure::named(reason, chain(error))
}

/// An error with all its causes, in one sentence.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut said: Vec<String> = vec![];
    for cause in causes.map(ToString::to_string) {
        if said.last().is_none_or(|last| !last.contains(&cause)) {
            said.push(cause);
        }
    }
    said.join(": ")
}
