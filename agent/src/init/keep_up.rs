//! Starts again what has failed or panicked.
//!
//! `init::live` puts each of its duties into [`keep_up`]. One that breaks stops no other: they share a thread, and a panic
//! ends where it is caught.
//!
//! Not here, on purpose: what unwinding cannot save (an abort, a full stack, memory that is gone). There the kernel stops
//! the machine, and `panic=` of its command line or the watchdog starts it again.
//!
//! **Invariant:** between two starts there is a pause, which doubles up to [`LONGEST`] while nothing lasts.

use std::{
    convert::Infallible,
    error::Error,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tokio::time;

use crate::panics;

/// The first pause.
const SHORTEST: Duration = Duration::from_secs(1);
/// No pause is longer: an operator who mends something does not want to wait for it.
const LONGEST: Duration = Duration::from_secs(60);

/// How long to wait before the next start.
#[derive(Debug, Default)]
pub(super) struct Pause {
    last: Duration,
    ended: Option<Instant>,
}

impl Pause {
    /// The pause after what has just ended. If it lasted for longer than the longest pause, pauses begin anew.
    pub(super) fn next(&mut self) -> Duration {
        self.after(Instant::now())
    }

    fn after(&mut self, now: Instant) -> Duration {
        let lasted =
            self.ended.is_some_and(|ended| now.saturating_duration_since(ended) > self.last + LONGEST);
        let doubled = if lasted { SHORTEST } else { (self.last * 2).clamp(SHORTEST, LONGEST) };
        (self.last, self.ended) = (doubled, Some(now));
        doubled
    }
}

/// Starts it, and again whenever it ends.
pub(super) async fn keep_up<F, E>(duty: &'static str, mut start: impl FnMut() -> F) -> Infallible
where
    F: Future<Output = Result<Infallible, E>>,
    E: Error,
{
    let mut pause = Pause::default();
    loop {
        // Boxed: with all duties in it the future of the whole would be moved about.
        match AssertUnwindSafe(Box::pin(start())).catch_unwind().await {
            Ok(Ok(never)) => match never {},
            Ok(Err(error)) => tracing::error!(duty, %error, "a duty has failed"),
            Err(panic) => tracing::error!(duty, panic = panics::told(&*panic), "a duty has panicked"),
        }
        time::sleep(pause.next()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, io};

    use super::*;

    #[test]
    fn pauses_double_to_a_bound_and_begin_anew_after_what_lasted() {
        let (mut pause, mut now) = (Pause::default(), Instant::now());
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(pause.after(now).as_secs(), seconds);
            now += Duration::from_secs(seconds);
        }
        now += LONGEST + Duration::from_millis(1);
        assert_eq!(pause.after(now), SHORTEST);
    }

    #[tokio::test]
    async fn what_fails_or_panics_is_started_again_and_stops_nothing_else() {
        let (starts, turns) = (Cell::new(0), Cell::new(0));
        let lives = tokio::sync::Notify::new();
        let broken = keep_up("broken", || async {
            starts.set(starts.get() + 1);
            match starts.get() {
                1 => return Err(io::Error::other("it broke")),
                2 => panic!("it panicked"),
                _ => lives.notify_one(),
            }
            std::future::pending().await
        });
        let sound = keep_up("sound", || async {
            let mut ticks = time::interval(Duration::from_millis(10));
            while turns.get() < u32::MAX {
                turns.set(turns.get() + 1);
                ticks.tick().await;
            }
            Err(io::Error::other("it never ends"))
        });
        let goes_on = async {
            tokio::select! { _ = broken => {} _ = sound => {} () = lives.notified() => {} }
        };
        time::timeout(Duration::from_secs(60), goes_on).await.unwrap();
        assert!(starts.get() == 3 && turns.get() > 10, "{} {}", starts.get(), turns.get());
    }
}
