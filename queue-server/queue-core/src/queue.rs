//! One queue in memory, and the few moves that all verbs are made of: a message takes a place, is put back, goes.
//!
//! ```text
//!   send ──> delayed ──tick──> visible <──put back── leased ──ack──> gone, or done for a rewind
//!     ├────────────────────────> │ └──receive──────────^ └─tick──> dead-letter queue
//!     └──> half ──commit─────────^ ├──forward, redrive──> another queue
//!                                  └──retention, purge──> gone
//! ```
//!
//! Must never: hold a body. Must never: change a message without its row.

use std::collections::BTreeMap;

use machine::{Layout, Rows, TimestampMs};

use crate::delays::Delays;
use crate::done::Done;
use crate::event::{EventKind, Step};
use crate::half::Halves;
use crate::ids::{DeliveryNumber, MessageId, QueueId};
use crate::keys;
use crate::lane::LaneName;
use crate::lanes::{Lanes, PLAIN, end_of, lane_of};
use crate::leases::{Lease, Leases};
use crate::limits::LANES_PER_QUEUE_MAX;
use crate::message::MessageRow;
use crate::places::Places;
use crate::role::Role;
use crate::rows::{Counters, CountersRow, Definition};
use crate::trace::Trace;
use crate::tries::{Tries, TriesRow};

/// A queue, live or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    pub(crate) definition: Definition,
    pub(crate) role: Role,
    pub(crate) counters: Counters,
    pub(crate) lanes: Lanes,
    pub(crate) places: Places,
    pub(crate) leases: Leases,
    /// Tries of messages that were received before and are ready again, by place.
    pub(crate) tried: BTreeMap<u64, Tries>,
    pub(crate) delays: Delays,
    pub(crate) halves: Halves,
    pub(crate) done: Done,
    pub(crate) trace: Trace,
    /// It has moved to another group: nothing is decided here any more, what is left follows by courier.
    pub(crate) is_cut: bool,
}

impl Queue {
    /// An empty queue.
    pub(crate) fn new(id: QueueId, definition: Definition) -> Self {
        Self {
            id,
            definition,
            role: Role::Named,
            counters: Counters::default(),
            lanes: Lanes::default(),
            places: Places::default(),
            leases: Leases::default(),
            tried: BTreeMap::new(),
            delays: Delays::default(),
            halves: Halves::default(),
            done: Done::default(),
            trace: Trace::default(),
            is_cut: false,
        }
    }

    /// Messages the queue holds: visible, leased, delayed and half.
    pub(crate) fn count(&self) -> u64 {
        let waiting = self.delays.count().saturating_add(self.halves.len());
        self.lanes.visible().saturating_add(self.leases.len()).saturating_add(waiting)
    }

    /// Messages that were received and are not settled, and half ones: each costs memory of its own.
    pub(crate) fn unsettled(&self) -> u64 {
        let tried = u64::try_from(self.tried.len()).unwrap_or(u64::MAX);
        self.leases.len().saturating_add(tried).saturating_add(self.halves.len())
    }

    /// Whether nothing is left of the queue but its definition and counters.
    pub(crate) fn is_erased(&self) -> bool {
        let is_stale = self.lanes.stale() > 0 || self.done.stale() > 0 || self.counters.stale_delays > 0;
        self.count() == 0 && !is_stale && self.counters.remembered.count == 0 && self.trace.is_erased()
    }

    /// No message of the queue is due earlier. `TimestampMs(0)`: something waits to be erased.
    pub(crate) fn next_due(&self) -> Option<TimestampMs> {
        let timely = self.next_timely().into_iter().chain(self.trace.next_due()).min();
        if self.has_remains() { Some(TimestampMs(0)) } else { timely }
    }

    /// No lease, delay, half message or retention of the queue ends earlier.
    pub(crate) fn next_timely(&self) -> Option<TimestampMs> {
        let half = self.halves.first_end(self.definition.attributes.retention_ms());
        let waits = [self.leases.first_deadline(), self.delays.first(), half, self.next_forward()];
        let ages = [self.next_expiry(), self.next_aged(), self.next_forget(), self.next_window_end()];
        waits.into_iter().chain(ages).flatten().min().filter(|_| !self.definition.is_deleted && !self.is_cut)
    }

    /// Whether dropped messages wait to be erased.
    pub(crate) fn has_remains(&self) -> bool {
        let is_stale = self.lanes.stale() > 0 || self.done.stale() > 0 || self.counters.stale_delays > 0;
        is_stale || self.definition.is_deleted
    }

    /// No visible message outlives the retention earlier.
    pub(crate) fn next_expiry(&self) -> Option<TimestampMs> {
        self.lanes.first_age().map(|age| age.plus(self.definition.attributes.retention_ms()))
    }

    /// The next place of a lane.
    pub(crate) fn next_place(&self, lane: u32) -> u64 {
        self.lanes.get(lane).map_or(0, |lane| lane.marks.next)
    }

    /// Takes a visible message out of the ready set, to move it; its tries are forgotten.
    pub(crate) fn withdraw(&mut self, seq: u64, rows: &mut Rows) {
        let taken = self.places.take((seq, seq.saturating_add(1)), 1);
        assert!(taken == [seq], "a message that is withdrawn is visible");
        self.lanes.withdraw(seq);
        self.take_tries(seq, rows);
    }

    /// The visible places of `lane` from `seq` on: from, to.
    pub(crate) fn visible_span(&self, lane: u32, seq: u64) -> (u64, u64) {
        (seq.max(self.lanes.floor(lane)), end_of(lane))
    }

    /// The first visible place of a lane that is not before `seq`.
    pub(crate) fn first_visible(&self, lane: u32, seq: u64) -> Option<u64> {
        self.places.first_ready(self.visible_span(lane, seq))
    }

    /// Whether a receive may find a message at `seq`.
    pub(crate) fn is_visible(&self, seq: u64) -> bool {
        !self.is_dropped(seq) && self.places.is_ready(seq)
    }

    /// Whether the message at `seq` was purged or has expired: it must not become visible again.
    pub(crate) fn is_dropped(&self, seq: u64) -> bool {
        seq < self.lanes.floor(lane_of(seq))
    }

    /// Whether the queue may open `count` lanes more, if the machine may open `room`.
    pub(crate) fn has_lanes(&self, count: usize, room: u64) -> bool {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        // Half is left for what is on its way.
        let most = if self.lanes.is_arriving() { LANES_PER_QUEUE_MAX / 2 } else { LANES_PER_QUEUE_MAX };
        count <= room && self.lanes.count().saturating_add(count) <= most
    }

    /// Whether a message that was moved here has a lane to stand in, if the machine may open `room` more.
    pub(crate) fn has_lane_for(&self, row: &MessageRow, room: u64) -> bool {
        let name = self.lanes.name_now(row.lane_name());
        self.lanes.fits_moved(&name) && (self.lanes.is_open(&name) || self.has_lanes(1, room))
    }

    /// The lane of a message, opened if need be.
    pub(crate) fn lane_for(&mut self, row: &MessageRow) -> u32 {
        if row.is_plain() {
            return PLAIN;
        }
        let name = self.lanes.name_now(row.lane_name());
        self.open_lane(&name)
    }

    fn open_lane(&mut self, name: &LaneName) -> u32 {
        self.lanes.open(name, self.counters.next_delivery)
    }

    /// Gives a message the next place of its lane and writes its row. Answers: the place.
    ///
    /// Invariant: if its lane is not open, the caller has seen that there is room for one more.
    pub(crate) fn place(&mut self, row: &MessageRow, rows: &mut Rows) -> u64 {
        let lane = self.lane_for(row);
        self.place_in(lane, row, rows)
    }

    /// As [`Self::place`], before what was sent here while the queue was on its way.
    pub(crate) fn place_early(&mut self, row: &MessageRow, rows: &mut Rows) -> u64 {
        let lane = self.open_lane(&row.lane_name());
        self.place_in(lane, row, rows)
    }

    fn place_in(&mut self, lane: u32, row: &MessageRow, rows: &mut Rows) -> u64 {
        let seq = self.lanes.append(lane, row.enqueued);
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
        if let Some(lease) = self.leases.remove(delivery) {
            self.lanes.end_lease(lease.seq);
        }
    }

    /// Makes a message that was out visible again, at its old place; drops it if it was purged or has expired meanwhile.
    /// `enqueued` is `None` if its row was not read. Answers: whether it is visible.
    pub(crate) fn put_back(
        &mut self,
        (seq, tries): (u64, Tries),
        enqueued: Option<TimestampMs>,
        now: TimestampMs,
        rows: &mut Rows,
    ) -> bool {
        if self.is_dropped(seq) {
            self.drop_message(seq, now, rows);
            return false;
        }
        self.lanes.put_back(seq, enqueued);
        rows.put(keys::tries(self.id, seq), TriesRow(tries).to_bytes());
        self.tried.insert(seq, tries);
        self.places.make_ready(seq);
        self.note(Step::new(now, self.places.id(seq), EventKind::Visible, seq), rows);
        true
    }

    /// The tries of a message that is ready.
    pub(crate) fn tries(&self, seq: u64) -> Tries {
        self.tried.get(&seq).copied().unwrap_or_default()
    }

    /// Forgets the tries of a message that is not ready any more.
    pub(crate) fn take_tries(&mut self, seq: u64, rows: &mut Rows) -> Tries {
        self.tried.remove(&seq).inspect(|_| rows.delete(keys::tries(self.id, seq))).unwrap_or_default()
    }

    /// Drops a message that nobody consumed: purged, or else expired.
    pub(crate) fn drop_message(&mut self, seq: u64, now: TimestampMs, rows: &mut Rows) {
        let is_purged = self.lanes.get(lane_of(seq)).is_some_and(|lane| seq < lane.marks.purged_below);
        let kind = if is_purged { EventKind::Purged } else { EventKind::Expired };
        self.note(Step::new(now, self.places.id(seq), kind, 0), rows);
        let totals = &mut self.counters.totals;
        let total = if is_purged { &mut totals.purged } else { &mut totals.expired };
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
        self.lanes.settle(seq);
        self.places.settle(seq)
    }

    /// Writes what memory holds and rows do not yet.
    pub(crate) fn write(&mut self, rows: &mut Rows) {
        let row = CountersRow { plain: self.lanes.plain(), fresh: self.lanes.fresh(), counters: self.counters.clone() };
        rows.put(keys::counters(self.id), row.to_bytes());
        self.lanes.write(self.id, rows);
        self.places.write(self.id, rows);
        self.delays.write(self.id, self.counters.delay_epoch, rows);
        self.done.write(self.id, rows);
    }
}
