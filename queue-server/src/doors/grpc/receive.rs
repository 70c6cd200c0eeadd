//! Receive with long poll, and peek. A receive that would find nothing is not proposed.

use std::time::Duration;

use bytes::Bytes;
use machine::{RequestId, StoreFailure};
use proto::limits::{BODY_BYTES_PER_CALL_MAX, MESSAGES_PER_CALL_MAX, WAIT_MS_MAX};
use proto::outcome::{Hint, not_applied, unknown};
use proto::queue::v1::{Message, PeekReply, PeekRequest, PeekedMessage, ReceiveReply, ReceiveRequest};
use proto::traces::TRACEPARENT;
use queue_core::{Attributes, Command, Delivery, QueueMachine, Reply};
use replica::View;
use tokio::time::Instant;
use tonic::Status;

use super::failure::{
    DoorRefusal, door_refused, machine_refused, not_here, propose_failed, queue_missing, read_failed,
};
use super::service::locate;
use crate::doors::convert::{delivered_message, peek_state, peeked_message, unexpected};
use crate::doors::traced::{self, Asked};
use crate::node::{Located, Node};
use crate::tally::Deed;

/// Takes leases on the first messages; waits for the first one if asked to.
pub(super) async fn receive(node: &Node, call: ReceiveRequest) -> Result<ReceiveReply, Status> {
    if call.wait_ms.is_some_and(|wait| wait > WAIT_MS_MAX) {
        return Err(door_refused(DoorRefusal::WaitTooLong, "a receive waits at most 30 s"));
    }
    let (located, request) = locate(node, &call.queue, call.request.as_ref()).await?;
    let most = call.messages_max as usize;
    node.tally().count(located.group.id(), located.queue.0, Deed::receive(most));
    // A repeat must get the same messages under the same leases, though nothing may be ready now.
    if request != RequestId::NONE
        && let Some(Reply::Received { deliveries }) = located.group.former_reply(request)
    {
        return read_messages(&located, &deliveries);
    }
    let attributes = located
        .group
        .read_stale(|view| match view.machine.status(located.queue) {
            Some(status) => Some(status.attributes),
            // The machine says so, under the id.
            None => view.machine.has_moved(located.queue).then(Attributes::default),
        })
        .map_err(read_failed)?
        .ok_or_else(queue_missing)?;
    let wait = call
        .wait_ms
        .map_or(Duration::from_secs(u64::from(attributes.polling_wait_s)), |ms| Duration::from_millis(u64::from(ms)));
    let fitting = BODY_BYTES_PER_CALL_MAX / (attributes.max_message_bytes as usize).max(1);
    let count = call.messages_max.min(u32::try_from(fitting.max(1)).unwrap_or(u32::MAX));
    let command = Command::Receive { queue: located.queue, count, lease_ms: call.lease_ms };
    let until = Instant::now() + wait;
    let mut applied = located.group.applied_index();
    loop {
        applied.mark_unchanged();
        let is_ready = located
            .group
            .read_stale(|view| view.machine.has_ready(located.queue) || view.machine.has_moved(located.queue))
            .map_err(read_failed)?;
        // A count or lease out of range is refused by the machine, whether or not something is ready.
        if is_ready || !(1..=MESSAGES_PER_CALL_MAX).contains(&(call.messages_max as usize)) {
            let began = Instant::now().into_std();
            let received = located.group.propose(request, &command).await.map_err(propose_failed)?;
            match received.reply {
                Reply::Received { deliveries } => {
                    let reply = read_messages(&located, &deliveries)?;
                    let fsyncs = Some(node.replica().recent_fsyncs());
                    let asked = Asked { queue: &call.queue, fsyncs, began, receipt: received.receipt };
                    traced::received(&asked, reply.messages.iter().map(line_of));
                    return Ok(reply);
                }
                Reply::Refused(refusal) => return Err(machine_refused(refusal)),
                // Somebody else was faster. A request id is used up by any reply, so only a nameless one goes on.
                Reply::Empty if request == RequestId::NONE => {}
                Reply::Empty => return Ok(nothing(node, &located, most)),
                other => return Err(unexpected(&other)),
            }
        }
        match tokio::time::timeout_at(until, applied.changed()).await {
            Ok(Ok(())) if located.group.is_leader() => {}
            Ok(_) => return Err(not_here(&located.group)),
            Err(_) => return Ok(nothing(node, &located, most)),
        }
    }
}

/// The wait has ended without a message.
fn nothing(node: &Node, located: &Located, messages_max: usize) -> ReceiveReply {
    node.tally().count(located.group.id(), located.queue.0, Deed::receive_null(messages_max));
    ReceiveReply { messages: Vec::new() }
}

/// Reads rows and bodies by place. What has gone since (expired, or acknowledged by this very consumer) is left out.
fn read_messages(located: &Located, deliveries: &[Delivery]) -> Result<ReceiveReply, Status> {
    let seqs: Vec<u64> = deliveries.iter().map(|delivery| delivery.seq).collect();
    let read = |view: &View<'_, QueueMachine>| -> Result<Vec<Message>, StoreFailure> {
        let stored = view.machine.messages(view.rows, located.queue, &seqs)?;
        let mut messages = Vec::with_capacity(deliveries.len());
        for (delivery, stored) in deliveries.iter().zip(stored) {
            let body = view.rows.body(delivery.id.body())?;
            if let Some((stored, body)) = stored.zip(body) {
                messages.push(delivered_message(delivery, stored, body));
            }
        }
        Ok(messages)
    };
    let messages = located.group.read_stale(read).map_err(read_failed)?;
    // The leases stand; the same request id brings the messages once the rows can be read again.
    let messages = messages.map_err(|failure| unknown(&failure.to_string(), Hint::default()))?;
    Ok(ReceiveReply { messages })
}

/// What the message says of its trace.
fn line_of(message: &Message) -> Option<&str> {
    message.headers.get(TRACEPARENT).map(String::as_str)
}

/// Shows messages without taking them. The cursor is the number of messages that were shown before.
pub(super) async fn peek(node: &Node, call: PeekRequest) -> Result<PeekReply, Status> {
    let state = call.state();
    let asked = peek_state(state).ok_or_else(|| door_refused(DoorRefusal::EnumMissing, "no state is given"))?;
    let bad_page = || door_refused(DoorRefusal::BadPage, "a page holds at most 128 messages, and its cursor is ours");
    let limit = match call.limit {
        0 => 20,
        limit @ 1..=128 => limit as usize,
        _ => return Err(bad_page()),
    };
    let offset = match call.after.as_ref() {
        [] => 0,
        bytes => u32::from_be_bytes(bytes.try_into().map_err(|_| bad_page())?),
    };
    let (located, _) = locate(node, &call.queue, None).await?;
    let read = |view: &View<'_, QueueMachine>| -> Result<Vec<PeekedMessage>, StoreFailure> {
        let page = view.machine.peek(view.rows, located.queue, asked, (offset as usize, limit))?;
        let mut messages = Vec::with_capacity(page.len());
        for peeked in page {
            if let Some(body) = view.rows.body(peeked.message.id.body())? {
                messages.push(peeked_message(peeked, state, body));
            }
        }
        Ok(messages)
    };
    let messages = located.group.read(read).await.map_err(read_failed)?;
    let messages = messages.map_err(|failure| not_applied(&failure.to_string(), Hint::default()))?;
    let is_last = messages.len() < limit;
    let shown = offset.saturating_add(u32::try_from(messages.len()).unwrap_or(u32::MAX));
    let next = if is_last { Bytes::new() } else { Bytes::copy_from_slice(&shown.to_be_bytes()) };
    Ok(PeekReply { messages, next })
}
