//! Reads: lists, peeks and rows, as doors use them.
//!
//! Must never: change anything by reading.

use bytes::Bytes;
use machine::TimestampMs;
use queue_core::{Attributes, Command, DeadLetterCount, Header, NewMessage, PeekState, QueueId, Reply};

use crate::room::{GROUP, Room, START, policy};

fn peek(room: &Room, queue: QueueId, state: PeekState, page: (usize, usize)) -> Vec<(String, Option<TimestampMs>)> {
    let peeked = room.machine().peek(&room.store, queue, state, page).expect("rows in memory can be read");
    peeked.into_iter().map(|peeked| (room.body(peeked.message.id), peeked.until)).collect()
}

fn bodies(room: &Room, queue: QueueId, state: PeekState, page: (usize, usize)) -> Vec<String> {
    peek(room, queue, state, page).into_iter().map(|(body, _)| body).collect()
}

#[test]
fn a_list_finds_names_by_a_part_of_them_and_counts_all_matches() {
    let mut room = Room::new();
    for name in ["Orders-eu", "orders-us", "mails", "OrderBook"] {
        room.create(name, Attributes::default());
    }
    let table: [(&str, usize, usize, usize, &[&str]); 5] = [
        ("", 0, 50, 4, &["mails", "OrderBook", "Orders-eu", "orders-us"]),
        ("ORDERS", 0, 50, 2, &["Orders-eu", "orders-us"]),
        ("order", 1, 1, 3, &["Orders-eu"]),
        ("order", 9, 1, 3, &[]),
        ("nothing", 0, 50, 0, &[]),
    ];
    for (search, offset, limit, total, names) in table {
        let list = room.machine().queues(search, offset, limit);
        let found: Vec<String> = list.queues.into_iter().map(|(_, name)| name).collect();
        assert_eq!((list.total, found), (total, names.iter().map(|name| (*name).to_owned()).collect()), "{search}");
    }
}

#[test]
fn a_peek_shows_messages_by_state_without_taking_them() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 0), ("b", 0), ("c", 0), ("d", 0), ("e", 0), ("late", 90_000), ("soon", 10_000)]);
    let deliveries = room.receive(queue, 3, 30_000);
    room.release(queue, deliveries[2].receipt, 50_000, false);
    let before = room.machine().clone();
    assert_eq!(bodies(&room, queue, PeekState::Visible, (0, 9)), ["d", "e"]);
    assert_eq!(bodies(&room, queue, PeekState::Visible, (1, 9)), ["e"]);
    let until = Some(START.plus(30_000));
    assert_eq!(peek(&room, queue, PeekState::Leased, (0, 9)), [("a".to_owned(), until), ("b".to_owned(), until)]);
    assert_eq!(bodies(&room, queue, PeekState::Leased, (1, 9)), ["b"]);
    assert_eq!(bodies(&room, queue, PeekState::Delayed, (0, 9)), ["soon", "c", "late"]);
    assert_eq!(bodies(&room, queue, PeekState::Delayed, (1, 1)), ["c"]);
    assert_eq!(room.machine(), &before);
}

#[test]
fn a_door_reads_what_a_receive_names() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    let headers = vec![Header { name: "trace".to_owned(), value: "7".to_owned() }];
    let new = NewMessage { body: Bytes::from_static(b"body"), headers: headers.clone(), ..NewMessage::default() };
    let reply = room.run(&Command::Send { queue, messages: vec![new.clone(), new] });
    let Reply::Sent { ids, first_seq, .. } = reply else { panic!("it is sent, not {reply:?}") };
    let seqs: Vec<u64> = room.receive(queue, 9, 1_000).iter().map(|delivery| delivery.seq).collect();
    assert_eq!(seqs, [first_seq, first_seq + 1]);
    let rows = room.machine().messages(&room.store, queue, &[seqs[1], 99, seqs[0]]).expect("rows can be read");
    let found: Vec<_> = rows.iter().map(|row| row.as_ref().map(|row| row.id)).collect();
    assert_eq!(found, [Some(ids[1]), None, Some(ids[0])]);
    let row = rows[0].as_ref().expect("it was found");
    assert_eq!((&row.headers, row.body_bytes, row.sent, &row.origin), (&headers, 4, START, &None));
}

#[test]
fn the_oldest_visible_message_tells_how_far_consumers_are_behind() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    let oldest = |room: &Room| room.machine().oldest_visible(&room.store, queue).expect("rows can be read");
    assert_eq!(oldest(&room), None);
    room.send(queue, &[("a", 0)]);
    room.pass(10);
    room.send(queue, &[("b", 0)]);
    assert_eq!(oldest(&room), Some(START));
    room.receive(queue, 1, 1_000);
    assert_eq!(oldest(&room), Some(START.plus(10)));
}

#[test]
fn a_dead_letter_queue_knows_its_sources() {
    let mut room = Room::new();
    room.create("dead", Attributes::default());
    let second = room.create("b", policy("DEAD", DeadLetterCount::Failed, 1));
    let first = room.create("a", policy("dead", DeadLetterCount::Received, 1));
    assert_eq!(room.machine().dead_letter_sources(GROUP, GROUP, "Dead"), [first, second]);
    assert_eq!(room.machine().dead_letter_sources(GROUP, GROUP, "a"), []);
    let away = queue_core::DeadLetterPolicy {
        group: Some(machine::GroupId(8)),
        queue: "dead".to_owned(),
        count: DeadLetterCount::Failed,
        limit: 1,
    };
    let far = room.create("far", Attributes { dead_letter: Some(away), ..Attributes::default() });
    assert_eq!(room.machine().dead_letter_sources(GROUP, machine::GroupId(8), "DEAD"), [far]);
    assert_eq!(room.machine().dead_letter_sources(GROUP, GROUP, "dead"), [first, second]);
}
