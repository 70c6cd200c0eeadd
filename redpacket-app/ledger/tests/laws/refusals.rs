//! Every refusal, in its number, by the command that meets it.
//!
//! Must never: let a refused step leave a trace.

use bytes::Bytes;
use ledger::limits::{
    AMOUNT_FEN_MAX, BALANCE_FEN_MAX, BATCH_STEPS_MAX, CLAIMS_PER_ACCOUNT_MAX, CURRENCIES_MAX, DETAILS_BYTES_MAX,
    HOLD_MS_MAX, TICK_HOLDS_MAX,
};
use ledger::{AccountId, Answer, Command, Currency, DueHold, Money, Refusal, Said, Step, TransferId, Verb};
use machine::{GroupId, Layout};

use crate::shard::{
    ANN, BEN, DAN, EVE, HERE, NOBODY, SHOP, Shard, THERE, USD, announce, booked, credit, fund, hold, limit, open, pay,
    post, refund, refused, remit, restrict, retry, settle, share, transfer, void, withdraw,
};

/// A shard with something of everything: order 1 paid packet 1, order 9 cancelled, hold 10 alive, hold 11 voided, packet
/// 2 refunded, a credit parked by journal entry 5.
fn shard() -> Shard {
    let mut shard = Shard::furnished(HERE);
    for verb in [
        pay(1, 1, ANN, 300),
        pay(2, 2, ANN, 50),
        refund(2, ANN, 50),
        settle(9),
        hold(10, ANN, BEN, 100, 60_000),
        hold(11, ANN, BEN, 100, 60_000),
        void(12, 11, ANN, BEN),
        credit(share(1, 1), ANN, NOBODY, HERE, 30),
        open(FRED, Currency::CNY),
        fund(13, FRED, 85),
        restrict(FRED, 100, true),
        open(GIL, Currency::CNY),
        fund(14, GIL, 200),
        limit(GIL, 50, 60),
        pay(15, 15, GIL, 30),
    ] {
        shard.one(verb).expect("the table's beginning is in order");
    }
    shard
}

/// Frozen, with 85 fen of at most 100.
const FRED: u128 = 8;
/// May pay 50 fen at once and 60 a day, and has paid 30 of 200.
const GIL: u128 = 9;

fn in_dollars(verb: Verb) -> Verb {
    match verb {
        Verb::Fund(mut body) => {
            body.money.currency = USD;
            Verb::Fund(body)
        }
        Verb::Pay(mut body) => {
            body.money.currency = USD;
            Verb::Pay(body)
        }
        Verb::Credit(mut body) => {
            body.money.currency = USD;
            Verb::Credit(body)
        }
        Verb::Retry(mut body) => {
            body.currency = USD;
            Verb::Retry(body)
        }
        other => other,
    }
}

fn with_long_details(verb: Verb) -> Verb {
    let Verb::Pay(mut body) = verb else { return verb };
    body.details = Bytes::from(vec![0; DETAILS_BYTES_MAX + 1]);
    Verb::Pay(body)
}

fn refused_by_ids_and_bodies() -> Vec<(Verb, Refusal)> {
    use Refusal as R;
    vec![
        (fund(1, ANN, 999), R::IdReused),
        (withdraw(1, ANN, 1_000), R::IdReused),
        (pay(1, 1, ANN, 299), R::IdReused),
        (pay(1, 3, ANN, 300), R::IdReused),
        (credit(share(1, 1), ANN, BEN, HERE, 30), R::IdReused),
        (hold(10, ANN, BEN, 99, 60_000), R::IdReused),
        (refund(2, ANN, 49), R::AlreadyRefunded),
        (refund(2, BEN, 50), R::AlreadyRefunded),
        (pay(9, 3, ANN, 10), R::OrderCancelled),
        (fund(20, ANN, 0), R::AmountNotPositive),
        (fund(20, ANN, -1), R::AmountNotPositive),
        (withdraw(20, ANN, 0), R::AmountNotPositive),
        (transfer(20, ANN, BEN, -5), R::AmountNotPositive),
        (hold(20, ANN, BEN, 0, 1), R::AmountNotPositive),
        (post(20, 10, ANN, BEN, Some(0)), R::AmountNotPositive),
        (pay(20, 3, ANN, 0), R::AmountNotPositive),
        (credit(share(1, 2), ANN, BEN, HERE, 0), R::AmountNotPositive),
        (refund(1, ANN, 0), R::AmountNotPositive),
        (announce(BEN, THERE, share(7, 1), 0), R::AmountNotPositive),
        (fund(20, ANN, AMOUNT_FEN_MAX + 1), R::AmountTooLarge),
        (transfer(20, ANN, BEN, i64::MAX), R::AmountTooLarge),
        (with_long_details(pay(20, 3, ANN, 10)), R::DetailsTooLarge),
        (hold(20, ANN, BEN, 10, 0), R::HoldTimeInvalid),
        (hold(20, ANN, BEN, 10, HOLD_MS_MAX + 1), R::HoldTimeInvalid),
        (restrict(ANN, -1, false), R::CeilingInvalid),
        (restrict(ANN, BALANCE_FEN_MAX + 1, false), R::CeilingInvalid),
        (credit(share(1, 2), ANN, BEN, GroupId::META, 10), R::GroupInvalid),
        (credit(share(1, 2), ANN, BEN, GroupId::OUTSIDE, 10), R::GroupInvalid),
        (remit(1, ANN, BEN, THERE, 10), R::IdReused),
        (remit(20, ANN, BEN, THERE, 0), R::AmountNotPositive),
        (remit(20, ANN, BEN, THERE, AMOUNT_FEN_MAX + 1), R::AmountTooLarge),
        (remit(20, ANN, BEN, GroupId::META, 10), R::GroupInvalid),
        (remit(20, ANN, BEN, GroupId::OUTSIDE, 10), R::GroupInvalid),
        (remit(20, ANN, BEN, HERE, 10), R::GroupInvalid),
        (remit(20, ANN, ANN, THERE, 10), R::SameAccount),
        (transfer(20, ANN, ANN, 10), R::SameAccount),
        (hold(20, ANN, ANN, 10, 1), R::SameAccount),
        (credit(share(3, 1), ANN, BEN, HERE, 10), R::PacketUnknown),
        (refund(3, ANN, 10), R::PacketUnknown),
        (post(20, 99, ANN, BEN, None), R::HoldUnknown),
        (post(20, 1, ANN, BEN, None), R::HoldUnknown),
        (void(20, 99, ANN, BEN), R::HoldUnknown),
        (post(20, 11, ANN, BEN, None), R::HoldEnded),
        (void(20, 11, ANN, BEN), R::HoldEnded),
        (post(20, 10, ANN, SHOP, None), R::HoldDiffers),
        (void(20, 10, BEN, ANN), R::HoldDiffers),
        (post(20, 10, ANN, BEN, Some(101)), R::AmountExceedsHold),
        (retry(20, 4, BEN), R::ParkedUnknown),
    ]
}

fn refused_by_accounts() -> Vec<(Verb, Refusal)> {
    use Refusal as R;
    vec![
        (Verb::Close(AccountId(NOBODY)), R::AccountUnknown),
        (announce(NOBODY, THERE, share(7, 1), 1), R::AccountUnknown),
        (restrict(NOBODY, 1, true), R::AccountUnknown),
        (restrict(EVE, 1, true), R::AccountClosed),
        (remit(20, NOBODY, BEN, THERE, 10), R::DebitUnknown),
        (remit(20, EVE, BEN, THERE, 10), R::DebitClosed),
        (remit(20, FRED, BEN, THERE, 10), R::DebitFrozen),
        (remit(20, DAN, BEN, THERE, 10), R::CurrencyMismatch),
        (remit(20, ANN, BEN, THERE, 601), R::InsufficientFunds),
        (withdraw(20, FRED, 10), R::DebitFrozen),
        (transfer(20, FRED, BEN, 10), R::DebitFrozen),
        (hold(20, FRED, BEN, 10, 1), R::DebitFrozen),
        (pay(20, 3, FRED, 10), R::DebitFrozen),
        (fund(20, FRED, 16), R::CeilingReached),
        (transfer(20, ANN, FRED, 16), R::CeilingReached),
        (hold(20, ANN, FRED, 16, 1), R::CeilingReached),
        (retry(20, 5, FRED), R::CeilingReached),
        (withdraw(20, NOBODY, 10), R::DebitUnknown),
        (transfer(20, NOBODY, BEN, 10), R::DebitUnknown),
        (pay(20, 3, NOBODY, 10), R::DebitUnknown),
        (fund(20, NOBODY, 10), R::CreditUnknown),
        (transfer(20, ANN, NOBODY, 10), R::CreditUnknown),
        (retry(20, 5, NOBODY), R::CreditUnknown),
        (open(EVE, Currency::CNY), R::AccountClosed),
        (announce(EVE, THERE, share(7, 1), 1), R::AccountClosed),
        (transfer(20, EVE, BEN, 10), R::DebitClosed),
        (withdraw(20, EVE, 10), R::DebitClosed),
        (pay(20, 3, EVE, 10), R::DebitClosed),
        (transfer(20, ANN, EVE, 10), R::CreditClosed),
        (retry(20, 5, EVE), R::CreditClosed),
        (open(ANN, USD), R::AccountDiffers),
        (open(SHOP, Currency::CNY), R::AccountDiffers),
        (transfer(20, ANN, DAN, 10), R::CurrencyMismatch),
        (in_dollars(fund(20, ANN, 10)), R::CurrencyMismatch),
        (in_dollars(pay(20, 3, ANN, 10)), R::CurrencyMismatch),
        (in_dollars(credit(share(1, 2), ANN, DAN, HERE, 10)), R::CurrencyMismatch),
        (in_dollars(retry(20, 5, DAN)), R::CurrencyMismatch),
        (retry(20, 5, DAN), R::CurrencyMismatch),
        (announce(DAN, THERE, share(7, 1), 1), R::CurrencyMismatch),
        (pay(20, 1, ANN, 10), R::PacketExists),
        (credit(share(1, 2), BEN, BEN, HERE, 10), R::PayerDiffers),
        (refund(1, BEN, 10), R::PayerDiffers),
        (credit(share(1, 2), ANN, BEN, HERE, 271), R::EscrowShort),
        (credit(share(1, 2), ANN, BEN, THERE, 271), R::EscrowShort),
        (credit(share(2, 1), ANN, BEN, HERE, 1), R::EscrowShort),
        (refund(1, ANN, 271), R::EscrowShort),
        (withdraw(20, ANN, 601), R::InsufficientFunds),
        (transfer(20, ANN, BEN, 601), R::InsufficientFunds),
        (hold(20, ANN, BEN, 601, 1), R::InsufficientFunds),
        (pay(20, 3, ANN, 601), R::InsufficientFunds),
        (Verb::Close(AccountId(ANN)), R::HoldsPending),
        (limit(ANN, -1, 0), R::CeilingInvalid),
        (limit(ANN, 0, BALANCE_FEN_MAX + 1), R::CeilingInvalid),
        (limit(NOBODY, 1, 1), R::AccountUnknown),
        (limit(EVE, 1, 1), R::AccountClosed),
        (pay(20, 3, GIL, 51), R::PaymentLimit),
        (pay(20, 3, GIL, 31), R::DayLimit),
    ]
}

#[test]
fn every_verb_refuses_what_it_must_and_leaves_no_trace() {
    let mut shard = shard();
    assert_eq!(shard.available(ANN), 600);
    for (verb, refusal) in refused_by_ids_and_bodies().into_iter().chain(refused_by_accounts()) {
        let before = shard.trace();
        assert_eq!(shard.one(verb.clone()), refused(refusal), "{verb:?}");
        assert_eq!(shard.trace(), before, "a refused step leaves no trace: {verb:?}");
    }
    shard.check();
}

#[test]
fn of_several_reasons_the_lowest_is_given() {
    use Refusal as R;
    let table = [
        (fund(1, NOBODY, 0), R::IdReused),
        (pay(9, 1, NOBODY, -1), R::OrderCancelled),
        (transfer(20, NOBODY, NOBODY, -1), R::AmountNotPositive),
        (with_long_details(pay(20, 1, NOBODY, AMOUNT_FEN_MAX + 1)), R::AmountTooLarge),
        (with_long_details(pay(20, 1, NOBODY, 1)), R::DetailsTooLarge),
        (hold(20, NOBODY, NOBODY, 1, 0), R::HoldTimeInvalid),
        (credit(share(3, 1), BEN, BEN, GroupId::META, 1), R::GroupInvalid),
        (transfer(20, NOBODY, NOBODY, 1), R::SameAccount),
        (post(20, 11, BEN, ANN, Some(500)), R::HoldEnded),
        (post(20, 10, BEN, ANN, Some(500)), R::HoldDiffers),
        (retry(20, 4, NOBODY), R::ParkedUnknown),
        (transfer(20, NOBODY, EVE, 1), R::DebitUnknown),
        (transfer(20, EVE, NOBODY, 1), R::CreditUnknown),
        (transfer(20, EVE, DAN, 1), R::DebitClosed),
        (transfer(20, FRED, EVE, 5_000), R::CreditClosed),
        (transfer(20, FRED, DAN, 5_000), R::DebitFrozen),
        (transfer(20, ANN, FRED, 5_000), R::InsufficientFunds),
        (transfer(20, ANN, DAN, 5_000), R::CurrencyMismatch),
        (pay(20, 1, ANN, 5_000), R::PacketExists),
        (credit(share(1, 2), BEN, BEN, HERE, 5_000), R::PayerDiffers),
        (limit(NOBODY, -1, 0), R::CeilingInvalid),
        (pay(20, 3, GIL, 171), R::InsufficientFunds),
        (pay(20, 3, GIL, 60), R::PaymentLimit),
    ];
    let mut shard = shard();
    for (verb, refusal) in table {
        assert_eq!(shard.one(verb.clone()), refused(refusal), "{verb:?}");
    }
}

#[test]
fn an_account_closes_only_when_nothing_is_pending() {
    let close = || Verb::Close(AccountId(BEN));
    let mut shard = Shard::furnished(HERE);
    let table: Vec<(Vec<Verb>, Answer)> = vec![
        (vec![transfer(20, ANN, BEN, 10), hold(21, ANN, BEN, 10, 1_000)], refused(Refusal::HoldsPending)),
        (vec![announce(BEN, THERE, share(7, 1), 1), void(22, 21, ANN, BEN)], refused(Refusal::ClaimsPending)),
        (
            vec![pay(23, 3, BEN, 10), Verb::Forget(crate::shard::claim(BEN, THERE, share(7, 1)))],
            refused(Refusal::PacketsLive),
        ),
        (vec![refund(3, BEN, 10)], refused(Refusal::BalanceNotZero)),
        (vec![withdraw(24, BEN, 10)], Ok(ledger::Done::Closed)),
        (vec![], Ok(ledger::Done::Closed)),
    ];
    for (before, answer) in table {
        for verb in before {
            shard.one(verb).expect("the table is in order");
        }
        assert_eq!(shard.one(close()), answer);
        shard.check();
    }
}

#[test]
fn a_shard_keeps_so_many_currencies_and_an_account_so_many_claims() {
    let mut shard = Shard::empty(HERE);
    for number in 0..CURRENCIES_MAX {
        let code = u16::try_from(number).expect("few currencies");
        assert_eq!(shard.one(open(number as u128, Currency(code))), Ok(ledger::Done::Opened));
    }
    assert_eq!(shard.one(open(99, Currency(999))), refused(Refusal::TooManyCurrencies));
    assert_eq!(shard.one(open(99, Currency(3))), Ok(ledger::Done::Opened));

    let mut shard = Shard::furnished(HERE);
    let claims: Vec<_> = (0..CLAIMS_PER_ACCOUNT_MAX).map(|n| (false, announce(BEN, THERE, share(7, n), 1))).collect();
    for steps in claims.chunks(BATCH_STEPS_MAX) {
        assert!(shard.batch(steps.to_vec()).iter().all(Result::is_ok));
    }
    let one_more = announce(BEN, THERE, share(8, 0), 1);
    assert_eq!(shard.one(one_more.clone()), refused(Refusal::TooManyClaims));
    assert_eq!(shard.one(announce(BEN, THERE, share(7, 0), 2)), refused(Refusal::IdReused));
    shard.one(Verb::Forget(crate::shard::claim(BEN, THERE, share(7, 0)))).expect("a claim can be forgotten");
    assert_eq!(shard.one(one_more), Ok(ledger::Done::Announced));
    shard.check();
}

#[test]
fn money_is_issued_up_to_the_limit_of_a_balance() {
    let mut shard = Shard::furnished(HERE);
    let full = u128::try_from(BALANCE_FEN_MAX / AMOUNT_FEN_MAX).expect("a positive limit");
    let answers = shard.batch((0..full).map(|n| (false, fund(100 + n, BEN, AMOUNT_FEN_MAX))).collect());
    // Ann's 1,000 fen were issued before.
    assert_eq!(answers.last(), Some(&refused(Refusal::BalanceLimit)));
    assert!(answers.iter().rev().skip(1).all(Result::is_ok));
    let last = booked(u64::try_from(full).expect("few") + 1);
    assert_eq!(shard.one(fund(50, BEN, AMOUNT_FEN_MAX - 1_000)), last);
    assert_eq!(shard.one(fund(51, ANN, 1)), refused(Refusal::BalanceLimit));
    shard.check();
}

#[test]
fn a_command_too_large_is_refused_as_a_whole() {
    let step = Step { is_linked: false, verb: settle(1) };
    let mut shard = Shard::furnished(HERE);
    let before = shard.trace();
    let reply = Said::One(refused(Refusal::BatchTooLarge));
    assert_eq!(shard.run(&Command::Batch(vec![step; BATCH_STEPS_MAX + 1])), reply);
    let due = DueHold { hold: TransferId(1), debit: AccountId(1), credit: AccountId(2) };
    assert_eq!(shard.run(&Command::Tick(vec![due; TICK_HOLDS_MAX + 1])), reply);
    assert_eq!(shard.trace(), before);
}

#[test]
fn refusals_are_numbered_without_gaps_in_order_of_precedence() {
    for (place, refusal) in (1..).zip(Refusal::ALL) {
        assert_eq!(refusal.number(), place, "{refusal:?}");
        assert_eq!(Refusal::from_bytes(&refusal.to_bytes()), Ok(*refusal));
        assert!(!refusal.to_string().is_empty());
    }
    assert_eq!(Refusal::ALL.len(), 52);
    for number in [0_u16, 53, u16::MAX] {
        assert!(Refusal::from_bytes(&Bytes::copy_from_slice(&number.to_be_bytes())).is_err());
    }
}

#[test]
fn an_amount_in_a_currency_nobody_keeps_is_refused_by_the_account() {
    let mut shard = Shard::furnished(HERE);
    let Verb::Fund(mut body) = fund(20, ANN, 1) else { return };
    body.money = Money { currency: Currency(1), ..body.money };
    assert_eq!(shard.one(Verb::Fund(body)), refused(Refusal::CurrencyMismatch));
}
