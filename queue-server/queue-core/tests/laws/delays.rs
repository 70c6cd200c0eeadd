//! Delays: a message is invisible until its time, however long that is.
//!
//! Must never: let a delay end early.

use machine::Machine as _;
use queue_core::limits::DELAY_MS_MAX;
use queue_core::{Attributes, Command, Reply};

use crate::room::Room;

#[test]
fn no_delay_ends_early_and_every_delay_ends() {
    for delay_ms in [1, 1_023, 1_024, 59_999, 3_600_000, DELAY_MS_MAX] {
        let (mut room, queue) = Room::with_queue(Attributes::default());
        room.send(queue, &[("later", delay_ms)]);
        assert_eq!(room.counts(queue), (0, 0, 1));
        room.pass(delay_ms - 1);
        assert_eq!((room.tick(), room.take(queue, 1, 1_000).len()), (0, 0), "{delay_ms} ms");
        room.pass(1);
        assert_eq!((room.tick(), room.take(queue, 1, 1_000).len()), (1, 1), "{delay_ms} ms");
    }
}

#[test]
fn delayed_messages_become_ready_in_the_order_of_their_times() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("third", 3_000), ("first", 1_000), ("now", 0), ("second", 2_000)]);
    assert_eq!(room.take(queue, 9, 60_000), ["now"]);
    room.pass(3_000);
    assert_eq!(room.tick(), 3);
    assert_eq!(room.take(queue, 9, 60_000), ["first", "second", "third"]);
}

#[test]
fn the_next_due_time_is_never_late_and_early_by_less_than_a_span() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 90_000)]);
    let due = room.now.plus(90_000);
    let announced = room.machine().next_due().expect("a delay is announced");
    assert!(announced <= due && due.since(announced) < 1_024);
    room.now = announced;
    assert_eq!(room.tick(), 0, "the row's own time decides");
}

#[test]
fn retention_counts_from_when_the_delay_has_ended() {
    let (mut room, queue) = Room::with_queue(Attributes { retention_s: 60, ..Attributes::default() });
    room.send(queue, &[("a", 600_000)]);
    room.pass(600_000);
    room.tick();
    room.pass(59_999);
    room.tick();
    assert_eq!(room.counts(queue), (1, 0, 0));
    room.pass(1);
    room.tick();
    assert_eq!((room.counts(queue), room.status(queue).totals.expired), ((0, 0, 0), 1));
}

#[test]
fn a_purge_takes_delayed_and_released_messages_and_leaves_later_ones() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 0), ("b", 5_000), ("c", 500_000)]);
    let receipt = room.receive(queue, 1, 60_000)[0].receipt;
    room.release(queue, receipt, 70_000, false);
    assert_eq!(room.run(&Command::Purge { queue }), Reply::Purged { messages: 3 });
    room.send(queue, &[("new", 1_000)]);
    assert_eq!(room.counts(queue), (0, 0, 1));
    assert_eq!(room.tick(), 2, "what was purged is erased long before its time");
    assert_eq!(room.store.bodies().count(), 1);
    room.pass(1_000);
    room.tick();
    assert_eq!(room.take(queue, 9, 60_000), ["new"]);
}

#[test]
fn many_delays_are_counted_by_spans_of_time() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    for _ in 0..40 {
        room.send(queue, &[("a", 60_000); 50]);
        room.pass(10);
    }
    let status = room.status(queue);
    assert_eq!((status.counts.delayed, status.footprint.runs), (2_000, 0));
    assert!(status.footprint.spans <= 2, "{} spans", status.footprint.spans);
    room.pass(60_000);
    assert_eq!(room.tick(), 2_000);
    assert_eq!(room.status(queue).footprint.runs, 1, "equal delays keep their order, and one run of ids");
}

#[test]
fn a_tick_that_comes_early_ends_no_delay() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 5_000)]);
    let later = room.now.plus(5_000);
    let tick = room.machine().due(&room.store, later).expect("rows can be read").expect("the delay has ended then");
    room.pass(4_999);
    assert_eq!(room.run(&tick), Reply::Ticked { moved: 0, readied: vec![] });
    room.pass(1);
    assert_eq!(room.run(&tick), Reply::Ticked { moved: 1, readied: vec![queue] });
    assert_eq!(room.run(&tick), Reply::Ticked { moved: 0, readied: vec![] }, "a repeat finds nothing to move");
}

/// The rows of a queue, by the tag of their kind.
fn rows_of(room: &Room, tag: u8) -> usize {
    room.store.rows().filter(|(key, _)| key.first() == Some(&tag)).count()
}

#[test]
fn a_purge_of_many_delays_writes_few_rows_and_its_remains_go_bit_by_bit() {
    const SPANS: u8 = 0x19;
    let (mut room, queue) = Room::with_queue(Attributes::default());
    for second in 0..500 {
        room.send(queue, &[("a", 60_000 + second * 2_000); 2]);
    }
    let (all, spans) = (room.store.rows().count(), rows_of(&room, SPANS));
    assert_eq!(spans, 500);
    assert_eq!(room.run(&Command::Purge { queue }), Reply::Purged { messages: 1_000 });
    assert!(all.abs_diff(room.store.rows().count()) < 10, "one entry does not erase them all");
    room.send(queue, &[("new", 60_000)]);
    assert_eq!((room.counts(queue), room.status(queue).footprint.spans), ((0, 0, 1), 1));
    while room.tick() > 0 {}
    assert_eq!((rows_of(&room, SPANS), room.counts(queue)), (1, (0, 0, 1)), "the new message's span stays");
    assert_eq!(room.run(&Command::DeleteQueue { name: "orders".to_owned() }), Reply::Done);
    while room.tick() > 0 {}
    assert_eq!(rows_of(&room, SPANS), 0);
}
