//! Dead letters by age: a message that stood in its queue for too long leaves it, whether or not anybody received it.
//!
//! Must never: park a visible message. If the dead-letter queue cannot take it, it stays visible, the queue says why, and it
//! is offered again a while later: so a backlog of old messages costs no memory.

use machine::{Context, Rows, TimestampMs};

use crate::dead_letter::buried;
use crate::forward::Waiting;
use crate::ids::QueueId;
use crate::limits::DEAD_LETTER_RETRY_MS;
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::relocate::Leaving;
use crate::tick::Moved;

impl Queue {
    /// No visible message is too old for the queue earlier, nor is one offered to the dead-letter queue again.
    pub(crate) fn next_aged(&self) -> Option<TimestampMs> {
        let age_ms = self.definition.attributes.dead_letter_age_ms()?;
        self.lanes.first_age().map(|age| age.plus(age_ms).max(self.counters.aged_retry))
    }
}

impl QueueMachine {
    /// Moves a visible message to the dead-letter queue if it is too old.
    pub(crate) fn bury_aged(&mut self, context: &Context, id: QueueId, aged: Waiting, rows: &mut Rows) -> Moved {
        let (now, Waiting { seq, mut row, body }) = (context.now, aged);
        let Some(queue) = self.live(id) else { return Moved::Not };
        let attributes = &queue.definition.attributes;
        let is_due = attributes.is_aged(row.enqueued, now) && queue.counters.aged_retry <= now;
        let Some(policy) = attributes.dead_letter.clone().filter(|_| is_due && queue.is_visible(seq)) else {
            return Moved::Not;
        };
        row.origin = Some(queue.origin(context.group, &row, (queue.tries(seq), Some(policy.count))));
        match self.way(&policy.address().goal(), &row, body.as_ref()) {
            Ok(None) => Moved::Not,
            Ok(Some(way)) => {
                let step = buried(now, row.id, policy.count).with(way.target());
                self.change(id, |queue| {
                    queue.withdraw(seq, rows);
                    queue.count_buried(step, rows);
                });
                self.relocate(now, Leaving { queue: id, seq, row }, way, rows)
            }
            Err(stall) => {
                self.change(id, |queue| {
                    queue.counters.stall = Some(stall);
                    queue.counters.aged_retry = now.plus(DEAD_LETTER_RETRY_MS);
                });
                Moved::Done
            }
        }
    }
}
