//! The table of refusals: every reason by which a journal says no, and the gRPC code that goes with it.
//!
//! `journal::grpc` answers with a [`Reason`] inside a [`crate::refusal::Refusal`]; clients read it back. Users script
//! against these names.
//!
//! Not here, on purpose: the sentence that explains a refusal, and who is told which (design rules R13 and R21).
//!
//! **Invariant:** this table is the only place that knows which refusal is which code.

use std::{fmt, str::FromStr};

use tonic::Code;

/// Writes the enum, the list of its values and its table from one list, so that none can be forgotten.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal => $code:ident,)*) => {
        /// Why a journal refused. Stable: users script against the names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &[Reason] = &[$(Reason::$variant,)*];

            /// The stable name: `NODE_NOT_ENROLLED`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$variant => $name,)*
                }
            }

            /// The gRPC code that the reason travels with.
            pub const fn code(self) -> Code {
                match self {
                    $(Reason::$variant => Code::$code,)*
                }
            }
        }
    };
}

reasons! {
    /// Nobody registered this hardware.
    NodeNotEnrolled = "NODE_NOT_ENROLLED" => NotFound,
    /// There is no such node, or none that the caller may see.
    NodeNotFound = "NODE_NOT_FOUND" => NotFound,
    /// There is no such vCluster, or none that the caller may see.
    VclusterNotFound = "VCLUSTER_NOT_FOUND" => NotFound,
    /// There is no such operator.
    OperatorNotFound = "OPERATOR_NOT_FOUND" => NotFound,
    /// There is no such journal.
    JournalNotFound = "JOURNAL_NOT_FOUND" => NotFound,
    /// No such token was created.
    TokenUnknown = "TOKEN_UNKNOWN" => NotFound,

    /// The name is taken.
    NodeAlreadyEnrolled = "NODE_ALREADY_ENROLLED" => AlreadyExists,
    /// There is or was an operator of this name.
    OperatorAlreadyExists = "OPERATOR_ALREADY_EXISTS" => AlreadyExists,
    /// Another journal has or had this name.
    JournalAlreadyExists = "JOURNAL_ALREADY_EXISTS" => AlreadyExists,
    /// A MAC address belongs to another node (R2).
    HardwareIdentityConflict = "HARDWARE_IDENTITY_CONFLICT" => AlreadyExists,
    /// Another node has this WireGuard key.
    WireguardKeyConflict = "WIREGUARD_KEY_CONFLICT" => AlreadyExists,
    /// Another node or epoch has this public key (R8).
    KeyReused = "KEY_REUSED" => AlreadyExists,
    /// The workload identity proves another node (R11).
    WorkloadIdentityConflict = "WORKLOAD_IDENTITY_CONFLICT" => AlreadyExists,

    /// The node is enrolled and its certificate is current (R14).
    AlreadyActive = "ALREADY_ACTIVE" => FailedPrecondition,
    /// The token's time is over.
    TokenExpired = "TOKEN_EXPIRED" => FailedPrecondition,
    /// An operator took the token back.
    TokenRevoked = "TOKEN_REVOKED" => FailedPrecondition,
    /// The token was used with another key.
    TokenConsumed = "TOKEN_CONSUMED" => FailedPrecondition,
    /// Sessions run on the node.
    ActiveSessions = "ACTIVE_SESSIONS" => FailedPrecondition,
    /// The node is in another vCluster.
    NodeAssigned = "NODE_ASSIGNED" => FailedPrecondition,
    /// The node is in no vCluster.
    NodeUnassigned = "NODE_UNASSIGNED" => FailedPrecondition,
    /// A newer certificate took the place of this one (R15).
    SerialSuperseded = "SERIAL_SUPERSEDED" => FailedPrecondition,
    /// The underlay endpoint does not answer.
    UnderlayUnreachable = "UNDERLAY_UNREACHABLE" => FailedPrecondition,
    /// Nobody could command the domain afterwards.
    LastAdmin = "LAST_ADMIN" => FailedPrecondition,
    /// The journal was evicted, and never comes back.
    JournalEvicted = "JOURNAL_EVICTED" => FailedPrecondition,
    /// Nobody could decide anything afterwards.
    LastJournal = "LAST_JOURNAL" => FailedPrecondition,
    /// Not all journals could read what would be recorded (R26).
    LevelTooLow = "LEVEL_TOO_LOW" => FailedPrecondition,
    /// The journal that would join could not read what is recorded (R26).
    UpgradeNeeded = "UPGRADE_NEEDED" => FailedPrecondition,
    /// The caller's own certificate would end half way.
    OwnCertificate = "OWN_CERTIFICATE" => FailedPrecondition,
    /// This journal does not hold the domain CA's key, and so signs no server certificates.
    DomainCaKeyAbsent = "DOMAIN_CA_KEY_ABSENT" => FailedPrecondition,
    /// The journal takes no workload identities, or none of this trust domain (R11).
    WorkloadNotTrusted = "WORKLOAD_NOT_TRUSTED" => FailedPrecondition,
    /// TPM keys cannot be registered before they can be proved (R13).
    TpmNotSupported = "TPM_NOT_SUPPORTED" => FailedPrecondition,

    /// The node's enrollment was revoked (R16).
    NodeRevoked = "NODE_REVOKED" => PermissionDenied,
    /// The hardware differs from what was registered (R13).
    HardwareMismatch = "HARDWARE_MISMATCH" => PermissionDenied,
    /// The token is bound to another node.
    TokenWrongNode = "TOKEN_WRONG_NODE" => PermissionDenied,
    /// The caller's role does not permit it.
    RoleNotAllowed = "ROLE_NOT_ALLOWED" => PermissionDenied,

    /// The certificate request is unreadable, of a kind that is not taken, or without proof of possession (R8).
    CsrInvalid = "CSR_INVALID" => InvalidArgument,
    /// The hardware identity is unreadable, a placeholder, or empty.
    HardwareInvalid = "HARDWARE_INVALID" => InvalidArgument,
    /// The name of the node is not canonical.
    NodeIdInvalid = "NODE_ID_INVALID" => InvalidArgument,
    /// The token has not the form of a token.
    TokenMalformed = "TOKEN_MALFORMED" => InvalidArgument,
    /// Another field is unreadable or beyond its limit; the message names it.
    FieldInvalid = "FIELD_INVALID" => InvalidArgument,
    /// Where a journal listens is missing or cannot be stored.
    EndpointInvalid = "ENDPOINT_INVALID" => InvalidArgument,
    /// The overlay is larger than a node takes.
    OverlayTooLarge = "OVERLAY_TOO_LARGE" => InvalidArgument,

    /// The call needs a client certificate that a fact records (R10).
    CertificateRequired = "CERTIFICATE_REQUIRED" => Unauthenticated,

    /// Too many unknown or failing callers (R22).
    RateLimited = "RATE_LIMITED" => ResourceExhausted,

    /// The queue is full; the retry delay is the caller's slot (R21).
    Overloaded = "OVERLOADED" => Unavailable,
    /// No journal leads at the moment.
    NoLeader = "NO_LEADER" => Unavailable,
    /// This journal cannot prove that its view is fresh (R17).
    StaleJournal = "STALE_JOURNAL" => Unavailable,
    /// The journals' clocks disagree (R24).
    ClockSkew = "CLOCK_SKEW" => Unavailable,
    /// The reserve of disk is reached (R3).
    DiskLow = "DISK_LOW" => Unavailable,
}

/// A reason that this release does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no reason that this release knows")]
pub struct UnknownReason(pub String);

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        let known = Reason::ALL.iter().find(|reason| reason.as_str() == text);
        known.copied().ok_or_else(|| UnknownReason(text.to_owned()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The table as users know it, written a second time on purpose.
    const PUBLISHED: &[(Code, &str)] = &[
        (
            Code::NotFound,
            "NODE_NOT_ENROLLED NODE_NOT_FOUND VCLUSTER_NOT_FOUND OPERATOR_NOT_FOUND JOURNAL_NOT_FOUND \
             TOKEN_UNKNOWN",
        ),
        (
            Code::AlreadyExists,
            "NODE_ALREADY_ENROLLED OPERATOR_ALREADY_EXISTS JOURNAL_ALREADY_EXISTS HARDWARE_IDENTITY_CONFLICT \
             WIREGUARD_KEY_CONFLICT KEY_REUSED WORKLOAD_IDENTITY_CONFLICT",
        ),
        (
            Code::FailedPrecondition,
            "ALREADY_ACTIVE TOKEN_EXPIRED TOKEN_REVOKED TOKEN_CONSUMED ACTIVE_SESSIONS NODE_ASSIGNED \
             NODE_UNASSIGNED SERIAL_SUPERSEDED UNDERLAY_UNREACHABLE LAST_ADMIN JOURNAL_EVICTED LAST_JOURNAL LEVEL_TOO_LOW UPGRADE_NEEDED \
             OWN_CERTIFICATE DOMAIN_CA_KEY_ABSENT \
             WORKLOAD_NOT_TRUSTED TPM_NOT_SUPPORTED",
        ),
        (Code::PermissionDenied, "NODE_REVOKED HARDWARE_MISMATCH TOKEN_WRONG_NODE ROLE_NOT_ALLOWED"),
        (
            Code::InvalidArgument,
            "CSR_INVALID HARDWARE_INVALID NODE_ID_INVALID TOKEN_MALFORMED FIELD_INVALID ENDPOINT_INVALID \
             OVERLAY_TOO_LARGE",
        ),
        (Code::Unauthenticated, "CERTIFICATE_REQUIRED"),
        (Code::ResourceExhausted, "RATE_LIMITED"),
        (Code::Unavailable, "OVERLOADED NO_LEADER STALE_JOURNAL CLOCK_SKEW DISK_LOW"),
    ];

    #[test]
    fn the_table_is_the_published_one() {
        let published: BTreeSet<_> = PUBLISHED
            .iter()
            .flat_map(|(code, names)| names.split_whitespace().map(|name| (name, *code as i32)))
            .collect();
        let ours: BTreeSet<_> =
            Reason::ALL.iter().map(|reason| (reason.as_str(), reason.code() as i32)).collect();
        assert_eq!(ours, published);
    }

    #[test]
    fn every_name_is_unique_and_reads_back() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
        }
    }

    #[test]
    fn an_unknown_name_is_told() {
        let unknown = "NODE_ON_FIRE".parse::<Reason>();
        assert_eq!(unknown, Err(UnknownReason("NODE_ON_FIRE".to_owned())));
    }
}
