//! The client's side of a connection to a journal: TCP, TLS 1.3, HTTP/2.
//!
//! `agent`, `cli` and `loadtest` open a [`Connection`] and make their calls over [`Connection::channel`]. What goes wrong
//! is told by [`ConnectError`] while opening, and by [`Connection::failure`] afterwards.
//!
//! The server must show a certificate of the domain CA for the name that was asked (design §3, step 2). There is no TLS
//! resumption (R10), and no silent reconnecting: a connection that is lost stays lost, and its owner decides where to
//! go next.
//!
//! Not here, on purpose: the choice among several journals, retries, and setting clocks that wake up wrong (R25).
//!
//! **Invariant:** whatever hyper and tonic make of it, a TLS alert reaches the caller as a [`ConnectionRefusal`].

mod address;
mod connect_error;
mod connection_refusal;
mod http2;
mod names;
mod trouble;

use std::{error::Error, io, net::SocketAddr, sync::Arc, time::Duration};

use events::vocabulary::CertificateHash;
use rustls::{
    ClientConfig,
    client::{ResolvesClientCert, Resumption},
    sign::SingleCertAndKey,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    time,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::Status;

use self::trouble::{Noted, Trouble, Watched};
use crate::{
    corked::Corked,
    outcome::Failure,
    pem_file::{Credential, Trust},
    tls,
};

pub(crate) use self::connection_refusal::causes;
pub use self::{
    address::{InvalidAddress, JournalAddress},
    connect_error::ConnectError,
    connection_refusal::{ConnectionRefusal, explain},
    http2::Channel,
    names::{Resolve, Resolving, resolve_by},
};

/// An open connection to one journal. Clones share it; it closes when the last clone and channel are dropped.
#[derive(Debug, Clone)]
pub struct Connection {
    address: JournalAddress,
    server: CertificateHash,
    server_certificate: Option<Arc<[u8]>>,
    channel: Channel,
    trouble: Trouble,
}

impl Connection {
    /// Connects within a time, over TCP and TLS. Without a credential the client shows no certificate.
    ///
    /// A journal that refuses the credential may say so only on the first call (TLS 1.3): see
    /// [`failure`](Self::failure).
    ///
    /// # Errors
    /// If nobody answers in time, or one of the two sides does not trust the other.
    pub async fn open(
        address: &JournalAddress,
        trust: &Trust,
        credential: Option<&Credential>,
        within: Duration,
    ) -> Result<Self, ConnectError> {
        Self::open_with(address, client_config(trust, credential), within).await
    }

    /// [`Connection::open`] with another way to trust the server: journals among each other (design §7).
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn open_with(
        address: &JournalAddress,
        config: ClientConfig,
        within: Duration,
    ) -> Result<Self, ConnectError> {
        let stream = time::timeout(within, handshake(address, config))
            .await
            .map_err(|_| ConnectError::Deadline { address: address.clone(), within })??;
        let server = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let server_certificate: Option<Arc<[u8]>> = server.map(|shown| Arc::from(shown.as_ref()));
        let server = CertificateHash::of(server_certificate.as_deref().unwrap_or_default());
        let trouble = Trouble::default();
        let stream = Watched::new(stream, trouble.clone());
        let channel =
            Channel::open(address.uri(), stream).await.map_err(|error| not_spoken(address, error))?;
        Ok(Self { address: address.clone(), server, server_certificate, channel, trouble })
    }

    /// For the generated clients: `NodeServiceClient::new(connection.channel())`.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The journal at the other end.
    pub fn address(&self) -> &JournalAddress {
        &self.address
    }

    /// The certificate that the journal showed.
    pub fn server(&self) -> CertificateHash {
        self.server
    }

    /// The same in DER: it bounds what the journal may say of the time (R25).
    pub fn server_certificate(&self) -> Option<&[u8]> {
        self.server_certificate.as_deref()
    }

    /// Whether the journal ended this connection because of the client's certificate, and why. Also for streams that
    /// ended without a status.
    pub fn refused(&self) -> Option<ConnectionRefusal> {
        match self.trouble.noted() {
            Some(Noted::Refused(refusal)) => Some(refusal),
            Some(Noted::Lost(_)) | None => None,
        }
    }

    /// What the status of a call over this connection means: the journal's refusal, or what happened to the connection.
    pub fn failure(&self, status: &Status) -> Failure {
        if status.source().is_none() {
            // It came from the journal, over a connection that worked.
            return Failure::of_status(status);
        }
        match self.trouble.noted() {
            Some(Noted::Refused(refusal)) => Failure::ConnectionRefused(refusal),
            Some(Noted::Lost(why)) => self.lost(&why),
            None => {
                let failure = Failure::of_status(status);
                // hyper's words for a connection that ended without an error below it.
                if let Failure::Failed { message, .. } = &failure { self.lost(message) } else { failure }
            }
        }
    }

    fn lost(&self, why: &str) -> Failure {
        Failure::Unreachable(format!("the connection to {} was lost: {why}", self.address))
    }
}

/// The TLS configuration of one client: TLS 1.3 and HTTP/2 only, the domain CA only, no resumption.
fn client_config(trust: &Trust, credential: Option<&Credential>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(tls::VERSIONS)
        .expect("the provider has the cipher suites of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(trust.verifier());
    let mut config = match credential {
        Some(credential) => {
            let resolver: Arc<dyn ResolvesClientCert> =
                Arc::new(SingleCertAndKey::from(credential.certified_key()));
            builder.with_client_cert_resolver(resolver)
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![tls::ALPN_H2.to_vec()];
    config.resumption = Resumption::disabled();
    config
}

async fn handshake(
    address: &JournalAddress,
    config: ClientConfig,
) -> Result<TlsStream<Corked<TcpStream>>, ConnectError> {
    let unreachable = |source| ConnectError::Unreachable { address: address.clone(), source };
    let tcp = reach(address).await.map_err(unreachable)?;
    // Requests are small, and each waits for its answer.
    tcp.set_nodelay(true).map_err(unreachable)?;
    let connecting =
        TlsConnector::from(Arc::new(config)).connect(address.server_name().clone(), Corked::new(tcp));
    let mut stream = match connecting.into_fallible().await {
        Ok(stream) => stream,
        Err((error, mut tcp)) => {
            // The server is told what is wrong with it, if it still listens.
            tcp.shutdown().await.ok();
            return Err(ConnectError::of_handshake(address, error));
        }
    };
    stream.get_mut().0.shook_hands();
    if stream.get_ref().1.alpn_protocol() != Some(tls::ALPN_H2) {
        let why = "it chose no HTTP/2".to_owned();
        return Err(ConnectError::Incompatible { address: address.clone(), why });
    }
    Ok(stream)
}

async fn reach(address: &JournalAddress) -> io::Result<TcpStream> {
    let peers = names::addresses(address.host(), address.port()).await?;
    let Some(source) = address.source() else {
        return TcpStream::connect(&peers[..]).await;
    };
    let family = |peer: &SocketAddr| peer.is_ipv4() == source.is_ipv4();
    let peer = peers.into_iter().find(family);
    let peer = peer.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = if peer.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(peer).await
}

/// HTTP/2 did not begin.
fn not_spoken(address: &JournalAddress, error: hyper::Error) -> ConnectError {
    match explain(&error) {
        Some(refusal) => ConnectError::Refused(refusal),
        None => ConnectError::Unreachable { address: address.clone(), source: io::Error::other(error) },
    }
}

#[cfg(test)]
mod tests;
