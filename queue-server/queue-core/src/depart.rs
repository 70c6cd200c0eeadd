//! The source of a move: it asks, sends what it holds in bounded steps, makes the cut, and leaves a sign.
//!
//! What goes before the cut changes nothing here. From the cut on nothing is decided here, so each message leaves in the
//! entry that posts its record, and is in the courier's hands until the target has applied it.
//!
//! Must never: let a message be received here after the cut, or open the target before leases, half messages and
//! deduplication ids are with it.

use machine::{Context, Destination, GroupId, Layout, Rows, TimestampMs};

use crate::convoy::{Found, Migrant, MigrantState, Window, Word};
use crate::dedup::UntilRow;
use crate::departure::{Departure, MovePhase};
use crate::due::{Passage, Shipment};
use crate::ids::{MessageId, QueueId};
use crate::keys;
use crate::limits::MOVES_MAX;
use crate::message::{self, MessageRow};
use crate::names::folded;
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::redrive::RedriveState;
use crate::refusal::Refusal;
use crate::relocate::{check_group, track};
use crate::reply::Reply;
use crate::tick::Moved;

impl QueueMachine {
    /// Begins a move. Refuses: see [`crate::Command::MoveQueue`].
    pub(crate) fn start_move(
        &mut self,
        context: &Context,
        name: &str,
        to: GroupId,
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        let id = self.named(name)?;
        let is_known = self.departures.contains_key(&folded(name));
        Refusal::TooManyQueues.unless(is_known || self.departures.len() < MOVES_MAX)?;
        check_group(Some(to))?;
        let is_redriven = self.redrives.get(&id).is_some_and(|job| job.state == RedriveState::Running);
        Refusal::RedriveRunning.unless(!is_redriven)?;
        Refusal::QueueMoving.unless(!self.is_leaving(id) && !self.arrivals.contains_key(&id))?;
        Refusal::MoveToItself.unless(to != context.group)?;
        let queue = self.live(id).ok_or(Refusal::QueueMissing)?;
        let mut attributes = queue.definition.attributes.clone();
        if let Some(policy) = &mut attributes.dead_letter {
            policy.group.get_or_insert(context.group);
        }
        let (name, number) = (queue.definition.name.clone(), context.index.0);
        let (lanes, unsettled) = (queue.lanes.count(), queue.unsettled());
        let created = queue.definition.created;
        let departure = Departure {
            queue: id,
            name: name.clone(),
            to,
            phase: MovePhase::Asked,
            started: context.now,
            changed: context.now,
            shipped: 0,
            target: QueueId::default(),
            number,
            step: 0,
            cursor: (TimestampMs(0), MessageId(0)),
        };
        let asked = context.now;
        let found = Found { number, name, attributes, created, asked, lanes, unsettled };
        tell(&departure, &Word::Found(found), rows);
        self.put_departure(departure, rows);
        Ok(Reply::Done)
    }

    /// Ends a move before its cut. Refuses: see [`crate::Command::CancelMove`].
    pub(crate) fn cancel_move(&mut self, context: &Context, name: &str, rows: &mut Rows) -> Result<Reply, Refusal> {
        let departure = self.departures.get(&folded(name)).filter(|it| it.phase.is_running()).cloned();
        let departure = departure.ok_or(Refusal::MoveMissing)?;
        Refusal::MoveIsCut.unless(!departure.phase.is_cut())?;
        self.call_off(context.now, departure, rows);
        Ok(Reply::Done)
    }

    /// The queue stays, or goes otherwise: a move that has not made its cut ends.
    pub(crate) fn call_off_move(&mut self, now: TimestampMs, id: QueueId, rows: &mut Rows) {
        let is_his = |it: &&Departure| it.queue == id && it.phase.is_running() && !it.phase.is_cut();
        if let Some(departure) = self.departures.values().find(is_his).cloned() {
            self.call_off(now, departure, rows);
        }
    }

    fn call_off(&mut self, now: TimestampMs, departure: Departure, rows: &mut Rows) {
        // What was founded is given up now; what was only asked for, when the answer comes.
        if departure.phase == MovePhase::Windows {
            tell(&departure, &Word::Cancel { target: departure.target }, rows);
        }
        self.put_departure(Departure { phase: MovePhase::Cancelled, changed: now, ..departure }, rows);
    }

    /// Whether a queue is on its way from here.
    pub(crate) fn is_leaving(&self, id: QueueId) -> bool {
        self.departures.values().any(|it| it.queue == id && it.phase.is_running())
    }

    /// Why nothing can be decided about a queue that is not live.
    pub(crate) fn absent(&self, id: QueueId) -> Refusal {
        if self.sign_of(id).is_some() { Refusal::Moved } else { Refusal::QueueMissing }
    }

    /// The sign of a queue that is not here any more, by its name.
    pub(crate) fn sign(&self, name: &str) -> Option<&Departure> {
        self.departures.get(&folded(name)).filter(|departure| departure.phase.is_cut())
    }

    /// The sign of a queue that is not here any more, by its id.
    pub(crate) fn sign_of(&self, id: QueueId) -> Option<&Departure> {
        self.departures.values().find(|departure| departure.queue == id && departure.phase.is_cut())
    }

    fn put_departure(&mut self, departure: Departure, rows: &mut Rows) {
        let key = folded(&departure.name);
        rows.put(keys::departure(&key), departure.to_bytes());
        self.departures.insert(key, departure);
    }

    /// A queue of this name is here again: the sign goes.
    pub(crate) fn take_down_sign(&mut self, name: &str, rows: &mut Rows) {
        if self.departures.remove(&folded(name)).is_some() {
            rows.delete(keys::departure(&folded(name)));
        }
    }

    /// The target has made room; or it has for a move that is not wanted any more.
    pub(crate) fn welcomed(
        &mut self,
        now: TimestampMs,
        from: GroupId,
        (number, name, target): (u64, &str, QueueId),
        rows: &mut Rows,
    ) {
        let is_his = |it: &&Departure| it.number == number && it.phase == MovePhase::Asked;
        match self.departures.get(&folded(name)).filter(is_his).cloned() {
            Some(departure) => {
                let phase = MovePhase::Windows;
                self.put_departure(Departure { phase, target, changed: now, ..departure }, rows);
            }
            None => rows.post(Destination { group: from, track: track(name) }, Word::Cancel { target }.to_bytes()),
        }
    }

    /// The target has no room.
    pub(crate) fn declined(&mut self, now: TimestampMs, number: u64, refusal: Refusal, rows: &mut Rows) {
        let is_his = |it: &&Departure| it.number == number && it.phase == MovePhase::Asked;
        if let Some(departure) = self.departures.values().find(is_his).cloned() {
            self.put_departure(Departure { phase: MovePhase::Declined(refusal), changed: now, ..departure }, rows);
        }
    }

    /// Sends a part of a queue ahead. A shipment that was overtaken does nothing.
    pub(crate) fn ship(&mut self, context: &Context, id: QueueId, shipment: Shipment, rows: &mut Rows) -> Moved {
        let fits = |it: &&Departure| it.queue == id && it.phase.is_shipping() && it.step == shipment.step;
        let Some(mut departure) = self.departures.values().find(fits).cloned() else { return Moved::Not };
        departure.step = departure.step.saturating_add(1);
        departure.changed = context.now;
        self.ship_windows(&mut departure, &shipment.windows, rows);
        for passage in shipment.passages.into_iter().filter(|_| departure.phase.is_cut()) {
            let target = departure.target;
            let leave = |queue: &mut Queue| queue.let_go(context.now, &passage, rows);
            if let Some((state, row, body)) = self.change(id, leave).flatten() {
                tell(&departure, &Word::Migrant(Box::new(Migrant { target, state, row, body })), rows);
                departure.shipped = departure.shipped.saturating_add(1);
            }
        }
        self.next_phase(context, &mut departure, shipment.is_last_window, rows);
        self.put_departure(departure, rows);
        Moved::Done
    }

    fn ship_windows(&mut self, departure: &mut Departure, windows: &[(TimestampMs, MessageId)], rows: &mut Rows) {
        let mut sent = Vec::with_capacity(windows.len());
        for (until, message) in windows.iter().copied() {
            let row = rows.get(&keys::dedup_until(departure.queue, until, message)).map(UntilRow::from_bytes);
            if let Some(Ok(UntilRow(dedup_id))) = row {
                sent.push(Window { dedup_id, until, message });
            }
            departure.cursor = departure.cursor.max((until, message));
        }
        if !sent.is_empty() {
            tell(departure, &Word::Windows { target: departure.target, windows: sent }, rows);
        }
    }

    fn next_phase(&mut self, context: &Context, departure: &mut Departure, is_last_window: bool, rows: &mut Rows) {
        let id = departure.queue;
        if departure.phase == MovePhase::Windows && is_last_window {
            departure.phase = MovePhase::Leases;
            // Where windows were longer once, some may have been added before the last that was sent.
            let window_s = self.queues.get(&id).map_or(0, |queue| queue.definition.attributes.dedup_window_s);
            if departure.cursor.0 > context.now.plus(u64::from(window_s).saturating_mul(1_000)) {
                departure.cursor = (TimestampMs(0), MessageId(0));
            }
            self.names.remove(&folded(&departure.name));
            self.forget_redrive(id, rows);
            self.change(id, |queue| queue.is_cut = true);
            return;
        }
        let Some(queue) = self.queues.get(&id) else { return };
        let is_settled = queue.leases.len() == 0 && queue.halves.len() == 0;
        if departure.phase == MovePhase::Leases && is_last_window && is_settled {
            let (left, totals) = (queue.count(), queue.counters.totals);
            let next_delivery = queue.counters.next_delivery;
            tell(departure, &Word::Open { target: departure.target, next_delivery, left, totals }, rows);
            departure.phase = MovePhase::Backlog;
        }
        if departure.phase == MovePhase::Backlog && queue.count() == 0 {
            tell(departure, &Word::Done { target: departure.target }, rows);
            departure.phase = MovePhase::Gone;
            self.remove(context.now, id, rows);
        }
    }
}

/// Hands a word to the courier, behind all words before.
fn tell(departure: &Departure, word: &Word, rows: &mut Rows) {
    rows.post(Destination { group: departure.to, track: track(&departure.name) }, word.to_bytes());
}

impl Queue {
    /// A message leaves with its state. `None`: it is not there any more, or was dropped.
    fn let_go(
        &mut self,
        now: TimestampMs,
        passage: &Passage,
        rows: &mut Rows,
    ) -> Option<(MigrantState, MessageRow, bytes::Bytes)> {
        let row = message::read(&passage.key(self.id), rows)?;
        let body = passage.body().clone();
        if u32::try_from(body.len()) != Ok(row.body_bytes) {
            return None;
        }
        let state = match *passage {
            Passage::Leased { delivery, seq, .. } => {
                let lease = self.leases.get(delivery).copied().filter(|lease| lease.seq == seq)?;
                self.end_lease(delivery, rows);
                if self.is_dropped(seq) {
                    self.drop_message(seq, now, rows);
                    return None;
                }
                self.erase(seq, rows);
                let (deadline, tries, is_parked) = (lease.deadline, lease.tries, lease.is_parked);
                MigrantState::Leased { delivery, deadline, tries, is_parked }
            }
            Passage::Half { id, .. } => {
                let half = self.halves.get(id).copied()?;
                self.take_half(id, rows);
                rows.drop_body(id.body());
                MigrantState::Half { next: half.next, queries: half.queries, is_spent: half.is_spent }
            }
            Passage::Ready { seq, .. } => {
                if !self.is_visible(seq) {
                    return None;
                }
                let tries = self.tries(seq);
                self.withdraw(seq, rows);
                self.erase(seq, rows);
                MigrantState::Ready { tries }
            }
            Passage::Delayed { epoch, due, id, .. } => {
                if epoch < self.counters.delay_epoch {
                    return None;
                }
                rows.delete(keys::delayed(self.id, epoch, due, id));
                rows.drop_body(id.body());
                self.delays.remove(due);
                let lane = self.lane_for(&row);
                self.lanes.end_wait(lane);
                MigrantState::Delayed
            }
        };
        Some((state, row, body))
    }
}
