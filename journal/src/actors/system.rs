//! The actix `System` on a thread of its own, with one arbiter (a thread with an event loop) a core for the actors.

use std::sync::mpsc;
use std::thread::JoinHandle;

use actix::{Arbiter, ArbiterHandle, System};

use crate::authority::Pool;

/// A running `System`. Stops when told to; its threads then end.
pub struct ActorSystem {
    system: System,
    thread: Option<JoinHandle<()>>,
    pool: Pool,
    arbiters: Vec<ArbiterHandle>,
}

/// Why there are no actors.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// No thread could be had.
    #[error("could not start the actors' thread")]
    Thread(#[source] std::io::Error),
    /// The thread ended before it was ready.
    #[error("the actors' thread ended at once")]
    Ended,
}

impl ActorSystem {
    /// Starts the system, its arbiters and the authority's pool.
    pub fn start() -> Result<Self, SystemError> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        // They decide and wait; more of them than that only wake each other up.
        let arbiters = cores.div_ceil(4);
        let (ready, started) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("pact-actors".to_owned())
            .spawn(move || {
                // The arbiters and the pool are started from here.
                proto::throughput::prefer_if_possible();
                let runner = System::new();
                runner.block_on(async {
                    let arbiters: Vec<_> = (0..arbiters).map(|_| Arbiter::new().handle()).collect();
                    // Whoever started this thread waits; if it is gone there is nothing to run for.
                    ready.send((System::current(), arbiters, Pool::start(None))).ok();
                });
                if let Err(error) = runner.run() {
                    tracing::error!(%error, "the actors' thread ended with an error");
                }
            })
            .map_err(SystemError::Thread)?;
        let (system, arbiters, pool) = started.recv().map_err(|_| SystemError::Ended)?;
        Ok(Self { system, thread: Some(thread), pool, arbiters })
    }

    /// The pool of the authority.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The event loops on which node actors live.
    pub fn arbiters(&self) -> &[ArbiterHandle] {
        &self.arbiters
    }

    /// Stops all actors and waits for their threads.
    pub fn stop(mut self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        self.system.stop();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            thread.join().ok();
        }
    }
}
