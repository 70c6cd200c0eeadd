//! The gRPC server: every service of a queue node on one address.
//!
//! ```text
//!  connection ─> gate ─┬─> Replication, Health, Reflection
//!                      └─> entrance ─> Queue, Topics, History, Keys, Admin
//! ```
//!
//! Must never: serve what concerns queues, keys or nodes before the entrance knows the caller.

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use futures::stream::unfold;
use proto::admin::v1::admin_server::AdminServer;
use proto::admin::v1::backups_server::BackupsServer;
use proto::admin::v1::keys_server::KeysServer;
use proto::admin::v1::members_server::MembersServer;
use proto::limits::{FRAME_BYTES_MAX, WIRE_BYTES_MAX};
use proto::queue::v1::history_server::HistoryServer;
use proto::queue::v1::moves_server::MovesServer;
use proto::queue::v1::queue_server::QueueServer;
use proto::queue::v1::topics_server::TopicsServer;
use tls::{Gate, Incoming};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::service::Routes;
use tonic::transport::Server;

use super::entrance::{Entrance, enter};
use super::{AdminDoor, BackupsDoor, HistoryDoor, KeysDoor, MembersDoor, MovesDoor, QueueDoor, TopicsDoor};
use crate::doors::limits::{
    GRPC_HEADER_BYTES_MAX, GRPC_KEEPALIVE_EVERY, GRPC_KEEPALIVE_MAX, GRPC_PATIENCE, GRPC_RESETS_WAITING_MAX,
    GRPC_STREAMS_MAX, ROOM,
};
use crate::node::Node;

/// Serves until `stopped` is true. Errors: text; the server ended by itself.
pub(crate) async fn serve_grpc(
    node: Arc<Node>,
    entrance: Entrance,
    listener: TcpListener,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<QueueServer<QueueDoor>>().await;
    health.set_serving::<TopicsServer<TopicsDoor>>().await;
    health.set_serving::<HistoryServer<HistoryDoor>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| error.to_string())?;
    let routes = Routes::from(guarded(&node).layer(from_fn_with_state(Arc::new(entrance), enter)))
        .add_service(node.replica().service())
        .add_service(health_service)
        .add_service(reflection);
    let incoming = Incoming::new(listener, node.seals().grpc.clone(), Gate::new("grpc", &ROOM), GRPC_PATIENCE);
    let connections = unfold(incoming, async |mut incoming| {
        let connection = incoming.next().await?;
        Some((Ok::<_, std::io::Error>(connection), incoming))
    });
    Server::builder()
        .initial_stream_window_size(4 * 1024 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        .max_frame_size(FRAME_BYTES_MAX)
        .http2_keepalive_interval(Some(GRPC_KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(GRPC_KEEPALIVE_MAX))
        .http2_max_header_list_size(GRPC_HEADER_BYTES_MAX)
        .max_concurrent_streams(GRPC_STREAMS_MAX)
        .http2_max_pending_accept_reset_streams(Some(GRPC_RESETS_WAITING_MAX))
        .add_routes(routes)
        .serve_with_incoming_shutdown(connections, async move {
            // A closed channel stops the server too: the node is gone.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        })
        .await
        .map_err(|error| error.to_string())
}

/// What only those may call whom the entrance knows.
fn guarded(node: &Arc<Node>) -> axum::Router {
    let queue = QueueServer::new(QueueDoor::new(Arc::clone(node)))
        .max_decoding_message_size(WIRE_BYTES_MAX)
        .max_encoding_message_size(WIRE_BYTES_MAX);
    let topics = TopicsServer::new(TopicsDoor::new(Arc::clone(node))).max_decoding_message_size(WIRE_BYTES_MAX);
    let history = HistoryServer::new(HistoryDoor::new(Arc::clone(node))).max_encoding_message_size(WIRE_BYTES_MAX);
    Routes::new(queue)
        .add_service(topics)
        .add_service(history)
        .add_service(MovesServer::new(MovesDoor::new(Arc::clone(node))))
        .add_service(KeysServer::new(KeysDoor::new(Arc::clone(node))))
        .add_service(BackupsServer::new(BackupsDoor::new(Arc::clone(node))))
        .add_service(MembersServer::new(MembersDoor::new(Arc::clone(node))))
        .add_service(AdminServer::new(AdminDoor::new(Arc::clone(node))))
        .into_axum_router()
}
