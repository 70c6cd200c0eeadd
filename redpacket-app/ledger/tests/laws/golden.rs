//! The layouts, pinned: a row, a command or a reply that changes its bytes fails here.
//!
//! Must never: be mended by new bytes for an old version.

use bytes::Bytes;
use ledger::{
    Carried, Command, CourierRecord, Done, DueHold, JournalNumber, Refusal, Reply, Said, Step, TransferId, Verb,
};
use machine::{Layout, TimestampMs};

use crate::golden_bytes::{COMMANDS, RECORDS, REPLIES, ROWS};
use crate::shard::{
    ANN, BEN, HERE, NOBODY, SHOP, Shard, THERE, USD, announce, claim, credit, fund, hex, hex_of, hold, open, pay, post,
    refund, remit, restrict, retry, settle, share, transfer, void, withdraw,
};

fn commands() -> Vec<Command> {
    let one = [
        open(ANN, USD),
        Verb::Close(ledger::AccountId(ANN)),
        fund(1, ANN, 1_000),
        withdraw(2, ANN, 10),
        transfer(3, ANN, BEN, 20),
        hold(4, ANN, BEN, 30, 60_000),
        post(5, 4, ANN, BEN, Some(25)),
        void(6, 4, ANN, BEN),
        pay(7, 8, ANN, 400),
        settle(7),
        credit(share(8, 1), ANN, BEN, THERE, 100),
        refund(8, ANN, 300),
        announce(BEN, HERE, share(8, 1), 100),
        Verb::Forget(claim(BEN, HERE, share(8, 1))),
        retry(9, 5, SHOP),
        remit(10, ANN, BEN, THERE, 20),
        restrict(ANN, 5_000, true),
    ];
    let step = |is_linked, verb| Step { is_linked, verb };
    let due = DueHold { hold: TransferId(4), debit: ledger::AccountId(ANN), credit: ledger::AccountId(BEN) };
    let more = [
        Command::Batch(vec![step(true, settle(1)), step(false, settle(2))]),
        Command::Tick(vec![due]),
        Command::Published(JournalNumber(0x0102)),
    ];
    one.into_iter().map(Command::One).chain(more).collect()
}

#[test]
fn commands_have_their_bytes() {
    let found: Vec<String> = commands().iter().map(hex).collect();
    assert_eq!(found, COMMANDS);
    for (command, golden) in commands().into_iter().zip(COMMANDS) {
        let bytes: Vec<u8> = unhex(golden);
        assert_eq!(Command::from_bytes(&Bytes::from(bytes)), Ok(command));
    }
}

#[test]
fn replies_have_their_bytes() {
    let number = JournalNumber(0x0102);
    let done = [
        Done::Booked(number),
        Done::Sent(number),
        Done::Parked(number),
        Done::Held,
        Done::Voided,
        Done::Cancelled,
        Done::Opened,
        Done::Closed,
        Done::Announced,
        Done::Forgotten,
        Done::Restricted,
        Done::Bounced(number),
        Done::Posted(number),
    ];
    let mut said: Vec<Said> = done.into_iter().map(|done| Said::One(Ok(done))).collect();
    said.push(Said::One(Err(Refusal::InsufficientFunds)));
    said.push(Said::Batch(vec![Ok(Done::Held), Err(Refusal::LinkedFailed)]));
    said.push(Said::Ticked(7));
    said.push(Said::Published(number));
    let (at, first) = (TimestampMs(1_700_000_000_000), JournalNumber(300));
    let replies: Vec<Reply> = said.into_iter().map(|said| Reply { at, first, said }).collect();
    let found: Vec<String> = replies.iter().map(hex).collect();
    assert_eq!(found, REPLIES);
    for (reply, golden) in replies.into_iter().zip(REPLIES) {
        assert_eq!(Reply::from_bytes(&Bytes::from(unhex(golden))), Ok(reply));
    }
}

fn payment(what: Carried) -> CourierRecord {
    CourierRecord::Payment {
        source: HERE,
        what,
        from: ledger::AccountId(ANN),
        account: ledger::AccountId(BEN),
        money: ledger::Money::cny(100),
        code: 7,
        memo: 5,
        serial: 300,
    }
}

#[test]
fn courier_records_have_their_bytes() {
    let records = [
        CourierRecord::PacketPaid {
            group: HERE,
            order: ledger::OrderId(7),
            packet: ledger::PacketId(8),
            payer: ledger::AccountId(ANN),
            money: ledger::Money::cny(400),
            paid: TimestampMs(1_000),
            details: Bytes::from_static(b"luck"),
        },
        payment(Carried::Share(share(8, 1))),
        payment(Carried::Transfer(TransferId(9))),
        payment(Carried::Return(TransferId(9))),
    ];
    let found: Vec<String> = records.iter().map(hex).collect();
    assert_eq!(found, RECORDS);
    for (record, golden) in records.into_iter().zip(RECORDS) {
        assert_eq!(CourierRecord::from_bytes(&Bytes::from(unhex(golden))), Ok(record));
    }
}

#[test]
fn rows_have_their_bytes() {
    let mut shard = Shard::empty(HERE);
    for verb in [
        open(ANN, ledger::Currency::CNY),
        open(BEN, ledger::Currency::CNY),
        fund(1, ANN, 1_000),
        hold(4, ANN, BEN, 30, 60_000),
        hold(5, ANN, BEN, 30, 60_000),
        post(6, 5, ANN, BEN, None),
        pay(7, 8, ANN, 400),
        announce(BEN, THERE, share(9, 1), 100),
        credit(share(8, 1), ANN, BEN, THERE, 100),
        credit(share(8, 2), ANN, NOBODY, HERE, 100),
        settle(10),
        remit(11, ANN, BEN, THERE, 20),
        restrict(BEN, 5_000, false),
    ] {
        shard.one(verb).expect("the evening is in order");
    }
    shard.batch((0..17).map(|id| (false, transfer(100 + id, ANN, BEN, 1))).collect());
    let machine_rows = shard.store.rows().filter(|(key, _)| key.first().is_some_and(|tag| *tag >= 0x10));
    let found: Vec<String> = machine_rows.map(|(key, value)| format!("{} {}", hex_of(key), hex_of(value))).collect();
    assert_eq!(found, ROWS);
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("the golden bytes are digits");
    (0..text.len()).step_by(2).map(byte).collect()
}
