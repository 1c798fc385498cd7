//! The real `pact-journal` over loopback: what it promises to agents, operators and the people who run it.
//!
//! One binary for all of it, so that RocksDB is linked once; all of it is test code, as `cfg(test)` says to the lints. [`journal_process`] starts journals, [`calls`] and
//! [`request`] speak to them, [`openssl`] is the independent other side.

#[cfg(test)]
mod admission;
#[cfg(test)]
mod authorities;
#[cfg(test)]
mod bad_requests;
#[cfg(test)]
mod boot_configuration;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod data_directory;
#[cfg(test)]
mod dev;
#[cfg(test)]
mod hardened;
#[cfg(test)]
mod issued;
#[cfg(test)]
mod journal_process;
#[cfg(test)]
mod judges;
#[cfg(test)]
mod openssl;
#[cfg(test)]
mod presence;
#[cfg(test)]
mod probes;
#[cfg(test)]
mod quorum;
#[cfg(test)]
mod request;
#[cfg(test)]
mod restore;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod server_certificate;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod stopping;
#[cfg(test)]
mod strange_machines;
#[cfg(test)]
mod supervision;
#[cfg(test)]
mod tls_peer;
#[cfg(test)]
mod who_may_call;
