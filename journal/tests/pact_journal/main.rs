//! The real `pact-journal` over loopback: what it promises to agents, operators and the people who run it.
//!
//! One binary for all of it, so that RocksDB is linked once. [`journal_process`] starts journals, [`calls`] and
//! [`request`] speak to them, [`openssl`] is the independent other side.

mod bad_requests;
mod calls;
mod crash;
mod data_directory;
mod issued;
mod journal_process;
mod judges;
mod openssl;
mod request;
mod secrets;
mod who_may_call;
