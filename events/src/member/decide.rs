//! What is answered to an order about a journal: one short function an order. None: it is so already.
//!
//! **Invariant:** a token is consumed only together with the journal that comes by it: whatever else is refused leaves it
//! as it was.

use crate::vocabulary::{CertificateHash, JournalId, KeyHash, RemarkHash, Timestamp};

use super::{Command, Endpoints, Event, Rejection, State, TokenClaim, TokenState};

/// Decides an order about `journal`.
///
/// # Errors
/// Why it is refused.
pub fn decide(journal: &JournalId, state: &State, command: Command) -> Result<Option<Event>, Rejection> {
    match command {
        Command::Join { endpoints, certificate, key, token, raft_id, now } => {
            check_token(&token, journal, state, key, now)?;
            // A joiner that asks again gets another certificate, of which nobody could tell else once it is evicted, and may
            // say that it listens elsewhere: the others must find it there, or it never learns the log.
            if holds_its_name(state, key)? {
                return announce(state, endpoints, certificate);
            }
            if !endpoints.are_storable() {
                return Err(Rejection::EndpointInvalid);
            }
            Ok(Some(Event::Joining { raft_id, endpoints, certificate, key, token: token.secret_sha256 }))
        }
        Command::Confirm => confirm(state),
        Command::Announce { endpoints, certificate } => announce(state, endpoints, certificate),
        Command::Evict { reason, last } => evict(state, reason, last),
        Command::GiveUp { now } => Ok(give_up(state, now)),
    }
}

/// The order of design §6: the token first. By a consumed one only the journal that consumed it may ask again; while it
/// is joining, also when the token's time is over: it has its place, and needs no other token to come to it.
fn check_token(
    token: &TokenClaim,
    journal: &JournalId,
    state: &State,
    key: KeyHash,
    now: Timestamp,
) -> Result<(), Rejection> {
    let goes_on = state.member().is_some_and(|member| member.key == Some(key) && !member.votes());
    match &token.state {
        TokenState::Unknown => Err(Rejection::TokenUnknown),
        TokenState::Void => Err(Rejection::TokenExpired),
        TokenState::Created { consumed_by: Some(by), .. } if by == journal && goes_on => Ok(()),
        TokenState::Created { expires_at, .. } if *expires_at <= now => Err(Rejection::TokenExpired),
        TokenState::Created { consumed_by: None, .. } => Ok(()),
        TokenState::Created { consumed_by: Some(by), .. } => {
            let again = by == journal && state.member().is_some_and(|member| member.key == Some(key));
            if again { Ok(()) } else { Err(Rejection::TokenConsumed) }
        }
    }
}

/// Whether the name is the joiner's already, by its key; false: it is free.
fn holds_its_name(state: &State, key: KeyHash) -> Result<bool, Rejection> {
    match state {
        State::Unknown => Ok(false),
        // One that votes has its data directory; who asks with its key is a copy of it, and would vote as it.
        State::Member(member) if member.key == Some(key) && member.votes() => Err(Rejection::VotesAlready),
        State::Member(member) if member.key == Some(key) => Ok(true),
        State::Member(_) => Err(Rejection::AlreadyExists),
        State::Evicted { .. } => Err(Rejection::NameUsed),
    }
}

fn confirm(state: &State) -> Result<Option<Event>, Rejection> {
    match state {
        State::Unknown => Err(Rejection::NotFound),
        State::Evicted { .. } => Err(Rejection::Evicted),
        State::Member(member) => Ok((!member.votes()).then_some(Event::Joined)),
    }
}

fn announce(
    state: &State,
    endpoints: Endpoints,
    certificate: CertificateHash,
) -> Result<Option<Event>, Rejection> {
    match state {
        State::Unknown => Err(Rejection::NotFound),
        State::Evicted { .. } => Err(Rejection::Evicted),
        State::Member(_) if !endpoints.are_storable() => Err(Rejection::EndpointInvalid),
        State::Member(member) => {
            let known =
                member.endpoints.as_ref() == Some(&endpoints) && member.certificate == Some(certificate);
            Ok((!known).then_some(Event::Announced { endpoints, certificate }))
        }
    }
}

fn evict(state: &State, reason: Option<RemarkHash>, last: bool) -> Result<Option<Event>, Rejection> {
    match state {
        State::Unknown => Err(Rejection::NotFound),
        State::Evicted { .. } => Ok(None),
        State::Member(_) if last => Err(Rejection::LastJournal),
        State::Member(_) => Ok(Some(Event::Evicted { reason })),
    }
}

fn give_up(state: &State, now: Timestamp) -> Option<Event> {
    let overdue = state.member().is_some_and(|member| member.is_overdue(now));
    overdue.then_some(Event::Evicted { reason: None })
}
