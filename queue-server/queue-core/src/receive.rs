//! Receive: a consumer takes leases on the first ready messages.
//!
//! Must never: put a message under two live leases. It leaves the ready set with its lease, and comes back only when that
//! lease has ended.

use machine::{Context, Rows, TimestampMs};

use crate::ids::DeliveryNumber;
use crate::lanes::PLAIN;
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
        if self.lanes.visible() == 0 {
            return Ok(Reply::Empty);
        }
        let count = self.takeable(ask);
        Refusal::TooManyLeased.unless(count > 0)?;
        let steps = u64::try_from(count).unwrap_or(u64::MAX).saturating_sub(1);
        let last = self.counters.next_delivery.saturating_add(steps);
        Refusal::NumbersExhausted.unless(DeliveryNumber::new(self.id, last).is_some())?;
        let deadline = context.now.plus(lease_ms);
        let mut deliveries = Vec::with_capacity(count);
        self.lanes.deliver(PLAIN, u64::try_from(count).unwrap_or(u64::MAX));
        for seq in self.places.take(self.visible_span(PLAIN, 0), count) {
            deliveries.push(self.deliver(seq, context.now, deadline, rows)?);
        }
        Ok(Reply::Received { deliveries })
    }

    /// How many of the first visible messages may be taken: one that was tried before costs no further memory.
    fn takeable(&self, ask: Ask) -> usize {
        let mut room = ask.room.min(UNSETTLED_PER_QUEUE_MAX.saturating_sub(self.unsettled()));
        let has_room = |seq: &u64| {
            let is_new = !self.tried.contains_key(seq);
            let fits = !is_new || room > 0;
            room = room.saturating_sub(u64::from(is_new));
            fits
        };
        self.places.list(self.visible_span(PLAIN, 0), 0, ask.count).into_iter().take_while(has_room).count()
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
        Ok(Delivery { seq, id: self.places.id(seq), receipt, deadline, tries })
    }
}
