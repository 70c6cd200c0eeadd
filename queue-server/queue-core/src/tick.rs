//! Tick: what is due moves. Leases and delays end, dead letters change queues, expired messages go, remains are erased.
//!
//! Every item is held against the state and the entry's own stamp: what was overtaken, or is not due yet, stays.
//!
//! Must never: move more than its items name, or read a row that they do not.

use std::collections::BTreeSet;

use bytes::Bytes;
use machine::{Context, Rows, TimestampMs};

use crate::dead_letter::Ended;
use crate::due::Due;
use crate::event::{EventKind, Step};
use crate::forward::Waiting;
use crate::ids::{DeliveryNumber, QueueId};
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
    pub(crate) fn tick(&mut self, context: &Context, items: Vec<Due>, rows: &mut Rows) -> Result<Reply, Refusal> {
        Refusal::CountOutOfRange.unless((1..=TICK_ITEMS_MAX).contains(&items.len()))?;
        let mut moved: u32 = 0;
        let mut readied = BTreeSet::new();
        for item in items {
            let outcomes = match item {
                Due::Redrive { queue, stretch } => self.redrive(context, queue, stretch, rows),
                Due::Ship { queue, shipment } => vec![self.ship(context, queue, shipment, rows)],
                item => vec![self.move_due(context, item, rows)],
            };
            for outcome in &outcomes {
                if let Moved::Readied(queue) = outcome {
                    readied.insert(*queue);
                }
            }
            let has_moved = outcomes.iter().any(|outcome| !matches!(outcome, Moved::Not));
            moved = moved.saturating_add(u32::from(has_moved));
        }
        Ok(Reply::Ticked { moved, readied: readied.into_iter().collect() })
    }

    fn move_due(&mut self, context: &Context, item: Due, rows: &mut Rows) -> Moved {
        let now = context.now;
        if let Due::Window { queue, until, id } = item {
            return self.end_window(now, queue, (until, id), rows);
        }
        let row = item.key().and_then(|key| message::read(&key, rows));
        let moved = match (item, row) {
            (Due::Lease { queue, delivery, seq }, Some(row)) => {
                self.end_due(context, (queue, delivery, seq), (row, None), rows)
            }
            (Due::Carry { queue, delivery, seq, body }, Some(row)) => {
                self.end_due(context, (queue, delivery, seq), (row, Some(body)), rows)
            }
            (Due::Forward { queue, seq, body }, Some(row)) => {
                Some(self.forward(context, queue, Waiting { seq, row, body }, rows))
            }
            (Due::Delay { queue, epoch, due, .. }, Some(row)) => {
                let moved = self.change(queue, |queue| queue.end_delay(Delayed { epoch, due, row }, now, rows));
                self.forget_if_erased(queue, rows);
                moved
            }
            (Due::Expire { queue, seq }, Some(row)) => {
                self.change(queue, |queue| queue.expire(seq, row.enqueued, now, rows))
            }
            (Due::Forget { queue, seq }, Some(row)) => self.change(queue, |queue| queue.forget(seq, row.enqueued, now)),
            (Due::Age { queue, seq, body }, Some(row)) => {
                Some(self.bury_aged(context, queue, Waiting { seq, row, body }, rows))
            }
            (Due::Half { queue, id }, _) => self.change(queue, |queue| queue.end_half(id, now, rows)),
            (Due::Events { queue, from, to }, _) => {
                let moved = self.change(queue, |queue| queue.erase_events((from, to), now, rows));
                self.forget_if_erased(queue, rows);
                moved
            }
            (Due::Erase { queue }, _) => {
                let moved = self.change(queue, |queue| queue.erase_some(rows));
                self.forget_if_erased(queue, rows);
                moved
            }
            (Due::Redrive { .. } | Due::Ship { .. } | Due::Window { .. }, _) | (_, None) => None,
        };
        moved.unwrap_or(Moved::Not)
    }

    /// Ends a lease if it is still there and due.
    fn end_due(
        &mut self,
        context: &Context,
        (queue, delivery, seq): (QueueId, DeliveryNumber, u64),
        (row, body): (MessageRow, Option<Bytes>),
        rows: &mut Rows,
    ) -> Option<Moved> {
        let lease = self.live(queue).and_then(|queue| queue.leases.get(delivery)).copied();
        let lease = lease.filter(|lease| lease.seq == seq && lease.deadline <= context.now)?;
        Some(self.end(context, queue, Ended { delivery, lease, row, body }, rows))
    }

    /// A lease ended: its message is dropped, a dead letter, or visible again.
    fn end(&mut self, context: &Context, id: QueueId, mut ended: Ended, rows: &mut Rows) -> Moved {
        let now = context.now;
        let Some(queue) = self.live(id) else { return Moved::Not };
        // A parked message failed, if at all, when it was released.
        if !ended.lease.is_parked {
            ended.lease.tries = ended.lease.tries.fail();
        }
        let (seq, tries, enqueued) = (ended.lease.seq, ended.lease.tries, ended.row.enqueued);
        let attributes = &queue.definition.attributes;
        let is_over = queue.is_dropped(seq) || enqueued.plus(attributes.retention_ms()) <= now;
        let is_dead = queue.is_spent(&tries) || attributes.is_aged(enqueued, now);
        if !ended.lease.is_parked {
            let step = Step::new(now, ended.row.id, EventKind::LeaseEnded, ended.delivery.0);
            self.change(id, |queue| queue.note(step, rows));
        }
        if !is_over && is_dead {
            return self.bury(context, id, ended, rows);
        }
        let has_failed = !ended.lease.is_parked;
        let is_ready = self.change(id, |queue| {
            if has_failed {
                queue.note_push_failure(now);
            }
            queue.end_lease(ended.delivery, rows);
            if is_over {
                queue.drop_message(seq, now, rows);
            }
            !is_over && queue.put_back((seq, tries), Some(enqueued), now, rows)
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
            self.delays.erased(due);
            rows.delete(key);
            rows.drop_body(row.id.body());
            return Moved::Done;
        }
        if due > now {
            return Moved::Not;
        }
        self.delays.remove(due);
        rows.delete(key);
        let id = row.id;
        let seq = self.place(&MessageRow { enqueued: now, ..row }, rows);
        self.lanes.end_wait(lane_of(seq));
        self.note(Step::new(now, id, EventKind::Visible, seq), rows);
        Moved::Readied(self.id)
    }

    /// The visible message at `seq` has outlived the retention, and so has every one of its lane before it; or, as the
    /// lane's first, it teaches the queue when the next one will.
    fn expire(&mut self, seq: u64, enqueued: TimestampMs, now: TimestampMs, rows: &mut Rows) -> Moved {
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
            self.done.raise_floor(lane, floor);
            self.counters.totals.expired = self.counters.totals.expired.saturating_add(expired);
            self.note(Step::of_queue(now, EventKind::Expired, floor), rows);
        }
        Moved::Done
    }
}
