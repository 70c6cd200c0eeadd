//! Order within a queue: priorities are strict, tenants are served in turn, an ordered group's messages go one by one.
//!
//! Must never: look at which lane a message stands in, but by what is delivered when.

use machine::RowSource as _;
use queue_core::limits::{BATCH_MAX, GROUP_BYTES_MAX, LANES_PER_QUEUE_MAX, TENANT_BYTES_MAX};
use queue_core::{Attributes, Command, DeadLetterCount, NewMessage, PeekState, QueueId, Refusal, Reply};

use crate::room::{Room, START, message, policy};

fn of(body: &'static str, (priority, tenant, group): (u8, &str, &str)) -> NewMessage {
    NewMessage { priority, tenant: tenant.to_owned(), group: group.to_owned(), ..message(body, 0) }
}

fn send(room: &mut Room, queue: QueueId, messages: Vec<NewMessage>) {
    let reply = room.run(&Command::Send { queue, messages });
    assert!(matches!(reply, Reply::Sent { .. }), "{reply:?}");
}

fn room_of(messages: &[(&'static str, (u8, &str, &str))]) -> (Room, QueueId) {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    send(&mut room, queue, messages.iter().map(|(body, order)| of(body, *order)).collect());
    (room, queue)
}

#[test]
fn a_more_urgent_message_goes_first_whenever_it_came() {
    let (mut room, queue) = room_of(&[("low", (0, "", "")), ("plain", (4, "", "")), ("high", (9, "", ""))]);
    assert_eq!(room.take(queue, 1, 1_000), ["high"]);
    send(&mut room, queue, vec![of("higher", (9, "t", "g"))]);
    assert_eq!(room.take(queue, 9, 1_000), ["higher", "plain", "low"]);
}

#[test]
fn a_tenant_with_a_long_backlog_does_not_delay_another() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    for _ in 0..8 {
        send(&mut room, queue, vec![of("many", (4, "big", "")); BATCH_MAX]);
    }
    room.take(queue, 5, 60_000);
    send(&mut room, queue, vec![of("b1", (4, "b", "")), of("b2", (4, "b", "")), of("c", (4, "c", ""))]);
    let taken = room.take(queue, 6, 60_000);
    let count = |of: &str, first: usize| taken.iter().take(first).filter(|body| *body == of).count();
    assert_eq!((count("b1", 3), count("c", 3)), (1, 1), "each waits for one message of every other: {taken:?}");
    assert_eq!(count("b2", 5), 1, "{taken:?}");
}

#[test]
fn tenants_that_come_and_go_starve_nobody() {
    let (mut room, queue) = room_of(&[("old", (4, "old", "")), ("old", (4, "old", "")), ("old", (4, "old", ""))]);
    let mut old = 0;
    for round in 0..6 {
        let tenant = format!("new{round}");
        send(&mut room, queue, vec![of("new", (4, &tenant, "")), of("new", (4, &tenant, "x"))]);
        for delivery in room.receive(queue, 2, 60_000) {
            old += usize::from(room.body(delivery.id) == "old");
            room.ack(queue, &[delivery.receipt]);
        }
    }
    assert_eq!(old, 3, "those who were there are served before those who came");
}

#[test]
fn of_a_group_nothing_is_delivered_while_an_earlier_one_is_out() {
    let (mut room, queue) =
        room_of(&[("g1", (4, "", "g")), ("g2", (4, "", "g")), ("g3", (4, "", "g")), ("h1", (4, "", "h"))]);
    let out = room.receive(queue, 9, 60_000);
    assert_eq!(
        out.iter().map(|delivery| room.body(delivery.id)).collect::<Vec<_>>(),
        ["g1", "h1"],
        "one of each group"
    );
    assert!(!room.machine().has_ready(queue));
    assert_eq!(room.run(&Command::Receive { queue, count: 9, lease_ms: None }), Reply::Empty);
    room.release(queue, out[0].receipt, 10_000, true);
    assert_eq!(room.take(queue, 9, 1_000), [""; 0], "it waits for its delay");
    room.pass(10_000);
    room.tick();
    let again = room.receive(queue, 9, 1_000);
    assert_eq!(room.body(again[0].id), "g1", "it is the first again");
    room.pass(1_000);
    room.tick();
    let again = room.receive(queue, 9, 60_000);
    assert_eq!((again.len(), room.body(again[0].id)), (1, "g1".to_owned()), "its lease ran out");
    room.ack(queue, &[again[0].receipt]);
    assert_eq!(room.take(queue, 9, 1_000), ["g2"]);
}

#[test]
fn a_dead_letter_that_waits_for_its_queue_holds_its_group_up_and_keeps_its_order_there() {
    let mut room = Room::new();
    let dead = room.create("dead", Attributes { max_messages: 1, ..Attributes::default() });
    let queue = room.create("orders", policy("dead", DeadLetterCount::Failed, 1));
    room.send(dead, &[("full", 0)]);
    send(&mut room, queue, vec![of("g1", (7, "t", "g")), of("g2", (7, "t", "g"))]);
    let receipt = room.receive(queue, 1, 1_000)[0].receipt;
    room.release(queue, receipt, 0, true);
    room.tick();
    assert!(room.status(queue).stall.is_some() && room.take(queue, 9, 1_000).is_empty(), "g1 waits, and so does g2");
    let receipt = room.receive(dead, 1, 1_000)[0].receipt;
    room.ack(dead, &[receipt]);
    room.pass(30_000);
    room.tick();
    assert_eq!(room.take(queue, 9, 1_000), ["g2"]);
    let moved = room.receive(dead, 9, 1_000);
    let row = room.machine().message(&room.store, dead, moved[0].seq).expect("rows can be read").expect("it is there");
    assert_eq!((row.priority, row.tenant.as_str(), row.group.as_str()), (7, "t", "g"));
}

#[test]
fn a_delayed_message_of_a_group_takes_its_place_when_its_delay_ends() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    let late = NewMessage { delay_ms: 5_000, ..of("late", (4, "", "g")) };
    send(&mut room, queue, vec![late, of("now", (4, "", "g"))]);
    room.pass(5_000);
    room.tick();
    for expected in ["now", "late"] {
        let delivery = room.receive(queue, 9, 1_000)[0];
        assert_eq!(room.body(delivery.id), expected);
        room.ack(queue, &[delivery.receipt]);
    }
    assert_eq!((room.status(queue).footprint.lanes, room.remains()), (0, 0));
}

#[test]
fn a_lane_is_given_back_with_its_last_message_and_its_numbers_never_restart() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    let mut last = 0;
    for group in ["g", "h", "g"] {
        send(&mut room, queue, vec![of("x", (4, "", group))]);
        assert_eq!(room.status(queue).footprint.lanes, 1);
        let delivery = room.receive(queue, 1, 1_000)[0];
        assert!(delivery.seq > last, "{group}");
        last = delivery.seq;
        room.ack(queue, &[delivery.receipt]);
        assert_eq!((room.status(queue).footprint.lanes, room.remains()), (0, 0));
    }
}

#[test]
fn purge_and_retention_reach_every_lane() {
    let attributes = Attributes { retention_s: 60, ..Attributes::default() };
    let (mut room, queue) = Room::with_queue(attributes);
    let later = NewMessage { delay_ms: 90_000, ..of("later", (2, "t", "")) };
    send(&mut room, queue, vec![of("a", (9, "", "")), of("b", (4, "t", "")), of("c", (4, "t", "g")), later]);
    room.run(&Command::Purge { queue });
    room.tick();
    assert_eq!((room.counts(queue), room.remains()), ((0, 0, 0), 0));
    send(&mut room, queue, vec![of("a", (9, "", "")), of("b", (4, "t", ""))]);
    room.pass(30_000);
    send(&mut room, queue, vec![of("c", (9, "", "")), of("d", (4, "u", ""))]);
    room.pass(30_000);
    room.tick();
    assert_eq!(
        (room.take(queue, 9, 1_000), room.status(queue).totals.expired),
        (vec!["c".to_owned(), "d".to_owned()], 2)
    );
}

#[test]
fn a_peek_goes_by_priority_and_the_oldest_is_that_of_all_lanes() {
    let (mut room, queue) = room_of(&[("a", (2, "", "")), ("b", (4, "", ""))]);
    room.pass(10);
    send(&mut room, queue, vec![of("c", (9, "t", "")), of("d", (4, "", ""))]);
    let peek = |offset, limit| {
        let peeked = room.machine().peek(&room.store, queue, PeekState::Visible, (offset, limit));
        let bodies =
            peeked.expect("rows can be read").into_iter().map(|peeked| room.store.body(peeked.message.id.body()));
        bodies.map(|body| body.expect("rows can be read").expect("it is kept")).collect::<Vec<_>>()
    };
    assert_eq!(peek(0, 9), ["c", "b", "d", "a"]);
    assert_eq!(peek(1, 2), ["b", "d"]);
    assert_eq!(peek(3, 9), ["a"]);
    assert_eq!(room.machine().oldest_visible(&room.store, queue), Ok(Some(START)));
}

#[test]
fn what_has_no_order_is_refused_in_precedence() {
    let (mut room, queue) = Room::with_queue(Attributes { dedup_window_s: 1, ..Attributes::default() });
    let long = |bytes: usize| "x".repeat(bytes + 1);
    let worst = NewMessage { dedup_id: long(128), ..of("x", (10, &long(TENANT_BYTES_MAX), &long(GROUP_BYTES_MAX))) };
    let tenant = NewMessage { priority: 9, ..worst.clone() };
    let group = NewMessage { tenant: "t".to_owned(), ..tenant.clone() };
    let dedup = NewMessage { group: "g".to_owned(), ..group.clone() };
    let table = [
        (worst, Refusal::PriorityOutOfRange),
        (tenant, Refusal::TenantOutOfRange),
        (group, Refusal::OrderedGroupOutOfRange),
        (dedup, Refusal::DedupIdOutOfRange),
    ];
    for (message, refusal) in table {
        let reply = room.run(&Command::Send { queue, messages: vec![message] });
        assert_eq!(reply, Reply::Refused(refusal));
    }
}

#[test]
fn a_queue_refuses_one_lane_too_many_and_takes_what_needs_none() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    let groups: Vec<String> = (0..LANES_PER_QUEUE_MAX).map(|number| format!("g{number}")).collect();
    for groups in groups.chunks(BATCH_MAX) {
        let messages = groups.iter().map(|group| of("x", (4, "", group))).collect();
        room.run_fast(&Command::Send { queue, messages });
    }
    assert_eq!(room.status(queue).footprint.lanes, LANES_PER_QUEUE_MAX);
    let one_more = |group: &str| Command::Send { queue, messages: vec![of("x", (4, "", group))] };
    assert_eq!(room.run_fast(&one_more("new")), Reply::Refused(Refusal::TooManyLanes));
    assert!(matches!(room.run_fast(&one_more("g7")), Reply::Sent { .. }));
    let plain = Command::Send { queue, messages: vec![message("plain", 0)] };
    assert!(matches!(room.run_fast(&plain), Reply::Sent { .. }));
    for expected in ["plain", "x"] {
        let reply = room.run_fast(&Command::Receive { queue, count: 1, lease_ms: None });
        let Reply::Received { deliveries } = reply else { panic!("it is received, not {reply:?}") };
        assert_eq!(room.body(deliveries[0].id), expected);
        room.run_fast(&Command::Ack { queue, receipts: vec![deliveries[0].receipt] });
    }
    assert!(matches!(room.run_fast(&one_more("new")), Reply::Sent { .. }), "a lane was given back");
}
