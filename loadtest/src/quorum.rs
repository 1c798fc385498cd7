//! Has journals join the first one, as its operator: tokens, and when the new one votes.
//!
//! [`crate::target`] makes quorums with it.

use std::time::Duration;

use proto::{
    channel::{Connection, JournalAddress},
    outcome::Failure,
    pb::{CreateJoinTokenRequest, MembersRequest, member_service_client::MemberServiceClient},
    pem_file::{Credential, Trust},
};
use tokio::time::{self, Instant};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A journal learns an empty log within a second; the rest is for machines with other things to do.
const VOTES_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An operator's connection.
pub struct Quorum(Connection);

impl Quorum {
    /// Connects.
    ///
    /// # Errors
    /// If the journal does not answer, or does not know the operator.
    pub async fn connect(
        journal: &JournalAddress,
        trust: &Trust,
        credential: &Credential,
    ) -> Result<Self, Failure> {
        Ok(Self(Connection::open(journal, trust, Some(credential), CONNECT_WITHIN).await?))
    }

    /// A token for one journal.
    ///
    /// # Errors
    /// With the journal's refusal or failure.
    pub async fn join_token(&self) -> Result<String, Failure> {
        let mut client = MemberServiceClient::new(self.0.channel());
        let answer = client.create_join_token(CreateJoinTokenRequest { expires_secs: None }).await;
        answer.map(|answer| answer.into_inner().token).map_err(|status| self.0.failure(&status))
    }

    /// Waits until so many journals vote.
    ///
    /// # Errors
    /// If they do not in time.
    pub async fn votes(&self, journals: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + VOTES_WITHIN;
        while Instant::now() < deadline {
            let mut client = MemberServiceClient::new(self.0.channel());
            let answer = client.members(MembersRequest { min_seq: None }).await;
            let members = answer.map_err(|status| self.0.failure(&status))?.into_inner().members;
            if members.iter().filter(|member| member.standing == "voter").count() >= journals {
                return Ok(());
            }
            time::sleep(LOOK_EVERY).await;
        }
        Err(Failure::Deadline(format!("no {journals} journals voted within {} s", VOTES_WITHIN.as_secs())))
    }
}
