//! Decides orders about one node: one short function a command, every state spelled out (design §5).

mod bind;
mod contest;
mod deactivate;
mod distrust;
mod drain;
mod enroll;
mod group;
mod register;
mod renew;
mod replace_hardware;
mod revoke;
mod warm_reboot;

use crate::certificate::{Certificate, Profile};
use crate::vocabulary::{BootId, CertificateHash, Der, HardwareIdentity, NodeId, Role, Serial};

use super::command::{Command, KeyClaim, KeyHolder};
use super::event::{Cause, Event, RefusedAttempts, Supersession};
use super::rejection::Rejection;
use super::state::{Enrollment, State};

pub use distrust::distrusted;
pub use replace_hardware::MAX_MACS_CHANGED;

/// What to do about a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it is so already.
    Nothing,
    /// Record these facts.
    Record(Vec<Event>),
    /// Sign a certificate of this profile, then record the completed facts.
    Issue(Box<Issue>),
    /// Answer with the certificate that the node has, once the request's proof of possession holds (R14 a, R15).
    Repeat(Certificate),
    /// Once the request's proof of possession holds, record these facts, and answer with the certificate that stands by them
    /// (R14 c).
    Return {
        /// What was shown.
        events: Vec<Event>,
        /// The certificate.
        certificate: Certificate,
    },
}

/// An issuance that lacks only its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// What the certificate shall say.
    pub profile: Profile,
    before: Option<Event>,
    cause: Cause,
    epoch: u32,
    supersedes: Vec<Supersession>,
    presented: Option<HardwareIdentity>,
    boot_id: Option<BootId>,
}

impl Issue {
    /// The facts of the issuance, now that the certificate exists: activation and issuance are one append (R12).
    pub fn complete(self, der: Der) -> Vec<Event> {
        let issued = Event::CertificateIssued {
            cause: self.cause,
            epoch: self.epoch,
            certificate: self.profile.certificate(CertificateHash::of(der.as_bytes())),
            der,
            supersedes: self.supersedes,
            presented: self.presented,
            boot_id: self.boot_id,
        };
        self.before.into_iter().chain([issued]).collect()
    }
}

/// Decides a command about `node`. Pure; the answer is all that happens.
pub fn decide(node: &NodeId, state: &State, command: Command) -> Result<Decision, Rejection> {
    match command {
        Command::Register(register) => register::register(node, state, register),
        Command::Enroll(enroll) => enroll::enroll(node, state, enroll),
        Command::Renew(renew) => renew::renew(node, state, renew),
        Command::Confirm { serial, now } => renew::confirm(state, serial, now),
        Command::Goodbye { serial } => Ok(deactivate::goodbye(state, serial)),
        Command::Deactivate { cause, now } => deactivate::deactivate(state, cause, now),
        Command::Revoke { cause, reason, sessions, now } => {
            revoke::revoke(state, cause, reason, sessions, now)
        }
        Command::Assign { to, asker } => group::assign(state, to, &asker),
        Command::Unassign { asker } => group::unassign(state, &asker),
        Command::Move { to, asker } => group::move_to(state, to, &asker),
        Command::Drain { draining, asker } => drain::drain(state, draining, &asker),
        Command::Contest(contest) => Ok(contest::contest(state, contest)),
        Command::ProveFormer { serial, now } => warm_reboot::prove_former(state, serial, now),
        Command::Resolve => contest::resolve(state),
        Command::ReplaceHardware { hardware, macs, now } => {
            replace_hardware::replace_hardware(node, state, hardware, &macs, now)
        }
        Command::NoteRefused(attempts) => Ok(note_refused(state, attempts)),
        Command::Bind(bind) => bind::bind(node, state, bind),
        Command::Distrust { authorities, now } => Ok(distrust::distrust(state, &authorities, now)),
    }
}

/// The enrollment of a node that an operator sees and may order about. Whoever does not see it is told what they would be
/// told of a node that does not exist.
fn visible<'a>(state: &'a State, asker: &Role) -> Result<&'a Enrollment, Rejection> {
    let seen = state.enrollment().filter(|enrollment| asker.sees(enrollment.vcluster.as_ref()));
    let enrollment = seen.ok_or(Rejection::NotFound)?;
    match state {
        State::Unknown => Err(Rejection::NotFound),
        State::Revoked { .. } => Err(Rejection::Revoked),
        State::Registered { .. } | State::Active { .. } | State::Inactive { .. } => Ok(enrollment),
    }
}

/// Whatever the state: also a revoked node's machine is one to be looked for.
fn note_refused(state: &State, attempts: RefusedAttempts) -> Decision {
    match state {
        State::Unknown => Decision::Nothing,
        State::Registered { .. } | State::Active { .. } | State::Inactive { .. } | State::Revoked { .. } => {
            Decision::Record(vec![Event::AttemptsRefused(attempts)])
        }
    }
}

/// A key belongs to one node and epoch (R8).
fn free_key(node: &NodeId, enrollment: &Enrollment, claim: Option<KeyClaim>) -> Result<KeyClaim, Rejection> {
    let claim = claim.ok_or(Rejection::CsrInvalid)?;
    match &claim.holder {
        None => Ok(claim),
        Some(KeyHolder::Node(holder, epoch)) if holder == node && *epoch == enrollment.epoch => Ok(claim),
        Some(KeyHolder::Node(..) | KeyHolder::Operator) => Err(Rejection::KeyReused),
    }
}

fn ended(serial: Serial) -> Supersession {
    Supersession { serial, overlap_secs: 0 }
}
