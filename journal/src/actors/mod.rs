//! The actors: one for each node that is spoken of, so that one node's orders are decided one after another and
//! different nodes never wait for each other (design §3, steps 4–8).
//!
//! `grpc` asks through [`Nodes`]. An actor is a thin shell: it decides with `events`, has the authority sign, appends
//! to the log, answers, in that order. actix is used here and in `authority` only.
//!
//! **Invariant:** no answer before the append that it speaks of is committed and applied here (R3).

mod executor;
mod node_actor;
mod nodes;
mod order;
mod proposal;
mod system;

pub use executor::Executor;
pub use nodes::Nodes;
pub use order::{Answer, AskError, IssuedCertificate, Order, Request};
pub use system::{ActorSystem, SystemError};
