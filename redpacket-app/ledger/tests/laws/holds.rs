//! Laws of holds.
//!
//! Must never: depend on when a tick comes.

use ledger::{Done, Refusal, TransferId};

use crate::shard::{ANN, BEN, HERE, SHOP, Shard, booked, hold, post, refused, transfer, void};

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
    assert_eq!(shard.one(post(5, 2, ANN, BEN, None)), refused(Refusal::HoldEnded));
    assert_eq!(shard.one(void(6, 2, ANN, BEN)), refused(Refusal::HoldEnded));
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
    use ledger::{AccountId, Command, DueHold, Reply};
    let mut shard = Shard::furnished(HERE);
    shard.one(hold(2, ANN, BEN, 800, 1_000)).expect("held");
    let due =
        |hold, debit, credit| DueHold { hold: TransferId(hold), debit: AccountId(debit), credit: AccountId(credit) };
    let early = Command::Tick(vec![due(2, ANN, BEN)]);
    assert_eq!(shard.run(&early), Reply::Ticked(0), "not due by the entry's stamp");
    shard.now += 1_000;
    let wrong = Command::Tick(vec![due(2, ANN, SHOP), due(9, ANN, BEN)]);
    assert_eq!(shard.run(&wrong), Reply::Ticked(0));
    assert_eq!(shard.run(&Command::Tick(vec![due(2, ANN, BEN), due(2, ANN, BEN)])), Reply::Ticked(1));
    shard.check();
}
