//! Asks for a lease, and for more of it in time (RFC 2131, 4.4).
//!
//! [`super::keep`] calls it for `pact.ip=dhcp`. The socket is bound to the interface, so that it can speak before there
//! is an address, and asks for answers by broadcast.
//!
//! Not here, on purpose: DHCPRELEASE (a machine that comes back wants its address again), and a probe for others who have
//! the address.
//!
//! **Invariant:** an address is given back when its lease is over; waits between questions double, and have a bound.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    sync::watch,
    time::{self, Instant},
};

use super::{
    NetworkError, Orders,
    lease::{Answer, Exchange, Lease},
};
use crate::{names, retry};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// The first answer is waited for this long; a bridge that learns where its ports lead drops what comes before.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// RFC 2131, 4.1 has 64 seconds; a machine that waits for its address waits for nothing else.
const LONGEST_WAIT: Duration = Duration::from_secs(16);
/// No message is longer: it is one Ethernet frame.
const MESSAGE_BYTES: usize = 1500;

/// Asks until there is a lease, puts it into effect, says so, and keeps it.
///
/// # Errors
/// If there is no socket for it, or the kernel refuses the address.
pub(super) async fn keep(orders: &Orders, ready: &watch::Sender<bool>) -> Result<Infallible, NetworkError> {
    let name = orders.interface.name.clone();
    let failed = |source| NetworkError::Dhcp { interface: name.clone(), source };
    let client = Client::on(orders).map_err(failed)?;
    loop {
        let mut lease = client.acquire().await.map_err(failed)?;
        put_into_effect(orders, &lease).await?;
        ready.send_replace(true);
        while let Some(next) = client.keep(&lease).await.map_err(failed)? {
            if next.interface_address() != lease.interface_address() {
                orders.take_back(lease.interface_address()).await?;
            }
            put_into_effect(orders, &next).await?;
            lease = next;
        }
        tracing::warn!(address = %lease.address, "the lease is over: asking for another address");
        orders.take_back(lease.interface_address()).await?;
    }
}

async fn put_into_effect(orders: &Orders, lease: &Lease) -> Result<(), NetworkError> {
    orders.give(lease.interface_address(), lease.gateway.map(Into::into)).await?;
    names::learn(&lease.dns);
    Ok(())
}

struct Client<'a> {
    socket: UdpSocket,
    mac: &'a [u8],
}

impl<'a> Client<'a> {
    fn on(orders: &'a Orders) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, CLIENT_PORT))?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        socket.set_broadcast(true)?;
        socket.bind_device(Some(orders.interface.name.as_bytes()))?;
        Ok(Self { socket, mac: &orders.interface.mac })
    }

    fn exchange(&self) -> Exchange<'a> {
        // Which 32 of the 64 bits does not matter.
        Exchange { number: retry::random() as u32, mac: self.mac }
    }

    /// From a question to all servers to a lease of one.
    async fn acquire(&self) -> io::Result<Lease> {
        let mut wait = FIRST_WAIT;
        loop {
            let exchange = self.exchange();
            let until = Instant::now() + wait / 2 + retry::part(wait, retry::random());
            let offer = self.ask(exchange, &exchange.discover(), Ipv4Addr::BROADCAST, until).await?;
            if let Some(Answer::Offer(offer)) = offer
                && let Some(Answer::Ack(lease)) = self
                    .ask(exchange, &exchange.request(&offer), Ipv4Addr::BROADCAST, until + FIRST_WAIT)
                    .await?
            {
                return Ok(lease);
            }
            tracing::warn!("no DHCP server has given an address yet");
            time::sleep_until(until).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// The next lease of the same address, or none when this one is over. Its server is asked first, then any.
    async fn keep(&self, held: &Lease) -> io::Result<Option<Lease>> {
        let since = Instant::now();
        let expires_at = since + held.expires_in;
        let mut ask_at = since + held.renew_in;
        while ask_at < expires_at {
            time::sleep_until(ask_at).await;
            let anybody = since.elapsed() >= held.rebind_in;
            let server = if anybody { Ipv4Addr::BROADCAST } else { held.server };
            let exchange = self.exchange();
            let until = (Instant::now() + FIRST_WAIT).min(expires_at);
            match self.ask(exchange, &exchange.renew(held), server, until).await {
                Ok(Some(Answer::Ack(lease))) => return Ok(Some(lease)),
                Ok(Some(Answer::Nak)) => return Ok(None),
                Ok(Some(Answer::Offer(_)) | None) => {}
                // A link that is down for a moment is no reason to give the address up.
                Err(error) => tracing::warn!(%error, "the DHCP server could not be asked"),
            }
            // Half of what is left, as RFC 2131 has it, but not without pause.
            let left = expires_at.saturating_duration_since(Instant::now());
            ask_at = Instant::now() + (left / 2).max(FIRST_WAIT);
        }
        time::sleep_until(expires_at).await;
        Ok(None)
    }

    /// Sends a question and waits for its answer.
    async fn ask(
        &self,
        exchange: Exchange<'_>,
        question: &[u8],
        server: Ipv4Addr,
        until: Instant,
    ) -> io::Result<Option<Answer>> {
        self.socket.send_to(question, SocketAddr::from((server, SERVER_PORT))).await?;
        let mut bytes = [0; MESSAGE_BYTES];
        loop {
            match time::timeout_at(until, self.socket.recv(&mut bytes)).await {
                Err(_) => return Ok(None),
                Ok(received) => {
                    if let Some(answer) = exchange.answer(&bytes[..received?]) {
                        return Ok(Some(answer));
                    }
                }
            }
        }
    }
}
