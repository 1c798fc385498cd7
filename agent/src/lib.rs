//! Who asks: the agent of one node, which proves which machine it runs on, enrolls it and keeps it enrolled.
//!
//! The modules are the steps of one enrollment. `pact-agent` goes through them for its machine ([`run`]); `loadtest`
//! goes through the same code for thousands of made-up machines.
//!
//! | module | step |
//! |---|---|
//! | [`probe`], [`hardware`] | reads what identifies this machine, from the machine or from a file |
//! | [`machine`] | knows which of its boots this is |
//! | [`key`] | makes a key pair in RAM and the certificate request for it |
//! | [`journals`] | knows whom to ask and whom to trust |
//! | `round` | connects to one journal after another, and beside one that stalls to the next |
//! | [`enroll`] | asks until a journal answers, as [`retry`] allows |
//! | [`answer`] | checks the answer before anything is done with it |
//! | `waking` | sets a clock that woke up wrong |
//! | [`subscription`] | connects with the certificate, stays connected, says goodbye |
//! | [`boot_config`] | fetches and checks what the node is configured by, and the next when that changes |
//! | [`renew`] | asks for the next certificate |
//! | [`life`] | says what comes after what, for ever: a pure machine |
//! | [`run`] | puts the steps in their order, for one boot or as the machine says |
//! | [`services`] | runs what the boot configuration declares |
//! | [`cache`] | keeps what the node is configured by for the next process |
//! | `cascade`, `workload_api`, [`workload_identity`], `bind` | whether it is proved by an identity of others, such as SPIRE's |
//! | [`status`] | says how it is with the running agent |
//! | [`arguments`], [`config_file`], [`kernel_command_line`] | what the user says, or the image that the machine booted |
//! | [`report`] | what the user is told |
//! | [`init`] | is the first process of a machine: mounts, drivers, network, signals, supervision |
//! | [`session`] | what outlives the agent: key and certificate, for the agent that takes its place |
//! | [`children`], [`names`] | processes that it starts and inherits; addresses of names |
//! | `entropy`, `panics` | waits for the kernel's random numbers; says what broke a task |
//!
//! Not here, on purpose: decisions. The journal decides; the agent asks again, or ends.
//!
//! **Invariant:** the private key stays in this process's memory (R18).

pub mod answer;
pub mod arguments;
mod bind;
pub mod boot_config;
pub mod cache;
mod cascade;
pub mod children;
pub mod config_file;
pub mod enroll;
mod entropy;
pub mod hardware;
pub mod init;
pub mod journals;
pub mod kernel_command_line;
pub mod key;
pub mod life;
pub mod machine;
mod marks;
pub mod names;
mod panics;
pub mod probe;
pub mod renew;
pub mod report;
pub mod retry;
mod round;
pub mod run;
pub mod services;
pub mod session;
pub mod status;
pub mod subscription;
mod waking;
mod workload_api;
pub mod workload_identity;

#[cfg(test)]
mod fake_journal;
