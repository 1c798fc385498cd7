//! Carries out an order: decide, sign, append, answer (design §3, steps 5–8).
//!
//! Called by the node's actor, which holds the node meanwhile. After a conflict the order is decided again on newer
//! views, three times at most (R7).

use std::time::Duration;

use events::append::Append;
use events::certificate::{Certificate, Terms};
use events::fact::Fact;
use events::node::{Decision, Event, Issue, Rejection};
use events::stream::{StreamName, StreamVersion};
use events::vocabulary::{
    AppendId, Assurance, AuthorityId, Der, DomainId, JournalId, NodeId, Principal, Remark, Serial, Timestamp,
    VClusterId,
};

use crate::authority::{Csr, IssueError, Pool};
use crate::clock;
use crate::log::{AppendError, KNOWN, Log};
use crate::metrics::{Stage, waited};
use crate::random;

use super::order::{Answer, AskError, IssuedCertificate, Order, Request};
use super::proposal::{Proposal, key_of, propose, unreadable};

/// A real conflict is decided again this often (R7).
const ATTEMPTS: usize = 3;

/// What an order needs of the journal.
#[derive(Clone)]
pub struct Executor {
    /// The log and its views.
    pub log: Log,
    /// The authority's workers.
    pub pool: Pool,
    /// The domain.
    pub domain_id: DomainId,
    /// This journal.
    pub journal_id: JournalId,
    /// How long a node's certificate lives.
    pub certificate_ttl: Duration,
}

impl Executor {
    /// Carries out an order about a node.
    pub async fn carry_out(&self, node: &NodeId, request: &Request) -> Result<Answer, AskError> {
        for _ in 0..ATTEMPTS {
            let terms = self.terms()?;
            let now = terms.now;
            let proposal = self.decided(node, request, &terms).await?;
            match self.record(node, request, proposal, now).await {
                Err(AskError::Append(AppendError::Conflict { stream, .. })) => {
                    tracing::debug!(%node, %stream, "the order is decided again");
                }
                settled => return settled,
            }
        }
        Err(AskError::Contended)
    }

    /// Decides an order. That an operator's is refused, or is nothing new, is said only once all that was recorded
    /// elsewhere is known here (R22); if nobody confirms that, it stands.
    async fn decided(&self, node: &NodeId, request: &Request, terms: &Terms) -> Result<Proposal, AskError> {
        let mut confirmed = self.log.is_alone() || !matches!(request.principal, Principal::Operator(_));
        loop {
            let decided = match self.propose(node, request, terms.clone()) {
                Ok(None) => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(Some(proposal)) => Ok(proposal),
                Err(error) => Err(error),
            };
            if confirmed
                || !rests_on_what_is_known_here(&decided)
                || self.log.read_index(KNOWN).await.is_err()
            {
                return decided;
            }
            confirmed = true;
        }
    }

    /// Decides an order and does nothing.
    pub fn rehearse(&self, node: &NodeId, request: &Request) -> Result<Answer, AskError> {
        self.propose(node, request, self.terms()?)?;
        Ok(Answer::Settled { seq: self.log.views().seq })
    }

    /// None: the views are about to change; ask again.
    fn propose(&self, node: &NodeId, request: &Request, terms: Terms) -> Result<Option<Proposal>, AskError> {
        let (now, order) = (terms.now, &request.order);
        let views = self.log.views();
        if let Principal::Operator(id) = &request.principal {
            let asker = views.operators.get(id).and_then(|operator| operator.state.role());
            asker.ok_or(AskError::AskerGone)?;
        }
        // The views forget who had a key; how often it was claimed stands in the log. Both must be of one moment, or a
        // claim that is stored and not folded yet would look like a key that was released.
        let key_version = match key_of(order) {
            Some(key) => self.log.version_seen(&StreamName::Key(key), &views).map_err(AskError::Read)?,
            None => Some(0),
        };
        let Some(key_version) = key_version else { return Ok(None) };
        let proposed =
            propose(&views, &self.domain_id, node, (order, &request.principal), key_version, terms);
        proposed.map(Some).map_err(|rejection| match (&rejection, unreadable(order)) {
            (Rejection::CsrInvalid, Some(error)) => AskError::Csr(error.clone()),
            _ => AskError::Rejected { rejection, at: now },
        })
    }

    async fn record(
        &self,
        node: &NodeId,
        request: &Request,
        proposal: Proposal,
        now: Timestamp,
    ) -> Result<Answer, AskError> {
        let expects = proposal.expects;
        match proposal.decision {
            Decision::Nothing => Ok(Answer::Settled { seq: self.log.views().seq }),
            Decision::Record(events) => {
                let seq = self.append(node, request, expects, events, now).await?;
                Ok(Answer::Settled { seq })
            }
            Decision::Issue(issue) => self.issue(node, request, expects, *issue, now).await,
            Decision::Repeat(certificate) => {
                self.prove(&request.order).await?;
                self.recorded(node, certificate)
            }
            Decision::Return { events, certificate } => {
                // A request that proves nothing shows nothing (R12).
                self.prove(&request.order).await?;
                self.append(node, request, expects, events, now).await?;
                tracing::warn!(%node, "a former machine of the node came back: two machines claim to be it");
                self.recorded(node, certificate)
            }
        }
    }

    async fn issue(
        &self,
        node: &NodeId,
        request: &Request,
        expects: Vec<StreamVersion>,
        issue: Issue,
        now: Timestamp,
    ) -> Result<Answer, AskError> {
        let csr = readable(&request.order, now)?;
        let counts = request.order.is_enrollment();
        let signing = self.pool.sign(issue.profile.clone(), csr);
        let der = waited(Stage::Sign, counts, signing).await.map_err(refused_or_failed)?;
        let (authority, vcluster) = self.surroundings(node, issue.profile.authority)?;
        let events = issue.complete(der.clone());
        let certificate = issued(&events).cloned().ok_or(AskError::Interrupted)?;
        waited(Stage::Commit, counts, self.append(node, request, expects, events, now)).await?;
        Ok(Answer::Issued(Box::new(IssuedCertificate {
            node_id: node.clone(),
            certificate,
            der,
            authority,
            vcluster,
        })))
    }

    /// Whether the caller holds the key of its request.
    async fn prove(&self, order: &Order) -> Result<(), AskError> {
        let csr = readable(order, clock::now())?;
        self.pool.verify(csr).await.map(drop).map_err(refused_or_failed)
    }

    /// A certificate that the node has already, whose key the caller has proved (R14, R15).
    fn recorded(&self, node: &NodeId, certificate: Certificate) -> Result<Answer, AskError> {
        let seq = self.log.views().certificates.by_serial(&certificate.serial).map_or(0, |known| known.seq);
        let (record, _) = self.log.record(seq).map_err(AskError::Read)?.ok_or(AskError::Missing { seq })?;
        let Fact::Node(_, Event::CertificateIssued { der, .. }) = record.fact else {
            return Err(AskError::Missing { seq });
        };
        let (authority, vcluster) = self.surroundings(node, certificate.authority)?;
        Ok(Answer::Issued(Box::new(IssuedCertificate {
            node_id: node.clone(),
            certificate,
            der,
            authority,
            vcluster,
        })))
    }

    async fn append(
        &self,
        node: &NodeId,
        request: &Request,
        expects: Vec<StreamVersion>,
        events: Vec<Event>,
        decided_at: Timestamp,
    ) -> Result<u64, AskError> {
        let append = Append {
            append_id: AppendId::new(random::bytes().map_err(|_| AskError::Random)?),
            decided_at,
            principal: request.principal.clone(),
            proposed_by: self.journal_id.clone(),
            source: request.source.as_ref().map(Remark::hash),
            assurance: issued(&events).map(|_| Assurance::Claimed),
            expects,
            facts: events.into_iter().map(|event| Fact::Node(node.clone(), event)).collect(),
            remarks: request.source.iter().chain(said(&request.order)).cloned().collect(),
        };
        Ok(self.log.append(append).await.map_err(AskError::Append)?.last_seq)
    }

    fn terms(&self) -> Result<Terms, AskError> {
        let (authority, authority_not_after) = self.pool.current().ok_or(AskError::NoAuthority)?;
        let serial = Serial::from_random(random::bytes().map_err(|_| AskError::Random)?);
        let jitter = u16::from_le_bytes(random::bytes().map_err(|_| AskError::Random)?);
        let lifetime = self.certificate_ttl;
        Ok(Terms { now: clock::now(), serial, jitter, lifetime, authority, authority_not_after })
    }

    /// What an answer says beside the certificate: who signed it, and which vCluster the node is in.
    fn surroundings(
        &self,
        node: &NodeId,
        authority: AuthorityId,
    ) -> Result<(Der, Option<VClusterId>), AskError> {
        let views = self.log.views();
        let announced = views.authorities.get(&authority).and_then(|authority| authority.state.announced());
        let der = announced.map(|announced| announced.der.clone());
        #[cfg(feature = "planted-bugs")]
        let der = der.or_else(|| crate::planted::unannounced(authority));
        let der = der.ok_or(AskError::NoAuthority)?;
        let vcluster = views.registry.node(node).and_then(|node| node.state.vcluster()).cloned();
        Ok((der, vcluster))
    }
}

/// Whether it will not be recorded, where the versions of all streams would be compared (R1).
fn rests_on_what_is_known_here(decided: &Result<Proposal, AskError>) -> bool {
    match decided {
        Ok(proposal) => matches!(proposal.decision, Decision::Nothing),
        Err(error) => matches!(error, AskError::Rejected { .. }),
    }
}

/// The certificate that these facts bring, if they bring one.
fn issued(events: &[Event]) -> Option<&Certificate> {
    events.iter().find_map(|event| match event {
        Event::CertificateIssued { certificate, .. } => Some(certificate),
        Event::Registered { .. }
        | Event::EnrollmentConfirmed { .. }
        | Event::Deactivated { .. }
        | Event::Reactivated { .. }
        | Event::Revoked { .. }
        | Event::Assigned { .. }
        | Event::Contested { .. }
        | Event::Resolved {}
        | Event::HardwareReplaced { .. }
        | Event::AttemptsRefused(_)
        | Event::CertificateRevoked { .. }
        | Event::Unassigned { .. }
        | Event::Moved { .. }
        | Event::Drained {}
        | Event::Undrained {}
        | Event::IdentityBound { .. } => None,
    })
}

/// The personal remark in an order.
fn said(order: &Order) -> Option<&Remark> {
    match order {
        Order::Revoke { reason, .. } => reason.as_ref(),
        Order::Register { .. }
        | Order::Enroll { .. }
        | Order::Renew { .. }
        | Order::Confirm { .. }
        | Order::Goodbye { .. }
        | Order::Due { .. }
        | Order::Deactivate
        | Order::Assign { .. }
        | Order::Unassign { .. }
        | Order::Move { .. }
        | Order::Drain { .. }
        | Order::Contest(_)
        | Order::ProveFormer { .. }
        | Order::Resolve
        | Order::Bind { .. }
        | Order::ReplaceHardware { .. }
        | Order::NoteRefused(_)
        | Order::Distrust { .. } => None,
    }
}

/// The request of an order for which a certificate was decided: `events` decides none without a readable one.
fn readable(order: &Order, at: Timestamp) -> Result<Csr, AskError> {
    match order {
        Order::Enroll { csr, .. } | Order::Renew { csr, .. } => {
            csr.as_ref().as_ref().cloned().map_err(|error| AskError::Csr(error.clone()))
        }
        Order::Register { .. }
        | Order::Confirm { .. }
        | Order::Goodbye { .. }
        | Order::Due { .. }
        | Order::Deactivate
        | Order::Revoke { .. }
        | Order::Assign { .. }
        | Order::Unassign { .. }
        | Order::Move { .. }
        | Order::Drain { .. }
        | Order::Contest(_)
        | Order::ProveFormer { .. }
        | Order::Resolve
        | Order::Bind { .. }
        | Order::ReplaceHardware { .. }
        | Order::NoteRefused(_)
        | Order::Distrust { .. } => Err(AskError::Rejected { rejection: Rejection::CsrInvalid, at }),
    }
}

fn refused_or_failed(error: IssueError) -> AskError {
    if let IssueError::Csr(refused) = error { AskError::Csr(refused) } else { AskError::Sign(error) }
}
