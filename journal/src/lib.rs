//! Where pact decides: the journal.
//!
//! An enrollment goes through these rooms, in this order (design §3):
//!
//! ```text
//! grpc/        TLS, who may call, wire to domain
//! gate         whom is this about? a look-up, no cryptography
//! admission/   who may go on, who is told to come back
//! actors/      one actor a node: decide (events), sign, append, answer
//! authority/   reads the request, proves possession, signs in memory
//! log/         one Raft entry and one fsync for all that waits; applies; folds the views
//! ```
//!
//! Beside them: [`presence`] knows which nodes are here, gives up the absent, tells the others of changes and finds nodes that
//! two machines claim to be; [`attempts`] has refusals recorded; [`overlays`]
//! sets and shows what they are configured by; [`operators`] gives and takes the certificates of those who command;
//! [`membership`] shows and changes the quorum, [`distrust`] ends what an evicted journal had signed, [`renewal`] keeps the
//! server certificate alive, [`workloads`] recognizes identities of others; [`init`] makes a domain, [`restore`] goes on with one whose journals are lost,
//! [`recover_operator`] lets somebody command again, [`journal`] starts and stops, [`succession`]
//! replaces authorities, [`http`] answers probes and [`metrics`] counts.
//! [`args`] and [`commands`] are the command line, [`stop`] hears when to end, [`open_files`] shares them, [`config`] the settings; [`dev`] serves a domain to try things on, and
//! [`supervisor`] tells systemd how it stands.
//! Not here: any rule. Rules are in `events`.

pub mod actors;
pub mod admission;
mod agent_endpoints;
mod announcement;
pub mod args;
mod attempts;
pub mod authority;
pub mod boottime;
mod clock;
pub mod cluster;
pub mod commands;
pub mod config;
mod credential_file;
pub mod data_dir;
mod dev;
mod distrust;
pub mod domain_ca;
mod eviction;
mod gate;
pub mod grpc;
mod hardening;
pub mod http;
pub mod init;
pub mod join;
pub mod journal;
pub mod log;
mod membership;
pub mod metrics;
mod muster;
mod new_directory;
mod one_certificate;
mod open_files;
mod operators;
mod overlays;
mod own_append;
#[cfg(feature = "planted-bugs")]
pub mod planted;
mod presence;
mod random;
mod recover_operator;
mod release;
mod renewal;
mod restore;
mod server_credential;
mod sockets;
mod source_remark;
mod stop;
mod succession;
mod supervisor;
pub mod workloads;
