//! The outbox: the leader of a ledger shard hands its records "packet paid" to the queue.
//!
//! ```text
//!  shard's rows: records for the outside ──> queue "packet-paid" (three copies) ──> acknowledged in the shard
//! ```
//!
//! Why: the record was written in the same entry as the debit. Whatever is killed, a packet that is paid will be made.
//!
//! Must never: acknowledge a record that the queue has not kept.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::homes::LedgerShard;
use crate::limits::OUTBOX_EVERY;
use crate::queues::Queues;

/// Carries while this node leads `shard`, until `stop`.
pub(crate) async fn carry(shard: Arc<LedgerShard>, queues: Queues, mut stop: watch::Receiver<bool>) {
    let mut applied = shard.group.applied_index();
    loop {
        tokio::select! {
            // A new entry may have posted; the pause catches what failed before.
            _ = timeout(OUTBOX_EVERY, applied.changed()) => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
        while shard.group.is_leader() && !*stop.borrow() {
            match carry_some(&shard, &queues).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(reason) => {
                    tracing::warn!(group = shard.group.id().0, reason, "paid packets wait for the queue");
                    break;
                }
            }
        }
    }
}

/// Carries what one look finds. False: there was nothing.
async fn carry_some(shard: &LedgerShard, queues: &Queues) -> Result<bool, String> {
    let records = shard.group.outside_records().map_err(|error| error.to_string())?;
    let Some(last) = records.last().map(|record| record.sequence) else { return Ok(false) };
    let bodies = records.into_iter().map(|record| record.bytes).collect();
    queues.keep_paid(bodies).await.map_err(|error| error.to_string())?;
    shard.group.acknowledge_outside(last).await.map_err(|error| error.to_string())?;
    Ok(true)
}
