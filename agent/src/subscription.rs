//! The node's open stream to a journal: its heartbeat, and the proof that its certificate works (R19).
//!
//! [`crate::run`] keeps one open for as long as the node lives; `loadtest` holds thousands.
//!
//! Opening one is the first authenticated call of an enrollment, and so its confirmation. When the journal cuts it, the
//! stream just ends; why, the next attempt to connect is told (a TLS alert, such as CERTIFICATE_REVOKED).
//!
//! **Invariant:** one that is dropped without a [`goodbye`](Subscription::goodbye) says nothing: the journal waits its
//! grace period before it calls the node inactive.

use std::time::Duration;

use proto::{
    channel::{Connection, JournalAddress},
    outcome::Failure,
    pb::{
        AgentMessage, JournalMessage,
        agent_message::{Goodbye, Hello, Message, Sessions},
        boot_config_service_client::BootConfigServiceClient,
        journal_message,
    },
};
use tokio::{sync::mpsc, time};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::{
    answer::Identity,
    boot_config::{self, BootConfig},
    enroll::{ANSWER_WITHIN, CONNECT_WITHIN},
    journals::{self, Journals},
    machine::Machine,
    retry::Patience,
};

/// An agent has said hello, how many sessions there are, and may say goodbye: that never waits for room.
const OUTGOING: usize = 3;

/// An open subscription over a connection of its own.
#[derive(Debug)]
pub struct Subscription {
    connection: Connection,
    stream: Stream,
    /// Sessions that the journal knows of; those of an earlier stream it has forgotten (R19).
    sessions: u32,
}

/// What both sides say, without the connection beneath.
#[derive(Debug)]
struct Stream {
    outgoing: mpsc::Sender<AgentMessage>,
    incoming: Streaming<JournalMessage>,
}

/// Connects to a journal with the node's certificate.
///
/// # Errors
/// If nobody answers in time, or one of the two sides does not trust the other.
pub async fn connect(
    journals: &Journals,
    journal: &JournalAddress,
    identity: &Identity,
    within: Duration,
) -> Result<Connection, Failure> {
    Ok(Connection::open(journal, &journals.trust, Some(&identity.credential), within).await?)
}

impl Subscription {
    /// Connects with the node's certificate to one journal, and then as [`begin`](Self::begin).
    ///
    /// # Errors
    /// With the journal's refusal, also of the certificate, or with what happened to the connection.
    pub async fn open(
        journals: &Journals,
        journal: &JournalAddress,
        identity: &Identity,
        machine: &Machine,
        held: Option<&BootConfig>,
        patience: Patience,
    ) -> Result<(Self, Result<BootConfig, Failure>), Failure> {
        let connection = connect(journals, journal, identity, patience.within(CONNECT_WITHIN)).await?;
        Self::begin(connection, machine, held, patience).await
    }

    /// Subscribes over a connection that the node's certificate opened, and fetches the boot configuration if the node
    /// holds none. Of the two no one waits for the other: a change in between is told, because the subscription begins
    /// before it.
    ///
    /// The second value is what the node holds or fetched; it may fail alone.
    ///
    /// # Errors
    /// With the journal's refusal, also of the certificate, or with what happened to the connection.
    pub async fn begin(
        connection: Connection,
        machine: &Machine,
        held: Option<&BootConfig>,
        patience: Patience,
    ) -> Result<(Self, Result<BootConfig, Failure>), Failure> {
        match held {
            Some(held) => {
                let subscription = Self::over(connection, machine, held.seq, patience).await?;
                Ok((subscription, Ok(held.clone())))
            }
            None => {
                let (stream, config) = tokio::join!(
                    Stream::open(&connection, machine, 0, patience),
                    boot_config::fetch(&connection, None, patience)
                );
                Ok((Self { stream: stream?, connection, sessions: 0 }, config))
            }
        }
    }

    /// Subscribes over a connection to what changed after a seq.
    ///
    /// # Errors
    /// With the journal's refusal, also of the certificate, or with what happened to the connection.
    pub async fn over(
        connection: Connection,
        machine: &Machine,
        from_seq: u64,
        patience: Patience,
    ) -> Result<Self, Failure> {
        let stream = Stream::open(&connection, machine, from_seq, patience).await?;
        Ok(Self { connection, stream, sessions: 0 })
    }

    /// The connection beneath, for further calls of this node.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The next message of the journal. May be dropped while it waits, and called again.
    ///
    /// # Errors
    /// When the stream is over, however it ended.
    pub async fn next(&mut self) -> Result<journal_message::Message, Failure> {
        loop {
            match self.stream.incoming.message().await {
                // A message of a kind that this release does not know.
                Ok(Some(JournalMessage { message: None })) => {}
                Ok(Some(JournalMessage { message: Some(message) })) => return Ok(message),
                Ok(None) => return Err(self.ended()),
                Err(status) => return Err(journals::failure(&self.connection, &status)),
            }
        }
    }

    /// Says how many sessions run on the node, unless the journal knows it. Dropped if there is no room: to be said again.
    pub fn say_sessions(&mut self, count: u32) {
        // One place is left for the goodbye.
        let has_room = self.stream.outgoing.capacity() > 1;
        if self.sessions != count
            && has_room
            && self.stream.outgoing.try_send(said(Message::Sessions(Sessions { count }))).is_ok()
        {
            self.sessions = count;
        }
    }

    /// Says goodbye and waits until the journal has ended the stream without an error: the node is inactive.
    ///
    /// # Errors
    /// If the journal refused the goodbye, the stream was lost before, or the journal did not end it in time.
    pub async fn goodbye(mut self, within: Duration) -> Result<(), Failure> {
        match time::timeout(within, self.say_goodbye()).await {
            Ok(done) => done,
            Err(_) => {
                let (journal, within) = (self.connection.address(), within.as_millis());
                Err(Failure::Deadline(format!("{journal} took no goodbye within {within} ms")))
            }
        }
    }

    async fn say_goodbye(&mut self) -> Result<(), Failure> {
        if self.stream.outgoing.send(said(Message::Goodbye(Goodbye {}))).await.is_err() {
            return Err(self.ended());
        }
        loop {
            match self.stream.incoming.message().await {
                Ok(Some(_)) => {}
                // With the status OK: an end without any status is an error (gRPC over HTTP/2).
                Ok(None) => return Ok(()),
                Err(status) => return Err(journals::failure(&self.connection, &status)),
            }
        }
    }

    fn ended(&self) -> Failure {
        match self.connection.refused() {
            Some(refusal) => Failure::ConnectionRefused(refusal),
            None => Failure::Unreachable(format!("{} ended the subscription", self.connection.address())),
        }
    }
}

impl Stream {
    async fn open(
        connection: &Connection,
        machine: &Machine,
        from_seq: u64,
        patience: Patience,
    ) -> Result<Self, Failure> {
        let (outgoing, messages) = mpsc::channel(OUTGOING);
        let hello = Hello {
            from_seq,
            boot_id: machine.boot_id.to_string(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        // It lies ready before the call, because the journal may want to read it before it answers.
        outgoing.try_send(said(Message::Hello(hello))).expect("the queue is new and has room");
        let mut client = BootConfigServiceClient::new(connection.channel());
        let within = patience.within(ANSWER_WITHIN);
        let answer =
            time::timeout(within, client.subscribe_config_updates(ReceiverStream::new(messages))).await;
        match answer {
            Ok(Ok(stream)) => Ok(Self { outgoing, incoming: stream.into_inner() }),
            Ok(Err(status)) => Err(journals::failure(connection, &status)),
            Err(_) => {
                let (journal, within) = (connection.address(), within.as_millis());
                Err(Failure::Deadline(format!("{journal} took no subscription within {within} ms")))
            }
        }
    }
}

fn said(message: Message) -> AgentMessage {
    AgentMessage { message: Some(message) }
}
