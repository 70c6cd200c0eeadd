//! Rewind: what was acked comes back from a time on, in its old order, as long as it is kept.
//!
//! Must never: bring back twice, or bring back what a purge or its age has dropped.

use queue_core::limits::{BATCH_MAX, PAGE};
use queue_core::{AttributeChanges, Attributes, Command, PeekState, QueueId, Refusal, Reply};

use crate::room::{Room, START, message};
use machine::TimestampMs;

fn kept(rewind_s: u32) -> (Room, QueueId) {
    Room::with_queue(Attributes { rewind_s, ..Attributes::default() })
}

/// Sends a message a second.
fn fill(room: &mut Room, queue: QueueId, bodies: &[&'static str]) {
    for body in bodies {
        room.send(queue, &[(body, 0)]);
        room.pass(1_000);
    }
}

fn consume(room: &mut Room, queue: QueueId, count: u32) -> Vec<String> {
    let deliveries = room.receive(queue, count, 60_000);
    let receipts: Vec<_> = deliveries.iter().map(|delivery| delivery.receipt).collect();
    if !receipts.is_empty() {
        room.ack(queue, &receipts);
    }
    deliveries.iter().map(|delivery| room.body(delivery.id)).collect()
}

fn find(room: &Room, queue: QueueId, to: TimestampMs) -> Command {
    let places = room.machine().rewind_places(&room.store, queue, to).expect("rows can be read");
    Command::Rewind { queue, to, places }
}

fn rewind(room: &mut Room, queue: QueueId, to: TimestampMs) -> u64 {
    let command = find(room, queue, to);
    match room.run(&command) {
        Reply::Rewound { messages } => messages,
        other => panic!("a queue is rewound, not {other:?}"),
    }
}

fn rewindable(room: &Room, queue: QueueId) -> u64 {
    room.status(queue).counts.rewindable
}

fn set(room: &mut Room, rewind_s: u32) {
    let changes = AttributeChanges { rewind_s: Some(rewind_s), ..AttributeChanges::default() };
    assert_eq!(room.run(&Command::SetQueueAttributes { name: "orders".to_owned(), changes }), Reply::Done);
}

#[test]
fn acked_messages_come_back_from_a_time_on_in_their_order() {
    for (ago_ms, expected) in [
        (6_000, vec!["a", "b", "c", "d", "e", "f"]),
        (60_000, vec!["a", "b", "c", "d", "e", "f"]),
        (3_001, vec!["d", "e", "f"]),
        (3_000, vec!["d", "e", "f"]),
        (2_999, vec!["e", "f"]),
        (0, vec!["f"]),
    ] {
        let (mut room, queue) = kept(3_600);
        fill(&mut room, queue, &["a", "b", "c", "d", "e", "f"]);
        assert_eq!(consume(&mut room, queue, 5), ["a", "b", "c", "d", "e"]);
        assert_eq!((room.counts(queue), rewindable(&room, queue)), ((1, 0, 0), 5));
        let to = room.now.minus(ago_ms);
        assert_eq!(rewind(&mut room, queue, to), expected.len() as u64 - 1, "{ago_ms} ms ago");
        assert_eq!(consume(&mut room, queue, 9), expected, "{ago_ms} ms ago");
        assert_eq!(room.status(queue).totals.rewound, expected.len() as u64 - 1);
    }
}

#[test]
fn what_comes_back_begins_anew_and_may_come_back_again() {
    let (mut room, queue) = kept(3_600);
    room.send(queue, &[("a", 0)]);
    let first = room.receive(queue, 1, 1_000)[0];
    room.release(queue, first.receipt, 0, true);
    let second = room.receive(queue, 1, 1_000)[0];
    assert_eq!(room.ack(queue, &[second.receipt]), [None]);
    for _ in 0..3 {
        assert_eq!(rewind(&mut room, queue, START), 1);
        assert_eq!(rewind(&mut room, queue, START), 0, "it is there already");
        let again = room.receive(queue, 1, 1_000)[0];
        assert!(again.receipt > second.receipt, "delivery numbers go on");
        assert_eq!((again.id, again.seq, again.tries.received, again.tries.failed), (first.id, first.seq, 1, 0));
        assert_eq!(room.ack(queue, &[second.receipt]), [Some(Refusal::StaleReceipt)]);
        assert_eq!(room.ack(queue, &[again.receipt]), [None]);
    }
}

#[test]
fn messages_in_flight_and_delayed_ones_are_not_touched() {
    let (mut room, queue) = kept(3_600);
    room.send(queue, &[("acked", 0), ("leased", 0), ("parked", 0), ("unread", 0), ("late", 90_000)]);
    let deliveries = room.receive(queue, 3, 30_000);
    room.ack(queue, &[deliveries[0].receipt]);
    room.release(queue, deliveries[2].receipt, 60_000, false);
    assert_eq!(rewind(&mut room, queue, START), 1);
    assert_eq!(room.counts(queue), (2, 1, 2));
    assert_eq!(room.ack(queue, &[deliveries[1].receipt]), [None], "its lease is good still");
    assert_eq!(consume(&mut room, queue, 9), ["acked", "unread"]);
}

#[test]
fn an_ack_between_the_look_and_the_rewind_is_rewound_too() {
    let (mut room, queue) = kept(3_600);
    fill(&mut room, queue, &["a", "b"]);
    let deliveries = room.receive(queue, 2, 60_000);
    room.ack(queue, &[deliveries[1].receipt]);
    let command = find(&room, queue, START);
    room.ack(queue, &[deliveries[0].receipt]);
    assert_eq!(room.run(&command), Reply::Rewound { messages: 2 });
    assert_eq!(consume(&mut room, queue, 9), ["a", "b"]);
}

#[test]
fn a_rewind_that_names_what_is_gone_or_too_early_is_refused() {
    let (mut room, queue) = kept(3_600);
    fill(&mut room, queue, &["a", "b"]);
    consume(&mut room, queue, 2);
    let Command::Rewind { places, .. } = find(&room, queue, START) else { panic!("it is a rewind") };
    let before = room.machine().clone();
    let moved = Reply::Refused(Refusal::RewindPlaceMoved);
    for (to, places) in [(START.plus(1), places.clone()), (START, vec![99]), (START, vec![places[0], 99])] {
        assert_eq!(room.run(&Command::Rewind { queue, to, places }), moved);
        assert_eq!(room.machine(), &before);
    }
    let command = find(&room, queue, START);
    set(&mut room, 0);
    room.tick();
    set(&mut room, 60);
    assert_eq!(room.run(&command), moved, "what it names is erased");
}

#[test]
fn acked_messages_are_kept_for_their_time_and_erased_then() {
    let (mut room, queue) = kept(60);
    fill(&mut room, queue, &["a", "b", "c", "d"]);
    consume(&mut room, queue, 3);
    room.tick();
    assert_eq!(room.machine().next_due(), Some(START.plus(60_000)), "it has learned the age of the first");
    room.now = START.plus(59_999);
    assert_eq!((room.tick(), rewindable(&room, queue)), (0, 3));
    room.now = START.plus(61_000);
    room.tick();
    assert_eq!((rewindable(&room, queue), room.store.bodies().count()), (1, 2));
    assert_eq!(rewind(&mut room, queue, START), 1);
    assert_eq!(consume(&mut room, queue, 9), ["c", "d"]);
    room.now = START.plus(70_000);
    room.tick();
    assert_eq!((rewindable(&room, queue), room.remains()), (0, 0), "nothing is left");
}

#[test]
fn switching_the_rewind_off_drops_them_at_once_whatever_their_number() {
    let (mut room, queue) = kept(3_600);
    let batches = usize::try_from(3 * PAGE).expect("a page is small") / BATCH_MAX;
    for _ in 0..batches {
        room.run_fast(&Command::Send { queue, messages: vec![message("x", 0); BATCH_MAX] });
        let receipts: Vec<_> = room.receive(queue, 128, 60_000).iter().map(|delivery| delivery.receipt).collect();
        room.ack(queue, &receipts);
    }
    let footprint = room.status(queue).footprint;
    assert_eq!((rewindable(&room, queue), footprint.done_ranges, footprint.runs), (3 * PAGE, 1, 1));
    room.send(queue, &[("unread", 0), ("leased", 0)]);
    let leased = room.receive(queue, 2, 60_000);
    room.release(queue, leased[0].receipt, 0, false);
    set(&mut room, 0);
    assert_eq!((rewindable(&room, queue), room.status(queue).counts.stale), (0, 3 * PAGE));
    assert_eq!(room.run(&find(&room, queue, START)), Reply::Refused(Refusal::RewindOff));
    assert_eq!(room.tick(), 3, "4096 messages a part");
    assert_eq!(room.store.bodies().count(), 2);
    set(&mut room, 3_600);
    room.ack(queue, &[leased[1].receipt]);
    assert_eq!(rewindable(&room, queue), 1, "what is acked from now on is kept again");
}

#[test]
fn a_rewind_of_a_long_queue_costs_pages_not_messages() {
    let (mut room, queue) = kept(3_600);
    for _ in 0..80 {
        room.run_fast(&Command::Send { queue, messages: vec![message("x", 0); BATCH_MAX] });
        let receipts: Vec<_> = room.receive(queue, 128, 60_000).iter().map(|delivery| delivery.receipt).collect();
        room.ack(queue, &receipts);
        room.pass(1_000);
    }
    assert_eq!(rewind(&mut room, queue, START.plus(40_000)), 40 * BATCH_MAX as u64);
    let status = room.status(queue);
    assert_eq!((status.counts.visible, status.counts.rewindable), (40 * BATCH_MAX as u64, 40 * BATCH_MAX as u64));
    assert_eq!((status.footprint.ranges, status.footprint.done_ranges), (1, 1));
}

#[test]
fn a_purge_drops_what_could_come_back() {
    let (mut room, queue) = kept(3_600);
    fill(&mut room, queue, &["a", "b", "c"]);
    consume(&mut room, queue, 2);
    assert_eq!(room.run(&Command::Purge { queue }), Reply::Purged { messages: 1 });
    assert_eq!((rewindable(&room, queue), rewind(&mut room, queue, START)), (0, 0));
    room.tick();
    assert_eq!(room.remains(), 0);
}

#[test]
fn what_comes_back_expires_as_it_would_have() {
    let (mut room, queue) = Room::with_queue(Attributes { rewind_s: 60, retention_s: 60, ..Attributes::default() });
    fill(&mut room, queue, &["a", "b"]);
    consume(&mut room, queue, 1);
    room.now = START.plus(59_000);
    assert_eq!(rewind(&mut room, queue, START), 1);
    room.now = START.plus(60_000);
    room.tick();
    assert_eq!((room.counts(queue), room.status(queue).totals.expired), ((1, 0, 0), 1));
}

#[test]
fn what_comes_back_before_the_oldest_that_the_queue_knows_is_noticed() {
    let (mut room, queue) = Room::with_queue(Attributes { rewind_s: 60, retention_s: 60, ..Attributes::default() });
    for (body, pause_ms) in [("zero", 10_000), ("one", 30_000), ("two", 20_000)] {
        room.send(queue, &[(body, 0)]);
        room.pass(pause_ms);
    }
    consume(&mut room, queue, 2);
    // The queue has looked for its oldest visible message, and knows of "two" only.
    room.tick();
    assert_eq!(rewind(&mut room, queue, START), 1);
    room.pass(10_000);
    room.tick();
    assert_eq!((room.counts(queue), room.status(queue).totals.expired), ((1, 0, 0), 1));
    assert_eq!(consume(&mut room, queue, 9), ["two"]);
}

#[test]
fn a_deleted_queue_leaves_nothing_behind() {
    let (mut room, queue) = kept(3_600);
    fill(&mut room, queue, &["a", "b", "c"]);
    consume(&mut room, queue, 2);
    room.run(&Command::DeleteQueue { name: "orders".to_owned() });
    room.tick();
    assert_eq!(room.remains(), 0);
}

#[test]
fn kept_messages_do_not_count_as_held_and_can_be_looked_at() {
    let (mut room, queue) = Room::with_queue(Attributes { max_messages: 2, rewind_s: 60, ..Attributes::default() });
    room.send(queue, &[("a", 0), ("b", 0)]);
    consume(&mut room, queue, 2);
    room.send(queue, &[("c", 0), ("d", 0)]);
    let peeked = room.machine().peek(&room.store, queue, PeekState::Rewindable, (1, 9)).expect("rows can be read");
    let bodies: Vec<_> = peeked.iter().map(|peeked| room.body(peeked.message.id)).collect();
    assert_eq!(bodies, ["b"]);
    assert_eq!(rewind(&mut room, queue, START), 2, "a rewind may fill a queue beyond its bound");
    assert_eq!(consume(&mut room, queue, 9), ["a", "b", "c", "d"]);
}
