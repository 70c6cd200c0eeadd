//! The TCP server.
//!
//! Must never: end for the sake of one connection.

use std::sync::Arc;

use tls::Door;
use tokio::net::TcpListener;

use super::connection::serve;
use crate::doors::cmq::Broker;
use crate::doors::gate::Gate;
use crate::doors::keys::KeyRing;

/// Serves for as long as the process lives.
pub(crate) async fn serve_tcp(listener: TcpListener, door: Door, broker: Arc<dyn Broker>, keys: Arc<KeyRing>) {
    let gate = Gate::new("tcp");
    while let Some((stream, place)) = gate.next(&listener).await {
        let (door, broker, keys) = (door.clone(), Arc::clone(&broker), Arc::clone(&keys));
        tokio::spawn(async move {
            if let Some(stream) = door.open(stream).await {
                serve(stream, broker, keys).await;
            }
            drop(place);
        });
    }
}
