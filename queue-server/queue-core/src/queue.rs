//! One queue in memory, and the few moves that all verbs are made of: a message takes a place, is put back, goes.
//!
//! ```text
//!   send ──> delayed ──tick──> visible <──put back── leased ──ack──> gone
//!     └────────────────────────> │ └──receive──────────^ └─tick──> dead-letter queue
//!                                ├──forward, redrive──> another queue
//!                                └──retention, purge──> gone
//! ```
//!
//! Must never: hold a body. Must never: change a message without its row.

use std::collections::BTreeMap;

use machine::{Layout, Rows, TimestampMs};

use crate::delays::Delays;
use crate::ids::{DeliveryNumber, MessageId, QueueId};
use crate::keys;
use crate::leases::{Lease, Leases};
use crate::message::MessageRow;
use crate::places::Places;
use crate::relocate::Stall;
use crate::rows::{Counters, Definition, Failing, Oldest};
use crate::tries::{Tries, TriesRow};

/// What a queue is for. Not its own affair to remember: the subscription's row says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has a name, and users who send and receive.
    #[default]
    Named,
    /// It holds a subscription's copies until a pusher has delivered them; so many attempts may fail.
    Pushed { attempts: u32 },
    /// It holds a subscription's copies until they are forwarded to a queue.
    Forwarded,
}

/// A queue, live or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    pub(crate) definition: Definition,
    pub(crate) role: Role,
    pub(crate) counters: Counters,
    pub(crate) places: Places,
    pub(crate) leases: Leases,
    /// Tries of messages that were received before and are ready again, by place.
    pub(crate) tried: BTreeMap<u64, Tries>,
    pub(crate) delays: Delays,
}

impl Queue {
    /// An empty queue.
    pub(crate) fn new(id: QueueId, definition: Definition) -> Self {
        Self {
            id,
            definition,
            role: Role::Named,
            counters: Counters::default(),
            places: Places::default(),
            leases: Leases::default(),
            tried: BTreeMap::new(),
            delays: Delays::default(),
        }
    }

    /// Messages the queue holds: visible, leased and delayed.
    pub(crate) fn count(&self) -> u64 {
        self.places.visible().saturating_add(self.leases.len()).saturating_add(self.delays.count())
    }

    /// Messages that were received and are not settled: each costs memory of its own.
    pub(crate) fn unsettled(&self) -> u64 {
        self.leases.len().saturating_add(u64::try_from(self.tried.len()).unwrap_or(u64::MAX))
    }

    /// Whether nothing is left of the queue but its definition and counters.
    pub(crate) fn is_erased(&self) -> bool {
        self.count() == 0 && self.places.stale() == 0 && self.counters.stale_delays == 0
    }

    /// No message of the queue is due earlier. `TimestampMs(0)`: something waits to be erased.
    pub(crate) fn next_due(&self) -> Option<TimestampMs> {
        if self.has_remains() { Some(TimestampMs(0)) } else { self.next_timely() }
    }

    /// No lease, delay or retention of the queue ends earlier.
    pub(crate) fn next_timely(&self) -> Option<TimestampMs> {
        let times = [self.leases.first_deadline(), self.delays.first(), self.next_expiry(), self.next_forward()];
        times.into_iter().flatten().min().filter(|_| !self.definition.is_deleted)
    }

    /// Whether dropped messages wait to be erased.
    pub(crate) fn has_remains(&self) -> bool {
        self.places.stale() > 0 || self.counters.stale_delays > 0 || self.definition.is_deleted
    }

    /// No visible message outlives the retention earlier.
    pub(crate) fn next_expiry(&self) -> Option<TimestampMs> {
        let oldest = self.counters.oldest.filter(|_| self.places.visible() > 0);
        oldest.map(|oldest| oldest.enqueued.plus(self.definition.attributes.retention_ms()))
    }

    /// No message is forwarded earlier. It is as early as the message that waits longest, so that what has waited longest
    /// in the machine goes first.
    pub(crate) fn next_forward(&self) -> Option<TimestampMs> {
        let oldest = self.counters.oldest.filter(|_| self.role == Role::Forwarded && self.places.visible() > 0)?;
        Some(self.counters.failing.map_or(oldest.enqueued, |failing| failing.retry))
    }

    /// Whether a message with these tries has failed for good.
    pub(crate) fn is_spent(&self, tries: &Tries) -> bool {
        match self.role {
            Role::Named => self.definition.attributes.is_spent(tries),
            Role::Pushed { attempts } => tries.failed >= attempts,
            Role::Forwarded => false,
        }
    }

    /// A delivery of a subscription failed.
    pub(crate) fn note_failure(&mut self, now: TimestampMs, stall: Option<Stall>, retry: TimestampMs) {
        let former = self.counters.failing;
        let since = former.map_or(now, |failing| failing.since);
        let times = former.map_or(0, |failing| failing.times).saturating_add(1);
        self.counters.failing = Some(Failing { since, times, retry, stall });
    }

    /// A push of a subscription failed; of other queues there is nothing to note.
    pub(crate) fn note_push_failure(&mut self, now: TimestampMs) {
        if matches!(self.role, Role::Pushed { .. }) {
            self.note_failure(now, None, now);
        }
    }

    /// Takes a visible message out of the ready set, to move it; its tries are forgotten.
    pub(crate) fn withdraw(&mut self, seq: u64, rows: &mut Rows) {
        self.places.take_one(seq);
        self.take_tries(seq, rows);
    }

    /// Gives a message the next place and writes its row. Answers: the place.
    pub(crate) fn place(&mut self, row: &MessageRow, rows: &mut Rows) -> u64 {
        let seq = self.counters.next_seq;
        self.counters.next_seq = seq.saturating_add(1);
        if self.places.visible() == 0 && self.leases.len() == 0 {
            self.counters.oldest = Some(Oldest { seq, enqueued: row.enqueued });
        }
        rows.put(keys::message(self.id, seq), row.to_bytes());
        self.places.append(seq, row.id);
        seq
    }

    /// Writes a lease, new or changed.
    pub(crate) fn put_lease(&mut self, delivery: DeliveryNumber, lease: Lease, rows: &mut Rows) {
        rows.put(keys::lease(self.id, delivery), lease.to_bytes());
        self.leases.put(delivery, lease);
    }

    /// Ends a lease; its message stands nowhere until the caller says where.
    pub(crate) fn end_lease(&mut self, delivery: DeliveryNumber, rows: &mut Rows) {
        rows.delete(keys::lease(self.id, delivery));
        self.leases.remove(delivery);
    }

    /// Makes a message that was out visible again, at its old place; drops it if it was purged or has expired meanwhile.
    /// `enqueued` is `None` if its row was not read. Answers: whether it is visible.
    pub(crate) fn put_back(&mut self, seq: u64, tries: Tries, enqueued: Option<TimestampMs>, rows: &mut Rows) -> bool {
        if seq < self.places.floor() {
            self.drop_message(seq, rows);
            return false;
        }
        if self.counters.oldest.is_none_or(|oldest| seq < oldest.seq) {
            self.counters.oldest = Some(Oldest { seq, enqueued: enqueued.unwrap_or_default() });
        }
        rows.put(keys::tries(self.id, seq), TriesRow(tries).to_bytes());
        self.tried.insert(seq, tries);
        self.places.make_ready(seq);
        true
    }

    /// Forgets the tries of a message that is not ready any more.
    pub(crate) fn take_tries(&mut self, seq: u64, rows: &mut Rows) -> Tries {
        self.tried.remove(&seq).inspect(|_| rows.delete(keys::tries(self.id, seq))).unwrap_or_default()
    }

    /// Drops a message that nobody consumed: purged, or else expired.
    pub(crate) fn drop_message(&mut self, seq: u64, rows: &mut Rows) {
        let totals = &mut self.counters.totals;
        let total = if seq < self.counters.purged_below { &mut totals.purged } else { &mut totals.expired };
        *total = total.saturating_add(1);
        self.erase(seq, rows);
    }

    /// Erases a message that is not ready and not leased, body and all.
    pub(crate) fn erase(&mut self, seq: u64, rows: &mut Rows) {
        let id = self.detach(seq, rows);
        rows.drop_body(id.body());
    }

    /// Takes a message out of the queue; its body stays.
    pub(crate) fn detach(&mut self, seq: u64, rows: &mut Rows) -> MessageId {
        rows.delete(keys::message(self.id, seq));
        self.places.settle(seq)
    }

    /// Writes what memory holds and rows do not yet.
    pub(crate) fn write(&mut self, rows: &mut Rows) {
        rows.put(keys::counters(self.id), self.counters.to_bytes());
        self.places.write(self.id, rows);
        self.delays.write(self.id, rows);
    }
}
