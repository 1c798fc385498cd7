//! `pact status` and `pact authority list`: how the domain is.

use clap::{Args, Subcommand};
use events::vocabulary::{Serial, Timestamp};
use proto::{
    convert::moment,
    outcome::Failure,
    pb::{self, ListAuthoritiesRequest, StatusRequest},
};
use serde::Serialize;

use crate::{
    answer::Answer,
    connection::{Journals, status},
};

const EXAMPLES: &str = "\
Examples:
  pact status
  pact status -o json | jq .nodes.active

Nodes are counted as far as you may see them. Warnings say what needs a look.";

const AUTHORITY_EXAMPLES: &str = "\
Examples:
  pact authority list
  pact authority list -o json | jq -r '.authorities[] | select(.retired | not) | .certificate_pem'";

/// Shows the domain in a few numbers.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ShowStatus {}

/// What to do with authorities.
#[derive(Debug, Subcommand)]
#[command(after_help = AUTHORITY_EXAMPLES)]
pub enum AuthorityVerb {
    /// Show the authorities that sign certificates, or did
    #[command(after_help = AUTHORITY_EXAMPLES)]
    List {},
}

/// The domain as `-o json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusJson {
    /// The domain.
    pub domain_id: String,
    /// The journal that leads; none: nothing can be recorded.
    pub leader: Option<String>,
    /// The members of the quorum.
    pub journals: Vec<String>,
    /// How many nodes there are of each state.
    pub nodes: CountsJson,
    /// The log's last fact.
    pub last_seq: u64,
    /// Authorities that are not retired.
    pub authorities: u64,
    /// What needs a look.
    pub warnings: Vec<String>,
}

/// How many nodes there are of each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CountsJson {
    /// May enroll and have not yet.
    pub registered: u64,
    /// Have a certificate and are here.
    pub active: u64,
    /// Were active and are gone.
    pub inactive: u64,
    /// May not come back under their enrollment.
    pub revoked: u64,
}

/// An authority as `-o json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthorityJson {
    /// A ULID.
    pub id: String,
    /// Counts the authorities of its journal, from 1.
    pub generation: u32,
    /// In whose memory its key lives, or lived.
    pub journal_id: String,
    /// Of its certificate.
    pub serial: Serial,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// Whether its last certificate has expired.
    pub retired: bool,
    /// Its certificate.
    pub certificate_pem: String,
}

impl ShowStatus {
    /// Asks how the domain is.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = StatusRequest { min_seq: None };
        let answer = journals.ask(async |channel| status(channel).status(request).await).await?;
        let nodes = answer.nodes.unwrap_or_default();
        Ok(Answer::Status(Box::new(StatusJson {
            domain_id: answer.domain_id,
            leader: Some(answer.leader).filter(|leader| !leader.is_empty()),
            journals: answer.journals,
            nodes: CountsJson {
                registered: nodes.registered,
                active: nodes.active,
                inactive: nodes.inactive,
                revoked: nodes.revoked,
            },
            last_seq: answer.last_seq,
            authorities: answer.authorities,
            warnings: answer.warnings,
        })))
    }
}

impl AuthorityVerb {
    /// Asks for the authorities.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let Self::List {} = self;
        let request = ListAuthoritiesRequest { min_seq: None };
        let answer = journals.ask(async |channel| status(channel).list_authorities(request).await).await?;
        let authorities = answer.authorities.into_iter().map(readable).collect::<Result<_, _>>()?;
        Ok(Answer::Authorities { authorities, seq: answer.seq })
    }
}

fn readable(wire: pb::Authority) -> Result<AuthorityJson, Failure> {
    let malformed =
        |field| Failure::other(format!("the journal's answer about authority `{}` has no {field}", wire.id));
    let moment = |at: Option<&prost_types::Timestamp>, field| {
        at.and_then(|at| moment::from_wire(at).ok()).ok_or_else(|| malformed(field))
    };
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    Ok(AuthorityJson {
        serial: wire.serial.parse().map_err(|_| malformed("serial"))?,
        not_before: moment(wire.not_before.as_ref(), "not_before")?,
        not_after: moment(wire.not_after.as_ref(), "not_after")?,
        certificate_pem: pem::encode_config(&pem::Pem::new("CERTIFICATE", wire.certificate), config),
        id: wire.id,
        generation: wire.generation,
        journal_id: wire.journal_id,
        retired: wire.retired,
    })
}
