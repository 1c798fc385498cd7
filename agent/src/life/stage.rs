//! How far a life has come, and what it waits for. Times count from its begin.
//!
//! **Invariant:** of the tries that it waits for at most one is under way at a time in every stage.

use std::time::Duration;

use proto::outcome::Failure;

use super::words::{Given, Key};
use crate::retry::Backoff;

/// How far a life has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// It knows nothing.
    Probing,
    /// It asks for a certificate.
    Enrolling(Enrolling),
    /// It has a certificate, and no stream.
    Connecting(Connecting),
    /// It has a stream.
    Connected(Connected),
    /// It says goodbye.
    Leaving,
    /// It is over.
    Ended,
}

/// When something is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Try {
    /// Now: the answer is awaited.
    UnderWay,
    /// Then.
    At(Duration),
}

impl Try {
    /// Begins it, if its time has come.
    pub(super) fn begin(&mut self, now: Duration) -> bool {
        let begins = self.at().is_some_and(|at| at <= now);
        if begins {
            *self = Self::UnderWay;
        }
        begins
    }

    /// When it begins, if it has not.
    pub(super) fn at(self) -> Option<Duration> {
        match self {
            Self::UnderWay => None,
            Self::At(at) => Some(at),
        }
    }
}

#[derive(Debug)]
pub(super) struct Enrolling {
    pub(super) next: Try,
    /// Of the next try: every try of one enrollment has the same (R14).
    pub(super) key: Key,
    pub(super) backoff: Backoff,
    /// What the certificate before was told, while it was valid.
    pub(super) ended: Option<Failure>,
}

impl Enrolling {
    /// A new one.
    pub(super) fn begins_at(at: Duration, ended: Option<Failure>) -> Self {
        Self { next: Try::At(at), key: Key::New, backoff: Backoff::default(), ended }
    }
}

#[derive(Debug)]
pub(super) struct Connecting {
    pub(super) certificate: Validity,
    pub(super) next: Try,
    /// Goes on while streams do not last.
    pub(super) backoff: Backoff,
}

#[derive(Debug)]
pub(super) struct Connected {
    pub(super) certificate: Validity,
    pub(super) since: Duration,
    pub(super) renewal: Renewal,
    /// Of the renewal.
    pub(super) backoff: Backoff,
    /// For when this stream is lost.
    pub(super) connecting: Backoff,
}

/// When a certificate is renewed, and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) renew_at: Duration,
    /// Never too early: it counts from the answer's arrival.
    pub(super) expires_at: Duration,
    /// Whether the node connects with a workload identity of others: what that is told says nothing about the certificate.
    pub(super) is_lent: bool,
}

impl Validity {
    pub(super) fn of(given: &Given, now: Duration) -> Self {
        Self { renew_at: now + given.renew_in, expires_at: now + given.expires_in, is_lent: given.is_lent }
    }
}

/// The way to the next certificate and its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewal {
    /// The present certificate is not to be renewed before.
    NotBefore(Duration),
    /// A stream is opened with another identity, beside the present one. It is not renewed before then, nor before that is done.
    Swapping(Duration),
    /// The next certificate is asked for over the present connection.
    Asking(Try),
    /// The next certificate is there: a stream is opened with it, beside the present one.
    Opening {
        /// Of the next certificate.
        certificate: Validity,
        next: Try,
    },
}
