//! The cluster as all its nodes see it: the picture that the page draws anew several times a second.
//!
//! Must never: wait for a dead node longer than a viewer would, or hide that it did not answer.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use futures::future::join_all;
use proto::admin::v1::{CourierStatusRequest, QueueOverview, QueuesRequest, StatusReply, StatusRequest};
use serde_json::{Value, json};
use tokio::time::timeout;
use tonic::Status;

use super::Console;
use super::convert::{kind_word, role_word};
use super::limits::{LOOK_FRESH, PEER_MAX};
use super::verdict::{self, View};

pub(super) async fn show(State(console): State<Arc<Console>>) -> Json<Value> {
    Json(Value::clone(&*look(&console).await))
}

/// A look that is fresh enough, or a new one. Who comes while one is under way waits for it.
async fn look(console: &Console) -> Arc<Value> {
    let mut last = console.look.lock().await;
    if let Some((at, look)) = &*last
        && at.elapsed() < LOOK_FRESH
    {
        return Arc::clone(look);
    }
    let views = views(console).await;
    let verdict = verdict::judge(&views);
    let groups = verdict::groups(&views);
    let waiting = courier(console, &views).await;
    let look = Arc::new(json!({
        "asked": console.node.name(),
        "now_ms": now_ms(console),
        "verdict": verdict.word(),
        "reasons": verdict.reasons,
        "nodes": views.iter().map(node).collect::<Vec<_>>(),
        "groups": groups.into_iter().map(|id| group(&views, id)).collect::<Vec<_>>(),
        "courier": waiting,
    }));
    *last = Some((Instant::now(), Arc::clone(&look)));
    look
}

/// Machine time as this node has it; 0 while it has none.
pub(super) fn now_ms(console: &Console) -> u64 {
    let now = console.node.directory().and_then(|directory| directory.read_stale(|view| view.now.0).ok());
    now.unwrap_or_default()
}

/// What every member says, asked at the same time.
pub(super) async fn views(console: &Console) -> Vec<View> {
    let members = console.peers.members(&console.node);
    join_all(members.into_iter().map(|(node, grpc)| async move {
        let answer = match timeout(PEER_MAX, status(console, &grpc)).await {
            Ok(answer) => answer.map_err(|status| spoken(&status)),
            Err(_) => Err(format!("no answer within {} ms", PEER_MAX.as_millis())),
        };
        View { node, grpc, answer }
    }))
    .await
}

async fn status(console: &Console, address: &str) -> Result<StatusReply, Status> {
    Ok(console.peers.at(address)?.admin().status(StatusRequest {}).await?.into_inner())
}

/// Why a node gave no status, for people.
fn spoken(status: &Status) -> String {
    if status.code() == tonic::Code::Unavailable { "cannot be reached".to_owned() } else { status.message().to_owned() }
}

fn node(view: &View) -> Value {
    let mut node = json!({"node": view.node.to_string(), "grpc": view.grpc, "is_up": view.answer.is_ok()});
    let said = match &view.answer {
        Err(why) => json!({"why": why}),
        Ok(status) => {
            let fsync = status.fsync.unwrap_or_default();
            json!({
                "version": status.version,
                "uptime_ms": status.uptime_ms,
                "quarantined": status.quarantined,
                "disk_free_bytes": status.disk_free_bytes,
                "disk_bytes": status.disk_bytes,
                "fsync": {"count": fsync.count, "p50_us": fsync.p50_us, "p99_us": fsync.p99_us},
            })
        }
    };
    if let (Value::Object(node), Value::Object(said)) = (&mut node, said) {
        node.extend(said);
    }
    node
}

fn group(views: &[View], id: u32) -> Value {
    let leader = verdict::leader(views, id);
    let committed = leader.map_or(0, |(_, replica)| replica.committed_index);
    let known = views.iter().find_map(|view| view.replica(id));
    let replica = |view: &View| {
        let replica = view.replica(id)?;
        Some(json!({
            "node": view.node.to_string(),
            "role": role_word(replica.role()),
            "term": replica.term,
            "last": replica.last_index,
            "applied": replica.applied_index,
            "lag": leader.map(|_| committed.saturating_sub(replica.applied_index)),
            "parked": replica.parked,
        }))
    };
    json!({
        "group": id,
        "kind": known.map_or("", |replica| kind_word(replica.kind())),
        "leader": leader.map(|(node, _)| node.to_string()),
        "term": leader.map_or(0, |(_, replica)| replica.term),
        "committed": committed,
        "replicas": views.iter().filter_map(replica).collect::<Vec<_>>(),
    })
}

/// The node whose word on a group counts: its leader, or else any that holds it.
fn speaker(views: &[View], group: u32) -> Option<&View> {
    let leader = verdict::leader(views, group).map(|(node, _)| node);
    let any = || views.iter().find(|view| view.replica(group).is_some());
    views.iter().find(|view| Some(view.node) == leader).or_else(any)
}

/// What waits to cross from group to group, by the word of each source's leader.
async fn courier(console: &Console, views: &[View]) -> Vec<Value> {
    let replies = join_all(views.iter().filter(|view| view.answer.is_ok()).map(|view| async move {
        let ask = async { console.peers.at(&view.grpc)?.admin().courier_status(CourierStatusRequest {}).await };
        let reply = timeout(PEER_MAX, ask).await.ok()?.ok()?.into_inner();
        Some((view.node, reply.pairs))
    }))
    .await;
    let pairs = replies.into_iter().flatten().flat_map(|(node, pairs)| pairs.into_iter().map(move |pair| (node, pair)));
    let spoken = pairs.filter(|(node, pair)| speaker(views, pair.source).is_some_and(|view| view.node == *node));
    let waiting = spoken.filter(|(_, pair)| pair.waiting > 0);
    waiting
        .map(|(_, pair)| {
            json!({"source": pair.source, "target": pair.target, "waiting": pair.waiting, "refused": pair.refused})
        })
        .collect()
}

/// All queues, each by the word of its group's leader.
pub(super) async fn overviews(console: &Console) -> Vec<QueueOverview> {
    let views = views(console).await;
    let replies = join_all(views.iter().filter(|view| view.answer.is_ok()).map(|view| async move {
        let ask = async { console.peers.at(&view.grpc)?.admin().queues(QueuesRequest {}).await };
        let reply = timeout(PEER_MAX, ask).await.ok()?.ok()?.into_inner();
        Some((view.node, reply.queues))
    }))
    .await;
    let mut queues: Vec<QueueOverview> = Vec::new();
    for (node, said) in replies.into_iter().flatten() {
        let is_word = |group| speaker(&views, group).is_some_and(|view| view.node == node);
        queues.extend(said.into_iter().filter(|queue| is_word(queue.group)));
    }
    queues.sort_by_key(|queue| queue.queue.to_ascii_lowercase());
    queues
}
