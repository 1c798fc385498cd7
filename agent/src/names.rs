//! Addresses of names, without the system's resolver: glibc's loads libraries at run time, which neither a static binary
//! nor an image without them has (design §9).
//!
//! `main` calls [`resolve_alone`] for the first process of a machine and for a static binary; [`proto::channel`] then asks
//! here. Servers are those of `pact.dns=`, else those of a DHCP lease, else those of `/etc/resolv.conf`; `/etc/hosts` comes
//! before all of them.
//!
//! Not here, on purpose: a memory of answers. A name is looked up once a connection, and an old answer would outlive the
//! journal that moved.
//!
//! **Invariant:** a look-up takes no longer than the connection it is for: its caller bounds it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use futures_util::future::BoxFuture;
use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use proto::channel::{Resolve, resolve_by};

/// Those of the lease. A process has one; a later lease replaces them.
static LEARNED: Mutex<Vec<SocketAddr>> = Mutex::new(Vec::new());
/// As many as resolv.conf(5) may name.
const SERVERS: usize = 3;
const PORT: u16 = 53;

/// From now on names are looked up here.
pub fn resolve_alone(told: Vec<SocketAddr>) {
    resolve_by(Box::new(Names { told }));
}

/// A DHCP server names servers of names.
pub(crate) fn learn(servers: &[Ipv4Addr]) {
    let servers = servers.iter().take(SERVERS).map(|server| SocketAddr::from((*server, PORT)));
    *LEARNED.lock().unwrap_or_else(PoisonError::into_inner) = servers.collect();
}

#[derive(Debug)]
struct Names {
    told: Vec<SocketAddr>,
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = self.resolver()?.lookup_ip(host).await.map_err(io::Error::other)?;
            Ok(found.iter().collect())
        })
    }
}

impl Names {
    fn resolver(&self) -> io::Result<TokioResolver> {
        let learned = || LEARNED.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let servers = if self.told.is_empty() { learned() } else { self.told.clone() };
        let builder = if servers.is_empty() {
            // Without the file there is /etc/hosts alone.
            TokioResolver::builder_tokio().unwrap_or_else(|_| of(&[]))
        } else {
            of(&servers)
        };
        builder.build().map_err(io::Error::other)
    }
}

fn of(servers: &[SocketAddr]) -> hickory_resolver::ResolverBuilder<TokioRuntimeProvider> {
    let servers = servers.iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        NameServerConfig::new(server.ip(), true, connections.to_vec())
    });
    let config = ResolverConfig::from_parts(None, vec![], servers.collect());
    Resolver::builder_with_config(config, TokioRuntimeProvider::default())
}
