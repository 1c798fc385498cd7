//! What happens to the journals of the model: tokens, joining, voting, eviction.

use std::time::Duration;

use events::codec::Chain;
use events::domain::{self, Restore, RestoreRejection};
use events::fact::Fact;
use events::level::Level;
use events::member::{self, Command, Endpoints};
use events::stream::StreamName;
use events::views::Standing;
use events::vocabulary::{CertificateHash, JoinTokenId, JournalId, KeyHash, Overlay, SecretHash};

use super::step::Action;
use super::world::{Desk, World, operator_id};

impl World {
    /// Tries one thing that concerns journals; others are not its business.
    pub(super) fn take_of_journals(&mut self, desk: &Desk, stale: bool, action: &Action) {
        match action {
            Action::CreateJoinToken { token, secs } => self.create_token(desk, stale, *token, *secs),
            Action::Join { journal, token, key } => {
                let command = Command::Join {
                    endpoints: endpoints(*journal),
                    certificate: CertificateHash::of(&[*journal]),
                    key: KeyHash::of(&[100 + key]),
                    token: desk.views.token_claim(secret(*token)),
                    raft_id: desk.views.members.next_raft_id(),
                    now: desk.now,
                };
                self.order(desk, stale, &journal_id(*journal), command);
            }
            Action::ConfirmJournal { journal } => {
                self.order(desk, stale, &journal_id(*journal), Command::Confirm);
            }
            Action::AnnounceJournal { journal, host } => {
                let certificate = CertificateHash::of(&[*host]);
                let command = Command::Announce { endpoints: endpoints(*host), certificate };
                self.order(desk, stale, &journal_id(*journal), command);
            }
            Action::EvictJournal { journal, given_up } => {
                let id = journal_id(*journal);
                let last = desk.views.members.is_last_voter(&id);
                let evict = Command::Evict { reason: None, last };
                let command = if *given_up { Command::GiveUp { now: desk.now } } else { evict };
                self.order(desk, stale, &id, command);
            }
            Action::RaiseLevel { readable } => self.raise_level(desk, stale, Level::new((*readable).into())),
            Action::SetDefault { overlay } => self.set_default(desk, stale, *overlay),
            Action::Restore { operator } => self.restore(*operator),
            Action::Register { .. }
            | Action::Enroll { .. }
            | Action::Reboot { .. }
            | Action::ProveFormer { .. }
            | Action::Renew { .. }
            | Action::Confirm { .. }
            | Action::Goodbye { .. }
            | Action::Deactivate { .. }
            | Action::Revoke { .. }
            | Action::Announce
            | Action::Retire { .. }
            | Action::Contest { .. }
            | Action::Resolve { .. }
            | Action::Replace { .. }
            | Action::NoteRefused { .. }
            | Action::Distrust { .. }
            | Action::Bind { .. }
            | Action::Assign { .. }
            | Action::Move { .. }
            | Action::Drain { .. }
            | Action::SetOverlay { .. }
            | Action::CreateOperator { .. }
            | Action::RenewOperator { .. }
            | Action::RevokeOperator { .. }
            | Action::Wait { .. }
            | Action::Look
            | Action::Repeat => {}
        }
    }

    /// A new process decides, on all that is left; what was under way is lost with the others.
    fn restore(&mut self, operator: u8) {
        let head = Chain::from_bytes([1; 32]);
        let asked = Restore { founder: None, operator: Some(operator_id(operator)) };
        let events = match domain::restore(&self.views, &head, Level::NEWEST, &asked) {
            Ok(events) => events,
            Err(rejection) => {
                assert!(matches!(rejection, RestoreRejection::NoAdmin { .. }), "{rejection}");
                return self.note("restore refused");
            }
        };
        self.forget_what_is_under_way();
        let desk = self.desk(false, 0);
        self.append(&desk, false, events.into_iter().map(Fact::Domain).collect(), &[]);
        // A clock that ran back behind the last fact records nothing (R24).
        let recorded = self.records.last().map(|record| &record.fact);
        let Some(Fact::Domain(domain::Event::Restored(_))) = recorded else { return };
        let opens = |hash| matches!(self.views.standing(hash, desk.now), Standing::Valid { .. });
        assert!(!self.issued.iter().any(opens), "no certificate of before opens anything");
        self.announce(&desk, false);
    }

    fn raise_level(&mut self, desk: &Desk, stale: bool, readable: Level) {
        let event = domain::raise_level(&desk.views.domain, desk.views.level, readable);
        match event.expect("there is a domain") {
            Some(event) => self.append(desk, stale, vec![Fact::Domain(event)], &[]),
            None => self.note("the level is there"),
        }
    }

    fn set_default(&mut self, desk: &Desk, stale: bool, overlay: u8) {
        let overlay = Overlay::of(&[overlay]).expect("one byte");
        let present = desk.views.vclusters.domain_default().map(|set| set.overlay);
        let event = domain::set_default(&desk.views.domain, present, overlay);
        match event.expect("there is a domain") {
            Some(event) => self.append(desk, stale, vec![Fact::Domain(event)], &[]),
            None => self.note("nothing"),
        }
    }

    fn create_token(&mut self, desk: &Desk, stale: bool, token: u8, secs: u64) {
        if desk.views.join_tokens.get(&secret(token)).is_some() {
            return self.note("nothing"); // Secrets are random: none comes again.
        }
        let command = domain::Command::CreateJoinToken {
            token_id: JoinTokenId::new(desk.now, self.draw()),
            secret_sha256: secret(token),
            expires_at: desk.now.plus(Duration::from_secs(secs)),
            now: desk.now,
        };
        let event = domain::decide(&desk.views.domain, command).expect("there is a domain, and it lives");
        self.append(desk, stale, vec![Fact::Domain(event)], &[]);
    }

    /// An eviction reads who else votes: so all of them are expected as they were.
    fn order(&mut self, desk: &Desk, stale: bool, id: &JournalId, command: Command) {
        let unknown = member::State::Unknown;
        let state = desk.views.members.get(id).map_or(&unknown, |row| &row.state);
        let joins = matches!(command, Command::Join { .. });
        let read: Vec<StreamName> = match &command {
            Command::Evict { .. } => {
                desk.views.members.iter().map(|(id, _)| StreamName::Journal(id.clone())).collect()
            }
            Command::Join { .. } | Command::Confirm | Command::Announce { .. } | Command::GiveUp { .. } => {
                vec![]
            }
        };
        match member::decide(id, state, command) {
            Ok(None) => self.note(if joins { "the same journal again" } else { "nothing" }),
            Ok(Some(event)) => self.append(desk, stale, event.into_facts(id), &read),
            Err(rejection) => self.note(&format!("journal refused: {rejection:?}")),
        }
    }
}

/// The founder is j1.
fn journal_id(number: u8) -> JournalId {
    format!("j{number}").parse().expect("a journal id")
}

fn secret(token: u8) -> SecretHash {
    SecretHash::of(&[token])
}

fn endpoints(host: u8) -> Endpoints {
    Endpoints {
        cluster: format!("h{host}:9444"),
        agent: format!("https://h{host}:9443"),
        operator: format!("https://h{host}:9446"),
    }
}
