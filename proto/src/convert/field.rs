//! Single fields of requests: names, serials, labels, remarks.
//!
//! `journal::grpc` reads each field of a request through one of these, so that a malformed one is refused alike
//! everywhere. Their errors are [`Refusal`]s with the code INVALID_ARGUMENT.

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use events::vocabulary::{InvalidName, Labels, NodeId, Serial};

use crate::{reason::Reason, refusal::Refusal};

/// Reads the name of a node (§8).
///
/// # Errors
/// `NODE_ID_INVALID` if it is not canonical.
pub fn node_id(text: &str) -> Result<NodeId, Refusal> {
    text.parse().map_err(|error: InvalidName| Refusal::new(Reason::NodeIdInvalid, error.to_string()))
}

/// Reads the serial number of a certificate.
///
/// # Errors
/// `FIELD_INVALID` if it is not 32 hex digits of a serial.
pub fn serial(field: &str, text: &str) -> Result<Serial, Refusal> {
    parsed(field, text)
}

/// Reads labels.
///
/// # Errors
/// `FIELD_INVALID` if one of them has a form that labels have not, or there are too many.
pub fn labels(pairs: BTreeMap<String, String>) -> Result<Labels, Refusal> {
    Labels::new(pairs).map_err(|error| invalid("labels", error))
}

/// Reads any field whose type is parsed from text.
///
/// # Errors
/// `FIELD_INVALID` with the field's name and what its type says.
pub fn parsed<T>(field: &str, text: &str) -> Result<T, Refusal>
where
    T: FromStr<Err: Display>,
{
    text.parse().map_err(|error| invalid(field, error))
}

/// The refusal of a malformed field that has no reason of its own.
pub fn invalid(field: &str, error: impl Display) -> Refusal {
    Refusal::new(Reason::FieldInvalid, format!("{field}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canonical_name_is_read_and_any_other_is_refused_with_its_reason() {
        assert_eq!(node_id("compute-042").unwrap().as_str(), "compute-042");
        for text in ["", "Compute", "-a", "a b", &"a".repeat(64)] {
            assert_eq!(node_id(text).unwrap_err().reason, Reason::NodeIdInvalid, "{text}");
        }
    }

    #[test]
    fn a_malformed_field_is_named() {
        let refusal = serial("current_serial", "12").unwrap_err();
        assert_eq!(refusal.reason, Reason::FieldInvalid);
        assert!(refusal.message.starts_with("current_serial: "), "{refusal}");
        assert!(serial("current_serial", &"4f".repeat(16)).is_ok());

        let pairs = BTreeMap::from([("a key".to_owned(), "value".to_owned())]);
        assert!(labels(pairs).unwrap_err().message.starts_with("labels: "));
    }
}
