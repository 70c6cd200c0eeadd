//! Dead letters: a message that nobody could consume moves to the queue that its policy names, with its story.
//!
//! Must never: lose or double a message. It leaves one queue and enters the other in the same entry; if the other cannot
//! take it, it stays, parked, and the queue says why.

use machine::{Rows, TimestampMs};

use crate::attributes::DeadLetterPolicy;
use crate::ids::{DeliveryNumber, QueueId};
use crate::leases::Lease;
use crate::limits::DEAD_LETTER_RETRY_MS;
use crate::message::{MessageRow, Origin};
use crate::queue_machine::QueueMachine;
use crate::rows::DeadLetterStall;
use crate::tick::Moved;

/// A lease that has ended, and its message.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) delivery: DeliveryNumber,
    pub(crate) lease: Lease,
    pub(crate) row: MessageRow,
}

impl QueueMachine {
    /// Moves a message whose tries are spent to the dead-letter queue.
    pub(crate) fn bury(&mut self, now: TimestampMs, source: QueueId, ended: Ended, rows: &mut Rows) -> Moved {
        let policy = self.live(source).and_then(|queue| queue.definition.attributes.dead_letter.clone());
        let Some(policy) = policy else { return Moved::Not };
        match self.dead_letter_queue(&policy, &ended.row) {
            Ok(target) => {
                let origin = Origin {
                    queue: source,
                    enqueued: ended.row.enqueued,
                    tries: ended.lease.tries,
                    reason: policy.count,
                };
                self.change(source, |queue| {
                    queue.end_lease(ended.delivery, rows);
                    queue.detach(ended.lease.seq, rows);
                    queue.counters.stall = None;
                    let totals = &mut queue.counters.totals;
                    totals.dead_lettered = totals.dead_lettered.saturating_add(1);
                });
                self.change(target, |queue| {
                    queue.place(&MessageRow { enqueued: now, origin: Some(origin), ..ended.row }, rows);
                    queue.counters.totals.arrived = queue.counters.totals.arrived.saturating_add(1);
                });
                Moved::Readied(target)
            }
            Err(stall) => {
                let deadline = now.plus(DEAD_LETTER_RETRY_MS);
                self.change(source, |queue| {
                    queue.counters.stall = Some(stall);
                    queue.put_lease(ended.delivery, Lease { deadline, is_parked: true, ..ended.lease }, rows);
                });
                Moved::Done
            }
        }
    }

    /// The queue that can take a dead letter now.
    fn dead_letter_queue(&self, policy: &DeadLetterPolicy, row: &MessageRow) -> Result<QueueId, DeadLetterStall> {
        let id = self.queue_id(&policy.queue).ok_or(DeadLetterStall::QueueMissing)?;
        let queue = self.live(id).ok_or(DeadLetterStall::QueueMissing)?;
        let has_room = queue.count() < queue.definition.attributes.max_messages;
        let has_room = has_room && queue.has_lane_for(row, self.lane_room());
        if has_room { Ok(id) } else { Err(DeadLetterStall::QueueFull) }
    }
}
