//! The threads that the made-up machines run on: one a core, each with a runtime of its own, as an agent has one.
//!
//! [`crate::fleet`] boots its machines here. On a runtime of several threads the parts of one machine would wander from
//! core to core, as those of a real agent, which has one thread, do not.
//!
//! **Invariant:** what was started on a thread stays there; the threads end when this is dropped.

use std::{io, thread};

use proto::outcome::Failure;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// Running threads.
#[derive(Debug)]
pub struct Clients {
    threads: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    runtime: Handle,
    /// Dropped when the thread is to end.
    _stop: oneshot::Sender<()>,
}

impl Clients {
    /// Starts a thread a core.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start() -> Result<Self, Failure> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads: Result<_, io::Error> = (0..cores).map(|_| Client::start()).collect();
        let threads = threads.map_err(|error| Failure::other(format!("a thread did not start: {error}")))?;
        Ok(Self { threads })
    }

    /// How many there are; at least one.
    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// The runtime of each, in the same order every time.
    pub fn runtimes(&self) -> impl Iterator<Item = &Handle> + Clone {
        self.threads.iter().map(|client| &client.runtime)
    }
}

impl Client {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        // It is not joined: what it runs may hold sockets that take a while, and the process ends without it.
        thread::Builder::new().name("machines".to_owned()).spawn(move || {
            proto::throughput::prefer_if_possible();
            runtime.block_on(stopped)
        })?;
        Ok(Self { runtime: handle, _stop: stop })
    }
}
