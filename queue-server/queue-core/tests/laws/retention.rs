//! Retention: what nobody consumes goes, oldest first, and no earlier than its queue says.
//!
//! Must never: drop a message that is under a live lease.

use machine::Machine as _;
use queue_core::{AttributeChanges, Attributes, Command, Reply};

use crate::room::Room;

fn short() -> Attributes {
    Attributes { retention_s: 60, ..Attributes::default() }
}

#[test]
fn messages_go_when_they_have_outlived_the_retention() {
    let (mut room, queue) = Room::with_queue(short());
    for _ in 0..6 {
        room.send(queue, &[("a", 0), ("b", 0)]);
        room.pass(10_000);
    }
    assert_eq!(room.machine().next_due(), Some(room.now), "the first two are due");
    room.tick();
    assert_eq!(room.counts(queue), (10, 0, 0));
    room.pass(25_000);
    room.tick();
    assert_eq!((room.counts(queue), room.status(queue).totals.expired), ((6, 0, 0), 6));
    assert_eq!(room.store.bodies().count(), 6);
    assert_eq!(room.machine().next_due(), Some(room.now.plus(5_000)), "the queue has learned the age of its oldest");
}

#[test]
fn a_leased_message_is_safe_until_its_lease_ends() {
    let (mut room, queue) = Room::with_queue(short());
    room.send(queue, &[("a", 0), ("b", 0), ("c", 0)]);
    let deliveries = room.receive(queue, 2, 100_000);
    room.pass(60_000);
    room.tick();
    assert_eq!(room.counts(queue), (0, 2, 0));
    assert_eq!(room.ack(queue, &[deliveries[0].receipt]), [None], "it may still be acked");
    room.pass(40_000);
    room.tick();
    assert_eq!((room.counts(queue), room.status(queue).totals.expired), ((0, 0, 0), 2));
    assert_eq!(room.remains(), 0);
}

#[test]
fn an_expired_message_that_is_released_is_dropped() {
    for delay_ms in [0, 5_000] {
        let (mut room, queue) = Room::with_queue(short());
        room.send(queue, &[("a", 0), ("b", 0)]);
        let receipt = room.receive(queue, 1, 100_000)[0].receipt;
        room.pass(60_000);
        room.tick();
        room.release(queue, receipt, delay_ms, false);
        assert_eq!((room.counts(queue), room.remains()), ((0, 0, 0), 0), "{delay_ms} ms");
    }
}

#[test]
fn an_older_message_that_comes_back_is_noticed() {
    let (mut room, queue) = Room::with_queue(short());
    room.send(queue, &[("old", 0)]);
    let receipt = room.receive(queue, 1, 200_000)[0].receipt;
    room.pass(50_000);
    room.send(queue, &[("new", 0)]);
    // The old one's time comes while it is leased: the queue learns of the new one only.
    room.pass(10_000);
    room.tick();
    room.release(queue, receipt, 0, false);
    room.tick();
    assert_eq!((room.counts(queue), room.status(queue).totals.expired), ((1, 0, 0), 1));
    assert_eq!(room.take(queue, 9, 1_000), ["new"]);
}

#[test]
fn a_shorter_retention_holds_for_what_is_there_already() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 0)]);
    room.pass(60_000);
    assert_eq!(room.tick(), 0);
    let changes = AttributeChanges { retention_s: Some(60), ..AttributeChanges::default() };
    room.run(&Command::SetQueueAttributes { name: "orders".to_owned(), changes });
    room.tick();
    assert_eq!(room.counts(queue), (0, 0, 0));
}

#[test]
fn an_age_that_was_read_too_early_is_not_believed() {
    let (mut room, queue) = Room::with_queue(short());
    room.send(queue, &[("old", 0)]);
    let receipt = room.receive(queue, 1, 200_000)[0].receipt;
    room.pass(50_000);
    room.send(queue, &[("new", 0)]);
    room.pass(10_000);
    let tick = room.machine().due(&room.store, room.now).expect("rows can be read").expect("an age is to be learned");
    room.release(queue, receipt, 0, false);
    assert_eq!(room.run(&tick), Reply::Ticked { moved: 0, readied: vec![] }, "the old one is the first again");
    assert_eq!(room.machine().next_due(), Some(room.now));
    room.tick();
    assert_eq!((room.counts(queue), room.status(queue).totals.expired), ((1, 0, 0), 1));
}
