//! Laws of packets' escrows, orders, claims and parked credits within one shard.
//!
//! Must never: look at another shard.

use bytes::Bytes;
use ledger::{AccountId, CourierRecord, Done, JournalNumber, Money, OrderId, PacketId, Refusal, TransferKey, Verb};
use machine::{GroupId, Layout, TimestampMs};

use crate::shard::{
    ANN, BEN, EVE, HERE, NOBODY, SHOP, Shard, announce, booked, claim, credit, open, pay, refund, refused, retry,
    settle, share, transfer,
};

#[test]
fn a_packet_is_paid_once_and_told_to_the_outside_once() {
    let mut shard = Shard::furnished(HERE);
    for _ in 0..3 {
        assert_eq!(shard.one(pay(2, 1, ANN, 400)), booked(2));
    }
    assert_eq!((shard.balance(ANN), shard.escrow(1)), (600, 400));
    let records = shard.host.courier_records(GroupId::OUTSIDE, 1 << 20, &shard.store).expect("records read");
    let records: Vec<_> = records.iter().map(|record| CourierRecord::from_bytes(&record.bytes)).collect();
    let paid = CourierRecord::PacketPaid {
        group: HERE,
        order: OrderId(2),
        packet: PacketId(1),
        payer: AccountId(ANN),
        money: Money::cny(400),
        paid: TimestampMs(shard.now),
        details: Bytes::from_static(b"good luck"),
    };
    assert_eq!(records, [Ok(paid)]);
    shard.check();
}

#[test]
fn a_settled_order_answers_its_debit_and_an_unsettled_one_is_cancelled_for_good() {
    let mut shard = Shard::furnished(HERE);
    shard.one(pay(2, 1, ANN, 400)).expect("the packet is paid");
    assert_eq!(shard.one(settle(2)), booked(2));
    assert_eq!(shard.one(settle(3)), Ok(Done::Cancelled));
    assert_eq!(shard.one(settle(3)), Ok(Done::Cancelled));
    assert_eq!(shard.one(pay(3, 5, ANN, 10)), refused(Refusal::OrderCancelled));
    let stored = shard.view().transfer(TransferKey::Order(OrderId(3))).expect("transfer rows decode");
    assert_eq!(stored.map(|stored| stored.done), Some(Done::Cancelled));
    shard.check();
}

#[test]
fn shares_are_paid_out_and_the_rest_goes_back_once() {
    let mut shard = Shard::furnished(HERE);
    shard.one(pay(2, 1, ANN, 400)).expect("the packet is paid");
    assert_eq!(shard.one(credit(share(1, 1), ANN, BEN, HERE, 100)), booked(3));
    assert_eq!(shard.one(credit(share(1, 2), ANN, ANN, HERE, 50)), booked(4), "a sender may open his own packet");
    assert_eq!(shard.one(refund(1, ANN, 150)), booked(5));
    assert_eq!(shard.one(refund(1, ANN, 150)), booked(5));
    assert_eq!(shard.one(Verb::Close(AccountId(ANN))), refused(Refusal::PacketsLive));
    assert_eq!(shard.one(credit(share(1, 3), ANN, SHOP, HERE, 100)), booked(6), "a credit may come after the refund");
    assert_eq!(shard.one(credit(share(1, 4), ANN, SHOP, HERE, 1)), refused(Refusal::EscrowShort));
    assert_eq!((shard.balance(ANN), shard.balance(BEN), shard.balance(SHOP)), (800, 100, 100));
    assert_eq!(shard.customer(ANN).customer().map(|customer| customer.packets), Some(0));
    shard.check();
}

#[test]
fn a_callers_id_never_stands_in_the_way_of_a_credit() {
    let mut shard = Shard::furnished(HERE);
    let (order, packet) = (2, 2);
    shard.one(transfer(2, ANN, BEN, 1)).expect("an id of its own space");
    assert_eq!(shard.one(pay(order, packet, ANN, 10)), booked(3));
    assert_eq!(shard.one(credit(share(packet, 2), ANN, BEN, HERE, 5)), booked(4));
    assert_eq!(shard.one(refund(packet, ANN, 5)), booked(5));
    shard.check();
}

#[test]
fn a_claim_waits_in_the_index_until_its_credit_is_booked() {
    let mut shard = Shard::furnished(HERE);
    shard.one(pay(2, 1, ANN, 400)).expect("the packet is paid");
    for number in [2, 1] {
        shard.now += 10;
        assert_eq!(shard.one(announce(BEN, HERE, share(1, number), 100)), Ok(Done::Announced));
        assert_eq!(shard.one(announce(BEN, HERE, share(1, number), 100)), Ok(Done::Announced));
    }
    let keys = |shard: &Shard| -> Vec<_> {
        let claims = shard.view().claims(AccountId(BEN)).expect("claim rows decode");
        claims.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(&shard), [claim(BEN, HERE, share(1, 2)), claim(BEN, HERE, share(1, 1))], "the oldest first");
    shard.one(credit(share(1, 2), ANN, BEN, HERE, 100)).expect("the credit lands");
    assert_eq!(keys(&shard), [claim(BEN, HERE, share(1, 1))]);
    assert_eq!(shard.one(announce(BEN, HERE, share(1, 2), 100)), booked(3), "a late announcement enters nothing");
    assert_eq!(keys(&shard).len(), 1);
    assert_eq!(shard.host.machine().counts().claims, 1);
    shard.check();
}

#[test]
fn a_credit_that_cannot_land_is_parked_and_landed_by_an_operator() {
    let mut shard = Shard::furnished(HERE);
    shard.one(pay(2, 1, ANN, 400)).expect("the packet is paid");
    let to_nobody = credit(share(1, 1), ANN, NOBODY, HERE, 100);
    assert_eq!(shard.one(to_nobody.clone()), Ok(Done::Parked(JournalNumber(3))));
    assert_eq!(shard.one(credit(share(1, 2), ANN, EVE, HERE, 50)), Ok(Done::Parked(JournalNumber(4))));
    let parked = shard.view().parked(JournalNumber(0), 10).expect("parked rows decode");
    let reasons: Vec<_> = parked.iter().map(|(number, credit)| (number.0, credit.account.0, credit.reason)).collect();
    assert_eq!(reasons, [(3, NOBODY, Refusal::CreditUnknown), (4, EVE, Refusal::CreditClosed)]);
    assert_eq!(shard.host.machine().counts().parked, 2);
    shard.check();
    assert_eq!(shard.one(retry(20, 3, NOBODY)), refused(Refusal::CreditUnknown));
    shard.one(open(NOBODY, ledger::Currency::CNY)).expect("the account is opened at last");
    assert_eq!(shard.one(retry(20, 3, NOBODY)), booked(5));
    assert_eq!(shard.one(retry(20, 3, NOBODY)), booked(5));
    assert_eq!(shard.one(retry(21, 3, NOBODY)), refused(Refusal::ParkedUnknown));
    assert_eq!(shard.one(retry(22, 4, BEN)), booked(6), "the owner's other account");
    assert_eq!((shard.balance(NOBODY), shard.balance(BEN)), (100, 50));
    assert_eq!(shard.one(to_nobody), Ok(Done::Parked(JournalNumber(3))), "the former answer stands");
    assert_eq!(shard.host.machine().counts().parked, 0);
    shard.check();
}
