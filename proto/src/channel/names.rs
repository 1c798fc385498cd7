//! Addresses of names: by the system's resolver, unless the process has another.
//!
//! [`super::Connection`] asks for the addresses of a journal's host. An agent that is the first process of its machine, or
//! a static binary, has no system's resolver and says so once ([`resolve_by`]).
//!
//! **Invariant:** an IP address is never looked up.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::OnceLock,
};

use tokio::net::lookup_host;

static INSTEAD: OnceLock<Box<dyn Resolve>> = OnceLock::new();

/// Finds addresses of names.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// Those of a host, the best first.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

/// What [`Resolve::resolve`] answers, in time.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// From now on this process looks names up so. The first call counts.
pub fn resolve_by(resolver: Box<dyn Resolve>) {
    INSTEAD.set(resolver).ok();
}

/// Where a host and port are. There is at least one address.
pub(super) async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found: Vec<SocketAddr> = match INSTEAD.get() {
        Some(resolver) => {
            let found = resolver.resolve(host).await?;
            found.into_iter().map(|address| SocketAddr::new(address, port)).collect()
        }
        None => lookup_host((host, port)).await?.collect(),
    };
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address")));
    }
    Ok(found)
}
