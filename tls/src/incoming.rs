//! Connections of one listener, each let in by the gate and after a handshake of its own: nobody waits for another's.
//!
//! ```text
//!  listener ─> gate: a place ─> handshake: a place for a few seconds ─> Guarded, with its place at the gate
//! ```
//!
//! Must never: hold more handshakes than it may, or so many of one address that others wait for it, or end for the sake of one connection.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

use crate::crowd::Crowd;
use crate::door::Door;
use crate::gate::Gate;
use crate::guarded::{Guarded, Patience};
use crate::limits::{CONNECTIONS_WAITING, HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX};

/// Connections that a door has let in.
#[derive(Debug)]
pub struct Incoming(mpsc::Receiver<Guarded>);

impl Incoming {
    /// Listens until this is dropped.
    #[must_use]
    pub fn new(listener: TcpListener, door: Door, gate: Gate, patience: Patience) -> Self {
        let (made, ready) = mpsc::channel(CONNECTIONS_WAITING);
        tokio::spawn(accept((listener, gate), door, patience, made));
        Self(ready)
    }

    /// The next connection. `None`: the process ends.
    pub async fn next(&mut self) -> Option<Guarded> {
        self.0.recv().await
    }
}

async fn accept((listener, gate): (TcpListener, Gate), door: Door, patience: Patience, made: mpsc::Sender<Guarded>) {
    let crowd = Crowd::new(HANDSHAKES_PER_ADDRESS_MAX, false);
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let next = async {
            let handshake = Arc::clone(&handshakes).acquire_owned().await.ok()?;
            Some((gate.next(&listener).await?, handshake))
        };
        let next = tokio::select! {
            next = next => next,
            () = made.closed() => None,
        };
        let Some(((stream, place), handshake)) = next else { return };
        // One that is gone already has no address, and no handshake.
        let Ok(peer) = stream.peer_addr() else { continue };
        // Who has as many as he may is told so by the end of this one.
        let Some(part) = crowd.enter(peer.ip()) else { continue };
        let (door, made) = (door.clone(), made.clone());
        tokio::spawn(async move {
            let opened = door.open(stream).await;
            drop((handshake, part));
            if let Some(stream) = opened {
                // Nobody wants it any more; it ends.
                let _ = made.send(Guarded::new(stream, place, &patience)).await;
            }
        });
    }
}
