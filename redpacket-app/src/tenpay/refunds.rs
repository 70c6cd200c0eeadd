//! Refunds: the leader of a packet group sees to it that what was left of closed packets goes back to its payers.
//!
//! Must never: mark a refund that the ledger has not booked.

use std::sync::Arc;

use futures::StreamExt as _;
use packets::{Command, Refund, Reply, sweep};

use crate::failure::{Failure, unexpected};
use crate::homes::PacketsShard;
use crate::limits::{COMMAND_DEADLINE, REFUNDS_UNDER_WAY_MAX, SWEEP_BATCH};
use crate::tenpay::booking::Booking;

/// Books refunds and marks them.
pub(crate) struct Refunds {
    pub(crate) booking: Booking,
}

impl Refunds {
    /// Settles the refunds that wait in `shard`; one that fails waits for the next look, and does not hold up others.
    pub(crate) async fn settle_all(&self, shard: &Arc<PacketsShard>) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let refunds = shard.stale(|seen| sweep::pending_refunds(seen.rows, after, SWEEP_BATCH))??;
            let Some(last) = refunds.last() else { return Ok(()) };
            after = Some(packets::lists::Cursor { at: last.ended, packet: last.packet });
            let work = refunds.into_iter().map(|refund| async move {
                if let Err(failure) = self.settle(shard, &refund).await {
                    tracing::warn!(packet = refund.packet.bits(), %failure, "a refund waits");
                }
            });
            futures::stream::iter(work).buffer_unordered(REFUNDS_UNDER_WAY_MAX).for_each(|()| async {}).await;
        }
    }

    /// Books a refund, then marks it. Errors: it is tried again.
    pub(crate) async fn settle(&self, shard: &PacketsShard, refund: &Refund) -> Result<(), Failure> {
        self.booking.refund(refund, COMMAND_DEADLINE).await?;
        match shard.command(&Command::MarkRefunded { packet: refund.packet }, COMMAND_DEADLINE).await?.reply {
            // Sold out: nothing was left, and nothing is marked.
            Reply::Done | Reply::Refused(packets::Refusal::NothingToRefund) => Ok(()),
            Reply::Refused(refusal) => Err(refusal.into()),
            other => Err(unexpected(&other)),
        }
    }
}
