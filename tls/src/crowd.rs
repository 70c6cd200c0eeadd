//! The crowd at a door: how many handshakes each address has under way, so that none has them all.
//!
//! Must never: count this machine's own: a proxy here speaks for many.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::limits::HANDSHAKES_PER_ADDRESS_MAX;

/// Handshakes under way, by whose they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crowd(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// A handshake's part; free again when dropped.
#[derive(Debug)]
pub(crate) struct Part(Option<(Crowd, IpAddr)>);

impl Crowd {
    /// A part for one more of this address. `None`: it has as many as it may.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Part> {
        let whose = owner(address);
        if whose.is_loopback() {
            return Some(Part(None));
        }
        let mut counts = self.0.lock();
        let count = counts.entry(whose).or_default();
        if *count >= HANDSHAKES_PER_ADDRESS_MAX {
            return None;
        }
        *count += 1;
        Some(Part(Some((self.clone(), whose))))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let Some((crowd, whose)) = self.0.take() else { return };
        let mut counts = crowd.0.lock();
        match counts.get_mut(&whose) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&whose)),
        }
    }
}

/// Whose connection it is: with IPv6 a customer has at least 2^64 addresses.
fn owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_have_every_handshake_and_gets_its_parts_back() {
        let crowd = Crowd::default();
        let enter = |address: &str| crowd.enter(address.parse().expect("an address"));
        for (one, same, other) in [
            ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"),
            ("2606:2800:220:1::1", "2606:2800:220:1:ffff::9", "2606:2800:220:2::1"),
        ] {
            let mut parts: Vec<Part> = (0..HANDSHAKES_PER_ADDRESS_MAX).filter_map(|_| enter(one)).collect();
            assert_eq!(parts.len(), HANDSHAKES_PER_ADDRESS_MAX);
            assert!(enter(same).is_none() && enter(other).is_some(), "{one}");
            parts.pop();
            assert!(enter(same).is_some(), "{one}");
        }
        assert!(crowd.0.lock().is_empty(), "nobody is left");
        let own: Vec<Part> = (0..=HANDSHAKES_PER_ADDRESS_MAX).filter_map(|_| enter("127.0.0.1")).collect();
        assert_eq!(own.len(), HANDSHAKES_PER_ADDRESS_MAX + 1);
        assert!(enter("::1").is_some());
    }
}
