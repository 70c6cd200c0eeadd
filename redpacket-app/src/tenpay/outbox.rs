//! The outbox: the leader of a ledger shard hands its records for the outside to the queue.
//!
//! ```text
//!  shard's rows: records for the outside ─┬─> queue "packet-paid" (three copies) ──┬─> acknowledged in the shard
//!                                         └─> a merchant's notices (a topic)      ─┘
//! ```
//!
//! Why: the record was written in the same entry as the debit. Whatever is killed, a packet that is paid will be made, and
//! a merchant will be told.
//!
//! Must never: acknowledge a record that the queue has not kept.

use std::sync::Arc;

use ledger::CourierRecord;
use machine::Layout as _;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::homes::LedgerShard;
use crate::limits::OUTBOX_EVERY;
use crate::pay::notices::Notices;
use crate::queues::Queues;

/// Carries while this node leads `shard`, until `stop`.
pub(crate) async fn carry(shard: Arc<LedgerShard>, queues: Queues, notices: Notices, mut stop: watch::Receiver<bool>) {
    let mut applied = shard.group.applied_index();
    loop {
        tokio::select! {
            // A new entry may have posted; the pause catches what failed before.
            _ = timeout(OUTBOX_EVERY, applied.changed()) => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
        while shard.group.is_at_work() && !*stop.borrow() {
            match carry_some(&shard, &queues, &notices).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(reason) => {
                    tracing::warn!(group = shard.group.id().0, reason, "records wait for the queue");
                    break;
                }
            }
        }
    }
}

/// Carries what one look finds. False: there was nothing.
async fn carry_some(shard: &LedgerShard, queues: &Queues, notices: &Notices) -> Result<bool, String> {
    let mut records = shard.group.outside_records().map_err(|error| error.to_string())?;
    // One kind at a time: what the one's queue keeps is acknowledged, though the other's may be away.
    let is_news = |record: &machine::Record| {
        let record = CourierRecord::from_bytes(&record.bytes);
        matches!(record, Ok(CourierRecord::OrderPaid { .. } | CourierRecord::OrderRefunded { .. }))
    };
    let kind = records.first().map(is_news);
    let run = records.iter().take_while(|record| Some(is_news(record)) == kind).count();
    records.truncate(run);
    let Some(last) = records.last().map(|record| record.sequence) else { return Ok(false) };
    let (mut news, mut paid) = (Vec::new(), Vec::new());
    for record in records {
        match CourierRecord::from_bytes(&record.bytes) {
            Ok(order @ (CourierRecord::OrderPaid { .. } | CourierRecord::OrderRefunded { .. })) => news.push(order),
            // Whoever pulls it says what is wrong with it, if something is.
            _ => paid.push(record.bytes),
        }
    }
    queues.keep_paid(paid).await.map_err(|error| error.to_string())?;
    notices.publish(news).await.map_err(|error| error.to_string())?;
    shard.group.acknowledge_outside(last).await.map_err(|error| error.to_string())?;
    Ok(true)
}
