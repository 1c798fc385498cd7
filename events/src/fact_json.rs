//! A fact as one flat JSON object (contract: Facts). Journals tell it to operators, auditors read it of a log.
//!
//! The envelope's fields and the fact's own lie side by side, with `type` and the subject's id. Where the fact holds the
//! hash of a personal remark, the field has the text, null once it is erased, and `…_sha256` beside it has the hash.
//!
//! **Invariant:** no field of a fact is lost and none covers another.

use crate::codec::Chain;
use crate::fact::{Fact, Record};
use crate::vocabulary::{Remark, RemarkHash};
use crate::{domain, member, node, operator};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The fact in its envelope, with the texts that were not erased and its link of the chain.
pub fn to_json(record: &Record, remarks: &[Remark], chain: &Chain) -> Value {
    let (kind, mut fields) = content(&record.fact);
    if let Some((field, hash)) = remark_field(&record.fact) {
        put_remark(&mut fields, field, hash, remarks);
    }
    put_remark(&mut fields, "source", record.source, remarks);
    if let Some((field, id)) = subject(&record.fact) {
        fields.insert(field.to_owned(), Value::String(id));
    }
    let envelope = [
        ("type", Value::String(kind)),
        ("seq", json!(record.seq)),
        ("streams", plain(&record.streams)),
        ("append_id", plain(&record.append_id)),
        ("decided_at", plain(&record.decided_at)),
        ("recorded_at", plain(&record.recorded_at)),
        ("principal", plain(&record.principal)),
        ("proposed_by", plain(&record.proposed_by)),
        ("assurance", plain(&record.assurance)),
        ("chain", Value::String(chain.to_string())),
    ];
    fields.extend(envelope.map(|(field, value)| (field.to_owned(), value)));
    Value::Object(fields)
}

/// The name of a fact's type, such as `NodeRegistered`.
pub fn type_name(fact: &Fact) -> String {
    content(fact).0
}

/// The text of the remark with this hash, if it was not erased.
pub fn remark_text(hash: Option<RemarkHash>, remarks: &[Remark]) -> Option<&str> {
    remarks.iter().find(|remark| Some(remark.hash()) == hash).map(Remark::text)
}

fn put_remark(fields: &mut Map<String, Value>, field: &str, hash: Option<RemarkHash>, remarks: &[Remark]) {
    fields.insert(field.to_owned(), json!(remark_text(hash, remarks)));
    fields.insert(format!("{field}_sha256"), plain(&hash));
}

/// The type and the fields of what happened: an event is written as an object with one entry, `{type: fields}`.
fn content(fact: &Fact) -> (String, Map<String, Value>) {
    let event = match fact {
        Fact::Domain(event) => plain(event),
        Fact::Node(_, event) => plain(event),
        Fact::Authority(_, event) => plain(event),
        Fact::Operator(_, event) => plain(event),
        Fact::VCluster(_, event) => plain(event),
        Fact::Member(_, event) => plain(event),
    };
    let (kind, mut fields) = if let Value::String(kind) = event {
        // An event that says nothing but that it happened.
        (kind, Map::new())
    } else {
        let one = entries(event).into_iter().next();
        let (kind, fields) = one.expect("an event is an object with one entry");
        (kind, entries(fields))
    };
    if let Fact::Domain(domain::Event::RemarkErased { seq, .. }) = fact {
        // It names another fact's place; its own lies in the envelope under the same name.
        fields.remove("seq");
        fields.insert("erased_seq".to_owned(), json!(seq));
    }
    (kind, fields)
}

/// All events and their fields have names, also where there is none: `{}`.
fn entries(value: Value) -> Map<String, Value> {
    if let Value::Object(entries) = value { entries } else { Map::new() }
}

fn subject(fact: &Fact) -> Option<(&'static str, String)> {
    match fact {
        Fact::Domain(_) => None,
        Fact::Node(id, _) => Some(("node_id", id.to_string())),
        Fact::Authority(id, _) => Some(("authority_id", id.to_string())),
        Fact::Operator(id, _) => Some(("operator_id", id.to_string())),
        Fact::VCluster(id, _) => Some(("vcluster", id.to_string())),
        Fact::Member(id, _) => Some(("journal_id", id.to_string())),
    }
}

/// The field of a fact that holds the hash of a remark, and the hash. `RemarkErased` names a hash, but holds no remark.
pub fn remark_field(fact: &Fact) -> Option<(&'static str, Option<RemarkHash>)> {
    let field = match fact {
        Fact::Node(_, node::Event::Revoked { .. })
        | Fact::Operator(_, operator::Event::Revoked { .. })
        | Fact::Member(_, member::Event::Evicted { .. }) => "reason",
        Fact::Operator(_, operator::Event::Created { .. }) => "name",
        Fact::Domain(
            domain::Event::Created(_)
            | domain::Event::JoinTokenCreated { .. }
            | domain::Event::RemarkErased { .. }
            | domain::Event::DefaultSet { .. }
            | domain::Event::JoinTokenConsumed { .. }
            | domain::Event::LevelRaised { .. }
            | domain::Event::Restored(_),
        )
        | Fact::Authority(..)
        | Fact::VCluster(..)
        | Fact::Member(
            _,
            member::Event::Joining { .. } | member::Event::Joined | member::Event::Announced { .. },
        )
        | Fact::Operator(_, operator::Event::Renewed { .. })
        | Fact::Node(
            _,
            node::Event::Registered { .. }
            | node::Event::CertificateIssued { .. }
            | node::Event::EnrollmentConfirmed { .. }
            | node::Event::Deactivated { .. }
            | node::Event::Reactivated { .. }
            | node::Event::Assigned { .. }
            | node::Event::Contested { .. }
            | node::Event::Resolved {}
            | node::Event::HardwareReplaced { .. }
            | node::Event::AttemptsRefused(_)
            | node::Event::CertificateRevoked { .. }
            | node::Event::Unassigned { .. }
            | node::Event::Moved { .. }
            | node::Event::Drained {}
            | node::Event::Undrained {}
            | node::Event::IdentityBound { .. },
        ) => return None,
    };
    Some((field, fact.remark()))
}

fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("stored values have text keys and finite numbers only")
}

#[cfg(test)]
mod tests;
