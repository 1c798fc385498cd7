//! How pact is said: the protobuf services, their meaning, and the client's side of a connection.
//!
//! `journal` answers with these types; `agent`, `cli` and `loadtest` ask with them and report their failures
//! through [`outcome`]. The messages lie in `proto/pact/v1/`, a file a service.
//!
//! | module | says |
//! |---|---|
//! | [`pb`] | the generated messages, clients and servers |
//! | [`reason`], [`refusal`] | why a journal said no, and how that crosses the wire |
//! | [`tls`], [`channel`] | the one crypto provider; the client's connection to a journal |
//! | [`binding`] | what is signed to bind a workload identity to a node |
//! | [`corked`] | a TCP stream that sends in few segments, for both sides |
//! | [`pem_file`] | the two files that a client is given: whom to trust, and who it is |
//! | [`join_token`] | what a journal joins with |
//! | [`processor`] | whether this machine's processor has what RocksDB is compiled for |
//! | [`hardening`] | no core dumps, locked memory: for processes that hold keys |
//! | [`outcome`], [`logging`] | exit codes, printed failures and logs, alike in all binaries |
//! | [`supervisor`] | what systemd is told |
//! | [`manual`] | what packages hold besides binaries: manual pages, completion for shells |
//! | [`throughput`] | threads that do much for many, on both sides of a storm |
//! | [`convert`] | wire to domain, and back |
//! | [`node_json`], [`vcluster_json`] | a node and a vCluster as JSON, as scripts read them |
//!
//! Not here, on purpose: decisions (`events`), the server's acceptor (`journal::grpc`), and any state.
//!
//! **Invariant:** a message that was converted is valid; what is invalid stops at the conversion.

pub mod binding;
pub mod channel;
pub mod convert;
pub mod corked;
mod evicted_servers;
mod frugal_codec;
pub mod hardening;
pub mod join_token;
mod known_server;
pub mod logging;
pub mod manual;
pub mod node_json;
pub mod outcome;
pub mod pem_file;
pub mod processor;
pub mod reason;
pub mod refusal;
pub mod supervisor;
pub mod throughput;
pub mod tls;
pub mod vcluster_json;
mod waking_clock;

/// The generated messages, clients and servers of the package `pact.v1`.
///
/// Their documentation lies in the `.proto` files.
// The one exception from our lints, for generated code only. The generator documents none of what it adds itself (the
// enum of a `oneof`, constructors), and a server's one dispatching function grows with every call.
#[allow(missing_docs, clippy::too_many_lines)]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/pact.v1.rs"));
}

/// The encoded `FileDescriptorSet` of `pact.v1` and all that it imports, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pact.v1.bin"));
