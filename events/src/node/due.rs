//! What time itself orders about a node: its silence has lasted too long, its certificate is over, or it is here after
//! all (R19, design §5).
//!
//! The journal's timers call [`next_due`] when a node's state or presence changes, and [`due`] when that moment has come.
//! Both are pure: a timer that comes too early orders nothing.
//!
//! Not here: who is present (each journal sees its own streams), and waiting.

use std::time::Duration;

use crate::vocabulary::{Serial, Timestamp};

use super::command::Command;
use super::event::DeactivationCause;
use super::state::State;

/// A certificate begins 5 minutes before its issuance; some seconds after that its first use must have been noted.
const NOTED_AGAIN: Duration = Duration::from_secs(310);

/// What is known of a node's subscription streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// One is open that this certificate opened.
    Connected {
        /// The certificate.
        serial: Serial,
    },
    /// None is open.
    Absent {
        /// The last one ended then; or the node's certificate was issued, or the journal started, if that was later.
        since: Timestamp,
    },
}

/// When time orders something about a node next. None: not before something else happens to it.
pub fn next_due(state: &State, presence: Presence, grace: Duration) -> Option<Timestamp> {
    match (state, presence) {
        // Whose first use was noted and came to nothing: it is noted again, once.
        (State::Active { current, .. }, Presence::Connected { serial })
            if current.certificate.serial == serial && current.confirmed_at.is_none() =>
        {
            Some(current.certificate.not_before.plus(NOTED_AGAIN).min(current.certificate.not_after))
        }
        (State::Active { current, .. }, Presence::Connected { .. }) => Some(current.certificate.not_after),
        (State::Active { current, .. }, Presence::Absent { since }) => {
            Some(current.certificate.not_after.min(since.plus(grace)))
        }
        // The stream that is open shows a node that was given up too early.
        (State::Inactive { current: Some(current), .. }, Presence::Connected { serial })
            if current.certificate.serial == serial =>
        {
            Some(Timestamp::default())
        }
        (State::Unknown | State::Registered { .. } | State::Inactive { .. } | State::Revoked { .. }, _) => {
            None
        }
    }
}

/// What time orders about a node at a moment. The grace period is over when it has lasted as long as it is, not before.
pub fn due(state: &State, presence: Presence, grace: Duration, now: Timestamp) -> Option<Command> {
    if next_due(state, presence, grace).is_none_or(|moment| moment > now) {
        return None;
    }
    match (state, presence) {
        (State::Active { current, .. }, _) if current.is_expired(now) => {
            Some(Command::Deactivate { cause: DeactivationCause::Expiry, now })
        }
        (State::Active { .. }, Presence::Absent { .. }) => {
            Some(Command::Deactivate { cause: DeactivationCause::Silence, now })
        }
        (State::Active { current, .. }, Presence::Connected { serial })
            if current.certificate.serial == serial && current.confirmed_at.is_none() =>
        {
            Some(Command::Confirm { serial, now })
        }
        (State::Inactive { current: Some(current), .. }, Presence::Connected { serial })
            if !current.is_expired(now) =>
        {
            Some(Command::Confirm { serial, now })
        }
        (
            State::Unknown
            | State::Registered { .. }
            | State::Active { .. }
            | State::Inactive { .. }
            | State::Revoked { .. },
            _,
        ) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{DAY, Log, at, goodbye, node, put_away, serial};

    const GRACE: Duration = Duration::from_secs(300);
    const SILENCE: DeactivationCause = DeactivationCause::Silence;
    const EXPIRY: DeactivationCause = DeactivationCause::Expiry;

    /// n1, active with the certificate 1 that ends after 3 days.
    fn active() -> State {
        Log::enrolled().views().registry.node(&node("n1")).unwrap().state.clone()
    }

    fn then(event: crate::node::Event) -> State {
        let mut log = Log::enrolled();
        log.of("n1", event);
        log.views().registry.node(&node("n1")).unwrap().state.clone()
    }

    fn absent(secs: u64) -> Presence {
        Presence::Absent { since: at(secs) }
    }

    fn here(number: u8) -> Presence {
        Presence::Connected { serial: serial(number) }
    }

    fn ordered(state: &State, presence: Presence, secs: u64) -> Option<DeactivationCause> {
        let command = due(state, presence, GRACE, at(secs))?;
        let Command::Deactivate { cause, now } = command else { panic!("{command:?}") };
        assert_eq!(now, at(secs));
        Some(cause)
    }

    #[test]
    fn rule_19_a_silent_node_is_active_at_4_59_and_given_up_at_5_00() {
        assert_eq!(next_due(&active(), absent(10), GRACE), Some(at(310)));
        assert_eq!(ordered(&active(), absent(10), 309), None);
        assert_eq!(ordered(&active(), absent(10), 310), Some(SILENCE));
        assert_eq!(ordered(&active(), absent(10), 311), Some(SILENCE));
    }

    #[test]
    fn rule_19_a_node_whose_stream_is_open_is_never_silent() {
        assert_eq!(next_due(&active(), here(1), GRACE), Some(at(3 * DAY)));
        assert_eq!(ordered(&active(), here(1), 3 * DAY - 1), None);
    }

    #[test]
    fn a_certificate_is_over_at_its_end_and_not_before_whoever_is_connected() {
        for presence in [here(1), absent(3 * DAY - 1)] {
            assert_eq!(ordered(&active(), presence, 3 * DAY - 1), None);
            assert_eq!(ordered(&active(), presence, 3 * DAY), Some(EXPIRY));
        }
        // Both at once: the certificate's end says more.
        assert_eq!(ordered(&active(), absent(0), 4 * DAY), Some(EXPIRY));
    }

    #[test]
    fn rule_19_a_node_that_was_given_up_while_its_stream_lives_comes_back() {
        let given_up = then(crate::samples::deactivated(SILENCE));
        let back = Some(Command::Confirm { serial: serial(1), now: at(400) });
        assert_eq!(due(&given_up, here(1), GRACE, at(400)), back);
        assert_eq!(due(&given_up, here(2), GRACE, at(400)), None, "a stream of another certificate");
        assert_eq!(due(&given_up, here(1), GRACE, at(3 * DAY)), None, "its certificate is over");
    }

    #[test]
    fn a_first_use_that_was_not_recorded_is_noted_again_while_the_stream_is_open() {
        let mut log = Log::new();
        log.of("n1", crate::samples::registered(1, &[1])).of("n1", crate::samples::enrolled(1, 0, &[1]));
        let unconfirmed = log.views().registry.node(&node("n1")).unwrap().state.clone();
        assert_eq!(due(&unconfirmed, here(1), GRACE, at(9)), None);
        let again = Some(Command::Confirm { serial: serial(1), now: at(10) });
        assert_eq!(due(&unconfirmed, here(1), GRACE, at(10)), again);
        assert_eq!(due(&unconfirmed, here(2), GRACE, at(10)), None, "a stream of another certificate");
        assert_eq!(due(&active(), here(1), GRACE, at(10)), None, "it is confirmed");
    }

    #[test]
    fn time_orders_nothing_about_a_node_that_is_not_active() {
        let unregistered = State::Unknown;
        let registered = Log::enrolled().views().registry.node(&node("n2")).unwrap().state.clone();
        for state in [unregistered, registered, then(goodbye()), then(put_away(1))] {
            assert_eq!(next_due(&state, absent(0), GRACE), None, "{state:?}");
            assert_eq!(due(&state, absent(0), GRACE, at(9 * DAY)), None);
        }
        assert_eq!(next_due(&then(put_away(1)), here(1), GRACE), None, "an operator ended the certificate");
    }
}
