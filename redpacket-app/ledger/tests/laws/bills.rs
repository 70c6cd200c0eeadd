//! Laws of bills: all of an account's entries, in order, page by page.
//!
//! Must never: accept a line twice, or none.

use ledger::{AccountId, BillOrder, JournalNumber};

use crate::shard::{ANN, BEN, HERE, SHOP, Shard, transfer};

fn pages(shard: &Shard, order: BillOrder, limit: usize) -> Vec<Vec<(u64, i64, i64)>> {
    let (mut pages, mut cursor) = (Vec::new(), None);
    loop {
        let page = shard.view().bill(AccountId(ANN), order, cursor, limit).expect("bill rows decode");
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
    let nobody = shard.view().bill(AccountId(99), BillOrder::NewestFirst, None, 5).expect("no rows decode");
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
