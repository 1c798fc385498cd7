//! What is known of one node, folded from its facts.

use std::time::Duration;

use crate::certificate::Certificate;
use crate::vocabulary::{
    Assurance, BootId, HardwareIdentity, KeyHash, Labels, Serial, SpiffeId, Timestamp, VClusterId,
};

/// A renewed certificate's predecessor lives on this long after the first use of the new one (R15).
pub const OVERLAP: Duration = Duration::from_secs(300);

/// A node has one warm reboot in so long a time (R14 c).
pub const BETWEEN_WARM_REBOOTS: Duration = Duration::from_secs(300);

/// Certificates that warm reboots replaced and that may come back. More are not kept: a node that would need more waits until
/// it is given up, or until the oldest have expired.
pub const MAX_REPLACED: usize = 8;

/// The state of a node (design §5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    /// No fact tells of it.
    #[default]
    Unknown,
    /// It may enroll and has not yet.
    Registered {
        /// The permission.
        enrollment: Enrollment,
    },
    /// It has a certificate and is believed present.
    Active {
        /// The permission.
        enrollment: Enrollment,
        /// Its one current certificate (R15).
        current: Held,
        /// The former one, after a renewal.
        overlap: Option<Held>,
    },
    /// It is believed gone.
    Inactive {
        /// The permission.
        enrollment: Enrollment,
        /// Its certificate; none when an operator's deactivation ended it.
        current: Option<Held>,
    },
    /// The enrollment is over.
    Revoked {
        /// The permission as it was.
        enrollment: Enrollment,
    },
}

/// The permission of a node to exist in the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    /// Counts the enrollments of this name, from 1.
    pub epoch: u32,
    /// What the machine must present.
    pub hardware: HardwareIdentity,
    /// The operator's notes.
    pub labels: Labels,
    /// The logical group that it is in; none: maintenance mode.
    pub vcluster: Option<VClusterId>,
    /// Two machines claim to be it, and no operator has said which one is (R14).
    pub contested: bool,
    /// Nothing new is to be placed on it.
    pub draining: bool,
    /// Which boot of its machine enrolled last. None: it did not say.
    pub boot_id: Option<BootId>,
    /// The last warm reboot of this epoch, if there was one.
    pub warm_reboot: Option<Box<WarmReboot>>,
    /// The workload identity of others that proves it, too (R11).
    pub bound: Option<Box<Bound>>,
}

/// A workload identity that is bound to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Its name.
    pub spiffe_id: SpiffeId,
    /// Whether an operator bound it: then it outlives the node's certificates.
    pub by_operator: bool,
}

/// A machine was let in as another boot of one that answered nobody (R14 c). That is a claim: who proves a key that it
/// replaced shows that there are two machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmReboot {
    /// When the last one was recorded.
    pub at: Timestamp,
    /// What the machine presented.
    pub presented: HardwareIdentity,
    /// Which boot of it asked.
    pub boot_id: Option<BootId>,
    /// The certificates that it replaced, and those that warm reboots before it did, the oldest first. Empty once nobody may
    /// come back with them.
    pub replaced: Vec<Replaced>,
}

/// A certificate that a warm reboot replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The certificate.
    pub held: Held,
    /// In which boot its machine enrolled.
    pub boot_id: Option<BootId>,
}

/// A certificate in the hands of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What it says.
    pub certificate: Certificate,
    /// How sure the journal was of the node.
    pub assurance: Option<Assurance>,
    /// When it was first used.
    pub confirmed_at: Option<Timestamp>,
}

impl State {
    /// The permission, also a former one.
    pub fn enrollment(&self) -> Option<&Enrollment> {
        match self {
            Self::Unknown => None,
            Self::Registered { enrollment }
            | Self::Active { enrollment, .. }
            | Self::Inactive { enrollment, .. }
            | Self::Revoked { enrollment } => Some(enrollment),
        }
    }

    /// The permission, to be changed by a fact.
    pub(super) fn enrollment_mut(&mut self) -> Option<&mut Enrollment> {
        match self {
            Self::Unknown => None,
            Self::Registered { enrollment }
            | Self::Active { enrollment, .. }
            | Self::Inactive { enrollment, .. }
            | Self::Revoked { enrollment } => Some(enrollment),
        }
    }

    /// The logical group of the node; none: maintenance mode.
    pub fn vcluster(&self) -> Option<&VClusterId> {
        self.enrollment().and_then(|enrollment| enrollment.vcluster.as_ref())
    }

    /// Whether two machines claim to be it (R14). Independent of the state.
    pub fn is_contested(&self) -> bool {
        self.enrollment().is_some_and(|enrollment| enrollment.contested)
    }

    /// Whether nothing new is to be placed on it. Independent of the state.
    pub fn is_draining(&self) -> bool {
        self.enrollment().is_some_and(|enrollment| enrollment.draining)
    }

    /// The workload identity of others that stands for its current certificate (R11); none: none does, also of what was
    /// revoked.
    pub fn bound(&self) -> Option<&SpiffeId> {
        match self {
            Self::Unknown | Self::Revoked { .. } => None,
            Self::Registered { enrollment }
            | Self::Active { enrollment, .. }
            | Self::Inactive { enrollment, .. } => enrollment.bound.as_ref().map(|bound| &bound.spiffe_id),
        }
    }

    /// The former certificate that a renewal left, usable or not.
    pub fn overlap(&self) -> Option<&Held> {
        match self {
            Self::Active { overlap, .. } => overlap.as_ref(),
            Self::Unknown | Self::Registered { .. } | Self::Inactive { .. } | Self::Revoked { .. } => None,
        }
    }

    /// The current certificate, expired or not.
    pub fn current(&self) -> Option<&Held> {
        match self {
            Self::Unknown | Self::Registered { .. } | Self::Revoked { .. } => None,
            Self::Active { current, .. } => Some(current),
            Self::Inactive { current, .. } => current.as_ref(),
        }
    }

    /// A certificate that a warm reboot replaced, while its own time lasts (R14 c): it opens nothing, and who proves its key
    /// shows two machines.
    pub fn replaced(&self, serial: Serial, now: Timestamp) -> Option<&Replaced> {
        self.all_replaced(now).find(|replaced| replaced.held.certificate.serial == serial)
    }

    /// The same by its key; of several with one key the newest.
    pub fn replaced_key(&self, key: KeyHash, now: Timestamp) -> Option<&Replaced> {
        self.all_replaced(now).rfind(|replaced| replaced.held.certificate.spki_sha256 == key)
    }

    /// All of them, the oldest first.
    pub fn all_replaced(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = &Replaced> {
        let kept =
            self.current().and(self.enrollment()).and_then(|enrollment| enrollment.warm_reboot.as_ref());
        let all = kept.into_iter().flat_map(|warm_reboot| &warm_reboot.replaced);
        all.filter(move |replaced| !replaced.held.is_expired(now))
    }

    /// Whether the node got a certificate and has not used it for longer than `after` (design §5).
    pub fn is_stuck(&self, now: Timestamp, after: Duration) -> bool {
        let Self::Active { current, .. } = self else { return false };
        current.confirmed_at.is_none() && now.since(current.certificate.issued_at()) > after
    }

    /// The certificate that a renewal left an overlap, while that lasts (R15).
    pub(super) fn living_overlap(&self, now: Timestamp) -> Option<&Held> {
        self.overlap()
            .filter(|old| self.usable_until(old.certificate.serial).is_some_and(|until| until > now))
    }

    /// Until when a certificate of this node opens something: its notAfter, or the end of its overlap. None if it is
    /// superseded or revoked, or was never the node's.
    pub fn usable_until(&self, serial: Serial) -> Option<Timestamp> {
        if let Some(current) = self.current()
            && current.certificate.serial == serial
        {
            return Some(current.certificate.not_after);
        }
        let Self::Active { current, overlap: Some(old), .. } = self else { return None };
        (old.certificate.serial == serial).then(|| {
            let own = old.certificate.not_after;
            current.confirmed_at.map_or(own, |used| used.plus(OVERLAP).min(own))
        })
    }
}

impl Enrollment {
    /// Nobody may come back any more with what warm reboots replaced; when the last one was stays known.
    pub(super) fn forget_replaced(&mut self) {
        if let Some(warm_reboot) = &mut self.warm_reboot {
            warm_reboot.replaced = vec![];
        }
    }
}

impl Held {
    /// Whether its validity is over at a moment.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.certificate.not_after <= now
    }
}
