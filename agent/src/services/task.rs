//! The task that supervises services: does what [`Supervision`] orders.
//!
//! **Invariant:** when it ends, however that is, the processes that it started are ended.

use std::{collections::BTreeMap, time::Duration};

use rustix::process::Signal;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{self, Instant},
};

use super::{
    News, Service, Standing,
    process::{self, SIGNALS},
    supervision::{Effect, Input, Supervision},
};
use crate::retry;

/// A process tells of its start and its end: as much as that of all services at one moment.
const TOLD: usize = 2 * super::declaration::SERVICES;

/// Runs until it is told to stop, or nobody is left who could tell.
pub(super) async fn supervise(
    after: Duration,
    mut declared: watch::Receiver<Vec<Service>>,
    mut stop: oneshot::Receiver<()>,
    news: mpsc::UnboundedSender<News>,
    standings: watch::Sender<Vec<Standing>>,
) {
    time::sleep(after).await;
    let began = Instant::now();
    let (tell, mut told) = mpsc::channel(TOLD);
    let mut supervision = Supervision::default();
    let mut signals = BTreeMap::new();
    let mut is_stopping = false;
    declared.mark_changed();
    loop {
        let wake = supervision.wakes_at().map(|at| began + at);
        let input = tokio::select! {
            changed = declared.changed(), if !is_stopping => match changed {
                Ok(()) => Input::Declare(declared.borrow_and_update().clone()),
                // The processes end with the senders of their signals.
                Err(_) => return,
            },
            told = &mut stop, if !is_stopping => match told {
                Ok(()) => {
                    is_stopping = true;
                    Input::Stop
                }
                Err(_) => return,
            },
            Some(input) = told.recv() => input,
            () = time::sleep_until(wake.unwrap_or(began)), if wake.is_some() => Input::Time,
        };
        #[cfg(feature = "planted-panics")]
        if matches!(input, Input::Time) {
            crate::panics::panic_if_asked("supervisor");
        }
        let mut is_over = false;
        for effect in supervision.step(input, began.elapsed(), retry::random()) {
            match effect {
                Effect::Start(service) => {
                    let (sender, receiver) = mpsc::channel(SIGNALS);
                    signals.insert(service.name.clone(), sender);
                    tokio::spawn(process::attend(service, receiver, tell.clone()));
                }
                Effect::Terminate(name) => send(&signals, &name, Signal::TERM),
                Effect::Kill(name) => send(&signals, &name, Signal::KILL),
                Effect::Tell(told) => drop(news.send(told)),
                Effect::Done => is_over = true,
            }
        }
        standings.send_replace(supervision.standings());
        if is_over {
            return;
        }
    }
}

/// Who has ended already takes none.
fn send(signals: &BTreeMap<String, mpsc::Sender<Signal>>, name: &str, signal: Signal) {
    if let Some(sender) = signals.get(name) {
        sender.try_send(signal).ok();
    }
}
