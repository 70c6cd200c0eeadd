//! Messages, looked at without being taken: a page of a queue, and the story of one.
//!
//! Must never: take a lease, or give a receipt away.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use bytes::Bytes;
use proto::queue::v1::{ExplainRequest, MessageFilter, MessageState, SearchRequest};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Console;
use super::cluster::now_ms;
use super::convert;
use super::fault::Fault;
use super::limits::{BODY_BYTES_MAX, EXCERPT_BYTES_MAX};
use super::peers::Peer;

/// What messages are asked for. Everything that is given must hold.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Wanted {
    header_name: String,
    header_value: String,
    origin: String,
    body: String,
    tenant: String,
    group: String,
    from_ms: u64,
    until_ms: u64,
    received_min: u32,
    failed_min: u32,
}

impl Wanted {
    /// In the wire's words.
    pub(super) fn filter(&self) -> MessageFilter {
        MessageFilter {
            header_name: self.header_name.clone(),
            header_value: self.header_value.clone(),
            sent_from_ms: self.from_ms,
            sent_until_ms: self.until_ms,
            times_received_min: self.received_min,
            times_failed_min: self.failed_min,
            origin_queue: self.origin.clone(),
            body_contains: Bytes::copy_from_slice(self.body.as_bytes()),
            tenant: self.tenant.clone(),
            group: self.group.clone(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Page {
    queue: String,
    #[serde(default = "visible")]
    state: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    limit: u32,
}

fn visible() -> String {
    "visible".to_owned()
}

pub(super) async fn search(
    State(console): State<Arc<Console>>,
    Query(page): Query<Page>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Fault> {
    let state = convert::state(&page.state).ok_or_else(|| Fault::form("there is no such state of messages"))?;
    let after = convert::from_hex(&page.after).ok_or_else(|| Fault::form("the cursor is not one of ours"))?;
    let ask = async |peer: Peer| {
        let call = SearchRequest {
            queue: page.queue.clone(),
            state: MessageState::into(state),
            filter: Some(wanted.filter()),
            after: after.clone(),
            limit: page.limit,
        };
        peer.history().search(call).await
    };
    let found = console.peers.led(&console.node, &page.queue, ask).await?;
    Ok(Json(json!({
        "now_ms": now_ms(&console),
        "messages": found.messages.iter().map(|one| convert::message(one, EXCERPT_BYTES_MAX)).collect::<Vec<_>>(),
        "next": convert::hex(&found.next),
    })))
}

#[derive(Deserialize)]
pub(super) struct One {
    queue: String,
    id: u64,
}

pub(super) async fn explain(
    State(console): State<Arc<Console>>,
    Query(One { queue, id }): Query<One>,
) -> Result<Json<Value>, Fault> {
    let ask = async |peer: Peer| peer.history().explain(ExplainRequest { queue: queue.clone(), id }).await;
    let story = console.peers.led(&console.node, &queue, ask).await?;
    Ok(Json(json!({
        "queue": queue,
        "id": id.to_string(),
        "now_ms": now_ms(&console),
        "message": story.message.as_ref().map(|message| convert::message(message, BODY_BYTES_MAX)),
        "events": story.events.iter().map(convert::event).collect::<Vec<_>>(),
        "is_complete": story.complete,
    })))
}
