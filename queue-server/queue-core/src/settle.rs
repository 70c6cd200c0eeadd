//! Ack, extend and release: what the holder of a receipt may do with its message.
//!
//! A receipt is good until its lease's deadline by the entry's own stamp, whether or not a tick has come.
//!
//! Must never: read a row, or accept a receipt of an earlier delivery.

use machine::{Context, Rows};

use crate::event::{EventKind, Step};
use crate::ids::DeliveryNumber;
use crate::leases::Lease;
use crate::limits::DELAY_MS_MAX;
use crate::queue::Queue;
use crate::receive::lease_fits;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::role::Role;

impl Queue {
    fn live_lease(&self, context: &Context, receipt: DeliveryNumber) -> Result<Lease, Refusal> {
        self.leases.live(receipt, context.now).copied().ok_or(Refusal::StaleReceipt)
    }

    /// Decides an ack. Each receipt has its own result.
    pub(crate) fn ack(&mut self, context: &Context, receipts: &[DeliveryNumber], rows: &mut Rows) -> Reply {
        let results = receipts.iter().map(|receipt| self.ack_one(context, *receipt, rows).err());
        Reply::Settled { results: results.collect() }
    }

    fn ack_one(&mut self, context: &Context, receipt: DeliveryNumber, rows: &mut Rows) -> Result<(), Refusal> {
        let lease = self.live_lease(context, receipt)?;
        self.end_lease(receipt, rows);
        let id = self.places.id(lease.seq);
        let is_kept = self.finish(lease.seq, rows);
        self.note(Step::new(context.now, id, EventKind::Acked, u64::from(is_kept)), rows);
        self.counters.failing = self.counters.failing.filter(|_| !matches!(self.role, Role::Pushed { .. }));
        self.counters.totals.acked = self.counters.totals.acked.saturating_add(1);
        Ok(())
    }

    /// Decides an extend. Refuses: see [`crate::Command::Extend`].
    pub(crate) fn extend(
        &mut self,
        context: &Context,
        receipts: &[DeliveryNumber],
        lease_ms: u64,
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        Refusal::LeaseOutOfRange.unless(lease_fits(lease_ms))?;
        let deadline = context.now.plus(lease_ms);
        let mut extend_one = |receipt: DeliveryNumber| {
            let lease = self.live_lease(context, receipt)?;
            self.put_lease(receipt, Lease { deadline, ..lease }, rows);
            let id = self.places.id(lease.seq);
            self.note(Step::new(context.now, id, EventKind::Extended, deadline.0), rows);
            Ok(())
        };
        let results = receipts.iter().map(|receipt| extend_one(*receipt).err()).collect();
        Ok(Reply::Extended { deadline, results })
    }

    /// Decides a release. Refuses: see [`crate::Command::Release`].
    ///
    /// Each receipt has its own result.
    pub(crate) fn release(
        &mut self,
        context: &Context,
        receipts: &[DeliveryNumber],
        release: Release,
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        Refusal::DelayOutOfRange.unless(release.delay_ms <= DELAY_MS_MAX)?;
        let results = receipts.iter().map(|receipt| self.release_one(context, *receipt, release, rows).err());
        Ok(Reply::Settled { results: results.collect() })
    }

    /// A message whose tries are spent is parked and due at once: the next tick reads its row and moves it.
    fn release_one(
        &mut self,
        context: &Context,
        receipt: DeliveryNumber,
        release: Release,
        rows: &mut Rows,
    ) -> Result<(), Refusal> {
        let lease = self.live_lease(context, receipt)?;
        let tries = if release.failed { lease.tries.fail() } else { lease.tries };
        if release.failed {
            self.note_push_failure(context.now);
        }
        let is_spent = self.is_spent(&tries);
        let is_dropped = self.is_dropped(lease.seq);
        let kind = if release.failed { EventKind::Failed } else { EventKind::Released };
        self.note(Step::new(context.now, self.places.id(lease.seq), kind, release.delay_ms), rows);
        if !is_dropped && (is_spent || release.delay_ms > 0) {
            let deadline = if is_spent { context.now } else { context.now.plus(release.delay_ms) };
            self.put_lease(receipt, Lease { deadline, tries, is_parked: true, ..lease }, rows);
        } else {
            self.end_lease(receipt, rows);
            self.put_back((lease.seq, tries), None, context.now, rows);
        }
        Ok(())
    }
}

/// How a message is given back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    /// See [`crate::Command::Release`].
    pub(crate) delay_ms: u64,
    /// See [`crate::Command::Release`].
    pub(crate) failed: bool,
}
