//! What the user is told on stdout: each change of this node's standing, or the one result of a command that ends.
//!
//! [`crate::run`] reports; with `-o json` a line is a JSON object whose `change` says which it is. The names of the
//! fields are stable: users script against them.
//!
//! Not here, on purpose: failures that end the process ([`proto::outcome`]), and the log.
//!
//! **Invariant:** stdout holds these lines only, and none shows a key.

use std::{
    convert::Infallible,
    fmt,
    io::{self, Write},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use events::vocabulary::{Digest, DomainId, NodeId, Serial, SpiffeId, Timestamp, VClusterId};
use proto::{channel::JournalAddress, outcome::Failure, supervisor::Supervisor};
use rustls::pki_types::CertificateDer;
use serde::Serialize;

use crate::{
    answer::Identity,
    arguments::Output,
    boot_config::BootConfig,
    probe::Probed,
    services::{Exit, News},
    status::Snapshot,
};

/// Tells the user.
#[derive(Debug)]
pub struct Report {
    to: Reader,
    supervisor: Supervisor,
}

#[derive(Debug)]
enum Reader {
    Stdout(Output),
    /// A program that runs many agents.
    Watcher(Watcher),
    /// A test that waits for sentences.
    #[cfg(test)]
    Test(tokio::sync::mpsc::UnboundedSender<String>),
}

/// What a program does with each change.
struct Watcher(Arc<dyn Fn(&Change) + Send + Sync>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watcher").finish_non_exhaustive()
    }
}

/// A change of this node's standing.
#[derive(Debug, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// It was given a certificate by an enrollment: the first, or one after the time of the last.
    Enrolled(Enrollment),
    /// Its subscription is open.
    Subscribed {
        /// At this journal.
        journal: String,
    },
    /// Its subscription was lost.
    Lost {
        /// Why, for programs.
        reason: String,
        /// Why, for people.
        message: String,
    },
    /// From now on it connects with another identity.
    Identity {
        /// A workload identity of others; null: its certificate.
        spiffe_id: Option<SpiffeId>,
        /// Until when that is valid.
        not_after: Timestamp,
    },
    /// It was given its next certificate.
    Renewed(Enrollment),
    /// It is configured by something else than before: the first time, and whenever that changes.
    Configured {
        /// Null in maintenance mode.
        vcluster: Option<VClusterId>,
        /// The seq of the fact that set the overlay; 0 without one.
        revision: u64,
        /// Null without an overlay.
        overlay_sha256: Option<Digest>,
    },
    /// It goes by what it had, without a journal: an earlier process left it, or its certificate's time is over.
    Degraded {
        /// Null in maintenance mode.
        vcluster: Option<VClusterId>,
        /// The seq of the fact that set the overlay; 0 without one.
        revision: u64,
        /// Null without an overlay.
        overlay_sha256: Option<Digest>,
    },
    /// A service that its boot configuration declares runs.
    ServiceStarted {
        /// Its name.
        service: String,
        /// Its process.
        pid: u32,
    },
    /// A service has ended.
    ServiceExited {
        /// Its name.
        service: String,
        /// `{"code":1}`, `{"signal":9}` or `{"not-started":"…"}`.
        exit: Exit,
        /// In how many milliseconds it is started again. Null: not any more.
        restart_in_ms: Option<u64>,
    },
    /// It ended on purpose.
    Stopped {
        /// Whether a journal has taken the goodbye.
        goodbye: bool,
    },
}

/// A certificate, and what the journal said with it.
#[derive(Debug, Serialize)]
pub struct Enrollment {
    node_id: NodeId,
    domain_id: DomainId,
    serial: Serial,
    certificate_pem: String,
    ca_chain_pem: String,
    not_before: Timestamp,
    not_after: Timestamp,
    renew_after: Timestamp,
    /// Null in maintenance mode.
    vcluster: Option<String>,
    /// Null without an overlay. Absent until the boot configuration is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    overlay_sha256: Option<Option<Digest>>,
    /// The journal that answered.
    journal: String,
}

impl Enrollment {
    /// What is told of an identity, and of what the node is configured by if that is known.
    pub fn new(identity: &Identity, journal: &JournalAddress, config: Option<&BootConfig>) -> Self {
        let vcluster = match config {
            Some(config) => config.vcluster.as_ref().map(ToString::to_string),
            None => identity.vcluster.clone(),
        };
        Self {
            node_id: identity.node_id.clone(),
            domain_id: identity.domain_id.clone(),
            serial: identity.serial,
            certificate_pem: pem(&identity.certificate),
            ca_chain_pem: identity.ca_chain.iter().map(pem).collect(),
            not_before: identity.not_before,
            not_after: identity.not_after,
            renew_after: identity.renew_after,
            vcluster,
            overlay_sha256: config.map(BootConfig::overlay_sha256),
            journal: journal.to_string(),
        }
    }
}

impl Change {
    /// The subscription was lost because of this.
    pub fn lost(failure: &Failure) -> Self {
        Self::Lost { reason: failure.reason_text().to_owned(), message: failure.to_string() }
    }

    /// The node is configured by this.
    pub fn configured(config: &BootConfig) -> Self {
        Self::Configured {
            vcluster: config.vcluster.clone(),
            revision: config.revision,
            overlay_sha256: config.overlay_sha256(),
        }
    }

    /// The node goes by this, without a journal.
    pub fn degraded(config: &BootConfig) -> Self {
        Self::Degraded {
            vcluster: config.vcluster.clone(),
            revision: config.revision,
            overlay_sha256: config.overlay_sha256(),
        }
    }

    /// What happened to a service.
    pub fn of_service(news: News) -> Self {
        match news {
            News::Started { service, pid } => Self::ServiceStarted { service, pid },
            News::Exited { service, exit, restart_in } => Self::ServiceExited {
                service,
                exit,
                restart_in_ms: restart_in.and_then(|wait| u64::try_from(wait.as_millis()).ok()),
            },
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Enrolled(told) => format!("enrolled {}", of(told)),
            Self::Subscribed { journal } => format!("subscribed at {journal}"),
            Self::Lost { reason, message } => format!("lost {reason}: {message}"),
            Self::Identity { spiffe_id: Some(id), not_after } => format!("identity {id} until {not_after}"),
            Self::Identity { spiffe_id: None, not_after } => {
                format!("identity its certificate until {not_after}")
            }
            Self::Renewed(told) => format!("renewed {}", of(told)),
            Self::Configured { vcluster, revision, overlay_sha256 } => {
                format!("configured {}", by(vcluster.as_ref(), *revision, *overlay_sha256))
            }
            Self::Degraded { vcluster, revision, overlay_sha256 } => {
                format!("degraded {}", by(vcluster.as_ref(), *revision, *overlay_sha256))
            }
            Self::ServiceStarted { service, pid } => format!("service {service} runs as process {pid}"),
            Self::ServiceExited { service, exit, restart_in_ms: Some(wait) } => {
                format!("service {service} ended {exit}, and is started again in {wait} ms")
            }
            Self::ServiceExited { service, exit, restart_in_ms: None } => {
                format!("service {service} ended {exit}")
            }
            Self::Stopped { goodbye: true } => "stopped after a goodbye".to_owned(),
            Self::Stopped { goodbye: false } => "stopped without a goodbye".to_owned(),
        }
    }
}

fn by(vcluster: Option<&VClusterId>, revision: u64, overlay_sha256: Option<Digest>) -> String {
    let vcluster = vcluster.map_or("no vCluster", |vcluster| vcluster.as_str());
    match overlay_sha256 {
        Some(sha256) => format!("in {vcluster} by revision {revision}, {sha256}"),
        None => format!("in {vcluster} without an overlay"),
    }
}

fn of(told: &Enrollment) -> String {
    let Enrollment { node_id, domain_id, serial, not_after, journal, .. } = told;
    format!("{node_id} in {domain_id} with certificate {serial} until {not_after} by {journal}")
}

#[derive(Serialize)]
struct Line<'c> {
    time: Timestamp,
    #[serde(flatten)]
    change: &'c Change,
}

impl Report {
    /// Tells in this form.
    pub fn new(output: Output) -> Self {
        Self { to: Reader::Stdout(output), supervisor: Supervisor::at(None) }
    }

    /// Tells a program that runs many agents each change, and nobody else. It is told on the agent's thread: what it does
    /// must be short.
    pub fn to(watcher: impl Fn(&Change) + Send + Sync + 'static) -> Self {
        Self { to: Reader::Watcher(Watcher(Arc::new(watcher))), supervisor: Supervisor::at(None) }
    }

    /// Tells whoever supervises this process, too.
    #[must_use]
    pub fn and(self, supervisor: Supervisor) -> Self {
        Self { supervisor, ..self }
    }

    /// The agent was asked to stop.
    pub fn stopping(&self) {
        self.supervisor.tell("STOPPING=1\nSTATUS=stopping");
    }

    /// Tells its supervisor as often as it wants to hear it that the agent lives.
    pub async fn signs_of_life(&self) -> Infallible {
        let Some(every) = self.supervisor.watchdog_every() else { return std::future::pending().await };
        let mut turns = tokio::time::interval(every);
        loop {
            turns.tick().await;
            self.supervisor.tell("WATCHDOG=1");
        }
    }

    /// Tells a test the sentences of what happens.
    #[cfg(test)]
    pub(crate) fn to_test() -> (Self, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let (to, told) = tokio::sync::mpsc::unbounded_channel();
        (Self { to: Reader::Test(to), supervisor: Supervisor::at(None) }, told)
    }

    /// Tells the result of `--once`.
    pub fn once(&self, enrollment: &Enrollment) {
        self.tell(|| json(enrollment), || format!("enrolled {}", of(enrollment)));
    }

    /// Tells what this machine would present; as JSON, it is what `--hardware` reads.
    pub fn hardware(&self, probed: &Probed) {
        self.tell(|| json(&probed.hardware), || probed.to_string());
    }

    /// Tells how it is with the running agent.
    pub fn status(&self, snapshot: &Snapshot) {
        self.tell(|| json(snapshot), || snapshot.lines());
    }

    /// Tells a change.
    pub fn change(&self, change: &Change) {
        if let Reader::Watcher(Watcher(watcher)) = &self.to {
            return watcher(change);
        }
        self.tell(|| json(&Line { time: now(), change }), || change.sentence());
        let status = change.sentence().replace('\n', " ");
        match change {
            Change::Subscribed { .. } => self.supervisor.tell(&format!("READY=1\nSTATUS={status}")),
            Change::Enrolled(_)
            | Change::Lost { .. }
            | Change::Identity { .. }
            | Change::Renewed(_)
            | Change::Configured { .. }
            | Change::Degraded { .. }
            | Change::ServiceStarted { .. }
            | Change::ServiceExited { .. }
            | Change::Stopped { .. } => self.supervisor.tell(&format!("STATUS={status}")),
        }
    }

    fn tell(&self, json: impl FnOnce() -> String, sentence: impl FnOnce() -> String) {
        match &self.to {
            Reader::Stdout(Output::Json) => print(&json()),
            Reader::Stdout(Output::Text) => print(&sentence()),
            // It is told changes only.
            Reader::Watcher(_) => {}
            #[cfg(test)]
            Reader::Test(to) => drop(to.send(sentence())),
        }
    }
}

fn json(told: &impl Serialize) -> String {
    serde_json::to_string(told).expect("texts and times are JSON")
}

/// Prints a document as it is: a script, a manual page.
///
/// # Errors
/// If stdout cannot be written.
pub fn document(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(bytes).and_then(|()| stdout.flush());
    printed.map_err(|error| Failure::other(error.to_string()))
}

/// Nobody is left to tell if stdout is closed.
fn print(line: &str) {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).ok();
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn pem(certificate: &CertificateDer<'static>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate.as_ref()), config)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{answer, boot_config::Overlay, fake_journal::FakeAuthority, key::NodeKey};

    fn enrollment(config: Option<&BootConfig>) -> Enrollment {
        let key = NodeKey::generate().unwrap();
        let identity = answer::check(FakeAuthority::new().answer(key.csr()), &key).unwrap();
        Enrollment::new(&identity, &"https://j1:9443".parse().unwrap(), config)
    }

    fn maintenance() -> BootConfig {
        BootConfig { vcluster: None, revision: 0, seq: 9, overlay: None }
    }

    fn of_ml() -> BootConfig {
        let overlay = Overlay { bytes: b"a".to_vec(), sha256: Digest::of(b"a") };
        let vcluster = Some("ml".parse().unwrap());
        BootConfig { vcluster, revision: 7, seq: 9, overlay: Some(Arc::new(overlay)) }
    }

    #[test]
    fn the_fields_of_once_are_the_published_ones() {
        let text = json(&enrollment(Some(&maintenance())));
        let mut at = 0;
        for field in [
            "node_id",
            "domain_id",
            "serial",
            "certificate_pem",
            "ca_chain_pem",
            "not_before",
            "not_after",
            "renew_after",
            "vcluster",
            "overlay_sha256",
            "journal",
        ] {
            let found = text[at..].find(&format!("\"{field}\":")).expect(field);
            at += found;
        }
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read.as_object().unwrap().len(), 11);
        assert_eq!(read["journal"], "https://j1:9443");
        assert!(read["vcluster"].is_null() && read["overlay_sha256"].is_null());
        assert!(read["certificate_pem"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----\n"));
    }

    #[test]
    fn once_tells_the_vcluster_and_the_hash_of_its_overlay() {
        let told: serde_json::Value = serde_json::from_str(&json(&enrollment(Some(&of_ml())))).unwrap();
        assert_eq!(told["vcluster"], "ml");
        assert_eq!(
            told["overlay_sha256"],
            "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
        );
    }

    #[test]
    fn before_the_boot_configuration_is_there_nothing_is_said_of_an_overlay() {
        assert!(!json(&enrollment(None)).contains("overlay_sha256"));
    }

    #[test]
    fn a_configuration_is_told_with_nulls_for_what_is_not_there() {
        let line = |config: &BootConfig| {
            let line = json(&Line { time: now(), change: &Change::configured(config) });
            serde_json::from_str::<serde_json::Value>(&line).unwrap()
        };
        let told = line(&of_ml());
        assert_eq!((&told["change"], &told["vcluster"]), (&"configured".into(), &"ml".into()));
        assert_eq!(told["revision"], 7);
        assert!(told["overlay_sha256"].as_str().unwrap().starts_with("ca978112"));
        let told = line(&maintenance());
        assert!(told["vcluster"].is_null() && told["overlay_sha256"].is_null());
        assert_eq!(told["revision"], 0);
        assert_eq!(told.as_object().unwrap().len(), 5);
    }

    #[test]
    fn a_line_says_which_change_it_is_and_when() {
        let failure = Failure::Unreachable("the stream ended".to_owned());
        let line: serde_json::Value =
            serde_json::from_str(&json(&Line { time: now(), change: &Change::lost(&failure) })).unwrap();
        assert_eq!(line["change"], "lost");
        assert_eq!(line["reason"], "UNREACHABLE");
        assert!(line["time"].as_str().unwrap().ends_with('Z'));

        let line = json(&Line { time: now(), change: &Change::Enrolled(enrollment(None)) });
        assert!(line.contains("\"change\":\"enrolled\",\"node_id\":\"compute-042\""), "{line}");
    }
}
