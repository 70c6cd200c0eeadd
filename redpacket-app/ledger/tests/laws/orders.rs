//! Laws of orders: placed once, paid at most once, never after they were closed; what goes back is never more than what
//! was paid; and not a fen is lost between two shards.
//!
//! Must never: look into the machine; an order is what its row says, and money what the accounts hold.

use bytes::Bytes;
use ledger::limits::{AMOUNT_FEN_MAX, CODE_MAX, ORDER_MS_MAX, ORDER_NUMBER_BYTES_MAX, VERIFIER_BYTES_MAX};
use ledger::{
    AccountId, Answer, BillKind, BillQuery, Command, CourierRecord, Currency, Done, Fen, JournalNumber, Money, Order,
    OrderId, OrderPayment, OrderState, PAYMENT_CODE, Refusal, SetVerifier, Verb, Verifier,
};
use machine::{GroupId, Layout, TimestampMs};
use proptest::prelude::*;

use crate::courier::Pair;
use crate::shard::{
    ANN, BEN, DAN, EVE, HERE, NOBODY, SHOP, Shard, THERE, booked, close_order, fund, hex, hold, limit, pay_order,
    place, refund_order, refused, remit, restrict, retry, transfer, withdraw,
};

const DONE: Answer = Ok(Done::Opened);
const CLOSED: Answer = Ok(Done::Closed);
const AT_SHOP: (u128, GroupId) = (SHOP, HERE);
const BY_ANN: (u128, GroupId) = (ANN, HERE);

fn order(shard: &Shard, id: u128) -> Order {
    shard.view().order(OrderId(id)).expect("order rows decode").expect("the order is there")
}

fn refunded(shard: &Shard, id: u128) -> Option<i64> {
    match order(shard, id).state {
        OrderState::Paid(OrderPayment { refunded, .. }) => Some(refunded.0),
        _ => None,
    }
}

/// Order 1 paid with 300 fen, of which 100 went back; 2 open; 3 closed; 4 of 60,000 ms that are over.
fn shard() -> Shard {
    let mut shard = Shard::furnished(HERE);
    shard.one(place(4, SHOP, 50)).expect("placed");
    shard.now += 60_000;
    for verb in [
        place(1, SHOP, 300),
        pay_order(11, 1, ANN, AT_SHOP, 300),
        refund_order(12, 1, SHOP, BY_ANN, 100),
        place(2, SHOP, 200),
        place(3, SHOP, 200),
        close_order(3, SHOP),
        Verb::Open(ledger::OpenAccount {
            account: AccountId(KIOSK),
            kind: ledger::CustomerKind::Merchant,
            currency: Currency::CNY,
        }),
        fund(13, BEN, 500),
        limit(BEN, 150, 160),
    ] {
        shard.one(verb).expect("the table's beginning is in order");
    }
    shard
}

/// Another merchant.
const KIOSK: u128 = 7;

fn with_life(verb: Verb, life_ms: u64) -> Verb {
    let Verb::PlaceOrder(mut body) = verb else { return verb };
    body.life_ms = life_ms;
    Verb::PlaceOrder(body)
}

fn with_long_number(verb: Verb) -> Verb {
    let long = Bytes::from(vec![b'9'; ORDER_NUMBER_BYTES_MAX + 1]);
    match verb {
        Verb::PlaceOrder(mut body) => {
            body.number = long;
            Verb::PlaceOrder(body)
        }
        Verb::RefundOrder(mut body) => {
            body.number = long;
            Verb::RefundOrder(body)
        }
        other => other,
    }
}

fn with_reserved_code(verb: Verb) -> Verb {
    match verb {
        Verb::Transfer(mut body) => {
            body.code = CODE_MAX + 1;
            Verb::Transfer(body)
        }
        Verb::Hold(mut body) => {
            body.code = PAYMENT_CODE;
            Verb::Hold(body)
        }
        Verb::Remit(mut body) => {
            body.transfer.code = PAYMENT_CODE;
            Verb::Remit(body)
        }
        other => other,
    }
}

fn verifier(account: u128, former: &str, verifier: &'static str) -> Verb {
    let known = Verifier(Bytes::copy_from_slice(former.as_bytes()));
    let former = if former.is_empty() { ledger::Fingerprint::default() } else { known.fingerprint() };
    Verb::SetVerifier(SetVerifier {
        account: AccountId(account),
        former,
        verifier: Bytes::from_static(verifier.as_bytes()),
    })
}

#[test]
fn every_verb_of_orders_refuses_what_it_must_in_its_order_and_leaves_no_trace() {
    use Refusal as R;
    let table = [
        (place(1, SHOP, 301), R::IdReused),
        (with_life(place(1, SHOP, 300), 1), R::IdReused),
        (place(9, NOBODY, 0), R::AmountNotPositive),
        (with_long_number(place(9, NOBODY, AMOUNT_FEN_MAX + 1)), R::AmountTooLarge),
        (with_life(with_long_number(place(9, NOBODY, 1)), 0), R::DetailsTooLarge),
        (with_life(place(9, NOBODY, 1), 0), R::HoldTimeInvalid),
        (with_life(place(9, NOBODY, 1), ORDER_MS_MAX + 1), R::HoldTimeInvalid),
        (place(9, NOBODY, 1), R::AccountUnknown),
        (place(9, EVE, 1), R::AccountClosed),
        (place(9, DAN, 1), R::CurrencyMismatch),
        (place(9, ANN, 1), R::NotMerchant),
        (pay_order(11, 1, ANN, AT_SHOP, 301), R::IdReused),
        (pay_order(20, 8, NOBODY, (NOBODY, GroupId::META), 0), R::AmountNotPositive),
        (pay_order(20, 8, NOBODY, (NOBODY, GroupId::META), AMOUNT_FEN_MAX + 1), R::AmountTooLarge),
        (pay_order(20, 8, NOBODY, (NOBODY, GroupId::OUTSIDE), 1), R::GroupInvalid),
        (pay_order(20, 8, SHOP, AT_SHOP, 1), R::SameAccount),
        (pay_order(20, 8, NOBODY, AT_SHOP, 1), R::DebitUnknown),
        (pay_order(20, 8, ANN, (NOBODY, HERE), 5_000), R::CreditUnknown),
        (pay_order(20, 8, EVE, AT_SHOP, 1), R::DebitClosed),
        (pay_order(20, 8, ANN, (EVE, HERE), 5_000), R::CreditClosed),
        (pay_order(20, 8, DAN, AT_SHOP, 1), R::CurrencyMismatch),
        (pay_order(20, 8, ANN, AT_SHOP, 801), R::InsufficientFunds),
        (pay_order(20, 8, ANN, (SHOP, THERE), 801), R::InsufficientFunds),
        (pay_order(20, 8, BEN, AT_SHOP, 151), R::PaymentLimit),
        (pay_order(20, 8, ANN, AT_SHOP, 200), R::OrderUnknown),
        (pay_order(20, 2, ANN, (KIOSK, HERE), 200), R::MerchantDiffers),
        (pay_order(20, 1, ANN, AT_SHOP, 299), R::OrderDiffers),
        (pay_order(20, 1, ANN, AT_SHOP, 300), R::OrderPaid),
        (pay_order(20, 3, ANN, AT_SHOP, 200), R::OrderClosed),
        (pay_order(20, 4, ANN, AT_SHOP, 50), R::OrderClosed),
        (close_order(8, SHOP), R::OrderUnknown),
        (close_order(1, KIOSK), R::MerchantDiffers),
        (close_order(1, SHOP), R::OrderPaid),
        (refund_order(12, 1, SHOP, BY_ANN, 99), R::IdReused),
        (refund_order(20, 8, NOBODY, (ANN, GroupId::META), 0), R::AmountNotPositive),
        (with_long_number(refund_order(20, 8, NOBODY, (ANN, GroupId::META), 1)), R::DetailsTooLarge),
        (refund_order(20, 8, NOBODY, (ANN, GroupId::META), 1), R::GroupInvalid),
        (refund_order(20, 8, NOBODY, BY_ANN, 1), R::DebitUnknown),
        (refund_order(20, 8, EVE, BY_ANN, 1), R::DebitClosed),
        (refund_order(20, 8, DAN, BY_ANN, 1), R::CurrencyMismatch),
        (refund_order(20, 1, SHOP, BY_ANN, 201), R::InsufficientFunds),
        (refund_order(20, 8, SHOP, BY_ANN, 1), R::OrderUnknown),
        (refund_order(20, 1, BEN, BY_ANN, 1), R::MerchantDiffers),
        (refund_order(20, 1, SHOP, (BEN, HERE), 1), R::OrderDiffers),
        (refund_order(20, 1, SHOP, (ANN, THERE), 1), R::OrderDiffers),
        (refund_order(20, 2, SHOP, BY_ANN, 1), R::OrderUnpaid),
        (with_reserved_code(transfer(20, ANN, BEN, 1)), R::CodeReserved),
        (with_reserved_code(hold(20, ANN, BEN, 1, 1)), R::CodeReserved),
        (with_reserved_code(remit(20, ANN, BEN, THERE, 1)), R::CodeReserved),
        (verifier(NOBODY, "", ""), R::DetailsTooLarge),
        (verifier(NOBODY, "", "v"), R::AccountUnknown),
        (verifier(EVE, "", "v"), R::AccountClosed),
        (verifier(ANN, "another", "v"), R::VerifierDiffers),
    ];
    let mut shard = shard();
    for (verb, refusal) in table {
        let before = shard.trace();
        assert_eq!(shard.one(verb.clone()), refused(refusal), "{verb:?}");
        assert_eq!(shard.trace(), before, "a refused step leaves no trace: {verb:?}");
    }
    shard.check();
}

#[test]
fn a_frozen_payer_pays_nothing_and_a_frozen_merchant_gives_nothing_back() {
    let mut shard = shard();
    shard.one(restrict(ANN, 0, true)).expect("frozen");
    assert_eq!(shard.one(pay_order(20, 2, ANN, AT_SHOP, 200)), refused(Refusal::DebitFrozen));
    shard.one(restrict(SHOP, 0, true)).expect("frozen");
    assert_eq!(shard.one(refund_order(21, 1, SHOP, BY_ANN, 1)), refused(Refusal::DebitFrozen));
    shard.one(restrict(ANN, 0, false)).expect("freed");
    shard.one(restrict(SHOP, 250, false)).expect("bounded");
    assert_eq!(shard.one(pay_order(20, 2, ANN, AT_SHOP, 200)), refused(Refusal::CeilingReached));
    shard.check();
}

#[test]
fn an_order_is_placed_once_and_paid_once_however_often_it_is_asked() {
    let mut shard = Shard::furnished(HERE);
    for _ in 0..2 {
        assert_eq!(shard.one(place(1, SHOP, 300)), DONE);
        shard.now += 10;
    }
    for _ in 0..3 {
        assert_eq!(shard.one(pay_order(11, 1, ANN, AT_SHOP, 300)), booked(2));
    }
    assert_eq!((shard.balance(ANN), shard.balance(SHOP)), (700, 300));
    assert_eq!(shard.one(place(1, SHOP, 300)), DONE, "a repeat is answered as the first one");
    let paid = OrderPayment {
        payer: AccountId(ANN),
        from: HERE,
        entry: JournalNumber(2),
        at: TimestampMs(1_020),
        refunded: Fen::ZERO,
    };
    assert_eq!(order(&shard, 1).state, OrderState::Paid(paid));
    let news = CourierRecord::OrderPaid {
        group: HERE,
        order: OrderId(1),
        merchant: AccountId(SHOP),
        payer: AccountId(ANN),
        money: Money::cny(300),
        at: TimestampMs(1_020),
        number: Bytes::from_static(b"1"),
    };
    let told = shard.host.courier_records(GroupId::OUTSIDE, 1 << 20, &shard.store).expect("records read");
    assert_eq!(told.iter().map(|record| record.bytes.clone()).collect::<Vec<_>>(), [news.to_bytes()]);
    shard.check();
}

#[test]
fn an_order_closes_itself_when_its_time_is_over() {
    let mut shard = Shard::furnished(HERE);
    shard.one(place(1, SHOP, 300)).expect("placed");
    shard.now += 59_999;
    assert_eq!(order(&shard, 1).state_at(TimestampMs(shard.now)), OrderState::Open);
    shard.now += 1;
    let end = TimestampMs(shard.now);
    assert_eq!(order(&shard, 1).state_at(end), OrderState::Closed(end));
    assert_eq!(shard.one(pay_order(11, 1, ANN, AT_SHOP, 300)), refused(Refusal::OrderClosed));
    assert_eq!(shard.one(close_order(1, SHOP)), CLOSED);
    assert_eq!(shard.balance(ANN), 1_000);
    shard.check();
}

#[test]
fn refunds_add_up_to_what_was_paid_and_never_to_more() {
    let mut shard = Shard::furnished(HERE);
    let steps = [
        (place(1, SHOP, 300), DONE, None),
        (pay_order(11, 1, ANN, AT_SHOP, 300), booked(2), Some(0)),
        (fund(12, SHOP, 500), booked(3), Some(0)),
        (refund_order(21, 1, SHOP, BY_ANN, 100), booked(4), Some(100)),
        (refund_order(21, 1, SHOP, BY_ANN, 100), booked(4), Some(100)),
        (refund_order(22, 1, SHOP, BY_ANN, 201), refused(Refusal::RefundTooLarge), Some(100)),
        (refund_order(22, 1, SHOP, BY_ANN, 200), booked(5), Some(300)),
        (refund_order(23, 1, SHOP, BY_ANN, 1), refused(Refusal::RefundTooLarge), Some(300)),
        (close_order(1, SHOP), refused(Refusal::OrderPaid), Some(300)),
    ];
    for (verb, answer, back) in steps {
        assert_eq!(shard.one(verb.clone()), answer, "{verb:?}");
        assert_eq!(refunded(&shard, 1), back, "{verb:?}");
        shard.check();
    }
    assert_eq!((shard.balance(ANN), shard.balance(SHOP)), (1_000, 500));
    let lines = shard.view().bill(AccountId(ANN), &BillQuery { limit: 9, ..BillQuery::default() }).expect("a bill");
    let kinds: Vec<(BillKind, i64)> = lines.lines.iter().map(|line| (line.kind, line.change.0)).collect();
    use BillKind::{Funded, Payment};
    assert_eq!(kinds, [(Payment, 200), (Payment, 100), (Payment, -300), (Funded, 1_000)]);
}

#[test]
fn a_refund_to_a_closed_account_is_parked_and_one_to_a_full_account_lands() {
    let mut shard = Shard::furnished(HERE);
    for verb in [
        place(1, SHOP, 1_000),
        pay_order(11, 1, ANN, AT_SHOP, 1_000),
        restrict(ANN, 1, false),
        refund_order(21, 1, SHOP, BY_ANN, 300),
        withdraw(22, ANN, 300),
        Verb::Close(AccountId(ANN)),
    ] {
        shard.one(verb).expect("the evening is in order");
    }
    assert_eq!(shard.one(refund_order(23, 1, SHOP, BY_ANN, 700)), Ok(Done::Parked(JournalNumber(5))));
    assert_eq!(refunded(&shard, 1), Some(1_000));
    shard.check();
    shard.one(retry(24, 5, BEN)).expect("an operator lands it");
    assert_eq!(shard.balance(BEN), 700);
    shard.check();
}

#[test]
fn a_payment_from_another_shard_is_taken_once_and_comes_back_if_it_cannot_be() {
    let mut pair = Pair::new();
    let of_shop = (SHOP, THERE);
    pair.at(THERE).one(place(1, SHOP, 40)).expect("placed");
    pair.at(THERE).one(place(2, SHOP, 40)).expect("placed");
    pair.at(HERE).one(fund(5, BEN, 100)).expect("funded");
    pair.at(HERE).one(fund(6, ANN, 500)).expect("funded");
    pair.at(HERE).one(limit(ANN, 50, 90)).expect("limited");
    // Two payers at once: the one that comes second gets the money back.
    assert!(matches!(pair.at(HERE).one(pay_order(11, 1, ANN, of_shop, 40)), Ok(Done::Sent(_))));
    assert!(matches!(pair.at(HERE).one(pay_order(12, 1, BEN, of_shop, 40)), Ok(Done::Sent(_))));
    // Another amount than the order's, an order that is closed meanwhile, one that never was.
    assert!(matches!(pair.at(HERE).one(pay_order(13, 2, ANN, of_shop, 39)), Ok(Done::Sent(_))));
    assert_eq!(pair.at(HERE).one(pay_order(14, 2, ANN, of_shop, 40)), refused(Refusal::DayLimit));
    assert!(matches!(pair.at(HERE).one(pay_order(15, 2, BEN, of_shop, 40)), Ok(Done::Sent(_))));
    pair.at(THERE).one(close_order(2, SHOP)).expect("closed");
    pair.check();
    for _ in 0..3 {
        pair.deliver_all();
        pair.check();
    }
    assert_eq!((pair.at(HERE).balance(ANN), pair.at(HERE).balance(BEN)), (560, 100));
    assert_eq!(pair.at(THERE).balance(SHOP), 40);
    let OrderState::Paid(paid) = order(pair.at(THERE), 1).state else { panic!("it is paid") };
    assert_eq!((paid.payer, paid.from), (AccountId(ANN), HERE));
    // And back again, to an account that may hold no more, then to one that is closed.
    pair.at(HERE).one(restrict(ANN, 1, false)).expect("bounded");
    let by_ann = (ANN, HERE);
    assert!(matches!(pair.at(THERE).one(refund_order(21, 1, SHOP, by_ann, 30)), Ok(Done::Sent(_))));
    pair.deliver_all();
    assert_eq!(pair.at(HERE).balance(ANN), 590);
    pair.check();
    pair.at(HERE).one(crate::shard::refund(1, ANN, 900)).expect("the packet goes back");
    pair.at(HERE).one(withdraw(30, ANN, 1_490)).expect("all of it");
    pair.at(HERE).one(Verb::Close(AccountId(ANN))).expect("closed");
    assert!(matches!(pair.at(THERE).one(refund_order(22, 1, SHOP, by_ann, 10)), Ok(Done::Sent(_))));
    for _ in 0..2 {
        pair.deliver_all();
        pair.check();
    }
    assert_eq!(pair.at(HERE).view().parked(JournalNumber(0), 9).expect("rows decode").len(), 1, "parked, not lost");
    assert_eq!(pair.at(THERE).balance(SHOP), 0);
}

#[test]
fn a_verifier_is_replaced_only_by_who_knew_the_former_one() {
    let mut shard = Shard::furnished(HERE);
    let known = |shard: &Shard| shard.view().verifier(AccountId(ANN)).expect("rows decode");
    assert_eq!(known(&shard), None);
    let long = SetVerifier {
        account: AccountId(ANN),
        former: ledger::Fingerprint::default(),
        verifier: Bytes::from(vec![0; VERIFIER_BYTES_MAX + 1]),
    };
    let table = [
        (verifier(ANN, "", "one"), Ok(Done::Restricted), Some("one")),
        (verifier(ANN, "", "one"), Ok(Done::Restricted), Some("one")),
        (verifier(ANN, "", "two"), refused(Refusal::VerifierDiffers), Some("one")),
        (verifier(ANN, "one", "two"), Ok(Done::Restricted), Some("two")),
        (verifier(ANN, "one", "three"), refused(Refusal::VerifierDiffers), Some("two")),
        (Verb::SetVerifier(long), refused(Refusal::DetailsTooLarge), Some("two")),
    ];
    for (verb, answer, then) in table {
        assert_eq!(shard.one(verb), answer);
        assert_eq!(known(&shard).map(|known| known.0), then.map(|text| Bytes::from_static(text.as_bytes())));
    }
    shard.check();
}

/// The layouts of commands, records and rows.
const GOLDEN: [&str; 10] = [
    "130000000000000000000000000000000100000000000000000000000000000003d8049c01000000000000ea60000000013100000003746561",
    "140000000000000000000000000000000b00000000000000000000000000000001000000000000000000000000000000010000000000000000000000000000000300000002d8049c01",
    "150000000000000000000000000000000100000000000000000000000000000003",
    "160000000000000000000000000000000c00000000000000000000000000000001000000000000000000000000000000030000000000000000000000000000000100000002c8019c01000000023132",
    "1700000000000000000000000000000001000000000000000000000000000000000000000176",
    "0300000001000000000000000000000000000000010000000000000000000000000000000300000000000000000000000000000001d8049c01000000000000ee480000000131",
    "04000000010000000000000000000000000000000100000000000000000000000000000003c8019c01c801000000000000ee480000000131000000023132",
    "0100000000000000000000000000000003d8049c01c8dc03a8b10700000001310000000374656103000000000000000000000000000000010000000102c8dc03c801",
    "010000000000000000000000000000000390039c01c8dc03a8b10700000001330000000374656102c8dc03",
    "010000000176",
];

#[test]
fn commands_records_and_rows_have_their_bytes() {
    let verbs = [
        place(1, SHOP, 300),
        pay_order(11, 1, ANN, (SHOP, THERE), 300),
        close_order(1, SHOP),
        refund_order(12, 1, SHOP, (ANN, THERE), 100),
        verifier(ANN, "", "v"),
    ];
    let mut found = Vec::new();
    for verb in verbs {
        let command = Command::One(verb);
        assert_eq!(Command::from_bytes(&command.to_bytes()), Ok(command.clone()));
        found.push(hex(&command));
    }
    let mut shard = shard();
    for record in shard.host.courier_records(GroupId::OUTSIDE, 1 << 20, &shard.store).expect("records read") {
        assert!(CourierRecord::from_bytes(&record.bytes).is_ok());
        found.push(crate::shard::hex_of(&record.bytes));
    }
    shard.one(verifier(ANN, "", "v")).expect("set");
    let row = shard.view().verifier(AccountId(ANN)).expect("rows decode").expect("it is set");
    found.extend([hex(&order(&shard, 1)), hex(&order(&shard, 3)), hex(&row)]);
    assert_eq!(found, GOLDEN);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is placed, paid, closed and paid back in whatever order, over two shards and with a courier that comes
    /// when it likes: each order is paid once or not at all, and every fen is somewhere.
    #[test]
    fn random_evenings_of_orders_conserve_every_fen(
        steps in proptest::collection::vec((0_u8..9, 1_u128..6, 0_u128..4, 1_i64..120), 1..60),
    ) {
        let mut pair = Pair::new();
        pair.at(HERE).one(fund(5, BEN, 400)).expect("funded");
        for (id, (kind, number, who, fen)) in (1_000_u128..).zip(steps) {
            let payer = if who % 2 == 0 { ANN } else { BEN };
            let home = if who < 2 { HERE } else { THERE };
            // Orders 1 to 3 are of the shop here, 4 and 5 of the one there; all are for 60 fen.
            let at = if number < 4 { HERE } else { THERE };
            let shard = |pair: &mut Pair, group, verb| {
                let _ = pair.at(group).one(verb);
            };
            match kind {
                0 | 1 => shard(&mut pair, at, place(number, SHOP, 60)),
                2..=4 => {
                    let fen = if fen == 7 { 61 } else { 60 };
                    shard(&mut pair, home, pay_order(100 + 10 * number + who, number, payer, (SHOP, at), fen));
                }
                5 => {
                    let paid = pair.at(at).view().order(OrderId(number)).expect("rows decode");
                    if let Some(Order { state: OrderState::Paid(paid), .. }) = paid {
                        shard(&mut pair, at, refund_order(id, number, SHOP, (paid.payer.0, paid.from), fen / 2 + 1));
                    }
                }
                6 if fen < 20 => shard(&mut pair, at, close_order(number, SHOP)),
                7 => shard(&mut pair, home, fund(id, payer, fen)),
                _ => pair.deliver_all(),
            }
            for group in [HERE, THERE] {
                pair.at(group).now += u64::try_from(fen).expect("positive") * 50;
            }
        }
        for _ in 0..3 {
            pair.deliver_all();
        }
        pair.check();
        let all = ledger::reconcile(&pair.shards.iter().map(|(group, shard)| (*group, shard.audit().facts)).collect());
        prop_assert!(all.under_way.is_empty(), "nothing sticks between the shards");
    }
}
