//! The real `pact`: each promise to operators and their scripts.
//!
//! One executable, because each would link all libraries once more.
//!
//! Not here, on purpose: what agents see of it.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod batch;
#[cfg(test)]
mod completion;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod node;
#[cfg(test)]
mod odd_answers;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod quorum;
#[cfg(test)]
mod user_config;
#[cfg(test)]
mod vcluster;
#[cfg(test)]
mod verbs;
#[cfg(test)]
mod waiting;

use std::{collections::BTreeSet, process::Output};

use serde_json::Value;

use crate::journal::Journal;

/// Output as text.
pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// The one JSON document of an answer.
#[track_caller]
pub fn done(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("stdout holds one JSON document")
}

/// A failure as scripts see it: exit code, the line on stderr, and the document on stdout.
#[track_caller]
pub fn fails(output: &Output, exit: i32, reason: &str) {
    assert_eq!(output.status.code(), Some(exit), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).expect("stdout holds one JSON document");
    assert_eq!(keys(&document), BTreeSet::from(["error"]));
    assert_eq!(keys(&document["error"]), BTreeSet::from(["message", "reason"]));
    assert_eq!(document["error"]["reason"], reason);
    let message = document["error"]["message"].as_str().expect("a sentence");
    assert!(!message.is_empty());
    let line = format!("error: {reason}: {message}");
    assert!(text(&output.stderr).lines().any(|told| told == line), "{output:?}");
}

/// The names of an object's fields.
pub fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// `pact … -o json` as the domain's first operator.
pub fn pact(journal: &Journal, line: &[&str]) -> Output {
    journal.pact().args(line).args(["-o", "json"]).output().expect("pact runs")
}

/// RFC 3339 in UTC with milliseconds.
pub fn is_time(value: &Value) -> bool {
    let shape =
        |text: &str| text.bytes().map(|byte| if byte.is_ascii_digit() { '0' } else { byte.into() }).collect();
    value.as_str().map(shape) == Some("0000-00-00T00:00:00.000Z".to_owned())
}
