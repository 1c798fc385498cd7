//! The services that the boot configuration of a node declares: started in order, started again, stopped.
//!
//! [`crate::run`] has one [`Services`] if the agent runs services at all, and hands it every boot configuration that the node
//! goes by. `declaration` reads an overlay, `supervision` decides, `task` acts, `process` is one process.
//!
//! In maintenance mode only those run that say so. An overlay that cannot be read as a declaration changes nothing: what runs
//! goes on, and somebody is told.
//!
//! Not here, on purpose: time itself. A service may be marked as the one that synchronizes it; it starts before all others.
//!
//! **Invariant:** services run in a task of their own: if it panics, its processes end, and the next one begins anew.

mod declaration;
mod process;
mod supervision;
mod task;

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

pub use self::{
    declaration::{DeclarationError, Restart, Service, read},
    process::become_service,
    supervision::{Exit, News, Standing},
};
use crate::boot_config::BootConfig;

/// A task that has ended by itself is followed by the next after so long.
const AFTER_A_PANIC: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub struct Services {
    task: JoinHandle<()>,
    declared: watch::Sender<Vec<Service>>,
    stop: oneshot::Sender<()>,
    news: mpsc::UnboundedReceiver<News>,
    standings: watch::Receiver<Vec<Standing>>,
}

impl Services {
    /// None runs yet.
    pub fn start() -> Self {
        Self::start_with(Vec::new(), Duration::ZERO)
    }

    fn start_with(declared: Vec<Service>, after: Duration) -> Self {
        let (declared, declarations) = watch::channel(declared);
        let (stop, stopped) = oneshot::channel();
        // What is told is bounded by the pace of restarts.
        let (tell, news) = mpsc::unbounded_channel();
        let (standing, standings) = watch::channel(Vec::new());
        let task = tokio::spawn(task::supervise(after, declarations, stopped, tell, standing));
        Self { task, declared, stop, news, standings }
    }

    /// Runs what a boot configuration declares, and nothing else.
    ///
    /// # Errors
    /// If it cannot be read: what runs goes on.
    pub fn follow(&mut self, config: &BootConfig) -> Result<(), DeclarationError> {
        let overlay = config.overlay.as_ref().map_or(&[][..], |overlay| &overlay.bytes);
        let mut services = read(overlay)?.unwrap_or_default();
        if config.vcluster.is_none() {
            services.retain(|service| service.in_maintenance);
        }
        self.declared.send_replace(services);
        Ok(())
    }

    /// Runs nothing.
    pub fn clear(&mut self) {
        self.declared.send_replace(Vec::new());
    }

    /// What happens next to a service. May be dropped while it waits, and called again.
    pub async fn news(&mut self) -> News {
        loop {
            if let Some(news) = self.news.recv().await {
                return news;
            }
            tracing::error!("the supervision of services ended: its services are started anew");
            let declared = self.declared.borrow().clone();
            *self = Self::start_with(declared, AFTER_A_PANIC);
        }
    }

    /// How it is with each of them.
    pub fn standings(&self) -> Vec<Standing> {
        self.standings.borrow().clone()
    }

    /// Stops all of them, each within its own time.
    pub async fn stop(mut self) -> Vec<News> {
        if self.stop.send(()).is_ok() {
            self.task.await.ok();
        }
        let mut last = Vec::new();
        while let Ok(news) = self.news.try_recv() {
            last.push(news);
        }
        last
    }
}

/// What happened to services until all of them had stopped, if there were any.
pub(crate) async fn stopped(services: Option<Services>) -> Vec<News> {
    match services {
        Some(services) => services.stop().await,
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use events::vocabulary::Digest;

    use super::*;
    use crate::boot_config::Overlay;

    fn config(vcluster: Option<&str>, lines: &str) -> BootConfig {
        let text = format!(
            "pact_services = 1\n[[service]]\nname = \"a\"\ncommand = [\"/a\"]\nrestart = \"never\"\n{lines}\n"
        );
        let overlay = Overlay { sha256: Digest::of(text.as_bytes()), bytes: text.into_bytes() };
        let vcluster = vcluster.map(|name| name.parse().unwrap());
        BootConfig { vcluster, revision: 7, seq: 7, overlay: Some(Arc::new(overlay)) }
    }

    async fn tells_of(services: &mut Services) -> String {
        match services.news().await {
            News::Started { service, .. } => format!("{service} started"),
            News::Exited { service, .. } => format!("{service} exited"),
        }
    }

    #[tokio::test]
    async fn a_task_that_ends_is_followed_by_the_next_which_starts_what_was_declared() {
        let mut services = Services::start();
        services.follow(&config(Some("ml"), "")).unwrap();
        assert_eq!(tells_of(&mut services).await, "a started");
        services.task.abort();
        while tells_of(&mut services).await != "a started" {}
    }

    #[tokio::test]
    async fn in_maintenance_mode_only_those_run_that_say_so() {
        let mut services = Services::start();
        services.follow(&config(None, "")).unwrap();
        assert!(services.declared.borrow().is_empty());
        services.follow(&config(None, "in_maintenance = true")).unwrap();
        assert_eq!(services.declared.borrow().len(), 1);
        // One that cannot be read changes nothing.
        services.follow(&config(Some("ml"), "order = \"x\"")).unwrap_err();
        assert_eq!(services.declared.borrow().len(), 1);
        services.clear();
        assert!(services.declared.borrow().is_empty());
    }
}
