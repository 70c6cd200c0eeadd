//! The acts: redrive messages, stop a redrive, purge a queue. Each is written down in the node's log.
//!
//! Must never: purge a queue whose name was not typed, or repeat what may have happened.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use proto::queue::v1::{PurgeQueueRequest, StartRedriveRequest, StopRedriveRequest};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Console;
use super::fault::Fault;
use super::messages::Wanted;
use super::peers::Peer;

/// What is to be redriven.
#[derive(Debug, Deserialize)]
pub(super) struct Redrive {
    queue: String,
    /// Empty = each message to the queue it came from.
    #[serde(default)]
    target: String,
    #[serde(default)]
    filter: Wanted,
    /// 0 = all that match.
    #[serde(default)]
    messages_max: u64,
    /// Messages a second; 0 = as fast as it goes.
    #[serde(default)]
    rate: u32,
    /// Only count.
    is_dry: bool,
}

/// One queue.
#[derive(Debug, Deserialize)]
pub(super) struct Of {
    queue: String,
}

/// A queue, and its name once more.
#[derive(Debug, Deserialize)]
pub(super) struct Purge {
    queue: String,
    typed: String,
}

pub(super) async fn redrive(
    State(console): State<Arc<Console>>,
    Json(order): Json<Redrive>,
) -> Result<Json<Value>, Fault> {
    let ask = async |peer: Peer| {
        let call = StartRedriveRequest {
            request: None,
            queue: order.queue.clone(),
            target: order.target.clone(),
            filter: Some(order.filter.filter()),
            messages_max: order.messages_max,
            rate: order.rate,
            dry_run: order.is_dry,
        };
        peer.history().start_redrive(call).await
    };
    let done = console.peers.led(&console.node, &order.queue, ask).await;
    tracing::info!(act = "redrive", queue = %order.queue, target = %order.target, is_dry = order.is_dry,
        is_done = done.is_ok(), "asked for at the console");
    done.map(|_| Json(json!({"is_started": true})))
}

pub(super) async fn stop_redrive(
    State(console): State<Arc<Console>>,
    Json(Of { queue }): Json<Of>,
) -> Result<Json<Value>, Fault> {
    let ask = async |peer: Peer| {
        let call = StopRedriveRequest { request: None, queue: queue.clone() };
        peer.history().stop_redrive(call).await
    };
    let done = console.peers.led(&console.node, &queue, ask).await;
    tracing::info!(act = "stop-redrive", queue = %queue, is_done = done.is_ok(), "asked for at the console");
    done.map(|_| Json(json!({"is_stopped": true})))
}

pub(super) async fn purge(
    State(console): State<Arc<Console>>,
    Json(Purge { queue, typed }): Json<Purge>,
) -> Result<Json<Value>, Fault> {
    if typed != queue {
        return Err(Fault::form("the queue's name was typed differently: nothing was purged"));
    }
    let ask = async |peer: Peer| {
        let call = PurgeQueueRequest { request: None, queue: queue.clone() };
        peer.queue().purge_queue(call).await
    };
    let done = console.peers.led(&console.node, &queue, ask).await;
    tracing::info!(act = "purge", queue = %queue, is_done = done.is_ok(), "asked for at the console");
    done.map(|reply| Json(json!({"purged": reply.purged})))
}
