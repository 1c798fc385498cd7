//! What an agent has beside its node: the services that it runs, what it keeps for the next process, and where it says how it is.
//!
//! **Invariant:** none of it keeps a node from being enrolled: what does not work is told, and the life goes on.

use std::path::{Path, PathBuf};

use tokio::sync::watch;

use super::Keeps;
use crate::{
    boot_config::BootConfig,
    cache::{Cache, CacheError},
    life::Cached,
    services::{News, Services},
    status::{Desk, LastFailure, Snapshot},
};

/// See the module.
#[derive(Debug)]
pub(super) struct Companions {
    cache: Option<Cache>,
    /// Taken when the agent leaves.
    pub(super) services: Option<Services>,
    /// Why the present overlay changes nothing.
    unusable: Option<LastFailure>,
    shown: watch::Sender<Snapshot>,
    socket: Option<PathBuf>,
    desk: Option<Desk>,
}

impl Companions {
    pub(super) fn of(keeps: &Keeps) -> Self {
        let shown = watch::channel(Snapshot::new()).0;
        let socket = keeps.socket.clone();
        let desk = opened(socket.as_deref(), &shown);
        let services = keeps.services.then(Services::start);
        Self { cache: keeps.cache.clone(), services, unusable: None, shown, socket, desk }
    }

    /// What an earlier process was configured by.
    pub(super) fn cached(&self) -> Option<Cached> {
        let read = self.cache.as_ref()?.read();
        read.inspect_err(|error| tracing::warn!(%error, "what was kept is not used")).ok().flatten()
    }

    /// The next process is to find this.
    pub(super) fn keep(&self, cached: &Cached) {
        if let Some(cache) = &self.cache {
            tell(cache.write(cached));
        }
    }

    /// The node goes by this.
    pub(super) fn act(&mut self, config: &BootConfig) {
        if config.vcluster.is_none() {
            tracing::info!("maintenance mode: this node is assigned to no vCluster");
        }
        let followed = self.services.as_mut().map_or(Ok(()), |services| services.follow(config));
        self.unusable = followed.err().map(|error| {
            tracing::warn!(%error, "the services of this overlay are not run: those that run go on");
            LastFailure { reason: "SERVICES_INVALID".to_owned(), message: error.to_string() }
        });
    }

    /// The node goes by nothing any more, and neither does the next process.
    pub(super) fn unconfigure(&mut self) {
        self.unusable = None;
        if let Some(services) = &mut self.services {
            services.clear();
        }
        if let Some(cache) = &self.cache {
            tell(cache.remove());
        }
    }

    /// What happens next to a service. May be dropped while it waits, and called again.
    pub(super) async fn news(&mut self) -> News {
        match &mut self.services {
            Some(services) => services.news().await,
            None => std::future::pending().await,
        }
    }

    /// Whoever asks is told this from now on.
    pub(super) fn show(&mut self, mut snapshot: Snapshot) {
        if let Some(services) = &self.services {
            snapshot.services = services.standings();
        }
        snapshot.last_failure = self.unusable.clone().or(snapshot.last_failure);
        self.shown.send_if_modified(|shown| {
            let is_another = *shown != snapshot;
            *shown = snapshot;
            is_another
        });
        if self.desk.as_ref().is_some_and(Desk::is_closed) {
            tracing::error!("the task that tells the status ended: it begins anew");
            self.desk = None;
            self.desk = opened(self.socket.as_deref(), &self.shown);
        }
    }
}

fn opened(socket: Option<&Path>, shown: &watch::Sender<Snapshot>) -> Option<Desk> {
    let socket = socket?;
    let (opened, path) = (Desk::open(socket, shown.subscribe()), socket.display());
    opened.inspect_err(|error| tracing::info!(%path, %error, "no status can be asked for")).ok()
}

fn tell(done: Result<(), CacheError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "the next process will not find what this node goes by");
    }
}
