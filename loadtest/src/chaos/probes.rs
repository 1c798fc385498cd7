//! Those who hold a certificate that is over, and try it at every journal again and again (R17).
//!
//! The load adds to them what was revoked or superseded, once that was acknowledged; the oracle looks at whom a journal let
//! in.
//!
//! **Invariant:** let in counts only what a call that needs the certificate answered.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use agent::{machine::Machine, retry::Patience, subscription::Subscription};
use events::vocabulary::HardwareIdentity;
use fastrand::Rng;
use proto::{
    channel::Connection,
    pb::{MembersRequest, member_service_client::MemberServiceClient},
    pem_file::Credential,
};
use tokio::time;

use super::quorum::Quorum;

/// A try takes no longer.
const WITHIN: Duration = Duration::from_secs(2);
/// Between two tries.
const EVERY: Duration = Duration::from_millis(40);
/// So many are kept, the newest: each is tried at each journal every few seconds.
const KEPT: usize = 48;

/// A certificate that is over.
#[derive(Debug, Clone)]
pub struct Retired {
    /// Whose it was.
    pub holder: String,
    /// Its serial.
    pub serial: String,
    /// When its end was acknowledged.
    pub since: Duration,
    is_operator: bool,
    credential: Credential,
    machine: Option<HardwareIdentity>,
}

impl Retired {
    /// A node's.
    pub fn node(
        node: &str,
        serial: &str,
        credential: Credential,
        machine: HardwareIdentity,
        since: Duration,
    ) -> Self {
        let (holder, serial) = (node.to_owned(), serial.to_owned());
        Self { holder, serial, since, is_operator: false, credential, machine: Some(machine) }
    }

    /// An operator's.
    pub fn operator(name: &str, serial: &str, credential: Credential, since: Duration) -> Self {
        let (holder, serial) = (name.to_owned(), serial.to_owned());
        Self { holder, serial, since, is_operator: true, credential, machine: None }
    }
}

/// One that was let in.
#[derive(Debug, Clone)]
pub struct LetIn {
    /// Whose certificate it was.
    pub holder: String,
    /// Its serial.
    pub serial: String,
    /// When its end was acknowledged.
    pub since: Duration,
    /// The journal.
    pub journal: usize,
    /// When it began to ask.
    pub began: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Probes {
    kept: Mutex<VecDeque<Retired>>,
    let_in: Mutex<Vec<LetIn>>,
    tried: Mutex<u64>,
}

impl Probes {
    /// One more.
    pub fn add(&self, retired: Retired) {
        let mut kept = self.kept.lock().expect("nobody panics while it is held");
        kept.push_back(retired);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }

    /// Tries one after another, each time another journal, until `stop` is told.
    pub async fn run(self: Arc<Self>, quorum: Arc<Quorum>, mut rng: Rng, stop: super::Stop) {
        while !stop.is_told() {
            time::sleep(EVERY).await;
            let one = {
                let kept = self.kept.lock().expect("nobody panics while it is held");
                if kept.is_empty() { None } else { kept.get(rng.usize(0..kept.len())).cloned() }
            };
            let (Some(one), seated) = (one, quorum.seated()) else { continue };
            self.attempt(&quorum, &one, seated[rng.usize(0..seated.len())]).await;
        }
    }

    /// Tries all at all journals once.
    pub async fn all(&self, quorum: &Quorum) {
        let kept: Vec<_> =
            self.kept.lock().expect("nobody panics while it is held").iter().cloned().collect();
        for one in &kept {
            for nth in quorum.seated() {
                self.attempt(quorum, one, nth).await;
            }
        }
    }

    async fn attempt(&self, quorum: &Quorum, one: &Retired, nth: usize) {
        let began = quorum.history.now();
        *self.tried.lock().expect("nobody panics while it is held") += 1;
        let is_let_in = time::timeout(WITHIN * 2, is_let_in(quorum, one, nth)).await.unwrap_or(false);
        if is_let_in {
            let Retired { holder, serial, since, .. } = one.clone();
            let let_in = LetIn { holder, serial, since, journal: nth, began };
            self.let_in.lock().expect("nobody panics while it is held").push(let_in);
        }
    }

    /// Whom a journal let in.
    pub fn let_in(&self) -> Vec<LetIn> {
        self.let_in.lock().expect("nobody panics while it is held").clone()
    }

    /// How many tries there were.
    pub fn tried(&self) -> u64 {
        *self.tried.lock().expect("nobody panics while it is held")
    }
}

async fn is_let_in(quorum: &Quorum, one: &Retired, nth: usize) -> bool {
    let member = &quorum.members[nth];
    let listener = if one.is_operator { &member.operators } else { &member.agents };
    let opened = Connection::open(listener, &quorum.trust, Some(&one.credential), WITHIN).await;
    let Ok(connection) = opened else { return false };
    match &one.machine {
        None => {
            let mut client = MemberServiceClient::new(connection.channel());
            client.members(MembersRequest::default()).await.is_ok()
        }
        Some(hardware) => {
            let machine = Machine::just_booted(hardware.clone());
            Subscription::over(connection, &machine, 0, Patience::of(WITHIN)).await.is_ok()
        }
    }
}
