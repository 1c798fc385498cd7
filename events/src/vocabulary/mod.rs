//! The words of pact, parsed once and always valid afterwards (design §8).
//!
//! Every type here is made from foreign text or bytes by one function that can refuse, at the edge; inside the
//! house there is no `String` that might be a node's name. All of them serialize twice: as readable text for people
//! (`is_human_readable`), and compactly for the stored bytes ([`crate::codec`]).
//!
//! Not here, on purpose: random numbers and clocks. Whoever needs a new id or the time brings it.

mod boot_id;
mod der;
mod digest;
mod hardware;
mod identifier;
mod labels;
mod mac;
mod name;
mod overlay;
mod principal;
mod reading;
mod remark;
mod role;
mod serial;
mod spiffe;
mod timestamp;

pub use boot_id::{BootId, InvalidBootId};
pub use der::Der;
pub(crate) use digest::sha256;
pub use digest::{
    AppendId, CertificateHash, Digest, InvalidHex, KeyHash, LogId, OverlayHash, RemarkHash, SecretHash,
};
pub use hardware::{
    Assurance, BmcSerial, HardwareField, HardwareIdentity, InvalidHardware, MAX_MACS, SystemUuid,
};
pub use identifier::{AuthorityId, InvalidUlid, JoinTokenId};
pub use labels::{InvalidLabel, Labels};
pub use mac::{InvalidMac, Mac};
pub(crate) use name::NAME_BYTES;
pub use name::{
    DomainId, InvalidName, JournalId, MAX_NAMES_TOGETHER, NodeId, OperatorId, VClusterId, names_fit_together,
};
pub use overlay::{MAX_OVERLAY_BYTES, Overlay, OverlayTooLarge};
pub use principal::{InvalidPrincipal, Principal};
pub(crate) use remark::StoredRemark;
pub use remark::{InvalidRemark, Remark};
pub use role::{InvalidRole, Role, Verb};
pub use serial::{InvalidSerial, Serial};
pub use spiffe::{MAX_COMMON_NAME, common_name, operator_common_name, spiffe_uri};
pub use timestamp::{InvalidTimestamp, Timestamp};
