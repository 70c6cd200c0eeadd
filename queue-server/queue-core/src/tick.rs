//! Tick: what is due moves. Leases and delays end, dead letters change queues, expired messages go, remains are erased.
//!
//! Every item is held against the state and the entry's own stamp: what was overtaken, or is not due yet, stays.
//!
//! Must never: move more than its items name, or read a row that they do not.

use std::collections::BTreeSet;

use machine::{Context, Rows, TimestampMs};

use crate::dead_letter::Ended;
use crate::due::Due;
use crate::ids::QueueId;
use crate::keys;
use crate::lanes::lane_of;
use crate::limits::TICK_ITEMS_MAX;
use crate::message::{self, MessageRow};
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rows::Oldest;

/// What became of an item.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moved {
    /// It was overtaken, or is not due.
    Not,
    /// It moved.
    Done,
    /// A message became ready in this queue.
    Readied(QueueId),
}

/// A delayed message as its key and row tell it.
struct Delayed {
    epoch: u32,
    due: TimestampMs,
    row: MessageRow,
}

impl QueueMachine {
    /// Decides a tick. Refuses: see [`crate::Command::Tick`].
    pub(crate) fn tick(&mut self, context: &Context, items: &[Due], rows: &mut Rows) -> Result<Reply, Refusal> {
        Refusal::CountOutOfRange.unless((1..=TICK_ITEMS_MAX).contains(&items.len()))?;
        let mut moved: u32 = 0;
        let mut readied = BTreeSet::new();
        for item in items {
            match self.move_due(context.now, item, rows) {
                Moved::Not => continue,
                Moved::Done => {}
                Moved::Readied(queue) => drop(readied.insert(queue)),
            }
            moved = moved.saturating_add(1);
        }
        Ok(Reply::Ticked { moved, readied: readied.into_iter().collect() })
    }

    fn move_due(&mut self, now: TimestampMs, item: &Due, rows: &mut Rows) -> Moved {
        if let Due::Window { queue, until, id } = *item {
            return self.forget(now, queue, (until, id), rows);
        }
        let row = item.key().and_then(|key| message::read(&key, rows));
        let moved = match (*item, row) {
            (Due::Lease { queue, delivery, seq }, Some(row)) => {
                let lease = self.live(queue).and_then(|queue| queue.leases.get(delivery)).copied();
                let lease = lease.filter(|lease| lease.seq == seq && lease.deadline <= now);
                lease.map(|lease| self.end(now, queue, Ended { delivery, lease, row }, rows))
            }
            (Due::Delay { queue, epoch, due, .. }, Some(row)) => {
                let moved = self.change(queue, |queue| queue.end_delay(Delayed { epoch, due, row }, now, rows));
                self.forget_if_erased(queue, rows);
                moved
            }
            (Due::Expire { queue, seq }, Some(row)) => self.change(queue, |queue| queue.expire(seq, row.enqueued, now)),
            (Due::Erase { queue }, _) => {
                let moved = self.change(queue, |queue| queue.erase_some(rows));
                self.forget_if_erased(queue, rows);
                moved
            }
            (Due::Window { .. }, _) | (_, None) => None,
        };
        moved.unwrap_or(Moved::Not)
    }

    /// A lease ended: its message is dropped, a dead letter, or visible again.
    fn end(&mut self, now: TimestampMs, id: QueueId, mut ended: Ended, rows: &mut Rows) -> Moved {
        let Some(queue) = self.live(id) else { return Moved::Not };
        // A parked message failed, if at all, when it was released.
        if !ended.lease.is_parked {
            ended.lease.tries = ended.lease.tries.fail();
        }
        let (seq, tries, enqueued) = (ended.lease.seq, ended.lease.tries, ended.row.enqueued);
        let attributes = &queue.definition.attributes;
        let is_over = queue.is_dropped(seq) || enqueued.plus(attributes.retention_ms()) <= now;
        if !is_over && attributes.is_spent(&tries) {
            return self.bury(now, id, ended, rows);
        }
        let is_ready = self.change(id, |queue| {
            queue.end_lease(ended.delivery, rows);
            if is_over {
                queue.drop_message(seq, rows);
            }
            !is_over && queue.put_back(seq, tries, Some(enqueued), rows)
        });
        if is_ready == Some(true) { Moved::Readied(id) } else { Moved::Done }
    }
}

impl Queue {
    /// The delay of a message has ended, or it was purged.
    fn end_delay(&mut self, delayed: Delayed, now: TimestampMs, rows: &mut Rows) -> Moved {
        let Delayed { epoch, due, row } = delayed;
        let key = keys::delayed(self.id, epoch, due, row.id);
        if epoch < self.counters.delay_epoch {
            self.counters.stale_delays = self.counters.stale_delays.saturating_sub(1);
            rows.delete(key);
            rows.drop_body(row.id.body());
            return Moved::Done;
        }
        if due > now {
            return Moved::Not;
        }
        self.delays.remove(due);
        rows.delete(key);
        let seq = self.place(&MessageRow { enqueued: now, ..row }, rows);
        self.lanes.end_wait(lane_of(seq));
        Moved::Readied(self.id)
    }

    /// The visible message at `seq` has outlived the retention, and so has every one of its lane before it; or, as the
    /// lane's first, it teaches the queue when the next one will.
    fn expire(&mut self, seq: u64, enqueued: TimestampMs, now: TimestampMs) -> Moved {
        if !self.is_visible(seq) {
            return Moved::Not;
        }
        let is_expired = enqueued.plus(self.definition.attributes.retention_ms()) <= now;
        let lane = lane_of(seq);
        if !is_expired && self.first_visible(lane, 0) != Some(seq) {
            return Moved::Not;
        }
        self.lanes.learn(Oldest { seq, enqueued });
        if is_expired {
            let floor = seq.saturating_add(1);
            let expired = self.places.count_ready((self.lanes.floor(lane), floor));
            self.lanes.drop_below(lane, expired, |marks| marks.expired_below = floor);
            self.counters.totals.expired = self.counters.totals.expired.saturating_add(expired);
        }
        Moved::Done
    }
}
