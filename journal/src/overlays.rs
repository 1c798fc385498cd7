//! Overlays: what nodes are configured by. Sets them, and shows their bytes to whoever boots.
//!
//! The edge calls it. `events` decides whether there is something to set; the log keeps fact and bytes in one step.
//!
//! Not here: who may set what (`grpc::access`), and what an overlay means. A journal never looks into one.

use std::collections::VecDeque;
use std::sync::Arc;

use events::append::Append;
use events::fact::Fact;
use events::stream::{StreamName, StreamVersion};
use events::vocabulary::{JournalId, Overlay, OverlayHash, OverlayTooLarge, Principal, Remark, VClusterId};
use events::{domain, vcluster};
use parking_lot::Mutex;

use crate::clock;
use crate::log::{AppendError, Log, ReadError};
use crate::random::{self, RandomError};

/// A conflict is decided again this often (R7).
const ATTEMPTS: usize = 3;
/// Overlays that are kept in memory, the last used: a machine that boots at once has one or a few. 40 MB at the most.
const KEPT: usize = 4;

/// The newest first.
type Kept = VecDeque<(OverlayHash, Arc<[u8]>)>;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Overlays {
    log: Log,
    journal_id: JournalId,
    kept: Arc<Mutex<Kept>>,
}

/// Why an overlay was not set.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// A refusal: it has too many bytes.
    #[error(transparent)]
    TooLarge(#[from] OverlayTooLarge),
    /// A refusal of `events`.
    #[error(transparent)]
    Rejected(#[from] domain::Rejection),
    /// Others set one at the same time, three times (R7).
    #[error("the overlay was set by others meanwhile, three times")]
    Contended,
    /// The fact could not be recorded.
    #[error("the overlay could not be recorded")]
    Append(#[from] AppendError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Who asks was revoked since.
    #[error("the operator who asks was revoked meanwhile")]
    AskerGone,
}

/// Why an overlay cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The log cannot be read.
    #[error("the overlay cannot be read")]
    Read(#[from] ReadError),
    /// A fact names it, and it is not there.
    #[error("the overlay {0} is missing in the log")]
    Missing(OverlayHash),
}

impl Overlays {
    /// Those of this log.
    pub fn new(log: Log, journal_id: JournalId) -> Self {
        Self { log, journal_id, kept: Arc::default() }
    }

    /// Sets the overlay of a vCluster, or the domain's default; answers the last fact of it. Setting the one that stands
    /// records nothing.
    pub async fn set(
        &self,
        vcluster: Option<&VClusterId>,
        bytes: Vec<u8>,
        principal: &Principal,
        source: Option<&Remark>,
    ) -> Result<u64, SetError> {
        let overlay = Overlay::of(&bytes)?;
        for _ in 0..ATTEMPTS {
            let Some((fact, expects)) = self.decide(vcluster, overlay, principal)? else {
                return Ok(self.log.views().seq);
            };
            let append = Append {
                append_id: random::append_id()?,
                decided_at: clock::now(),
                principal: principal.clone(),
                proposed_by: self.journal_id.clone(),
                source: source.map(Remark::hash),
                assurance: None,
                expects,
                facts: vec![fact],
                remarks: source.into_iter().cloned().collect(),
            };
            match self.log.append_with_overlay(append, bytes.clone()).await {
                Ok(committed) => return Ok(committed.last_seq),
                Err(AppendError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(SetError::Contended)
    }

    /// What is to be recorded, and the versions of the streams that the decision saw (R1).
    fn decide(
        &self,
        id: Option<&VClusterId>,
        overlay: Overlay,
        principal: &Principal,
    ) -> Result<Option<(Fact, Vec<StreamVersion>)>, SetError> {
        let views = self.log.views();
        let mut reads = vec![id.map_or(StreamName::Domain, |id| StreamName::VCluster(id.clone()))];
        if let Principal::Operator(asker) = principal {
            let known = views.operators.get(asker).and_then(|operator| operator.state.role());
            known.ok_or(SetError::AskerGone)?;
            reads.push(StreamName::Operator(asker.clone()));
        }
        let fact = match id {
            None => {
                let present = views.vclusters.domain_default().map(|default| default.overlay);
                domain::set_default(&views.domain, present, overlay)?.map(Fact::Domain)
            }
            Some(id) => {
                let state = views.vclusters.get(id).map_or(vcluster::State::Unknown, |known| known.state);
                vcluster::set_overlay(&state, overlay).map(|event| Fact::VCluster(id.clone(), event))
            }
        };
        let expect = |name: StreamName| {
            let version = views.version(&name).unwrap_or_default();
            StreamVersion { name, version }
        };
        Ok(fact.map(|fact| (fact, reads.into_iter().map(expect).collect())))
    }

    /// The bytes of an overlay that a fact names.
    pub fn show(&self, sha256: &OverlayHash) -> Result<Arc<[u8]>, ShowError> {
        if let Some((_, bytes)) = self.kept.lock().iter().find(|(kept, _)| kept == sha256) {
            return Ok(Arc::clone(bytes));
        }
        let bytes: Arc<[u8]> = self.log.overlay(sha256)?.ok_or(ShowError::Missing(*sha256))?.into();
        let mut kept = self.kept.lock();
        kept.truncate(KEPT - 1);
        kept.push_front((*sha256, Arc::clone(&bytes)));
        Ok(bytes)
    }
}
