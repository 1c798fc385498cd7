//! Where a connection comes from, as far as admission tells callers apart (R21, R22).
//!
//! An IPv6 subscriber is commonly given a whole /64 and can take any address in it, so that is one source. Behind one
//! address there may be a whole cluster (NAT): that is why a source's share is large.

use std::net::IpAddr;

/// One IPv4 address, or one IPv6 network of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The address.
    V4([u8; 4]),
    /// The first half of the address.
    V6([u8; 8]),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        // An IPv4 client of a listener for both is shown as ::ffff:a.b.c.d: all of those would be one source.
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn rule_21_a_source_is_an_ipv4_address_or_an_ipv6_network() {
        assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
        assert_eq!(source("2001:db8:0:1::1"), source("2001:db8:0:1:ffff::2"));
        assert_ne!(source("2001:db8:0:1::1"), source("2001:db8:0:2::1"));
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
        assert_ne!(source("::ffff:10.0.0.1"), source("::ffff:10.0.0.2"));
    }
}
