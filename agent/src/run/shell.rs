//! The shell of a [`Life`]: does what it orders, and tells it what comes of that.
//!
//! [`super::until`] runs one. Here are the keys, the connections, the clock and chance.
//!
//! Not here, on purpose: what comes after what ([`crate::life`]).
//!
//! **Invariant:** a key leaves this process in no form (R18).

use std::{collections::VecDeque, sync::Arc};

use events::vocabulary::CertificateHash;
use proto::{
    channel::{Connection, JournalAddress},
    outcome::Failure,
    pb::journal_message::Message,
    pem_file::Credential,
};
use tokio::time::{self, Instant};

use super::{
    Agent, Caller, Leaving,
    climb::proof,
    companions::Companions,
    errands::{Errands, Outcome},
    farewell::{self, Farewell},
    log,
    rungs::Rungs,
};
use crate::{
    answer::Identity,
    boot_config::{self, BootConfig},
    enroll::{self, Enrolled},
    journals::{self, Journals, Preference},
    key::NodeKey,
    life::{Cached, Effect, Given, Heard, Input, Key, Life, Prefer, Told, is_refused},
    machine::Machine,
    marks::Marks,
    renew,
    report::{Change, Enrollment, Report},
    retry::{self, Patience},
    services::{News, stopped},
    status::{LastFailure, Proof, Snapshot},
    subscription::Subscription,
};

/// See the module.
pub(super) struct Shell<'a> {
    pub(super) agent: &'a Agent,
    pub(super) report: &'a Report,
    life: Life,
    began: Instant,
    /// What happened while something was done.
    pub(super) happened: VecDeque<Input>,
    machine: Option<Machine>,
    /// Those that were given, and those that journals told.
    journals: Journals,
    /// Until there is a better identity.
    bootstrap: Option<Credential>,
    key: Option<Arc<NodeKey>>,
    /// The key of a renewal that is under way.
    next_key: Option<Arc<NodeKey>>,
    /// With the newest certificate.
    pub(super) identity: Option<Identity>,
    /// The workload identity by which the node goes, as its user knows.
    pub(super) goes_by: Option<CertificateHash>,
    /// The journal that answered last, and what was told of all with the newest certificate.
    pub(super) journal: Option<JournalAddress>,
    pub(super) told: journals::Told,
    /// The present stream.
    open: Option<Subscription>,
    /// One that the life has not taken up yet.
    opened: Option<Subscription>,
    /// The one that the present stream replaced.
    draining: Option<Subscription>,
    pub(super) errands: Errands,
    companions: Companions,
    marks: Marks,
    /// Sessions that run on the node.
    sessions: u32,
    /// By which identity the node goes.
    pub(super) rungs: Rungs,
    end: Option<Result<(), Failure>>,
}

impl<'a> Shell<'a> {
    pub(super) fn new(agent: &'a Agent, report: &'a Report) -> Self {
        let began = Instant::now();
        Self {
            agent,
            report,
            life: Life::new(),
            began,
            happened: VecDeque::new(),
            machine: None,
            journals: agent.journals.clone(),
            bootstrap: agent.bootstrap.clone(),
            key: None,
            next_key: None,
            identity: None,
            goes_by: None,
            journal: None,
            told: journals::Told::default(),
            open: None,
            opened: None,
            draining: None,
            errands: Errands::default(),
            companions: Companions::of(&agent.keeps),
            marks: Marks::in_folder(agent.keeps.sessions.clone()),
            sessions: 0,
            rungs: Rungs::new(agent.workload_api.as_ref(), began),
            end: None,
        }
    }

    /// The whole life.
    pub(super) async fn live(&mut self, stop: impl Future<Output = Leaving>) -> Result<(), Failure> {
        tokio::pin!(stop);
        let mut is_stopped = false;
        self.happened.push_back(Input::Begin(self.companions.cached()));
        loop {
            let input = match self.happened.pop_front() {
                Some(input) => input,
                None => tokio::select! {
                    leaving = &mut stop, if !is_stopped => {
                        is_stopped = true;
                        match leaving {
                            Leaving::Goodbye => Input::Stop,
                            // It starts them anew, and knows of none that would still run.
                            Leaving::ToSuccessor => return self.end_services(Ok(())).await,
                        }
                    }
                    input = self.next() => input,
                },
            };
            for effect in self.life.step(input, self.began.elapsed(), retry::random()) {
                self.perform(effect);
            }
            self.climb();
            self.companions.show(self.snapshot());
            if let Some(end) = self.end.take() {
                return self.end_services(end).await;
            }
        }
    }

    async fn end_services(&mut self, end: Result<(), Failure>) -> Result<(), Failure> {
        let last = stopped(self.companions.services.take()).await;
        self.tell_of_services(last);
        end
    }

    /// What happens next.
    async fn next(&mut self) -> Input {
        let wake = self.life.wakes_at().map(|at| self.began + at);
        let wake = [wake, self.rungs.wakes_at()].into_iter().flatten().min();
        let Self { errands, open, draining, companions, report, marks, rungs, .. } = self;
        tokio::select! {
            sessions = marks.look() => {
                self.sessions = sessions;
                self.say_sessions();
                Input::Time
            }
            svid = rungs.offered() => {
                rungs.take(svid);
                Input::Time
            }
            news = companions.news() => {
                report.change(&Change::of_service(news));
                Input::Time
            }
            outcome = errands.next() => self.learn(outcome),
            heard = heard(open) => self.hear(heard, true),
            heard = heard(draining) => self.hear(heard, false),
            () = time::sleep_until(wake.unwrap_or(self.began)), if wake.is_some() => Input::Time,
        }
    }

    /// Takes what an errand brought.
    fn learn(&mut self, outcome: Outcome) -> Input {
        match outcome {
            Outcome::Enrolled(enrolled) => {
                Input::Enrolled(enrolled.map(|Enrolled { identity, journal, told }| {
                    self.journals.learn(&told);
                    (self.key, self.bootstrap) = (None, None);
                    self.rungs.enrolled(&identity);
                    self.journal = Some(journal.clone());
                    self.told = told.clone();
                    // Who comes after this process goes on with it: with another key it would be refused.
                    self.agent.session.keep(&Enrolled { identity: identity.clone(), journal, told });
                    self.is(identity)
                }))
            }
            Outcome::Opened(opened) => Input::Opened(opened.map(|(subscription, config)| {
                self.opened = Some(subscription);
                config
            })),
            Outcome::Renewed(renewed) => Input::Renewed(renewed.map(|(identity, told)| {
                self.journals.learn(&told);
                self.next_key = None;
                self.told = told;
                let identity = self.rungs.renewed(identity);
                self.hand_on(&identity);
                self.is(identity)
            })),
            Outcome::Fetched(config) => Input::Fetched(config),
            Outcome::Bound(svid, bound) => {
                self.rungs.bound(&svid, bound);
                Input::Time
            }
            Outcome::Left(goodbye, last) => {
                self.tell_of_services(last);
                Input::Left { goodbye }
            }
        }
    }

    /// From now on, the node is this.
    fn is(&mut self, identity: Identity) -> Given {
        let given = Given {
            node_id: identity.node_id.clone(),
            domain_id: identity.domain_id.clone(),
            renew_in: identity.renew_in,
            expires_in: identity.expires_in,
            is_lent: identity.svid().is_some(),
        };
        self.identity = Some(identity);
        given
    }

    /// Takes what a journal said. The end of a stream that was replaced is no news.
    fn hear(&mut self, heard: Result<Message, Failure>, is_present: bool) -> Input {
        match heard {
            Ok(Message::Changed(changed)) => Input::Heard(Heard::Changed(changed)),
            Ok(Message::RenewNow(_)) if is_present => Input::Heard(Heard::RenewNow),
            Ok(Message::Endpoints(told)) => {
                self.journals.learn(&told.into());
                match self.open.as_ref().map(Subscription::connection) {
                    Some(connection) if self.journals.shuns(connection) => {
                        Input::Heard(Heard::Evicted(evicted(connection)))
                    }
                    Some(_) | None => Input::Time,
                }
            }
            Ok(Message::RenewNow(_)) => Input::Time,
            Err(failure) if is_present => Input::StreamEnded(failure),
            Err(_) => {
                self.draining = None;
                Input::Time
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Probe => {
                let probed = self.agent.machine().map(|machine| self.machine = Some(machine));
                self.happened.push_back(Input::Probed(probed));
            }
            Effect::Enroll(key) => self.enroll(key),
            Effect::Open { prefer, held } => self.open(prefer, held),
            Effect::Adopt => self.adopt(),
            Effect::Stay => self.rungs.failed(),
            Effect::Release => self.draining = None,
            Effect::Lose => {
                if self.rungs.has_candidate() {
                    self.errands.opening = None;
                }
                self.rungs.lost();
                self.open = None;
                self.errands.let_go();
            }
            Effect::Forget => {
                self.agent.session.forget();
                self.rungs.lost();
                (self.identity, self.next_key, self.draining) = (None, None, None);
            }
            Effect::Fetch { held } => self.fetch(held),
            Effect::Renew(key) => self.renew(key),
            Effect::Act(config) => self.companions.act(&config),
            Effect::Keep(config) => self.keep(config),
            Effect::Unconfigure => self.companions.unconfigure(),
            Effect::Tell(told) => self.tell(told),
            Effect::Warn(warning) => log::warn(&warning),
            Effect::Leave => self.leave(),
            Effect::End(end) => {
                // What a journal did not refuse, the next life of this process goes on with.
                if end.as_ref().err().is_none_or(is_refused) {
                    self.agent.session.forget();
                }
                self.end = Some(end);
            }
        }
    }

    fn enroll(&mut self, key: Key) {
        // What a former life of this process left, or a former program in it.
        if let Some(resumed) = self.agent.session.resume() {
            let resumed = std::future::ready(Outcome::Enrolled(Ok(resumed)));
            self.errands.enrolling = Some(Box::pin(resumed));
            return;
        }
        let key = match drawn(&mut self.key, key) {
            Ok(key) => key,
            Err(failure) => return self.happened.push_back(Input::Enrolled(Err(failure))),
        };
        let Some(machine) = self.machine.clone() else { return };
        let (journals, bootstrap) = (self.journals.clone(), self.bootstrap.clone());
        self.errands.enrolling = Some(Box::pin(async move {
            let shown = bootstrap.as_ref();
            Outcome::Enrolled(enroll::try_all_as(&journals, &machine, &key, shown, Patience::ENDLESS).await)
        }));
    }

    fn open(&mut self, prefer: Prefer, held: Option<BootConfig>) {
        let (Some(machine), Some(identity)) = (self.machine.clone(), self.identity.as_ref()) else { return };
        let identity = self.rungs.connects_as(identity);
        let (journals, journal) = (self.journals.clone(), self.journal.clone());
        self.errands.opening = Some(Box::pin(async move {
            let preference = match (prefer, &journal) {
                (Prefer::Serving, Some(journal)) => Preference::First(journal),
                (Prefer::Others, Some(journal)) => Preference::Last(journal),
                (Prefer::Serving | Prefer::Others, None) => Preference::Any,
            };
            let caller = Caller { machine: &machine, identity: &identity, patience: Patience::ENDLESS };
            Outcome::Opened(caller.subscribe(&journals, preference, held.as_ref()).await)
        }));
    }

    /// The one that it replaces is heard on, and then closes without a goodbye.
    fn adopt(&mut self) {
        if let Some(opened) = self.opened.take() {
            self.journal = Some(opened.connection().address().clone());
            self.draining = self.open.replace(opened);
            self.say_sessions();
            self.errands.let_go();
        }
        let Some(before) = self.identity.take() else { return };
        let identity = self.rungs.stands(&before);
        // What is discarded here is zeroized: the key of the certificate, or the identity that a newer one replaced.
        if self.goes_by != proof(&identity) {
            self.hand_on(&identity);
            self.report_identity(&identity);
        }
        self.identity = Some(identity);
    }

    /// Says how many run on the node, where that was not said yet. What finds no room is said after the next look.
    fn say_sessions(&mut self) {
        if let Some(open) = &mut self.open {
            open.say_sessions(self.sessions);
        }
    }

    fn fetch(&mut self, held: Option<BootConfig>) {
        let Some(connection) = self.connection() else { return };
        self.errands.fetching = Some(Box::pin(async move {
            Outcome::Fetched(boot_config::fetch(&connection, held.as_ref(), Patience::ENDLESS).await)
        }));
    }

    fn renew(&mut self, key: Key) {
        let key = match drawn(&mut self.next_key, key) {
            Ok(key) => key,
            Err(failure) => return self.happened.push_back(Input::Renewed(Err(failure))),
        };
        let (Some(connection), Some(identity)) = (self.connection(), self.identity.clone()) else { return };
        self.errands.renewing =
            Some(Box::pin(async move { Outcome::Renewed(renew::renew(&connection, &identity, &key).await) }));
    }

    fn keep(&mut self, config: BootConfig) {
        if let Some(Identity { node_id, domain_id, .. }) = &self.identity {
            let (node_id, domain_id) = (node_id.clone(), domain_id.clone());
            self.companions.keep(&Cached { node_id, domain_id, config });
        }
    }

    /// How it is. Without a certificate the node is what it was in an earlier process.
    fn snapshot(&self) -> Snapshot {
        let (identity, cached) = (self.identity.as_ref(), self.life.cached());
        let node_id = identity.map(|identity| &identity.node_id).or(cached.map(|cached| &cached.node_id));
        let domain_id =
            identity.map(|identity| &identity.domain_id).or(cached.map(|cached| &cached.domain_id));
        let last_failure = self.life.last_failure().map(|failure| LastFailure {
            reason: failure.reason_text().to_owned(),
            message: failure.to_string(),
        });
        Snapshot {
            phase: self.life.phase(),
            node_id: node_id.cloned(),
            domain_id: domain_id.cloned(),
            identity: identity
                .map(|identity| identity.svid().map_or(Proof::Certificate, |_| Proof::Workload)),
            spiffe_id: identity.and_then(Identity::svid).map(|svid| svid.spiffe_id.clone()),
            spiffe_not_after: identity.and_then(Identity::svid).map(|svid| svid.not_after),
            serial: identity.map(|identity| identity.serial),
            not_after: identity.map(|identity| identity.not_after),
            renew_after: identity.map(|identity| identity.renew_after),
            vcluster: self.life.acting().and_then(|config| config.vcluster.clone()),
            overlay_sha256: self.life.acting().and_then(BootConfig::overlay_sha256),
            journal: self.journal.as_ref().map(ToString::to_string),
            services: Vec::new(),
            last_failure,
        }
    }

    pub(super) fn connection(&self) -> Option<Connection> {
        self.open.as_ref().map(|open| open.connection().clone())
    }

    fn tell(&self, told: Told) {
        let enrollment = || {
            let (identity, journal) = (self.identity.as_ref()?, self.journal.as_ref()?);
            Some(Enrollment::new(identity, journal, self.life.held()))
        };
        let change = match told {
            Told::Enrolled => enrollment().map(Change::Enrolled),
            Told::Renewed => enrollment().map(Change::Renewed),
            Told::Subscribed => {
                self.journal.as_ref().map(|journal| Change::Subscribed { journal: journal.to_string() })
            }
            Told::Lost(failure) => Some(Change::lost(&failure)),
            Told::Configured(config) => Some(Change::configured(&config)),
            Told::Degraded(config) => Some(Change::degraded(&config)),
            Told::Stopped { goodbye } => Some(Change::Stopped { goodbye }),
        };
        if let Some(change) = change {
            self.report.change(&change);
        }
    }

    fn tell_of_services(&self, news: Vec<News>) {
        news.into_iter().for_each(|news| self.report.change(&Change::of_service(news)));
    }

    /// Between a renewal and its subscription the old stream says goodbye.
    fn leave(&mut self) {
        self.errands = Errands::default();
        self.draining = None;
        let from_seq = self.life.held().map_or(0, |config| config.seq);
        let (open, machine, identity) = (self.open.take(), self.machine.take(), self.identity.take());
        let journals = self.journals.clone();
        let services = self.companions.services.take();
        self.errands.leaving = Some(Box::pin(async move {
            let anew = machine.zip(identity);
            let anew = anew.as_ref().map(|(machine, identity)| Farewell {
                journals: &journals,
                machine,
                identity,
                from_seq,
            });
            // Side by side: a machine that shuts down waits for both.
            let (goodbye, last) = tokio::join!(farewell::say(open, anew), stopped(services));
            Outcome::Left(goodbye, last)
        }));
    }
}

/// What the journal says next on a stream, if there is one.
async fn heard(stream: &mut Option<Subscription>) -> Result<Message, Failure> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}

/// The key of a try. Only the shell holds it.
fn drawn(slot: &mut Option<Arc<NodeKey>>, key: Key) -> Result<Arc<NodeKey>, Failure> {
    match (key, &*slot) {
        (Key::Same, Some(same)) => Ok(Arc::clone(same)),
        (Key::Same | Key::New, _) => Ok(Arc::clone(slot.insert(Arc::new(NodeKey::generate()?)))),
    }
}

/// A node does not stay with a journal that it knows to be evicted; it hears of that from it or with a renewal (§7).
fn evicted(connection: &Connection) -> Failure {
    Failure::Evicted(format!("the journal at {} was evicted from the quorum", connection.address()))
}
