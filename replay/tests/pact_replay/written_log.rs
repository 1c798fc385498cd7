//! A tiny writer of logs: facts with chain, heads and subjects, as the stored format says. It can also write wrongly.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use events::codec::{Chain, StoredValue, encode_body, keys};
use events::domain;
use events::fact::{Fact, Record};
use events::stream::{StreamName, StreamVersion};
use events::vocabulary::{AppendId, CertificateHash, Remark, Timestamp};
use rocksdb::{DB, Options, WriteBatch};
use tempfile::TempDir;

/// 2026-01-01T00:00:00Z and some seconds.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + 1000 * seconds)
}

pub fn remark(text: &str) -> Remark {
    Remark::new([7; 16], text).unwrap()
}

/// A log under construction. Closing (dropping) it leaves a data directory for the reader.
pub struct WrittenLog {
    pub store: DB,
    dir: TempDir,
    seq: u64,
    chain: Chain,
    versions: BTreeMap<StreamName, u64>,
}

/// The data directory of a log that nobody writes any more.
pub struct Closed(TempDir);

impl Closed {
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The same log, to do damage to it.
    pub fn reopen(&self) -> DB {
        open(self.path(), &Options::default())
    }
}

fn open(data_dir: &Path, options: &Options) -> DB {
    DB::open_cf(options, data_dir.join(keys::DIRECTORY), keys::ALL).unwrap()
}

impl WrittenLog {
    pub fn create() -> Self {
        Self::create_with(Options::default())
    }

    pub fn create_with(mut options: Options) -> Self {
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), &options);
        Self { store, dir, seq: 0, chain: Chain::from_bytes([0; 32]), versions: BTreeMap::new() }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// The last link of the chain.
    pub fn head(&self) -> Chain {
        self.chain
    }

    pub fn close(self) -> Closed {
        let Self { store, dir, .. } = self;
        drop(store);
        Closed(dir)
    }

    /// The next record of a fact.
    pub fn record(&mut self, fact: Fact) -> Record {
        let seq = self.seq + 1;
        let place = |name: StreamName| {
            let version = self.versions.entry(name.clone()).or_default();
            *version += 1;
            StreamVersion { name, version: *version }
        };
        Record {
            seq,
            streams: fact.streams().into_iter().map(place).collect(),
            append_id: AppendId::new(u128::from(seq).to_be_bytes()),
            decided_at: at(seq),
            recorded_at: at(seq),
            principal: crate::story::principal_of(&fact),
            proposed_by: "j1".parse().unwrap(),
            source: None,
            assurance: None,
            fact,
        }
    }

    /// Appends a fact as a journal would.
    pub fn append(&mut self, fact: Fact, remarks: &[Remark]) {
        let mut record = self.record(fact);
        record.source = remarks.iter().map(Remark::hash).find(|hash| record.fact.remark() != Some(*hash));
        let body = encode_body(&record).unwrap();
        self.append_body(&record, &body, remarks);
    }

    /// Appends a fact that is recorded at that second.
    pub fn append_at(&mut self, second: u64, fact: Fact) {
        let record = Record { recorded_at: at(second), decided_at: at(second), ..self.record(fact) };
        self.append_body(&record, &encode_body(&record).unwrap(), &[]);
    }

    /// Appends any body under the record's name, with a chain that holds.
    pub fn append_body(&mut self, record: &Record, body: &[u8], remarks: &[Remark]) {
        if let Fact::Domain(domain::Event::Created(created)) = &record.fact
            && self.seq == 0
        {
            let domain_ca = CertificateHash::of(created.domain_ca.as_bytes());
            self.chain = Chain::start(created.log_id, domain_ca);
        }
        self.chain = self.chain.next(body);
        self.seq += 1;
        let value = StoredValue::write(&self.chain, body, remarks).unwrap();
        let cf = |name| self.store.cf_handle(name).unwrap();
        let mut batch = WriteBatch::default();
        batch.put_cf(cf(keys::FACTS), keys::fact(self.seq), value);
        for at in &record.streams {
            let head = [at.version.to_be_bytes(), self.seq.to_be_bytes()].concat();
            batch.put_cf(cf(keys::HEADS), keys::head(&at.name), head);
        }
        let subject = keys::subject(&record.streams[0].name, record.streams[0].version);
        batch.put_cf(cf(keys::SUBJECTS), subject, self.seq.to_be_bytes());
        self.store.write(batch).unwrap();
    }
}

/// The stored value of a fact.
pub fn value(store: &DB, seq: u64) -> Vec<u8> {
    store.get_cf(store.cf_handle(keys::FACTS).unwrap(), keys::fact(seq)).unwrap().unwrap()
}

/// Puts another value in a fact's place.
pub fn put(store: &DB, seq: u64, value: &[u8]) {
    store.put_cf(store.cf_handle(keys::FACTS).unwrap(), keys::fact(seq), value).unwrap();
}

/// Every file below a directory, with its bytes.
pub fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for file in fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
            found.insert(path, vec![]);
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}
