//! The audit: reads every row of a group and says what does not agree.
//!
//! ```text
//!  each packet   claims + left + refund = total; claims <= shares; each >= 1 fen; one claim a user; the luckiest is
//!                the first of the largest; what has ended has nothing left; every list and index names what it must
//!  the group     no list or index names anything else; the counts are the sums
//! ```
//!
//! It answers with a finding for each broken law, and hands each packet's facts to the caller, who holds them against
//! the ledger: the escrow of a packet is what is left, uncredited and not yet refunded of it.
//!
//! Must never: hold more than a page of packets in memory, or write.

use machine::{Layout, LoadError, RowSource, prefix_end};

use crate::counts::Counts;
use crate::fen::Fen;
use crate::ids::{AccountId, PacketId};
use crate::laws;
use crate::limits::{AUDIT_PACKETS_MAX, FINDINGS_MAX};
use crate::packet::Packet;
use crate::progress::Phase;
use crate::read::{PacketView, from_slice, shares};
use crate::rows::{self, Order};

/// What kind of law it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// A packet adds up, and so do the group's counts.
    Sums,
    /// A list or an index names what it must, and nothing else.
    Lists,
    /// There is one luckiest: the largest share, the earliest of them.
    Luckiest,
}

/// A law that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Of which packet; `None`: of the group.
    pub packet: Option<PacketId>,
    /// Which kind of law.
    pub law: Law,
    /// What is wrong.
    pub what: &'static str,
}

/// What the ledger must agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketFacts {
    /// The packet.
    pub packet: PacketId,
    /// The account that paid it.
    pub payer: AccountId,
    /// What was paid.
    pub total: Fen,
    /// Where the packet stands.
    pub phase: Phase,
    /// Not claimed, in a live packet.
    pub left: Fen,
    /// What goes, or went, back.
    pub refund: Fen,
    /// Claims that the ledger has not booked, or not been marked since: number of the share and fen.
    pub uncredited: Vec<(u16, Fen)>,
}

impl PacketFacts {
    /// What the packet's escrow holds once all that is marked is booked, and nothing else is.
    #[must_use]
    pub fn escrow(&self) -> Fen {
        let refunding = if self.phase == Phase::RefundPending { self.refund } else { Fen::ZERO };
        let uncredited: Fen = self.uncredited.iter().map(|(_, fen)| *fen).sum();
        self.left.plus(refunding).plus(uncredited)
    }
}

/// The result of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// What the rows add up to.
    pub counts: Counts,
    /// Laws that do not hold, the first [`FINDINGS_MAX`] of them.
    pub findings: Vec<Finding>,
    /// How many do not hold.
    pub broken: u64,
}

impl AuditReport {
    /// Whether every law holds.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.broken == 0
    }

    pub(crate) fn demand(&mut self, packet: Option<PacketId>, holds: bool, (law, what): (Law, &'static str)) {
        if holds {
            return;
        }
        self.broken = self.broken.saturating_add(1);
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { packet, law, what });
        }
    }
}

/// Reads a group's rows (a snapshot of them, if the group goes on) and hands each packet's facts to `visit`.
pub fn audit(source: &dyn RowSource, visit: &mut dyn FnMut(&PacketFacts)) -> Result<AuditReport, LoadError> {
    let mut report = AuditReport::default();
    let mut luckiest = 0_u64;
    let end = prefix_end(&[rows::PACKET]);
    let mut from = vec![rows::PACKET];
    loop {
        let page = rows::collect(source, (&from, &end), Order::Rising, AUDIT_PACKETS_MAX, |key, value| {
            Ok((PacketId::decode(key)?, from_slice::<Packet>(value)?))
        })?;
        let Some((last, _)) = page.last() else { break };
        from = [rows::packet(*last).as_ref(), &[0]].concat();
        for (id, packet) in page {
            let Some(progress) = rows::read(source, &rows::progress(id))? else {
                report.demand(Some(id), false, (Law::Sums, "the packet has no progress"));
                continue;
            };
            let view = PacketView { id, packet, progress, shares: shares(source, id)? };
            luckiest = luckiest.saturating_add(u64::from(view.luckiest().is_some()));
            laws::packet(&mut report, &view);
            laws::claims(&mut report, source, &view)?;
            laws::places(&mut report, source, &view)?;
            count(&mut report.counts, &view);
            visit(&facts(&view));
        }
    }
    laws::people(&mut report, source)?;
    laws::sizes(&mut report, source, luckiest)?;
    let stored = rows::read::<Counts>(source, &rows::counts())?.unwrap_or_default();
    let agrees = stored == report.counts;
    report.demand(None, agrees, (Law::Sums, "the counts are not the sums of the rows"));
    Ok(report)
}

fn facts(view: &PacketView) -> PacketFacts {
    let numbered = (1_u16..).zip(&view.shares).filter(|(_, share)| !share.is_credited());
    PacketFacts {
        packet: view.id,
        payer: view.packet.terms.payer,
        total: view.packet.terms.total,
        phase: view.progress.phase,
        left: view.progress.left,
        refund: view.progress.refund,
        uncredited: numbered.map(|(number, share)| (number, share.fen)).collect(),
    }
}

fn count(counts: &mut Counts, view: &PacketView) {
    counts.create(view.packet.terms.total);
    for share in &view.shares {
        counts.claim(share.fen);
        if share.is_credited() {
            counts.credit(share.fen);
        }
    }
    match view.progress.phase {
        Phase::Live => {}
        Phase::SoldOut => counts.sell_out(),
        Phase::RefundPending => counts.close(view.progress.refund),
        Phase::Refunded => {
            counts.close(view.progress.refund);
            counts.refund(view.progress.refund);
        }
    }
}
