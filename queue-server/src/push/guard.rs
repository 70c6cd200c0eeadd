//! The guard: which addresses a subscriber's endpoint may have.
//!
//! Why: whoever may subscribe chooses where this server connects. Without a guard he could have it post into the
//! operator's own network, or to the address where clouds keep a machine's secrets.
//!
//! Must never: judge a name. Names are resolved first, and the very address that passed is the one connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses beyond the public ones that endpoints may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// This machine's own (127.0.0.0/8, ::1).
    pub(crate) loopback: bool,
    /// Those of private networks (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, fc00::/7).
    pub(crate) private: bool,
}

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Public,
    Loopback,
    Private,
    /// Link-local, multicast, reserved, or no address of a host at all. Never connected to.
    Special,
}

impl Reach {
    /// Whether an endpoint may stand at `address`.
    pub(super) fn allows(self, address: IpAddr) -> bool {
        match kind(address) {
            Kind::Public => true,
            Kind::Loopback => self.loopback,
            Kind::Private => self.private,
            Kind::Special => false,
        }
    }
}

fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => embedded(address).map_or_else(|| kind_v6(address), kind_v4),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (127, ..) => Kind::Loopback,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Kind::Private,
        // This network, link-local (where clouds keep secrets), protocol assignments, documentation, benchmarks,
        // multicast and reserved: RFC 6890.
        (0 | 224.., ..) | (169, 254, _) | (192, 0, 0 | 2) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => {
            Kind::Special
        }
        _ => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Loopback,
        [0xfc00..=0xfdff, ..] => Kind::Private,
        // Global unicast is 2000::/3; of it, documentation and tunnels whose end is not known are kept out.
        [0x2001, 0 | 0x0db8, ..] => Kind::Special,
        [0x2000..=0x3fff, ..] => Kind::Public,
        _ => Kind::Special,
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, translated (64:ff9b::/96) or 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x0064, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(from(high, low))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Reach;

    #[test]
    fn only_what_is_allowed_can_be_reached() {
        // address, without leave, with loopback, with private
        let rows = [
            ("93.184.216.34", true, true, true),
            ("2606:2800:220:1::1", true, true, true),
            ("127.0.0.1", false, true, false),
            ("127.9.9.9", false, true, false),
            ("::1", false, true, false),
            ("::ffff:127.0.0.1", false, true, false),
            ("64:ff9b::7f00:1", false, true, false),
            ("2002:7f00:1::", false, true, false),
            ("10.1.2.3", false, false, true),
            ("172.16.0.1", false, false, true),
            ("172.31.255.255", false, false, true),
            ("172.32.0.1", true, true, true),
            ("192.168.1.1", false, false, true),
            ("100.64.0.1", false, false, true),
            ("fd00::1", false, false, true),
            ("::ffff:10.0.0.1", false, false, true),
            ("169.254.169.254", false, false, false),
            ("0.0.0.0", false, false, false),
            ("::", false, false, false),
            ("fe80::1", false, false, false),
            ("ff02::1", false, false, false),
            ("224.0.0.1", false, false, false),
            ("255.255.255.255", false, false, false),
            ("198.18.0.1", false, false, false),
            ("2001:db8::1", false, false, false),
        ];
        for (address, bare, loopback, private) in rows {
            let address = address.parse().expect("an address");
            assert_eq!(Reach::default().allows(address), bare, "{address}");
            assert_eq!(Reach { loopback: true, private: false }.allows(address), loopback, "{address} with loopback");
            assert_eq!(Reach { loopback: false, private: true }.allows(address), private, "{address} with private");
        }
    }
}
