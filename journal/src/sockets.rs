//! The listeners of a journal: bound before anything is changed, and told to others afterwards.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use crate::data_dir::Endpoints;
use crate::journal::StartError;

/// Connections that wait in the kernel while handshakes are under way (R21). A storm overflowed 1,024: clients then
/// waited seconds for a retransmission. The kernel takes the smaller of this and `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// Listens on an address.
pub fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A journal that was just stopped leaves connections behind that would hold the port for a minute.
        socket.set_reuseaddr(true)?;
        // Accepted sockets inherit it.
        socket.set_nodelay(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| StartError::Listen { address, source })
}

/// What others read of a journal that serves.
pub fn endpoints(
    agents: &TcpListener,
    operators: &TcpListener,
    cluster: SocketAddr,
    http: SocketAddr,
) -> Result<Endpoints, StartError> {
    Ok(Endpoints {
        pid: std::process::id(),
        agent: Some(local(agents)?),
        operator: Some(local(operators)?),
        cluster: Some(cluster),
        http: Some(http),
    })
}

/// Where it listens: the port may have been the system's choice.
pub fn local(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    let address = SocketAddr::from(([0, 0, 0, 0], 0));
    listener.local_addr().map_err(|source| StartError::Listen { address, source })
}
