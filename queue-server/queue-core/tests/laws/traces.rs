//! Traces: the timeline of a message, where it is now, the events of a queue, and the search for messages.
//!
//! Must never: write down what nobody asked for.

use bytes::Bytes;
use machine::TimestampMs;
use queue_core::limits::{EVENT_MS_MAX, EVENTS_ERASE_MAX, SEARCH_ROWS_MAX};
use queue_core::{
    AttributeChanges, Attributes, Command, Cursor, DeadLetterCount, EventKind, Filter, Header, MessageId, NewMessage,
    PeekState, QueueId, Reply, TransactionPolicy,
};

use crate::room::{Room, START, message, policy};
use EventKind::{
    Acked, Arrived, Committed, DeadLettered, Delayed, Expired, Extended, Failed, HalfSent, LeaseEnded, Purged, Queried,
    Received, Released, Rewound, RolledBack, Sent, Stalled, Visible,
};

fn traced() -> Attributes {
    Attributes { trace: true, ..Attributes::default() }
}

fn kinds(room: &Room, id: MessageId) -> Vec<EventKind> {
    let told = room.machine().timeline(&room.store, id).expect("rows can be read");
    assert!(told.is_complete);
    assert!(told.events.iter().all(|event| event.message == Some(id)));
    assert!(told.events.is_sorted_by_key(|event| event.time));
    told.events.into_iter().map(|event| event.kind).collect()
}

fn rows_of_events(room: &Room) -> usize {
    room.store.rows().filter(|(key, _)| matches!(key.first(), Some(0x1f | 0x20))).count()
}

#[test]
fn a_timeline_tells_every_step_in_its_order() {
    let mut room = Room::new();
    let dead = room.create("dead", traced());
    let queue = room.create("orders", Attributes { trace: true, ..policy("dead", DeadLetterCount::Failed, 2) });
    let id = room.send(queue, &[("a", 5_000)])[0];
    room.pass(5_000);
    room.tick();
    let first = room.receive(queue, 1, 1_000)[0];
    room.run(&Command::Extend { queue, receipts: vec![first.receipt], lease_ms: 2_000 });
    room.release(queue, first.receipt, 1_000, false);
    room.pass(1_000);
    room.tick();
    let second = room.receive(queue, 1, 1_000)[0];
    room.release(queue, second.receipt, 0, true);
    room.receive(queue, 1, 1_000);
    room.pass(1_000);
    room.tick();
    let last = room.receive(dead, 1, 1_000)[0];
    room.ack(dead, &[last.receipt]);
    let told = room.machine().timeline(&room.store, id).expect("rows can be read").events;
    let steps: Vec<_> =
        told.iter().map(|event| (event.queue, event.kind, event.other, event.time.since(START))).collect();
    let (to, from) = (Some(dead), Some(queue));
    assert_eq!(
        steps,
        [
            (queue, Sent, None, 0),
            (queue, Delayed, None, 0),
            (queue, Visible, None, 5_000),
            (queue, Received, None, 5_000),
            (queue, Extended, None, 5_000),
            (queue, Released, None, 5_000),
            (queue, Visible, None, 6_000),
            (queue, Received, None, 6_000),
            (queue, Failed, None, 6_000),
            (queue, Visible, None, 6_000),
            (queue, Received, None, 6_000),
            (queue, LeaseEnded, None, 7_000),
            (queue, DeadLettered, to, 7_000),
            (dead, Arrived, from, 7_000),
            (dead, Received, None, 7_000),
            (dead, Acked, None, 7_000),
        ]
    );
    assert_eq!((told[1].detail, told[3].detail), (START.0 + 5_000, first.receipt.0));
    assert_eq!(room.machine().explain(&room.store, id).expect("rows can be read").found, None, "it is gone");
}

#[test]
fn steps_of_a_whole_queue_are_told_of_the_messages_they_moved() {
    let attributes = Attributes { retention_s: 60, rewind_s: 60, ..traced() };
    let (mut room, queue) = Room::with_queue(attributes);
    let ids = room.send(queue, &[("acked", 0), ("leased", 0), ("old", 0), ("late", 70_000)]);
    let deliveries = room.receive(queue, 2, 100_000);
    room.ack(queue, &[deliveries[0].receipt]);
    let places = room.machine().rewind_places(&room.store, queue, START).expect("rows can be read");
    room.run(&Command::Rewind { queue, to: START, places });
    let before = rows_of_events(&room);
    room.pass(60_000);
    room.tick();
    assert_eq!(rows_of_events(&room), before + 2, "one step, however many messages");
    room.run(&Command::Purge { queue });
    room.pass(40_000);
    room.tick();
    let told: Vec<_> = ids.iter().map(|id| kinds(&room, *id)).collect();
    assert_eq!(
        told,
        [
            vec![Sent, Received, Acked, Rewound, Expired],
            vec![Sent, Received, LeaseEnded, Purged],
            vec![Sent, Expired],
            vec![Sent, Delayed, Purged],
        ]
    );
}

#[test]
fn half_messages_and_dead_letters_that_cannot_move_are_told_too() {
    let transaction = Some(TransactionPolicy { first_query_s: 1, max_queries: 9 });
    let (mut room, queue) = Room::with_queue(Attributes { transaction, ..traced() });
    let halves = vec![NewMessage { is_half: true, ..message("x", 0) }; 2];
    let Reply::Sent { ids, .. } = room.run(&Command::Send { queue, messages: halves }) else { panic!("it is sent") };
    room.pass(1_000);
    room.run(&Command::QueryHalf { queue, count: 9 });
    room.run(&Command::Confirm { queue, ids: ids[..1].to_vec(), is_commit: true });
    room.run(&Command::Confirm { queue, ids: ids[1..].to_vec(), is_commit: false });
    assert_eq!(kinds(&room, ids[0]), [HalfSent, Queried, Committed]);
    assert_eq!(kinds(&room, ids[1]), [HalfSent, Queried, RolledBack]);

    let mut room = Room::new();
    room.create("dead", Attributes { max_messages: 1, ..Attributes::default() });
    let queue = room.create("orders", Attributes { trace: true, ..policy("dead", DeadLetterCount::Failed, 1) });
    room.run(&Command::DeleteQueue { name: "dead".to_owned() });
    let id = room.send(queue, &[("a", 0)])[0];
    let receipt = room.receive(queue, 1, 1_000)[0].receipt;
    room.release(queue, receipt, 0, true);
    room.tick();
    assert_eq!(kinds(&room, id), [Sent, Received, Failed, Stalled]);
}

#[test]
fn nothing_is_written_down_unless_it_was_asked_for() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    let id = room.send(queue, &[("a", 0)])[0];
    assert_eq!((rows_of_events(&room), kinds(&room, id)), (0, vec![]));
    let set = |trace| Command::SetQueueAttributes {
        name: "orders".to_owned(),
        changes: AttributeChanges { trace: Some(trace), ..AttributeChanges::default() },
    };
    room.run(&set(true));
    let receipt = room.receive(queue, 1, 60_000)[0].receipt;
    room.run(&set(false));
    room.ack(queue, &[receipt]);
    assert_eq!(kinds(&room, id), [Received], "what was written down stays");
}

#[test]
fn events_go_when_they_are_old_and_with_their_queue() {
    let (mut room, queue) = Room::with_queue(Attributes { rewind_s: 0, ..traced() });
    let old = room.send(queue, &[("old", 0)])[0];
    let receipt = room.receive(queue, 1, 1_000)[0].receipt;
    room.ack(queue, &[receipt]);
    room.pass(60_000);
    let new = room.send(queue, &[("new", 0)])[0];
    room.now = START.plus(EVENT_MS_MAX - 1);
    assert_eq!((room.tick(), rows_of_events(&room)), (0, 8));
    room.pass(1);
    room.tick();
    assert_eq!((kinds(&room, old), kinds(&room, new), rows_of_events(&room)), (vec![], vec![Sent], 2));
    assert_eq!(
        room.machine().next_due(),
        Some(START.plus(60_000 + EVENT_MS_MAX)),
        "it has learned the age of the first"
    );
    room.run(&Command::DeleteQueue { name: "orders".to_owned() });
    room.tick();
    assert_eq!(room.remains(), 0);
}

#[test]
fn more_events_than_a_queue_keeps_are_erased_bit_by_bit() {
    let (mut room, queue) = Room::with_queue(traced());
    let id = room.send(queue, &[("first", 0)])[0];
    for _ in 0..2 * EVENTS_ERASE_MAX / 128 {
        room.run_fast(&Command::Send { queue, messages: vec![message("x", 0); 128] });
    }
    // As if the queue had kept nothing but the last event: version u8, next, floor, erased, then the oldest.
    let key = [vec![0x23], queue.0.to_be_bytes().to_vec()].concat();
    let row = room.store.rows().find(|(it, _)| it[..] == key[..]).map(|(_, value)| value.to_vec());
    let mut row = row.expect("a traced queue has a row");
    let next = u64::from_be_bytes(row[1..9].try_into().expect("eight bytes"));
    row[9..17].copy_from_slice(&(next - 1).to_be_bytes());
    room.plant([(key, row)]);
    assert_eq!(kinds(&room, id), [], "what is dropped is not shown");
    assert_eq!(room.machine().next_due(), Some(TimestampMs(0)));
    assert_eq!((room.tick(), rows_of_events(&room)), (2, 2));
}

#[test]
fn the_events_of_a_queue_are_read_by_time_and_page() {
    let (mut room, queue) = Room::with_queue(traced());
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(room.send(queue, &[("a", 0)])[0]);
        room.pass(1_000);
    }
    let page = |from, before, next, limit| {
        let range = (START.plus(from), START.plus(before));
        let page = room.machine().events(&room.store, queue, range, next, limit).expect("rows can be read");
        let at = |id: &MessageId| ids.iter().position(|it| it == id);
        (page.events.iter().filter_map(|event| at(&event.message?)).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(page(0, 99_000, None, 99), ((0..10).collect(), None));
    assert_eq!(page(2_000, 5_000, None, 99), (vec![2, 3, 4], None));
    let (first, next) = page(1_001, 99_000, None, 3);
    assert_eq!(first, [2, 3, 4]);
    assert_eq!(page(1_001, 99_000, next, 99), (vec![5, 6, 7, 8, 9], None));
    assert_eq!(page(50_000, 99_000, None, 9), (vec![], None));
}

#[test]
fn a_message_is_found_wherever_it_is() {
    let mut room = Room::new();
    let dead = room.create("dead", Attributes::default());
    let queue = room.create("orders", Attributes { rewind_s: 60, ..policy("dead", DeadLetterCount::Failed, 1) });
    let ids =
        room.send(queue, &[("dead", 0), ("acked", 0), ("leased", 0), ("parked", 0), ("ready", 0), ("late", 9_000)]);
    let deliveries = room.receive(queue, 4, 60_000);
    room.release(queue, deliveries[0].receipt, 0, true);
    room.tick();
    room.ack(queue, &[deliveries[1].receipt]);
    room.release(queue, deliveries[3].receipt, 5_000, false);
    let table = [
        (ids[0], Some((dead, PeekState::Visible, Some(1), None))),
        (ids[1], Some((queue, PeekState::Rewindable, Some(2), None))),
        (ids[2], Some((queue, PeekState::Leased, Some(3), Some(START.plus(60_000))))),
        (ids[3], Some((queue, PeekState::Delayed, Some(4), Some(START.plus(5_000))))),
        (ids[4], Some((queue, PeekState::Visible, Some(5), None))),
        (ids[5], Some((queue, PeekState::Delayed, None, Some(START.plus(9_000))))),
        (MessageId(ids[5].0 + 1), None),
        (MessageId(0), None),
    ];
    for (id, expected) in table {
        let explained = room.machine().explain(&room.store, id).expect("rows can be read");
        assert!(explained.is_complete);
        let found = explained.found.map(|it| (it.queue, it.state, it.place, it.message.until));
        assert_eq!(found, expected, "{id:?}");
    }
}

fn tagged(body: &'static str, value: &str) -> NewMessage {
    NewMessage { headers: vec![Header { name: "k".to_owned(), value: value.to_owned() }], ..message(body, 0) }
}

fn search(room: &Room, queue: QueueId, state: PeekState, filter: &Filter) -> Vec<String> {
    let (mut after, mut bodies) = (None, Vec::new());
    loop {
        let found = room.machine().search(&room.store, queue, (state, filter), after, 2).expect("rows can be read");
        bodies.extend(found.messages.iter().map(|peeked| room.body(peeked.message.id)));
        after = found.next;
        if after.is_none() {
            return bodies;
        }
    }
}

#[test]
fn a_search_finds_what_all_of_its_filter_says() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.run(&Command::Send { queue, messages: vec![tagged("red apple", "1"), tagged("green apple", "2")] });
    room.pass(1_000);
    let ids = room.send(queue, &[("red rose", 0), ("late apple", 9_000), ("later apple", 10_000)]);
    let tried = room.receive(queue, 1, 1_000)[0];
    room.release(queue, tried.receipt, 0, true);
    let some = Filter::default;
    let table: [(PeekState, Filter, &[&str]); 9] = [
        (PeekState::Visible, some(), &["red apple", "green apple", "red rose"]),
        (PeekState::Visible, Filter { id: Some(ids[0]), ..some() }, &["red rose"]),
        (
            PeekState::Visible,
            Filter { header: Some(Header { name: "k".into(), value: "2".into() }), ..some() },
            &["green apple"],
        ),
        (PeekState::Visible, Filter { sent_from: Some(START.plus(1)), ..some() }, &["red rose"]),
        (PeekState::Visible, Filter { sent_before: Some(START.plus(1_000)), ..some() }, &["red apple", "green apple"]),
        (PeekState::Visible, Filter { failed_min: 1, ..some() }, &["red apple"]),
        (
            PeekState::Visible,
            Filter { body_contains: Some(Bytes::from_static(b"red")), ..some() },
            &["red apple", "red rose"],
        ),
        (PeekState::Visible, Filter { origin: Some("orders".into()), ..some() }, &[]),
        (
            PeekState::Delayed,
            Filter { body_contains: Some(Bytes::from_static(b"apple")), ..some() },
            &["late apple", "later apple"],
        ),
    ];
    for (state, filter, expected) in table {
        assert_eq!(search(&room, queue, state, &filter), expected, "{filter:?}");
    }
}

#[test]
fn a_search_goes_through_every_state_page_by_page() {
    let mut room = Room::new();
    let dead = room.create("dead", Attributes::default());
    let queue = room.create("orders", Attributes { rewind_s: 60, ..policy("dead", DeadLetterCount::Failed, 1) });
    for body in ["done 1", "done 2", "done 3", "held 1", "held 2", "held 3", "parked", "buried"] {
        room.send(queue, &[(body, 0)]);
    }
    room.send(queue, &[("late", 9_000)]);
    let deliveries = room.receive(queue, 8, 60_000);
    let done: Vec<_> = deliveries[..3].iter().map(|delivery| delivery.receipt).collect();
    room.ack(queue, &done);
    room.release(queue, deliveries[6].receipt, 5_000, false);
    room.release(queue, deliveries[7].receipt, 0, true);
    room.tick();
    let all = Filter::default();
    assert_eq!(search(&room, queue, PeekState::Rewindable, &all), ["done 1", "done 2", "done 3"]);
    assert_eq!(search(&room, queue, PeekState::Leased, &all), ["held 1", "held 2", "held 3"]);
    assert_eq!(search(&room, queue, PeekState::Delayed, &all), ["parked", "late"]);
    let from = Filter { origin: Some("ORDERS".into()), reason: Some(DeadLetterCount::Failed), ..all.clone() };
    assert_eq!(search(&room, dead, PeekState::Visible, &from), ["buried"]);
    assert_eq!(search(&room, QueueId(99), PeekState::Visible, &all), Vec::<String>::new());
}

#[test]
fn one_search_looks_at_a_bounded_number_of_messages() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    for _ in 0..=SEARCH_ROWS_MAX / 100 {
        room.run_fast(&Command::Send { queue, messages: vec![message("x", 0); 100] });
    }
    let rare = Filter { failed_min: 1, ..Filter::default() };
    let look = |after| {
        let found = room.machine().search(&room.store, queue, (PeekState::Visible, &rare), after, 9);
        found.expect("rows can be read")
    };
    let first = look(None);
    assert_eq!((first.messages.len(), first.next), (0, Some(Cursor::Place(SEARCH_ROWS_MAX as u64))));
    assert_eq!(look(first.next).next, None);
}

#[test]
fn the_oldest_unconsumed_message_may_be_a_leased_one() {
    let (mut room, queue) = Room::with_queue(Attributes { rewind_s: 60, ..Attributes::default() });
    let oldest = |room: &Room| room.machine().oldest_unconsumed(&room.store, queue).expect("rows can be read");
    assert_eq!(oldest(&room), None);
    for _ in 0..3 {
        room.send(queue, &[("a", 0)]);
        room.pass(1_000);
    }
    let deliveries = room.receive(queue, 2, 60_000);
    assert_eq!(oldest(&room), Some(START));
    room.ack(queue, &[deliveries[0].receipt]);
    assert_eq!(oldest(&room), Some(START.plus(1_000)));
    room.ack(queue, &[deliveries[1].receipt]);
    assert_eq!(oldest(&room), Some(START.plus(2_000)));
}
