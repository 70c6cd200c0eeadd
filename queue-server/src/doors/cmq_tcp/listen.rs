//! The TCP server.
//!
//! Must never: end for the sake of one connection.

use std::sync::Arc;

use tls::{Door, Gate};
use tokio::net::TcpListener;

use super::connection::serve;
use crate::doors::budget::Budget;
use crate::doors::cmq::Broker;
use crate::doors::keys::KeyRing;
use crate::doors::limits::{ROOM, TCP_ANSWER_BYTES_MAX};

/// Serves for as long as the process lives.
pub(crate) async fn serve_tcp(listener: TcpListener, door: Door, broker: Arc<dyn Broker>, keys: Arc<KeyRing>) {
    let (gate, unread) = (Gate::new("tcp", &ROOM), Budget::new(TCP_ANSWER_BYTES_MAX));
    while let Some((stream, place)) = gate.next(&listener).await {
        let (door, broker, keys, unread) = (door.clone(), Arc::clone(&broker), Arc::clone(&keys), unread.clone());
        tokio::spawn(async move {
            if let Some(stream) = door.open(stream).await {
                serve(stream, broker, keys, unread).await;
            }
            drop(place);
        });
    }
}
