//! Rewind: acked messages become visible again, from a time on; and how long they are kept for it.
//!
//! ```text
//!   ack ──> done ──rewind──> visible, at its old place
//!             └──too old, or the rewind is switched off──> erased
//! ```
//!
//! Messages of a queue take their places in the order of their times, so a time is a place: the door looks it up, and the
//! command names it.
//!
//! Must never: touch a message that is not acked, or bring back what a purge or the retention has dropped.

use machine::{Layout, RowSource, Rows, StoreFailure, TimestampMs};

use crate::agenda::unreadable;
use crate::event::{EventKind, Step};
use crate::ids::QueueId;
use crate::keys;
use crate::lanes::lane_of;
use crate::limits::REWIND_PLACES_MAX;
use crate::message::{self, MessageRow};
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rows::Oldest;
use crate::tick::Moved;

impl Queue {
    /// A message was acked: it is kept for a rewind, or erased. Answers: whether it is kept. Invariant: it is not ready and
    /// not leased.
    pub(crate) fn finish(&mut self, seq: u64, rows: &mut Rows) -> bool {
        let is_kept = self.definition.attributes.rewind_s > 0 && self.done.add(seq, self.lanes.floor(lane_of(seq)));
        if !is_kept {
            self.erase(seq, rows);
        }
        is_kept
    }

    /// Decides a rewind. Refuses: see [`crate::Command::Rewind`].
    pub(crate) fn rewind(
        &mut self,
        now: TimestampMs,
        to: TimestampMs,
        places: &[u64],
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        Refusal::RewindOff.unless(self.definition.attributes.rewind_s > 0)?;
        for seq in places {
            let row = message::read(&keys::message(self.id, *seq), rows);
            Refusal::RewindPlaceMoved.unless(row.is_some_and(|row| row.enqueued >= to))?;
        }
        let mut messages: u64 = 0;
        for seq in places {
            let Some(first) = self.done.first(lane_of(*seq), *seq) else { continue };
            let revived = self.revive(first);
            self.note(Step::of_queue(now, EventKind::Rewound, first), rows);
            messages = messages.saturating_add(revived);
        }
        self.counters.totals.rewound = self.counters.totals.rewound.saturating_add(messages);
        Ok(Reply::Rewound { messages })
    }

    /// Makes what is done from `seq` on visible again. Answers: how many messages.
    fn revive(&mut self, seq: u64) -> u64 {
        let mut messages: u64 = 0;
        for (start, end) in self.done.take(seq) {
            let count = end.saturating_sub(start);
            self.places.make_range_ready(start, end);
            self.lanes.revive(start, count);
            messages = messages.saturating_add(count);
        }
        messages
    }

    /// No acked message is too old for a rewind earlier.
    pub(crate) fn next_forget(&self) -> Option<TimestampMs> {
        self.done.first_age().map(|age| age.plus(self.definition.attributes.rewind_ms()))
    }

    /// The acked message at `seq` is too old for a rewind, and so is every one of its lane before it; or, as the lane's
    /// first, it teaches the queue when the next one will be.
    pub(crate) fn forget(&mut self, seq: u64, enqueued: TimestampMs, now: TimestampMs) -> Moved {
        if !self.done.contains(seq) {
            return Moved::Not;
        }
        let is_over = enqueued.plus(self.definition.attributes.rewind_ms()) <= now;
        let lane = lane_of(seq);
        if !is_over && self.done.first(lane, 0) != Some(seq) {
            return Moved::Not;
        }
        self.done.learn(Oldest { seq, enqueued });
        if is_over {
            self.done.raise_floor(lane, seq.saturating_add(1));
        }
        Moved::Done
    }
}

impl QueueMachine {
    /// The places that a rewind of `queue` to the time `to` names: in each lane from which something would come back, the
    /// first message, done or not, that took its place at `to` or later. None: there is none, or no such queue. Of a queue with
    /// more lanes than one rewind names, the first: whoever rewinds asks again until nothing comes back.
    ///
    /// Costs a few dozen row reads a lane. Errors: the store failed, or a row is damaged.
    pub fn rewind_places(
        &self,
        rows: &dyn RowSource,
        queue: QueueId,
        to: TimestampMs,
    ) -> Result<Vec<u64>, StoreFailure> {
        let Some(queue) = self.live(queue) else { return Ok(Vec::new()) };
        let mut places = Vec::new();
        for lane in queue.done.lanes() {
            let first = first_since(rows, queue, lane, to)?;
            places.extend(first.filter(|first| queue.done.first(lane, *first).is_some()));
            if places.len() == REWIND_PLACES_MAX {
                break;
            }
        }
        Ok(places)
    }
}

/// The first message of a lane that took its place at `to` or later.
fn first_since(rows: &dyn RowSource, queue: &Queue, lane: u32, to: TimestampMs) -> Result<Option<u64>, StoreFailure> {
    // Every place below `low` is earlier than `to`, every message from `high` on is not.
    let (mut low, mut found) = (queue.done.floor(lane), None);
    let mut high = queue.lanes.get(lane).map_or(low, |lane| lane.marks.next);
    while low < high {
        let middle = low.midpoint(high);
        match first_row(rows, queue.id, middle, high)? {
            Some((seq, enqueued)) if enqueued < to => low = seq.saturating_add(1),
            Some((seq, _)) => (high, found) = (middle, Some(seq)),
            None => high = middle,
        }
    }
    Ok(found)
}

/// The first message within `from..to` that has a row: its place, and when it took it.
fn first_row(
    rows: &dyn RowSource,
    queue: QueueId,
    from: u64,
    to: u64,
) -> Result<Option<(u64, TimestampMs)>, StoreFailure> {
    let mut first = Ok(None);
    rows.scan(&keys::message(queue, from), &keys::message(queue, to), &mut |key, value| {
        let row = MessageRow::from_bytes(&bytes::Bytes::copy_from_slice(value));
        let read = row.and_then(|row| Ok(Some((keys::read_number(key)?, row.enqueued))));
        first = read.map_err(|error| unreadable(key, error));
        false
    })?;
    first
}
