//! The kernel's random numbers: a machine that has just started may have none that are good yet.
//!
//! [`crate::run`] waits here before the first key is made, and [`crate::init`] before the network is asked for. The kernel is asked
//! without waiting. Only if it has none, somebody is told, and a thread of its own waits: meanwhile the watchdog is written to, orphans
//! are reaped, and a stop is heard.
//!
//! Not here, on purpose: the numbers themselves, and how the kernel comes by them.
//!
//! **Invariant:** no key is made of numbers that the kernel does not vouch for.

use std::thread;

use rustix::{
    io::Errno,
    rand::{GetRandomFlags, getrandom},
};
use tokio::sync::oneshot;

/// Comes back when they are there. May be dropped while it waits.
pub(crate) async fn is_there() {
    wait_for(|flags| getrandom(&mut [0; 1], flags).map(drop)).await;
}

/// Answers whether they had to be waited for. What the kernel answers otherwise, as one that does not know the question, is told to
/// who draws them.
async fn wait_for(ask: impl Fn(GetRandomFlags) -> Result<(), Errno> + Send + 'static) -> bool {
    if ask(GetRandomFlags::NONBLOCK) != Err(Errno::AGAIN) {
        return false;
    }
    tracing::warn!("waiting for the kernel's entropy");
    let (tell, told) = oneshot::channel();
    let wait = move || {
        while ask(GetRandomFlags::empty()) == Err(Errno::INTR) {}
        tell.send(()).ok();
    };
    match thread::Builder::new().name("entropy".to_owned()).spawn(wait) {
        // It ends by itself, also when nobody waits any more.
        Ok(_) => drop(told.await),
        Err(error) => tracing::warn!(%error, "no thread waits for it: who draws the first number does"),
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};

    use super::*;

    type Asked = Arc<Mutex<Vec<GetRandomFlags>>>;

    #[tokio::test]
    async fn a_kernel_that_has_its_entropy_is_asked_once_and_not_waited_for() {
        for answer in [Ok(()), Err(Errno::NOSYS)] {
            let asked = Asked::default();
            let seen = Arc::clone(&asked);
            let waited = wait_for(move |flags| {
                seen.lock().unwrap().push(flags);
                answer
            });
            assert!(!waited.await);
            assert_eq!(*asked.lock().unwrap(), [GetRandomFlags::NONBLOCK]);
        }
        // This one has it.
        is_there().await;
    }

    #[tokio::test]
    async fn one_that_has_none_yet_is_waited_for_and_holds_up_nothing_else() {
        let (asked, (comes, awaited)) = (Asked::default(), mpsc::channel());
        let (seen, awaited) = (Arc::clone(&asked), Mutex::new(awaited));
        let waiting = wait_for(move |flags| {
            seen.lock().unwrap().push(flags);
            if flags == GetRandomFlags::NONBLOCK {
                return Err(Errno::AGAIN);
            }
            awaited.lock().unwrap().recv().unwrap()
        });
        tokio::pin!(waiting);

        // Others on this thread go on.
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("there is none yet"),
            () = tokio::task::yield_now() => {}
        }
        // A signal is no number.
        comes.send(Err(Errno::INTR)).unwrap();
        comes.send(Ok(())).unwrap();

        assert!(waiting.await);
        let [without, with] = [GetRandomFlags::NONBLOCK, GetRandomFlags::empty()];
        assert_eq!(*asked.lock().unwrap(), [without, with, with]);
    }
}
