//! `pact-journal dev`: a throw-away domain on loopback, to try things on.
//!
//! Makes a domain in a temporary directory, serves it by a child process for each journal (`pact-journal serve`) on free
//! ports, prints one line of shell that says how to use it, and stays until it is told to stop.
//!
//! Not here, on purpose: anything that a real domain would not do too. It is `init`, `join` and `serve`, with other
//! addresses.
//!
//! **Invariant:** whatever ends it, its children end; short of SIGKILL they have ended before it, and without `--data-dir`
//! nothing is left on disk.

mod child;
mod growth;
mod place;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use events::vocabulary::{DomainId, JournalId};
use futures_util::future::{join_all, select_all, try_join_all};
use proto::logging::LogFormat;
use proto::outcome::Failure;

use crate::args::Dev;
use crate::commands::chain;
use crate::config::Config;
use crate::data_dir::Endpoints;
use crate::init::{Plan, init};
use crate::stop::Stop;

use child::{Child, any_port};
use growth::{Founder, cluster_port};
use place::{Place, name_of};

/// The name of every such domain.
const DOMAIN: &str = "dev";
/// Names in the first journal's certificate. The host's own name is not among them: nobody else can reach it.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// The certificate of a journal that joins is for the address where it listens.
const NAMES_OF_JOINED: [&str; 1] = ["127.0.0.1"];

/// Runs until SIGINT, SIGTERM, SIGHUP or SIGQUIT.
///
/// # Errors
/// If the domain cannot be made, or one of its journals does not start, or ends by itself.
pub async fn run(options: &Dev, log_format: LogFormat) -> Result<(), Failure> {
    // Before anything is made: whoever stops it at once leaves nothing behind either.
    let mut stop = Stop::of_terminal().map_err(|error| Failure::other(format!("no signals: {error}")))?;
    let place = Place::new(options.data_dir.as_deref())?;
    let wanted = place.wanted(options.journals)?;
    // Not to be broken off: what it makes is written by threads of its own, which would outlive the directory.
    if place.present() == 0 {
        init(plan(&place.data_dir(1))?)
            .await
            .map_err(|error| Failure::named("INIT_FAILED", chain(&error)))?;
    }
    let mut children = Vec::new();
    let ended = tokio::select! {
        // Their order matters: ctrl-c on a terminal reaches the children, too.
        biased;
        () = stop.asked() => Ok(()),
        failure = live(&place, wanted, log_format, &mut children) => Err(failure),
    };
    tracing::info!("stopping");
    let stopped = join_all(children.iter_mut().map(Child::stop)).await;
    drop(children);
    place.leave();
    // Why it ends is told first; how the others did matters only if nothing else went wrong.
    ended.and(stopped.into_iter().collect())
}

/// Serves until something goes wrong.
async fn live(place: &Place, wanted: u8, log_format: LogFormat, children: &mut Vec<Child>) -> Failure {
    match up(place, wanted, log_format, children).await {
        Ok(()) => select_all(children.iter_mut().map(|child| Box::pin(child.ended()))).await.0,
        Err(failure) => failure,
    }
}

/// Starts what is there already, all at once, for a quorum is ready only together; then lets others in, one by one.
async fn up(
    place: &Place,
    wanted: u8,
    log_format: LogFormat,
    children: &mut Vec<Child>,
) -> Result<(), Failure> {
    let alone = wanted == 1;
    for number in 1..=place.present() {
        let data_dir = place.data_dir(number);
        let config = served(&data_dir, alone)?;
        children.push(Child::serve(name_of(number), data_dir, &config, log_format)?);
    }
    let mut endpoints = try_join_all(children.iter_mut().map(Child::ready)).await?;
    if !alone {
        let founder = Founder::connect(&place.data_dir(1), &endpoints[0]).await?;
        founder.votes(place.present()).await?;
        for number in place.present() + 1..=wanted {
            let (name, data_dir) = (name_of(number), place.data_dir(number));
            founder
                .let_in(&name, &data_dir, &config(cluster_port()?, &NAMES_OF_JOINED), &endpoints[0])
                .await?;
            let config = served(&data_dir, alone)?;
            // Where it is stopped in good order, also while it starts.
            children.push(Child::serve(name, data_dir, &config, log_format)?);
            let started = children.last_mut().ok_or_else(|| Failure::other("no journal was started"))?;
            endpoints.push(started.ready().await?);
            founder.votes(number).await?;
        }
    }
    announce(place, &endpoints)
}

fn config(cluster_listen: SocketAddr, names: &[&str]) -> Config {
    Config {
        agent_listen: any_port(),
        operator_listen: any_port(),
        cluster_listen,
        http_listen: any_port(),
        advertise: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Config::default()
    }
}

/// What a journal is served by: free ports, but for the one at which the others look for it.
fn served(data_dir: &Path, alone: bool) -> Result<Config, Failure> {
    let kept = Config::read(&data_dir.join("journal.toml")).map_err(|error| Failure::Usage(chain(&error)))?;
    if alone {
        return Ok(Config { cluster_listen: any_port(), ..kept });
    }
    if kept.cluster_listen.port() == 0 {
        let told =
            format!("{} was made without a cluster port: choose another --data-dir", data_dir.display());
        return Err(Failure::Usage(told));
    }
    Ok(kept)
}

fn plan(data_dir: &Path) -> Result<Plan, Failure> {
    let name = |error: events::vocabulary::InvalidName| Failure::other(error.to_string());
    let domain_id: DomainId = DOMAIN.parse().map_err(name)?;
    let journal_id: JournalId = name_of(1).parse().map_err(name)?;
    Ok(Plan { data_dir: data_dir.to_owned(), domain_id, journal_id, config: config(cluster_port()?, &NAMES) })
}

/// Says how to use it.
fn announce(place: &Place, endpoints: &[Endpoints]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", exports(&place.data_dir(1), endpoints))
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::other(format!("the line for the shell could not be printed: {error}")))?;
    let (folder, journals) = (place.folder().display(), endpoints.len());
    match place {
        Place::Temporary(_) => {
            tracing::info!(%folder, journals, "ready; ctrl-c ends it and deletes everything");
        }
        Place::Kept(_) => tracing::info!(%folder, journals, "ready; ctrl-c ends it"),
    }
    Ok(())
}

/// One line for a POSIX shell.
fn exports(data_dir: &Path, endpoints: &[Endpoints]) -> String {
    let urls = |of: fn(&Endpoints) -> Option<SocketAddr>| {
        let urls: Vec<_> = endpoints.iter().filter_map(of).map(|at| format!("https://{at}")).collect();
        urls.join(",")
    };
    let file = |name: &str| data_dir.join("bootstrap").join(name).display().to_string();
    let variables = [
        ("PACT_ENDPOINTS", urls(|endpoints| endpoints.operator)),
        ("PACT_CA", file("domain-ca.pem")),
        ("PACT_CREDENTIAL", file("operator.pem")),
        ("PACT_JOURNALS", urls(|endpoints| endpoints.agent)),
    ];
    variables
        .iter()
        .fold("export".to_owned(), |line, (name, value)| format!("{line} {name}={}", quoted(value)))
}

/// As a shell reads it back: a word of plain letters as it is, anything else in quotes.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/:.,_-+=@%".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in ["https://127.0.0.1:9", "/tmp/a b/c", "it's", "$HOME `x` \"y\" \\", "", "é\n*"] {
            let script = format!("export X={}; printf %s \"$X\"", quoted(text));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
    }

    #[test]
    fn all_variables_stand_on_one_line() {
        let at = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        let of = |agent, operator| Endpoints {
            pid: 1,
            agent: at(agent),
            operator: at(operator),
            cluster: None,
            http: at(9),
        };
        assert_eq!(
            exports(Path::new("/tmp/x y/j1"), &[of(1, 2), of(3, 4)]),
            "export PACT_ENDPOINTS=https://127.0.0.1:2,https://127.0.0.1:4 \
             PACT_CA='/tmp/x y/j1/bootstrap/domain-ca.pem' \
             PACT_CREDENTIAL='/tmp/x y/j1/bootstrap/operator.pem' \
             PACT_JOURNALS=https://127.0.0.1:1,https://127.0.0.1:3"
        );
    }
}
