//! Dead letters: a message that nobody could consume moves to the queue that its policy names, with its story.
//!
//! Must never: lose or double a message. It moves by `relocate`; if its queue cannot take it, it stays, parked, and its
//! queue says why.

use bytes::Bytes;
use machine::{Context, GroupId, Rows, TimestampMs};

use crate::attributes::DeadLetterCount;
use crate::event::{EventKind, Step};
use crate::ids::{DeliveryNumber, MessageId, QueueId};
use crate::leases::Lease;
use crate::limits::DEAD_LETTER_RETRY_MS;
use crate::message::{MessageRow, Origin};
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::relocate::Leaving;
use crate::tick::Moved;
use crate::tries::Tries;

/// A lease that has ended, and its message.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) delivery: DeliveryNumber,
    pub(crate) lease: Lease,
    pub(crate) row: MessageRow,
    /// Its body, if it may have to go to another group.
    pub(crate) body: Option<Bytes>,
}

impl QueueMachine {
    /// Moves a message whose tries are spent to the dead-letter queue. A subscription without one drops it.
    pub(crate) fn bury(&mut self, context: &Context, source: QueueId, ended: Ended, rows: &mut Rows) -> Moved {
        let Ended { delivery, lease, mut row, body } = ended;
        let Some(queue) = self.live(source) else { return Moved::Not };
        let Some(policy) = queue.definition.attributes.dead_letter.clone() else {
            return self.give_up(source, (delivery, lease.seq), rows);
        };
        row.origin = Some(queue.origin(context.group, &row, (lease.tries, Some(policy.count))));
        let address = policy.address();
        match self.way(&address.goal(), &row, body.as_ref()) {
            Ok(None) => Moved::Not,
            Ok(Some(way)) => {
                let step = buried(context.now, row.id, policy.count).with(way.target());
                self.change(source, |queue| {
                    queue.end_lease(delivery, rows);
                    queue.count_buried(step, rows);
                });
                self.relocate(context.now, Leaving { queue: source, seq: lease.seq, row }, way, rows)
            }
            Err(stall) => {
                let deadline = context.now.plus(DEAD_LETTER_RETRY_MS);
                self.change(source, |queue| {
                    queue.counters.stall = Some(stall);
                    queue.note(Step::new(context.now, row.id, EventKind::Stalled, deadline.0), rows);
                    queue.put_lease(delivery, Lease { deadline, is_parked: true, ..lease }, rows);
                });
                Moved::Done
            }
        }
    }

    /// Drops a message that a subscription could not deliver, and counts it.
    fn give_up(&mut self, source: QueueId, (delivery, seq): (DeliveryNumber, u64), rows: &mut Rows) -> Moved {
        self.change(source, |queue| {
            queue.end_lease(delivery, rows);
            queue.erase(seq, rows);
            queue.counters.totals.given_up = queue.counters.totals.given_up.saturating_add(1);
        });
        Moved::Done
    }
}

impl Queue {
    /// Where a message that leaves this queue comes from.
    pub(crate) fn origin(
        &self,
        group: GroupId,
        row: &MessageRow,
        (tries, reason): (Tries, Option<DeadLetterCount>),
    ) -> Origin {
        Origin {
            group,
            queue: self.id,
            name: self.definition.name.clone(),
            enqueued: row.enqueued,
            tries,
            reason,
            redriven: row.origin.as_ref().map_or(0, |origin| origin.redriven),
        }
    }

    /// A dead letter has found its way.
    pub(crate) fn count_buried(&mut self, step: Step, rows: &mut Rows) {
        self.counters.stall = None;
        self.counters.totals.dead_lettered = self.counters.totals.dead_lettered.saturating_add(1);
        self.note(step, rows);
    }
}

/// A message became a dead letter.
pub(crate) fn buried(now: TimestampMs, id: MessageId, reason: DeadLetterCount) -> Step {
    Step::new(now, id, EventKind::DeadLettered, reason_number(reason))
}

/// As events tell it.
const fn reason_number(reason: DeadLetterCount) -> u64 {
    match reason {
        DeadLetterCount::Received => 0,
        DeadLetterCount::Failed => 1,
        DeadLetterCount::Age => 2,
    }
}
