//! What nodes are configured by: the overlays of the vClusters, and the one of nodes that are in none.

use std::collections::BTreeMap;

use crate::domain;
use crate::fact::{Fact, Record};
use crate::vcluster::{State, evolve};
use crate::vocabulary::{Overlay, Principal, Timestamp, VClusterId};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VClusters {
    named: BTreeMap<VClusterId, VCluster>,
    default: Option<Configured>,
}

/// One vCluster as the view knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VCluster {
    /// Its state.
    pub state: State,
    /// The version of its stream.
    pub version: u64,
    /// Its overlay.
    pub configured: Configured,
}

/// An overlay that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// Which.
    pub overlay: Overlay,
    /// The seq of the fact: no other overlay of any vCluster ever has this revision.
    pub revision: u64,
    /// When.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: Principal,
}

impl VClusters {
    /// A vCluster by its name.
    pub fn get(&self, id: &VClusterId) -> Option<&VCluster> {
        self.named.get(id)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&VClusterId, &VCluster)> {
        self.named.iter()
    }

    /// What nodes in no vCluster are configured by.
    pub fn domain_default(&self) -> Option<&Configured> {
        self.default.as_ref()
    }

    /// What nodes in this vCluster are configured by; `None`: in none.
    pub fn configured(&self, vcluster: Option<&VClusterId>) -> Option<&Configured> {
        match vcluster {
            None => self.default.as_ref(),
            Some(id) => self.named.get(id).map(|vcluster| &vcluster.configured),
        }
    }

    /// Folds a fact in; whether it set an overlay.
    pub(super) fn fold(&mut self, record: &Record) -> bool {
        let Some(overlay) = record.overlay() else { return false };
        let (set_at, set_by) = (record.recorded_at, record.principal.clone());
        let configured = Configured { overlay, revision: record.seq, set_at, set_by };
        match &record.fact {
            Fact::Domain(domain::Event::DefaultSet { .. }) => self.default = Some(configured),
            Fact::VCluster(id, event) => {
                let before = self.named.get(id).map_or(State::Unknown, |vcluster| vcluster.state);
                let (state, version) = (evolve(before, event), record.subject_version());
                self.named.insert(id.clone(), VCluster { state, version, configured });
            }
            Fact::Domain(_)
            | Fact::Node(..)
            | Fact::Authority(..)
            | Fact::Operator(..)
            | Fact::Member(..) => {}
        }
        true
    }
}
