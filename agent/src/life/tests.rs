//! A life on a clock of the test: every phase with everything that may happen in it, and what comes of it in time.

mod every_phase;
mod renewal;
mod swapping;

use proto::{channel::ConnectionRefusal, pb::journal_message::Changed, reason::Reason, refusal::Refusal};

use super::*;

/// The random number that makes every wait as long as it may be.
const LONGEST: u64 = u64::MAX;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn config(revision: u64) -> BootConfig {
    BootConfig { vcluster: "ml".parse().ok(), revision, seq: revision, overlay: None }
}

fn cached(node_id: &str) -> Cached {
    let (node_id, domain_id) = (node_id.parse().unwrap(), "alps".parse().unwrap());
    Cached { node_id, domain_id, config: config(3) }
}

/// A certificate for 90 s, to be renewed after 60.
fn given() -> Given {
    Given {
        node_id: "compute-042".parse().unwrap(),
        domain_id: "alps".parse().unwrap(),
        renew_in: secs(60),
        expires_in: secs(90),
        is_lent: false,
    }
}

fn unreachable() -> Failure {
    Failure::Unreachable("nobody".to_owned())
}

fn refused(reason: Reason) -> Failure {
    Failure::from(Refusal::new(reason, "no"))
}

fn revoked() -> Failure {
    Failure::ConnectionRefused(ConnectionRefusal::Revoked)
}

fn changed(revision: u64) -> Changed {
    Changed { vcluster_id: "ml".to_owned(), revision, seq: revision }
}

/// A life and its time.
struct Living {
    life: Life,
    now: Duration,
}

impl Living {
    fn begin(cached: Option<Cached>) -> Self {
        let mut living = Self { life: Life::new(), now: Duration::ZERO };
        assert_eq!(living.hears(Input::Begin(cached)), [Effect::Probe]);
        living
    }

    fn enrolling() -> Self {
        let mut living = Self::begin(None);
        assert_eq!(living.hears(Input::Probed(Ok(()))), [Effect::Enroll(Key::New)]);
        living
    }

    fn enrolling_with_a_cache() -> Self {
        let mut living = Self::begin(Some(cached("compute-042")));
        assert_eq!(living.hears(Input::Probed(Ok(()))), [Effect::Enroll(Key::New)]);
        living
    }

    fn connecting() -> Self {
        let mut living = Self::enrolling();
        living.hears(Input::Enrolled(Ok(given())));
        living
    }

    /// With a stream, and without a boot configuration.
    fn configuring() -> Self {
        let mut living = Self::connecting();
        living.hears(Input::Opened(Ok(Err(refused(Reason::Overloaded)))));
        living
    }

    fn active() -> Self {
        let mut living = Self::connecting();
        living.hears(Input::Opened(Ok(Ok(config(7)))));
        living
    }

    /// It has asked for its next certificate.
    fn renewing() -> Self {
        let mut living = Self::active();
        assert_eq!(living.passes(secs(60)), [Effect::Renew(Key::New)]);
        living
    }

    /// It was not answered.
    fn waiting_to_renew_again() -> Self {
        let mut living = Self::renewing();
        living.hears(Input::Renewed(Err(unreachable())));
        living
    }

    /// It opens a stream with another identity.
    fn swapping() -> Self {
        let mut living = Self::active();
        living.hears(Input::Swap);
        living
    }

    /// It has the next certificate, and opens a stream with it.
    fn opening() -> Self {
        let mut living = Self::renewing();
        living.hears(Input::Renewed(Ok(given())));
        living
    }

    /// Its stream is lost, and it connects again.
    fn degraded() -> Self {
        let mut living = Self::active();
        living.hears(Input::StreamEnded(unreachable()));
        living.passes(secs(1));
        living
    }

    fn leaving() -> Self {
        let mut living = Self::active();
        living.hears(Input::Stop);
        living
    }

    fn ended() -> Self {
        let mut living = Self::leaving();
        living.hears(Input::Left { goodbye: true });
        living
    }

    fn hears(&mut self, input: Input) -> Vec<Effect> {
        self.life.step(input, self.now, LONGEST)
    }

    fn passes(&mut self, time: Duration) -> Vec<Effect> {
        self.now += time;
        self.hears(Input::Time)
    }

    /// Goes on to when it wakes by itself.
    fn wakes(&mut self) -> (Duration, Vec<Effect>) {
        let at = self.life.wakes_at().expect("it waits for something");
        let waited = at.saturating_sub(self.now);
        (waited, self.passes(waited))
    }
}

/// What is ordered, in short.
fn names(effects: &[Effect]) -> String {
    let names = effects.iter().map(|effect| {
        let text = format!("{effect:?}");
        let name = text.split([' ', '{']).next().unwrap_or_default();
        match name.split_once('(') {
            Some((outer @ ("Tell" | "Warn" | "Enroll" | "Renew"), inner)) => {
                let inner = inner.split(['(', ' ', ')']).next().unwrap_or_default();
                format!("{outer} {inner}")
            }
            Some(("End", _)) if text == "End(Ok(()))" => "End well".to_owned(),
            Some((outer, _)) => outer.to_owned(),
            None => name.to_owned(),
        }
    });
    names.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_refused_certificate_is_replaced_if_it_has_expired_or_its_time_is_over() {
    let connection = Failure::ConnectionRefused;
    let refused = |reason| Failure::from(Refusal::new(reason, ""));
    for (failure, while_valid, afterwards) in [
        (connection(ConnectionRefusal::Expired), true, true),
        (connection(ConnectionRefusal::Unknown), false, true),
        (connection(ConnectionRefusal::Required), false, true),
        (connection(ConnectionRefusal::Revoked), true, true),
        (refused(Reason::CertificateRequired), false, true),
        (refused(Reason::NodeRevoked), false, true),
        (Failure::Usage(String::new()), false, false),
        (Failure::named("ANSWER_INVALID", ""), false, false),
    ] {
        assert_eq!(asks_for_a_new_enrollment(&failure, false), while_valid, "{failure:?}");
        assert_eq!(asks_for_a_new_enrollment(&failure, true), afterwards, "{failure:?}");
    }
}

#[test]
fn rule_14_every_try_has_the_same_key_until_the_certificate_is_over() {
    let mut living = Living::enrolling();
    for failed in 0..5 {
        living.hears(Input::Enrolled(Err(refused(Reason::Overloaded))));
        assert_eq!(living.wakes().1, [Effect::Enroll(Key::Same)], "after {failed}");
    }
    living.hears(Input::Enrolled(Ok(given())));
    living.hears(Input::Opened(Err(Failure::ConnectionRefused(ConnectionRefusal::Expired))));
    assert_eq!(living.wakes(), (ENROLL_AGAIN_SPREAD, vec![Effect::Enroll(Key::New)]));
}

#[test]
fn rule_21_waits_double_and_a_wait_that_was_told_is_honoured() {
    let mut living = Living::enrolling();
    let mut waits = Vec::new();
    for _ in 0..9 {
        living.hears(Input::Enrolled(Err(unreachable())));
        waits.push(living.wakes().0.as_millis());
    }
    assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
    let busy = Refusal::new(Reason::Overloaded, "busy").retry_after(secs(7));
    living.hears(Input::Enrolled(Err(busy.into())));
    assert_eq!(living.wakes().0, secs(7) + Duration::from_millis(100));
}

#[test]
fn a_certificate_that_nobody_knows_ends_the_life_and_one_that_is_over_is_replaced() {
    let unknown = || Failure::ConnectionRefused(ConnectionRefusal::Unknown);
    let mut living = Living::degraded();
    assert_eq!(living.hears(Input::Opened(Err(unknown()))).last(), Some(&Effect::End(Err(unknown()))));

    let mut living = Living::degraded();
    living.now = secs(90);
    let effects = living.hears(Input::Opened(Err(unknown())));
    assert!(names(&effects).ends_with("Warn CertificateOver, Forget, Enroll New"), "{}", names(&effects));
    assert_eq!(living.life.phase(), Phase::Degraded);
}

#[test]
fn rule_17_a_revoked_node_is_told_what_its_certificate_was_told_while_that_was_valid() {
    for (at, told) in [(secs(2), revoked()), (secs(90), refused(Reason::NodeRevoked))] {
        let mut living = Living::degraded();
        living.now = at;
        living.hears(Input::Opened(Err(revoked())));
        living.passes(ENROLL_AGAIN_SPREAD);
        let effects = living.hears(Input::Enrolled(Err(refused(Reason::NodeRevoked))));
        assert_eq!(effects, [Effect::Unconfigure, Effect::End(Err(told))]);
    }
}

#[test]
fn what_a_node_goes_by_outlives_its_certificate_and_the_user_knows_it_once() {
    let mut living = Living::degraded();
    let mut told = Vec::new();
    while living.now < secs(200) {
        living.hears(Input::Opened(Err(unreachable())));
        told.extend(living.wakes().1.into_iter().filter(|effect| matches!(effect, Effect::Tell(_))));
    }
    assert_eq!(told, [Effect::Tell(Told::Degraded(config(7)))]);
    assert_eq!((living.life.phase(), living.life.acting()), (Phase::Degraded, Some(&config(7))));

    // and it comes back by itself
    living.hears(Input::Opened(Err(Failure::ConnectionRefused(ConnectionRefusal::Expired))));
    living.hears(Input::Enrolled(Ok(given())));
    let effects = living.hears(Input::Opened(Ok(Ok(config(7)))));
    assert_eq!(names(&effects), "Adopt, Tell Subscribed, Tell Configured, Keep, Act");
    assert_eq!(living.life.phase(), Phase::Active);
}

#[test]
fn without_a_journal_a_node_goes_by_what_an_earlier_process_had() {
    // at the first failure
    let mut living = Living::begin(Some(cached("compute-042")));
    living.hears(Input::Probed(Ok(())));
    assert_eq!(living.life.phase(), Phase::Enrolling);
    let effects = living.hears(Input::Enrolled(Err(unreachable())));
    assert_eq!(names(&effects), "Warn NotEnrolled, Tell Degraded, Act");
    assert_eq!(living.life.phase(), Phase::Degraded);

    // and if the first answer takes too long
    let mut living = Living::begin(Some(cached("compute-042")));
    living.hears(Input::Probed(Ok(())));
    let (waited, effects) = living.wakes();
    assert_eq!((waited, names(&effects).as_str()), (CACHE_AFTER, "Tell Degraded, Act"));

    // a crash leaves the former certificate active (R14)
    let mut living = Living::begin(Some(cached("compute-042")));
    living.hears(Input::Probed(Ok(())));
    living.hears(Input::Enrolled(Err(refused(Reason::AlreadyActive))));
    assert_eq!(living.life.acting(), Some(&config(3)));
}

#[test]
fn a_machine_that_is_no_node_goes_by_nothing() {
    for reason in [Reason::NodeNotEnrolled, Reason::HardwareMismatch, Reason::NodeRevoked] {
        let mut living = Living::begin(Some(cached("compute-042")));
        living.hears(Input::Probed(Ok(())));
        living.hears(Input::Enrolled(Err(unreachable())));
        living.passes(secs(1));
        let effects = living.hears(Input::Enrolled(Err(refused(reason))));
        assert!(effects.contains(&Effect::Unconfigure), "{reason}: {effects:?}");
        assert_eq!((living.life.acting(), living.life.cached()), (None, None));
    }
}

#[test]
fn what_was_kept_for_another_node_is_not_gone_by() {
    let mut living = Living::begin(Some(cached("compute-001")));
    living.hears(Input::Probed(Ok(())));
    let effects = living.hears(Input::Enrolled(Ok(given())));
    assert_eq!(names(&effects), "Unconfigure, Tell Enrolled, Open");
}

#[test]
fn a_journal_that_cannot_configure_a_node_is_asked_again_and_meanwhile_the_cache_counts() {
    let mut living = Living::begin(Some(cached("compute-042")));
    living.hears(Input::Probed(Ok(())));
    living.hears(Input::Enrolled(Ok(given())));
    let effects = living.hears(Input::Opened(Ok(Err(refused(Reason::Overloaded)))));
    assert_eq!(names(&effects), "Adopt, Tell Subscribed, Warn NotConfigured, Tell Degraded, Act");
    assert_eq!(living.wakes().1, [Effect::Fetch { held: None }]);
    let effects = living.hears(Input::Fetched(Ok(config(7))));
    assert_eq!(names(&effects), "Tell Configured, Keep, Act");
    assert_eq!((living.life.phase(), living.life.cached()), (Phase::Active, None));
}

#[test]
fn a_stream_that_was_sound_begins_its_waits_anew() {
    let mut living = Living::active();
    let mut lost_after = |lasted| {
        living.now += lasted;
        living.hears(Input::StreamEnded(unreachable()));
        let waited = living.wakes().0;
        living.hears(Input::Opened(Ok(Ok(config(7)))));
        waited.as_millis()
    };
    let lasted = [secs(1), secs(1), SOUND - secs(1), SOUND, secs(1)];
    assert_eq!(lasted.map(&mut lost_after), [200, 400, 800, 200, 400]);
}
