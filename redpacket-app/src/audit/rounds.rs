//! Rounds: the node that leads the first shard of the ledger audits everything, again and again, while that is cheap.
//!
//! ```text
//!  audit (all shards, all packets) ─> metric, alarm with the ids ─> rest (at least a minute, and fifty times as long)
//! ```
//!
//! Why beside the patrol: the patrol walks over one node's copy of one shard, of any size; what ledger and packets must
//! agree on is seen only by holding them against each other.
//!
//! Must never: begin where shards would wait long for it; then an operator chooses the hour.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::audit::audit;
use crate::audit::check::Report;
use crate::failure::Failure;
use crate::homes::Homes;
use crate::limits::{AUDIT_GRACE_MS, ROUND_EVERY, ROUND_RECORDS_MAX, ROUND_REST_FACTOR};

/// What the last round found, by invariant. Empty: this node has made none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings(Arc<Mutex<BTreeMap<u32, u64>>>);

impl Findings {
    /// Invariant by invariant.
    pub(crate) fn read(&self) -> BTreeMap<u32, u64> {
        self.0.lock().clone()
    }

    fn enter(&self, report: &Report) {
        for item in report.items.iter().filter(|item| item.broken > 0) {
            let (invariant, broken, found) = (item.number, item.broken, item.details.join("; "));
            tracing::error!(invariant, broken, found, "the money does not hold: {}", item.name);
        }
        *self.0.lock() = report.items.iter().map(|item| (item.number, item.broken)).collect();
    }
}

/// Audits while this node leads the first shard, until `stop`.
pub(crate) async fn walk(homes: Arc<Homes>, findings: Findings, resend_after_ms: u64, mut stop: watch::Receiver<bool>) {
    let mut rest = ROUND_EVERY;
    while timeout(rest, stop.wait_for(|stopped| *stopped)).await.is_err() {
        rest = ROUND_EVERY;
        let is_first = homes.ledgers().next().is_some_and(|shard| shard.group.is_leader());
        let is_small = records(&homes).is_ok_and(|records| records <= ROUND_RECORDS_MAX);
        if !is_first || !is_small {
            findings.0.lock().clear();
            continue;
        }
        let began = Instant::now();
        match audit(&homes, resend_after_ms.saturating_add(AUDIT_GRACE_MS)).await {
            Ok(report) => findings.enter(&report),
            Err(failure) => tracing::debug!(%failure, "a round could not be made"),
        }
        rest = rest.max(began.elapsed() * ROUND_REST_FACTOR);
    }
}

/// About how many rows a round reads.
fn records(homes: &Homes) -> Result<u64, Failure> {
    let mut records = 0;
    for shard in homes.ledgers() {
        records += shard.stale(|seen| {
            let counts = seen.machine.counts();
            counts.accounts + counts.holds + counts.packets + counts.orders + seen.machine.journal_end().0.0
        })?;
    }
    for shard in homes.packet_shards() {
        records += shard.stale(|seen| seen.machine.counts().packets + 2 * seen.machine.counts().claims)?;
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::check::{Cuts, check};

    #[test]
    fn a_round_tells_each_of_the_twelve_invariants() {
        let findings = Findings::default();
        assert!(findings.read().is_empty(), "no round was made");
        let mut report = check(&Cuts::default());
        report.items[9].broken = 3;
        findings.enter(&report);
        let read = findings.read();
        assert_eq!(read.keys().copied().collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
        assert_eq!((read[&9], read[&10]), (0, 3));
    }
}
