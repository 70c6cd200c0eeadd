//! The audit's laws: what is under way raises no alarm, what is wrong raises the right one.

use ledger::{Currency, Difference, Fen as LedgerFen, Trail};
use machine::TimestampMs;
use packets::{AuditReport, Counts, Fen, Finding, UserId};

use super::*;

const PACKET: u128 = 0x100;
const LATE_AFTER_MS: u64 = 1000;

fn share(fen: i64, state: CreditState, claimed: u64, since: u64) -> Share {
    Share { user: UserId(7), fen: Fen(fen), claimed: TimestampMs(claimed), state, since: TimestampMs(since) }
}

/// A group with one packet of 100 fen.
fn group(phase: Phase, refund: i64, shares: Vec<Share>) -> PacketsCut {
    let cut = PacketCut { total: Fen(100), phase, refund: Fen(refund), shares };
    let report = AuditReport { counts: Counts { packets: 1, ..Counts::default() }, ..AuditReport::default() };
    PacketsCut { report, packets: [(PacketId::new(PACKET), cut)].into(), now: TimestampMs(5000) }
}

/// A shard that holds `escrow` fen for the packet, has credited share 1 and refunded.
fn shard(escrow: i64, credited: Option<i64>, refunded: Option<i64>) -> Audit {
    let packet = LedgerPacket(PACKET);
    let mut facts = Facts::default();
    facts.escrows.extend((escrow > 0).then_some((packet, LedgerFen(escrow))));
    facts.credits.extend(credited.map(|fen| (ShareId { packet, share: 1 }, LedgerFen(fen))));
    facts.refunds.extend(refunded.map(|fen| (packet, LedgerFen(fen))));
    Audit { differences: Vec::new(), facts }
}

fn cuts(before: PacketsCut, shard: Audit, after: PacketsCut) -> Cuts {
    Cuts {
        before: vec![before],
        shards: [(GroupId(1), shard)].into(),
        after: vec![after],
        late_after_ms: LATE_AFTER_MS,
        is_at_rest: false,
        waiting: BTreeMap::new(),
    }
}

/// Checks which invariants are broken.
fn expect(what: &str, cuts: &Cuts, broken: &[u32]) {
    let report = check(cuts);
    let found: Vec<u32> = report.items.iter().filter(|item| item.broken > 0).map(|item| item.number).collect();
    assert_eq!(found, broken, "{what}: {:?}", report.items);
    assert_eq!(report.is_ok(), broken.is_empty(), "{what}");
}

#[test]
fn money_under_way_raises_no_alarm() {
    use CreditState::{Credited, Queued, Waiting};
    let live = |shares: Vec<Share>| group(Phase::Live, 0, shares);
    let claim = |state| vec![share(40, state, 4500, 4600)];
    let nothing = PacketsCut { now: TimestampMs(5000), ..PacketsCut::default() };
    expect("untouched", &cuts(live(vec![]), shard(100, None, None), live(vec![])), &[]);
    expect("paid, not made", &cuts(nothing.clone(), shard(100, None, None), nothing.clone()), &[]);
    expect("made after the ledger was read", &cuts(nothing.clone(), shard(0, None, None), live(vec![])), &[]);
    expect("claimed, not booked", &cuts(live(claim(Waiting)), shard(100, None, None), live(claim(Waiting))), &[]);
    expect("booked, not marked", &cuts(live(vec![]), shard(60, Some(40), None), live(claim(Queued))), &[]);
    expect("marked later", &cuts(live(claim(Waiting)), shard(100, None, None), live(claim(Credited))), &[]);
    let closed = group(Phase::RefundPending, 100, vec![]);
    let refunded = group(Phase::Refunded, 100, vec![]);
    expect("refunded, not marked", &cuts(live(vec![]), shard(0, None, Some(100)), closed), &[]);
    expect("marked refunded", &cuts(refunded.clone(), shard(0, None, Some(100)), refunded), &[]);
    expect("returned, never made", &cuts(nothing.clone(), shard(0, None, Some(100)), nothing), &[]);
}

#[test]
fn what_is_wrong_breaks_its_invariant() {
    use CreditState::{Credited, Queued, Waiting};
    let live = |shares: Vec<Share>| group(Phase::Live, 0, shares);
    let claim = |state, since| vec![share(40, state, since, since)];
    let marked = || live(claim(Credited, 4500));
    expect("marked, not booked", &cuts(marked(), shard(100, None, None), marked()), &[4]);
    expect("booked with another amount", &cuts(marked(), shard(59, Some(41), None), marked()), &[4]);
    expect("booked, not claimed", &cuts(live(vec![]), shard(60, Some(40), None), live(vec![])), &[4]);
    expect("a fen lost", &cuts(marked(), shard(59, Some(40), None), marked()), &[8]);
    expect("a fen made", &cuts(marked(), shard(61, Some(40), None), marked()), &[8]);
    expect("refunded while live", &cuts(live(vec![]), shard(0, None, Some(100)), live(vec![])), &[7]);
    let refunded = || group(Phase::Refunded, 100, vec![]);
    expect("marked refunded, not booked", &cuts(refunded(), shard(100, None, None), refunded()), &[6]);
    let waiting = |state| live(claim(state, 3000));
    expect("late and nowhere", &cuts(waiting(Waiting), shard(100, None, None), waiting(Waiting)), &[9]);
    expect("late and queued", &cuts(waiting(Queued), shard(100, None, None), waiting(Queued)), &[]);

    for (law, invariant) in [(Law::Sums, 5), (Law::Lists, 10), (Law::Luckiest, 11)] {
        let mut broken = live(vec![]);
        broken.report.findings.push(Finding { packet: None, law, what: "a law" });
        expect("a packet's own law", &cuts(live(vec![]), shard(100, None, None), broken), &[invariant]);
    }
    let key = ledger::TransferKey::Own(ledger::TransferId(1));
    for (difference, invariant) in [
        (Difference::SumNotZero { currency: Currency::CNY, sum: 1 }, 1),
        (Difference::MarksDiffer { what: "balances" }, 2),
        (Difference::MarksDiffer { what: "bills" }, 10),
        (Difference::MarksDiffer { what: "transfers" }, 12),
        (Difference::TransferUnbooked { key }, 12),
    ] {
        let mut uneven = shard(100, None, None);
        uneven.differences.push(difference);
        expect("a shard's own law", &cuts(live(vec![]), uneven, live(vec![])), &[invariant]);
    }
}

#[test]
fn totals_tell_credits_at_once_from_those_by_the_queue() {
    let shares = vec![
        share(10, CreditState::Credited, 100, 120),
        share(10, CreditState::Collected, 100, 700),
        share(10, CreditState::Queued, 4900, 4950),
    ];
    let report = check(&Cuts { after: vec![group(Phase::Live, 0, shares)], ..Cuts::default() });
    assert_eq!((report.packets, report.credits_now, report.credits_queued), (1, 1, 2));
    assert_eq!(report.longest_wait_ms, 600);
}

#[test]
fn what_crossed_agrees_to_the_last_payment_where_nothing_moves() {
    let (sender, receiver) = (GroupId(1), GroupId(2));
    let trail = |count| Trail { count, sum: i128::from(count) * 5, ..Trail::default() };
    let side = |peer, is_sender: bool, count| {
        let mut audit = shard(0, None, None);
        let (pair, sum) = ((peer, Currency::CNY), i64::try_from(count).expect("small") * 5);
        let trails = if is_sender { &mut audit.facts.sent } else { &mut audit.facts.received };
        trails.insert(pair, trail(count));
        audit.facts.clearing.insert(pair, LedgerFen(if is_sender { sum } else { -sum }));
        audit
    };
    let table = [
        (3, 3, 0, true, &[][..]),
        // One waits to be carried.
        (3, 2, 1, true, &[]),
        // It was carried to a copy that is lost.
        (3, 2, 0, true, &[1]),
        (3, 2, 0, false, &[]),
        (2, 3, 0, false, &[]),
        (2, 3, 0, true, &[1]),
    ];
    for (sent, received, waiting, is_at_rest, broken) in table {
        let shards = [(sender, side(receiver, true, sent)), (receiver, side(sender, false, received))].into();
        let waiting = [((sender, receiver), waiting)].into();
        let cuts = Cuts { shards, is_at_rest, waiting, ..Cuts::default() };
        expect(&format!("{sent} sent, {received} received, at rest: {is_at_rest}"), &cuts, broken);
    }
}
