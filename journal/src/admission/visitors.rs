//! The open connections without a certificate: anybody can make them, so their number is bounded, and none stays for
//! nothing (R21).
//!
//! `grpc`'s acceptor gives each a place here after its handshake; its leash is `H`. A machine connects, enrolls and is
//! gone; so a connection on which no call is under way for [`IDLE`] ends, and when there is no place for a newcomer the
//! one that has been idle for longest ends first: of the same source, if that has its share.
//!
//! What anybody can keep under way is not a call: it counts from its handler's begin to its end, and an Enroll of a
//! stranger is answered in microseconds. A request whose body never comes does not hold a place.
//!
//! **Invariant:** never more than `places` connections, nor of one source more than its [`share`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::source::Source;

/// A connection without a call under way ends after this. On a crowded machine a client takes seconds from its handshake
/// to its request.
pub const IDLE: Duration = Duration::from_secs(10);
/// Who has just come, or has just been answered, is not sent away for another: between handshake and request, and
/// between answer and close, lies a round trip, and in a storm a client that is busy with thousands of others.
const SETTLE: Duration = Duration::from_secs(2);

/// The share of one source: three quarters. A whole storm may come from one address (NAT); the last quarter stays for
/// others, whoever comes.
pub fn share(places: usize) -> usize {
    (places - places / 4).max(1)
}

/// What a connection is doing. Shared by the connection and its calls, which change it without a lock.
#[derive(Debug)]
pub struct Activity {
    since: Instant,
    calls: AtomicU32,
    /// When its last call ended, in milliseconds since `since`.
    idle_at: AtomicU64,
}

impl Activity {
    /// Of a connection that is open from now on.
    pub fn new(now: Instant) -> Self {
        Self { since: now, calls: AtomicU32::new(0), idle_at: AtomicU64::new(0) }
    }

    /// A call begins.
    pub fn begin(&self) {
        self.calls.fetch_add(1, Ordering::AcqRel);
    }

    /// A call has ended.
    pub fn end(&self, now: Instant) {
        let millis = now.saturating_duration_since(self.since).as_millis();
        self.idle_at.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Release);
        self.calls.fetch_sub(1, Ordering::AcqRel);
    }

    /// For how long no call has been under way; nothing while one is.
    pub fn idle_for(&self, now: Instant) -> Duration {
        if self.calls.load(Ordering::Acquire) > 0 {
            return Duration::ZERO;
        }
        let idle_at = self.since + Duration::from_millis(self.idle_at.load(Ordering::Acquire));
        now.saturating_duration_since(idle_at)
    }
}

/// See the module. Pure: time is passed in.
#[derive(Debug)]
pub struct Visitors<H> {
    places: usize,
    next: u64,
    visitors: HashMap<u64, Visitor<H>>,
    held: HashMap<Source, usize>,
    /// Whom a look at all of them concerned, and until when another would find nobody idle either.
    in_vain: Option<(Option<Source>, Instant)>,
}

#[derive(Debug)]
struct Visitor<H> {
    source: Source,
    activity: Arc<Activity>,
    leash: H,
}

impl<H> Visitors<H> {
    /// So many places, all free.
    pub fn new(places: usize) -> Self {
        Self { places, next: 0, visitors: HashMap::new(), held: HashMap::new(), in_vain: None }
    }

    /// A place for one more: its number, by which it leaves, and the leash of the one that must end for it. `Err`: all
    /// are in use; the newcomer's leash back.
    pub fn enter(
        &mut self,
        source: Source,
        activity: &Arc<Activity>,
        leash: H,
        now: Instant,
    ) -> Result<(u64, Option<H>), H> {
        let mut ends = None;
        if self.of(source) >= share(self.places) || self.visitors.len() >= self.places {
            let Some(idlest) = self.idlest(source, now) else { return Err(leash) };
            ends = self.leave(idlest);
        }
        let id = self.next;
        self.next += 1;
        self.visitors.insert(id, Visitor { source, activity: Arc::clone(activity), leash });
        *self.held.entry(source).or_default() += 1;
        Ok((id, ends))
    }

    /// A connection is closed, or ends now: its place is free.
    pub fn leave(&mut self, id: u64) -> Option<H> {
        let Visitor { source, leash, .. } = self.visitors.remove(&id)?;
        if let Some(held) = self.held.get_mut(&source) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&source);
            }
        }
        Some(leash)
    }

    fn of(&self, source: Source) -> usize {
        self.held.get(&source).copied().unwrap_or_default()
    }

    /// Who ends for a newcomer: of its own source, if that has its share. A look at all of them costs less than the
    /// handshake that led here; one that would find nobody is not made, so that an honest storm does not pay for it.
    fn idlest(&mut self, source: Source, now: Instant) -> Option<u64> {
        let only = (self.of(source) >= share(self.places)).then_some(source);
        if self.in_vain.is_some_and(|(concerned, until)| concerned == only && now < until) {
            return None;
        }
        let visitors =
            self.visitors.iter().filter(|(_, visitor)| only.is_none_or(|only| visitor.source == only));
        let idlest = visitors.map(|(id, visitor)| (visitor.activity.idle_for(now), *id)).max();
        let (idle, id) = idlest.unwrap_or_default();
        if idle < SETTLE {
            self.in_vain = Some((only, now + (SETTLE - idle)));
            return None;
        }
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: Source = Source::V4([10, 0, 0, 1]);
    const B: Source = Source::V4([10, 0, 0, 2]);

    struct Lobby {
        visitors: Visitors<u64>,
        now: Instant,
    }

    impl Lobby {
        fn new(places: usize) -> Self {
            Self { visitors: Visitors::new(places), now: Instant::now() }
        }

        /// Somebody comes, and calls itself `name`.
        fn come(&mut self, source: Source, name: u64) -> (Arc<Activity>, Result<Option<u64>, u64>) {
            let activity = Arc::new(Activity::new(self.now));
            let entered = self.visitors.enter(source, &activity, name, self.now);
            (activity, entered.map(|(_, ends)| ends))
        }

        fn wait(&mut self, millis: u64) {
            self.now += Duration::from_millis(millis);
        }
    }

    #[test]
    fn rule_21_the_last_quarter_stays_for_other_sources() {
        let mut lobby = Lobby::new(8);
        for name in 0..6 {
            assert_eq!(lobby.come(A, name).1, Ok(None));
        }
        assert_eq!(lobby.come(A, 6).1, Err(6));
        assert_eq!(lobby.come(B, 7).1, Ok(None));
        assert_eq!(lobby.come(B, 8).1, Ok(None));
        assert_eq!(lobby.come(B, 9).1, Err(9), "nobody is idle for long enough");
    }

    #[test]
    fn rule_21_when_places_run_out_the_idlest_goes_first_and_never_one_that_has_a_call() {
        let mut lobby = Lobby::new(4);
        let (busy, _) = lobby.come(A, 1);
        busy.begin();
        lobby.wait(10);
        let (called, _) = lobby.come(A, 2);
        lobby.wait(10);
        lobby.come(A, 3).1.unwrap();
        called.begin();
        lobby.wait(1000);
        called.end(lobby.now);

        lobby.wait(2500);
        assert_eq!(lobby.come(A, 4).1, Ok(Some(3)), "2 was answered later");
        assert_eq!(lobby.come(A, 5).1, Ok(Some(2)));
        assert_eq!(lobby.come(A, 6).1, Err(6), "4 and 5 have just come, 1 has a call");
    }

    #[test]
    fn rule_21_a_source_that_has_its_share_ends_its_own() {
        let mut lobby = Lobby::new(4);
        lobby.come(B, 0).1.unwrap();
        lobby.wait(1000);
        for name in 1..4 {
            lobby.come(A, name).1.unwrap();
        }
        lobby.wait(2000);
        let ended = lobby.come(A, 4).1.unwrap().unwrap();
        assert!((1..4).contains(&ended), "{ended}");
        assert_eq!(lobby.come(B, 5).1, Ok(Some(0)), "of all, the idlest");
    }

    #[test]
    fn a_call_under_way_is_not_idle_and_its_end_begins_the_count() {
        let (now, millis) = (Instant::now(), Duration::from_millis);
        let activity = Activity::new(now);
        assert_eq!(activity.idle_for(now + millis(70)), millis(70));
        activity.begin();
        activity.begin();
        activity.end(now + millis(100));
        assert_eq!(activity.idle_for(now + millis(500)), Duration::ZERO);
        activity.end(now + millis(600));
        assert_eq!(activity.idle_for(now + millis(650)), millis(50));
    }

    proptest! {
        #[test]
        fn rule_21_places_and_shares_are_never_exceeded_and_memory_is_given_back(
            places in 1usize..20,
            steps in prop::collection::vec((0u8..4, any::<bool>(), 0u64..1500), 1..200),
        ) {
            let mut lobby = Lobby::new(places);
            let mut ids = vec![];
            for (from, comes, passed) in steps {
                lobby.wait(passed);
                let source = Source::V4([10, 0, 0, from]);
                if comes {
                    let activity = Arc::new(Activity::new(lobby.now));
                    ids.extend(lobby.visitors.enter(source, &activity, 0, lobby.now).map(|(id, _)| id));
                } else if let Some(id) = ids.pop() {
                    lobby.visitors.leave(id);
                }
                prop_assert!(lobby.visitors.visitors.len() <= places);
                for held in lobby.visitors.held.values() {
                    prop_assert!(*held > 0 && *held <= share(places));
                }
                let held: usize = lobby.visitors.held.values().sum();
                prop_assert_eq!(held, lobby.visitors.visitors.len());
            }
            for id in ids {
                lobby.visitors.leave(id);
            }
            prop_assert!(lobby.visitors.held.is_empty() && lobby.visitors.visitors.is_empty());
        }
    }
}
