//! Laws of bills: all of an account's entries, in order, page by page.
//!
//! Must never: accept a line twice, or none.

use ledger::limits::{BILL_CHUNK_LINES, LINKED_ENTRIES_MAX};
use ledger::{AccountId, BillKind, BillOrder, BillQuery, Command, Fen, JournalNumber, Said};
use machine::TimestampMs;
use proptest::prelude::*;

use crate::shard::{ANN, BEN, HERE, SHOP, Shard, credit, fund, pay, refund, share, transfer, withdraw};

fn pages(shard: &Shard, order: BillOrder, limit: usize) -> Vec<Vec<(u64, i64, i64)>> {
    asked(shard, &BillQuery { order, limit, ..BillQuery::default() })
}

fn asked(shard: &Shard, query: &BillQuery) -> Vec<Vec<(u64, i64, i64)>> {
    let (mut pages, mut cursor) = (Vec::new(), None);
    loop {
        let query = BillQuery { cursor, ..query.clone() };
        let page = shard.view().bill(AccountId(ANN), &query).expect("bill rows decode");
        pages.push(page.lines.iter().map(|line| (line.number.0, line.change.0, line.balance.0)).collect());
        cursor = page.next;
        if cursor.is_none() {
            return pages;
        }
    }
}

#[test]
fn a_bill_pages_through_every_entry_once_from_either_end() {
    let mut shard = Shard::furnished(HERE);
    for id in 2..7 {
        shard.one(transfer(id, ANN, BEN, 10)).expect("paid");
        shard.one(transfer(id + 100, BEN, SHOP, 1)).expect("none of Ann's affair");
    }
    let all = [(1, 1_000, 1_000), (2, -10, 990), (4, -10, 980), (6, -10, 970), (8, -10, 960), (10, -10, 950)];
    for limit in 1..8 {
        assert_eq!(pages(&shard, BillOrder::OldestFirst, limit).concat(), all, "limit {limit}");
        let mut newest = pages(&shard, BillOrder::NewestFirst, limit).concat();
        newest.reverse();
        assert_eq!(newest, all, "limit {limit}");
    }
    assert_eq!(
        pages(&shard, BillOrder::NewestFirst, 4),
        [vec![(10, -10, 950), (8, -10, 960), (6, -10, 970), (4, -10, 980)], vec![(2, -10, 990), (1, 1_000, 1_000)],]
    );
    let nobody =
        shard.view().bill(AccountId(99), &BillQuery { limit: 5, ..BillQuery::default() }).expect("no rows decode");
    assert_eq!((nobody.lines.len(), nobody.next), (0, None));
}

#[test]
fn the_journal_reads_in_ranges_with_their_links() {
    let mut shard = Shard::furnished(HERE);
    for id in 2..7 {
        shard.one(transfer(id, ANN, BEN, 10)).expect("paid");
    }
    let page = shard.view().journal(JournalNumber(3), 2).expect("journal rows decode");
    assert_eq!(page.entries.iter().map(|(number, _)| number.0).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(page.links.iter().map(|(last, _)| last.0).collect::<Vec<_>>(), [3, 4]);
    let none = shard.view().journal(JournalNumber(30), 2).expect("no rows decode");
    assert!(none.entries.is_empty() && none.links.is_empty());
}

/// A bill of many kinds: six lines a round, ten milliseconds between rounds.
fn busy(rounds: u64) -> Shard {
    let mut shard = Shard::furnished(HERE);
    for round in 0..rounds {
        shard.now += 10;
        let id = u128::from(round) * 10 + 10;
        for verb in [
            fund(id, ANN, 100),
            transfer(id + 1, ANN, BEN, 5),
            pay(id + 2, id, ANN, 50),
            credit(share(id, 1), ANN, ANN, HERE, 20),
            refund(id, ANN, 30),
            withdraw(id + 3, ANN, 1),
            transfer(id + 4, BEN, SHOP, 1),
        ] {
            shard.one(verb).expect("the evening is in order");
        }
    }
    shard
}

#[test]
fn a_bill_is_read_by_time_and_kind() {
    let shard = busy(20);
    let all = pages(&shard, BillOrder::OldestFirst, 1_000).concat();
    assert_eq!(all.len(), 121);
    assert!(all.len() > 2 * usize::from(BILL_CHUNK_LINES), "the bill has rows of its own");
    let of_kind = |kind| {
        let query = BillQuery { kinds: vec![kind], limit: 7, ..BillQuery::default() };
        asked(&shard, &query).concat().into_iter().map(|(_, change, _)| change).collect::<Vec<_>>()
    };
    let table = [
        (BillKind::Funded, 100),
        (BillKind::Transfer, -5),
        (BillKind::Packet, -50),
        (BillKind::Credit, 20),
        (BillKind::Refund, 30),
        (BillKind::Withdrawn, -1),
    ];
    for (kind, change) in table {
        let mut wanted = vec![change; 20];
        wanted.extend((kind == BillKind::Funded).then_some(1_000));
        assert_eq!(of_kind(kind), wanted, "{kind:?}");
    }
    assert_eq!(of_kind(BillKind::Returned), Vec::<i64>::new());
    // Round n happened at 1,010 + 10 n.
    for (from, before, rounds) in
        [(1_010, 1_020, 1), (1_011, 1_041, 3), (1_200, 9_999, 1), (1_201, 9_999, 0), (0, 1_010, 0)]
    {
        let query = BillQuery {
            from: Some(TimestampMs(from)),
            before: Some(TimestampMs(before)),
            limit: 4,
            ..BillQuery::default()
        };
        for order in [BillOrder::NewestFirst, BillOrder::OldestFirst] {
            let lines = asked(&shard, &BillQuery { order, ..query.clone() }).concat();
            assert_eq!(lines.len(), rounds * 6 + usize::from(from == 0), "{from} to {before}");
        }
    }
}

#[test]
fn a_balance_is_known_for_every_instant() {
    let shard = busy(20);
    let at = |ms| shard.view().balance_at(AccountId(ANN), TimestampMs(ms)).expect("bill rows decode");
    assert_eq!((at(1_000), at(1_001), at(1_010)), (Fen(0), Fen(1_000), Fen(1_000)));
    for round in 0..20 {
        // A round leaves 100 - 5 - 50 + 20 + 30 - 1 fen.
        assert_eq!(at(1_011 + 10 * round), Fen(1_000 + 94 * (i64::try_from(round).expect("few") + 1)));
    }
    assert_eq!(at(u64::MAX), Fen(shard.balance(ANN)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_query_shows_what_a_walk_over_the_journal_shows(
        batches in prop::collection::vec((1_usize..90, 0_u64..4, 0_u128..3), 1..12),
        window in (0_u64..40, 0_u64..40),
        kinds in prop::sample::subsequence(BillKind::ALL.to_vec(), 0..3),
        (limit, is_newest_first) in (1_usize..40, any::<bool>()),
    ) {
        let mut shard = Shard::furnished(HERE);
        let mut ids = 100_u128..;
        for (count, pause, what) in batches {
            shard.now += pause;
            let steps = (0..count).map(|_| {
                let id = ids.next().expect("endless");
                (false, match what { 0 => fund(id, ANN, 3), 1 => transfer(id, ANN, BEN, 1), _ => transfer(id, BEN, SHOP, 1) })
            });
            shard.batch(steps.collect());
        }
        let journal = shard.view().journal(JournalNumber(1), 1_000).expect("the journal reads").entries;
        prop_assert!(journal.len() <= 1_000 && journal.len() <= 90 * 12 + usize::from(LINKED_ENTRIES_MAX));
        let (from, before) = (TimestampMs(1_000 + window.0), TimestampMs(1_000 + window.1));
        let mut wanted: Vec<u64> = journal
            .iter()
            .filter(|(_, entry)| entry.change_of(AccountId(ANN)).is_some() && entry.at >= from && entry.at < before)
            .filter(|(_, entry)| kinds.is_empty() || kinds.contains(&entry.kind()))
            .map(|(number, _)| number.0)
            .collect();
        let order = if is_newest_first { BillOrder::NewestFirst } else { BillOrder::OldestFirst };
        if is_newest_first {
            wanted.reverse();
        }
        let query = BillQuery { order, from: Some(from), before: Some(before), kinds, cursor: None, limit };
        let shown: Vec<u64> = asked(&shard, &query).concat().into_iter().map(|(number, ..)| number).collect();
        prop_assert_eq!(shown, wanted);
        shard.check();
    }
}

#[test]
fn what_is_published_never_goes_back_nor_beyond_the_journal() {
    let mut shard = Shard::furnished(HERE);
    for id in 2..5 {
        shard.one(transfer(id, ANN, BEN, 10)).expect("paid");
    }
    // Ann was funded by entry 1.
    for (asked, known) in [(2, 2), (1, 2), (9, 4), (0, 4)] {
        let said = shard.run(&Command::Published(JournalNumber(asked)));
        assert_eq!(said, Said::Published(JournalNumber(known)), "{asked}");
        shard.check();
    }
}
