//! Laws of the patrol: it finds what is wrong while the shard goes on, and nothing that is not.
//!
//! Must never: give it a shard that stands still only.

use std::collections::BTreeMap;

use bytes::Bytes;
use ledger::{
    Account, AccountId, AccountKey, Difference, Fen, JournalNumber, Part, Patrol, SealedPage, StoredTransfer,
    TransferId, TransferKey,
};
use machine::{Key, Layout};
use proptest::prelude::*;

use crate::shard::{ANN, BEN, HERE, SHOP, Shard, THERE, fund, hold, pay, post, remit, transfer};

type Rows = BTreeMap<Key, Bytes>;

/// Sixty entries: bills with rows of their own, a packet, a payment to another shard.
fn shard() -> Shard {
    let mut shard = Shard::furnished(HERE);
    for verb in [fund(2, BEN, 500), pay(4, 1, ANN, 300), remit(5, ANN, BEN, THERE, 10), hold(6, BEN, ANN, 5, 1_000)] {
        shard.one(verb).expect("the evening is in order");
    }
    shard.one(post(7, 6, BEN, ANN, None)).expect("posted");
    for id in 100..155 {
        shard.one(transfer(id, ANN, SHOP, 1)).expect("Ann has enough");
    }
    shard
}

fn key(tag: u8, name: &impl Layout) -> Key {
    Key::from([vec![tag], name.to_bytes().to_vec()].concat())
}

fn found(damage: impl FnOnce(&mut Rows)) -> Vec<Difference> {
    let mut shard = shard();
    let mut rows: Rows = shard.store.rows().map(|(key, value)| (key.clone(), value.clone())).collect();
    damage(&mut rows);
    shard.store.replace(rows, BTreeMap::new());
    crate::shard::patrol(&shard.store, 3).differences
}

fn change<T: Layout>(rows: &mut Rows, key: &Key, change: impl FnOnce(&mut T)) {
    let row = rows.get_mut(key).expect("the row is there");
    let mut value = T::from_bytes(row).expect("the row decodes");
    change(&mut value);
    *row = value.to_bytes();
}

#[test]
fn the_patrol_finds_every_kind_of_damage() {
    let ben = key(0x10, &AccountKey::Customer(AccountId(BEN)));
    let marks = |what| Difference::MarksDiffer { what };
    assert_eq!(found(|_| ()), []);
    assert_eq!(found(|rows| change::<Account>(rows, &ben, |row| row.balance = Fen(1))), [marks("balances")]);
    assert_eq!(found(|rows| drop(rows.remove(&ben))), [marks("balances"), marks("bills")]);
    let chunk = |rows: &Rows| rows.keys().find(|key| key.first() == Some(&0x16)).cloned().expect("a bill has rows");
    assert_eq!(found(|rows| drop(rows.remove(&chunk(rows)))), [marks("bills")]);
    let own = key(0x11, &TransferKey::Own(TransferId(120)));
    assert_eq!(found(|rows| drop(rows.remove(&own))), [marks("transfers")]);
    let wrong = |stored: &mut StoredTransfer| stored.done = ledger::Done::Booked(JournalNumber(3));
    assert_eq!(found(|rows| change(rows, &own, wrong)), [marks("transfers")]);
    let page = JournalNumber(2);
    let entry = |rows: &mut Rows| {
        change::<SealedPage>(rows, &key(0x14, &page), |page| {
            let mut entries = page.entries().expect("the page decodes");
            entries[0].credit_balance = Fen(501);
            page.body = SealedPage::body_of(entries[0].at, &entries);
        });
    };
    assert_eq!(found(entry), [Difference::ChainBroken { last: page }, marks("balances")]);
    let gap = found(|rows| drop(rows.remove(&key(0x14, &page))));
    assert_eq!(gap.first(), Some(&Difference::JournalGap { expected: page, found: JournalNumber(3) }));
    let below = found(|rows| change::<Account>(rows, &ben, |row| row.balance = Fen(-1)));
    assert!(matches!(below.first(), Some(Difference::BelowZero { .. })), "{below:?}");
}

#[test]
fn an_audit_in_parts_finds_what_a_whole_one_finds() {
    let mut shard = shard();
    let mut rows: Rows = shard.store.rows().map(|(key, value)| (key.clone(), value.clone())).collect();
    let ben = AccountKey::Customer(AccountId(BEN));
    change::<Account>(&mut rows, &key(0x10, &ben), |account| account.balance = Fen(1));
    shard.store.replace(rows, BTreeMap::new());
    let of = 7;
    let parts: Vec<_> =
        (0..of).map(|index| shard.view().audit_part(Part { index, of }).expect("rows decode")).collect();
    let naming = |differences: &[Difference]| {
        differences.iter().filter(|one| matches!(one, Difference::BalanceDiffers { .. })).copied().collect::<Vec<_>>()
    };
    let whole = shard.audit();
    let named: Vec<_> = parts.iter().flat_map(|part| naming(&part.differences)).collect();
    assert_eq!(named, naming(&whole.differences));
    assert_eq!(named.len(), 1);
    let escrows: usize = parts.iter().map(|part| part.facts.escrows.len()).sum();
    assert_eq!(escrows, whole.facts.escrows.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_comes_between_two_slices_raises_no_alarm(
        steps in prop::collection::vec((0_u8..6, 1_usize..4), 30..400),
        budget in 1_usize..9,
    ) {
        let mut shard = shard();
        let (mut patrol, mut rounds) = (Patrol::default(), 0);
        let mut ids = 1_000_u128..;
        for (what, count) in steps {
            for _ in 0..count {
                let id = ids.next().expect("endless");
                let answer = match what {
                    0 => shard.one(fund(id, ANN, 5)),
                    1 => shard.one(transfer(id, ANN, BEN, 1)),
                    2 => shard.one(transfer(id, BEN, SHOP, 1)),
                    3 => shard.one(crate::shard::open(id, ledger::Currency::CNY)),
                    4 => shard.one(fund(id, id.saturating_sub(1), 1)),
                    _ => Ok(ledger::Done::Opened),
                };
                let _ = answer;
            }
            if let Some(round) = patrol.go_on(&shard.store, budget).expect("rows decode") {
                prop_assert_eq!(round.differences, []);
                patrol = Patrol::default();
                rounds += 1;
            }
        }
        let last = loop {
            if let Some(round) = patrol.go_on(&shard.store, budget).expect("rows decode") {
                break round;
            }
        };
        prop_assert_eq!(last.differences, []);
        prop_assert!(rounds < 400);
    }
}
