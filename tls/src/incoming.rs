//! Connections of one listener, each let in after a handshake of its own: nobody waits for another's.
//!
//! Must never: hold more handshakes than it may, or so many of one address that others wait for it, or end for the sake of one connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

use crate::crowd::Crowd;
use crate::door::Door;
use crate::limits::{CONNECTIONS_WAITING, HANDSHAKES_MAX};
use crate::stream::Stream;

/// After the system refused a connection (no more descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that a door has let in.
#[derive(Debug)]
pub struct Incoming(mpsc::Receiver<Stream>);

impl Incoming {
    /// Listens until this is dropped.
    #[must_use]
    pub fn new(listener: TcpListener, door: Door) -> Self {
        let (made, ready) = mpsc::channel(CONNECTIONS_WAITING);
        tokio::spawn(accept(listener, door, made));
        Self(ready)
    }

    /// The next connection. `None`: the process ends.
    pub async fn next(&mut self) -> Option<Stream> {
        self.0.recv().await
    }
}

async fn accept(listener: TcpListener, door: Door, made: mpsc::Sender<Stream>) {
    let crowd = Crowd::default();
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((listener.accept().await, place))
        };
        let next = tokio::select! {
            next = accepted => next,
            () = made.closed() => None,
        };
        let Some((accepted, place)) = next else { return };
        let (stream, part) = match accepted {
            // Who has as many as he may is told so by the end of this one.
            Ok((stream, address)) => match crowd.enter(address.ip()) {
                Some(part) => (stream, part),
                None => continue,
            },
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // An error here shows again with the first read.
        let _ = stream.set_nodelay(true);
        let (door, made) = (door.clone(), made.clone());
        tokio::spawn(async move {
            let opened = door.open(stream).await;
            drop((place, part));
            if let Some(stream) = opened {
                // Nobody wants it any more; it ends.
                let _ = made.send(stream).await;
            }
        });
    }
}
