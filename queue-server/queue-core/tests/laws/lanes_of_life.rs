//! Where order meets what else a queue does: half messages, rewinds, purges, moves and deduplication in lanes.
//!
//! Must never: let a lane outlive its last message, or close before it.

use queue_core::limits::{BATCH_MAX, LANES_PER_QUEUE_MAX};
use queue_core::{
    Attributes, Command, DeadLetterCount, EventKind, Filter, MessageId, NewMessage, PeekState, QueueId, RedriveFilter,
    RedriveOrder, RedriveState, Refusal, Reply, Stall, TopicCommand, TransactionPolicy,
};

use crate::room::{Room, message, policy};
use crate::topics::address;

type Order = (u8, &'static str, &'static str);
/// What becomes of half messages, and how.
type End = (&'static str, fn(&mut Room, QueueId, &[MessageId]));

fn of(body: &'static str, (priority, tenant, group): Order) -> NewMessage {
    NewMessage { priority, tenant: tenant.to_owned(), group: group.to_owned(), ..message(body, 0) }
}

fn send(room: &mut Room, queue: QueueId, messages: Vec<NewMessage>) -> Vec<MessageId> {
    let reply = room.run(&Command::Send { queue, messages });
    let Reply::Sent { ids, .. } = reply else { panic!("messages are sent, not {reply:?}") };
    ids
}

/// Takes and acks one message at a time.
fn consume(room: &mut Room, queue: QueueId) -> Vec<String> {
    let mut bodies = Vec::new();
    while let Some(delivery) = room.receive(queue, 1, 60_000).pop() {
        bodies.push(room.body(delivery.id));
        room.ack(queue, &[delivery.receipt]);
    }
    bodies
}

fn lanes(room: &Room, queue: QueueId) -> u64 {
    room.status(queue).footprint.lanes
}

fn deals(attributes: Attributes) -> (Room, QueueId) {
    let transaction = Some(TransactionPolicy { first_query_s: 5, max_queries: 1 });
    Room::with_queue(Attributes { transaction, ..attributes })
}

fn half(body: &'static str, order: Order) -> NewMessage {
    NewMessage { is_half: true, ..of(body, order) }
}

fn decide(room: &mut Room, queue: QueueId, ids: &[MessageId], is_commit: bool) {
    let reply = room.run(&Command::Confirm { queue, ids: ids.to_vec(), is_commit });
    assert_eq!(reply, Reply::Settled { results: vec![None; ids.len()] });
}

fn rewind_all(room: &mut Room, queue: QueueId) -> u64 {
    let to = machine::TimestampMs(0);
    let places = room.machine().rewind_places(&room.store, queue, to).expect("rows can be read");
    let reply = room.run(&Command::Rewind { queue, to, places });
    let Reply::Rewound { messages } = reply else { panic!("a queue is rewound, not {reply:?}") };
    messages
}

#[test]
fn a_committed_message_stands_behind_those_of_its_group_that_came_before_its_commit() {
    let (mut room, queue) = deals(Attributes::default());
    let ids = send(&mut room, queue, vec![half("half", (9, "a", "g")), of("first", (9, "a", "g"))]);
    send(&mut room, queue, vec![of("plain", (4, "", ""))]);
    assert_eq!(room.take(queue, 1, 60_000), ["first"]);
    decide(&mut room, queue, &ids[..1], true);
    assert_eq!(room.take(queue, 9, 60_000), ["plain"], "an earlier one of its group is out");
    room.pass(60_000);
    room.tick();
    assert_eq!(consume(&mut room, queue), ["first", "half", "plain"]);
    assert_eq!(lanes(&room, queue), 0);
}

#[test]
fn a_half_message_keeps_its_lane_open_however_it_ends() {
    let ends: [End; 5] = [
        ("rolled back", |room, queue, ids| decide(room, queue, ids, false)),
        ("committed", |room, queue, ids| {
            decide(room, queue, ids, true);
            assert_eq!(consume(room, queue).len(), 2);
        }),
        ("purged", |room, queue, _| {
            room.run(&Command::Purge { queue });
        }),
        ("unanswered", |room, queue, _| {
            room.pass(5_000);
            room.run(&Command::QueryHalf { queue, count: 9 });
            room.pass(10_000);
            room.tick();
        }),
        ("too old", |room, _, _| {
            room.pass(60_000);
            room.tick();
        }),
    ];
    for (what, end) in ends {
        let (mut room, queue) = deals(Attributes { retention_s: 60, ..Attributes::default() });
        let ids = send(&mut room, queue, vec![half("a", (4, "", "g")), half("b", (0, "t", ""))]);
        send(&mut room, queue, vec![of("x", (4, "", "g"))]);
        assert_eq!(consume(&mut room, queue), ["x"]);
        assert_eq!(lanes(&room, queue), 2, "{what}: both wait");
        end(&mut room, queue, &ids);
        assert_eq!(lanes(&room, queue), 0, "{what}");
        send(&mut room, queue, vec![of("after", (4, "", "g"))]);
        assert_eq!(consume(&mut room, queue), ["after"], "{what}: the group goes on");
    }
}

#[test]
fn a_group_is_rewound_in_its_order_and_nothing_overtakes() {
    let (mut room, queue) = Room::with_queue(Attributes { rewind_s: 60, ..Attributes::default() });
    let sent: Vec<_> = ["1", "2", "3", "4"].iter().map(|body| of(body, (4, "", "g"))).collect();
    send(&mut room, queue, [sent, vec![of("urgent", (9, "", "")), of("tenant", (4, "t", ""))]].concat());
    let (first, second) = (room.receive(queue, 1, 60_000), room.receive(queue, 9, 60_000));
    assert_eq!((first.len(), second.len()), (1, 2), "of the group one, of all others all");
    room.ack(queue, &[first[0].receipt, second[0].receipt, second[1].receipt]);
    let out = loop {
        let delivery = room.receive(queue, 1, 60_000).pop().expect("the group goes on");
        if room.body(delivery.id) == "3" {
            break delivery;
        }
        room.ack(queue, &[delivery.receipt]);
    };
    assert_eq!(lanes(&room, queue), 3, "what is kept keeps its lane");
    let kept = room.status(queue).counts.rewindable;
    assert_eq!((kept, rewind_all(&mut room, queue)), (4, 4));
    // 3 is out: neither those before it nor that behind it may go.
    assert_eq!(consume(&mut room, queue), ["urgent", "tenant"]);
    room.release(queue, out.receipt, 0, false);
    assert_eq!(consume(&mut room, queue), ["1", "2", "3", "4"]);
    room.pass(60_000);
    room.tick();
    assert_eq!((lanes(&room, queue), room.status(queue).counts.rewindable), (0, 0));
}

#[test]
fn a_purge_closes_the_lanes_of_everything_that_waits() {
    let (mut room, queue) = deals(Attributes { rewind_s: 60, ..Attributes::default() });
    send(&mut room, queue, vec![of("done", (9, "", "d")), half("half", (4, "", "h")), of("seen", (4, "", "v"))]);
    assert_eq!(room.take(queue, 1, 1_000), ["done"]);
    room.pass(1_000);
    room.tick();
    let receipt = room.receive(queue, 1, 60_000)[0].receipt;
    room.ack(queue, &[receipt]);
    assert_eq!(room.run(&Command::Purge { queue }), Reply::Purged { messages: 2 });
    assert_eq!(lanes(&room, queue), 2, "what was dropped stands there until it is erased");
    room.tick();
    assert_eq!((lanes(&room, queue), rewind_all(&mut room, queue)), (0, 0));
}

#[test]
fn a_repeated_send_of_what_was_rolled_back_is_a_duplicate_within_its_window() {
    let (mut room, queue) = deals(Attributes { dedup_window_s: 10, ..Attributes::default() });
    let deal = || vec![NewMessage { dedup_id: "once".to_owned(), ..half("a", (4, "", "")) }];
    let ids = send(&mut room, queue, deal());
    decide(&mut room, queue, &ids, false);
    let again = room.run(&Command::Send { queue, messages: deal() });
    assert_eq!(again, Reply::Sent { ids: ids.clone(), first_seq: 0, duplicates: vec![0] });
    assert_eq!(room.status(queue).counts.half, 0, "what was rolled back does not come back");
    let reply = room.run(&Command::Confirm { queue, ids: ids.clone(), is_commit: true });
    assert_eq!(reply, Reply::Settled { results: vec![Some(Refusal::HalfSettled)] });
    room.pass(10_000);
    assert_ne!(send(&mut room, queue, deal()), ids);
}

#[test]
fn a_redrive_goes_through_every_lane_and_messages_keep_their_order_where_they_come() {
    let mut room = Room::new();
    let (dead, orders) = (room.create("dead", Attributes::default()), room.create("orders", Attributes::default()));
    let group: Vec<_> = ["1", "2", "3"].iter().map(|body| of(body, (4, "t", "g"))).collect();
    send(&mut room, dead, [vec![of("low", (0, "", "")), of("high", (9, "", ""))], group].concat());
    let order = RedriveOrder {
        to: Some(address("orders")),
        filter: RedriveFilter::default(),
        messages_max: None,
        rate: None,
        is_dry: false,
    };
    assert_eq!(room.topic(TopicCommand::Redrive { queue: dead, order }), Reply::Done);
    room.tick();
    let job = room.machine().redrive_status(dead).expect("it is remembered");
    assert_eq!((job.state, job.scanned, job.matched, job.moved), (RedriveState::Done, 5, 5, 5));
    assert_eq!((lanes(&room, dead), lanes(&room, orders)), (0, 3));
    assert_eq!(consume(&mut room, orders), ["high", "1", "2", "3", "low"]);
}

#[test]
fn a_message_that_finds_no_lane_in_its_dead_letter_queue_waits_for_one() {
    let mut room = Room::new();
    let dead = room.create("dead", Attributes::default());
    let queue = room.create("orders", policy("dead", DeadLetterCount::Failed, 1));
    let groups: Vec<String> = (0..LANES_PER_QUEUE_MAX).map(|number| format!("g{number}")).collect();
    for groups in groups.chunks(BATCH_MAX) {
        let in_group = |group: &String| NewMessage { group: group.clone(), ..message("x", 0) };
        let messages = groups.iter().map(in_group).collect();
        room.run_fast(&Command::Send { queue: dead, messages });
    }
    let messages = vec![of("new", (4, "", "new")), of("known", (4, "", "g7")), of("plain", (4, "", ""))];
    room.run_fast(&Command::Send { queue, messages });
    let fail = |room: &mut Room| {
        let reply = room.run_fast(&Command::Receive { queue, count: 9, lease_ms: None });
        let Reply::Received { deliveries } = reply else { panic!("they are received, not {reply:?}") };
        let receipts = deliveries.iter().map(|delivery| delivery.receipt).collect();
        room.run_fast(&Command::Release { queue, receipts, delay_ms: 0, failed: true });
    };
    let tick = |room: &mut Room| {
        while let Some(tick) = machine::Machine::due(room.machine(), &room.store, room.now).expect("rows can be read") {
            room.run_fast(&tick);
        }
    };
    fail(&mut room);
    tick(&mut room);
    let status = room.status(queue);
    assert_eq!((status.totals.dead_lettered, status.counts.delayed), (2, 1));
    room.pass(30_000);
    tick(&mut room);
    assert_eq!(room.status(queue).stall, Some(Stall::QueueFull), "it was offered once more");
    // The plain lane is there for ever, so the second message that goes gives its lane back at the latest.
    for _ in 0..2 {
        let reply = room.run_fast(&Command::Receive { queue: dead, count: 1, lease_ms: None });
        let Reply::Received { deliveries } = reply else { panic!("one is received, not {reply:?}") };
        room.run_fast(&Command::Ack { queue: dead, receipts: vec![deliveries[0].receipt] });
    }
    room.pass(30_000);
    tick(&mut room);
    assert_eq!((room.status(queue).totals.dead_lettered, room.status(queue).stall), (3, None));
    room.check_reload();
}

#[test]
fn a_search_chooses_by_tenant_and_group() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    let all = [("ag", (4, "a", "g")), ("a", (9, "a", "")), ("g", (4, "", "g")), ("plain", (4, "", ""))];
    send(&mut room, queue, all.iter().map(|(body, order)| of(body, *order)).collect());
    let search = |tenant: Option<&str>, group: Option<&str>| {
        let filter = Filter { tenant: tenant.map(str::to_owned), group: group.map(str::to_owned), ..Filter::default() };
        let found = room.machine().search(&room.store, queue, (PeekState::Visible, &filter), None, 9);
        let found = found.expect("rows can be read").messages;
        let mut bodies: Vec<String> = found.iter().map(|peeked| room.body(peeked.message.id)).collect();
        bodies.sort();
        bodies
    };
    for (tenant, group, expected) in [
        (None, None, &["a", "ag", "g", "plain"][..]),
        (Some("a"), None, &["a", "ag"]),
        (Some("A"), None, &[]),
        (None, Some("g"), &["ag", "g"]),
        (Some("a"), Some("g"), &["ag"]),
        (Some(""), Some(""), &["plain"]),
    ] {
        assert_eq!(search(tenant, group), expected, "{tenant:?} {group:?}");
    }
}

#[test]
fn a_duplicate_of_a_message_that_has_moved_is_told_at_its_time() {
    let mut room = Room::new();
    let dead = room.create("dead", Attributes { trace: true, ..Attributes::default() });
    let attributes = Attributes { trace: true, dedup_window_s: 60, ..policy("dead", DeadLetterCount::Failed, 1) };
    let queue = room.create("orders", attributes);
    let once = || vec![NewMessage { dedup_id: "once".to_owned(), ..message("a", 0) }];
    let ids = send(&mut room, queue, once());
    let receipt = room.receive(queue, 1, 1_000)[0].receipt;
    room.release(queue, receipt, 0, true);
    room.tick();
    room.pass(1_000);
    assert_eq!(send(&mut room, queue, once()), ids);
    room.pass(1_000);
    room.receive(dead, 1, 1_000);
    let events = room.machine().timeline(&room.store, ids[0]).expect("rows can be read").events;
    let told: Vec<_> = events.iter().map(|event| event.kind).collect();
    use EventKind as Kind;
    let way = [Kind::Sent, Kind::Received, Kind::Failed, Kind::DeadLettered, Kind::Arrived];
    assert_eq!(told, [&way[..], &[Kind::Duplicate, Kind::Received]].concat());
}
