//! The gate of a door: so many connections, and so many of them from one address.
//!
//! Must never: end for the sake of one connection, or let one address keep all others out.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{ACCEPT_PAUSE, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, DESCRIPTORS_KEPT};

/// Doors that share the process's descriptors.
const DOORS: usize = 3;

/// Lets connections in.
pub(crate) struct Gate {
    name: &'static str,
    places: Arc<Semaphore>,
    crowd: Arc<Crowd>,
}

/// A connection's place; free again when dropped.
pub(crate) struct Place {
    _place: OwnedSemaphorePermit,
    crowd: Arc<Crowd>,
    whose: IpAddr,
}

/// How many connections each address has.
#[derive(Default)]
struct Crowd(Mutex<BTreeMap<IpAddr, usize>>);

impl Gate {
    /// The gate of the door `name`.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, places: Arc::new(Semaphore::new(connections_max(descriptors()))), crowd: Arc::default() }
    }

    /// The next connection. `None`: the process ends.
    pub(crate) async fn next(&self, listener: &TcpListener) -> Option<(TcpStream, Place)> {
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, door = self.name, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let whose = owner(peer.ip());
            if !self.crowd.enter(whose) {
                tracing::debug!(%peer, door = self.name, "an address has as many connections as it may");
                continue;
            }
            // Answers are written at once anyway; an error here shows again with the first read.
            let _ = stream.set_nodelay(true);
            return Some((stream, Place { _place: place, crowd: Arc::clone(&self.crowd), whose }));
        }
    }
}

impl Crowd {
    fn enter(&self, whose: IpAddr) -> bool {
        let mut counts = self.0.lock();
        let count = counts.entry(whose).or_default();
        if *count >= CONNECTIONS_PER_ADDRESS_MAX {
            return false;
        }
        *count += 1;
        true
    }

    fn leave(&self, whose: IpAddr) {
        let mut counts = self.0.lock();
        match counts.get_mut(&whose) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&whose)),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.leave(self.whose);
    }
}

/// Whose connection it is: with IPv6 a customer has at least 2^64 addresses.
fn owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

/// Raises the number of files and connections this process may have as far as it may. Answers: that number.
pub(crate) fn descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Not allowed: it stays as it is, and is read again below.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Connections that one door may have: a log that cannot open its next file stops the node.
fn connections_max(descriptors: usize) -> usize {
    (descriptors.saturating_sub(DESCRIPTORS_KEPT).max(DESCRIPTORS_KEPT / 4) / DOORS).min(CONNECTIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_have_every_place() {
        let crowd = Crowd::default();
        let [one, other] = ["10.0.0.1", "10.0.0.2"].map(|text| owner(text.parse().expect("an address")));
        assert!((0..CONNECTIONS_PER_ADDRESS_MAX).all(|_| crowd.enter(one)));
        assert!(!crowd.enter(one));
        assert!(crowd.enter(other));
        crowd.leave(one);
        assert!(crowd.enter(one));
        (0..CONNECTIONS_PER_ADDRESS_MAX).for_each(|_| crowd.leave(one));
        crowd.leave(other);
        assert!(crowd.0.lock().is_empty());
    }

    #[test]
    fn an_owner_is_an_address_or_the_front_of_one() {
        let table = [
            ("10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2606:2800:220:1::1", "2606:2800:220:1::"),
            ("2606:2800:220:1:ffff::9", "2606:2800:220:1::"),
        ];
        for (address, expected) in table {
            let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
            assert_eq!(owner(parse(address)), parse(expected), "{address}");
        }
    }

    #[test]
    fn connections_leave_descriptors_to_the_log() {
        for (descriptors, connections) in
            [(usize::MAX, CONNECTIONS_MAX), (20_000, CONNECTIONS_MAX), (4_096, 1_024), (256, 85)]
        {
            assert_eq!(connections_max(descriptors), connections, "{descriptors}");
        }
    }
}
