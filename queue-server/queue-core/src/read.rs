//! Reads: what a door may ask without changing anything.
//!
//! A read that a client may rely on is made on a leader, or on a replica that has caught up; that is the caller's affair.
//!
//! Must never: show a receipt. Whoever peeks cannot ack.

use machine::{Layout, RowSource, StoreFailure, TimestampMs};

use crate::agenda::unreadable;
use crate::attributes::Attributes;
use crate::ids::QueueId;
use crate::keys;
use crate::limits::LOOK_MAX;
use crate::message::MessageRow;
use crate::names::folded;
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::rows::DeadLetterStall;
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
    pub stall: Option<DeadLetterStall>,
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
    /// Dropped, and waiting to be erased.
    pub stale: u64,
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
    /// Messages that were received and are not settled.
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

    /// Queues that send their dead letters to the queue called `name`, in the order of their folded names.
    #[must_use]
    pub fn dead_letter_sources(&self, name: &str) -> Vec<QueueId> {
        let target = folded(name);
        let sends_there = |id: &&QueueId| {
            let policy = self.live(**id).and_then(|queue| queue.definition.attributes.dead_letter.as_ref());
            policy.is_some_and(|policy| folded(&policy.queue) == target)
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
            counts: queue.counts(),
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
        self.queues.values().filter_map(Queue::next_due).min()
    }

    /// The message at `seq`, visible or leased. Errors: the store failed, or the row is damaged.
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
            stale: self.lanes.stale().saturating_add(self.counters.stale_delays),
        }
    }

    fn footprint(&self) -> Footprint {
        let (ranges, runs) = self.places.pieces();
        Footprint { ranges, runs, lanes: self.lanes.count(), unsettled: self.unsettled(), spans: self.delays.spans() }
    }
}
