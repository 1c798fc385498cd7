//! The life of one operator: created with a certificate and a role, renewed, revoked.
//!
//! Operators differ from nodes in that they prove themselves by a certificate only, and that their role is a fact
//! (R10). Not here: which role may do what ([`crate::vocabulary::Role`]).

use serde::{Deserialize, Serialize};

use crate::certificate::{Certificate, Profile, Subject, Terms};
use crate::node::{KeyClaim, KeyHolder, OVERLAP};
use crate::vocabulary::{
    CertificateHash, Der, DomainId, MAX_COMMON_NAME, OperatorId, RemarkHash, Role, Serial, Timestamp,
    operator_common_name,
};

/// A fact about one operator. **Stored** (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The operator exists and has a certificate.
    #[serde(rename = "OperatorCreated")]
    Created {
        /// What the certificate may do.
        role: Role,
        /// What the certificate says.
        certificate: Certificate,
        /// The whole certificate.
        der: Der,
        /// The operator's display name.
        name: Option<RemarkHash>,
    },
    /// The operator got the next certificate; the former one lives on for [`OVERLAP`], so that an
    /// answer that was lost locks nobody out.
    #[serde(rename = "OperatorRenewed")]
    Renewed {
        /// What the certificate says.
        certificate: Certificate,
        /// The whole certificate.
        der: Der,
        /// The former certificate.
        supersedes: Serial,
    },
    /// The operator may do nothing any more.
    #[serde(rename = "OperatorRevoked")]
    Revoked {
        /// The certificate that ended.
        serial: Serial,
        /// What was said.
        reason: Option<RemarkHash>,
    },
}

/// What is known of one operator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    /// No fact tells of them.
    #[default]
    Unknown,
    /// May act with the current certificate.
    Active {
        /// What they may do.
        role: Role,
        /// Their one current certificate (R15).
        current: Certificate,
        /// The one over which it was renewed, for a while.
        former: Option<Box<Former>>,
    },
    /// May not act.
    Revoked {
        /// What they could do.
        role: Role,
    },
    /// May act again with the next certificate: a restore of the domain kept them and voided the former one (R27).
    Kept {
        /// What they may do.
        role: Role,
        /// The certificate that was their last.
        last: Serial,
    },
}

/// A certificate that was renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// What it says.
    pub certificate: Certificate,
    /// Until when it opens something.
    pub until: Timestamp,
}

/// An order about one operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Give a person a role and a certificate.
    Create {
        /// The domain.
        domain: DomainId,
        /// What they may do.
        role: Role,
        /// The key of their request.
        key: KeyClaim,
        /// Their display name.
        name: Option<RemarkHash>,
        /// The world's part of a certificate.
        terms: Terms,
    },
    /// Give them the next certificate over the present one.
    Renew {
        /// The certificate of the connection.
        presented: Serial,
        /// The key of their request.
        key: KeyClaim,
        /// The world's part of a certificate.
        terms: Terms,
    },
    /// Take it all away.
    Revoke {
        /// What was said.
        reason: Option<RemarkHash>,
        /// Whether another administrator of the domain has a certificate that opens something now.
        another_admin: bool,
    },
}

/// What to do about a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it is so already.
    Nothing,
    /// Record this fact.
    Record(Box<Event>),
    /// Sign a certificate of this profile, then record the completed fact.
    Issue(Box<Issue>),
}

/// An issuance that lacks only its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// What the certificate shall say.
    pub profile: Profile,
    occasion: Occasion,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Occasion {
    Creation { role: Role, name: Option<RemarkHash> },
    Renewal { supersedes: Serial },
}

impl Issue {
    /// The fact of the issuance, now that the certificate exists.
    pub fn complete(self, der: Der) -> Event {
        let certificate = self.profile.certificate(CertificateHash::of(der.as_bytes()));
        match self.occasion {
            Occasion::Creation { role, name } => Event::Created { role, certificate, der, name },
            Occasion::Renewal { supersedes } => Event::Renewed { certificate, der, supersedes },
        }
    }
}

/// Why an order about an operator is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The name is in use, or was: operators' names are never given twice.
    #[error("there is or was an operator of this name")]
    AlreadyExists,
    /// `OPERATOR_NOT_FOUND`
    #[error("no such operator")]
    NotFound,
    /// The operator was revoked.
    #[error("the operator was revoked")]
    Revoked,
    /// `LAST_ADMIN`: afterwards nobody could command the domain.
    #[error("this is the last administrator of the domain; create another one first")]
    LastAdmin,
    /// `KEY_REUSED`
    #[error("the public key was used before; make a new key")]
    KeyReused,
    /// `SERIAL_SUPERSEDED`
    #[error("the certificate is not the operator's current one")]
    SerialSuperseded,
    /// The common name would not fit.
    #[error("the operator id and the domain have more than 49 characters together")]
    NameTooLong,
}

/// Decides a command about `operator`.
pub fn decide(operator: &OperatorId, state: &State, command: Command) -> Result<Decision, Rejection> {
    match command {
        Command::Create { domain, role, key, name, terms } => match state {
            State::Active { .. } | State::Revoked { .. } | State::Kept { .. } => {
                Err(Rejection::AlreadyExists)
            }
            State::Unknown if operator_common_name(operator, &domain).len() > MAX_COMMON_NAME => {
                Err(Rejection::NameTooLong)
            }
            State::Unknown => issue(operator, key, &terms, Occasion::Creation { role, name }),
        },
        Command::Renew { presented, key, terms } => match state {
            State::Unknown => Err(Rejection::NotFound),
            State::Revoked { .. } => Err(Rejection::Revoked),
            // Over the former one too: the answer that brought the current one may have been lost.
            State::Active { current, .. }
                if current.serial != presented
                    && state.usable_until(presented).is_none_or(|until| until <= terms.now) =>
            {
                Err(Rejection::SerialSuperseded)
            }
            State::Kept { last, .. } if *last != presented => Err(Rejection::SerialSuperseded),
            State::Active { .. } | State::Kept { .. } => {
                issue(operator, key, &terms, Occasion::Renewal { supersedes: presented })
            }
        },
        Command::Revoke { reason, another_admin } => match state {
            State::Unknown => Err(Rejection::NotFound),
            State::Revoked { .. } => Ok(Decision::Nothing),
            State::Active { role: Role::PlatformAdmin, .. }
            | State::Kept { role: Role::PlatformAdmin, .. }
                if !another_admin =>
            {
                Err(Rejection::LastAdmin)
            }
            State::Active { current: Certificate { serial, .. }, .. } | State::Kept { last: serial, .. } => {
                Ok(Decision::Record(Box::new(Event::Revoked { serial: *serial, reason })))
            }
        },
    }
}

fn issue(
    operator: &OperatorId,
    key: KeyClaim,
    terms: &Terms,
    occasion: Occasion,
) -> Result<Decision, Rejection> {
    match key.holder {
        None => {
            let profile = terms.profile(Subject::Operator(operator.clone()), key.key);
            Ok(Decision::Issue(Box::new(Issue { profile, occasion })))
        }
        Some(KeyHolder::Node(..) | KeyHolder::Operator) => Err(Rejection::KeyReused),
    }
}

/// Folds a recorded fact. Total.
pub fn evolve(state: State, event: &Event, recorded_at: Timestamp) -> State {
    match (state, event) {
        (_, Event::Created { role, certificate, .. }) => {
            State::Active { role: role.clone(), current: certificate.clone(), former: None }
        }
        (State::Active { role, current, former }, Event::Renewed { certificate, supersedes, .. }) => {
            let former = if current.serial == *supersedes {
                let until = recorded_at.plus(OVERLAP).min(current.not_after);
                Some(Box::new(Former { certificate: current, until }))
            } else {
                former.filter(|former| former.certificate.serial == *supersedes)
            };
            State::Active { role, current: certificate.clone(), former }
        }
        (State::Kept { role, last }, Event::Renewed { certificate, supersedes, .. }) => {
            if last == *supersedes {
                State::Active { role, current: certificate.clone(), former: None }
            } else {
                State::Kept { role, last }
            }
        }
        (
            State::Active { role, .. } | State::Revoked { role } | State::Kept { role, .. },
            Event::Revoked { .. },
        ) => State::Revoked { role },
        (state @ State::Revoked { .. }, Event::Renewed { .. }) => state,
        (State::Unknown, Event::Renewed { .. } | Event::Revoked { .. }) => State::Unknown,
    }
}

impl State {
    /// The domain was restored (R27): no certificate of before opens anything, and only who is kept gets another.
    #[must_use]
    pub fn restored(self, kept: bool) -> Self {
        match self {
            Self::Active { role, current: Certificate { serial: last, .. }, .. }
            | Self::Kept { role, last } => {
                if kept {
                    Self::Kept { role, last }
                } else {
                    Self::Revoked { role }
                }
            }
            Self::Unknown | Self::Revoked { .. } => self,
        }
    }

    /// Until when a certificate of this operator opens something. None if it was superseded or revoked.
    pub fn usable_until(&self, serial: Serial) -> Option<Timestamp> {
        match self {
            Self::Active { current, .. } if current.serial == serial => Some(current.not_after),
            Self::Active { former: Some(former), .. } if former.certificate.serial == serial => {
                Some(former.until)
            }
            Self::Unknown | Self::Active { .. } | Self::Revoked { .. } | Self::Kept { .. } => None,
        }
    }

    /// What the operator may do, if anything.
    pub fn role(&self) -> Option<&Role> {
        match self {
            Self::Active { role, .. } | Self::Kept { role, .. } => Some(role),
            Self::Unknown | Self::Revoked { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
