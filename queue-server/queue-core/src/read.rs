//! Reads: what a door may ask without changing anything.
//!
//! A read that a client may rely on is made on a leader, or on a replica that has caught up; that is the caller's affair.
//!
//! Must never: show a receipt. Whoever peeks cannot ack.

use std::collections::BTreeMap;

use machine::{GroupId, Layout, RowSource, StoreFailure, TimestampMs};

use crate::agenda::unreadable;
use crate::attributes::Attributes;
use crate::departure::{Arrival, Departure};
use crate::ids::{MessageId, QueueId};
use crate::keys;
use crate::lanes::lane_of;
use crate::limits::{LOOK_MAX, SEARCH_ROWS_MAX};
use crate::message::MessageRow;
use crate::names::folded;
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::redrive::Redrive;
use crate::relocate::Stall;
use crate::totals::Totals;

/// A queue as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// Its id.
    pub queue: QueueId,
    /// Its name as its creator wrote it.
    pub name: String,
    /// Its attributes.
    pub attributes: Attributes,
    /// When it was created.
    pub created: TimestampMs,
    /// When its attributes were last changed.
    pub modified: TimestampMs,
    /// What it holds.
    pub counts: Counts,
    /// What it has done.
    pub totals: Totals,
    /// Why its last dead letter could not move.
    pub stall: Option<Stall>,
    /// What it costs in memory.
    pub footprint: Footprint,
}

/// Messages of a queue by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ready; those of an ordered group one after another.
    pub visible: u64,
    /// Under a lease; one that has run out counts until the next tick.
    pub leased: u64,
    /// Sent or released with a delay, or waiting for the dead-letter queue.
    pub delayed: u64,
    /// Sent as half messages, and not decided.
    pub half: u64,
    /// Acked, and kept for a rewind. They do not count as held.
    pub rewindable: u64,
    /// Dropped, and waiting to be erased.
    pub stale: u64,
    /// Still on their way from the group that held the queue before.
    pub arriving: u64,
}

/// Pieces of memory that a queue holds. They do not grow with its backlog, only with what is in flight and how ragged it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Ranges of ready places.
    pub ranges: usize,
    /// Runs of ids.
    pub runs: usize,
    /// Lanes besides the plain one.
    pub lanes: u64,
    /// Ranges of acked places that are kept for a rewind.
    pub done_ranges: usize,
    /// Messages that were received and are not settled, and half ones.
    pub unsettled: u64,
    /// Spans of time in which delays end.
    pub spans: usize,
}

/// A page of a list of queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueList {
    /// Queues that match.
    pub total: usize,
    /// Those of this page, in the order of their folded names.
    pub queues: Vec<(QueueId, String)>,
}

impl QueueMachine {
    /// The id of the queue that is called `name` now, whatever its letters' case.
    #[must_use]
    pub fn queue_id(&self, name: &str) -> Option<QueueId> {
        self.names.get(&folded(name)).copied()
    }

    /// The group to which the queue called `name` has moved; nothing is decided about it here any more.
    #[must_use]
    pub fn moved_to(&self, name: &str) -> Option<GroupId> {
        self.sign(name).map(|sign| sign.to)
    }

    /// The id that a queue had here before it moved away.
    #[must_use]
    pub fn moved_id(&self, name: &str) -> Option<QueueId> {
        self.sign(name).map(|sign| sign.queue)
    }

    /// Whether this queue has moved to another group: a command to it is refused with `Moved`.
    #[must_use]
    pub fn has_moved(&self, queue: QueueId) -> bool {
        self.live(queue).is_none() && self.sign_of(queue).is_some()
    }

    /// The queue called `name` that comes from another group and is not used here yet.
    #[must_use]
    pub fn arriving_id(&self, name: &str) -> Option<QueueId> {
        let closed = self.arrivals.iter().rev().filter(|(_, arrival)| !arrival.is_open).map(|(id, _)| *id);
        let folded_name = folded(name);
        let has_name = |id: &QueueId| self.live(*id).is_some_and(|queue| folded(&queue.definition.name) == folded_name);
        closed.into_iter().find(has_name)
    }

    /// The last move of the queue called `name` from here to another group.
    #[must_use]
    pub fn departure(&self, name: &str) -> Option<&Departure> {
        self.departures.get(&folded(name))
    }

    /// Messages of a departing queue that are still here.
    #[must_use]
    pub fn departing_messages(&self, name: &str) -> u64 {
        let departure = self.departure(name).filter(|departure| departure.phase.is_running());
        departure.and_then(|departure| self.queues.get(&departure.queue)).map_or(0, Queue::count)
    }

    /// A queue's way here, until all its messages have come.
    #[must_use]
    pub fn arrival(&self, queue: QueueId) -> Option<Arrival> {
        self.arrivals.get(&queue).copied()
    }

    /// Queues whose names contain `search`, whatever its letters' case, at most 128 after the first `offset`.
    #[must_use]
    pub fn queues(&self, search: &str, offset: usize, limit: usize) -> QueueList {
        let search = folded(search);
        let found: Vec<QueueId> =
            self.names.iter().filter(|(name, _)| name.contains(&search)).map(|(_, id)| *id).collect();
        let page = found.iter().skip(offset).take(limit.min(LOOK_MAX));
        let queues = page.filter_map(|id| Some((*id, self.live(*id)?.definition.name.clone()))).collect();
        QueueList { total: found.len(), queues }
    }

    /// Queues of this machine, which is that of the group `home`, that send their dead letters to the queue called `name` of
    /// the group `group`, in the order of their folded names.
    #[must_use]
    pub fn dead_letter_sources(&self, home: GroupId, group: GroupId, name: &str) -> Vec<QueueId> {
        let target = folded(name);
        let sends_there = |id: &&QueueId| {
            let policy = self.live(**id).and_then(|queue| queue.definition.attributes.dead_letter.as_ref());
            policy.is_some_and(|policy| policy.group.unwrap_or(home) == group && folded(&policy.queue) == target)
        };
        self.names.values().filter(sends_there).copied().collect()
    }

    /// Everything about a queue that is known without reading a row.
    #[must_use]
    pub fn status(&self, queue: QueueId) -> Option<QueueStatus> {
        let queue = self.live(queue)?;
        let definition = &queue.definition;
        Some(QueueStatus {
            queue: queue.id,
            name: definition.name.clone(),
            attributes: definition.attributes.clone(),
            created: definition.created,
            modified: definition.modified,
            counts: Counts { arriving: self.arrival(queue.id).map_or(0, |arrival| arrival.left), ..queue.counts() },
            totals: queue.counters.totals,
            stall: queue.counters.stall,
            footprint: queue.footprint(),
        })
    }

    /// Whether a receive would find something: what does not is not worth a log entry.
    #[must_use]
    pub fn has_ready(&self, queue: QueueId) -> bool {
        self.live(queue).is_some_and(|queue| queue.lanes.has_ready())
    }

    /// When [`machine::Machine::due`] should be asked next; `TimestampMs(0)` = at once. `None`: nothing will be due.
    ///
    /// Invariant: never late. It may be early by about a second of a delay, so whoever is told "nothing" waits a little.
    #[must_use]
    pub fn next_due(&self) -> Option<TimestampMs> {
        let redrives = self.redrives.values().filter_map(Redrive::due);
        let ships = self.departures.values().any(|departure| departure.phase.is_shipping());
        let ships = ships.then_some(TimestampMs(0));
        self.queues.values().filter_map(Queue::next_due).chain(redrives).chain(ships).min()
    }

    /// The message at `seq`: visible, leased, or kept for a rewind. Errors: the store failed, or the row is damaged.
    pub fn message(&self, rows: &dyn RowSource, queue: QueueId, seq: u64) -> Result<Option<MessageRow>, StoreFailure> {
        Ok(self.messages(rows, queue, &[seq])?.pop().flatten())
    }

    /// The messages at `seqs`, in their order, in one round to the store. Errors: as [`Self::message`].
    pub fn messages(
        &self,
        rows: &dyn RowSource,
        queue: QueueId,
        seqs: &[u64],
    ) -> Result<Vec<Option<MessageRow>>, StoreFailure> {
        let keys: Vec<_> = seqs.iter().map(|seq| keys::message(queue, *seq)).collect();
        let values = rows.get_many(&keys)?;
        let read = |(key, value): (&machine::Key, Option<bytes::Bytes>)| {
            value.map(|value| MessageRow::from_bytes(&value).map_err(|error| unreadable(key, error))).transpose()
        };
        keys.iter().zip(values).map(read).collect()
    }

    /// When the oldest message that is visible or leased took its place (CMQ: minMsgTime). It looks at every lease, and
    /// reads a row for each lane with leases (1,000 of them at most) and for the lanes that may hold the oldest visible one.
    ///
    /// Errors: as [`Self::message`].
    pub fn oldest_unconsumed(&self, rows: &dyn RowSource, queue: QueueId) -> Result<Option<TimestampMs>, StoreFailure> {
        let Some(queue) = self.live(queue) else { return Ok(None) };
        let mut leased: BTreeMap<u32, u64> = BTreeMap::new();
        for seq in queue.leases.iter().map(|(_, lease)| lease.seq).filter(|seq| !queue.is_dropped(*seq)) {
            let first = leased.entry(lane_of(seq)).or_insert(seq);
            *first = seq.min(*first);
        }
        let seqs: Vec<u64> = leased.into_values().take(SEARCH_ROWS_MAX).collect();
        let found = self.messages(rows, queue.id, &seqs)?;
        let mut oldest = found.into_iter().flatten().map(|row| row.enqueued).min();
        for (age, lane) in queue.lanes.by_age() {
            if oldest.is_some_and(|oldest| oldest <= age) {
                break;
            }
            let Some(seq) = queue.first_visible(lane, 0) else { continue };
            let first = self.message(rows, queue.id, seq)?.map(|row| row.enqueued);
            oldest = oldest.into_iter().chain(first).min();
        }
        Ok(oldest)
    }

    /// When the next question about a half message of `queue` is due.
    #[must_use]
    pub fn next_question(&self, queue: QueueId) -> Option<TimestampMs> {
        let queue = self.live(queue).filter(|queue| queue.definition.attributes.transaction.is_some())?;
        queue.halves.first_question()
    }

    /// Queues with a question that is due at `now`: a taking of them would not be empty. At most 128.
    #[must_use]
    pub fn queues_asking(&self, now: TimestampMs) -> Vec<QueueId> {
        let is_due = |id: &QueueId| self.next_question(*id).is_some_and(|next| next <= now);
        self.queues.keys().copied().filter(is_due).take(LOOK_MAX).collect()
    }

    /// A half message, for whoever asks its producer. Errors: as [`Self::message`].
    pub fn half(
        &self,
        rows: &dyn RowSource,
        queue: QueueId,
        id: MessageId,
    ) -> Result<Option<MessageRow>, StoreFailure> {
        let key = keys::half(queue, id);
        let value = rows.get(&key)?;
        value.map(|value| MessageRow::from_bytes(&value).map_err(|error| unreadable(&key, error))).transpose()
    }

    /// When the first visible message took its place: how far consumers are behind. Errors: as [`Self::message`].
    pub fn oldest_visible(&self, rows: &dyn RowSource, queue: QueueId) -> Result<Option<TimestampMs>, StoreFailure> {
        let Some(queue) = self.live(queue) else { return Ok(None) };
        let mut oldest: Option<TimestampMs> = None;
        // A lane's age is a bound: what comes behind it in this order cannot be older.
        for (age, lane) in queue.lanes.by_age().take(LOOK_MAX) {
            if oldest.is_some_and(|oldest| oldest <= age) {
                break;
            }
            let Some(seq) = queue.first_visible(lane, 0) else { continue };
            let enqueued = self.message(rows, queue.id, seq)?.map(|row| row.enqueued);
            oldest = oldest.into_iter().chain(enqueued).min();
        }
        Ok(oldest)
    }
}

impl Queue {
    fn counts(&self) -> Counts {
        Counts {
            visible: self.lanes.visible(),
            leased: self.leases.held(),
            delayed: self.delays.count().saturating_add(self.leases.parked()),
            half: self.halves.len(),
            rewindable: self.done.len(),
            stale: self.lanes.stale().saturating_add(self.counters.stale_delays).saturating_add(self.done.stale()),
            arriving: 0,
        }
    }

    fn footprint(&self) -> Footprint {
        let (ranges, runs) = self.places.pieces();
        Footprint {
            ranges,
            runs,
            lanes: self.lanes.count(),
            done_ranges: self.done.ranges(),
            unsettled: self.unsettled(),
            spans: self.delays.spans(),
        }
    }
}
