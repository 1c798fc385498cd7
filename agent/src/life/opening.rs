//! What becomes of a stream that was opened: the first, the next certificate's, or another identity's.
//!
//! **Invariant:** while there is a present stream, one that could not be opened changes nothing of it.

use proto::outcome::Failure;

use super::{
    DRAINED_AFTER, Effect, Life, Prefer, Turn, Warning,
    stage::{Renewal, Stage, Validity},
};
use crate::{
    boot_config::BootConfig,
    retry::{Verdict, verdict},
};

impl Life {
    pub(super) fn opened(&mut self, opened: Result<Result<BootConfig, Failure>, Failure>, turn: &mut Turn) {
        match (&mut self.stage, opened) {
            (Stage::Connecting(connecting), Ok(answer)) => {
                let (certificate, backoff) = (connecting.certificate, connecting.backoff);
                self.adopt(certificate, backoff, answer, turn);
            }
            (Stage::Connecting(_), Err(failure)) => self.not_subscribed(failure, turn),
            (Stage::Connected(connected), Ok(answer)) => {
                let certificate = match connected.renewal {
                    Renewal::Opening { certificate, .. } => certificate,
                    Renewal::Swapping(renew_at) => {
                        Validity { renew_at, is_lent: true, ..connected.certificate }
                    }
                    Renewal::NotBefore(_) | Renewal::Asking(_) => return,
                };
                let backoff = connected.connecting;
                self.drains_until = Some(turn.now + DRAINED_AFTER);
                self.adopt(certificate, backoff, answer, turn);
            }
            (Stage::Connected(connected), Err(failure)) => {
                let certificate = match connected.renewal {
                    Renewal::Opening { certificate, .. } => certificate,
                    Renewal::Swapping(renew_at) => {
                        connected.renewal = Renewal::NotBefore(renew_at);
                        turn.warn(Warning::NotSwapped { failure });
                        return turn.order(Effect::Stay);
                    }
                    Renewal::NotBefore(_) | Renewal::Asking(_) => return,
                };
                // Whatever it is told: while the present stream lives, so does the node.
                let told = match verdict(&failure) {
                    Verdict::Again(told) => told,
                    Verdict::Final => None,
                };
                self.not_renewed(failure, told, Some(certificate), turn);
            }
            (Stage::Probing | Stage::Enrolling(_) | Stage::Leaving | Stage::Ended, _) => {}
        }
    }

    /// Opens a stream with another identity, unless the next certificate is on its way: that one has a stream opened anyway.
    pub(super) fn swap(&mut self, turn: &mut Turn) {
        if matches!(self.stage, Stage::Leaving | Stage::Ended) {
            return;
        }
        if let Stage::Connected(connected) = &mut self.stage
            && let Renewal::NotBefore(at) = connected.renewal
        {
            connected.renewal = Renewal::Swapping(at);
            let held = self.refresh.held().cloned();
            turn.order(Effect::Open { prefer: Prefer::Serving, held });
        } else {
            turn.order(Effect::Stay);
        }
    }
}
