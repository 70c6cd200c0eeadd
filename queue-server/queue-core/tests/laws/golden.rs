//! Golden formats: the bytes of every command, reply and row. A log or a store written yesterday is read by these.
//!
//! Must never: be mended to fit the code. A layout that changes takes a new tag or version beside the old one.

use core::fmt::{Debug, Write as _};

use bytes::Bytes;
use machine::{GroupId, Layout, TimestampMs};
use queue_core::{
    AttributeChanges, Attributes, Command, DeadLetterCount, DeadLetterPolicy, Delivery, DeliveryNumber, Due, Header,
    MessageId, NewMessage, Passage, Question, QueueId, Refusal, Reply, Shipment, TransactionPolicy, Tries,
};

use crate::room::{Room, message, policy};

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

/// Holds each value against its bytes, both ways, and against every shorter input.
pub(crate) fn check<T: Layout + Debug + PartialEq>(table: &[(T, &str)]) {
    for (value, golden) in table {
        let bytes = value.to_bytes();
        assert_eq!(hex(&bytes), golden.replace([' ', '\n'], ""), "{value:?}");
        assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(value));
        for cut in 0..bytes.len() {
            assert!(T::from_bytes(&bytes.slice(..cut)).is_err(), "{value:?} cut at {cut}");
        }
    }
    assert!(T::from_bytes(&Bytes::from_static(&[0xff])).is_err(), "an unknown tag is not guessed at");
}

fn letters() -> DeadLetterPolicy {
    DeadLetterPolicy { group: None, queue: "dl".to_owned(), count: DeadLetterCount::Failed, limit: 3 }
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
            is_half: false,
        },
        NewMessage { body: Bytes::from_static(b"x"), is_half: true, ..NewMessage::default() },
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
            "0100000001710000000005f5e100000000000000001e00010000000546000000000000000000010000000002646c01000000030000",
        ),
        (
            Command::SetQueueAttributes { name: "q".to_owned(), changes: some },
            "020000000171010000000000000009000000010000003c000001010000000002646c01000000030000",
        ),
        (Command::SetQueueAttributes { name: "q".to_owned(), changes: none }, "0200000001710000000000000001000000"),
        (Command::DeleteQueue { name: "q".to_owned() }, "030000000171"),
        (
            Command::Send { queue, messages },
            "040000000200000002000000026869000000000000000500000001000000016b0000000176090000000174000000016700000001640000000001780000000000000000000000000400000000000000000000000001",
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

fn shipment() -> Shipment {
    let (id, delivery, due) = (MessageId(0x20_0000_0001), DeliveryNumber(0x2000_0000_0001), TimestampMs(1_000));
    let body = || Bytes::from_static(b"x");
    let passages = vec![
        Passage::Ready { seq: 7, body: body() },
        Passage::Delayed { epoch: 1, due, id, body: body() },
        Passage::Leased { delivery, seq: 7, body: body() },
        Passage::Half { id, body: body() },
    ];
    Shipment { step: 1, is_last_window: true, windows: vec![(due, id)], passages }
}

#[test]
fn later_commands_keep_their_layout() {
    let transaction = Some(TransactionPolicy { first_query_s: 5, max_queries: 3 });
    let aged = DeadLetterPolicy { count: DeadLetterCount::Age, limit: 300, ..letters() };
    let later = Attributes { dead_letter: Some(aged), transaction, trace: true, ..Attributes::default() };
    let (queue, id) = (QueueId(2), MessageId(0x20_0000_0001));
    let deals = AttributeChanges { transaction: Some(transaction), trace: Some(true), ..AttributeChanges::default() };
    let later_items = vec![
        Due::Half { queue, id },
        Due::Forget { queue, seq: 7 },
        Due::Events { queue, from: 3, to: 9 },
        Due::Age { queue, seq: 8, body: None },
    ];
    check(&[
        (
            Command::CreateQueue { name: "q".to_owned(), attributes: later },
            "0100000001710000000005f5e100000000000000001e00010000000546000000000000000000010000000002646c020000012c01000000050000000301",
        ),
        (
            Command::SetQueueAttributes { name: "q".to_owned(), changes: deals },
            "0200000001710000000000000000010100000005000000030101",
        ),
        (
            Command::Rewind { queue, to: TimestampMs(1_000), places: vec![7, 8] },
            "0b0000000200000000000003e80000000200000000000000070000000000000008",
        ),
        (Command::Confirm { queue, ids: vec![id], is_commit: true }, "0c0000000200000001000000200000000101"),
        (Command::QueryHalf { queue, count: 16 }, "0d0000000200000010"),
        (Command::MoveQueue { name: "q".to_owned(), to: GroupId(3) }, "0e000000017100000003"),
        (Command::CancelMove { name: "q".to_owned() }, "0f0000000171"),
        (
            Command::Tick { items: vec![Due::Ship { queue, shipment: shipment() }] },
            "0a00000001 10 00000002 0000000000000001 01 00000001 00000000000003e8 0000002000000001 00000004
             01 0000000000000007 0000000178 02 00000001 00000000000003e8 0000002000000001 0000000178
             03 0000200000000001 0000000000000007 0000000178 04 0000002000000001 0000000178",
        ),
        (
            Command::Tick { items: later_items },
            "0a0000000407000000020000002000000001080000000200000000000000070900000002000000000000000300000000000000090a00000002000000000000000800",
        ),
    ]);
}

#[test]
fn replies_keep_their_layout() {
    let (queue, receipt, id) = (QueueId(2), DeliveryNumber(0x2000_0000_0001), MessageId(0x20_0000_0001));
    let tries = Tries { received: 2, failed: 1, first_received: TimestampMs(9) };
    let question = Question { id, sent: TimestampMs(1), queries: 2, next: TimestampMs(3) };
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
        (Reply::Rewound { messages: 3 }, "0f0000000000000003"),
        (
            Reply::Questions { questions: vec![question] },
            "100000000100000020000000010000000000000001000000020000000000000003",
        ),
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
        "0100000004646561640000000005f5e100000000000000001e000100000005460000000000000000000000000000018bcfe568000000018bcfe5680000",
    ),
    (
        "11 00000002",
        "01000000064f72646572730000000005f5e100000000000000001e0001000000054600000000000000003c01000000000464656164010000000200000000018bcfe568000000018bcfe5680000",
    ),
    (
        "12 00000001",
        "01000000000000000200000000000000010000000000000001000000000000000000000000000000000100000000000000010000018bcfe56801000000000000000000000000000000000000000000000001000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "12 00000002",
        "01000000000000000600000000000000080000000000000006000000000000000000000000000000000100000000000000010000018bcfe568000000000000000006000000000000000600000000000000010000000000000000000000000000000000000000000000000000000000010000018bcfe6526100000000000000070000000000000000000000000000000500000000000000010000000000000000000000000000000000000000000000000000000000000001000000000000000700000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "13 00000001 0000000000000001",
        "0107000020000000010000018bcfe568000000018bcfe568010000000100000000010000000700000002000000064f72646572730000018bcfe5680000000002000000020000018bcfe5680001010000000000040000000000000000",
    ),
    (
        "13 00000002 0000000000000002",
        "0107000020000000020000018bcfe568000000018bcfe5680000000001000000000000040000000000000000",
    ),
    (
        "13 00000002 0000000000000003",
        "0107000020000000030000018bcfe568000000018bcfe5680000000001000000000000040000000000000000",
    ),
    (
        "13 00000002 0000000000000004",
        "0107000020000000040000018bcfe568000000018bcfe5680000000001000000000000040000000000000000",
    ),
    (
        "13 00000002 0000000000000005",
        "0107000020000000050000018bcfe568000000018bcfe5680000000001000000000000040000000000000000",
    ),
    (
        "13 00000002 0000010000000001",
        "0107000020000000070000018bcfe568010000018bcfe56801000000010000000000000900000001740000000167",
    ),
    (
        "14 00000002 000000000000018bd01c56800700002000000006",
        "0107000020000000060000018bcfe568000000018bd01c568000000001000000000000040000000000000000",
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
    ("19 00000002 0000000062f40715", "010000000000000001"),
    (
        "1a 00000002 0000000000000001",
        "010900000001740000000167000000010000000002000000000000000000000000000000000100000100000000010000018bcfe56801000000000000000600000000000000060000000000000000",
    ),
    ("1b 00000002 64", "010000018bcfe652610700002000000007"),
    ("1c 00000002 0000018bcfe652610700002000000007", "010000000164"),
];

#[test]
fn rows_keep_their_layout() {
    check_rows(&every_kind_of_row(), 0x10, ROWS);
}

/// A queue that keeps what was acked, half messages, decisions and events.
fn every_kind_of_later_row() -> Room {
    let transaction = Some(TransactionPolicy { first_query_s: 5, max_queries: 1 });
    let (mut room, queue) =
        Room::with_queue(Attributes { transaction, rewind_s: 60, trace: true, ..Attributes::default() });
    room.send(queue, &[("a", 0)]);
    let receipt = room.receive(queue, 1, 60_000)[0].receipt;
    room.ack(queue, &[receipt]);
    let half = NewMessage { is_half: true, ..message("h", 0) };
    let reply = room.run(&Command::Send { queue, messages: vec![half; 2] });
    let Reply::Sent { ids, .. } = reply else { panic!("it is sent, not {reply:?}") };
    room.pass(5_000);
    room.run(&Command::QueryHalf { queue, count: 1 });
    room.run(&Command::Confirm { queue, ids: ids[1..].to_vec(), is_commit: false });
    room
}

#[test]
fn later_rows_keep_their_layout() {
    let golden: &[(&str, &str)] = &[
        ("1d 00000001 0000000000000000", "010000000100010002"),
        (
            "1e 00000001 0700001000000002",
            "0107000010000000020000018bcfe568000000018bcfe5680000000001000000000000040000000000000000",
        ),
        ("1f 00000001 0000000000000000", "010000018bcfe56800070000100000000101000000000000000100000000"),
        ("1f 00000001 0000000000000001", "010000018bcfe56800070000100000000104000010000000000100000000"),
        ("1f 00000001 0000000000000002", "010000018bcfe5680007000010000000010c000000000000000100000000"),
        ("1f 00000001 0000000000000003", "010000018bcfe568000700001000000002100000018bcfe57b8800000000"),
        ("1f 00000001 0000000000000004", "010000018bcfe568000700001000000003100000018bcfe57b8800000000"),
        ("1f 00000001 0000000000000005", "010000018bcfe57b88070000100000000213000000000000000100000000"),
        ("1f 00000001 0000000000000006", "010000018bcfe57b88070000100000000312000000000000000000000000"),
        ("20 0700001000000001 00000001 0000000000000000", ""),
        ("20 0700001000000001 00000001 0000000000000001", ""),
        ("20 0700001000000001 00000001 0000000000000002", ""),
        ("20 0700001000000002 00000001 0000000000000003", ""),
        ("20 0700001000000002 00000001 0000000000000005", ""),
        ("20 0700001000000003 00000001 0000000000000004", ""),
        ("20 0700001000000003 00000001 0000000000000006", ""),
        ("21 00000001 0700001000000002", "010000018bcfe568000000018bcfe5a298000000010100000000"),
        ("22 00000001 0000000000000000", "01070000100000000300"),
        ("23 00000001", "010000000000000007000000000000000000000000000000000000018bcfe56800"),
        ("24 00000001 0000000000000000", "01000000000000000000000000000000010000000000000000"),
    ];
    check_rows(&every_kind_of_later_row(), 0x1d, golden);
}

/// Holds the rows of a kind, and all kinds behind it, against their bytes.
fn check_rows(room: &Room, first_kind: u8, golden: &[(&str, &str)]) {
    let rows: Vec<(String, String)> = room
        .store
        .rows()
        .filter(|(key, _)| key.first().is_some_and(|kind| *kind >= first_kind))
        .map(|(key, value)| (hex(key), hex(value)))
        .collect();
    let golden: Vec<(String, String)> =
        golden.iter().map(|(key, value)| (key.replace(' ', ""), value.replace(' ', ""))).collect();
    assert_eq!(rows, golden);
}

#[test]
fn a_row_of_another_version_stops_the_load() {
    let (room, later) = (every_kind_of_row(), every_kind_of_later_row());
    // Messages, whatever their state, deduplication ids and events are not read by a load.
    let kinds = (0x10..=0x1c_u8).filter(|kind| ![0x13, 0x14, 0x1b, 0x1c].contains(kind));
    let later_kinds = [0x1d, 0x21, 0x22, 0x23, 0x24_u8];
    for (room, kind) in kinds.map(|kind| (&room, kind)).chain(later_kinds.map(|kind| (&later, kind))) {
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
