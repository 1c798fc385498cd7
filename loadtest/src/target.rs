//! The journals that a storm loads: child processes of ours in a temporary directory, or a foreign one.
//!
//! [`crate::storm`] asks here whom to load, what may be measured of it, and whose log is to be verified.
//!
//! **Invariant:** of a foreign journal nothing is changed but what its nodes and its operator do.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use agent::journals::Journals;
use proto::{
    channel::JournalAddress,
    outcome::Failure,
    pem_file::{Credential, Trust},
};
use tokio::time::Instant;

use crate::{
    arguments::StormArguments,
    journal_process::Endpoints,
    log_check,
    own_journals::OwnJournals,
    preparation::Operator,
    progress::{Progress, say},
};

/// The agents' listener if nobody says otherwise.
const AGENTS_PORT: u16 = 9443;
/// Connections from one address of loopback. It has 28,000 ports, and those of closed connections rest for a minute.
const CONNECTIONS_PER_SOURCE: u32 = 10_000;
/// A boot connects twice: without its certificate and with it.
const CONNECTIONS_PER_BOOT: u32 = 2;

/// Journals that serve.
#[derive(Debug)]
pub struct Target {
    /// Whom its clients trust.
    pub trust: Trust,
    /// The operator who registers nodes.
    pub operator: Credential,
    /// The listeners for agents, of each journal one.
    pub agents: Vec<JournalAddress>,
    /// The listeners for operators, at least one.
    pub operators: Vec<JournalAddress>,
    journals: Loaded,
}

/// Whose journals they are.
#[derive(Debug)]
enum Loaded {
    Own(OwnJournals),
    /// What can be measured of a foreign one; none of a process on another machine.
    Foreign(Option<Watched>),
}

/// A journal on this machine.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its process.
    pub pid: u32,
    /// Its listener for probes and metrics.
    pub http: Option<SocketAddr>,
    /// Its log.
    pub data_dir: PathBuf,
}

impl Target {
    /// Starts a journal, or finds the one that the user names.
    ///
    /// # Errors
    /// If it does not start, or a file that describes it cannot be read.
    pub async fn of(arguments: &StormArguments) -> Result<Self, Failure> {
        match (&arguments.endpoint, &arguments.ca, &arguments.credential) {
            (Some(operators), Some(ca), Some(credential)) => {
                Self::foreign(arguments, operators.clone(), ca, credential)
            }
            (None, _, _) => Self::own(arguments.journals).await,
            (Some(_), _, _) => Err(Failure::Usage("--endpoint needs --ca and --credential".to_owned())),
        }
    }

    /// Starts journals for nobody else.
    ///
    /// # Errors
    /// If one is not ready in time.
    pub async fn own(journals: u8) -> Result<Self, Failure> {
        Self::own_with(journals, &[]).await
    }

    /// The same, with flags of `serve`.
    ///
    /// # Errors
    /// If one is not ready in time.
    pub async fn own_with(journals: u8, flags: &[&str]) -> Result<Self, Failure> {
        let own = OwnJournals::start_with(journals, flags).await?;
        Ok(Self {
            trust: own.trust.clone(),
            operator: own.operator.clone(),
            agents: own.agents(),
            operators: own.operators(),
            journals: Loaded::Own(own),
        })
    }

    fn foreign(
        arguments: &StormArguments,
        operators: JournalAddress,
        ca: &Path,
        credential: &Path,
    ) -> Result<Self, Failure> {
        let told = arguments.data_dir.as_deref().map(endpoints).transpose()?;
        let agents = match (&arguments.agent_endpoint, &told) {
            (Some(agents), _) => agents.clone(),
            (None, Some((endpoints, _))) => endpoints.agents()?,
            (None, None) => usual_agents(&operators)?,
        };
        let watched =
            told.map(|(endpoints, data_dir)| Watched { pid: endpoints.pid, http: endpoints.http, data_dir });
        Ok(Self {
            trust: Trust::read(ca)?,
            operator: Credential::read(credential)?,
            agents: vec![agents],
            operators: vec![operators],
            journals: Loaded::Foreign(watched),
        })
    }

    /// Whether it was started for this storm and nobody else uses it.
    pub fn is_own(&self) -> bool {
        matches!(self.journals, Loaded::Own(_))
    }

    /// What can be measured of the journals, once all of ours serve.
    ///
    /// # Errors
    /// If one of ours was killed and is not back in time.
    pub async fn watched(&self) -> Result<Vec<Watched>, Failure> {
        match &self.journals {
            Loaded::Own(own) => own.watched().await,
            Loaded::Foreign(watched) => Ok(watched.iter().cloned().collect()),
        }
    }

    /// Has journals of ours that are killed started again, until one fails.
    async fn keep(&self) -> Failure {
        match &self.journals {
            Loaded::Own(own) => own.keep().await,
            Loaded::Foreign(_) => std::future::pending().await,
        }
    }

    /// Loads it, while journals of ours that are killed are started again. Shows their last lines if the result is not sound.
    ///
    /// # Errors
    /// With those of the load, or if a journal of ours fails.
    pub async fn bear<R>(
        &self,
        load: impl Future<Output = Result<R, Failure>>,
        is_sound: impl FnOnce(&R) -> bool,
    ) -> Result<R, Failure> {
        let loaded = tokio::select! {
            loaded = load => loaded,
            failure = self.keep() => Err(failure),
        };
        if !loaded.as_ref().is_ok_and(is_sound) {
            self.show_last_lines();
        }
        loaded
    }

    /// How often one of ours was killed and is back.
    pub fn killed(&self) -> u32 {
        match &self.journals {
            Loaded::Own(own) => own.killed(),
            Loaded::Foreign(_) => 0,
        }
    }

    /// Connects as the operator, to the first journal.
    ///
    /// # Errors
    /// If the journal does not answer, or does not know the operator.
    pub async fn operator(&self) -> Result<Operator, Failure> {
        self.operator_at(&self.operators[0]).await
    }

    /// Connects as the operator, to a journal's listener for operators.
    ///
    /// # Errors
    /// As [`Target::operator`].
    pub async fn operator_at(&self, operators: &JournalAddress) -> Result<Operator, Failure> {
        Operator::connect(operators, &self.trust, &self.operator).await
    }

    /// Whom the machines of so many boots ask: all journals, in an order of each machine's own, from as many addresses of
    /// loopback as have ports enough.
    ///
    /// # Errors
    /// None as long as there is an address.
    pub fn journals(&self, boots: u32) -> Result<Arc<[Journals]>, Failure> {
        let share = boots.div_ceil(u32::try_from(self.agents.len()).unwrap_or(u32::MAX).max(1));
        let of_each: Vec<Vec<_>> = self.agents.iter().map(|agents| sources(agents, share)).collect();
        let most = of_each.iter().map(Vec::len).max().unwrap_or_default();
        let from = |nth: usize| of_each.iter().map(move |of| of[nth % of.len()].clone()).collect();
        (0..most).map(|nth| Journals::new(self.trust.clone(), from(nth))).collect()
    }

    /// Ends journals of our own in good order, and has the logs verified if they lie on this machine: that of one, and the
    /// others against it.
    ///
    /// # Errors
    /// If the journal did not end well, or its log is not sound.
    pub async fn verify(&self) -> Result<Option<log_check::Verified>, Failure> {
        // What the leader recorded last reaches the others before it goes.
        let logs: Vec<&Path> = match &self.journals {
            Loaded::Own(own) => own.stop().await?,
            Loaded::Foreign(watched) => watched.iter().map(|watched| watched.data_dir.as_path()).collect(),
        };
        let Some((first, others)) = logs.split_first() else { return Ok(None) };
        let began = Instant::now();
        let progress = Progress::begin("verifying", logs.len() as u64);
        let verified = log_check::verify(first).await?;
        progress.counter().add(1);
        for other in others {
            log_check::verify_against(other, first).await?;
            progress.counter().add(1);
        }
        drop(progress);
        let (facts, seconds) = (verified.facts, began.elapsed().as_secs_f64());
        say(&match others.len() {
            0 => format!("verified the log of {facts} facts in {seconds:.1} s"),
            others => format!("verified {} logs of {facts} facts, all alike, in {seconds:.1} s", others + 1),
        });
        Ok(Some(verified))
    }

    /// Shows the end of the log of each journal of our own on stderr.
    fn show_last_lines(&self) {
        if let Loaded::Own(own) = &self.journals {
            own.show_last_lines();
        }
    }
}

fn endpoints(data_dir: &Path) -> Result<(Endpoints, PathBuf), Failure> {
    let file = data_dir.join("endpoints.json");
    let wrong = |why: String| Failure::Usage(format!("{}: {why}; does the journal serve?", file.display()));
    let text = fs::read(&file).map_err(|error| wrong(error.to_string()))?;
    let endpoints = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    Ok((endpoints, data_dir.to_owned()))
}

fn usual_agents(operators: &JournalAddress) -> Result<JournalAddress, Failure> {
    let host = operators.host();
    let text = if host.contains(':') {
        format!("https://[{host}]:{AGENTS_PORT}")
    } else {
        format!("https://{host}:{AGENTS_PORT}")
    };
    text.parse().map_err(|error| Failure::Usage(format!("--agent-endpoint: {error}")))
}

/// The same listener, reached from as many addresses as so many boots need. Only loopback has them to give.
fn sources(agents: &JournalAddress, boots: u32) -> Vec<JournalAddress> {
    let on_loopback = agents.host().parse().is_ok_and(|host: Ipv4Addr| host.is_loopback());
    let needed = boots.saturating_mul(CONNECTIONS_PER_BOOT).div_ceil(CONNECTIONS_PER_SOURCE);
    if !on_loopback || needed <= 1 {
        return vec![agents.clone()];
    }
    // Of this process only: the ports of the storm before still rest.
    let [.., b, c] = std::process::id().to_be_bytes();
    let own = u32::from_be_bytes([127, b, c, 0]);
    let source = |nth: u32| IpAddr::V4(Ipv4Addr::from(own.saturating_add(nth)));
    // Beyond 127.255.255.255 there is no loopback; 200 addresses have more ports than a process has files.
    (1..=needed.min(200)).map(|nth| agents.clone().from_source(source(nth))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn address(text: &str) -> JournalAddress {
        text.parse().unwrap()
    }

    #[test]
    fn a_storm_has_a_source_for_every_ten_thousand_connections() {
        let agents = address("https://127.0.0.1:9443");
        assert_eq!(sources(&agents, 5000), vec![agents.clone()]);
        for (boots, expected) in [(5001, 2), (10_000, 2), (20_000, 4), (u32::MAX, 200)] {
            let sources = sources(&agents, boots);
            let from: BTreeSet<_> = sources.iter().map(|address| address.source().unwrap()).collect();
            assert_eq!((sources.len(), from.len()), (expected, expected), "{boots}");
            assert!(from.iter().all(IpAddr::is_loopback), "{from:?}");
        }
    }

    #[test]
    fn another_machine_is_reached_from_wherever_the_system_says() {
        for elsewhere in ["https://10.0.0.5:9443", "https://journal.example:9443", "https://[::1]:9443"] {
            assert_eq!(sources(&address(elsewhere), 100_000), vec![address(elsewhere)]);
        }
    }

    #[test]
    fn agents_usually_listen_on_the_same_host() {
        let usual = |operators| usual_agents(&address(operators)).unwrap();
        assert_eq!(usual("https://10.0.0.5:9446"), address("https://10.0.0.5:9443"));
        assert_eq!(usual("https://[::1]:9446"), address("https://[::1]:9443"));
    }
}
