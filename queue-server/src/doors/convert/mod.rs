//! The machine's words in the wire's words, and back. Nothing is decided here.

mod history;
mod topic;

pub(crate) use history::{event, filter, read_cursor, redrive, redrive_order, wire_state, write_cursor};
pub(crate) use topic::{
    SetParts, filter_kind, named_queues, publication, subscription, subscription_attributes, subscription_changes,
    topic, topic_changes,
};

use bytes::Bytes;
use proto::outcome::{Hint, unknown};
use proto::queue::v1::{self as wire, MessageState, PeekedMessage};
use queue_core::limits::PRIORITY_DEFAULT;
use queue_core::{
    AttributeChanges, Attributes, Counts, DeadLetterCount, DeadLetterPolicy, Delivery, Header, MessageRow, NewMessage,
    PeekState, Peeked, Refusal, Reply, Stall, Totals, TransactionPolicy, Tries,
};
use tonic::{Code, Status};

pub(crate) const fn refusal_code(refusal: Refusal) -> Code {
    match refusal {
        Refusal::QueueMissing
        | Refusal::DeadLetterQueueMissing
        | Refusal::TopicMissing
        | Refusal::SubscriptionMissing
        | Refusal::EndpointQueueMissing
        | Refusal::RedriveTargetMissing
        | Refusal::HalfUnknown => Code::NotFound,
        Refusal::QueueExists | Refusal::TopicExists | Refusal::SubscriptionExists => Code::AlreadyExists,
        Refusal::TooManyQueues
        | Refusal::QueueFull
        | Refusal::TooManyDelayed
        | Refusal::TooManyLeased
        | Refusal::NumbersExhausted
        | Refusal::TooManyLanes
        | Refusal::TooManyDedupIds
        | Refusal::TooManyHalves
        | Refusal::TooManyTopics
        | Refusal::TooManySubscriptions => Code::ResourceExhausted,
        Refusal::StaleReceipt
        | Refusal::HalfSettled
        | Refusal::RewindOff
        | Refusal::RewindPlaceMoved
        | Refusal::NotTransactional
        | Refusal::TopicHasSubscriptions
        | Refusal::NoSubscription
        | Refusal::NothingMatches
        | Refusal::RedriveRunning
        | Refusal::RedriveMissing
        | Refusal::Moved
        | Refusal::QueueMoving
        | Refusal::MoveToItself
        | Refusal::MoveMissing
        | Refusal::MoveIsCut => Code::FailedPrecondition,
        _ => Code::InvalidArgument,
    }
}

/// A reply that does not belong to the command: a fault of this release, and nothing a caller can settle.
pub(crate) fn unexpected(reply: &Reply) -> Status {
    tracing::error!(?reply, "the machine gave a reply of another kind");
    unknown("the machine gave a reply of another kind", Hint::default())
}

pub(crate) fn new_message(message: wire::NewMessage) -> NewMessage {
    let headers = message.headers.into_iter().map(|(name, value)| Header { name, value });
    NewMessage {
        body: message.body,
        delay_ms: message.delay_ms,
        headers: headers.collect(),
        priority: message.priority.map_or(PRIORITY_DEFAULT, |priority| u8::try_from(priority).unwrap_or(u8::MAX)),
        tenant: message.tenant,
        group: message.group,
        dedup_id: message.dedup_id,
        is_half: message.half,
    }
}

const fn wire_count(count: DeadLetterCount) -> wire::DeadLetterCount {
    match count {
        DeadLetterCount::Age => wire::DeadLetterCount::Age,
        DeadLetterCount::Received => wire::DeadLetterCount::Received,
        DeadLetterCount::Failed => wire::DeadLetterCount::Failed,
    }
}

/// A message as it is stored, without receipt and lease.
fn stored_message(stored: MessageRow, tries: Tries, body: Bytes) -> wire::Message {
    let origin = stored.origin.map(|origin| wire::Origin {
        queue: origin.name,
        queue_id: origin.queue.0,
        enqueued_ms: origin.enqueued.0,
        times_received: origin.tries.received,
        times_failed: origin.tries.failed,
        reason: origin.reason.map_or(wire::DeadLetterCount::Unspecified, wire_count).into(),
        times_redriven: origin.redriven,
    });
    let published = stored.published.map(|published| wire::Published {
        topic: published.topic,
        id: published.id.0,
        tags: published.tags,
    });
    wire::Message {
        id: stored.id.0,
        receipt: 0,
        body,
        headers: stored.headers.into_iter().map(|header| (header.name, header.value)).collect(),
        enqueued_ms: stored.sent.0,
        first_received_ms: tries.first_received.0,
        lease_until_ms: 0,
        times_received: tries.received,
        times_failed: tries.failed,
        origin,
        priority: u32::from(stored.priority),
        tenant: stored.tenant,
        group: stored.group,
        published,
    }
}

/// A message under a lease.
pub(crate) fn delivered_message(delivery: &Delivery, stored: MessageRow, body: Bytes) -> wire::Message {
    wire::Message {
        receipt: delivery.receipt.0,
        lease_until_ms: delivery.deadline.0,
        ..stored_message(stored, delivery.tries, body)
    }
}

/// A message that was looked at.
pub(crate) fn peeked_message(peeked: Peeked, state: MessageState, body: Bytes) -> PeekedMessage {
    let until = peeked.until.map_or(0, |until| until.0);
    let mut message = stored_message(peeked.message, peeked.tries, body);
    let mut due_ms = 0;
    match state {
        MessageState::Leased => message.lease_until_ms = until,
        MessageState::Delayed | MessageState::Half => due_ms = until,
        MessageState::Visible | MessageState::Rewindable | MessageState::Unspecified => {}
    }
    PeekedMessage { message: Some(message), state: state.into(), due_ms }
}

pub(crate) const fn peek_state(state: MessageState) -> Option<PeekState> {
    match state {
        MessageState::Visible => Some(PeekState::Visible),
        MessageState::Leased => Some(PeekState::Leased),
        MessageState::Delayed => Some(PeekState::Delayed),
        MessageState::Half => Some(PeekState::Half),
        MessageState::Rewindable => Some(PeekState::Rewindable),
        MessageState::Unspecified => None,
    }
}

/// Why something does not move; empty if it does.
pub(crate) fn stall_text(stall: Option<Stall>) -> String {
    stall.map_or_else(String::new, |stall| stall.to_string())
}

/// What a queue holds and has done.
pub(crate) const fn counters(counts: &Counts, totals: &Totals) -> wire::QueueCounters {
    wire::QueueCounters {
        visible: counts.visible,
        leased: counts.leased,
        delayed: counts.delayed,
        sent: totals.sent,
        received: totals.received,
        acked: totals.acked,
        redelivered: totals.redelivered,
        expired: totals.expired,
        purged: totals.purged,
        dead_lettered: totals.dead_lettered,
        sent_bytes: totals.sent_bytes,
        arrived: totals.arrived,
        half: counts.half,
        rolled_back: totals.half_rolled_back,
        half_expired: totals.half_expired,
        rewindable: counts.rewindable,
        rewound: totals.rewound,
        redriven: totals.redriven,
        arriving: counts.arriving,
    }
}

pub(crate) fn receipt_result(receipt: u64, refusal: Option<Refusal>, lease_until_ms: u64) -> wire::ReceiptResult {
    wire::ReceiptResult {
        receipt,
        refusal: refusal.map_or(0, |refusal| u32::from(refusal.number())),
        text: refusal.map_or_else(String::new, |refusal| refusal.to_string()),
        lease_until_ms,
    }
}

/// A policy as the wire says it. Errors: its count is not given.
fn policy(wire: &wire::DeadLetterPolicy) -> Result<Option<DeadLetterPolicy>, Refusal> {
    if wire.queue.is_empty() {
        return Ok(None);
    }
    let count = match wire.count() {
        wire::DeadLetterCount::Received => DeadLetterCount::Received,
        wire::DeadLetterCount::Failed => DeadLetterCount::Failed,
        wire::DeadLetterCount::Age => DeadLetterCount::Age,
        wire::DeadLetterCount::Unspecified => return Err(Refusal::DeadLetterLimitOutOfRange),
    };
    Ok(Some(DeadLetterPolicy { group: None, queue: wire.queue.clone(), count, limit: wire.times_max }))
}

pub(crate) fn changes(wire: &wire::QueueAttributes) -> Result<AttributeChanges, Refusal> {
    Ok(AttributeChanges {
        max_messages: wire.messages_max,
        polling_wait_s: wire.poll_wait_s,
        visibility_timeout_s: wire.lease_s,
        max_message_bytes: wire.message_bytes_max,
        retention_s: wire.retention_s,
        rewind_s: wire.rewind_s,
        dead_letter: wire.dead_letter.as_ref().map(policy).transpose()?,
        dedup_window_s: wire.dedup_window_s,
        transaction: wire.transaction.map(|policy| {
            let wanted = TransactionPolicy { first_query_s: policy.first_query_s, max_queries: policy.queries_max };
            (policy.first_query_s > 0).then_some(wanted)
        }),
        trace: wire.trace,
    })
}

pub(crate) fn wire_attributes(attributes: &Attributes) -> wire::QueueAttributes {
    wire::QueueAttributes {
        messages_max: Some(attributes.max_messages),
        poll_wait_s: Some(attributes.polling_wait_s),
        lease_s: Some(attributes.visibility_timeout_s),
        message_bytes_max: Some(attributes.max_message_bytes),
        retention_s: Some(attributes.retention_s),
        rewind_s: Some(attributes.rewind_s),
        dead_letter: attributes.dead_letter.as_ref().map(|policy| wire::DeadLetterPolicy {
            queue: policy.queue.clone(),
            count: wire_count(policy.count).into(),
            times_max: policy.limit,
        }),
        dedup_window_s: Some(attributes.dedup_window_s),
        transaction: attributes.transaction.map(|policy| wire::TransactionPolicy {
            first_query_s: policy.first_query_s,
            queries_max: policy.max_queries,
        }),
        trace: Some(attributes.trace),
    }
}
