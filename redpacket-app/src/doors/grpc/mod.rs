//! gRPC: red packets, ledger, operators, health, reflection; and the replication of peers on the same port.
//!
//! Must never: answer for roles that do not stand yet.

mod admin;
pub(super) mod convert;
mod convert_ledger;
pub(super) mod convert_packet;
mod convert_pay;
mod judge;
pub(crate) mod lead;
mod ledger_accounts;
mod ledger_booking;
mod ledger_door;
mod ledger_limits;
mod ledger_reading;
mod members;
mod packed_batch;
mod packet_door;
mod pay_door;
mod recovery;
mod wallet_door;

pub(crate) use judge::judge;
pub(crate) use ledger_reading::published_words as journal_words;

use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use proto::FILE_DESCRIPTOR_SET;
use proto::admin::v1::admin_server::AdminServer;
use proto::admin::v1::members_server::MembersServer;
use proto::admin::v1::recovery_server::RecoveryServer;
use proto::ledger::v1::ledger_server::LedgerServer;
use proto::limits::{FRAME_BYTES_MAX, WIRE_BYTES_MAX};
use proto::outcome::{Hint, NO_RIGHT, not_applied, refused, unknown};
use proto::packet::v1::red_packet_server::RedPacketServer;
use proto::pay::v1::merchants_server::MerchantsServer;
use proto::pay::v1::wallet_server::WalletServer;
use proto::traces;
use replica::ReplicationService;
use tls::{Gate, Incoming, Met};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Status};

use crate::app::App;
use crate::limits::{
    GRPC_CALL_MAX, GRPC_HEADER_BYTES_MAX, GRPC_KEEPALIVE_EVERY, GRPC_KEEPALIVE_MAX, GRPC_PATIENCE, GRPC_ROOM,
    GRPC_STREAMS_MAX,
};
use crate::node::Slot;

/// Serves until it fails. Errors: text.
pub(crate) async fn serve(
    (listener, seal): (TcpListener, tls::Door),
    replication: ReplicationService,
    slot: Slot,
) -> Result<(), String> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| error.to_string())?;
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<RedPacketServer<Door>>().await;
    health.set_serving::<LedgerServer<Door>>().await;
    let door = Door::new(slot);
    let incoming = Incoming::new(listener, seal, Gate::new("grpc", &GRPC_ROOM), GRPC_PATIENCE);
    let connections = futures::stream::unfold(incoming, async |mut incoming| {
        let stream = incoming.next().await?;
        Some((Ok::<_, std::io::Error>(stream), incoming))
    });
    let calls = Routes::new(RedPacketServer::new(door.clone()))
        .add_service(LedgerServer::new(door.clone()).max_decoding_message_size(WIRE_BYTES_MAX))
        .add_service(MerchantsServer::new(door.clone()))
        .add_service(WalletServer::new(door.clone()));
    let calls = calls.into_axum_router().layer(from_fn(in_time));
    // Without traces a call takes no step more.
    let calls = if traces::is_on() { calls.layer(from_fn(traced)) } else { calls };
    let routes = Routes::from(calls).add_service(replication).add_service(AdminServer::new(door.clone()));
    let routes = routes.add_service(MembersServer::new(door.clone())).add_service(RecoveryServer::new(door));
    Server::builder()
        .http2_adaptive_window(Some(true))
        .max_frame_size(FRAME_BYTES_MAX)
        .http2_keepalive_interval(Some(GRPC_KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(GRPC_KEEPALIVE_MAX))
        .http2_max_header_list_size(GRPC_HEADER_BYTES_MAX)
        .max_concurrent_streams(GRPC_STREAMS_MAX)
        .http2_max_pending_accept_reset_streams(Some(GRPC_STREAMS_MAX as usize))
        .add_routes(routes)
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming(connections)
        .await
        .map_err(|error| error.to_string())
}

/// A call that came whole and was answered in time; a stream, one that began in time. Errors: unknown.
async fn in_time(request: Request, next: Next) -> Response {
    let answered = timeout(GRPC_CALL_MAX, next.run(request)).await;
    answered.unwrap_or_else(|_| unknown("the call took too long", Hint::default()).into_http())
}

/// A call in the trace that its headers say, or in one that begins here.
async fn traced(request: Request, next: Next) -> Response {
    let name = request.uri().path().trim_start_matches('/').to_owned();
    let span = traces::arrive(traces::door(request.headers()), name, traces::Kind::Server);
    span.within(next.run(request)).await
}

/// What all services share.
#[derive(Clone)]
pub(crate) struct Door {
    slot: Slot,
}

impl Door {
    /// A door to the roles in `slot`.
    pub(crate) const fn new(slot: Slot) -> Self {
        Self { slot }
    }

    /// The roles. Errors: not applied, the node is starting.
    pub(super) fn app(&self) -> Result<&Arc<App>, Status> {
        self.slot.get().ok_or_else(|| not_applied("the node is starting", Hint::default()))
    }

    /// What an operator asks. Refuses: `NO_RIGHT`, the node has a certificate and the caller shows none: at an open door that
    /// may be a phone.
    pub(super) fn operated<T>(&self, request: tonic::Request<T>) -> Result<T, Status> {
        let shows_one = request.extensions().get::<Met>().is_some_and(|met| !met.names.is_empty());
        if self.app()?.seals.identity.keeper().is_none() || shows_one {
            return Ok(request.into_inner());
        }
        Err(refused(Code::PermissionDenied, NO_RIGHT, "operators show a certificate"))
    }
}
