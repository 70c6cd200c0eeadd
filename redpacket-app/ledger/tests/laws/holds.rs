//! Laws of holds.
//!
//! Must never: depend on when a tick comes.

use ledger::{Done, JournalNumber, Refusal, TransferId, TransferKey};

use crate::shard::{ANN, BEN, HERE, SHOP, Shard, booked, hold, post, refused, restrict, transfer, void};

#[test]
fn held_money_is_not_available_and_a_part_may_be_posted() {
    let mut shard = Shard::furnished(HERE);
    assert_eq!(shard.one(hold(2, ANN, BEN, 800, 1_000)), Ok(Done::Held));
    assert_eq!((shard.balance(ANN), shard.available(ANN)), (1_000, 200));
    assert_eq!(shard.one(transfer(3, ANN, SHOP, 201)), refused(Refusal::InsufficientFunds));
    shard.check();
    assert_eq!(shard.one(post(4, 2, ANN, BEN, Some(300))), booked(2));
    assert_eq!((shard.balance(ANN), shard.available(ANN), shard.balance(BEN)), (700, 700, 300));
    assert_eq!(shard.one(post(4, 2, ANN, BEN, Some(300))), booked(2));
    assert_eq!(shard.one(hold(2, ANN, BEN, 800, 1_000)), Ok(Done::Held), "a repeat is answered as before");
    let made = shard.view().transfer(TransferKey::Own(TransferId(2))).expect("transfer rows decode");
    assert_eq!(made.map(|made| made.done), Some(Done::Posted(JournalNumber(2))), "and it is known what became of it");
    assert_eq!(shard.one(post(5, 2, ANN, BEN, None)), refused(Refusal::HoldEnded));
    assert_eq!(shard.one(void(6, 2, ANN, BEN)), refused(Refusal::HoldEnded));
    shard.check();
}

#[test]
fn what_is_held_for_an_account_counts_in_its_ceiling() {
    let mut shard = Shard::furnished(HERE);
    shard.one(restrict(BEN, 100, false)).expect("bounded");
    assert_eq!(shard.one(hold(2, ANN, BEN, 60, 1_000)), Ok(Done::Held));
    assert_eq!(shard.one(transfer(3, ANN, BEN, 41)), refused(Refusal::CeilingReached));
    assert_eq!(shard.one(hold(3, ANN, BEN, 41, 1_000)), refused(Refusal::CeilingReached));
    assert_eq!(shard.one(transfer(3, ANN, BEN, 40)), booked(2));
    assert_eq!(shard.one(post(4, 2, ANN, BEN, None)), booked(3), "what is held has its place");
    assert_eq!(shard.one(transfer(5, ANN, BEN, 1)), refused(Refusal::CeilingReached));
    shard.one(restrict(BEN, 0, false)).expect("unbounded");
    assert_eq!(shard.one(transfer(5, ANN, BEN, 1)), booked(4));
    shard.check();
}

#[test]
fn a_frozen_account_pays_only_what_was_held_before() {
    let mut shard = Shard::furnished(HERE);
    shard.one(hold(2, ANN, BEN, 60, 1_000)).expect("held");
    for _ in 0..2 {
        assert_eq!(shard.one(restrict(ANN, 0, true)), Ok(Done::Restricted));
    }
    assert_eq!(shard.one(transfer(3, ANN, BEN, 1)), refused(Refusal::DebitFrozen));
    assert_eq!(shard.one(hold(3, ANN, BEN, 1, 1_000)), refused(Refusal::DebitFrozen));
    assert_eq!(shard.one(post(4, 2, ANN, BEN, Some(10))), booked(2));
    assert_eq!(shard.one(transfer(5, BEN, ANN, 10)), booked(3), "it may be credited");
    shard.one(restrict(ANN, 0, false)).expect("freed");
    assert_eq!(shard.one(transfer(3, ANN, BEN, 1)), booked(4));
    shard.check();
}

#[test]
fn a_voided_hold_pays_nothing() {
    let mut shard = Shard::furnished(HERE);
    shard.one(hold(2, ANN, BEN, 800, 1_000)).expect("held");
    assert_eq!(shard.one(void(3, 2, ANN, BEN)), Ok(Done::Voided));
    assert_eq!(shard.one(void(3, 2, ANN, BEN)), Ok(Done::Voided));
    assert_eq!((shard.available(ANN), shard.balance(BEN)), (1_000, 0));
    shard.check();
}

#[test]
fn a_hold_ends_by_the_stamp_and_a_tick_only_frees_the_money() {
    let mut shard = Shard::furnished(HERE);
    shard.one(hold(2, ANN, BEN, 800, 1_000)).expect("held");
    shard.one(hold(3, ANN, SHOP, 50, 5_000)).expect("held");
    shard.now += 999;
    assert_eq!(shard.tick(), 0);
    shard.now += 1;
    assert_eq!(shard.one(post(4, 2, ANN, BEN, None)), refused(Refusal::HoldEnded));
    assert_eq!(shard.available(ANN), 150, "not free before the tick");
    shard.check();
    assert_eq!(shard.tick(), 1);
    assert_eq!(shard.available(ANN), 950);
    assert_eq!(shard.tick(), 0);
    assert_eq!(shard.view().hold(TransferId(2)), Ok(None));
    assert_eq!(shard.one(post(4, 2, ANN, BEN, None)), refused(Refusal::HoldEnded));
    assert!(shard.view().hold(TransferId(3)).is_ok_and(|held| held.is_some()));
    shard.check();
}

#[test]
fn a_tick_passes_by_what_it_must_not_end() {
    use ledger::{AccountId, Command, DueHold, Said};
    let mut shard = Shard::furnished(HERE);
    shard.one(hold(2, ANN, BEN, 800, 1_000)).expect("held");
    let due =
        |hold, debit, credit| DueHold { hold: TransferId(hold), debit: AccountId(debit), credit: AccountId(credit) };
    let early = Command::Tick(vec![due(2, ANN, BEN)]);
    assert_eq!(shard.run(&early), Said::Ticked(0), "not due by the entry's stamp");
    shard.now += 1_000;
    let wrong = Command::Tick(vec![due(2, ANN, SHOP), due(9, ANN, BEN)]);
    assert_eq!(shard.run(&wrong), Said::Ticked(0));
    assert_eq!(shard.run(&Command::Tick(vec![due(2, ANN, BEN), due(2, ANN, BEN)])), Said::Ticked(1));
    shard.check();
}
