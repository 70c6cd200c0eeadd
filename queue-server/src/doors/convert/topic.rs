//! Topics and subscriptions in the wire's words, and back.

use machine::GroupId;
use proto::queue::v1::subscription::Endpoint as WireEndpoint;
use proto::queue::v1::{self as wire, ContentFormat, FilterKind as WireFilter, RetryStrategy as WireStrategy};
use queue_core::{
    Endpoint, FilterKind, Header, NotifyFormat, Publication, QueueAddress, Refusal, RetryStrategy,
    SubscriptionAttributes, SubscriptionChanges, SubscriptionStatus, TopicChanges, TopicStatus,
};

use super::{counters, stall_text};

pub(crate) const fn filter_kind(kind: WireFilter) -> FilterKind {
    match kind {
        WireFilter::Unspecified | WireFilter::Tags => FilterKind::Tags,
        WireFilter::Routing => FilterKind::Routing,
    }
}

const fn wire_filter(kind: FilterKind) -> WireFilter {
    match kind {
        FilterKind::Tags => WireFilter::Tags,
        FilterKind::Routing => WireFilter::Routing,
    }
}

pub(crate) const fn topic_changes(wire: &wire::TopicAttributes) -> TopicChanges {
    TopicChanges { max_message_bytes: wire.message_bytes_max, retention_s: wire.retention_s, trace: wire.trace }
}

pub(crate) fn topic(status: TopicStatus, group: GroupId) -> wire::GetTopicReply {
    wire::GetTopicReply {
        topic: status.name,
        topic_id: status.topic.0,
        group: group.0,
        attributes: Some(wire::TopicAttributes {
            message_bytes_max: Some(status.attributes.max_message_bytes),
            retention_s: Some(status.attributes.retention_s),
            trace: Some(status.attributes.trace),
        }),
        filter: wire_filter(status.attributes.filter).into(),
        created_ms: status.created.0,
        modified_ms: status.modified.0,
        subscriptions: u32::try_from(status.subscriptions).unwrap_or(u32::MAX),
        published: status.published,
        waiting: status.waiting,
    }
}

pub(crate) fn publication(message: wire::NewPublication) -> Publication {
    let header = |(name, value): (String, String)| Header { name, value };
    Publication {
        body: message.body,
        headers: message.headers.into_iter().map(header).collect(),
        tags: message.tags,
        routing_key: message.routing_key,
    }
}

/// The queues that a subscription names: its endpoint, and the queue for what cannot be delivered.
pub(crate) fn named_queues(wire: &wire::Subscription) -> [Option<String>; 2] {
    let endpoint = match &wire.endpoint {
        Some(WireEndpoint::Queue(queue)) => Some(queue.clone()),
        _ => None,
    };
    [endpoint, Some(wire.dead_letter_queue.clone()).filter(|queue| !queue.is_empty())]
}

/// What a new subscription is. `queues`: the addresses of [`named_queues`]. Errors: it has no endpoint.
pub(crate) fn subscription_attributes(
    wire: wire::Subscription,
    queues: [Option<QueueAddress>; 2],
) -> Result<SubscriptionAttributes, Refusal> {
    let set = SetParts { filters: true, dead_letter: true };
    let is_queue = matches!(wire.endpoint, Some(WireEndpoint::Queue(_)));
    let changes = subscription_changes(wire, queues, set);
    let format = if is_queue { NotifyFormat::Simplified } else { NotifyFormat::Json };
    Ok(SubscriptionAttributes {
        endpoint: changes.endpoint.ok_or(Refusal::EndpointInvalid)?,
        strategy: changes.strategy.unwrap_or_default(),
        format: changes.format.unwrap_or(format),
        filters: changes.filters.unwrap_or_default(),
        dead_letter: changes.dead_letter.flatten(),
    })
}

/// Which parts of a subscription are set although they may be empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetParts {
    pub(crate) filters: bool,
    pub(crate) dead_letter: bool,
}

/// What to change of a subscription; fields that are not given stay.
pub(crate) fn subscription_changes(
    wire: wire::Subscription,
    [endpoint, dead_letter]: [Option<QueueAddress>; 2],
    set: SetParts,
) -> SubscriptionChanges {
    let strategy = match wire.strategy() {
        WireStrategy::Unspecified => None,
        WireStrategy::Backoff => Some(RetryStrategy::Backoff),
        WireStrategy::ExponentialDecay => Some(RetryStrategy::ExponentialDecay),
    };
    let format = match wire.format() {
        ContentFormat::Unspecified => None,
        ContentFormat::Json => Some(NotifyFormat::Json),
        ContentFormat::Simplified => Some(NotifyFormat::Simplified),
    };
    let endpoint = match wire.endpoint {
        Some(WireEndpoint::Url(url)) => Some(Endpoint::Http { url }),
        Some(WireEndpoint::Queue(_)) | None => endpoint.map(Endpoint::Queue),
    };
    SubscriptionChanges {
        endpoint,
        strategy,
        format,
        filters: set.filters.then_some(wire.filters),
        dead_letter: set.dead_letter.then_some(dead_letter),
    }
}

pub(crate) fn subscription(status: SubscriptionStatus) -> wire::GetSubscriptionReply {
    let attributes = status.attributes;
    let strategy = match attributes.strategy {
        RetryStrategy::Backoff => WireStrategy::Backoff,
        RetryStrategy::ExponentialDecay => WireStrategy::ExponentialDecay,
    };
    let format = match attributes.format {
        NotifyFormat::Json => ContentFormat::Json,
        NotifyFormat::Simplified => ContentFormat::Simplified,
    };
    let endpoint = match attributes.endpoint {
        Endpoint::Queue(address) => WireEndpoint::Queue(address.queue),
        Endpoint::Http { url } => WireEndpoint::Url(url),
    };
    let blocked = match (status.failing, status.stall) {
        (_, Some(stall)) => stall_text(Some(stall)),
        (Some(failing), None) => {
            let stall = failing.stall.map_or_else(String::new, |stall| format!(": {stall}"));
            format!("{} deliveries have failed since {} ms{stall}", failing.times, failing.since.0)
        }
        (None, None) => String::new(),
    };
    let counts = status.counts;
    wire::GetSubscriptionReply {
        subscription: Some(wire::Subscription {
            endpoint: Some(endpoint),
            filters: attributes.filters,
            strategy: strategy.into(),
            format: format.into(),
            dead_letter_queue: attributes.dead_letter.map(|address| address.queue).unwrap_or_default(),
        }),
        subscription_id: status.queue.0,
        created_ms: status.created.0,
        modified_ms: status.modified.0,
        waiting: counts.visible + counts.leased + counts.delayed,
        given_up: status.totals.given_up + status.totals.dead_lettered,
        blocked,
        counters: Some(counters(&counts, &status.totals)),
    }
}
