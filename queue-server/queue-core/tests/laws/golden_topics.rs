//! Golden formats of topics and redrives: commands, replies, items of a tick, rows.
//!
//! Must never: be mended to fit the code. A layout that changes takes a new tag or version beside the old one.

use bytes::Bytes;
use machine::{GroupId, TimestampMs};
use queue_core::{
    Attributes, Command, DeadLetterCount, DeliveryNumber, Due, Endpoint, FilterKind, Header, MessageId, NotifyFormat,
    Pick, Publication, QueueAddress, QueueId, RedriveFilter, RedriveOrder, Reply, RetryStrategy, Stretch,
    SubscriptionAttributes, SubscriptionChanges, TopicAttributes, TopicChanges, TopicCommand, TopicId,
};

use crate::golden::{check, hex};
use crate::room::Room;
use crate::topics::{create_topic, publish, pushed, subscribe, to_queue, with_tags};

fn far() -> QueueAddress {
    QueueAddress { group: Some(GroupId(3)), queue: "q".to_owned() }
}

fn subscription() -> SubscriptionAttributes {
    SubscriptionAttributes {
        endpoint: Endpoint::Http { url: "http://h".to_owned() },
        strategy: RetryStrategy::ExponentialDecay,
        format: NotifyFormat::Simplified,
        filters: vec!["a".to_owned()],
        dead_letter: Some(far()),
    }
}

fn order() -> RedriveOrder {
    let filter = RedriveFilter {
        header: Some(Header { name: "k".to_owned(), value: "v".to_owned() }),
        sent_before: Some(TimestampMs(9)),
        sent_from: None,
        reason: Some(DeadLetterCount::Failed),
        origin: Some("o".to_owned()),
        failed_min: 2,
        received_min: 3,
    };
    RedriveOrder { to: Some(far()), filter, messages_max: Some(7), rate: Some(5), is_dry: true }
}

#[test]
fn commands_of_topics_keep_their_layout() {
    let name = || "t".to_owned();
    let attributes = TopicAttributes { filter: FilterKind::Routing, trace: true, ..TopicAttributes::default() };
    let changes = TopicChanges { retention_s: Some(60), trace: Some(false), ..TopicChanges::default() };
    let set = SubscriptionChanges {
        endpoint: Some(Endpoint::Queue(far())),
        strategy: Some(RetryStrategy::Backoff),
        format: Some(NotifyFormat::Json),
        filters: Some(vec![]),
        dead_letter: Some(None),
    };
    let message = Publication {
        body: Bytes::from_static(b"hi"),
        headers: vec![Header { name: "k".to_owned(), value: "v".to_owned() }],
        tags: vec!["a".to_owned()],
        routing_key: "r".to_owned(),
    };
    check(&[
        (TopicCommand::Create { name: name(), attributes }, "140000000174 00010000 00015180 02 01"),
        (TopicCommand::Set { name: name(), changes }, "150000000174 00 010000003c 0100"),
        (TopicCommand::Delete { name: name() }, "160000000174"),
        (
            TopicCommand::Subscribe { topic: name(), name: "s".to_owned(), attributes: subscription() },
            "170000000174 0000000173 0200000008687474703a2f2f68 02 02 000000010000000161 010100000003 0000000171",
        ),
        (
            TopicCommand::SetSubscription { topic: name(), name: "s".to_owned(), changes: set },
            "180000000174 0000000173 01010100000003 0000000171 0101 0101 0100000000 0100",
        ),
        (TopicCommand::Unsubscribe { topic: name(), name: "s".to_owned() }, "190000000174 0000000173"),
        (
            TopicCommand::Publish { topic: TopicId(1), messages: vec![message] },
            "1a00000001 00000001 000000026869 00000001 000000016b 0000000176 000000010000000161 0000000172",
        ),
        (
            TopicCommand::Redrive { queue: QueueId(2), order: order() },
            "1b00000002 010100000003 0000000171 01000000016b 0000000176 010000000000000009 00 0101 01000000016f 00000002 00000003 010000000000000007 0100000005 01",
        ),
        (TopicCommand::StopRedrive { queue: QueueId(2) }, "1c00000002"),
    ]
    .map(|(command, golden)| (Command::Topic(command), golden)));
}

#[test]
fn replies_and_items_of_topics_keep_their_layout() {
    let (queue, delivery) = (QueueId(2), DeliveryNumber(0x2000_0000_0001));
    let body = Bytes::from_static(b"hi");
    let picks = vec![Pick { seq: 7, body: None }, Pick { seq: 8, body: Some(body.clone()) }];
    check(&[
        (Reply::TopicCreated { topic: TopicId(5) }, "1900000005"),
        (Reply::Subscribed { queue }, "1a00000002"),
        (
            Reply::Published { ids: vec![MessageId(9)], copies: 2, readied: vec![queue] },
            "1b 00000001 0000000000000009 00000002 00000001 00000002",
        ),
    ]);
    check(&[
        (
            Due::Carry { queue, delivery, seq: 7, body: body.clone() },
            "0d 00000002 0000200000000001 0000000000000007 000000026869",
        ),
        (Due::Forward { queue, seq: 7, body: None }, "0e 00000002 0000000000000007 00"),
        (Due::Forward { queue, seq: 7, body: Some(body) }, "0e 00000002 0000000000000007 01000000026869"),
        (
            Due::Redrive { queue, stretch: Stretch { from: 1, to: u64::MAX, picks } },
            "0f 00000002 0000000000000001 ffffffffffffffff 00000002 000000000000000700 000000000000000801000000026869",
        ),
    ]);
}

fn every_kind_of_row() -> Room {
    let mut room = Room::new();
    let topic = create_topic(&mut room, "News", TopicAttributes::default());
    let queue = room.create("q", Attributes::default());
    subscribe(&mut room, "news", "Web", with_tags(&["a"], pushed()));
    let copies = subscribe(&mut room, "news", "all", to_queue("q"));
    publish(&mut room, topic, &[("x", &["a"])]);
    room.run(&Command::DeleteQueue { name: "q".to_owned() });
    room.tick();
    let to = Some(QueueAddress { group: Some(GroupId(3)), queue: "q".to_owned() });
    let order = RedriveOrder { to, ..order() };
    room.topic(TopicCommand::Redrive { queue: copies, order });
    assert_eq!(room.machine().status(queue), None);
    room
}

#[test]
fn rows_of_topics_keep_their_layout() {
    let golden: &[(&str, &str)] = &[
        (
            "12 00000003",
            "01000000000000000200000000000000020000000000000001000000000000000000000000000000000100000000000000010000018bcfe56800000000000000000000000000000000000000000000000001000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
        ),
        (
            "12 00000004",
            "01000000000000000200000000000000020000000000000001000000000000000000000000000000000100000000000000010000018bcfe56800000000000000000000000000000000000000000000000001000000000000000000000000000000000000000000010000018bcfe56800000000010000018bcfe56be801010000000000000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
        ),
        (
            "13 00000003 0000000000000001",
            "0107000030000000010000018bcfe568000000018bcfe5680000000001000000000001000000044e657773000000010700001000000001000000010000000161040000000000000000",
        ),
        (
            "13 00000004 0000000000000001",
            "0107000040000000010000018bcfe568000000018bcfe5680000000001000000000001000000044e657773000000010700001000000001000000010000000161040000000000000000",
        ),
        ("28 00000001", "01000000044e657773000100000001518001000000018bcfe568000000018bcfe56800"),
        (
            "29 00000003",
            "0100000001000000035765620200000015687474703a2f2f3132372e302e302e313a392f696e0101000000010000000161000000018bcfe568000000018bcfe56800",
        ),
        ("29 00000004", "010000000100000003616c6c01000000000171010100000000000000018bcfe568000000018bcfe56800"),
        (
            "2a 00000004",
            "01010100000003000000017101000000016b000000017601000000000000000900010101000000016f0000000200000003010000000000000007010000000501010000018bcfe568000000018bcfe5680000000000000000000000000000000000000000000000000000000000000000000000000000000000000000018bcfe5680000000007",
        ),
        ("2b 00000001", "0100000000000000020000000000000002"),
    ];
    let room = every_kind_of_row();
    let rows: Vec<(String, String)> = room
        .store
        .rows()
        .filter(|(key, _)| {
            key.first().is_some_and(|kind| (0x28..=0x2f).contains(kind) || *kind == 0x13 || *kind == 0x12)
        })
        .map(|(key, value)| (hex(key), hex(value)))
        .collect();
    let golden: Vec<(String, String)> =
        golden.iter().map(|(key, value)| (key.replace(' ', ""), value.replace(' ', ""))).collect();
    assert_eq!(rows, golden);
}

#[test]
fn a_row_of_another_version_stops_the_load() {
    let room = every_kind_of_row();
    for kind in 0x28..=0x2b_u8 {
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
