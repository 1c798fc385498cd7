//! What a life does because its time has come.
//!
//! **Invariant:** [`Life::wakes_at`] is when [`Life::begin_what_is_due`] has something to do, and never before.

use std::{mem, time::Duration};

use super::{
    CACHE_AFTER, Effect, Key, Life, Prefer, Told, Turn,
    stage::{Renewal, Stage, Try},
};

impl Life {
    /// When a step is to be taken even if nothing happens.
    pub(crate) fn wakes_at(&self) -> Option<Duration> {
        let stage = match &self.stage {
            Stage::Probing | Stage::Leaving | Stage::Ended => return None,
            Stage::Enrolling(enrolling) => enrolling.next.at(),
            Stage::Connecting(connecting) => {
                let over = connecting.certificate.expires_at;
                let over = (self.acting.is_some() && !self.is_told_degraded).then_some(over);
                [connecting.next.at(), over].into_iter().flatten().min()
            }
            Stage::Connected(connected) => {
                let renewal = match connected.renewal {
                    Renewal::NotBefore(at) => Some(at),
                    Renewal::Swapping(_) => None,
                    Renewal::Asking(next) | Renewal::Opening { next, .. } => next.at(),
                };
                [renewal, self.refresh.begins_at()].into_iter().flatten().min()
            }
        };
        let cache = (self.cached.is_some() && self.acting.is_none()).then_some(CACHE_AFTER);
        [stage, self.drains_until, cache].into_iter().flatten().min()
    }

    pub(super) fn begin_what_is_due(&mut self, turn: &mut Turn) {
        let (now, held) = (turn.now, self.refresh.held().cloned());
        match &mut self.stage {
            Stage::Enrolling(enrolling) => {
                if enrolling.next.begin(now) {
                    turn.order(Effect::Enroll(mem::replace(&mut enrolling.key, Key::Same)));
                }
            }
            Stage::Connecting(connecting) => {
                if connecting.next.begin(now) {
                    turn.order(Effect::Open { prefer: Prefer::Others, held });
                }
                if now >= connecting.certificate.expires_at
                    && !self.is_told_degraded
                    && let Some(config) = &self.acting
                {
                    turn.tell(Told::Degraded(config.clone()));
                    self.is_told_degraded = true;
                }
            }
            Stage::Connected(_) => self.begin_what_is_due_over_the_stream(turn),
            Stage::Probing | Stage::Leaving | Stage::Ended => return,
        }
        if self.drains_until.is_some_and(|until| until <= now) {
            self.drains_until = None;
            turn.order(Effect::Release);
        }
        if now >= CACHE_AFTER {
            self.go_by_the_cache(turn);
        }
    }

    fn begin_what_is_due_over_the_stream(&mut self, turn: &mut Turn) {
        let (now, held) = (turn.now, self.refresh.held().cloned());
        let Stage::Connected(connected) = &mut self.stage else { return };
        if let Renewal::NotBefore(at) = connected.renewal
            && at <= now
        {
            connected.renewal = Renewal::Asking(Try::At(now));
        }
        match &mut connected.renewal {
            Renewal::NotBefore(_) | Renewal::Swapping(_) => {}
            Renewal::Asking(next) => {
                if next.begin(now) {
                    let key = if self.next_key_is_used { Key::Same } else { Key::New };
                    self.next_key_is_used = true;
                    turn.order(Effect::Renew(key));
                }
            }
            Renewal::Opening { next, .. } => {
                if next.begin(now) {
                    turn.order(Effect::Open { prefer: Prefer::Others, held: held.clone() });
                }
            }
        }
        if self.refresh.begin(now) {
            turn.order(Effect::Fetch { held });
        }
    }
}
