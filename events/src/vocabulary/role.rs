//! Roles of operators, and the one table that says which role may do what (contract: Roles).
//!
//! A role comes from the issuance fact of the operator's certificate, never from the certificate's text (R10).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::VClusterId;

/// What an operator's certificate may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// `pact-platform-admin`: everything.
    PlatformAdmin,
    /// `pact-ops-<vcluster>`: reads and assigns inside one vCluster.
    Ops(VClusterId),
    /// `pact-viewer-<vcluster>`: reads one vCluster.
    Viewer(VClusterId),
}

/// What an operator asks to do, as far as roles tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Change who may exist in the domain: enroll, decommission, revoke.
    Administer,
    /// Look at nodes and vClusters.
    Read,
    /// Change what the nodes of a vCluster are configured by, which nodes it has, and which of them drain.
    Configure,
}

/// A text that is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected pact-platform-admin, pact-ops-VCLUSTER or pact-viewer-VCLUSTER")]
pub struct InvalidRole;

impl Role {
    /// Whether the role may use the verb at all. What a reader then sees is [`Role::sees`]'s matter.
    pub fn may(&self, verb: Verb) -> bool {
        match (self, verb) {
            (Self::PlatformAdmin, Verb::Administer | Verb::Read | Verb::Configure)
            | (Self::Ops(_), Verb::Read | Verb::Configure)
            | (Self::Viewer(_), Verb::Read) => true,
            (Self::Ops(_), Verb::Administer) | (Self::Viewer(_), Verb::Administer | Verb::Configure) => false,
        }
    }

    /// Whether the role may set the overlay of this vCluster (`None`: the domain's default), and bring nodes into it.
    pub fn configures(&self, vcluster: Option<&VClusterId>) -> bool {
        self.may(Verb::Configure) && self.sees(vcluster)
    }

    /// Whether nodes of this vCluster (`None`: unassigned) exist for the role. To whom a node is not visible it is
    /// as if it did not exist.
    pub fn sees(&self, vcluster: Option<&VClusterId>) -> bool {
        match self {
            Self::PlatformAdmin => true,
            Self::Ops(own) | Self::Viewer(own) => vcluster == Some(own),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlatformAdmin => f.write_str("pact-platform-admin"),
            Self::Ops(vcluster) => write!(f, "pact-ops-{vcluster}"),
            Self::Viewer(vcluster) => write!(f, "pact-viewer-{vcluster}"),
        }
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        if text == "pact-platform-admin" {
            Ok(Self::PlatformAdmin)
        } else if let Some(vcluster) = text.strip_prefix("pact-ops-") {
            vcluster.parse().map(Self::Ops).map_err(|_| InvalidRole)
        } else if let Some(vcluster) = text.strip_prefix("pact-viewer-") {
            vcluster.parse().map(Self::Viewer).map_err(|_| InvalidRole)
        } else {
            Err(InvalidRole)
        }
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_platform_admin_changes_who_exists() {
        let ops: Role = "pact-ops-prod".parse().unwrap();
        let viewer: Role = "pact-viewer-prod".parse().unwrap();
        assert!(Role::PlatformAdmin.may(Verb::Administer));
        assert!(!ops.may(Verb::Administer) && ops.may(Verb::Read));
        assert!(!viewer.may(Verb::Administer) && viewer.may(Verb::Read));
    }

    #[test]
    fn ops_configure_their_own_vcluster_and_viewers_none() {
        let ops: Role = "pact-ops-prod".parse().unwrap();
        let viewer: Role = "pact-viewer-prod".parse().unwrap();
        let (prod, test) = ("prod".parse().unwrap(), "test".parse().unwrap());
        assert!(ops.configures(Some(&prod)) && !ops.configures(Some(&test)) && !ops.configures(None));
        assert!(!viewer.configures(Some(&prod)));
        assert!(Role::PlatformAdmin.configures(Some(&test)) && Role::PlatformAdmin.configures(None));
    }

    #[test]
    fn ops_and_viewers_see_their_own_vcluster_and_no_unassigned_node() {
        let viewer: Role = "pact-viewer-prod".parse().unwrap();
        let (prod, test) = ("prod".parse().unwrap(), "test".parse().unwrap());
        assert!(viewer.sees(Some(&prod)));
        assert!(!viewer.sees(Some(&test)) && !viewer.sees(None));
        assert!(Role::PlatformAdmin.sees(None));
    }
}
