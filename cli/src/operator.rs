//! `pact operator …`: those who command the domain. One file a verb.
//!
//! `main` runs the verb that the command line names.
//!
//! Not here, on purpose: what a role may do; the journal knows.
//!
//! **Invariant:** a private key is made here, written to one file that only its owner reads, and never travels (R18).

mod create;
mod credential_file;
mod list;
mod renew;
mod revoke;

use clap::Subcommand;
use events::vocabulary::{Serial, Timestamp};
use proto::{convert::moment, outcome::Failure, pb};
use serde::Serialize;

use crate::{answer::Answer, connection::Journals};

const EXAMPLES: &str = "\
Examples:
  pact operator create alice --role pact-platform-admin --out alice.pem
  pact operator create carol --role pact-viewer-prod --expires 7d --out carol.pem
  pact operator list
  pact operator renew --out alice.pem
  pact operator revoke alice --reason \"left the company\"

Roles:
  pact-platform-admin     everything
  pact-ops-VCLUSTER       reads and configures one vCluster
  pact-viewer-VCLUSTER    reads one vCluster";

/// What to do with operators.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Verb {
    /// Give a person a role and a certificate
    Create(create::Create),
    /// Show the operators of the domain, also former ones
    List(list::List),
    /// End an operator and their connections
    Revoke(revoke::Revoke),
    /// Get your own next certificate; the present one ends soon
    Renew(renew::Renew),
}

impl Verb {
    /// Asks a journal for it.
    ///
    /// # Errors
    /// If an argument cannot be used, a file not be written, or the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        match self {
            Self::Create(create) => create.run(journals).await,
            Self::List(list) => list.run(journals).await,
            Self::Revoke(revoke) => revoke.run(journals).await,
            Self::Renew(renew) => renew.run(journals).await,
        }
    }
}

/// An operator as `-o json` prints it. Every field is always there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperatorJson {
    /// The name.
    pub operator_id: String,
    /// What they may do, or could.
    pub role: String,
    /// `active` or `revoked`.
    pub state: &'static str,
    /// The current certificate; none once revoked.
    pub certificate: Option<CertificateJson>,
}

/// An operator's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateJson {
    /// Its serial number.
    pub serial: Serial,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

/// Reads the operator of a journal's answer.
fn readable(wire: Option<pb::Operator>) -> Result<OperatorJson, Failure> {
    let wire = wire.ok_or_else(|| Failure::other("the journal's answer holds no operator"))?;
    let malformed = |field| {
        Failure::other(format!("the journal's answer about operator `{}` has no {field}", wire.operator_id))
    };
    let moment = |at: &Option<prost_types::Timestamp>, field| {
        at.as_ref().and_then(|at| moment::from_wire(at).ok()).ok_or_else(|| malformed(field))
    };
    let certificate = if wire.revoked {
        None
    } else {
        Some(CertificateJson {
            serial: wire.serial.parse().map_err(|_| malformed("serial"))?,
            not_before: moment(&wire.not_before, "not_before")?,
            not_after: moment(&wire.not_after, "not_after")?,
        })
    };
    let state = if wire.revoked { "revoked" } else { "active" };
    Ok(OperatorJson { operator_id: wire.operator_id, role: wire.role, state, certificate })
}
