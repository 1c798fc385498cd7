//! The flags of `pact-journal serve` that stand for keys of `journal.toml`.
//!
//! Not here: limits ([`super::keys`]), which are the same wherever a value comes from.
//!
//! **Invariant:** a flag for each key, of the key's name; one that is not given is no value.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

/// See the module.
#[derive(Debug, Clone, Default, Args, Serialize)]
#[command(next_help_heading = "Settings, over PACT_JOURNAL_… in the environment, over the file")]
pub struct Settings {
    /// Where agents connect. Port 0: any free one
    #[arg(long, value_name = "ADDR")]
    pub agent_listen: Option<SocketAddr>,
    /// Where operators connect. Port 0: any free one
    #[arg(long, value_name = "ADDR")]
    pub operator_listen: Option<SocketAddr>,
    /// Where the other journals will connect
    // Shown once something listens there.
    #[arg(long, value_name = "ADDR", hide = true)]
    pub cluster_listen: Option<SocketAddr>,
    /// Where probes and metrics are answered, over plain HTTP. Port 0: any free one
    #[arg(long, value_name = "ADDR")]
    pub http_listen: Option<SocketAddr>,
    /// A host name or address of the server certificate; the first one is told to agents
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub advertise: Vec<String>,
    /// Life of a node's certificate, at least 30
    #[arg(long, value_name = "SECONDS")]
    pub certificate_ttl_secs: Option<u32>,
    /// Life of an authority's certificate, at least three times a node's
    #[arg(long, value_name = "SECONDS")]
    pub authority_ttl_secs: Option<u32>,
    /// How long a node may be away before it is believed gone, up to a day
    #[arg(long, value_name = "SECONDS")]
    pub grace_period_secs: Option<u32>,
    /// After how long without word of its quorum the journal refuses everything, from 10 to 600
    #[arg(long, value_name = "SECONDS")]
    pub stale_after_secs: Option<u32>,
    /// After how long a node that has not used its certificate is told as stuck, up to a day
    #[arg(long, value_name = "SECONDS")]
    pub unconfirmed_alert_secs: Option<u32>,
    /// How many callers that nobody registered are answered a minute
    #[arg(long, value_name = "NUMBER")]
    pub unknown_per_minute: Option<u32>,
    /// Whether another boot of an active node's machine is let in before the node is given up, once the former one answers
    /// nobody
    #[arg(long, value_name = "off|claimed")]
    pub warm_reboot: Option<String>,
    /// Whether the listeners answer gRPC server reflection
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub reflection: Option<bool>,
    /// Free bytes of disk below which only revocations and evictions are recorded; 0: no reserve
    #[arg(long, value_name = "BYTES")]
    pub disk_reserve_bytes: Option<u64>,
    /// The SPIFFE trust domain whose workload identities may be bound to nodes
    #[arg(long, value_name = "NAME")]
    pub workload_trust_domain: Option<String>,
    /// The certificates of that trust domain in PEM, read again when the file changes
    #[arg(long, value_name = "FILE")]
    pub workload_bundle: Option<PathBuf>,
}
