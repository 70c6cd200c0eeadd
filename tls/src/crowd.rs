//! The crowd at a door: how many of something each address has, so that none has them all.
//!
//! Must never: keep an address that has nothing any more.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// What addresses have, by whose they are.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    counts: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    each_max: usize,
    /// Whether this machine's own are counted too; where they are not, a proxy here may speak for many.
    is_own_counted: bool,
}

/// One of an address's; free again when dropped.
#[derive(Debug)]
pub(crate) struct Part(Option<(Crowd, IpAddr)>);

impl Crowd {
    /// A crowd of which each address may have so many.
    pub(crate) fn new(each_max: usize, is_own_counted: bool) -> Self {
        Self { counts: Arc::default(), each_max, is_own_counted }
    }

    /// One more for this address. `None`: it has as many as it may.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Part> {
        let whose = owner(address);
        if whose.is_loopback() && !self.is_own_counted {
            return Some(Part(None));
        }
        let mut counts = self.counts.lock();
        let count = counts.entry(whose).or_default();
        if *count >= self.each_max {
            return None;
        }
        *count += 1;
        Some(Part(Some((self.clone(), whose))))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let Some((crowd, whose)) = self.0.take() else { return };
        let mut counts = crowd.counts.lock();
        match counts.get_mut(&whose) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&whose)),
        }
    }
}

/// Whose it is: with IPv6 a customer has at least 2^64 addresses.
fn owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 20;

    #[test]
    fn one_address_cannot_have_everything_and_gets_its_parts_back() {
        let crowd = Crowd::new(MOST, false);
        let enter = |address: &str| crowd.enter(address.parse().expect("an address"));
        for (one, same, other) in [
            ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"),
            ("2606:2800:220:1::1", "2606:2800:220:1:ffff::9", "2606:2800:220:2::1"),
        ] {
            let mut parts: Vec<Part> = (0..MOST).filter_map(|_| enter(one)).collect();
            assert_eq!(parts.len(), MOST);
            assert!(enter(same).is_none() && enter(other).is_some(), "{one}");
            parts.pop();
            assert!(enter(same).is_some(), "{one}");
        }
        assert!(crowd.counts.lock().is_empty(), "nobody is left");
    }

    #[test]
    fn this_machine_s_own_are_counted_where_no_proxy_may_stand_before_the_door() {
        let entered = |is_own_counted, address: &str| {
            let crowd = Crowd::new(MOST, is_own_counted);
            let parts: Vec<Part> =
                (0..=MOST).filter_map(|_| crowd.enter(address.parse().expect("an address"))).collect();
            parts.len()
        };
        for address in ["127.0.0.1", "::1"] {
            assert_eq!(entered(false, address), MOST + 1, "{address}");
            assert_eq!(entered(true, address), MOST, "{address}");
        }
    }
}
