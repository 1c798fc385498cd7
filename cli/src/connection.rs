//! The journals that an operator named, and the questions to the first of them that answers.
//!
//! Most verbs call [`Journals::ask`] once; what needs several questions opens a [`Session`].
//!
//! Several journals are tried in their order; only a connection that does not come about leads to the next one. Once a
//! journal may have received the question, it is not asked of another: a change must not be made twice.
//!
//! Not here, on purpose: TLS (`proto::channel`) and what is asked (the verbs).
//!
//! **Invariant:** [`Journals::ask`], [`Journals::session`] and [`Session::ask`] each end within the timeout, whatever the
//! other side does or leaves.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proto::channel::Channel;
use proto::{
    channel::{ConnectError, Connection, JournalAddress},
    outcome::Failure,
    pb::{
        event_service_client::EventServiceClient, member_service_client::MemberServiceClient,
        node_service_client::NodeServiceClient, operator_service_client::OperatorServiceClient,
        status_service_client::StatusServiceClient, v_cluster_service_client::VClusterServiceClient,
    },
    pem_file::{Credential, Trust},
};
use tokio::time;
use tonic::{Response, Status, Streaming};

/// The largest answer that is taken. A node takes some 400 bytes, so this is half a million nodes; the 4 MiB that tonic
/// takes by itself end at ten thousand.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Questions about nodes.
pub type Nodes = NodeServiceClient<Channel>;
/// Questions about vClusters.
pub type VClusters = VClusterServiceClient<Channel>;

/// Questions about operators.
pub type Operators = OperatorServiceClient<Channel>;
/// Questions about the quorum.
pub type Members = MemberServiceClient<Channel>;
/// Questions about the domain.
pub type Domain = StatusServiceClient<Channel>;
/// Questions about what happened.
pub type Events = EventServiceClient<Channel>;

/// Asks about operators.
pub fn operators(channel: Channel) -> Operators {
    Operators::new(channel)
}

/// Asks about the quorum.
pub fn members(channel: Channel) -> Members {
    Members::new(channel)
}

/// Asks about the domain.
pub fn status(channel: Channel) -> Domain {
    Domain::new(channel)
}

/// Asks about what happened.
pub fn events(channel: Channel) -> Events {
    Events::new(channel)
}

/// Asks about nodes.
pub fn nodes(channel: Channel) -> Nodes {
    Nodes::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

/// Asks about vClusters.
pub fn vclusters(channel: Channel) -> VClusters {
    VClusters::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

/// Whom to ask, as who, and for how long.
#[derive(Debug, Clone)]
pub struct Journals {
    endpoints: Vec<JournalAddress>,
    trust: Trust,
    credential: Credential,
    credential_file: Option<PathBuf>,
    timeout: Duration,
}

impl Journals {
    /// The endpoints are tried in their order; the timeout bounds each question, connecting included.
    pub fn new(
        endpoints: Vec<JournalAddress>,
        trust: Trust,
        credential: Credential,
        timeout: Duration,
    ) -> Self {
        Self { endpoints, trust, credential, credential_file: None, timeout }
    }

    /// From which file the credential was read.
    #[must_use]
    pub fn reading(mut self, credential: &Path) -> Self {
        self.credential_file = Some(credential.to_owned());
        self
    }

    /// The file of the credential.
    pub fn credential_file(&self) -> Option<&Path> {
        self.credential_file.as_deref()
    }

    /// How long each question may take, connecting included.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The same with another time for each question.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// The same of one journal alone, as another told where it is.
    #[must_use]
    pub fn of(&self, endpoint: JournalAddress) -> Self {
        Self { endpoints: vec![endpoint], ..self.clone() }
    }

    /// Connects to the first journal that answers, and makes one call.
    ///
    /// # Errors
    /// If no journal can be reached, it does not answer in time, or it refuses.
    pub async fn ask<A>(
        &self,
        call: impl AsyncFnOnce(Channel) -> Result<Response<A>, Status>,
    ) -> Result<A, Failure> {
        let asked = Instant::now();
        let session = Session { connection: self.connect(asked).await?, timeout: self.timeout };
        session.within(self.left(asked), call).await
    }

    /// Connects to the first journal that answers, for several calls. The timeout bounds the connecting and each call by
    /// itself: how many there will be, nobody knows yet.
    ///
    /// # Errors
    /// If no journal can be reached.
    pub async fn session(&self) -> Result<Session, Failure> {
        let connection = self.connect(Instant::now()).await?;
        Ok(Session { connection, timeout: self.timeout })
    }

    async fn connect(&self, asked: Instant) -> Result<Connection, Failure> {
        let mut failures = Vec::new();
        for (tried, address) in self.endpoints.iter().enumerate() {
            // A fair share of what is left, so that one journal that says nothing does not use up the others' time.
            let untried = u32::try_from(self.endpoints.len() - tried).unwrap_or(u32::MAX);
            match self.open(address, self.left(asked) / untried).await {
                Ok(connection) => return Ok(connection),
                // They are of one domain: what one refuses, all refuse.
                Err(ConnectError::Refused(refusal)) => return Err(Failure::ConnectionRefused(refusal)),
                Err(error) => failures.push(Failure::from(error)),
            }
        }
        Err(none_answered(failures))
    }

    /// Opens within a time. The outer limit also covers what [`Connection::open`] does after the handshake.
    async fn open(&self, address: &JournalAddress, within: Duration) -> Result<Connection, ConnectError> {
        let open = Connection::open(address, &self.trust, Some(&self.credential), within);
        let late = |_| ConnectError::Deadline { address: address.clone(), within };
        let opened = time::timeout(within, open).await.map_err(late).flatten();
        if let Err(error) = &opened {
            tracing::debug!(%address, %error, "no connection");
        }
        opened
    }

    fn left(&self, asked: Instant) -> Duration {
        self.timeout.saturating_sub(asked.elapsed())
    }
}

/// An open connection to one journal. What it lost is not asked of another.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    timeout: Duration,
}

impl Session {
    /// Makes one call. Several may be under way at once.
    ///
    /// # Errors
    /// If the connection is lost, the journal does not answer in time, or it refuses.
    pub async fn ask<A>(
        &self,
        call: impl AsyncFnOnce(Channel) -> Result<Response<A>, Status>,
    ) -> Result<A, Failure> {
        self.within(self.timeout, call).await
    }

    /// The next message of a stream; none at its end.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub async fn next<A>(&self, stream: &mut Streaming<A>) -> Result<Option<A>, Failure> {
        match time::timeout(self.timeout, stream.message()).await {
            Ok(next) => next.map_err(|status| self.failure(&status)),
            Err(_) => Err(Failure::Deadline(format!("{} fell silent", self.connection.address()))),
        }
    }

    /// What a status means on this connection.
    pub fn failure(&self, status: &Status) -> Failure {
        self.connection.failure(status)
    }

    async fn within<A>(
        &self,
        left: Duration,
        call: impl AsyncFnOnce(Channel) -> Result<Response<A>, Status>,
    ) -> Result<A, Failure> {
        match time::timeout(left, call(self.connection.channel())).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(self.connection.failure(&status)),
            Err(_) => Err(Failure::Deadline(format!(
                "{} did not answer within {} ms; it may still do what was asked",
                self.connection.address(),
                self.timeout.as_millis()
            ))),
        }
    }
}

/// One journal's failure as it is; of several, all that they said.
fn none_answered(mut failures: Vec<Failure>) -> Failure {
    match failures.pop() {
        Some(only) if failures.is_empty() => only,
        last => {
            let told: Vec<String> = failures.iter().chain(&last).map(ToString::to_string).collect();
            Failure::Unreachable(told.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_of_a_single_journal_keeps_its_kind() {
        let failure = Failure::NotTrusted("whose are you?".to_owned());
        assert_eq!(none_answered(vec![failure.clone()]), failure);
    }

    #[test]
    fn of_several_journals_each_has_its_say() {
        let failures =
            vec![Failure::Deadline("a is silent".to_owned()), Failure::NotTrusted("b is odd".to_owned())];
        assert_eq!(none_answered(failures), Failure::Unreachable("a is silent; b is odd".to_owned()));
    }
}
