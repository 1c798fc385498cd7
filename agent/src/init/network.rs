//! The machine's way to its journals: the first interface, up, with an address.
//!
//! `init::live` keeps [`keep`] up. `pact.ip=` of the kernel command line says where the address is from; without it somebody
//! else sees to it, and only the interface is waited for: what a machine presents begins with its MAC addresses.
//!
//! Not here, on purpose: several interfaces, bonds, VLANs and firewalls; an image that needs them brings what makes them.
//!
//! **Invariant:** all of it may be done again: an address and a route that are there already are replaced by the same.

mod dhcp;
mod interface;
mod lease;

use std::{convert::Infallible, io, net::IpAddr, time::Duration};

use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use tokio::{sync::watch, time};

use self::interface::Interface;
use crate::kernel_command_line::{Addressing, InterfaceAddress};

/// Drivers find their cards at their leisure; slow firmware takes seconds.
const INTERFACE_WITHIN: Duration = Duration::from_secs(10);

/// Why the machine has no way to its journals.
#[derive(Debug, thiserror::Error)]
pub(super) enum NetworkError {
    /// No driver has found a card.
    #[error("no network interface was found within {} seconds: are its modules in the image?", INTERFACE_WITHIN.as_secs())]
    NoInterface,
    /// The kernel cannot be spoken to.
    #[error("the kernel takes no orders about the network: {0}")]
    Netlink(io::Error),
    /// The kernel refuses.
    #[error("{what} of {interface} could not be set: {source}")]
    Refused {
        /// The address, a route.
        what: &'static str,
        /// Whose.
        interface: String,
        /// The kernel's reason.
        source: rtnetlink::Error,
    },
    /// No lease can be asked for.
    #[error("DHCP on {interface}: {source}")]
    Dhcp {
        /// Where.
        interface: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// Sees to it that the first interface has its address, says so, and keeps it.
///
/// # Errors
/// If there is no interface, or the kernel refuses.
pub(super) async fn keep(
    addressing: Option<Addressing>,
    owns_the_machine: bool,
    ready: &watch::Sender<bool>,
) -> Result<Infallible, NetworkError> {
    #[cfg(feature = "planted-panics")]
    crate::panics::panic_if_asked("network");
    let Some(addressing) = addressing else {
        if owns_the_machine && interface::first(INTERFACE_WITHIN).await.is_none() {
            tracing::warn!("{}", NetworkError::NoInterface);
        }
        ready.send_replace(true);
        return std::future::pending().await;
    };
    // Where the machine is not ours, its interfaces were there before us.
    let within = if owns_the_machine { INTERFACE_WITHIN } else { Duration::ZERO };
    let interface = interface::first(within).await.ok_or(NetworkError::NoInterface)?;
    let orders = Orders::to_kernel(interface)?;
    orders.bring_up().await?;
    match addressing {
        Addressing::Static { address, gateway } => {
            orders.give(address, gateway).await?;
            ready.send_replace(true);
            std::future::pending().await
        }
        Addressing::Dhcp => dhcp::keep(&orders, ready).await,
    }
}

/// What the kernel is told about one interface.
struct Orders {
    interface: Interface,
    netlink: Handle,
}

impl Orders {
    fn to_kernel(interface: Interface) -> Result<Self, NetworkError> {
        let (connection, netlink, _) = rtnetlink::new_connection().map_err(NetworkError::Netlink)?;
        // It ends with the last handle.
        tokio::spawn(connection);
        Ok(Self { interface, netlink })
    }

    fn refused(&self, what: &'static str) -> impl FnOnce(rtnetlink::Error) -> NetworkError {
        let interface = self.interface.name.clone();
        move |source| NetworkError::Refused { what, interface, source }
    }

    async fn bring_up(&self) -> Result<(), NetworkError> {
        // What listens on this machine for this machine needs it; its index is 1 in every network namespace.
        for index in [1, self.interface.index] {
            let up = LinkUnspec::new_with_index(index).up().build();
            self.netlink.link().set(up).execute().await.map_err(self.refused("the state"))?;
        }
        Ok(())
    }

    async fn give(&self, address: InterfaceAddress, gateway: Option<IpAddr>) -> Result<(), NetworkError> {
        let InterfaceAddress { address: ip, prefix } = address;
        let index = self.interface.index;
        let give = self.netlink.address().add(index, ip, prefix).replace();
        give.execute().await.map_err(self.refused("the address"))?;
        if let Some(gateway) = gateway {
            self.route_all_by(gateway).await?;
        }
        let gateway = gateway.map(|gateway| gateway.to_string());
        let interface = &self.interface.name;
        tracing::info!(interface, %address, gateway, "the interface has its address");
        Ok(())
    }

    async fn route_all_by(&self, gateway: IpAddr) -> Result<(), NetworkError> {
        let index = self.interface.index;
        let route = match gateway {
            IpAddr::V4(gateway) => RouteMessageBuilder::<std::net::Ipv4Addr>::new()
                .gateway(gateway)
                .output_interface(index)
                .build(),
            IpAddr::V6(gateway) => RouteMessageBuilder::<std::net::Ipv6Addr>::new()
                .gateway(gateway)
                .output_interface(index)
                .build(),
        };
        let add = self.netlink.route().add(route).replace();
        add.execute().await.map_err(self.refused("the default route"))
    }

    /// What a lease gave is over.
    async fn take_back(&self, address: InterfaceAddress) -> Result<(), NetworkError> {
        let InterfaceAddress { address: ip, prefix } = address;
        let mut add = self.netlink.address().add(self.interface.index, ip, prefix);
        let message = add.message_mut().clone();
        self.netlink.address().del(message).execute().await.map_err(self.refused("the address"))
    }
}

/// Waits until something may be there, and looks again.
async fn look_again() {
    time::sleep(Duration::from_millis(50)).await;
}
