//! The sweep: the leader of a packet group keeps the promises that nobody else carries any more.
//!
//! ```text
//!  claims uncredited for too long ──> queue "credits" again ──> marked queued
//!  refunds not booked             ──> ledger ──> marked refunded
//! ```
//!
//! Why: the uncredited mark is the promise, a message only its carrier. Whoever died between two steps, this finds it.
//!
//! Must never: mark a claim as queued that the queue has not kept.

use std::sync::Arc;

use futures::future::join_all;
use packets::sweep;
use tokio::sync::watch;

use crate::failure::Failure;
use crate::homes::PacketsShard;
use crate::limits::{SWEEP_BATCH, SWEEP_EVERY};
use crate::queues::Queues;
use crate::tenpay::marks::Marks;
use crate::tenpay::refunds::Refunds;

/// What the sweep of one packet group needs.
pub(crate) struct Sweep {
    pub(crate) shard: Arc<PacketsShard>,
    pub(crate) queues: Queues,
    pub(crate) marks: Marks,
    pub(crate) refunds: Refunds,
    /// A claim uncredited for this long is put into the queue (again).
    pub(crate) resend_after_ms: u64,
}

impl Sweep {
    /// Sweeps while this node leads, until `stop`.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(SWEEP_EVERY) => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
            if !self.shard.group.is_at_work() {
                continue;
            }
            let group = self.shard.group.id().0;
            if let Err(failure) = self.resend().await {
                tracing::warn!(group, %failure, "credits wait for the queue");
            }
            if let Err(failure) = self.refunds.settle_all(&self.shard).await {
                tracing::warn!(group, %failure, "refunds wait");
            }
        }
    }

    /// Puts into the queue what has waited too long, until nothing has.
    async fn resend(&self) -> Result<(), Failure> {
        loop {
            let late = self.shard.stale(|seen| {
                if seen.machine.counts().uncredited == 0 {
                    return Ok(Vec::new());
                }
                sweep::uncredited(seen.rows, seen.now.minus(self.resend_after_ms), SWEEP_BATCH)
            })??;
            if late.is_empty() {
                return Ok(());
            }
            let kept = self.queues.keep_credits(&late).await;
            kept.map_err(|error| Failure::NotApplied(error.to_string()))?;
            let marks = join_all(late.iter().map(|credit| self.marks.queued(credit))).await;
            marks.into_iter().collect::<Result<(), Failure>>()?;
        }
    }
}
