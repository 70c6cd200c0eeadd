//! Dead letters by age: a message that stood in its queue for too long leaves it, whether or not anybody received it.
//!
//! Must never: park a visible message. If the dead-letter queue cannot take it, it stays visible, the queue says why, and it
//! is offered again a while later: so a backlog of old messages costs no memory.

use machine::{Rows, TimestampMs};

use crate::dead_letter::Ended;
use crate::ids::{DeliveryNumber, QueueId};
use crate::lanes::lane_of;
use crate::leases::Lease;
use crate::limits::DEAD_LETTER_RETRY_MS;
use crate::message::MessageRow;
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::tick::Moved;

impl Queue {
    /// No visible message is too old for the queue earlier, nor is one offered to the dead-letter queue again.
    pub(crate) fn next_aged(&self) -> Option<TimestampMs> {
        let age_ms = self.definition.attributes.dead_letter_age_ms()?;
        self.lanes.first_age().map(|age| age.plus(age_ms).max(self.counters.aged_retry))
    }
}

impl QueueMachine {
    /// Moves the visible message at `seq` to the dead-letter queue if it is too old.
    ///
    /// It passes through a lease that nobody holds, so that there is one way into a dead-letter queue.
    pub(crate) fn bury_aged(
        &mut self,
        now: TimestampMs,
        id: QueueId,
        (seq, row): (u64, MessageRow),
        rows: &mut Rows,
    ) -> Moved {
        let Some(queue) = self.live(id) else { return Moved::Not };
        let attributes = &queue.definition.attributes;
        let is_due = attributes.is_aged(row.enqueued, now) && queue.counters.aged_retry <= now;
        let Some(policy) = attributes.dead_letter.as_ref().filter(|_| is_due && queue.is_visible(seq)) else {
            return Moved::Not;
        };
        if let Err(stall) = self.dead_letter_queue(policy) {
            self.change(id, |queue| {
                queue.counters.stall = Some(stall);
                queue.counters.aged_retry = now.plus(DEAD_LETTER_RETRY_MS);
            });
            return Moved::Done;
        }
        let Some(delivery) = DeliveryNumber::new(id, queue.counters.next_delivery) else { return Moved::Not };
        let lease = self.change(id, |queue| {
            queue.counters.next_delivery = queue.counters.next_delivery.saturating_add(1);
            queue.places.take((seq, seq.saturating_add(1)), 1);
            queue.lanes.deliver(lane_of(seq), 1);
            let tries = queue.take_tries(seq, rows);
            let lease = Lease { seq, deadline: now, tries, is_parked: true };
            queue.put_lease(delivery, lease, rows);
            lease
        });
        lease.map_or(Moved::Not, |lease| self.bury(now, id, Ended { delivery, lease, row }, rows))
    }
}
