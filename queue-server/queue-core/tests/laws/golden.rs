//! Golden formats: the bytes of every command, reply and row. A log or a store written yesterday is read by these.
//!
//! Must never: be mended to fit the code. A layout that changes takes a new tag or version beside the old one.

use core::fmt::{Debug, Write as _};

use bytes::Bytes;
use machine::{Layout, TimestampMs};
use queue_core::{
    AttributeChanges, Attributes, Command, DeadLetterCount, DeadLetterPolicy, Delivery, DeliveryNumber, Due, Header,
    MessageId, NewMessage, QueueId, Refusal, Reply, Tries,
};

use crate::room::{Room, message, policy};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

/// Holds each value against its bytes, both ways, and against every shorter input.
fn check<T: Layout + Debug + PartialEq>(table: &[(T, &str)]) {
    for (value, golden) in table {
        let bytes = value.to_bytes();
        assert_eq!(hex(&bytes), golden.replace(' ', ""), "{value:?}");
        assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(value));
        for cut in 0..bytes.len() {
            assert!(T::from_bytes(&bytes.slice(..cut)).is_err(), "{value:?} cut at {cut}");
        }
    }
    assert!(T::from_bytes(&Bytes::from_static(&[0xff])).is_err(), "an unknown tag is not guessed at");
}

fn letters() -> DeadLetterPolicy {
    DeadLetterPolicy { queue: "dl".to_owned(), count: DeadLetterCount::Failed, limit: 3 }
}

#[test]
fn commands_keep_their_layout() {
    let attributes = Attributes { dead_letter: Some(letters()), ..Attributes::default() };
    let (queue, receipt, id) = (QueueId(2), DeliveryNumber(0x2000_0000_0001), MessageId(0x20_0000_0001));
    let some = AttributeChanges {
        max_messages: Some(9),
        retention_s: Some(60),
        dead_letter: Some(Some(letters())),
        ..AttributeChanges::default()
    };
    let none = AttributeChanges { dead_letter: Some(None), ..AttributeChanges::default() };
    let headers = vec![Header { name: "k".to_owned(), value: "v".to_owned() }];
    let messages = vec![
        NewMessage {
            body: Bytes::from_static(b"hi"),
            delay_ms: 5,
            headers,
            priority: 9,
            tenant: "t".to_owned(),
            group: "g".to_owned(),
            dedup_id: "d".to_owned(),
        },
        NewMessage { body: Bytes::from_static(b"x"), ..NewMessage::default() },
    ];
    let items = vec![
        Due::Lease { queue, delivery: receipt, seq: 7 },
        Due::Delay { queue, epoch: 1, due: TimestampMs(1_000), id },
        Due::Expire { queue, seq: 8 },
        Due::Erase { queue },
        Due::Window { queue, until: TimestampMs(1_000), id },
    ];
    check(&[
        (
            Command::CreateQueue { name: "q".to_owned(), attributes },
            "0100000001710000000005f5e100000000000000001e000100000005460000000000000000000100000002646c0100000003",
        ),
        (
            Command::SetQueueAttributes { name: "q".to_owned(), changes: some },
            "020000000171010000000000000009000000010000003c0000010100000002646c0100000003",
        ),
        (Command::SetQueueAttributes { name: "q".to_owned(), changes: none }, "020000000171000000000000000100"),
        (Command::DeleteQueue { name: "q".to_owned() }, "030000000171"),
        (
            Command::Send { queue, messages },
            "040000000200000002000000026869000000000000000500000001000000016b000000017609000000017400000001670000000164000000017800000000000000000000000004000000000000000000000000",
        ),
        (Command::Receive { queue, count: 16, lease_ms: Some(30_000) }, "050000000200000010010000000000007530"),
        (Command::Receive { queue, count: 1, lease_ms: None }, "050000000200000001000000000000000000"),
        (Command::Ack { queue, receipts: vec![receipt] }, "0600000002000000010000200000000001"),
        (
            Command::Extend { queue, receipts: vec![receipt], lease_ms: 1 },
            "07000000020000000100002000000000010000000000000001",
        ),
        (
            Command::Release { queue, receipts: vec![receipt], delay_ms: 1, failed: true },
            "0800000002000000010000200000000001000000000000000101",
        ),
        (Command::Purge { queue }, "0900000002"),
        (
            Command::Tick { items },
            "0a0000000501000000020000200000000001000000000000000702000000020000000100000000000003e80000002000000001030000000200000000000000080400000002050000000200000000000003e80000002000000001",
        ),
    ]);
}

#[test]
fn replies_keep_their_layout() {
    let (queue, receipt, id) = (QueueId(2), DeliveryNumber(0x2000_0000_0001), MessageId(0x20_0000_0001));
    let tries = Tries { received: 2, failed: 1, first_received: TimestampMs(9) };
    let delivery = Delivery { seq: 7, id, receipt, deadline: TimestampMs(30), tries };
    check(&[
        (Reply::Refused(Refusal::NumbersExhausted), "000019"),
        (Reply::Created { queue }, "0100000002"),
        (Reply::Done, "02"),
        (
            Reply::Sent { ids: vec![id], first_seq: 7, duplicates: vec![1] },
            "0300000001000000200000000100000000000000070000000100000001",
        ),
        (
            Reply::Received { deliveries: vec![delivery] },
            "0400000001000000000000000700000020000000010000200000000001000000000000001e00000002000000010000000000000009",
        ),
        (Reply::Empty, "05"),
        (Reply::Settled { results: vec![None, Some(Refusal::StaleReceipt)] }, "060000000200010018"),
        (Reply::Extended { deadline: TimestampMs(30), results: vec![None] }, "07000000000000001e0000000100"),
        (Reply::Purged { messages: 3 }, "080000000000000003"),
        (Reply::Ticked { moved: 4, readied: vec![queue] }, "09000000040000000100000002"),
    ]);
}

/// Two queues with a message in every state: visible, tried, leased, parked, delayed, and a dead letter with its story.
fn every_kind_of_row() -> Room {
    let mut room = Room::new();
    let dead = room.create("dead", Attributes::default());
    let attributes = Attributes { dedup_window_s: 60, ..policy("dead", DeadLetterCount::Failed, 2) };
    let queue = room.create("Orders", attributes);
    room.send(queue, &[("a", 0), ("b", 0), ("c", 0), ("d", 0), ("e", 0), ("f", 3_600_000)]);
    let first = room.receive(queue, 4, 60_000);
    room.release(queue, first[0].receipt, 0, true);
    room.release(queue, first[1].receipt, 0, false);
    room.release(queue, first[2].receipt, 90_000, false);
    let again = room.receive(queue, 1, 60_000);
    room.release(queue, again[0].receipt, 0, true);
    room.pass(1);
    room.tick();
    let (tenant, group, dedup_id) = ("t".to_owned(), "g".to_owned(), "d".to_owned());
    let ordered = NewMessage { priority: 9, tenant, group, dedup_id, ..message("g", 0) };
    room.run(&Command::Send { queue, messages: vec![ordered] });
    assert_eq!((room.counts(queue), room.counts(dead)), ((3, 1, 2), (1, 0, 0)));
    room
}

/// Every kind of row: key and value.
const ROWS: &[(&str, &str)] = &[
    ("10", "0100000002"),
    (
        "11 00000001",
        "0100000004646561640000000005f5e100000000000000001e00010000000546000000000000000000000000018bcfe568000000018bcfe5680000",
    ),
    (
        "11 00000002",
        "01000000064f72646572730000000005f5e100000000000000001e0001000000054600000000000000003c01000000046465616401000000020000018bcfe568000000018bcfe5680000",
    ),
    (
        "12 00000001",
        "01000000000000000200000000000000010000000000000001000000000000000000000000000000000100000000000000010000018bcfe56801000000000000000000000000000000000000000000000001000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "12 00000002",
        "01000000000000000600000000000000080000000000000006000000000000000000000000000000000100000000000000010000018bcfe568000000000000000006000000000000000600000000000000010000000000000000000000000000000000000000010000018bcfe6526100000000000000070000000000000000000000000000000500000000000000010000000000000000000000000000000000000000000000000000000000000001",
    ),
    (
        "13 00000001 0000000000000001",
        "0107000020000000010000018bcfe568000000018bcfe56801000000010000000001000000020000018bcfe5680000000002000000020000018bcfe5680001040000000000000000",
    ),
    (
        "13 00000002 0000000000000002",
        "0107000020000000020000018bcfe568000000018bcfe56800000000010000000000040000000000000000",
    ),
    (
        "13 00000002 0000000000000003",
        "0107000020000000030000018bcfe568000000018bcfe56800000000010000000000040000000000000000",
    ),
    (
        "13 00000002 0000000000000004",
        "0107000020000000040000018bcfe568000000018bcfe56800000000010000000000040000000000000000",
    ),
    (
        "13 00000002 0000000000000005",
        "0107000020000000050000018bcfe568000000018bcfe56800000000010000000000040000000000000000",
    ),
    (
        "13 00000002 0000010000000001",
        "0107000020000000070000018bcfe568010000018bcfe568010000000100000000000900000001740000000167",
    ),
    (
        "14 00000002 000000000000018bd01c56800700002000000006",
        "0107000020000000060000018bcfe568000000018bd01c5680000000010000000000040000000000000000",
    ),
    ("15 00000002 0000200000000003", "0100000000000000030000018bcfe6c79000000001000000000000018bcfe5680001"),
    ("15 00000002 0000200000000004", "0100000000000000040000018bcfe6526000000001000000000000018bcfe5680000"),
    ("16 00000002 0000000000000002", "0100000001000000000000018bcfe56800"),
    ("17 00000001 0000000000000000", "010000000100010002"),
    ("17 00000002 0000000000000000", "01000000020002000300050006"),
    ("17 00000002 0000000010000000", "010000000100010002"),
    ("18 00000001 0000000000000000", "0100000001000100010700002000000001"),
    ("18 00000002 0000000000000000", "0100000001000100050700002000000001"),
    ("18 00000002 0000000010000000", "0100000001000100010700002000000007"),
    ("19 00000002 0000000062f40715", "0100000001"),
    (
        "1a 00000002 0000000000000001",
        "0109000000017400000001670000010000000002000000000000000000000000000000000100000100000000010000018bcfe56801000000000000000600000000000000060000000000000000",
    ),
    ("1b 00000002 64", "010000018bcfe652610700002000000007"),
    ("1c 00000002 0000018bcfe652610700002000000007", "010000000164"),
];

#[test]
fn rows_keep_their_layout() {
    let room = every_kind_of_row();
    let rows: Vec<(String, String)> = room
        .store
        .rows()
        .filter(|(key, _)| key.first().is_some_and(|kind| *kind >= 0x10))
        .map(|(key, value)| (hex(key), hex(value)))
        .collect();
    let golden: Vec<(String, String)> =
        ROWS.iter().map(|(key, value)| (key.replace(' ', ""), value.replace(' ', ""))).collect();
    assert_eq!(rows, golden);
}

#[test]
fn a_row_of_another_version_stops_the_load() {
    let room = every_kind_of_row();
    let kinds = 0x10..=0x1c_u8;
    // Messages, visible or delayed, and deduplication ids are not read by a load.
    for kind in kinds.filter(|kind| ![0x13, 0x14, 0x1b, 0x1c].contains(kind)) {
        let mut store = room.store.clone();
        let mut rows: std::collections::BTreeMap<_, _> =
            store.rows().map(|(key, value)| (key.clone(), value.clone())).collect();
        let (key, value) = rows.iter().find(|(key, _)| key.first() == Some(&kind)).expect("every kind is there");
        let (key, newer) = (key.clone(), [&[2], &value[1..]].concat());
        rows.insert(key, Bytes::from(newer));
        store.replace(rows, std::collections::BTreeMap::new());
        let loaded = store.host::<queue_core::QueueMachine>(crate::room::GROUP);
        assert!(loaded.is_err(), "kind {kind:#x}");
    }
}
