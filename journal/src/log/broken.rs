//! The end of a log that can not be written any more: the first reason counts, everybody hears of it.
//!
//! The store reports here, the writer and the process listen. **Invariant:** what is broken stays broken; only a new
//! process opens the log again (R3).

use std::error::Error;
use std::future::Future;

use tokio::sync::watch;

/// See the module.
#[derive(Debug)]
pub(super) struct Broken(watch::Sender<Option<End>>);

/// The first thing that ended it.
#[derive(Debug, Clone)]
struct End {
    reason: String,
    /// It could be written, but this release does not understand what is to be written (R26).
    needs_upgrade: bool,
}

impl Broken {
    /// Not broken.
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// The log can not be written. Only the first reason is kept: the others follow from it.
    pub(super) fn report(&self, reason: String) {
        self.end(End { reason, needs_upgrade: false });
    }

    /// A later release wrote what comes next. It was not applied, and nothing was lost.
    pub(super) fn report_upgrade(&self, reason: String) {
        self.end(End { reason, needs_upgrade: true });
    }

    fn end(&self, end: End) {
        self.0.send_if_modified(|kept| {
            let first = kept.is_none();
            if first {
                let End { reason, needs_upgrade } = &end;
                tracing::error!(reason, needs_upgrade, "the log can not be written");
                *kept = Some(end);
            }
            first
        });
    }

    /// Why, if it is.
    pub(super) fn reason(&self) -> Option<String> {
        self.0.borrow().as_ref().map(|end| end.reason.clone())
    }

    /// Whether it is because this release is too old.
    pub(super) fn needs_upgrade(&self) -> bool {
        self.0.borrow().as_ref().is_some_and(|end| end.needs_upgrade)
    }

    /// Resolves with the reason when it is broken, never otherwise.
    pub(super) fn wait(&self) -> impl Future<Output = String> + Send + 'static {
        let mut reason = self.0.subscribe();
        async move {
            let broken = reason.wait_for(Option::is_some).await.map(|kept| kept.clone());
            match broken {
                Ok(Some(end)) => end.reason,
                // The log was stopped in peace, or (which `wait_for` excludes) there is no reason.
                Ok(None) | Err(_) => std::future::pending().await,
            }
        }
    }
}

/// An error with all its causes in one line.
pub(super) fn in_one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
