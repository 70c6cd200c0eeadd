//! Leases: who may ack what until when, and where a message goes when nobody does.
//!
//! Must never: let a tick be needed for a receipt to die.

use machine::{Machine as _, TimestampMs};
use queue_core::{Attributes, Command, Due, Refusal, Reply};

use crate::room::{Room, START, released};

const STALE: Option<Refusal> = Some(Refusal::StaleReceipt);

#[test]
fn messages_are_received_in_the_order_of_their_sends() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 0), ("b", 0)]);
    room.send(queue, &[("c", 0)]);
    assert_eq!(room.take(queue, 2, 1_000), ["a", "b"]);
    assert_eq!(room.take(queue, 2, 1_000), ["c"]);
    assert_eq!(room.run(&Command::Receive { queue, count: 1, lease_ms: None }), Reply::Empty);
}

#[test]
fn a_message_under_a_lease_is_given_to_nobody_else() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 0)]);
    assert_eq!(room.take(queue, 1, 1_000), ["a"]);
    room.pass(999);
    assert_eq!(room.tick(), 0);
    assert_eq!(room.take(queue, 1, 1_000), [""; 0]);
}

#[test]
fn receive_after_lease_end_delivers_again_with_a_higher_number() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 0), ("b", 0)]);
    let first = room.receive(queue, 1, 1_000);
    room.pass(1_000);
    assert_eq!(room.tick(), 1);
    let second = room.receive(queue, 2, 1_000);
    assert_eq!(second.len(), 2);
    assert_eq!((second[0].seq, second[0].id), (first[0].seq, first[0].id), "it keeps its place before the others");
    assert!(second[0].receipt > first[0].receipt);
    assert_eq!((second[0].tries.received, second[0].tries.failed), (2, 1), "a lease that ran out is a failure");
    assert_eq!(second[0].tries.first_received, START);
    assert_eq!(room.ack(queue, &[first[0].receipt, second[0].receipt]), [STALE, None]);
    assert_eq!(room.status(queue).totals.redelivered, 1);
}

#[test]
fn a_receipt_dies_at_its_deadline_whether_or_not_a_tick_has_come() {
    let table = [(999, None), (1_000, STALE), (5_000, STALE)];
    for (ms, expected) in table {
        let (mut room, queue) = Room::with_queue(Attributes::default());
        room.send(queue, &[("a", 0)]);
        let receipt = room.receive(queue, 1, 1_000)[0].receipt;
        room.pass(ms);
        assert_eq!(room.ack(queue, &[receipt]), [expected], "{ms} ms after the receive");
    }
}

#[test]
fn a_receive_without_a_lease_time_takes_that_of_the_queue() {
    let (mut room, queue) = Room::with_queue(Attributes { visibility_timeout_s: 7, ..Attributes::default() });
    room.send(queue, &[("a", 0)]);
    let reply = room.run(&Command::Receive { queue, count: 1, lease_ms: None });
    let Reply::Received { deliveries } = reply else { panic!("it is received, not {reply:?}") };
    assert_eq!(deliveries[0].deadline, START.plus(7_000));
    assert_eq!(room.machine().next_due(), Some(START.plus(7_000)));
}

#[test]
fn an_acked_message_is_gone_and_leaves_nothing_behind() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 0)]);
    let receipt = room.receive(queue, 1, 1_000)[0].receipt;
    assert_eq!(room.ack(queue, &[receipt, receipt]), [None, STALE]);
    room.pass(10_000);
    assert_eq!(room.tick(), 0);
    assert_eq!((room.counts(queue), room.remains()), ((0, 0, 0), 0));
}

#[test]
fn an_extended_lease_ends_as_counted_from_now() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 0)]);
    let receipt = room.receive(queue, 1, 1_000)[0].receipt;
    room.pass(900);
    let deadline = START.plus(900 + 5_000);
    let extend = Command::Extend { queue, receipts: vec![receipt], lease_ms: 5_000 };
    assert_eq!(room.run(&extend), Reply::Extended { deadline, results: vec![None] });
    room.pass(4_999);
    assert_eq!(room.tick(), 0);
    assert_eq!(room.ack(queue, &[receipt]), [None]);
}

#[test]
fn a_tick_that_an_extend_overtook_moves_nothing() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 0)]);
    let receipt = room.receive(queue, 1, 1_000)[0].receipt;
    let later = room.now.plus(1_000);
    let tick = room.machine().due(&room.store, later).expect("rows can be read").expect("the lease is due then");
    room.pass(999);
    room.run(&Command::Extend { queue, receipts: vec![receipt], lease_ms: 10_000 });
    room.pass(1);
    assert_eq!(room.run(&tick), Reply::Ticked { moved: 0, readied: vec![] });
    assert_eq!(room.counts(queue), (0, 1, 0));
}

#[test]
fn a_released_message_is_ready_at_once_or_after_its_delay() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 0), ("b", 0)]);
    let deliveries = room.receive(queue, 2, 60_000);
    assert_eq!(room.release(queue, deliveries[0].receipt, 0, false), released());
    assert_eq!(room.release(queue, deliveries[1].receipt, 5_000, true), released());
    assert_eq!(room.counts(queue), (1, 0, 1));
    let again = room.receive(queue, 2, 60_000);
    assert_eq!((again[0].tries.received, again[0].tries.failed), (2, 0), "a release is not a failure by itself");
    assert_eq!(room.ack(queue, &[deliveries[1].receipt]), [STALE], "a released receipt is dead");
    room.pass(5_000);
    assert_eq!(room.tick(), 1);
    let later = room.receive(queue, 2, 60_000);
    assert_eq!((later[0].tries.received, later[0].tries.failed), (2, 1));
}

#[test]
fn a_receipt_of_another_queue_or_of_a_former_one_of_the_name_is_stale() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    let other = room.create("other", Attributes::default());
    room.send(queue, &[("a", 0)]);
    room.send(other, &[("b", 0)]);
    let receipt = room.receive(queue, 1, 60_000)[0].receipt;
    room.receive(other, 1, 60_000);
    assert_eq!(room.ack(other, &[receipt]), [STALE]);
    assert_eq!(room.run(&Command::DeleteQueue { name: "ORDERS".to_owned() }), Reply::Done);
    let again = room.create("orders", Attributes::default());
    room.send(again, &[("c", 0)]);
    let new = room.receive(again, 1, 60_000)[0].receipt;
    assert_eq!(room.ack(again, &[receipt]), [STALE]);
    assert!(new > receipt, "delivery numbers grow over a delete and re-create");
}

#[test]
fn the_next_due_time_is_the_earliest_deadline() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    assert_eq!(room.machine().next_due(), None);
    room.send(queue, &[("a", 0), ("b", 0)]);
    room.receive(queue, 1, 9_000);
    room.receive(queue, 1, 4_000);
    assert_eq!(room.machine().next_due(), Some(TimestampMs(START.0 + 4_000)));
}

#[test]
fn a_tick_that_names_another_place_than_the_lease_has_moves_nothing() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 0), ("b", 0)]);
    let delivery = room.receive(queue, 1, 1_000)[0];
    room.pass(1_000);
    let items = vec![Due::Lease { queue, delivery: delivery.receipt, seq: delivery.seq + 1 }];
    assert_eq!(room.run(&Command::Tick { items }), Reply::Ticked { moved: 0, readied: vec![] });
}
