//! Every metric's name and what it says: what people write alerts and dashboards against.
//!
//! [`super::recorded`] and [`super::observed`] use them. Names are interfaces: base units, `_total` for counters. The
//! buckets of the histograms stand here too.
//!
//! Not here: what an alert on one means; docs/operations.md says it.
//!
//! **Invariant:** no label ever holds the name of a node, so that their number does not grow with the cluster.

/// A metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub name: &'static str,
    /// Its HELP line.
    pub says: &'static str,
}

const fn named(name: &'static str, says: &'static str) -> Named {
    Named { name, says }
}

pub(super) const ENROLL_REQUESTS: Named = named(
    "pact_enroll_requests_total",
    "Enroll requests by what became of them; reason says why one was refused.",
);
pub(super) const ENROLL_STAGE: Named = named(
    "pact_enroll_stage_seconds",
    "Time of an Enroll request: the gate's look-up, the queue of the node's actor, the signature, the commit, and all of it.",
);
pub(super) const HANDSHAKES: Named = named(
    "pact_tls_handshakes_total",
    "TLS handshakes by their result; client says as whom the client was let in.",
);
pub(super) const NODES: Named = named("pact_nodes", "Nodes by their state.");
pub(super) const SUBSCRIPTIONS: Named =
    named("pact_subscriptions", "Open subscriptions of nodes on this journal.");
pub(super) const QUEUE_DEPTH: Named =
    named("pact_queue_depth", "Orders about nodes that wait until they are begun.");
pub(super) const LOG_APPENDS: Named =
    named("pact_log_appends_total", "Appends that were given to Raft since the start.");
pub(super) const LOG_ENTRIES: Named =
    named("pact_log_entries_total", "Raft entries in which the appends went since the start.");
pub(super) const LOG_FSYNC: Named = named(
    "pact_log_fsync_seconds",
    "Time of each synced write of the log; the count is the number of syncs.",
);
pub(super) const LOG_LAST_SEQ: Named =
    named("pact_log_last_seq", "The last fact that is committed and applied here.");
pub(super) const AUTHORITY_NOT_AFTER: Named = named(
    "pact_authority_not_after_timestamp_seconds",
    "When the certificate of an authority that is not retired ends, in seconds since 1970.",
);
pub(super) const SERVER_CERTIFICATE_NOT_AFTER: Named = named(
    "pact_server_certificate_not_after_timestamp_seconds",
    "When this journal's server certificate ends, in seconds since 1970.",
);
pub(super) const REVOCATIONS: Named =
    named("pact_revocations", "Revoked certificates whose validity is not over for 24 hours yet.");
pub(super) const CONTESTED: Named = named(
    "pact_contested_total",
    "How often two machines began to claim to be one node, since the domain began.",
);
pub(super) const RAFT_IS_LEADER: Named = named("pact_raft_is_leader", "1 if this journal leads, else 0.");
pub(super) const RAFT_TERM: Named = named("pact_raft_term", "The present term of Raft.");
pub(super) const RAFT_APPLIED_INDEX: Named =
    named("pact_raft_applied_index", "The last Raft entry that is applied here.");
pub(super) const CERTIFICATES_EXPIRING: Named =
    named("pact_certificates_expiring", "Current certificates of active nodes that end within this time.");

/// Seconds: from a look-up in memory to what a client's patience bears.
pub(super) const STAGE_BUCKETS: &[f64] = &[
    0.000_01, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];
/// Seconds: from a fast disk's cache to a dying disk.
pub(super) const FSYNC_BUCKETS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
