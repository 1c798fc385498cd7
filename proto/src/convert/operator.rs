//! An operator and an authority, as the operators' listener answers them.
//!
//! `journal::grpc` calls it. Not here, on purpose: who may see them.

use events::authority::Announced;
use events::operator::State;
use events::vocabulary::{AuthorityId, OperatorId};

use super::moment;
use crate::pb;

/// Writes an operator, also a former one.
pub fn to_wire(id: &OperatorId, state: &State) -> pb::Operator {
    let operator = pb::Operator { operator_id: id.to_string(), ..pb::Operator::default() };
    match state {
        State::Unknown => operator,
        State::Kept { role, .. } => pb::Operator { role: role.to_string(), ..operator },
        State::Revoked { role } => pb::Operator { role: role.to_string(), revoked: true, ..operator },
        State::Active { role, current, .. } => pb::Operator {
            role: role.to_string(),
            serial: current.serial.to_string(),
            not_before: Some(moment::to_wire(current.not_before)),
            not_after: Some(moment::to_wire(current.not_after)),
            ..operator
        },
    }
}

/// Writes an authority as it was announced.
pub fn authority(id: AuthorityId, announced: &Announced, retired: bool) -> pb::Authority {
    pb::Authority {
        id: id.to_string(),
        generation: announced.generation,
        journal_id: announced.journal_id.to_string(),
        serial: announced.serial.to_string(),
        not_before: Some(moment::to_wire(announced.not_before)),
        not_after: Some(moment::to_wire(announced.not_after)),
        retired,
        certificate: announced.der.as_bytes().to_vec(),
    }
}
