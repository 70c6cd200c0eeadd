//! An audit that cannot fail proves nothing: each kind of damage to the rows must be found, and named.
//!
//! Must never: pass over a damage because another one is found.

use std::collections::BTreeMap;

use bytes::Bytes;
use ledger::limits::BILL_CHUNK_LINES;
use ledger::{
    Account, AccountKey, Currency, Difference, Fen, JournalEntry, JournalNumber, LedgerView, SealedPage, TransferId,
    TransferKey,
};
use machine::{Key, Layout};

use crate::shard::{
    ANN, BEN, EVE, HERE, NOBODY, SHOP, Shard, THERE, announce, claim, credit, fund, hold, pay, share, transfer,
};

type Rows = BTreeMap<Key, Bytes>;

fn shard() -> Shard {
    let mut shard = Shard::furnished(HERE);
    for verb in [
        fund(2, BEN, 500),
        hold(3, ANN, BEN, 30, 60_000),
        pay(4, 1, ANN, 400),
        announce(BEN, THERE, share(9, 1), 100),
        credit(share(1, 1), ANN, BEN, THERE, 100),
        credit(share(1, 2), ANN, NOBODY, HERE, 100),
    ] {
        shard.one(verb).expect("the evening is in order");
    }
    // Enough lines for a row of the bill.
    for id in 100..100 + u128::from(BILL_CHUNK_LINES) {
        shard.one(transfer(id, ANN, SHOP, 1)).expect("Ann has enough");
    }
    shard
}

fn differences(damage: impl FnOnce(&mut Rows)) -> Vec<Difference> {
    let mut shard = shard();
    let mut rows: Rows = shard.store.rows().map(|(key, value)| (key.clone(), value.clone())).collect();
    damage(&mut rows);
    shard.store.replace(rows, BTreeMap::new());
    LedgerView::over(&shard.store).audit().expect("rows decode").differences
}

fn key(tag: u8, name: &impl Layout) -> Key {
    let mut key = vec![tag];
    key.extend_from_slice(&name.to_bytes());
    Key::from(key)
}

fn change<T: Layout>(rows: &mut Rows, key: &Key, change: impl FnOnce(&mut T)) {
    let row = rows.get_mut(key).expect("the row is there");
    let mut value = T::from_bytes(row).expect("the row decodes");
    change(&mut value);
    *row = value.to_bytes();
}

/// Changes an entry and leaves the link over it as it was. In these shards a page lies under its only entry's number.
fn change_entry(rows: &mut Rows, number: JournalNumber, change_it: impl FnOnce(&mut JournalEntry)) {
    change::<SealedPage>(rows, &key(0x14, &number), |page| {
        let mut entries = page.entries().expect("the page decodes");
        assert_eq!(entries.len(), 1);
        change_it(&mut entries[0]);
        page.body = SealedPage::body_of(entries[0].at, &entries);
    });
}

fn customer(account: u128) -> AccountKey {
    AccountKey::Customer(ledger::AccountId(account))
}

#[test]
fn undamaged_rows_hold() {
    assert_eq!(differences(|_| ()), []);
}

#[test]
fn a_changed_balance_is_found() {
    let found = differences(|rows| {
        change::<Account>(rows, &key(0x10, &customer(BEN)), |account| account.balance = Fen(501));
    });
    assert_eq!(
        found,
        [
            Difference::BalanceDiffers { account: customer(BEN), stored: Fen(501), folded: 500 },
            Difference::SumsDiffer { currency: Currency::CNY },
            Difference::SumNotZero { currency: Currency::CNY, sum: 1 },
        ]
    );
}

#[test]
fn a_changed_entry_breaks_the_fold_and_the_chain() {
    let number = JournalNumber(2);
    let found = differences(|rows| {
        change_entry(rows, number, |entry| entry.money.amount = Fen(501));
    });
    assert!(found.contains(&Difference::ChainBroken { last: number }), "{found:?}");
    assert!(found.contains(&Difference::BalanceNotFolded { account: customer(BEN), number }), "{found:?}");
    let quiet = differences(|rows| change_entry(rows, number, |entry| entry.code = 1));
    assert_eq!(quiet, [Difference::ChainBroken { last: number }]);
}

#[test]
fn a_removed_entry_is_a_gap() {
    let found = differences(|rows| drop(rows.remove(&key(0x14, &JournalNumber(2)))));
    assert!(found.contains(&Difference::JournalGap { expected: JournalNumber(2), found: JournalNumber(3) }));
    let found = differences(|rows| drop(rows.remove(&key(0x14, &JournalNumber(21)))));
    assert!(found.contains(&Difference::CountDiffers { what: "journal", stored: 21, counted: 20 }), "{found:?}");
}

#[test]
fn a_changed_link_breaks_the_chain() {
    let found = differences(|rows| {
        change::<SealedPage>(rows, &key(0x14, &JournalNumber(3)), |page| page.link = ledger::Link([9; 32]));
    });
    // The page does not follow the one before it, nor the next one this.
    assert_eq!(found, [3, 4].map(|last| Difference::ChainBroken { last: JournalNumber(last) }));
}

#[test]
fn a_customer_below_zero_is_found() {
    let found = differences(|rows| {
        change::<Account>(rows, &key(0x10, &customer(BEN)), |account| account.balance = Fen(-1));
    });
    assert!(found.contains(&Difference::BelowZero { account: customer(BEN), available: Fen(-1) }), "{found:?}");
}

#[test]
fn a_lost_account_is_found() {
    let found = differences(|rows| drop(rows.remove(&key(0x10, &customer(BEN)))));
    assert!(found.contains(&Difference::AccountMissing { account: customer(BEN) }), "{found:?}");
}

#[test]
fn a_closed_account_with_money_is_found() {
    let found = differences(|rows| {
        change::<Account>(rows, &key(0x10, &customer(EVE)), |account| account.balance = Fen(5));
    });
    assert!(found.contains(&Difference::ClosedNotEmpty { account: ledger::AccountId(EVE) }), "{found:?}");
}

#[test]
fn rows_that_are_lost_around_an_account_are_found() {
    let hold = TransferId(3);
    let deadline = |rows: &Rows| rows.keys().find(|key| key.first() == Some(&0x13)).cloned().expect("a hold waits");
    let bill = |rows: &Rows| rows.keys().find(|key| key.first() == Some(&0x16)).cloned().expect("a bill has lines");
    let what = |found: &[Difference]| -> Vec<String> {
        found
            .iter()
            .map(|one| match one {
                Difference::AccountCountDiffers { what, .. } | Difference::CountDiffers { what, .. } => {
                    (*what).to_owned()
                }
                other => other.to_string(),
            })
            .collect()
    };
    let found = differences(|rows| drop(rows.remove(&key(0x12, &hold))));
    assert_eq!(what(&found), ["deadlines", "held", "holds", "incoming", "holds", "holds"]);
    let found = differences(|rows| drop(rows.remove(&deadline(rows))));
    assert_eq!(what(&found), ["hold 3 has no deadline", "deadlines"]);
    let found = differences(|rows| drop(rows.remove(&bill(rows))));
    assert_eq!(what(&found), ["bills", "lines"]);
    let found = differences(|rows| drop(rows.remove(&key(0x17, &claim(BEN, THERE, share(9, 1))))));
    assert_eq!(what(&found), ["claims", "claims"]);
    let found = differences(|rows| drop(rows.remove(&key(0x18, &JournalNumber(5)))));
    assert_eq!(what(&found), ["parked", "currency 156: 100 in suspense, 0 parked"]);
}

#[test]
fn a_lost_or_wrong_transfer_is_found() {
    let own = TransferKey::Own(TransferId(2));
    let found = differences(|rows| drop(rows.remove(&key(0x11, &own))));
    let number = JournalNumber(2);
    assert_eq!(
        found,
        [
            Difference::CountDiffers { what: "transfers", stored: 21, counted: 20 },
            Difference::TransferLost { key: own, number }
        ]
    );
    assert_eq!(found[1].to_string(), "transfer 2 is lost: journal entry 2 has no transfer");
    let found = differences(|rows| {
        let other = rows.get(&key(0x11, &TransferKey::Own(TransferId(1)))).cloned().expect("the row is there");
        rows.insert(key(0x11, &own), other);
    });
    assert_eq!(found, [Difference::TransferUnbooked { key: own }]);
}

#[test]
fn a_forged_serial_between_shards_is_found() {
    let number = JournalNumber(4);
    let found = differences(|rows| change_entry(rows, number, |entry| entry.serial = 7));
    assert_eq!(found, [Difference::SerialGap { number }, Difference::ChainBroken { last: number }]);
}

#[test]
fn a_row_that_does_not_decode_is_an_error_and_not_a_finding() {
    let mut shard = shard();
    let mut rows: Rows = shard.store.rows().map(|(key, value)| (key.clone(), value.clone())).collect();
    rows.insert(key(0x10, &customer(BEN)), Bytes::from_static(&[77]));
    shard.store.replace(rows, BTreeMap::new());
    assert!(LedgerView::over(&shard.store).audit().is_err());
    assert!(shard.view().account(customer(BEN)).is_err());
}
