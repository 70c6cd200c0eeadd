//! Laws of credits between two shards: each arrives once, whatever the courier does.
//!
//! Must never: count on the courier bringing a record once or in order.

use std::collections::BTreeMap;

use bytes::Bytes;
use ledger::limits::{AMOUNT_FEN_MAX, BALANCE_FEN_MAX};
use ledger::{
    AccountKey, BillQuery, Carried, CourierRecord, Currency, Difference, Done, Facts, Fen, JournalNumber, Refusal,
    reconcile,
};
use machine::{Delivery, GroupId, Layout, System, Track};
use proptest::prelude::*;

use crate::shard::{
    ANN, BEN, DAN, EVE, HERE, NOBODY, SHOP, Shard, THERE, announce, booked, credit, fund, pay, refused, remit,
    restrict, retry, share, transfer, withdraw,
};

pub(crate) struct Pair {
    pub(crate) shards: BTreeMap<GroupId, Shard>,
}

impl Pair {
    /// Two shards; in each, Ann paid 900 fen into packet = the group's number.
    pub(crate) fn new() -> Self {
        let shards = [HERE, THERE].map(|group| {
            let mut shard = Shard::furnished(group);
            shard.one(pay(2, u128::from(group.0), ANN, 900)).expect("the packet is paid");
            (group, shard)
        });
        Self { shards: BTreeMap::from(shards) }
    }

    pub(crate) fn at(&mut self, group: GroupId) -> &mut Shard {
        self.shards.get_mut(&group).expect("one of the two")
    }

    fn send(&mut self, source: GroupId, number: u32, account: u128, fen: i64) -> ledger::Answer {
        let target = other(source);
        self.at(source).one(credit(share(u128::from(source.0), number), ANN, account, target, fen))
    }

    fn waiting(&mut self, source: GroupId) -> (u64, Vec<Bytes>) {
        let shard = self.at(source);
        let records = shard.host.courier_records(other(source), 1 << 20, &shard.store).expect("records read");
        let first = records.first().map_or(1, |record| record.sequence);
        (first, records.into_iter().map(|record| record.bytes).collect())
    }

    fn deliver(&mut self, source: GroupId, first: u64, records: Vec<Bytes>) -> Delivery {
        let reply = self.at(other(source)).system(System::Deliver {
            source,
            track: Track::default(),
            epoch: 1,
            first,
            records,
        });
        Delivery::from_bytes(&reply).expect("a delivery is answered in its layout")
    }

    fn acknowledge(&mut self, source: GroupId, upto: u64) {
        self.at(source).system(System::Acknowledge { target: other(source).into(), upto });
    }

    pub(crate) fn deliver_all(&mut self) {
        for source in [HERE, THERE] {
            let (first, records) = self.waiting(source);
            let delivery = self.deliver(source, first, records);
            assert_eq!(delivery.refused, None);
            self.acknowledge(source, delivery.applied);
        }
    }

    fn facts(&self) -> BTreeMap<GroupId, Facts> {
        self.shards.iter().map(|(group, shard)| (*group, shard.audit().facts)).collect()
    }

    /// Every shard by itself, and both together: no fen is lost or made.
    pub(crate) fn check(&self) {
        for shard in self.shards.values() {
            shard.check();
        }
        let all = reconcile(&self.facts());
        assert_eq!(all.differences, []);
        let under_way: i128 = all.under_way.values().flatten().map(|(_, fen)| i128::from(fen.0)).sum();
        let held = |facts: &Facts| {
            facts.sums.get(&Currency::CNY).map_or(0, |sums| sums.customers + sums.escrow + sums.suspense)
        };
        let everywhere: i128 = self.facts().values().map(held).sum();
        assert_eq!(all.issued.get(&Currency::CNY), Some(&(everywhere + under_way)));
    }
}

fn other(group: GroupId) -> GroupId {
    if group == HERE { THERE } else { HERE }
}

#[test]
fn a_credit_crosses_shards_once() {
    let mut pair = Pair::new();
    pair.at(THERE).one(announce(BEN, HERE, share(1, 1), 250)).expect("announced");
    for _ in 0..2 {
        assert_eq!(pair.send(HERE, 1, BEN, 250), Ok(Done::Sent(JournalNumber(3))));
    }
    pair.check();
    let clearing = |pair: &mut Pair, group| {
        let key = AccountKey::Clearing(other(group), Currency::CNY);
        pair.at(group).account(key).map(|account| account.balance)
    };
    assert_eq!(clearing(&mut pair, HERE), Some(Fen(250)));
    let (first, records) = pair.waiting(HERE);
    for _ in 0..3 {
        let delivery = pair.deliver(HERE, first, records.clone());
        assert_eq!(delivery, Delivery { applied: 1, refused: None });
        assert_eq!(pair.at(THERE).balance(BEN), 250);
        pair.check();
    }
    assert_eq!(clearing(&mut pair, THERE), Some(Fen(-250)));
    assert_eq!(pair.at(THERE).host.machine().counts().claims, 0);
    pair.acknowledge(HERE, 1);
    assert_eq!(pair.waiting(HERE).1.len(), 0);
    assert_eq!(pair.send(HERE, 1, BEN, 250), Ok(Done::Sent(JournalNumber(3))), "a repeat sends nothing");
    assert_eq!(pair.waiting(HERE).1.len(), 0);
    let late = announce(BEN, HERE, share(1, 1), 250);
    assert_eq!(pair.at(THERE).one(late), booked(3));
    pair.check();
}

#[test]
fn a_source_that_sends_again_under_a_new_epoch_pays_nothing_twice() {
    let mut pair = Pair::new();
    pair.send(HERE, 1, BEN, 250).expect("sent");
    let (_, records) = pair.waiting(HERE);
    pair.deliver(HERE, 1, records.clone());
    let reply =
        pair.at(THERE).system(System::Deliver { source: HERE, track: Track::default(), epoch: 2, first: 1, records });
    assert_eq!(Delivery::from_bytes(&reply), Ok(Delivery { applied: 1, refused: None }));
    assert_eq!(pair.at(THERE).balance(BEN), 250);
    pair.check();
}

#[test]
fn a_credit_that_cannot_land_is_parked_and_holds_up_nobody() {
    let mut pair = Pair::new();
    for (number, account) in [(1, NOBODY), (2, BEN), (3, EVE), (4, DAN)] {
        pair.send(HERE, number, account, 100).expect("sent");
    }
    pair.deliver_all();
    assert_eq!(pair.at(THERE).balance(BEN), 100);
    let parked = pair.at(THERE).view().parked(JournalNumber(0), 10).expect("parked rows decode");
    let reasons: Vec<Refusal> = parked.iter().map(|(_, credit)| credit.reason).collect();
    assert_eq!(reasons, [Refusal::CreditUnknown, Refusal::CreditClosed, Refusal::CurrencyMismatch]);
    pair.check();
    let (number, _) = parked[0];
    pair.at(THERE).one(retry(20, number.0, SHOP)).expect("an operator lands it");
    assert_eq!(pair.at(THERE).balance(SHOP), 100);
    pair.check();
}

#[test]
fn a_full_account_parks_what_comes_from_elsewhere() {
    let mut pair = Pair::new();
    let there = pair.at(THERE);
    let full = u128::try_from(BALANCE_FEN_MAX / AMOUNT_FEN_MAX).expect("a positive limit");
    there.batch((0..full - 1).map(|n| (false, fund(100 + n, BEN, AMOUNT_FEN_MAX))).collect());
    there.one(fund(50, BEN, AMOUNT_FEN_MAX - 1_000)).expect("up to the limit");
    pair.send(HERE, 1, BEN, 900).expect("sent");
    pair.deliver_all();
    let here = pair.at(HERE);
    here.one(fund(50, ANN, 1_000)).expect("funded");
    here.one(pay(51, 9, ANN, 1_000)).expect("the packet is paid");
    here.one(credit(share(9, 1), ANN, BEN, THERE, 101)).expect("sent");
    pair.deliver_all();
    let parked = pair.at(THERE).view().parked(JournalNumber(0), 10).expect("parked rows decode");
    assert_eq!(parked.iter().map(|(_, credit)| credit.reason).collect::<Vec<_>>(), [Refusal::BalanceLimit]);
    let number = parked[0].0.0;
    assert_eq!(pair.at(THERE).one(retry(60, number, BEN)), Err(Refusal::BalanceLimit));
    pair.at(THERE).one(withdraw(61, BEN, 1)).expect("money can leave");
    assert!(pair.at(THERE).one(retry(60, number, BEN)).is_ok());
    pair.check();
}

#[test]
fn what_is_no_credit_from_its_source_stays_at_its_source() {
    let mut pair = Pair::new();
    pair.send(HERE, 1, BEN, 10).expect("sent");
    let (_, records) = pair.waiting(HERE);
    let forged = CourierRecord::Payment {
        source: GroupId(9),
        what: Carried::Share(share(1, 2)),
        from: ledger::AccountId(ANN),
        account: ledger::AccountId(BEN),
        money: ledger::Money::cny(5),
        code: 0,
        memo: 0,
        serial: 2,
    };
    let shard = pair.at(HERE);
    let paid = shard.host.courier_records(GroupId::OUTSIDE, 1 << 20, &shard.store).expect("records read");
    for wrong in [forged.to_bytes(), paid[0].bytes.clone(), Bytes::from_static(&[99])] {
        let delivery = pair.deliver(HERE, 1, vec![records[0].clone(), wrong]);
        assert_eq!(delivery.applied, 1);
        assert!(delivery.refused.is_some());
    }
    assert_eq!(pair.at(THERE).balance(BEN), 10);
    pair.check();
}

#[test]
fn a_shard_read_too_early_or_late_raises_no_alarm_and_a_changed_credit_does() {
    let mut pair = Pair::new();
    pair.send(HERE, 1, BEN, 10).expect("sent");
    pair.deliver_all();
    let early = pair.facts();
    pair.send(HERE, 2, BEN, 20).expect("sent");
    pair.deliver_all();
    let late = pair.facts();
    for (here, there) in [(&early, &late), (&late, &early), (&late, &late)] {
        let mixed = BTreeMap::from([(HERE, here[&HERE].clone()), (THERE, there[&THERE].clone())]);
        assert_eq!(reconcile(&mixed).differences, []);
    }
    let mut changed = late.clone();
    let facts = changed.get_mut(&THERE).expect("one of the two");
    let trail = facts.received.get_mut(&(HERE, Currency::CNY)).expect("two were received");
    trail.payments.insert(2, (Carried::Share(share(1, 2)), Fen(21)));
    trail.sum += 1;
    assert_eq!(
        reconcile(&changed).differences,
        [
            Difference::CourierDiffers { source: HERE, target: THERE, serial: 2 },
            Difference::ClearingDiffers { group: THERE, peer: HERE, currency: Currency::CNY },
        ]
    );
}

#[test]
fn a_payment_crosses_shards_once_and_is_on_both_bills() {
    let mut pair = Pair::new();
    for _ in 0..2 {
        assert_eq!(pair.at(HERE).one(remit(20, ANN, BEN, THERE, 60)), Ok(Done::Sent(JournalNumber(3))));
    }
    assert_eq!(pair.at(HERE).one(transfer(20, ANN, BEN, 60)), refused(Refusal::IdReused));
    pair.check();
    let (first, records) = pair.waiting(HERE);
    for _ in 0..3 {
        assert_eq!(pair.deliver(HERE, first, records.clone()), Delivery { applied: 1, refused: None });
    }
    pair.acknowledge(HERE, 1);
    assert_eq!((pair.at(HERE).balance(ANN), pair.at(THERE).balance(BEN)), (40, 60));
    let line = |pair: &mut Pair, group, account| {
        let page =
            pair.at(group).view().bill(ledger::AccountId(account), &BillQuery { limit: 1, ..BillQuery::default() });
        page.expect("bill rows decode").lines.first().map(|line| (line.change.0, line.balance.0, line.entry.code))
    };
    assert_eq!((line(&mut pair, HERE, ANN), line(&mut pair, THERE, BEN)), (Some((-60, 40, 7)), Some((60, 60, 7))));
    pair.check();
}

#[test]
fn a_payment_that_cannot_land_comes_back_with_the_reason() {
    let mut pair = Pair::new();
    pair.at(THERE).one(restrict(SHOP, 5, false)).expect("bounded");
    let table = [
        (20, NOBODY, Refusal::CreditUnknown),
        (21, EVE, Refusal::CreditClosed),
        (22, DAN, Refusal::CurrencyMismatch),
        (23, SHOP, Refusal::CeilingReached),
    ];
    for (id, account, _) in table {
        pair.at(HERE).one(remit(id, ANN, account, THERE, 10)).expect("sent");
    }
    assert_eq!(pair.at(HERE).balance(ANN), 60);
    pair.deliver_all();
    assert_eq!(pair.at(HERE).balance(ANN), 100, "all came back");
    assert_eq!((pair.at(HERE).host.machine().counts().parked, pair.at(THERE).host.machine().counts().parked), (0, 0));
    let bill = pair.at(HERE).view().bill(ledger::AccountId(ANN), &BillQuery { limit: 4, ..BillQuery::default() });
    let codes: Vec<u16> = bill.expect("bill rows decode").lines.iter().rev().map(|line| line.entry.code).collect();
    assert_eq!(codes, table.map(|(_, _, reason)| reason.number()));
    pair.check();
    assert!(reconcile(&pair.facts()).under_way.is_empty());
}

#[test]
fn a_return_to_a_closed_account_is_parked() {
    let mut pair = Pair::new();
    pair.at(HERE).one(fund(30, SHOP, 10)).expect("funded");
    pair.at(HERE).one(remit(20, SHOP, NOBODY, THERE, 10)).expect("sent");
    pair.at(HERE).one(ledger::Verb::Close(ledger::AccountId(SHOP))).expect("it is empty");
    pair.deliver_all();
    let parked = pair.at(HERE).view().parked(JournalNumber(0), 10).expect("parked rows decode");
    let found: Vec<_> = parked.iter().map(|(_, credit)| (credit.what, credit.reason)).collect();
    assert_eq!(found, [(Carried::Return(ledger::TransferId(20)), Refusal::CreditClosed)]);
    pair.check();
    let number = parked[0].0.0;
    pair.at(HERE).one(retry(31, number, BEN)).expect("an operator lands it");
    pair.check();
}

#[derive(Clone, Debug)]
enum Move {
    Remit {
        source: GroupId,
        account: u128,
        fen: i64,
    },
    Send {
        source: GroupId,
        account: u128,
        fen: i64,
    },
    /// Delivers records from `skip` behind the first that waits, `count` of them; then perhaps acknowledges.
    Deliver {
        source: GroupId,
        skip: usize,
        count: usize,
        is_acknowledged: bool,
    },
}

fn moves() -> impl Strategy<Value = Move> {
    let group = || prop_oneof![Just(HERE), Just(THERE)];
    let account = prop_oneof![Just(ANN), Just(BEN), Just(SHOP), Just(EVE), Just(NOBODY)];
    let payee = prop_oneof![Just(BEN), Just(SHOP), Just(EVE), Just(NOBODY)];
    prop_oneof![
        (group(), payee, 1_i64..30).prop_map(|(source, account, fen)| Move::Remit { source, account, fen }),
        (group(), account, 1_i64..60).prop_map(|(source, account, fen)| Move::Send { source, account, fen }),
        (group(), 0_usize..3, 0_usize..5, any::<bool>())
            .prop_map(|(source, skip, count, is_acknowledged)| Move::Deliver { source, skip, count, is_acknowledged }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_fen_is_lost_or_made_between_shards(moves in prop::collection::vec(moves(), 1..40)) {
        let mut pair = Pair::new();
        let mut numbers = 0_u32..;
        for step in moves {
            match step {
                Move::Send { source, account, fen } => {
                    let number = numbers.next().expect("endless");
                    let answer = pair.send(source, number, account, fen);
                    prop_assert!(matches!(answer, Ok(Done::Sent(_)) | Err(Refusal::EscrowShort)));
                }
                Move::Remit { source, account, fen } => {
                    let id = u128::from(numbers.next().expect("endless")) + 1_000;
                    let answer = pair.at(source).one(remit(id, ANN, account, other(source), fen));
                    prop_assert!(matches!(answer, Ok(Done::Sent(_)) | Err(Refusal::InsufficientFunds)));
                }
                Move::Deliver { source, skip, count, is_acknowledged } => {
                    let (first, records) = pair.waiting(source);
                    let some: Vec<Bytes> = records.into_iter().skip(skip).take(count).collect();
                    let delivery = pair.deliver(source, first + skip as u64, some);
                    if is_acknowledged {
                        pair.acknowledge(source, delivery.applied);
                    }
                }
            }
            pair.check();
        }
        // What came to its shard in the first round may go back in the second.
        pair.deliver_all();
        pair.deliver_all();
        pair.check();
        prop_assert!(reconcile(&pair.facts()).under_way.is_empty());
    }
}
