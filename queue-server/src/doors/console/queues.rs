//! Queues and topics: what each holds, one in full, and where dead letters go and come from.
//!
//! Must never: show more rows than the page can, without saying how many there are.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use futures::future::join_all;
use proto::queue::v1::{
    GetQueueRequest, GetRedriveRequest, GetSubscriptionRequest, GetTopicRequest, ListDeadLetterSourcesRequest,
    ListSubscriptionsRequest,
};
use queue_core::{PlaceKind, QueueMachine, TopicStatus};
use replica::Group;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Console;
use super::cluster::{now_ms, overviews};
use super::convert;
use super::fault::Fault;
use super::limits::ROWS_MAX;
use super::peers::Peer;
use crate::doors::pages::all;

#[derive(Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    search: String,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

pub(super) async fn list(State(console): State<Arc<Console>>, Query(asked): Query<Search>) -> Json<Value> {
    let search = asked.search.to_ascii_lowercase();
    let is_asked = |name: &str| name.to_ascii_lowercase().contains(&search);
    let mut queues = overviews(&console).await;
    queues.retain(|queue| is_asked(&queue.queue));
    let mut topics: Vec<(u32, TopicStatus)> = console.node.groups().iter().flat_map(topics_of).collect();
    topics.retain(|(_, topic)| is_asked(&topic.name));
    topics.sort_by_key(|(_, topic)| topic.name.to_ascii_lowercase());
    Json(json!({
        "now_ms": now_ms(&console),
        "queues_total": queues.len(),
        "queues": queues.iter().take(ROWS_MAX).map(convert::overview).collect::<Vec<_>>(),
        "topics_total": topics.len(),
        "topics": topics.iter().take(ROWS_MAX).map(|(group, topic)| json!({
            "topic": topic.name,
            "group": group,
            "published": topic.published,
            "waiting": topic.waiting,
            "subscriptions": topic.subscriptions,
        })).collect::<Vec<_>>(),
    }))
}

/// The topics of a group, as this node's replica has them.
fn topics_of(group: &Group<QueueMachine>) -> Vec<(u32, TopicStatus)> {
    let id = group.id().0;
    let read = group.read_stale(|view| {
        let found = all(|offset| {
            let page = view.machine.topics("", offset, usize::MAX);
            (page.total, page.topics)
        });
        found.into_iter().filter_map(|(topic, _)| view.machine.topic_status(topic)).collect::<Vec<_>>()
    });
    read.unwrap_or_default().into_iter().map(|topic| (id, topic)).collect()
}

pub(super) async fn show(
    State(console): State<Arc<Console>>,
    Query(Named { name }): Query<Named>,
) -> Result<Json<Value>, Fault> {
    let queue = |name: &str| name.to_owned();
    let asked = async |peer: Peer| peer.queue().get_queue(GetQueueRequest { queue: queue(&name) }).await;
    let found = console.peers.led(&console.node, &name, asked).await?;
    let asked = async |peer: Peer| {
        let call = ListDeadLetterSourcesRequest { queue: queue(&name) };
        peer.history().list_dead_letter_sources(call).await
    };
    let sources = console.peers.led(&console.node, &name, asked).await?;
    let asked = async |peer: Peer| peer.history().get_redrive(GetRedriveRequest { queue: queue(&name) }).await;
    let redrive = console.peers.led(&console.node, &name, asked).await?;
    let mut shown = convert::queue(&found);
    if let Value::Object(fields) = &mut shown {
        fields.insert("now_ms".to_owned(), json!(now_ms(&console)));
        fields.insert("dead_letter_sources".to_owned(), json!(sources.queues));
        fields.insert("redrive".to_owned(), convert::redrive(&redrive));
    }
    Ok(Json(shown))
}

pub(super) async fn topic(
    State(console): State<Arc<Console>>,
    Query(Named { name }): Query<Named>,
) -> Result<Json<Value>, Fault> {
    let call = async |peer: Peer| peer.topics().get_topic(GetTopicRequest { topic: name.clone() }).await;
    let found = console.peers.led_as(&console.node, PlaceKind::Topic, &name, call).await?;
    let call = async |peer: Peer| {
        let limit = u32::try_from(ROWS_MAX).unwrap_or(u32::MAX);
        let call = ListSubscriptionsRequest { topic: name.clone(), limit, ..ListSubscriptionsRequest::default() };
        peer.topics().list_subscriptions(call).await
    };
    let names = console.peers.led_as(&console.node, PlaceKind::Topic, &name, call).await?;
    let one = |subscription: String| {
        let (console, topic) = (Arc::clone(&console), name.clone());
        async move {
            let ask = async |peer: Peer| {
                let call = GetSubscriptionRequest { topic: topic.clone(), name: subscription.clone() };
                peer.topics().get_subscription(call).await
            };
            let found = console.peers.led_as(&console.node, PlaceKind::Topic, &topic, ask).await;
            found.map(|found| convert::subscription(&subscription, &found))
        }
    };
    let subscriptions = join_all(names.subscriptions.into_iter().map(|found| one(found.name))).await;
    Ok(Json(json!({
        "topic": found.topic,
        "group": found.group,
        "published": found.published,
        "waiting": found.waiting,
        "created_ms": found.created_ms,
        "now_ms": now_ms(&console),
        "subscriptions_total": names.total,
        // One that went away between the two looks is left out.
        "subscriptions": subscriptions.into_iter().filter_map(Result::ok).collect::<Vec<_>>(),
    })))
}
