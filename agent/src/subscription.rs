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
        agent_message::{Goodbye, Hello, Message},
        boot_config_service_client::BootConfigServiceClient,
        journal_message,
    },
};
use tokio::{sync::mpsc, time};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::{
    answer::Identity,
    enroll::{ANSWER_WITHIN, CONNECT_WITHIN},
    journals::{self, Journals},
    machine::Machine,
    retry::Patience,
};

/// An agent has said hello and may say goodbye: nothing ever waits for room.
const OUTGOING: usize = 2;

/// An open subscription over a connection of its own.
#[derive(Debug)]
pub struct Subscription {
    connection: Connection,
    outgoing: mpsc::Sender<AgentMessage>,
    incoming: Streaming<JournalMessage>,
}

impl Subscription {
    /// Connects with the node's certificate and subscribes.
    ///
    /// # Errors
    /// With the journal's refusal, also of the certificate, or with what happened to the connection.
    pub async fn open(
        journals: &Journals,
        journal: &JournalAddress,
        identity: &Identity,
        machine: &Machine,
        patience: Patience,
    ) -> Result<Self, Failure> {
        let within = patience.within(CONNECT_WITHIN);
        let connection =
            Connection::open(journal, &journals.trust, Some(&identity.credential), within).await?;
        let (outgoing, messages) = mpsc::channel(OUTGOING);
        let hello = Hello {
            from_seq: 0,
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
            Ok(Ok(stream)) => Ok(Self { connection, outgoing, incoming: stream.into_inner() }),
            Ok(Err(status)) => Err(journals::failure(&connection, &status)),
            Err(_) => Err(Failure::Deadline(format!(
                "{journal} took no subscription within {} ms",
                within.as_millis()
            ))),
        }
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
            match self.incoming.message().await {
                // A message of a kind that this release does not know.
                Ok(Some(JournalMessage { message: None })) => {}
                Ok(Some(JournalMessage { message: Some(message) })) => return Ok(message),
                Ok(None) => return Err(self.ended()),
                Err(status) => return Err(journals::failure(&self.connection, &status)),
            }
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
        if self.outgoing.send(said(Message::Goodbye(Goodbye {}))).await.is_err() {
            return Err(self.ended());
        }
        loop {
            match self.incoming.message().await {
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

fn said(message: Message) -> AgentMessage {
    AgentMessage { message: Some(message) }
}
