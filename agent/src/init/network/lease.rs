//! What is said in DHCP (RFC 2131), and what an answer gives. Bytes in, bytes out.
//!
//! [`super::dhcp`] sends and waits. [`dhcproto`] knows the bytes.
//!
//! Not here, on purpose: sockets and time; IPv6, whose routers tell the kernel itself.
//!
//! **Invariant:** an answer counts only if it is for this exchange and this card; whatever it says, an address of it can
//! be used, and its times are no shorter than [`SHORTEST`].

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use dhcproto::{
    Decodable, Decoder, Encodable,
    v4::{DhcpOption, Flags, Message, MessageType, OptionCode},
};

use crate::kernel_command_line::InterfaceAddress;

/// A server that gives for less would be asked without pause.
pub(super) const SHORTEST: Duration = Duration::from_secs(10);
/// What is for ever (0xffffffff) is asked for again now and then.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// One exchange with servers: who asks, under which number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange<'a> {
    pub(super) number: u32,
    pub(super) mac: &'a [u8],
}

/// What a server gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    /// For the interface.
    pub(super) address: Ipv4Addr,
    /// How many of its bits name the network.
    pub(super) prefix: u8,
    /// For all other networks.
    pub(super) gateway: Option<Ipv4Addr>,
    /// Servers of names.
    pub(super) dns: Vec<Ipv4Addr>,
    /// Who gives it.
    pub(super) server: Ipv4Addr,
    /// When to ask its server for more of it.
    pub(super) renew_in: Duration,
    /// When to ask any server.
    pub(super) rebind_in: Duration,
    /// When it is over.
    pub(super) expires_in: Duration,
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It would give this.
    Offer(Lease),
    /// It gives this.
    Ack(Lease),
    /// It does not.
    Nak,
}

impl Lease {
    pub(super) fn interface_address(&self) -> InterfaceAddress {
        InterfaceAddress { address: IpAddr::V4(self.address), prefix: self.prefix }
    }
}

impl Exchange<'_> {
    /// Is there a server?
    pub(super) fn discover(&self) -> Vec<u8> {
        encoded(self.message(MessageType::Discover))
    }

    /// This is what I want.
    pub(super) fn request(&self, offer: &Lease) -> Vec<u8> {
        let mut message = self.message(MessageType::Request);
        message.opts_mut().insert(DhcpOption::RequestedIpAddress(offer.address));
        message.opts_mut().insert(DhcpOption::ServerIdentifier(offer.server));
        encoded(message)
    }

    /// I want to keep this. The answer comes to the address.
    pub(super) fn renew(&self, held: &Lease) -> Vec<u8> {
        let mut message = self.message(MessageType::Request);
        message.set_flags(Flags::default()).set_ciaddr(held.address);
        encoded(message)
    }

    fn message(&self, kind: MessageType) -> Message {
        let mut message = Message::default();
        message.set_xid(self.number).set_chaddr(self.mac).set_flags(Flags::default().set_broadcast());
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(kind));
        options.insert(DhcpOption::ParameterRequestList(vec![
            OptionCode::SubnetMask,
            OptionCode::Router,
            OptionCode::DomainNameServer,
            OptionCode::AddressLeaseTime,
            OptionCode::Renewal,
            OptionCode::Rebinding,
        ]));
        message
    }

    /// None for what is not an answer to this, or gives nothing that can be used.
    pub(super) fn answer(&self, bytes: &[u8]) -> Option<Answer> {
        let message = Message::decode(&mut Decoder::new(bytes)).ok()?;
        if message.xid() != self.number || message.chaddr() != self.mac {
            return None;
        }
        // Servers say other things, to others: the list of them grows.
        let kind = message.opts().msg_type()?;
        let is = |one| kind == one;
        if is(MessageType::Offer) {
            lease(&message).map(Answer::Offer)
        } else if is(MessageType::Ack) {
            lease(&message).map(Answer::Ack)
        } else {
            is(MessageType::Nak).then_some(Answer::Nak)
        }
    }
}

fn encoded(message: Message) -> Vec<u8> {
    message.to_vec().expect("a message with a handful of short options can be written")
}

fn lease(message: &Message) -> Option<Lease> {
    let options = message.opts();
    let address = Some(message.yiaddr()).filter(is_for_an_interface)?;
    let Some(DhcpOption::ServerIdentifier(server)) = options.get(OptionCode::ServerIdentifier) else {
        return None;
    };
    let prefix = match options.get(OptionCode::SubnetMask) {
        Some(DhcpOption::SubnetMask(mask)) => prefix_of(*mask)?,
        _ => 32,
    };
    let gateway = match options.get(OptionCode::Router) {
        Some(DhcpOption::Router(routers)) => routers.first().copied().filter(is_for_an_interface),
        _ => None,
    };
    let dns = match options.get(OptionCode::DomainNameServer) {
        Some(DhcpOption::DomainNameServer(servers)) => servers.clone(),
        _ => vec![],
    };
    let seconds = |code| match options.get(code) {
        Some(
            DhcpOption::AddressLeaseTime(seconds)
            | DhcpOption::Renewal(seconds)
            | DhcpOption::Rebinding(seconds),
        ) => Some(Duration::from_secs(u64::from(*seconds))),
        _ => None,
    };
    let expires_in = seconds(OptionCode::AddressLeaseTime)?.clamp(SHORTEST, LONGEST);
    // RFC 2131, 4.4.5: half of it, and seven eighths.
    let rebind_in =
        seconds(OptionCode::Rebinding).unwrap_or(expires_in / 8 * 7).clamp(SHORTEST / 2, expires_in);
    let renew_in = seconds(OptionCode::Renewal).unwrap_or(expires_in / 2).clamp(SHORTEST / 2, rebind_in);
    Some(Lease { address, prefix, gateway, dns, server: *server, renew_in, rebind_in, expires_in })
}

fn is_for_an_interface(address: &Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_broadcast() || address.is_multicast() || address.is_loopback())
}

/// None for a mask with holes.
fn prefix_of(mask: Ipv4Addr) -> Option<u8> {
    let bits = u32::from(mask);
    let ones = bits.leading_ones();
    (bits.count_ones() == ones).then(|| u8::try_from(ones).unwrap_or(32))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x42];

    fn exchange() -> Exchange<'static> {
        Exchange { number: 7, mac: &MAC }
    }

    fn served(kind: MessageType, more: Vec<DhcpOption>) -> Vec<u8> {
        let mut message = Message::default();
        message
            .set_opcode(dhcproto::v4::Opcode::BootReply)
            .set_xid(7)
            .set_chaddr(&MAC)
            .set_yiaddr([10, 0, 2, 15]);
        message.opts_mut().insert(DhcpOption::MessageType(kind));
        message.opts_mut().insert(DhcpOption::ServerIdentifier([10, 0, 2, 2].into()));
        message.opts_mut().insert(DhcpOption::AddressLeaseTime(3600));
        for option in more {
            message.opts_mut().insert(option);
        }
        message.to_vec().unwrap()
    }

    fn given(more: Vec<DhcpOption>) -> Option<Lease> {
        match exchange().answer(&served(MessageType::Ack, more)) {
            Some(Answer::Ack(lease)) => Some(lease),
            Some(Answer::Offer(_) | Answer::Nak) => panic!("it is an ACK"),
            None => None,
        }
    }

    #[test]
    fn a_lease_is_what_its_options_say() {
        let lease = given(vec![
            DhcpOption::SubnetMask([255, 255, 240, 0].into()),
            DhcpOption::Router(vec![[10, 0, 2, 2].into()]),
            DhcpOption::DomainNameServer(vec![[10, 0, 2, 3].into()]),
        ])
        .unwrap();
        assert_eq!(lease.interface_address().to_string(), "10.0.2.15/20");
        assert_eq!((lease.gateway, lease.dns.len()), (Some([10, 0, 2, 2].into()), 1));
        let seconds = [lease.renew_in, lease.rebind_in, lease.expires_in].map(|time| time.as_secs());
        assert_eq!(seconds, [1800, 3150, 3600]);
    }

    #[test]
    fn times_that_make_no_sense_are_bounded() {
        let lease = given(vec![DhcpOption::AddressLeaseTime(0), DhcpOption::Renewal(u32::MAX)]).unwrap();
        assert!(
            lease.expires_in == SHORTEST && lease.renew_in <= lease.rebind_in && lease.rebind_in <= SHORTEST
        );
        assert_eq!(given(vec![DhcpOption::AddressLeaseTime(u32::MAX)]).unwrap().expires_in, LONGEST);
    }

    #[test]
    fn what_is_no_answer_to_this_is_none() {
        let bytes = served(MessageType::Offer, vec![]);
        assert!(matches!(exchange().answer(&bytes), Some(Answer::Offer(_))));
        assert_eq!(Exchange { number: 8, mac: &MAC }.answer(&bytes), None);
        assert_eq!(Exchange { number: 7, mac: &[1; 6] }.answer(&bytes), None);
        assert_eq!(exchange().answer(&exchange().discover()), None);
        assert_eq!(exchange().answer(&served(MessageType::Nak, vec![])), Some(Answer::Nak));
        assert_eq!(given(vec![DhcpOption::SubnetMask([255, 0, 255, 0].into())]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
            exchange().answer(&bytes);
        }

        #[test]
        fn no_damage_makes_reading_panic(at in 0..300_usize, byte: u8, length in 0..300_usize) {
            let mut bytes = served(MessageType::Ack, vec![DhcpOption::SubnetMask([255, 255, 255, 0].into())]);
            if let Some(damaged) = bytes.get_mut(at) {
                *damaged = byte;
            }
            bytes.truncate(length);
            exchange().answer(&bytes);
        }
    }
}
