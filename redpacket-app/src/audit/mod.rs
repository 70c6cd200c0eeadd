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
//! What is too much for the memory of a node is audited in parts, by the hash of its packets and accounts: each part is a
//! whole audit of all rows with a closer look at its own, and the reports are put together.
//!
//! Must never: write anything, or hold more than one part.

pub(crate) mod check;
pub(crate) mod cut;
pub(crate) mod ledger_items;
pub(crate) mod patrol;
pub(crate) mod rounds;

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::Part;
use machine::GroupId;

use crate::audit::check::{Cuts, Report};
use crate::failure::Failure;
use crate::homes::Homes;
use crate::limits::AUDIT_RECORDS_MAX;

/// Audits everything. Errors: `NotApplied`, a shard could not be read.
pub(crate) async fn audit(homes: &Arc<Homes>, late_after_ms: u64) -> Result<Report, Failure> {
    let of = parts(homes)?;
    let mut whole = audit_part(homes, late_after_ms, Part { index: 0, of }).await?;
    for index in 1..of {
        whole.add(audit_part(homes, late_after_ms, Part { index, of }).await?);
    }
    Ok(whole)
}

/// How many parts keep the memory of an audit within its bound.
fn parts(homes: &Homes) -> Result<u32, Failure> {
    let mut records = 0_u64;
    for shard in homes.ledgers() {
        records += shard.stale(|seen| {
            let counts = seen.machine.counts();
            counts.accounts + counts.holds + counts.packets + counts.orders
        })?;
    }
    for shard in homes.packet_shards() {
        records += shard.stale(|seen| seen.machine.counts().packets + 2 * seen.machine.counts().claims)?;
    }
    Ok(u32::try_from(records / AUDIT_RECORDS_MAX).unwrap_or(u32::MAX).saturating_add(1))
}

async fn audit_part(homes: &Arc<Homes>, late_after_ms: u64, part: Part) -> Result<Report, Failure> {
    // Where nothing may be written nobody can be late, and what crossed must agree to the last payment.
    let is_at_rest = homes.ledgers().all(|shard| shard.group.is_read_only());
    let is_held = homes.packet_shards().any(|shard| shard.group.is_read_only());
    let late_after_ms = if is_held { u64::MAX } else { late_after_ms };
    let before = packets(homes, part).await?;
    let mut shards = BTreeMap::new();
    for shard in homes.ledgers() {
        shards.insert(shard.group.id(), cut::ledger(shard, part).await?);
    }
    let after = packets(homes, part).await?;
    let waiting = if is_at_rest { waiting(homes) } else { BTreeMap::new() };
    Ok(check::check(&Cuts { before, shards, after, late_after_ms, is_at_rest, waiting }))
}

/// How many records wait in a shard of the ledger to be carried to another group.
fn waiting(homes: &Homes) -> BTreeMap<(GroupId, GroupId), u64> {
    let mut waiting = BTreeMap::new();
    for shard in homes.ledgers() {
        for status in shard.group.courier_status() {
            *waiting.entry((shard.group.id(), status.target.group)).or_default() += status.waiting;
        }
    }
    waiting
}

async fn packets(homes: &Arc<Homes>, part: Part) -> Result<Vec<cut::PacketsCut>, Failure> {
    let mut cuts = Vec::new();
    for shard in homes.packet_shards() {
        cuts.push(cut::packets(shard, part).await?);
    }
    Ok(cuts)
}
