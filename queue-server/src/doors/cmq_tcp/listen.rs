//! The TCP server.
//!
//! Must never: end for the sake of one connection.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::connection::serve;
use crate::doors::cmq::Broker;
use crate::doors::gate::Gate;
use crate::doors::keys::KeyRing;

/// Serves for as long as the process lives.
pub(crate) async fn serve_tcp(listener: TcpListener, broker: Arc<dyn Broker>, keys: Arc<KeyRing>) {
    let gate = Gate::new("tcp");
    while let Some((stream, place)) = gate.next(&listener).await {
        let (broker, keys) = (Arc::clone(&broker), Arc::clone(&keys));
        tokio::spawn(async move {
            serve(stream, broker, keys).await;
            drop(place);
        });
    }
}
