//! The gate of a door: so many connections, and so many of them from one address.
//!
//! Why beside the handshakes: those end within seconds, connections last as long as whoever made them likes.
//!
//! Must never: end for the sake of one connection, or let one address keep all others out.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::crowd::{Crowd, Part};
use crate::limits::ACCEPT_PAUSE;

/// How much room is behind a gate.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Connections at once; who comes later waits in the system's queue.
    pub connections_max: usize,
    /// Of these, connections of one address; more are closed at once.
    pub per_address_max: usize,
    /// Whether this machine's own are one address like any other. Where they are not, a proxy here may speak for many.
    pub is_own_counted: bool,
    /// Descriptors that connections leave to everything else: a log that cannot open its next file stops the node.
    pub descriptors_kept: usize,
    /// The door's part of the others: so many of so many.
    pub part: (usize, usize),
}

/// Lets connections in.
#[derive(Debug)]
pub struct Gate {
    name: &'static str,
    places: Arc<Semaphore>,
    crowd: Crowd,
}

/// A connection's place; free again when dropped.
#[derive(Debug)]
pub struct Place {
    _place: OwnedSemaphorePermit,
    _part: Part,
}

impl Gate {
    /// The gate of the door `name`.
    #[must_use]
    pub fn new(name: &'static str, room: &Room) -> Self {
        let places = Arc::new(Semaphore::new(connections_max(room, descriptors())));
        Self { name, places, crowd: Crowd::new(room.per_address_max, room.is_own_counted) }
    }

    /// The next connection. `None`: the process ends.
    pub async fn next(&self, listener: &TcpListener) -> Option<(TcpStream, Place)> {
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
            let Some(part) = self.enter(peer.ip()) else { continue };
            // Answers are written at once anyway; an error here shows again with the first read.
            let _ = stream.set_nodelay(true);
            return Some((stream, Place { _place: place, _part: part }));
        }
    }

    fn enter(&self, address: IpAddr) -> Option<Part> {
        let part = self.crowd.enter(address);
        if part.is_none() {
            tracing::debug!(%address, door = self.name, "an address has as many connections as it may");
        }
        part
    }
}

/// Raises the number of files and connections this process may have as far as it may. Answers: that number.
#[must_use]
pub fn descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Not allowed: it stays as it is, and is read again below.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Connections that a door may have of so many descriptors.
fn connections_max(room: &Room, descriptors: usize) -> usize {
    let left = descriptors.saturating_sub(room.descriptors_kept).max(room.descriptors_kept / 4);
    let (own, all) = room.part;
    left.saturating_mul(own).checked_div(all).unwrap_or(left).clamp(1, room.connections_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_the_log() {
        let room = Room {
            connections_max: 4_096,
            per_address_max: 1_024,
            is_own_counted: true,
            descriptors_kept: 1_024,
            part: (1, 3),
        };
        for (descriptors, connections) in [(usize::MAX, 4_096), (20_000, 4_096), (4_096, 1_024), (256, 85)] {
            assert_eq!(connections_max(&room, descriptors), connections, "{descriptors}");
        }
    }

    #[tokio::test]
    async fn who_is_one_too_many_is_closed_at_once_and_the_next_one_comes_in() {
        let room =
            Room { connections_max: 8, per_address_max: 2, is_own_counted: true, descriptors_kept: 0, part: (1, 1) };
        let (gate, listener) = (Gate::new("a door", &room), TcpListener::bind("127.0.0.1:0").await.expect("a port"));
        let address = listener.local_addr().expect("an address");
        let mut callers = Vec::new();
        for _ in 0..3 {
            callers.push(TcpStream::connect(address).await.expect("it is listened to"));
        }
        let mut inside = vec![gate.next(&listener).await, gate.next(&listener).await];
        let other = tokio::net::TcpSocket::new_v4().expect("a socket");
        other.bind("127.0.0.2:0".parse().expect("an address")).expect("this machine's own");
        let _other = other.connect(address).await.expect("it is listened to");
        // The third of the first address is passed by.
        let (stream, _place) = gate.next(&listener).await.expect("a connection");
        assert_eq!(stream.peer_addr().expect("a peer").ip().to_string(), "127.0.0.2");
        inside.pop();
        let _again = TcpStream::connect(address).await.expect("it is listened to");
        let (stream, _place) = gate.next(&listener).await.expect("a connection");
        assert_eq!(stream.peer_addr().expect("a peer").ip().to_string(), "127.0.0.1", "a place is free again");
    }
}
