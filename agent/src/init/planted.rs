//! Panics for tests: each task of the first process panics once if the environment names it.
//!
//! Only `pact-agent-planted` has this module, which the feature `planted-panics` builds; a test looks for
//! [`VARIABLE`] in `pact-agent` and does not find it.
//!
//! **Invariant:** a task panics once in the life of a process, so that a test sees it go on.

use std::{
    collections::BTreeSet,
    env,
    sync::{Mutex, PoisonError},
};

/// Names of tasks, with commas.
const VARIABLE: &str = "PACT_PLANTED_PANICS";

static DONE: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

/// Panics if this task is named and has not panicked yet.
pub(super) fn panic_if_asked(task: &'static str) {
    let asked = env::var(VARIABLE).is_ok_and(|tasks| tasks.split(',').any(|asked| asked == task));
    let first = asked && DONE.lock().unwrap_or_else(PoisonError::into_inner).insert(task);
    assert!(!first, "a panic was planted in {task}");
}
