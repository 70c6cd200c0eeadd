//! The target of a move: it makes room, takes in what comes, opens, and is whole when all has come.
//!
//! Until it is open no name leads to the queue. What is sent to an ordered group before all has come stands in a late lane
//! (see `late`).
//!
//! Must never: serve a queue of whose leases, half messages or deduplication ids some are still at the source.

use bytes::Bytes;
use machine::{Context, Destination, GroupId, Key, Layout, Rows, TimestampMs};

use crate::convoy::{FIRST_TAG, Found, Migrant, MigrantState, Window, Word};
use crate::departure::Arrival;
use crate::directory::Place;
use crate::event::{EventKind, Step};
use crate::half::Half;
use crate::ids::QueueId;
use crate::keys;
use crate::leases::Lease;
use crate::limits::{LANES_PER_QUEUE_MAX, QUEUES_AND_REMAINS_MAX, QUEUES_MAX, UNSETTLED_MAX};
use crate::message::MessageRow;
use crate::names::folded;
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::refusal::Refusal;
use crate::relocate::track;
use crate::removal::Removal;
use crate::totals::Totals;
use crate::tries::{Tries, TriesRow};

/// The rows that taking in a record may read.
pub(crate) fn record_keys(record: &Bytes, keys: &mut Vec<Key>) {
    if let Ok(Word::Windows { target, windows }) = Word::from_bytes(record) {
        keys.extend(windows.iter().map(|window| keys::dedup(target, &window.dedup_id)));
    }
}

/// Whether a record is a word of a move.
pub(crate) fn is_word(record: &Bytes) -> bool {
    record.first().is_some_and(|tag| *tag >= FIRST_TAG)
}

impl QueueMachine {
    /// Takes a word of a move. Errors: it does not decode, or there is no room for a lane; the text says which.
    pub(crate) fn hear(
        &mut self,
        context: &Context,
        source: GroupId,
        record: &Bytes,
        rows: &mut Rows,
    ) -> Result<(), String> {
        match Word::from_bytes(record).map_err(|error| error.to_string())? {
            Word::Found(found) => self.make_room(context, source, found, rows),
            Word::Welcome { number, name, target } => {
                self.welcomed(context.now, source, (number, &name, target), rows);
            }
            Word::Declined { number, refusal } => self.declined(context.now, number, refusal, rows),
            Word::Cancel { target } => self.give_up_arrival(context.now, target, rows),
            Word::Windows { target, windows } => self.take_windows(target, windows, rows),
            Word::Migrant(migrant) => return self.take_in(context, *migrant, rows),
            Word::Open { target, next_delivery, left, totals } => {
                self.open(context, target, (next_delivery, left, totals), rows);
            }
            Word::Done { target } => self.end_arrival(target, rows),
        }
        Ok(())
    }

    fn make_room(&mut self, context: &Context, source: GroupId, found: Found, rows: &mut Rows) {
        let (number, name) = (found.number, found.name.clone());
        let answer = match self.found_arrival(context, source, found, rows) {
            Ok(target) => Word::Welcome { number, name: name.clone(), target },
            Err(refusal) => Word::Declined { number, refusal },
        };
        rows.post(Destination { group: source, track: track(&name) }, answer.to_bytes());
    }

    /// Refuses: `QueueExists`, `TooManyQueues`, `TooManyLeased`, `NumbersExhausted`, `TooManyLanes`.
    fn found_arrival(
        &mut self,
        context: &Context,
        source: GroupId,
        found: Found,
        rows: &mut Rows,
    ) -> Result<QueueId, Refusal> {
        Refusal::QueueExists.unless(self.queue_id(&found.name).is_none())?;
        let is_room = self.names.len() < QUEUES_MAX && self.queues.len() < QUEUES_AND_REMAINS_MAX;
        Refusal::TooManyQueues.unless(is_room)?;
        Refusal::TooManyLeased.unless(self.unsettled.saturating_add(found.unsettled) <= UNSETTLED_MAX)?;
        Refusal::NumbersExhausted.unless(self.last_queue.next().is_some())?;
        let lanes_fit = found.lanes <= self.lane_room() && found.lanes <= LANES_PER_QUEUE_MAX / 2;
        Refusal::TooManyLanes.unless(lanes_fit)?;
        let id = self.draw_id(rows)?;
        let attributes = found.attributes.seen_from(context.group);
        let asked = found.asked;
        self.found(context, (id, found.name), attributes, rows);
        self.change(id, |queue| {
            queue.definition.created = found.created;
            rows.put(keys::definition(id), queue.definition.to_bytes());
            queue.lanes.begin_arrival();
        });
        self.put_arrival(id, Arrival { from: source, is_open: false, left: 0, asked, is_purged: false }, rows);
        Ok(id)
    }

    fn put_arrival(&mut self, id: QueueId, arrival: Arrival, rows: &mut Rows) {
        rows.put(keys::arrival(id), arrival.to_bytes());
        self.arrivals.insert(id, arrival);
    }

    /// Forgets that a queue is on its way here.
    pub(crate) fn forget_arrival(&mut self, id: QueueId, rows: &mut Rows) {
        if self.arrivals.remove(&id).is_some() {
            rows.delete(keys::arrival(id));
        }
    }

    /// A queue was emptied: what is still on its way was sent before, and goes too.
    pub(crate) fn note_purge(&mut self, id: QueueId, rows: &mut Rows) {
        if let Some(arrival) = self.arrivals.get(&id).copied() {
            self.put_arrival(id, Arrival { is_purged: true, ..arrival }, rows);
        }
    }

    fn give_up_arrival(&mut self, now: TimestampMs, target: QueueId, rows: &mut Rows) {
        if self.arrivals.get(&target).is_some_and(|arrival| !arrival.is_open) {
            self.remove(now, target, rows);
        }
    }

    fn take_windows(&mut self, target: QueueId, windows: Vec<Window>, rows: &mut Rows) {
        if !self.arrivals.contains_key(&target) {
            return;
        }
        self.change(target, |queue| {
            for Window { dedup_id, until, message } in windows {
                queue.remember_until(dedup_id, message, until, rows);
            }
        });
    }

    /// What comes for a queue that was deleted meanwhile is dropped. Errors: no lane may be opened now.
    fn take_in(&mut self, context: &Context, migrant: Migrant, rows: &mut Rows) -> Result<(), String> {
        let Migrant { target, state, row, body } = migrant;
        let room = self.lane_room();
        let (Some(arrival), Some(queue)) = (self.arrivals.get(&target).copied(), self.live(target)) else {
            return Ok(());
        };
        let is_dropped = arrival.is_purged && !matches!(state, MigrantState::Leased { .. });
        let has_lane = is_dropped || queue.can_take(&row, room);
        if !has_lane {
            return Err("too many lanes are open".to_owned());
        }
        if !is_dropped {
            rows.keep_body(row.id.body(), body);
        }
        self.change(target, |queue| {
            if is_dropped {
                queue.counters.totals.purged = queue.counters.totals.purged.saturating_add(1);
            } else {
                queue.settle_in(context.now, state, row, rows);
            }
        });
        if arrival.is_open {
            self.put_arrival(target, Arrival { left: arrival.left.saturating_sub(1), ..arrival }, rows);
        }
        Ok(())
    }

    fn open(
        &mut self,
        context: &Context,
        target: QueueId,
        (next_delivery, left, totals): (u64, u64, Totals),
        rows: &mut Rows,
    ) {
        let Some(arrival) = self.arrivals.get(&target).copied() else { return };
        let name = self.change(target, |queue| {
            let counters = &mut queue.counters;
            counters.next_delivery = counters.next_delivery.max(next_delivery);
            counters.totals = counters.totals.plus(&totals);
            queue.definition.name.clone()
        });
        let Some(name) = name else { return };
        self.names.insert(folded(&name), target);
        self.take_down_sign(&name, rows);
        self.put_arrival(target, Arrival { is_open: true, left, ..arrival }, rows);
        let epoch = context.now.max(arrival.asked.plus(1)).0;
        let to = Destination { group: GroupId::META, track: track(&name) };
        rows.post(to, Removal { name, place: Place { group: context.group, epoch } }.to_bytes());
    }

    fn end_arrival(&mut self, target: QueueId, rows: &mut Rows) {
        self.forget_arrival(target, rows);
        self.change(target, |queue| queue.lanes.end_arrival());
    }
}

impl Queue {
    /// Whether a message that comes with the queue has a lane, if the machine may open `room` more.
    fn can_take(&self, row: &MessageRow, room: u64) -> bool {
        let is_room = room > 0 && self.lanes.count() < LANES_PER_QUEUE_MAX;
        is_room || (self.lanes.is_open(&row.lane_name()) && self.lanes.is_open(&self.lanes.name_now(row.lane_name())))
    }

    /// A message takes the place that its state gives it.
    fn settle_in(&mut self, now: TimestampMs, state: MigrantState, row: MessageRow, rows: &mut Rows) {
        let id = row.id;
        let seq = match state {
            MigrantState::Ready { tries } => {
                let seq = self.place_early(&MessageRow { enqueued: now, ..row }, rows);
                if tries != Tries::default() {
                    rows.put(keys::tries(self.id, seq), TriesRow(tries).to_bytes());
                    self.tried.insert(seq, tries);
                }
                seq
            }
            MigrantState::Leased { delivery, deadline, tries, is_parked } => {
                let seq = self.place_early(&MessageRow { enqueued: now, ..row }, rows);
                self.places.take((seq, seq.saturating_add(1)), 1);
                self.lanes.lend(seq);
                self.put_lease(delivery, Lease { seq, deadline, tries, is_parked }, rows);
                seq
            }
            MigrantState::Delayed => {
                let due = row.enqueued;
                rows.put(keys::delayed(self.id, self.counters.delay_epoch, due, id), row.to_bytes());
                self.delays.add(due);
                let lane = self.lane_for(&row);
                self.lanes.wait(lane);
                0
            }
            MigrantState::Half { next, queries, is_spent } => {
                rows.put(keys::half(self.id, id), row.to_bytes());
                let lane = self.lane_for(&row);
                self.lanes.wait(lane);
                self.put_half(id, Half { sent: row.sent, next, queries, is_spent, lane }, rows);
                0
            }
        };
        self.note(Step::new(now, id, EventKind::Arrived, seq), rows);
    }
}
