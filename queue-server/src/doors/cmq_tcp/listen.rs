//! The TCP server: so many connections.
//!
//! Must never: end for the sake of one connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::connection::serve;
use crate::doors::cmq::Broker;
use crate::doors::keys::KeyRing;

/// Connections at once; who comes later waits in the system's queue.
const CONNECTIONS_MAX: usize = 4_096;
/// Pause after the system refused a connection (no more descriptors), so that it can recover.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves for as long as the process lives.
pub(crate) async fn serve_tcp(listener: TcpListener, broker: Arc<dyn Broker>, keys: Arc<KeyRing>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (broker, keys) = (Arc::clone(&broker), Arc::clone(&keys));
                // Answers are written at once anyway; an error here shows again with the first read.
                let _ = stream.set_nodelay(true);
                tokio::spawn(async move {
                    serve(stream, broker, keys).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the TCP address was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
