//! What an agent has and its successor goes on with: key, certificate, and where its journals are.
//!
//! [`crate::run`] keeps it up to date. If the agent's life ends otherwise than by a goodbye — by a panic, or because
//! another program takes its place (`init::succession`) — the next life goes on with it: no journal sees the node gone.
//!
//! What is handed over says which format it is in: the successor may be of another release. It is checked like the answer
//! of a journal, because it is the answer of a journal.
//!
//! Not here, on purpose: the connection, which belongs to a process's memory in too many ways. The successor opens another.
//!
//! **Invariant:** it is written to memory only, and shown to nobody (R18). Times count from the answer also over a change
//! of program: by the clock of the boot, which nobody sets.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prost::Message;
use proto::{convert::moment, pb::EnrollResponse};
use rustix::time::{ClockId, clock_gettime};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    answer::{self, Holds},
    enroll::Enrolled,
    journals::Told,
    key::NodeKey,
    workload_identity::Svid,
};

/// What is written. A later one is not read: the successor enrolls.
const FORMAT: u32 = 1;

/// See the module. Clones are one.
#[derive(Clone, Default)]
pub struct Session(Arc<Mutex<Option<Kept>>>);

#[derive(Clone)]
struct Kept {
    enrolled: Enrolled,
    /// When the journal's answer arrived, since the boot.
    answered_at: Duration,
}

/// Why what an agent left is not used. Shows nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum UnusableSession {
    /// It is something else.
    #[error("it cannot be read")]
    Unreadable,
    /// A later release has left it.
    #[error("it is written in format {0}")]
    Format(u32),
    /// Its parts do not fit together.
    #[error("{0}")]
    Unfit(String),
}

/// The form in which it is handed over.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Written {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(uint64, tag = "2")]
    answered_at_ms: u64,
    #[prost(string, tag = "3")]
    journal: String,
    #[prost(message, optional, tag = "4")]
    answer: Option<EnrollResponse>,
    /// Empty if there is a workload identity in its place. An earlier release does not read that, and enrolls.
    #[prost(bytes = "vec", tag = "5")]
    key: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    svid_chain: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "7")]
    svid_key: Vec<u8>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written(..)")
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.key.zeroize();
        self.svid_key.zeroize();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(..)")
    }
}

impl Session {
    /// A journal has just given this.
    pub(crate) fn keep(&self, enrolled: &Enrolled) {
        // Its times count from now: those of what was resumed are shorter already.
        *self.lock() = Some(Kept { enrolled: enrolled.clone(), answered_at: since_boot() });
    }

    /// Nobody goes on with it.
    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    /// What there is to go on with: its times count from now.
    pub(crate) fn resume(&self) -> Option<Enrolled> {
        let Kept { mut enrolled, answered_at } = self.lock().clone()?;
        let since = since_boot().saturating_sub(answered_at);
        let identity = &mut enrolled.identity;
        identity.renew_in = identity.renew_in.saturating_sub(since);
        identity.expires_in = identity.expires_in.saturating_sub(since);
        (!identity.expires_in.is_zero()).then_some(enrolled)
    }

    /// What a successor needs, if there is something to go on with.
    pub(crate) fn to_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let Kept { enrolled: Enrolled { identity, journal, told }, answered_at } = self.lock().clone()?;
        let answer = EnrollResponse {
            node_id: identity.node_id.to_string(),
            domain_id: identity.domain_id.to_string(),
            certificate: identity.certificate.to_vec(),
            ca_chain: identity.ca_chain.iter().map(|certificate| certificate.to_vec()).collect(),
            vcluster_id: identity.vcluster.clone(),
            serial: identity.serial.to_string(),
            not_before: Some(moment::to_wire(identity.not_before)),
            not_after: Some(moment::to_wire(identity.not_after)),
            renew_after: Some(moment::to_wire(identity.renew_after)),
            journal_time: Some(moment::to_wire(identity.journal_time)),
            endpoints: told.endpoints,
            evicted_journals: told.evicted,
        };
        let total = identity.expires_in;
        // A renewed answer says how long it was good for; what has passed of that since is added to when it was given.
        let good_for = identity.not_after.since(identity.journal_time);
        let answered_at = answered_at.saturating_sub(good_for.saturating_sub(total));
        let (key, (svid_chain, svid_key)) = match &identity.holds {
            Holds::Key(key) => (key.pkcs8().to_vec(), (vec![], vec![])),
            Holds::Workload(svid) => {
                let (chain, key) = svid.parts();
                (vec![], (chain, key.to_vec()))
            }
        };
        let written = Written {
            format: FORMAT,
            answered_at_ms: u64::try_from(answered_at.as_millis()).unwrap_or(u64::MAX),
            journal: journal.to_string(),
            answer: Some(answer),
            key,
            svid_chain,
            svid_key,
        };
        Some(Zeroizing::new(written.encode_to_vec()))
    }

    /// Reads what the agent before has left.
    ///
    /// # Errors
    /// Says why it cannot be used.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Result<Self, UnusableSession> {
        let unfit = |error: &dyn fmt::Display| UnusableSession::Unfit(error.to_string());
        let mut written = Written::decode(bytes).map_err(|_| UnusableSession::Unreadable)?;
        if written.format != FORMAT {
            return Err(UnusableSession::Format(written.format));
        }
        let mut answer = written.answer.take().ok_or(UnusableSession::Unreadable)?;
        let told = Told::of(&mut answer);
        let identity = if written.svid_chain.is_empty() {
            let key = NodeKey::of_pkcs8(&written.key).map_err(|_| UnusableSession::Unreadable)?;
            answer::check(answer, &key).map_err(|error| unfit(&error))?
        } else {
            let chain = std::mem::take(&mut written.svid_chain);
            let svid = Svid::new(chain, &written.svid_key).map_err(|error| unfit(&error))?;
            answer::check_lent(answer, Arc::new(svid)).map_err(|error| unfit(&error))?
        };
        let journal = written.journal.parse().map_err(|error| unfit(&error))?;
        let answered_at = Duration::from_millis(written.answered_at_ms);
        let kept = Kept { enrolled: Enrolled { identity, journal, told }, answered_at };
        Ok(Self(Arc::new(Mutex::new(Some(kept)))))
    }

    /// A panic leaves it as it was: it is replaced as a whole.
    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fake_journal::FakeAuthority;

    fn session() -> Session {
        let key = NodeKey::generate().unwrap();
        let identity = answer::check(FakeAuthority::new().answer(key.csr()), &key).unwrap();
        let told = Told { endpoints: vec!["https://j2:9443".to_owned()], evicted: vec![vec![7; 32]] };
        let session = Session::default();
        session.keep(&Enrolled { identity, journal: "https://j1:9443".parse().unwrap(), told });
        session
    }

    fn public(identity: &answer::Identity) -> Vec<u8> {
        let Holds::Key(key) = &identity.holds else { panic!("it holds another identity") };
        key.public_key().to_vec()
    }

    #[test]
    fn a_successor_has_the_workload_identity_that_was_held_in_the_place_of_the_key() {
        let session = session();
        let svid = crate::fake_journal::svid("spiffe://example.org/a");
        let enrolled = session.resume().unwrap();
        let identity = enrolled.identity.lent(Arc::clone(&svid));
        session.keep(&Enrolled { identity, ..enrolled });
        let bytes = session.to_bytes().unwrap();
        assert!(Written::decode(&**bytes).unwrap().key.is_empty(), "the certificate's key is gone");
        let after = Session::of_bytes(&bytes).unwrap().resume().unwrap();
        assert_eq!(after.identity.svid().unwrap().certificate, svid.certificate);
        assert_eq!(after.identity.credential.chain(), svid.credential.chain());
    }

    #[test]
    fn a_successor_has_the_same_key_certificate_and_journals() {
        let session = session();
        let (before, after) =
            (session.resume().unwrap(), Session::of_bytes(&session.to_bytes().unwrap()).unwrap());
        let after = after.resume().unwrap();
        assert_eq!(public(&before.identity), public(&after.identity));
        assert_eq!(before.identity.certificate, after.identity.certificate);
        assert_eq!((&before.journal, &before.told.endpoints), (&after.journal, &after.told.endpoints));
        assert_eq!(before.told.evicted, after.told.evicted);
        // The clock of the boot is told in milliseconds.
        let moved = after.identity.expires_in.abs_diff(before.identity.expires_in);
        assert!(moved < Duration::from_secs(60), "{moved:?}");
    }

    #[test]
    fn what_is_over_is_not_resumed() {
        let session = session();
        if let Some(kept) = session.lock().as_mut() {
            kept.enrolled.identity.expires_in = Duration::ZERO;
        }
        assert!(session.resume().is_none());
        session.forget();
        assert!(session.to_bytes().is_none() && Session::default().resume().is_none());
    }

    #[test]
    fn time_that_has_passed_is_not_given_back() {
        let session = session();
        let whole = session.resume().unwrap().identity.expires_in;
        let shorter = Enrolled {
            identity: answer::Identity {
                expires_in: whole.checked_sub(Duration::from_secs(1)).unwrap(),
                ..session.resume().unwrap().identity
            },
            ..session.resume().unwrap()
        };
        session.keep(&shorter);
        let resumed = Session::of_bytes(&session.to_bytes().unwrap()).unwrap().resume().unwrap();
        assert!(resumed.identity.expires_in <= shorter.identity.expires_in + Duration::from_millis(2));
    }

    #[test]
    fn another_format_is_told_and_nothing_of_the_key_is() {
        let mut written = Written::decode(&**session().to_bytes().unwrap()).unwrap();
        written.format = 2;
        assert!(matches!(Session::of_bytes(&written.encode_to_vec()), Err(UnusableSession::Format(2))));
        assert_eq!(format!("{:?} {written:?}", session()), "Session(..) Written(..)");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let mut written = Written::decode(&**session().to_bytes().unwrap()).unwrap();
        written.key = NodeKey::generate().unwrap().pkcs8().to_vec();
        assert!(matches!(Session::of_bytes(&written.encode_to_vec()), Err(UnusableSession::Unfit(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes: Vec<u8>, at in 0..4000_usize, byte: u8) {
            Session::of_bytes(&bytes).ok();
            let mut damaged = session().to_bytes().unwrap();
            if let Some(found) = damaged.get_mut(at) {
                *found = byte;
            }
            Session::of_bytes(&damaged).ok();
        }
    }
}
