//! Panics: what one says, and those that tests plant.
//!
//! Whoever catches one ([`crate::init`], [`crate::services`], [`crate::status`]) tells it by [`told`]. Only `pact-agent-planted` has
//! `panic_if_asked`, which the feature `planted-panics` builds: each task that it names panics once if the environment names it. A test
//! looks for that variable in `pact-agent` and does not find it.
//!
//! **Invariant:** a task panics on purpose once in the life of a process, so that a test sees it go on.

use std::any::Any;
#[cfg(feature = "planted-panics")]
use std::{
    collections::BTreeSet,
    env,
    sync::{Mutex, PoisonError},
};

/// What a panic says.
pub(crate) fn told(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it said nothing")
}

/// Names of tasks, with commas.
#[cfg(feature = "planted-panics")]
const VARIABLE: &str = "PACT_PLANTED_PANICS";

#[cfg(feature = "planted-panics")]
static DONE: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

/// Panics if this task is named and has not panicked yet.
#[cfg(feature = "planted-panics")]
pub(crate) fn panic_if_asked(task: &'static str) {
    let asked = env::var(VARIABLE).is_ok_and(|tasks| tasks.split(',').any(|asked| asked == task));
    let first = asked && DONE.lock().unwrap_or_else(PoisonError::into_inner).insert(task);
    assert!(!first, "a panic was planted in {task}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_says_is_told() {
        let of = |panic: Box<dyn Any + Send>| told(&*panic).to_owned();
        assert_eq!(of(Box::new("a")), "a");
        assert_eq!(of(Box::new("b".to_owned())), "b");
        assert_eq!(of(Box::new(7)), "it said nothing");
    }
}
