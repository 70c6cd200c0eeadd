//! The agenda of moves: on the leader, what of a queue goes to its new group next.
//!
//! ```text
//!  windows ──the cut──> windows, leases, half messages ──> ready ones, lane by lane ──> delayed ones
//! ```
//!
//! Must never: name more than a bounded part, or a late lane before all others: what came earlier arrives earlier.

use bytes::Bytes;
use machine::{StoreFailure, TimestampMs, prefix_end};

use crate::agenda::{Agenda, Fetched, unreadable};
use crate::departure::{Departure, MovePhase};
use crate::due::{Due, Passage, Shipment};
use crate::ids::{DeliveryNumber, MessageId};
use crate::keys;
use crate::limits::{SHIP_PASSAGES_MAX, SHIP_WINDOWS_MAX, TICK_SHIPMENTS_MAX};
use crate::queue::Queue;

impl Agenda<'_> {
    /// Names a shipment of each move that has something to send.
    pub(crate) fn add_shipments(&mut self) -> Result<(), StoreFailure> {
        let machine = self.machine;
        let running = machine.departures.values().filter(|departure| departure.phase.is_shipping());
        for departure in running.take(TICK_SHIPMENTS_MAX) {
            let Some(queue) = machine.queues.get(&departure.queue) else { continue };
            let shipment = self.shipment(queue, departure)?;
            // The step that ends a phase may carry nothing.
            let is_something = !shipment.windows.is_empty() || !shipment.passages.is_empty();
            let is_end = match departure.phase {
                MovePhase::Windows => shipment.is_last_window,
                MovePhase::Leases => queue.leases.len() == 0 && queue.halves.len() == 0,
                _ => queue.count() == 0,
            };
            if is_something || is_end {
                self.items.push(Due::Ship { queue: queue.id, shipment });
            }
        }
        Ok(())
    }

    fn shipment(&mut self, queue: &Queue, departure: &Departure) -> Result<Shipment, StoreFailure> {
        let mut shipment =
            Shipment { step: departure.step, is_last_window: true, windows: Vec::new(), passages: Vec::new() };
        match departure.phase {
            MovePhase::Windows => self.add_next_windows(queue, departure, &mut shipment)?,
            MovePhase::Leases => {
                self.add_next_windows(queue, departure, &mut shipment)?;
                self.add_unsettled(queue, &mut shipment)?;
            }
            _ => self.add_waiting(queue, &mut shipment)?,
        }
        Ok(shipment)
    }

    fn add_next_windows(
        &self,
        queue: &Queue,
        departure: &Departure,
        shipment: &mut Shipment,
    ) -> Result<(), StoreFailure> {
        let (until, message) = departure.cursor;
        // Behind the cursor: no message has a number of which the next is not a number.
        let from = keys::dedup_until(queue.id, until, message.plus(1));
        let mut broken = None;
        self.rows.scan(&from, &prefix_end(&keys::dedup_untils(queue.id)), &mut |key, _| {
            match keys::read_dedup_until(key) {
                Ok(window) if shipment.windows.len() < SHIP_WINDOWS_MAX => shipment.windows.push(window),
                Ok(_) => {
                    shipment.is_last_window = false;
                    return false;
                }
                Err(error) => broken = Some(unreadable(key, error)),
            }
            broken.is_none()
        })?;
        broken.map_or(Ok(()), Err)
    }

    fn add_unsettled(&mut self, queue: &Queue, shipment: &mut Shipment) -> Result<(), StoreFailure> {
        let leases: Vec<(DeliveryNumber, u64)> =
            queue.leases.iter().take(SHIP_PASSAGES_MAX).map(|(delivery, lease)| (delivery, lease.seq)).collect();
        for (delivery, seq) in leases {
            let passage = |body| Passage::Leased { delivery, seq, body };
            if !self.add_passage(queue.places.id(seq), shipment, passage)? {
                return Ok(());
            }
        }
        let halves: Vec<MessageId> = queue.halves.iter().map(|(id, _)| id).take(SHIP_PASSAGES_MAX).collect();
        for id in halves {
            if !self.add_passage(id, shipment, |body| Passage::Half { id, body })? {
                break;
            }
        }
        Ok(())
    }

    fn add_waiting(&mut self, queue: &Queue, shipment: &mut Shipment) -> Result<(), StoreFailure> {
        for seq in queue.visible_in_order(SHIP_PASSAGES_MAX) {
            let passage = |body| Passage::Ready { seq, body };
            if !self.add_passage(queue.places.id(seq), shipment, passage)? {
                return Ok(());
            }
        }
        if queue.lanes.visible() > 0 {
            return Ok(());
        }
        let epoch = queue.counters.delay_epoch;
        for (due, id) in self.delayed(queue, epoch)? {
            if !self.add_passage(id, shipment, |body| Passage::Delayed { epoch, due, id, body })? {
                break;
            }
        }
        Ok(())
    }

    fn delayed(&self, queue: &Queue, epoch: u32) -> Result<Vec<(TimestampMs, MessageId)>, StoreFailure> {
        let span = (keys::delayed_epoch(queue.id, epoch), keys::delayed_epoch(queue.id, epoch.saturating_add(1)));
        let (mut found, mut broken) = (Vec::new(), None);
        self.rows.scan(&span.0, &span.1, &mut |key, _| match keys::read_delayed(key) {
            Ok((_, due, id)) => {
                found.push((due, id));
                found.len() < SHIP_PASSAGES_MAX
            }
            Err(error) => {
                broken = Some(unreadable(key, error));
                false
            }
        })?;
        broken.map_or(Ok(found), Err)
    }

    /// Adds a message with its body. False: the tick carries enough.
    fn add_passage(
        &mut self,
        id: MessageId,
        shipment: &mut Shipment,
        passage: impl FnOnce(Bytes) -> Passage,
    ) -> Result<bool, StoreFailure> {
        if shipment.passages.len() >= SHIP_PASSAGES_MAX {
            return Ok(false);
        }
        match self.fetch(id)? {
            Fetched::Here(body) => shipment.passages.push(passage(body)),
            Fetched::Gone => {}
            Fetched::Later => return Ok(false),
        }
        Ok(true)
    }
}

impl Queue {
    /// Up to `count` visible places, late lanes behind all others.
    fn visible_in_order(&self, count: usize) -> Vec<u64> {
        let mut seqs = Vec::new();
        for is_late in [false, true] {
            for lane in self.lanes.numbers(0).filter(|lane| self.lanes.is_late(*lane) == is_late) {
                let left = count.saturating_sub(seqs.len());
                if left == 0 {
                    return seqs;
                }
                seqs.append(&mut self.places.list(self.visible_span(lane, 0), 0, left));
            }
        }
        seqs
    }
}
