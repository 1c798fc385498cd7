//! Makes the files of a log that has no fact yet: a new domain's, or a member's that gets all facts from the others.
//!
//! [`super::Log::create`] and [`super::Log::create_member`] call it. Not here: opening what exists, and the first facts.
//!
//! **Invariant:** nothing that lies there already is changed.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use events::codec::{Chain, keys};
use events::level::Level;
use events::views::Views;
use events::vocabulary::{CertificateHash, JournalId, LogId, Timestamp};
use rocksdb::WriteBatch;

use super::broken::Broken;
use super::errors::CreateError;
use super::folded::Folded;
use super::store::state_machine::Tip;
use super::store::{Store, state};
use super::stored::{StoredFounding, StoredMember};
use super::synced::Mark;
use super::thread::Prepared;
use super::types::{FOUNDER, Position};

/// Where the chain over all facts begins (R6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Founding {
    /// The identity of the log; 16 random bytes.
    pub log_id: LogId,
    /// SHA-256 of the domain CA's certificate.
    pub domain_ca_sha256: CertificateHash,
}

/// Makes the files of a new log.
pub(super) fn make(
    data_dir: &Path,
    journal: JournalId,
    founding: Founding,
    broken: Arc<Broken>,
) -> Result<Prepared, CreateError> {
    let (store, mark) = lay_down(data_dir, journal, founding, FOUNDER, broken)?;
    let chain = Chain::start(founding.log_id, founding.domain_ca_sha256);
    let tip =
        Tip { position: Position { seq: 0, chain }, recorded_at: Timestamp::default(), level: Level::FIRST };
    let folded = Arc::new(Folded::new(Views::default(), chain));
    Ok(Prepared { store: Arc::new(store), mark, folded, tip, raft_id: FOUNDER, new: true })
}

/// Makes an empty log that knows whose it is and how its chain begins.
pub(super) fn lay_down(
    data_dir: &Path,
    journal: JournalId,
    founding: Founding,
    raft_id: u64,
    broken: Arc<Broken>,
) -> Result<(Store, Mark), CreateError> {
    let (store, mark) = lay_down_facts(data_dir, founding, broken)?;
    let mut batch = WriteBatch::default();
    let member = StoredMember { journal, raft_id };
    let written = store.put_state(&mut batch, state::MEMBER, &member);
    written.and_then(|()| store.write_synced(batch)).map_err(CreateError::Store)?;
    Ok((store, mark))
}

/// The same, of a log that belongs to nobody yet: no journal opens it.
pub(super) fn lay_down_facts(
    data_dir: &Path,
    founding: Founding,
    broken: Arc<Broken>,
) -> Result<(Store, Mark), CreateError> {
    let path = data_dir.join(keys::DIRECTORY);
    let directory = |source| CreateError::Directory { path: path.clone(), source };
    if path.try_exists().map_err(directory)? {
        return Err(CreateError::Exists { path });
    }
    let store = Store::create(&path, broken).map_err(CreateError::Store)?;
    let Founding { log_id, domain_ca_sha256 } = founding;
    let mut batch = WriteBatch::default();
    let founding = StoredFounding { log_id, domain_ca_sha256 };
    let written = store.put_state(&mut batch, state::FOUNDING, &founding);
    let written = written.and_then(|()| store.write_synced(batch));
    written.map_err(CreateError::Store)?;
    Mark::create(data_dir).map_err(directory)?;
    // The names of the directory and of the mark must last too.
    File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(directory)?;
    let mark = Mark::open(data_dir).map_err(|error| directory(std::io::Error::other(error)))?;
    Ok((store, mark))
}
