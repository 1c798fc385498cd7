//! The renewal of a journal's server certificate (design §7): 30 days, renewed over the cluster port by the member that
//! holds the domain CA's key, or by hand.
//!
//! ```text
//! schedule    when, and how loudly it is told that it was not done; pure
//! keeper      does it in time, takes up what was put into the data directory by hand
//! outlook     what operators are told: until when the certificates of all journals last, what hinders a renewal
//! by_hand     `pact-journal renew-certificate`, beside a running journal
//! ```
//!
//! Not here: signing ([`crate::domain_ca`]; for others `crate::cluster`), and TLS, which reads the credential anew at every
//! handshake.
//!
//! **Invariant:** a certificate is served only after it lies on disk, and only if clients would trust it as they trust the
//! one that it replaces. The key of a server certificate never leaves its journal.

pub mod by_hand;
mod keeper;
mod outlook;
mod schedule;

use std::sync::Arc;

use arc_swap::ArcSwap;
use proto::pem_file::Credential;

pub use keeper::Keeper;
pub use outlook::Outlook;
pub use schedule::Validity;

/// The credential that a journal proves itself with, at this moment: all its listeners and its dialler share it.
pub type Current = Arc<ArcSwap<Credential>>;

/// From when until when a credential is valid. None: its certificate cannot be read, which the start would have refused.
fn validity(credential: &Credential) -> Option<Validity> {
    credential.chain().first().and_then(|der| Validity::of(der))
}
