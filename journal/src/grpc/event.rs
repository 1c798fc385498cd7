//! EventService: the log as operators read it (contract: `pact events tail`).

use std::pin::Pin;
use std::time::Duration;

use events::fact::{Fact, Record};
use events::vocabulary::{NodeId, Verb};
use futures_util::Stream;
use futures_util::stream::unfold;
use proto::convert::field;
use proto::pb;
use proto::pb::event_service_server::EventService;
use proto::reason::Reason;
use proto::refusal::Refusal;
use serde_json::Value;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::log::Log;

use super::access::{Access, Admitted, Call};
use super::refusal::broken;
use super::serve::stopped;

/// Facts that are told if none is asked for in particular.
const LAST: u64 = 20;
/// How often a stream that follows looks for new facts: a person reads it.
const LOOK: Duration = Duration::from_millis(200);
/// Facts that are read before others get their turn.
const AT_ONCE: u64 = 256;

/// See the module.
pub struct EventEdge {
    /// Who may call.
    pub access: Access,
    /// The log.
    pub log: Log,
    /// Says when the journal stops: whoever follows must not hold it up.
    pub stopping: watch::Receiver<bool>,
}

type Told = Pin<Box<dyn Stream<Item = Result<pb::TailEventsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl EventService for EventEdge {
    type TailEventsStream = Told;

    async fn tail_events(&self, request: Request<pb::TailEventsRequest>) -> Result<Response<Told>, Status> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Read))?;
        let wire = request.into_inner();
        let node = Some(wire.node_id.as_str()).filter(|id| !id.is_empty()).map(field::node_id).transpose()?;
        // Who follows may wait for a node that is yet to come.
        if let Some(id) = node.as_ref().filter(|id| !wire.follow && !self.is_seen(&admitted, id)) {
            return Err(Refusal::new(Reason::NodeNotFound, format!("no node is called {id}")).into());
        }
        let last = self.log.views().seq;
        let next = match (wire.from_seq, &node) {
            (Some(seq), _) => seq.max(1),
            (None, Some(_)) => 1,
            (None, None) => last.saturating_sub(LAST - 1).max(1),
        };
        let until = (!wire.follow).then_some(last);
        let (log, stopping) = (self.log.clone(), self.stopping.clone());
        let tail = Tail { log, admitted, node, next, until, stopping };
        Ok(Response::new(Box::pin(unfold(Some(tail), next_fact))))
    }
}

impl EventEdge {
    /// Whether there is such a node, as far as the caller may know.
    fn is_seen(&self, admitted: &Admitted, id: &NodeId) -> bool {
        self.log.views().registry.node(id).is_some_and(|node| admitted.sees(node.state.vcluster()))
    }
}

/// Where a reader stands.
struct Tail {
    log: Log,
    admitted: Admitted,
    node: Option<NodeId>,
    next: u64,
    /// The last fact that is told; none: it goes on.
    until: Option<u64>,
    stopping: watch::Receiver<bool>,
}

async fn next_fact(tail: Option<Tail>) -> Option<(Result<pb::TailEventsResponse, Status>, Option<Tail>)> {
    let mut tail = tail?;
    loop {
        let last = tail.until.unwrap_or_else(|| tail.log.views().seq);
        let pause = last.min(tail.next.saturating_add(AT_ONCE));
        while tail.next <= pause {
            let seq = tail.next;
            tail.next += 1;
            match tail.look(seq) {
                Ok(Some(json)) => return Some((Ok(pb::TailEventsResponse { seq, json }), Some(tail))),
                Ok(None) => {}
                Err(status) => return Some((Err(status), None)),
            }
        }
        if tail.next <= last {
            tokio::task::yield_now().await;
        } else if tail.until.is_some() {
            return None;
        } else {
            tokio::select! {
                () = stopped(&mut tail.stopping) => {
                    return Some((Err(Status::unavailable("the journal stops")), None));
                }
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

impl Tail {
    /// The fact at this place, if it is asked for and the caller may see it.
    fn look(&self, seq: u64) -> Result<Option<String>, Status> {
        let record = self.log.record(seq).map_err(|error| broken(&error))?;
        if !record.is_some_and(|(record, _)| self.wants(&record) && self.sees(&record)) {
            return Ok(None);
        }
        let fact = self.log.fact_json(seq).map_err(|error| broken(&error))?;
        Ok(fact.map(|mut fact| {
            if !self.admitted.sees(None) {
                hide_remarks(&mut fact);
            }
            fact.to_string()
        }))
    }

    fn wants(&self, record: &Record) -> bool {
        self.node.as_ref().is_none_or(|node| matches!(&record.fact, Fact::Node(id, _) if id == node))
    }

    /// Administrators see all. Others see what happened to the nodes of their vCluster since those were enrolled into it,
    /// and to the vCluster.
    fn sees(&self, record: &Record) -> bool {
        if self.admitted.sees(None) {
            return true;
        }
        match &record.fact {
            Fact::Node(id, _) => self.log.views().registry.node(id).is_some_and(|node| {
                self.admitted.sees(node.state.vcluster()) && record.recorded_at >= node.registered_at
            }),
            Fact::VCluster(id, _) => self.admitted.sees(Some(id)),
            Fact::Domain(_) | Fact::Authority(..) | Fact::Operator(..) | Fact::Member(..) => false,
        }
    }
}

/// What people said, and from where they asked, is for administrators (R4); that it was said is not.
fn hide_remarks(fact: &mut Value) {
    for field in ["source", "reason", "name"] {
        if let Some(text) = fact.get_mut(field) {
            *text = Value::Null;
        }
    }
}
