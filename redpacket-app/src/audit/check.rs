//! The check: three cuts held against each other. Pure.
//!
//! Must never: object to what is merely under way.

use std::collections::BTreeMap;

use ledger::{Audit, Facts, PacketId as LedgerPacket, ShareId, reconcile};
use machine::GroupId;
use packets::{CreditState, Law, PacketId, Phase, Share};

use crate::audit::cut::{PacketCut, PacketsCut};
use crate::audit::ledger_items::broken_by;
use crate::limits::AUDIT_DETAILS_MAX;

/// What is checked.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    /// The packet groups, before the ledger was read.
    pub(crate) before: Vec<PacketsCut>,
    /// The ledger.
    pub(crate) shards: BTreeMap<GroupId, Audit>,
    /// The packet groups, after the ledger was read.
    pub(crate) after: Vec<PacketsCut>,
    /// A claim that is neither booked nor queued for this long is late. Milliseconds.
    pub(crate) late_after_ms: u64,
    /// No shard of the ledger could change while they were read.
    pub(crate) is_at_rest: bool,
    /// Records that wait in a shard to be carried to another group; of shards at rest.
    pub(crate) waiting: BTreeMap<(GroupId, GroupId), u64>,
}

/// One invariant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its number.
    pub(crate) number: u32,
    /// What it says.
    pub(crate) name: &'static str,
    /// How often it does not hold.
    pub(crate) broken: u64,
    /// What was found.
    pub(crate) details: Vec<String>,
}

/// The result of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// The invariants.
    pub(crate) items: Vec<Item>,
    /// Packets created.
    pub(crate) packets: u64,
    /// Fen paid into them.
    pub(crate) fen_in: i64,
    /// Fen claimed or returned.
    pub(crate) fen_out: i64,
    /// Credits booked at once.
    pub(crate) credits_now: u64,
    /// Credits that went, or go, by the queue.
    pub(crate) credits_queued: u64,
    /// Longest time from a claim to the mark of its credit.
    pub(crate) longest_wait_ms: u64,
}

impl Report {
    /// Adds the report of another part. What counts whole groups is in each of them already.
    pub(crate) fn add(&mut self, part: Self) {
        for (item, more) in self.items.iter_mut().zip(part.items) {
            item.broken += more.broken;
            let is_new = |detail: &String| !item.details.contains(detail);
            let details: Vec<String> = more.details.into_iter().filter(is_new).collect();
            item.details.extend(details);
        }
        self.credits_now += part.credits_now;
        self.credits_queued += part.credits_queued;
        self.longest_wait_ms = self.longest_wait_ms.max(part.longest_wait_ms);
    }

    /// Whether all invariants hold.
    pub(crate) fn is_ok(&self) -> bool {
        self.items.iter().all(|item| item.broken == 0)
    }
}

const NAMES: [(u32, &str); 12] = [
    (1, "balances add up to the money issued, and shards agree on what crossed between them"),
    (2, "each balance is the fold of its journal, without gaps"),
    (3, "no customer is below zero, holds counted"),
    (4, "each booked credit has its claim, and each claim marked as credited is booked, with the same fen"),
    (5, "each packet: claimed + left + refunded = total, claims no more than shares, one a user"),
    (6, "a packet that has ended leaves nothing in escrow but its uncredited claims"),
    (7, "a refund happens once, of a closed packet, with what was left"),
    (8, "what was paid for a packet is in its escrow, credited or refunded"),
    (9, "no claim is neither booked nor queued for longer than a retry takes"),
    (10, "the lists equal the journal: bills, and whatever names packets and claims"),
    (11, "one luckiest, the maximum, the earliest"),
    (12, "what was acknowledged is there, on every replica; what was refused left no trace"),
];

/// The ledger's word on packets, over all shards.
#[derive(Default)]
struct Books {
    credits: BTreeMap<ShareId, i64>,
    credited: BTreeMap<LedgerPacket, i64>,
    escrows: BTreeMap<LedgerPacket, i64>,
    refunds: BTreeMap<LedgerPacket, i64>,
}

struct Checker<'a> {
    cuts: &'a Cuts,
    books: Books,
    report: Report,
}

/// Holds the cuts against each other.
pub(crate) fn check(cuts: &Cuts) -> Report {
    let items = NAMES.map(|(number, name)| Item { number, name, ..Item::default() }).into();
    let mut checker = Checker { cuts, books: books(cuts), report: Report { items, ..Report::default() } };
    checker.ledger();
    checker.packet_groups();
    checker.credits();
    checker.refunds();
    checker.escrows();
    checker.late_claims();
    checker.totals();
    checker.report
}

fn books(cuts: &Cuts) -> Books {
    let mut books = Books::default();
    for Audit { facts, .. } in cuts.shards.values() {
        for (share, fen) in &facts.credits {
            books.credits.insert(*share, fen.0);
            *books.credited.entry(share.packet).or_default() += fen.0;
        }
        books.escrows.extend(facts.escrows.iter().map(|(packet, fen)| (*packet, fen.0)));
        books.refunds.extend(facts.refunds.iter().map(|(packet, fen)| (*packet, fen.0)));
    }
    books
}

fn find(cuts: &[PacketsCut], packet: LedgerPacket) -> Option<&PacketCut> {
    let packet = PacketId::new(packet.0);
    cuts.iter().find_map(|cut| cut.packets.get(&packet))
}

fn all(cuts: &[PacketsCut]) -> impl Iterator<Item = (LedgerPacket, &PacketCut)> {
    cuts.iter().flat_map(|cut| &cut.packets).map(|(id, packet)| (LedgerPacket(id.bits()), packet))
}

fn numbered(packet: &PacketCut) -> impl Iterator<Item = (u32, &Share)> {
    (1..).zip(&packet.shares)
}

impl Checker<'_> {
    fn breaks(&mut self, number: u32, what: String) {
        if let Some(item) = self.report.items.iter_mut().find(|item| item.number == number) {
            item.broken += 1;
            if item.details.len() < AUDIT_DETAILS_MAX {
                item.details.push(what);
            }
        }
    }

    fn says(&mut self, number: u32, what: String) {
        if let Some(item) = self.report.items.iter_mut().find(|item| item.number == number) {
            item.details.push(what);
        }
    }

    /// 1, 2, 3, 10 and 12: each shard by itself, and all of them together.
    fn ledger(&mut self) {
        for (group, audit) in &self.cuts.shards {
            for difference in &audit.differences {
                self.breaks(broken_by(difference), format!("shard {}: {difference}", group.0));
            }
        }
        let facts: BTreeMap<GroupId, Facts> =
            self.cuts.shards.iter().map(|(group, audit)| (*group, audit.facts.clone())).collect();
        let all = reconcile(&facts);
        for difference in &all.differences {
            self.breaks(broken_by(difference), difference.to_string());
        }
        if self.cuts.is_at_rest {
            self.crossed();
        }
        let issued: i128 = all.issued.values().sum();
        let under_way: usize = all.under_way.values().map(Vec::len).sum();
        self.says(1, format!("{issued} fen issued, {under_way} credits between shards"));
    }

    /// 1, of shards that are at rest: what one received and the other did not send was lost there, and what one sent and the
    /// other did not receive must wait to be carried. Of shards that go on it may be on its way.
    fn crossed(&mut self) {
        let shards = &self.cuts.shards;
        let count = |(group, peer, currency), is_sent: bool| {
            let facts = shards.get(&group).map(|audit: &Audit| &audit.facts);
            let trails = facts.map(|facts| if is_sent { &facts.sent } else { &facts.received });
            trails.and_then(|trails| trails.get(&(peer, currency))).map_or(0, |trail| trail.count)
        };
        let mut lost: BTreeMap<(GroupId, GroupId), u64> = BTreeMap::new();
        let mut found = Vec::new();
        for (group, audit) in shards {
            for ((source, currency), received) in &audit.facts.received {
                let sent = count((*source, *group, *currency), true);
                if received.count > sent {
                    let (here, source) = (group.0, source.0);
                    let count = received.count;
                    found.push(format!(
                        "shard {here} received {count} payments of shard {source}, which has sent {sent}"
                    ));
                }
            }
            for ((target, currency), sent) in &audit.facts.sent {
                let received = count((*target, *group, *currency), false);
                *lost.entry((*group, *target)).or_default() += sent.count.saturating_sub(received);
            }
        }
        for ((source, target), missing) in lost {
            let waiting = self.cuts.waiting.get(&(source, target)).copied().unwrap_or(0);
            if missing > waiting {
                let (source, target) = (source.0, target.0);
                found.push(format!(
                    "shard {target} lacks {missing} payments of shard {source}, where {waiting} wait to be carried"
                ));
            }
        }
        found.into_iter().for_each(|what| self.breaks(1, what));
    }

    /// 5, 10 and 11: each packet group by itself.
    fn packet_groups(&mut self) {
        for cut in &self.cuts.after {
            for finding in &cut.report.findings {
                let packet =
                    finding.packet.map_or_else(String::new, |packet| format!("packet {:032x}: ", packet.bits()));
                let number = match finding.law {
                    Law::Sums => 5,
                    Law::Lists => 10,
                    Law::Luckiest => 11,
                };
                self.breaks(number, format!("{packet}{}", finding.what));
            }
        }
    }

    /// 4: what is marked is booked; what is booked is claimed.
    fn credits(&mut self) {
        for (packet, cut) in all(&self.cuts.before) {
            for (number, share) in numbered(cut).filter(|(_, share)| share.is_credited()) {
                let booked = self.books.credits.get(&ShareId { packet, share: number }).copied();
                if booked != Some(share.fen.0) {
                    let what =
                        format!("share {number} of {:032x} is marked with {}, booked {booked:?}", packet.0, share.fen);
                    self.breaks(4, what);
                }
            }
        }
        for (ShareId { packet, share: number }, fen) in self.books.credits.clone() {
            let place = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
            let claimed = find(&self.cuts.after, packet).and_then(|cut| cut.shares.get(place)).map(|share| share.fen.0);
            if claimed != Some(fen) {
                self.breaks(
                    4,
                    format!("share {number} of {:032x} is booked with {fen}, claimed {claimed:?}", packet.0),
                );
            }
        }
    }

    /// 6 and 7: refunds of closed packets, once, with what was left.
    fn refunds(&mut self) {
        let mut never_made = 0_u64;
        for (packet, fen) in self.books.refunds.clone() {
            match find(&self.cuts.after, packet) {
                Some(cut) if matches!(cut.phase, Phase::RefundPending | Phase::Refunded) && cut.refund.0 == fen => {}
                Some(cut) => self.breaks(7, format!("{:032x} was refunded {fen}, it is {:?}", packet.0, cut.phase)),
                None => never_made += 1,
            }
        }
        if never_made > 0 {
            self.says(7, format!("{never_made} payments returned whose packets could not be made"));
        }
        for (packet, cut) in all(&self.cuts.before) {
            let refunded = self.books.refunds.get(&packet).copied().unwrap_or_default();
            let is_right = match cut.phase {
                Phase::Refunded => refunded == cut.refund.0,
                Phase::SoldOut => refunded == 0,
                Phase::Live | Phase::RefundPending => true,
            };
            if !is_right {
                self.breaks(
                    6,
                    format!("{:032x} has ended with a rest of {}, refunded {refunded}", packet.0, cut.refund),
                );
            }
        }
    }

    /// 8 (and 6): payment = escrow + credits + refund, packet by packet.
    fn escrows(&mut self) {
        for (packet, cut) in all(&self.cuts.before) {
            let of = |fen: &BTreeMap<LedgerPacket, i64>| fen.get(&packet).copied().unwrap_or_default();
            let (escrow, credited, refunded) =
                (of(&self.books.escrows), of(&self.books.credited), of(&self.books.refunds));
            if escrow + credited + refunded != cut.total.0 {
                let what = format!(
                    "{:032x} holds {}: {escrow} in escrow, {credited} credited, {refunded} refunded",
                    packet.0, cut.total
                );
                self.breaks(8, what);
            }
        }
        let being_made = self.books.escrows.keys().filter(|packet| find(&self.cuts.after, **packet).is_none()).count();
        if being_made > 0 {
            self.says(8, format!("{being_made} packets paid and being made"));
        }
    }

    /// 9: the promise of an uncredited claim is carried by somebody.
    fn late_claims(&mut self) {
        let mut uncredited = 0_u64;
        for cut in &self.cuts.after {
            let due = cut.now.minus(self.cuts.late_after_ms);
            for (id, packet) in &cut.packets {
                for (number, share) in numbered(packet).filter(|(_, share)| !share.is_credited()) {
                    uncredited += 1;
                    if share.state == CreditState::Waiting && share.since < due {
                        self.breaks(9, format!("share {number} of {:032x} waits since {}", id.bits(), share.since.0));
                    }
                }
            }
        }
        self.says(9, format!("{uncredited} claims on their way"));
    }

    fn totals(&mut self) {
        for cut in &self.cuts.after {
            let counts = &cut.report.counts;
            self.report.packets += counts.packets;
            self.report.fen_in += counts.fen.sent.0;
            self.report.fen_out += counts.fen.claimed.0 + counts.fen.refunded.0;
            for share in cut.packets.values().flat_map(|packet| &packet.shares) {
                match share.state {
                    CreditState::Waiting => {}
                    CreditState::Credited => self.report.credits_now += 1,
                    CreditState::Queued | CreditState::Collected => self.report.credits_queued += 1,
                }
                if share.is_credited() {
                    self.report.longest_wait_ms = self.report.longest_wait_ms.max(share.since.since(share.claimed));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
