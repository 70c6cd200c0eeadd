//! Laws of allowances: what may be paid into packets at once and within a day, and what a limit never touches.
//!
//! Must never: depend on the wall: days are those of the entries' stamps.

use ledger::{AccountId, Allowance, Command, Done, Fen, Refusal, Verb};
use machine::{Layout, TimestampMs};
use proptest::prelude::*;

use crate::shard::{
    ANN, BEN, HERE, Shard, booked, fund, hex, hold, limit, pay, refund, refused, settle, transfer, withdraw,
};

const HOUR: u64 = 3_600_000;
/// Midnight in China, of some day.
const MIDNIGHT: u64 = 100 * 24 * HOUR - 8 * HOUR;

fn spent(shard: &Shard, account: u128) -> i64 {
    let allowance = shard.view().allowance(AccountId(account)).expect("allowance rows decode");
    allowance.map_or(0, |allowance| allowance.spent_on(TimestampMs(shard.now)).0)
}

#[test]
fn a_day_begins_at_midnight_in_china() {
    let mut shard = Shard::furnished(HERE);
    shard.one(limit(ANN, 0, 100)).expect("the limit is set");
    let table = [
        // hours since midnight, order, fen, answer, spent on that day then
        (0, 11, 60, Ok(()), 60),
        (23, 12, 41, Err(Refusal::DayLimit), 60),
        (23, 12, 40, Ok(()), 100),
        (23, 13, 1, Err(Refusal::DayLimit), 100),
        (24, 13, 1, Ok(()), 1),
        (49, 14, 100, Ok(()), 100),
    ];
    for (hours, order, fen, expected, after) in table {
        shard.now = MIDNIGHT + hours * HOUR;
        assert_eq!(shard.one(pay(order, order, ANN, fen)).map(drop), expected, "{order} at {hours}");
        assert_eq!(spent(&shard, ANN), after, "{order} at {hours}");
    }
    shard.check();
}

#[test]
fn a_repeat_spends_nothing_and_a_refund_gives_nothing_back() {
    let mut shard = Shard::furnished(HERE);
    shard.one(limit(ANN, 50, 60)).expect("the limit is set");
    for _ in 0..3 {
        assert_eq!(shard.one(pay(11, 11, ANN, 50)), booked(2));
    }
    assert_eq!(spent(&shard, ANN), 50);
    shard.one(refund(11, ANN, 50)).expect("it goes back");
    assert_eq!(shard.one(pay(12, 12, ANN, 11)), refused(Refusal::DayLimit));
    // A refused payment may still come, another day: its order was not used up.
    shard.now += 48 * HOUR;
    assert_eq!(shard.one(pay(12, 12, ANN, 11)), booked(4));
    assert_eq!(shard.one(settle(12)), booked(4));
    shard.check();
}

#[test]
fn a_limit_binds_packets_alone_and_can_be_lifted() {
    let mut shard = Shard::furnished(HERE);
    shard.one(pay(11, 11, ANN, 100)).expect("without a limit anything goes");
    assert_eq!(shard.one(limit(ANN, 10, 10)), Ok(Done::Restricted));
    for other in
        [transfer(20, ANN, BEN, 100), hold(21, ANN, BEN, 100, 1_000), withdraw(22, ANN, 100), fund(23, ANN, 100)]
    {
        shard.one(other).expect("it is no packet");
    }
    assert_eq!(shard.one(pay(12, 12, ANN, 11)), refused(Refusal::PaymentLimit));
    shard.one(pay(12, 12, ANN, 10)).expect("just as much as it may");
    shard.one(limit(ANN, 0, 15)).expect("another limit");
    assert_eq!(shard.one(pay(13, 13, ANN, 6)), refused(Refusal::DayLimit), "what was paid today stays paid");
    shard.one(limit(ANN, 0, 0)).expect("no limit any more");
    shard.one(pay(13, 13, ANN, 300)).expect("anything goes");
    shard.check();
}

#[test]
fn a_chain_that_is_dropped_spends_nothing() {
    let mut shard = Shard::furnished(HERE);
    shard.one(limit(ANN, 0, 100)).expect("the limit is set");
    let answers = shard.batch(vec![(true, pay(11, 11, ANN, 60)), (false, pay(12, 12, ANN, 60))]);
    assert_eq!(answers, [refused(Refusal::LinkedFailed), refused(Refusal::DayLimit)]);
    assert_eq!((spent(&shard, ANN), shard.balance(ANN)), (0, 1_000));
    let answers = shard.batch(vec![(true, pay(11, 11, ANN, 60)), (false, pay(12, 12, ANN, 40))]);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(spent(&shard, ANN), 100);
    shard.check();
}

#[test]
fn the_command_and_the_row_have_their_bytes() {
    let Verb::Limit(body) = limit(ANN, 5, 6) else { panic!("it is one") };
    let command = Command::One(Verb::Limit(body));
    assert_eq!(hex(&command), format!("12{}0a0c", "0".repeat(31) + "1"));
    assert_eq!(Command::from_bytes(&command.to_bytes()), Ok(command));
    let row = Allowance { payment_max: Fen(5), day_max: Fen(6), day: 7, spent: Fen(8) };
    assert_eq!(hex(&row), "010a0c0710");
    assert_eq!(Allowance::from_bytes(&row.to_bytes()), Ok(row));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_day_sees_more_than_its_limit_and_no_fen_is_lost(
        steps in proptest::collection::vec((0_u64..30, 1_i64..80, 0_i64..3), 1..40),
    ) {
        let mut shard = Shard::furnished(HERE);
        shard.now = MIDNIGHT;
        shard.one(limit(ANN, 50, 120)).expect("the limit is set");
        let mut days: std::collections::BTreeMap<u64, i64> = std::collections::BTreeMap::new();
        for (number, (hours, fen, kind)) in (100_u128..).zip(steps) {
            shard.now += hours * HOUR;
            let verb = if kind == 0 { transfer(number, ANN, BEN, fen) } else { pay(number, number, ANN, fen) };
            if shard.one(verb).is_ok() && kind > 0 {
                prop_assert!(fen <= 50);
                *days.entry((shard.now + 8 * HOUR) / (24 * HOUR)).or_default() += fen;
            }
        }
        prop_assert!(days.values().all(|paid| *paid <= 120), "{days:?}");
        let escrows: i64 = days.values().sum();
        prop_assert_eq!(shard.balance(ANN) + shard.balance(BEN) + escrows, 1_000);
        shard.check();
    }
}
