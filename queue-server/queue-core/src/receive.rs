//! Receive: a consumer takes leases on the ready messages whose turn it is.
//!
//! Must never: put a message under two live leases. It leaves the ready set with its lease, and comes back only when that
//! lease has ended.

use machine::{Context, Rows, TimestampMs};

use crate::event::{EventKind, Step};
use crate::ids::DeliveryNumber;
use crate::leases::Lease;
use crate::limits::{LEASE_MS_MAX, UNSETTLED_PER_QUEUE_MAX};
use crate::queue::Queue;
use crate::refusal::Refusal;
use crate::reply::{Delivery, Reply};

/// What a consumer asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    /// Most messages wanted.
    pub(crate) count: usize,
    /// See [`crate::Command::Receive`].
    pub(crate) lease_ms: Option<u64>,
    /// Messages of the machine that may yet become unsettled.
    pub(crate) room: u64,
}

/// Whether a lease may last `lease_ms`.
pub(crate) fn lease_fits(lease_ms: u64) -> bool {
    (1..=LEASE_MS_MAX).contains(&lease_ms)
}

impl Queue {
    /// Decides a receive. Refuses: see [`crate::Command::Receive`].
    pub(crate) fn receive(&mut self, context: &Context, ask: Ask, rows: &mut Rows) -> Result<Reply, Refusal> {
        let lease_ms = ask.lease_ms.unwrap_or(self.definition.attributes.visibility_timeout_ms());
        Refusal::LeaseOutOfRange.unless(lease_fits(lease_ms))?;
        if !self.lanes.has_ready() {
            return Ok(Reply::Empty);
        }
        let deadline = context.now.plus(lease_ms);
        let mut room = ask.room.min(UNSETTLED_PER_QUEUE_MAX.saturating_sub(self.unsettled()));
        let mut deliveries = Vec::new();
        while deliveries.len() < ask.count {
            let taken = match self.next_places(ask.count.saturating_sub(deliveries.len()), &mut room) {
                Ok(taken) => taken,
                // Whatever ends a receive that has taken something refuses the next.
                Err(_) if !deliveries.is_empty() => break,
                Err(refusal) => return Err(refusal),
            };
            if taken.is_empty() {
                break;
            }
            for seq in taken {
                deliveries.push(self.deliver(seq, context.now, deadline, rows)?);
            }
        }
        Ok(Reply::Received { deliveries })
    }

    /// Takes the places whose turn it is: one, or as many as are wanted if no other lane waits. None: no lane waits.
    ///
    /// A message that was tried before needs no room. Refuses: `TooManyLeased`, `NumbersExhausted`.
    fn next_places(&mut self, wanted: usize, room: &mut u64) -> Result<Vec<u64>, Refusal> {
        let Some((lane, is_alone)) = self.lanes.next() else { return Ok(Vec::new()) };
        let is_grouped = self.lanes.get(lane).is_some_and(|lane| !lane.name.group.is_empty());
        let most = if is_alone && !is_grouped { wanted } else { 1 };
        let has_room = |seq: &u64| {
            let is_new = !self.tried.contains_key(seq);
            let fits = !is_new || *room > 0;
            *room = room.saturating_sub(u64::from(is_new));
            fits
        };
        let span = self.visible_span(lane, 0);
        let count = self.places.list(span, 0, most).into_iter().take_while(has_room).count();
        Refusal::TooManyLeased.unless(count > 0)?;
        let steps = u64::try_from(count).unwrap_or(u64::MAX);
        let turn = self.counters.next_delivery.saturating_add(steps);
        Refusal::NumbersExhausted.unless(DeliveryNumber::new(self.id, turn.saturating_sub(1)).is_some())?;
        self.lanes.deliver(lane, steps, turn);
        Ok(self.places.take(span, count))
    }

    fn deliver(
        &mut self,
        seq: u64,
        now: TimestampMs,
        deadline: TimestampMs,
        rows: &mut Rows,
    ) -> Result<Delivery, Refusal> {
        let receipt = DeliveryNumber::new(self.id, self.counters.next_delivery).ok_or(Refusal::NumbersExhausted)?;
        self.counters.next_delivery = self.counters.next_delivery.saturating_add(1);
        let tries = self.take_tries(seq, rows).receive(now);
        let totals = &mut self.counters.totals;
        totals.received = totals.received.saturating_add(1);
        totals.redelivered = totals.redelivered.saturating_add(u64::from(tries.received > 1));
        self.put_lease(receipt, Lease { seq, deadline, tries, is_parked: false }, rows);
        let id = self.places.id(seq);
        self.note(Step::new(now, id, EventKind::Received, receipt.0), rows);
        Ok(Delivery { seq, id, receipt, deadline, tries })
    }
}
