//! The audit: the invariants of the money over all shards of the ledger and all packet groups.
//!
//! ```text
//!  cut of the packets ──> cut of the ledger ──> cut of the packets again ──> check (pure)
//! ```
//!
//! Why three cuts: shards cannot be read at one moment while the evening goes on. But a payment is booked before its
//! packet is made, a claim is made before its credit is booked, and booked before it is marked. So what the first cut
//! has marked the ledger must have booked, and what the ledger has booked the last cut must have promised. Each check
//! is one-sided, and exact at any time: money under way raises no alarm, and no second try is needed.
//!
//! Must never: write anything.

pub(crate) mod check;
pub(crate) mod cut;
pub(crate) mod ledger_items;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::audit::check::{Cuts, Report};
use crate::failure::Failure;
use crate::homes::Homes;

/// Audits everything. Errors: `NotApplied`, a shard could not be read.
pub(crate) async fn audit(homes: &Arc<Homes>, late_after_ms: u64) -> Result<Report, Failure> {
    let before = packets(homes).await?;
    let mut shards = BTreeMap::new();
    for shard in homes.ledgers() {
        shards.insert(shard.group.id(), cut::ledger(shard).await?);
    }
    let after = packets(homes).await?;
    Ok(check::check(&Cuts { before, shards, after, late_after_ms }))
}

async fn packets(homes: &Arc<Homes>) -> Result<Vec<cut::PacketsCut>, Failure> {
    let mut cuts = Vec::new();
    for shard in homes.packet_shards() {
        cuts.push(cut::packets(shard).await?);
    }
    Ok(cuts)
}
