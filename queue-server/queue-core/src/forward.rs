//! Forward: what waits in the queue of a subscription moves on to the queue of its endpoint.
//!
//! A target that is missing or full holds them all back, in their order, and is asked again after 1 s, 2 s, 4 s and so on.
//!
//! Must never: give a message up. It waits for its way until it outlives the topic's retention.

use bytes::Bytes;
use machine::{Context, Rows};

use crate::ids::QueueId;
use crate::limits::FORWARD_RETRY_MS_MAX;
use crate::message::MessageRow;
use crate::queue_machine::QueueMachine;
use crate::relocate::{Leaving, QueueAddress};
use crate::subscription::Endpoint;
use crate::tick::Moved;

/// A message that waits in the queue of a subscription.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) seq: u64,
    pub(crate) row: MessageRow,
    /// Its body, if it goes to another group.
    pub(crate) body: Option<Bytes>,
}

impl QueueMachine {
    /// Where the copies in `queue` are forwarded to. `None`: they are pushed, or it is no subscription's queue.
    pub(crate) fn endpoint_queue(&self, queue: QueueId) -> Option<&QueueAddress> {
        match &self.topics.subscriptions.get(&queue)?.attributes.endpoint {
            Endpoint::Queue(address) => Some(address),
            Endpoint::Http { .. } => None,
        }
    }

    /// Moves one message on.
    pub(crate) fn forward(&mut self, context: &Context, id: QueueId, waiting: Waiting, rows: &mut Rows) -> Moved {
        let Waiting { seq, row, body } = waiting;
        let (Some(address), Some(queue)) = (self.endpoint_queue(id), self.live(id)) else { return Moved::Not };
        let is_due = queue.next_forward().is_some_and(|due| due <= context.now);
        let is_over = row.enqueued.plus(queue.definition.attributes.retention_ms()) <= context.now;
        if !is_due || is_over || !queue.is_visible(seq) {
            return Moved::Not;
        }
        let former = queue.counters.failing.map_or(0, |failing| failing.times);
        match self.way(&address.goal(), &row, body.as_ref()) {
            Ok(None) => Moved::Not,
            Ok(Some(way)) => {
                self.change(id, |queue| {
                    queue.withdraw(seq, rows);
                    queue.counters.failing = None;
                    queue.counters.totals.forwarded = queue.counters.totals.forwarded.saturating_add(1);
                });
                self.relocate(context.now, Leaving { queue: id, seq, row }, way, rows)
            }
            Err(stall) => {
                let wait_ms = 1_000_u64.saturating_mul(2_u64.saturating_pow(former)).min(FORWARD_RETRY_MS_MAX);
                self.change(id, |queue| queue.note_failure(context.now, Some(stall), context.now.plus(wait_ms)));
                Moved::Done
            }
        }
    }
}
