//! Cuts: what one shard holds at one moment, read from all its rows on this node.
//!
//! Must never: be taken before this node has applied all that was answered before the audit began.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{Audit, LedgerView, Part};
use machine::{LoadError, RowSource, TimestampMs};
use packets::{AuditReport, Fen, PacketFacts, PacketId, Phase, Share, read};
use tokio::task::{JoinError, spawn_blocking};

use crate::failure::Failure;
use crate::homes::{LedgerShard, PacketsShard};

/// A packet at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PacketCut {
    /// What was paid.
    pub(crate) total: Fen,
    /// Where it stands.
    pub(crate) phase: Phase,
    /// What goes, or went, back.
    pub(crate) refund: Fen,
    /// Its claims; the first has share number 1.
    pub(crate) shares: Vec<Share>,
}

/// A packet group at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PacketsCut {
    /// The group's own audit.
    pub(crate) report: AuditReport,
    /// Its packets.
    pub(crate) packets: BTreeMap<PacketId, PacketCut>,
    /// Machine time of the cut.
    pub(crate) now: TimestampMs,
}

/// Cuts a packet group: its packets of one part.
pub(crate) async fn packets(shard: &Arc<PacketsShard>, part: Part) -> Result<PacketsCut, Failure> {
    shard.catch_up().await?;
    let shard = Arc::clone(shard);
    let cut = spawn_blocking(move || shard.stale(|seen| read_packets(seen.rows, seen.now, part)));
    Ok(cut.await.map_err(|error| broken_off(&error))???)
}

/// Cuts a shard of the ledger, with a closer look at one part.
pub(crate) async fn ledger(shard: &Arc<LedgerShard>, part: Part) -> Result<Audit, Failure> {
    shard.catch_up().await?;
    let shard = Arc::clone(shard);
    let cut = spawn_blocking(move || shard.stale(|seen| LedgerView::over(seen.rows).audit_part(part)));
    Ok(cut.await.map_err(|error| broken_off(&error))???)
}

fn read_packets(rows: &dyn RowSource, now: TimestampMs, part: Part) -> Result<PacketsCut, LoadError> {
    let mut facts: Vec<PacketFacts> = Vec::new();
    let mut take = |packet: &PacketFacts| {
        if part.has(packet.packet.bits()) {
            facts.push(packet.clone());
        }
    };
    let report = packets::audit(rows, &mut take)?;
    let mut cuts = BTreeMap::new();
    for PacketFacts { packet, total, phase, refund, .. } in facts {
        let shares = read::packet(rows, packet)?.map(|view| view.shares).unwrap_or_default();
        cuts.insert(packet, PacketCut { total, phase, refund, shares });
    }
    Ok(PacketsCut { report, packets: cuts, now })
}

fn broken_off(error: &JoinError) -> Failure {
    Failure::NotApplied(format!("the audit broke off: {error}"))
}
