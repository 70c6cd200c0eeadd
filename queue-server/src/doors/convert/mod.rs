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
use queue_core::{
    AttributeChanges, Attributes, DeadLetterCount, DeadLetterPolicy, DeadLetterStall, Delivery, Header, MessageRow,
    NewMessage, PeekState, Peeked, QueueMachine, Refusal, Reply, Tries,
};
use tonic::{Code, Status};

pub(crate) const fn refusal_code(refusal: Refusal) -> Code {
    match refusal {
        Refusal::QueueMissing | Refusal::DeadLetterQueueMissing => Code::NotFound,
        Refusal::QueueExists => Code::AlreadyExists,
        Refusal::TooManyQueues
        | Refusal::QueueFull
        | Refusal::TooManyDelayed
        | Refusal::TooManyLeased
        | Refusal::NumbersExhausted => Code::ResourceExhausted,
        Refusal::StaleReceipt => Code::FailedPrecondition,
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
        DeadLetterCount::Received => wire::DeadLetterCount::Received,
        DeadLetterCount::Failed => wire::DeadLetterCount::Failed,
    }
}

/// A message as it is stored, without receipt and lease.
fn stored_message(machine: &QueueMachine, stored: MessageRow, tries: Tries, body: Bytes) -> wire::Message {
    let origin = stored.origin.map(|origin| wire::Origin {
        // A queue that was deleted since has a number, but no name any more.
        queue: machine.status(origin.queue).map(|status| status.name).unwrap_or_default(),
        queue_id: origin.queue.0,
        enqueued_ms: origin.enqueued.0,
        times_received: origin.tries.received,
        times_failed: origin.tries.failed,
        reason: wire_count(origin.reason).into(),
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
    }
}

/// A message under a lease.
pub(crate) fn delivered_message(
    machine: &QueueMachine,
    delivery: &Delivery,
    stored: MessageRow,
    body: Bytes,
) -> wire::Message {
    wire::Message {
        receipt: delivery.receipt.0,
        lease_until_ms: delivery.deadline.0,
        ..stored_message(machine, stored, delivery.tries, body)
    }
}

/// A message that was looked at.
pub(crate) fn peeked_message(
    machine: &QueueMachine,
    peeked: Peeked,
    state: MessageState,
    body: Bytes,
) -> PeekedMessage {
    let until = peeked.until.map_or(0, |until| until.0);
    let mut message = stored_message(machine, peeked.message, peeked.tries, body);
    let mut due_ms = 0;
    match state {
        MessageState::Leased => message.lease_until_ms = until,
        MessageState::Delayed => due_ms = until,
        MessageState::Visible | MessageState::Unspecified => {}
    }
    PeekedMessage { message: Some(message), state: state.into(), due_ms }
}

pub(crate) const fn peek_state(state: MessageState) -> Option<PeekState> {
    match state {
        MessageState::Visible => Some(PeekState::Visible),
        MessageState::Leased => Some(PeekState::Leased),
        MessageState::Delayed => Some(PeekState::Delayed),
        MessageState::Unspecified => None,
    }
}

pub(crate) fn stall_text(stall: Option<DeadLetterStall>) -> String {
    match stall {
        None => String::new(),
        Some(DeadLetterStall::QueueMissing) => "the dead-letter queue does not exist".to_owned(),
        Some(DeadLetterStall::QueueFull) => "the dead-letter queue is full".to_owned(),
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
        wire::DeadLetterCount::Unspecified => return Err(Refusal::DeadLetterLimitOutOfRange),
    };
    Ok(Some(DeadLetterPolicy { queue: wire.queue.clone(), count, limit: wire.times_max }))
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
    }
}
