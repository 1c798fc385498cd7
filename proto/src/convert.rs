//! Wire to domain, and back: what a message's fields mean.
//!
//! `journal::grpc` reads requests and writes answers with it, clients read the answers. Foreign text is parsed here, once;
//! what is malformed becomes an INVALID_ARGUMENT [`Refusal`](crate::refusal::Refusal) that names the field and never
//! quotes a secret.
//!
//! Not here, on purpose: decisions. A valid request can still be refused.
//!
//! **Invariant:** what comes out is valid by its type.

pub mod batch;
pub mod field;
pub mod hardware;
pub mod member;
pub mod moment;
pub mod node;
pub mod operator;
pub mod rejection;
pub mod vcluster;
