//! The authority: reads certificate requests and signs certificates, in memory only (R8, R9).
//!
//! The gate reads a request ([`Csr::parse`], no asymmetric cryptography). The node actors send it with a decided
//! [`Profile`](events::certificate::Profile) to the [`Pool`], whose workers check the proof of possession and let an
//! [`EphemeralAuthority`] sign. The journal makes a new authority at start and when
//! `events::authority::is_due_for_replacement` says so, announces its certificate, and installs it once that
//! is committed.
//!
//! Not here, on purpose: what a certificate says (`events::certificate`), when an authority is replaced or retired
//! (`events::authority`), and the domain CA ([`crate::domain_ca`]), which signs journals' server certificates only.
//!
//! **Invariant:** no private key of an authority leaves this module: there is no accessor, no PEM, no file.

mod csr;
mod ephemeral;
mod issue;
#[cfg(test)]
pub(crate) mod openssl;
mod pool;
pub(crate) mod template;

pub use csr::{Csr, CsrError, KeyKind, MAX_CSR_BYTES, RefusedKey, VerifiedCsr};
pub use ephemeral::{CreateError, EphemeralAuthority, Identity};
pub use issue::IssueError;
pub(crate) use issue::Subject;
pub use pool::Pool;
