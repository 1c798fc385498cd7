//! Admission: who may go on, who waits, who is told to come back, before anything dear is done for anybody (R21, R22).
//!
//! ```text
//! stage one, before and after the handshake; grpc's acceptor asks
//!   source     where a connection comes from
//!   sources    each source's share of connections not served yet and of handshakes
//!   visitors   connections without a certificate: places, shares, idleness; lobby: the shell
//! stage two, after the gate's look-up; grpc's Enroll and RenewCert ask, through [`Admission`]
//!   strangers  the budget of callers whom nobody registered
//!   asking     one Enroll a node at a time
//!   line       the places of known callers; pace: how fast they are served
//!   slots      when those who are sent away come back
//! ```
//!
//! What decides is pure, with time passed in; [`Admission`], `lobby` and `sources` are its shells. Not here: who may
//! call what (`grpc`'s access), whom a request is about ([`crate::gate`]), whether a node may have a certificate
//! (`events`).
//!
//! **Invariant:** all memory here is bounded, and a place is given back on every path, by a drop.

mod asking;
mod line;
mod lobby;
mod pace;
mod slots;
mod source;
mod sources;
mod strangers;
mod visitors;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::vocabulary::{KeyHash, NodeId};
use parking_lot::Mutex;
use proto::reason::Reason;
use proto::refusal::Refusal;

pub use lobby::{Lobby, Visit};
pub use source::Source;
pub use sources::{Doorstep, Sources};
pub use visitors::Activity;

use asking::Asking;
use line::Line;
use strangers::Strangers;

/// When to ask again for a node for which another key is asking: an order takes milliseconds.
const ANOTHER_KEY: Duration = Duration::from_secs(1);

/// Stage two; see the module. All listeners share one.
#[derive(Debug)]
pub struct Admission {
    strangers: Mutex<Strangers>,
    asking: Mutex<Asking>,
    line: Mutex<Line>,
}

/// A known caller's place in the line. Dropped without [`Place::served`]: the caller gave up.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    served: bool,
}

/// An Enroll under way for a node, until it is dropped.
#[derive(Debug)]
pub struct Enrolling {
    admission: Arc<Admission>,
    node: NodeId,
}

impl Admission {
    /// Nobody waits; unknown callers get so many answers a minute.
    pub fn new(unknown_per_minute: u32) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            strangers: Mutex::new(Strangers::new(unknown_per_minute, now)),
            asking: Mutex::default(),
            line: Mutex::new(Line::new(now)),
        })
    }

    /// Somebody without a full match asks from there: whether it may be told why it is not let in (R22).
    ///
    /// # Errors
    /// `RATE_LIMITED`, with the time when the budget has room again.
    pub fn stranger(&self, from: IpAddr) -> Result<(), Refusal> {
        let drawn = self.strangers.lock().draw(from.into(), Instant::now());
        drawn.map_err(|wait| {
            Refusal::new(Reason::RateLimited, "too many unknown machines are asking; ask again later")
                .retry_after(wait)
        })
    }

    /// A machine with this key asks for a node; no key, if its request is unreadable (R21).
    ///
    /// # Errors
    /// `OVERLOADED`, if another key is asking for the node at the moment.
    pub fn enrolling(self: &Arc<Self>, node: &NodeId, key: Option<KeyHash>) -> Result<Enrolling, Refusal> {
        if self.asking.lock().begin(node, key) {
            return Ok(Enrolling { admission: Arc::clone(self), node: node.clone() });
        }
        let told = "another request for this node is being decided";
        Err(Refusal::new(Reason::Overloaded, told).retry_after(ANOTHER_KEY))
    }

    /// A place in the line for a known caller who waits at most so long (R21).
    ///
    /// # Errors
    /// `OVERLOADED`, with the time of its slot, if it would not be served by then.
    pub fn place(self: &Arc<Self>, patience: Duration) -> Result<Place, Refusal> {
        match self.line.lock().enter(Instant::now(), patience) {
            Ok(()) => Ok(Place { admission: Arc::clone(self), served: false }),
            Err(wait) => {
                let told = "more machines are asking than can be served in time";
                Err(Refusal::new(Reason::Overloaded, told).retry_after(wait))
            }
        }
    }

    /// How many known callers have a place in the line: `pact_queue_depth`.
    pub fn depth(&self) -> usize {
        self.line.lock().depth()
    }
}

impl Place {
    /// The caller has its answer, whatever it is.
    pub fn served(mut self) {
        self.served = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.line.lock().leave(Instant::now(), self.served);
    }
}

impl Drop for Enrolling {
    fn drop(&mut self) {
        self.admission.asking.lock().end(&self.node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: Duration = Duration::from_secs(10);

    #[test]
    fn rule_21_a_place_is_given_back_whether_the_caller_was_served_or_gave_up() {
        let admission = Admission::new(100);
        let (one, two) = (admission.place(PATIENT).unwrap(), admission.place(PATIENT).unwrap());
        assert_eq!(admission.depth(), 2);
        one.served();
        assert_eq!(admission.depth(), 1);
        drop(two);
        assert_eq!(admission.depth(), 0);
    }

    #[test]
    fn rule_21_overloaded_says_when_to_come_back() {
        let admission = Admission::new(100);
        let held: Vec<_> = std::iter::from_fn(|| admission.place(Duration::ZERO).ok()).collect();
        let refusal = admission.place(Duration::ZERO).unwrap_err();
        assert_eq!(refusal.reason, Reason::Overloaded);
        assert!(refusal.retry_after.is_some_and(|wait| !wait.is_zero()), "{refusal:?}");
        assert_eq!(admission.depth(), held.len(), "who is refused holds nothing");
    }

    #[test]
    fn rule_21_another_key_for_the_same_node_is_told_to_come_back_and_the_same_is_not() {
        let admission = Admission::new(100);
        let (node, key): (NodeId, _) = ("n1".parse().unwrap(), Some(KeyHash::of(b"one")));
        let first = admission.enrolling(&node, key).unwrap();
        assert!(admission.enrolling(&node, key).is_ok());
        let refusal = admission.enrolling(&node, Some(KeyHash::of(b"two"))).unwrap_err();
        assert_eq!((refusal.reason, refusal.retry_after), (Reason::Overloaded, Some(ANOTHER_KEY)));
        drop(first);
        assert!(admission.enrolling(&node, Some(KeyHash::of(b"two"))).is_ok());
    }

    #[test]
    fn rule_22_rate_limited_says_when_there_is_room_again() {
        let admission = Admission::new(2);
        let (one, two): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert!(admission.stranger(one).is_ok());
        let refusal = admission.stranger(one).unwrap_err();
        assert_eq!(refusal.reason, Reason::RateLimited);
        let wait = refusal.retry_after.unwrap();
        assert!(wait > Duration::from_secs(55) && wait <= Duration::from_secs(120), "{wait:?}");
        assert!(admission.stranger(two).is_ok(), "another source has its half");
    }
}
