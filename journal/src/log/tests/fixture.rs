//! A log in a temporary directory, appends for it, and ways to look at its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use events::append::Append;
use events::certificate::Certificate;
use events::domain::{self, Created};
use events::fact::Fact;
use events::member;
use events::node::{self, DeactivationCause};
use events::operator;
use events::stream::{StreamName, StreamVersion};
use events::vocabulary::{
    AppendId, AuthorityId, CertificateHash, Der, Digest, JournalId, KeyHash, LogId, Principal, Remark, Role,
    SecretHash, Serial, Timestamp,
};
use parking_lot::{Condvar, Mutex};

use crate::boottime::{self, Moment};
use crate::log::{Founding, Log, OpenError, Settings};

const NOW: u64 = 1_800_000_000_000;

/// Where the writer waits while a test holds it.
#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

/// Lets the writer go on when it is dropped.
pub(super) struct Held(Arc<Gate>);

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.closed.lock() = false;
        self.0.opened.notify_all();
    }
}

/// A data directory and the clock and settings with which its log is opened.
pub(super) struct Ground {
    pub dir: PathBuf,
    keep_entries: u64,
    millis: Arc<AtomicU64>,
    /// How long it stood still, beyond what the test takes.
    still: Arc<AtomicU64>,
    reserve: u64,
    gate: Arc<Gate>,
    _owned: Option<tempfile::TempDir>,
}

impl Ground {
    pub(super) fn new() -> Self {
        let owned = tempfile::tempdir().unwrap();
        Self { _owned: Some(owned), ..Self::at(PathBuf::new()) }.moved()
    }

    fn moved(mut self) -> Self {
        self.dir = self._owned.as_ref().unwrap().path().to_owned();
        self
    }

    pub(super) fn keeping(keep_entries: u64) -> Self {
        Self { keep_entries, ..Self::new() }
    }

    pub(super) fn at(dir: PathBuf) -> Self {
        Self {
            dir,
            keep_entries: 1_000,
            millis: Arc::new(AtomicU64::new(NOW)),
            still: Arc::default(),
            reserve: 0,
            gate: Arc::default(),
            _owned: None,
        }
    }

    pub(super) fn settings(&self) -> Settings {
        let (millis, gate) = (Arc::clone(&self.millis), Arc::clone(&self.gate));
        let clock = move || {
            gate.opened.wait_while(&mut gate.closed.lock(), |closed| *closed);
            Timestamp::from_millis(millis.load(Ordering::Relaxed))
        };
        let still = Arc::clone(&self.still);
        let boottime =
            move || Moment::from_millis(boottime::now().as_millis() + still.load(Ordering::Relaxed));
        Settings {
            clock: Arc::new(clock),
            keep_entries: self.keep_entries,
            boottime: Arc::new(boottime),
            disk_reserve: self.reserve,
            ..Settings::default()
        }
    }

    /// The writer stops in front of its next entry until the guard is dropped.
    pub(super) fn hold_writer(&self) -> Held {
        *self.gate.closed.lock() = true;
        Held(Arc::clone(&self.gate))
    }

    /// With a reserve of disk.
    pub(super) fn reserving(self, reserve: u64) -> Self {
        Self { reserve, ..self }
    }

    /// The process was stopped for so long: all its clocks go on meanwhile.
    pub(super) fn stand_still(&self, time: Duration) {
        self.still.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
        self.pass(time);
    }

    /// Its clock is set back.
    pub(super) fn pass_back(&self, time: Duration) {
        self.millis.fetch_sub(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Its boot lies so much longer back; the clock on the wall says what it said.
    pub(super) fn age(&self, time: Duration) {
        self.still.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub(super) fn pass(&self, time: Duration) {
        self.millis.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// A new log whose first fact is the domain's creation.
    pub(super) async fn create(&self) -> Log {
        let log = Log::create_with(&self.dir, journal(), founding(), self.settings()).await.unwrap();
        log.append(created()).await.unwrap();
        log
    }

    pub(super) async fn open(&self) -> Log {
        self.try_open(journal()).await.unwrap()
    }

    pub(super) async fn try_open(&self, journal: JournalId) -> Result<Log, OpenError> {
        Log::open_with(&self.dir, journal, self.settings()).await
    }

    /// The error of an opening that must be refused and change nothing.
    pub(super) async fn refused(&self) -> OpenError {
        let before = files(&self.dir);
        let error = self.try_open(journal()).await.err().expect("the log must not open");
        assert!(before == files(&self.dir), "a refused opening changed files: {error}");
        error
    }

    /// A copy of the directory as a crash of the process would leave it.
    pub(super) fn image(&self) -> Self {
        let copy = Self::new();
        for (path, bytes) in contents(&self.dir) {
            let to = copy.dir.join(path.strip_prefix(&self.dir).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::write(to, bytes).unwrap();
        }
        copy
    }

    /// The files of the store with this ending or beginning.
    pub(super) fn store_files(&self, like: &str) -> Vec<PathBuf> {
        let named = |path: &Path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.ends_with(like) || name.starts_with(like)
        };
        contents(&self.dir.join("log")).into_keys().filter(|path| named(path)).collect()
    }
}

fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            all.insert(path, bytes);
        }
    }
    all
}

/// Every file and the hash of what is in it.
pub(super) fn files(dir: &Path) -> BTreeMap<PathBuf, Digest> {
    contents(dir).into_iter().map(|(path, bytes)| (path, Digest::of(&bytes))).collect()
}

/// Waits for a condition.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::task::yield_now().await;
    }
}

pub(super) fn journal() -> JournalId {
    "j1".parse().unwrap()
}

fn domain_ca() -> Der {
    Der::new(b"the domain CA's certificate".to_vec())
}

pub(super) fn founding() -> Founding {
    Founding { log_id: LogId::new([3; 16]), domain_ca_sha256: CertificateHash::of(domain_ca().as_bytes()) }
}

pub(super) fn append(id: u64, expects: &[(StreamName, u64)], facts: Vec<Fact>) -> Append {
    let mut append_id = [0; 16];
    append_id[8..].copy_from_slice(&id.to_be_bytes());
    let expects =
        expects.iter().map(|(name, version)| StreamVersion { name: name.clone(), version: *version });
    Append {
        append_id: AppendId::new(append_id),
        decided_at: Timestamp::from_millis(NOW),
        principal: Principal::Journal(journal()),
        proposed_by: journal(),
        source: None,
        assurance: None,
        expects: expects.collect(),
        facts,
        remarks: vec![],
    }
}

pub(super) fn created() -> Append {
    let created = Created {
        domain_id: "hpc".parse().unwrap(),
        log_id: founding().log_id,
        domain_ca: domain_ca(),
        founder: journal(),
    };
    append(0, &[(StreamName::Domain, 0)], vec![Fact::Domain(domain::Event::Created(created))])
}

pub(super) fn node(name: &str) -> StreamName {
    StreamName::Node(name.parse().unwrap())
}

/// A fact that lies in its node's stream only.
pub(super) fn goodbye(name: &str) -> Fact {
    let cause = DeactivationCause::Goodbye;
    Fact::Node(name.parse().unwrap(), node::Event::Deactivated { cause, supersedes: None })
}

/// An append of one fact to a node's stream of this version.
pub(super) fn step(id: u64, name: &str, version: u64) -> Append {
    append(id, &[(node(name), version)], vec![goodbye(name)])
}

pub(super) fn certificate() -> Certificate {
    Certificate {
        serial: Serial::from_random([7; 16]),
        spki_sha256: KeyHash::of(b"key"),
        sha256: CertificateHash::of(b"certificate"),
        not_before: Timestamp::from_millis(NOW),
        not_after: Timestamp::from_millis(NOW + 1_000_000),
        renew_after: Timestamp::from_millis(NOW + 500_000),
        authority: AuthorityId::new(Timestamp::from_millis(NOW), 1),
    }
}

pub(super) fn remark() -> Remark {
    Remark::new([9; 16], "Jane Doe, room 17").unwrap()
}

pub(super) fn admin() -> StreamName {
    StreamName::Operator("admin".parse().unwrap())
}

/// An operator with a certificate and a display name.
pub(super) fn operator_created(id: u64) -> Append {
    let event = operator::Event::Created {
        role: Role::PlatformAdmin,
        certificate: certificate(),
        der: Der::new(b"certificate".to_vec()),
        name: Some(remark().hash()),
    };
    let expects = [(admin(), 0), (StreamName::Key(certificate().spki_sha256), 0)];
    let mut append = append(id, &expects, vec![Fact::Operator("admin".parse().unwrap(), event)]);
    append.remarks = vec![remark()];
    append
}

pub(super) fn operator_revoked(id: u64) -> Append {
    let event = operator::Event::Revoked { serial: certificate().serial, reason: None };
    append(id, &[(admin(), 1)], vec![Fact::Operator("admin".parse().unwrap(), event)])
}

pub(super) fn remark_erased(id: u64, seq: u64, domain_version: u64) -> Append {
    let event = domain::Event::RemarkErased { seq, remark: remark().hash() };
    append(id, &[(StreamName::Domain, domain_version)], vec![Fact::Domain(event)])
}

fn endpoints() -> member::Endpoints {
    let at = || "127.0.0.1:9444".to_owned();
    member::Endpoints { cluster: at(), agent: at(), operator: at() }
}

fn of_journal(id: u64, journal: &JournalId, version: u64, event: member::Event) -> Append {
    let stream = StreamName::Journal(journal.clone());
    append(id, &[(stream, version)], vec![Fact::Member(journal.clone(), event)])
}

/// A journal is let in.
pub(super) fn journal_joining(id: u64, journal: &JournalId, raft_id: u64) -> Append {
    let event = member::Event::Joining {
        raft_id,
        endpoints: endpoints(),
        certificate: certificate().sha256,
        key: KeyHash::of(b"a journal's key"),
        token: SecretHash::of(b"secret"),
    };
    of_journal(id, journal, 0, event)
}

/// It says where it listens, before anything else was said of it.
pub(super) fn journal_announced(id: u64, journal: &JournalId) -> Append {
    let event = member::Event::Announced { endpoints: endpoints(), certificate: certificate().sha256 };
    of_journal(id, journal, 0, event)
}

/// It is evicted, after it was let in.
pub(super) fn journal_evicted(id: u64, journal: &JournalId) -> Append {
    of_journal(id, journal, 1, member::Event::Evicted { reason: None })
}
