//! Where this journal listens and what its server certificate is, as a fact for the others (design §7): they dial it
//! there, agents are told.
//!
//! Announced again whenever it changed. A journal that is the only one tells nobody: its log stays as it is.

use std::time::Duration;

use events::member::{self, Command, Endpoints, State};
use events::stream::StreamName;
use events::vocabulary::{CertificateHash, JournalId};

use crate::clock;
use crate::log::Log;
use crate::own_append::own_append;
use crate::renewal::Current;

/// How soon a journal that joined is told where the others are.
const TICK: Duration = Duration::from_millis(300);

/// See the module.
pub struct Announcement {
    /// The log and its views.
    pub log: Log,
    /// This journal.
    pub journal_id: JournalId,
    /// Where it listens.
    pub endpoints: Endpoints,
    /// Its server certificate, which is another one after a renewal.
    pub credential: Current,
}

impl Announcement {
    /// Announces for as long as the journal runs.
    pub async fn run(self) {
        loop {
            if let Err(error) = self.announce().await {
                tracing::debug!(
                    error,
                    "where this journal listens could not be announced; it is tried again"
                );
            }
            tokio::time::sleep(TICK).await;
        }
    }

    async fn announce(&self) -> Result<(), String> {
        let event = {
            let views = self.log.views();
            if views.members.members().count() < 2 {
                return Ok(());
            }
            let state = views.members.get(&self.journal_id).map_or(State::Unknown, |row| row.state.clone());
            let endpoints = self.endpoints.clone();
            let certificate = self.credential.load().chain().first().map(|der| CertificateHash::of(der));
            let certificate = certificate.ok_or("there is no server certificate")?;
            member::decide(&self.journal_id, &state, Command::Announce { endpoints, certificate })
        };
        let Some(event) = event.map_err(|error| error.to_string())? else { return Ok(()) };
        let facts = event.into_facts(&self.journal_id);
        let append = own_append(&self.log, &self.journal_id, facts, &[StreamName::Domain], clock::now());
        self.log
            .append(append.map_err(|error| error.to_string())?)
            .await
            .map_err(|error| error.to_string())?;
        tracing::info!(endpoints = ?self.endpoints, "announced to the other journals");
        Ok(())
    }
}
