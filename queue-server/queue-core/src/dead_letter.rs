//! Dead letters: a message that nobody could consume moves to the queue that its policy names, with its story.
//!
//! Must never: lose or double a message. It moves by `relocate`; if its queue cannot take it, it stays, parked, and its
//! queue says why.

use bytes::Bytes;
use machine::{Context, Rows};

use crate::ids::{DeliveryNumber, QueueId};
use crate::leases::Lease;
use crate::limits::DEAD_LETTER_RETRY_MS;
use crate::message::{MessageRow, Origin};
use crate::queue_machine::QueueMachine;
use crate::relocate::Leaving;
use crate::tick::Moved;

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
        row.origin = Some(Origin {
            group: context.group,
            queue: source,
            name: queue.definition.name.clone(),
            enqueued: row.enqueued,
            tries: lease.tries,
            reason: Some(policy.count),
            redriven: row.origin.map_or(0, |origin| origin.redriven),
        });
        let address = policy.address();
        match self.way(&address.goal(), &row, body.as_ref()) {
            Ok(None) => Moved::Not,
            Ok(Some(way)) => {
                self.change(source, |queue| {
                    queue.end_lease(delivery, rows);
                    queue.counters.stall = None;
                    let totals = &mut queue.counters.totals;
                    totals.dead_lettered = totals.dead_lettered.saturating_add(1);
                });
                self.relocate(context.now, Leaving { queue: source, seq: lease.seq, row }, way, rows)
            }
            Err(stall) => {
                let deadline = context.now.plus(DEAD_LETTER_RETRY_MS);
                self.change(source, |queue| {
                    queue.counters.stall = Some(stall);
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
