//! When to ask again: what may pass by itself, how long to wait, and when to give up.
//!
//! [`crate::enroll`], [`crate::run`] and [`crate::life`] ask it after every failed try. Waiting is spread by full jitter, so that the
//! nodes of a cluster that lost their journal at one moment do not come back at one moment.
//!
//! Not here, on purpose: a clock in the rules. All but the waiting of [`Tries`] is arithmetic, and tested as such.
//!
//! **Invariant:** a wait that a journal asked for is never cut short, and no wait is without a bound. One exception: a
//! journal that says `ALREADY_ACTIVE` tells the end of the grace period, or of a certificate, days away; an operator, or a
//! goodbye, may let the node in sooner.

use std::time::Duration;

use proto::{channel::ConnectionRefusal, outcome::Failure, reason::Reason};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::{self, Instant};
use tonic::Code;

use crate::{answer, boot_config};

/// The first wait is at most this long.
const FIRST: Duration = Duration::from_millis(200);
/// No wait that the agent chooses itself is longer.
const LONGEST: Duration = Duration::from_secs(30);
/// No wait that a journal asks for is believed beyond this; the drain of the largest queue is far shorter.
const LONGEST_TOLD: Duration = Duration::from_secs(300);
/// No wait for what an operator or time mends is longer, but for its spread.
const LONGEST_OUTLASTED: Duration = Duration::from_secs(60);
/// Nodes that were told one moment spread over this much.
const SPREAD: Duration = Duration::from_millis(100);

/// What a failed try means for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Asking again may succeed, after the journal's own wait if it told one.
    Again(Option<Duration>),
    /// Asking again would give the same answer.
    Final,
}

/// Whether asking again may help. A journal that is busy or without a leader, an internal failure and a lost
/// connection pass; a refusal stays, also one that this release does not know.
pub fn verdict(failure: &Failure) -> Verdict {
    match failure {
        Failure::Refused(refusal)
            if matches!(refusal.reason.code(), Code::Unavailable | Code::ResourceExhausted) =>
        {
            Verdict::Again(refusal.retry_after)
        }
        // The server's certificate, or this machine's clock, may be put right.
        Failure::Unreachable(_) | Failure::Deadline(_) | Failure::NotTrusted(_) | Failure::Evicted(_) => {
            Verdict::Again(None)
        }
        Failure::Failed { .. } if *failure.reason_text() == *Failure::other("").reason_text() => {
            Verdict::Again(None)
        }
        // What one journal sends, or what arrives of it, is not what the next one does.
        Failure::Failed { .. } if is_of_this_journal_alone(failure) => Verdict::Again(None),
        Failure::Refused(_)
        | Failure::ConnectionRefused(_)
        | Failure::Usage(_)
        | Failure::Violation(_)
        | Failure::Failed { .. } => Verdict::Final,
    }
}

/// Whether a journal sent what cannot be used: the next one is to be asked, and not this one again.
pub(crate) fn is_of_this_journal_alone(failure: &Failure) -> bool {
    [answer::REASON, boot_config::REASON].iter().any(|reason| failure.reason_text() == *reason)
}

/// Whether no other journal is to be asked. A journal that lags behind does not know a certificate yet that the others
/// know: only a round in which none serves ends with that.
pub(crate) fn ends_the_round(failure: &Failure) -> bool {
    verdict(failure) == Verdict::Final
        && !matches!(failure, Failure::ConnectionRefused(ConnectionRefusal::Unknown))
}

/// Refusals of an enrollment that the journal does not take back by itself, and what ends each of them.
const REMEDIES: [(Reason, &str); 3] = [
    (
        Reason::AlreadyActive,
        "this hardware is enrolled with another key; it is let in when that certificate or its activity ends, or after \
         `pact node revoke` and `pact node enroll`",
    ),
    (Reason::NodeNotEnrolled, "register this hardware with `pact node enroll`"),
    (
        Reason::HardwareMismatch,
        "correct the hardware file and start the agent again, or register the hardware that this machine has",
    ),
];

/// What time or an operator must do before a refused enrollment succeeds, as a sentence for the operator. `None`: the
/// journal alone decides (see [`verdict`]), or nothing helps.
pub fn remedy(failure: &Failure) -> Option<&'static str> {
    let Failure::Refused(refusal) = failure else { return None };
    REMEDIES.iter().find(|(reason, _)| *reason == refusal.reason).map(|(_, mended)| *mended)
}

/// How long to wait before the next try.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    failed: u32,
}

impl Backoff {
    /// The wait after one more failed try: drawn below a bound that doubles from try to try, or what the journal told
    /// and a little more.
    pub fn after(&mut self, told: Option<Duration>) -> Duration {
        self.drawn(told, random())
    }

    /// The wait after one more failed try; `None`: asking again would give the same answer.
    pub(crate) fn after_failure(&mut self, failure: &Failure, random: u64) -> Option<Duration> {
        match verdict(failure) {
            Verdict::Again(told) => Some(self.drawn(told, random)),
            Verdict::Final => None,
        }
    }

    /// The wait before a node that is not to be lost asks once more to be enrolled: also after a refusal that has a
    /// [`remedy`] (R14).
    pub(crate) fn after_refused_enrollment(&mut self, failure: &Failure, random: u64) -> Option<Duration> {
        match failure {
            Failure::Refused(refusal) if remedy(failure).is_some() => {
                Some(self.outlasting(refusal.retry_after, random))
            }
            Failure::Refused(_)
            | Failure::ConnectionRefused(_)
            | Failure::Unreachable(_)
            | Failure::NotTrusted(_)
            | Failure::Evicted(_)
            | Failure::Deadline(_)
            | Failure::Usage(_)
            | Failure::Violation(_)
            | Failure::Failed { .. } => self.after_failure(failure, random),
        }
    }

    /// As [`after`](Self::after), with a number that the caller drew.
    pub(crate) fn drawn(&mut self, told: Option<Duration>, random: u64) -> Duration {
        let doubled = self.doubled();
        match told {
            Some(told) => told.min(LONGEST_TOLD) + part(SPREAD, random),
            None => part(doubled.min(LONGEST), random),
        }
    }

    /// The wait after one more refusal that has a [`remedy`]. Nodes that crashed together were told about the same: a
    /// quarter more spreads them.
    fn outlasting(&mut self, told: Option<Duration>, random: u64) -> Duration {
        let doubled = self.doubled();
        match told {
            Some(told) => {
                let least = told.clamp(FIRST, LONGEST_OUTLASTED);
                least + part(least / 4, random)
            }
            None => part(doubled.min(LONGEST_OUTLASTED), random),
        }
    }

    /// The bound of this try, without its limit.
    fn doubled(&mut self) -> Duration {
        let doubled = FIRST.saturating_mul(2u32.saturating_pow(self.failed));
        self.failed = self.failed.saturating_add(1);
        doubled
    }
}

/// A part of a span: none of it for 0, all of it for the largest number.
pub(crate) fn part(span: Duration, random: u64) -> Duration {
    span.mul_f64(random as f64 / u64::MAX as f64)
}

/// A random number. Where the kernel gives none, always the same: jitter is no secret.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).ok();
    u64::from_be_bytes(bytes)
}

/// The tries of one thing: what [`verdict`], [`Backoff`] and [`Patience`] say, put into effect.
#[derive(Debug, Clone, Copy)]
pub struct Tries {
    backoff: Backoff,
    patience: Patience,
}

impl Tries {
    /// No try was made yet.
    pub fn new(patience: Patience) -> Self {
        Self { backoff: Backoff::default(), patience }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// With what to end instead: the failure of the last try if it is final, or that patience is over.
    pub async fn pause(&mut self, failure: Failure) -> Result<(), Failure> {
        let Verdict::Again(told) = verdict(&failure) else { return Err(failure) };
        // Somebody waits for the end, and a wrong CA file does not mend itself meanwhile.
        if self.patience.is_bounded() && matches!(failure, Failure::NotTrusted(_)) {
            return Err(failure);
        }
        let wait = self.backoff.after(told);
        if let Some(ended) = self.patience.ends_before(wait, &failure) {
            return Err(ended);
        }
        let reason = failure.reason_text();
        tracing::warn!(reason, message = %failure, wait_ms = wait.as_millis(), "no journal serves this node yet");
        time::sleep(wait).await;
        Ok(())
    }
}

/// The failure of a round of several journals that tells most: what a journal says before what TCP and TLS say, and
/// that all of them are strangers only if all of them are.
pub fn most_telling(kept: Option<Failure>, next: Failure) -> Failure {
    let rank = |failure: &Failure| match failure {
        Failure::NotTrusted(_) | Failure::Evicted(_) => 0,
        Failure::Unreachable(_) | Failure::Deadline(_) => 1,
        // It is final: what another journal says that may pass comes before it.
        Failure::ConnectionRefused(ConnectionRefusal::Unknown) => 2,
        Failure::Failed { .. } => 3,
        Failure::Refused(_) | Failure::ConnectionRefused(_) | Failure::Usage(_) | Failure::Violation(_) => 4,
    };
    match kept {
        Some(kept) if rank(&kept) > rank(&next) => kept,
        Some(_) | None => next,
    }
}

/// How long somebody wants to go on trying.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    until: Option<(Instant, Duration)>,
}

impl Patience {
    /// For ever.
    pub const ENDLESS: Self = Self { until: None };

    /// For so long, from this moment.
    pub fn of(span: Duration) -> Self {
        Self { until: Some((Instant::now() + span, span)) }
    }

    /// Whether it ends at some time.
    pub fn is_bounded(&self) -> bool {
        self.until.is_some()
    }

    /// How long a single step may take that should take no longer than `longest`.
    pub fn within(&self, longest: Duration) -> Duration {
        match self.until {
            Some((until, _)) => longest.min(until.saturating_duration_since(Instant::now())),
            None => longest,
        }
    }

    /// What to end with instead of waiting so long, if that is beyond patience.
    pub fn ends_before(&self, wait: Duration, last: &Failure) -> Option<Failure> {
        let (until, span) = self.until?;
        (Instant::now() + wait >= until).then(|| given_up(span, last))
    }
}

/// The last failure, told as the reason for giving up: exit code 3 either way.
fn given_up(span: Duration, last: &Failure) -> Failure {
    let told = format!("{last} (tried for {} s)", span.as_secs_f64());
    match last {
        Failure::Unreachable(_) => Failure::Unreachable(told),
        Failure::NotTrusted(_) => Failure::NotTrusted(told),
        Failure::Evicted(_) => Failure::Evicted(told),
        Failure::Deadline(_) => Failure::Deadline(told),
        Failure::Refused(_)
        | Failure::ConnectionRefused(_)
        | Failure::Usage(_)
        | Failure::Violation(_)
        | Failure::Failed { .. } => Failure::Deadline(format!("{}: {told}", last.reason_text())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::refusal::Refusal;

    use super::*;

    #[test]
    fn what_passes_by_itself_is_tried_again_and_other_refusals_are_final() {
        let slot = Duration::from_millis(700);
        for reason in Reason::ALL {
            let refused = Failure::from(Refusal::new(*reason, "").retry_after(slot));
            let passes = matches!(reason.code(), Code::Unavailable | Code::ResourceExhausted);
            let expected = if passes { Verdict::Again(Some(slot)) } else { Verdict::Final };
            assert_eq!(verdict(&refused), expected, "{reason}");
        }
        for (failure, expected) in [
            (Failure::Unreachable(String::new()), Verdict::Again(None)),
            (Failure::Deadline(String::new()), Verdict::Again(None)),
            (Failure::Evicted(String::new()), Verdict::Again(None)),
            (Failure::other("it broke"), Verdict::Again(None)),
            (Failure::named(answer::REASON, "of another key"), Verdict::Again(None)),
            (Failure::named("NODE_ON_FIRE", "of a newer journal"), Verdict::Final),
            (Failure::ConnectionRefused(ConnectionRefusal::Revoked), Verdict::Final),
        ] {
            assert_eq!(verdict(&failure), expected, "{failure:?}");
        }
    }

    #[test]
    fn waits_double_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..10).map(|_| backoff.drawn(None, u64::MAX).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
    }

    #[test]
    fn only_what_time_or_an_operator_mends_is_outlasted() {
        let mended: Vec<Reason> = Reason::ALL
            .iter()
            .copied()
            .filter(|reason| remedy(&Failure::from(Refusal::new(*reason, ""))).is_some())
            .collect();
        assert_eq!(mended, [Reason::NodeNotEnrolled, Reason::AlreadyActive, Reason::HardwareMismatch]);
        assert_eq!(remedy(&Failure::ConnectionRefused(ConnectionRefusal::Revoked)), None);
    }

    #[test]
    fn rule_14_the_end_of_another_certificate_is_awaited_a_minute_at_a_time() {
        let mut backoff = Backoff::default();
        for (told, least, most) in [(259_200_000, 60_000, 75_000), (8_000, 8_000, 10_000), (0, 200, 250)] {
            let told = Some(Duration::from_millis(told));
            assert_eq!(backoff.outlasting(told, 0), Duration::from_millis(least));
            assert_eq!(backoff.outlasting(told, u64::MAX), Duration::from_millis(most));
        }
    }

    #[test]
    fn waits_for_an_operator_double_up_to_a_minute() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..11).map(|_| backoff.outlasting(None, u64::MAX).as_millis()).collect();
        let expected = [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000];
        assert_eq!(waits, expected);
    }

    #[test]
    fn giving_up_keeps_the_last_reason_and_exits_with_3() {
        for last in [
            Failure::Unreachable("nobody".to_owned()),
            Failure::NotTrusted("stranger".to_owned()),
            Failure::from(Refusal::new(Reason::Overloaded, "busy")),
            Failure::other("it broke"),
        ] {
            let ended = given_up(Duration::from_millis(1500), &last);
            assert_eq!(ended.exit() as u8, 3, "{ended:?}");
            assert!(ended.to_string().ends_with(&format!("{last} (tried for 1.5 s)")), "{ended}");
        }
    }

    #[test]
    fn a_journal_s_word_tells_more_than_a_lost_connection() {
        let busy = || Failure::from(Refusal::new(Reason::Overloaded, "busy"));
        let nobody = || Failure::Unreachable("nobody".to_owned());
        let stranger = || Failure::NotTrusted("stranger".to_owned());
        assert_eq!(most_telling(Some(busy()), nobody()), busy());
        assert_eq!(most_telling(Some(nobody()), busy()), busy());
        assert_eq!(most_telling(Some(nobody()), stranger()), nobody());
        assert_eq!(most_telling(None, stranger()), stranger());
        let unknown = || Failure::ConnectionRefused(ConnectionRefusal::Unknown);
        for (other, telling) in [(busy(), busy()), (nobody(), unknown()), (stranger(), unknown())] {
            assert_eq!(most_telling(Some(other.clone()), unknown()), telling);
            assert_eq!(most_telling(Some(unknown()), other), telling);
        }
    }

    #[tokio::test]
    async fn a_wrong_ca_ends_only_tries_that_somebody_waits_for() {
        let stranger = Failure::NotTrusted("stranger".to_owned());
        let hour = Patience::of(Duration::from_secs(3600));
        assert_eq!(Tries::new(hour).pause(stranger.clone()).await, Err(stranger.clone()));
        assert_eq!(Tries::new(Patience::ENDLESS).pause(stranger).await, Ok(()));
    }

    #[test]
    fn patience_ends_before_a_wait_that_is_too_long() {
        let (last, hour) = (Failure::other("it broke"), Duration::from_secs(3600));
        assert_eq!(Patience::ENDLESS.ends_before(hour, &last), None);
        assert_eq!(Patience::ENDLESS.within(hour), hour);
        let patience = Patience::of(Duration::from_secs(600));
        assert_eq!(patience.ends_before(Duration::from_secs(1), &last), None);
        assert!(patience.ends_before(hour, &last).is_some());
        assert!(patience.within(hour) <= Duration::from_secs(600));
    }

    #[test]
    fn rule_19_nodes_that_lost_their_journal_at_one_moment_come_back_at_all_moments_alike() {
        for failed in [0, 3, 20] {
            let bound = FIRST.saturating_mul(2u32.saturating_pow(failed)).min(LONGEST);
            let (nodes, mut tenths) = (10_000u32, [0u32; 10]);
            for _ in 0..nodes {
                let wait = Backoff { failed }.after(None);
                assert!(wait <= bound);
                tenths[((wait.as_secs_f64() / bound.as_secs_f64() * 10.0) as usize).min(9)] += 1;
            }
            // A thousand in each tenth of the time, within six standard deviations of 30.
            assert!(tenths.iter().all(|count| count.abs_diff(nodes / 10) <= 180), "{tenths:?}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_that_was_told_is_never_cut_short(failed in 0u32..100, millis in 0u64..300_000, random: u64) {
            let told = Duration::from_millis(millis);
            let wait = Backoff { failed }.drawn(Some(told), random);
            prop_assert!(wait >= told && wait <= told + SPREAD);
        }

        #[test]
        fn no_wait_is_without_a_bound(failed: u32, told: Option<u64>, random: u64) {
            let wait = Backoff { failed }.drawn(told.map(Duration::from_secs), random);
            prop_assert!(wait <= LONGEST_TOLD + SPREAD);
        }
    }
}
