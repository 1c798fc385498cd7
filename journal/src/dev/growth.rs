//! How the quorum of `pact-journal dev` grows: as any quorum does, by join tokens of an operator (design §7).
//!
//! Not here: learning the log; that is done by serving, and the journals do the rest among each other.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use events::vocabulary::InvalidName;
use proto::channel::{Connection, JournalAddress};
use proto::join_token::InvalidJoinToken;
use proto::outcome::Failure;
use proto::pb::member_service_client::MemberServiceClient;
use proto::pb::{CreateJoinTokenRequest, MembersRequest};
use proto::pem_file::{Credential, Trust};
use tokio::time::{Instant, sleep};

use super::child::any_port;
use crate::commands::not_joined;
use crate::config::Config;
use crate::data_dir::Endpoints;
use crate::join::{Plan, join};

/// All of it is on this machine.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A journal learns a short log within a second; the rest is for machines with other things to do.
const VOTES_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks whether it votes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Who orders it: the first operator, at the first journal.
pub(super) struct Founder(Connection);

impl Founder {
    /// Connects.
    pub(super) async fn connect(data_dir: &Path, endpoints: &Endpoints) -> Result<Self, Failure> {
        let operators = endpoints.operator.unwrap_or_else(any_port);
        let address = format!("https://{operators}").parse::<JournalAddress>();
        let address = address.map_err(|error| Failure::other(error.to_string()))?;
        let trust = Trust::read(&data_dir.join("bootstrap/domain-ca.pem"))?;
        let operator = Credential::read(&data_dir.join("bootstrap/operator.pem"))?;
        Ok(Self(Connection::open(&address, &trust, Some(&operator), CONNECT_WITHIN).await?))
    }

    /// Makes the data directory of one more journal.
    pub(super) async fn let_in(
        &self,
        name: &str,
        data_dir: &Path,
        config: &Config,
        founder: &Endpoints,
    ) -> Result<(), Failure> {
        let mut client = MemberServiceClient::new(self.0.channel());
        let token = client.create_join_token(CreateJoinTokenRequest { expires_secs: None }).await;
        let token = token.map_err(|status| self.0.failure(&status))?.into_inner().token;
        let plan = Plan {
            data_dir: data_dir.to_owned(),
            join_addr: founder.cluster.unwrap_or_else(any_port).to_string(),
            token: token.parse().map_err(|error: InvalidJoinToken| Failure::other(error.to_string()))?,
            journal_id: Some(name.parse().map_err(|error: InvalidName| Failure::other(error.to_string()))?),
            config: config.clone(),
        };
        join(&plan).await.map(drop).map_err(not_joined)
    }

    /// Waits until so many journals vote: only then another one may join.
    pub(super) async fn votes(&self, journals: u8) -> Result<(), Failure> {
        let deadline = Instant::now() + VOTES_WITHIN;
        while Instant::now() < deadline {
            let mut client = MemberServiceClient::new(self.0.channel());
            // For a moment nobody may lead; then it is asked again.
            if let Ok(answer) = client.members(MembersRequest { min_seq: None }).await {
                let members = answer.into_inner().members;
                if members.iter().filter(|member| member.standing == "voter").count() >= usize::from(journals)
                {
                    return Ok(());
                }
            }
            sleep(LOOK_EVERY).await;
        }
        let told = format!("no {journals} journals voted within {} s", VOTES_WITHIN.as_secs());
        Err(Failure::named("START_FAILED", told))
    }
}

/// Members find each other again where they were: their cluster ports are chosen once, and stay.
pub(super) fn cluster_port() -> Result<std::net::SocketAddr, Failure> {
    let free = TcpListener::bind(any_port()).and_then(|listener| listener.local_addr());
    free.map_err(|error| Failure::other(format!("there is no free port: {error}")))
}
