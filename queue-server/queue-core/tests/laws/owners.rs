//! Owners: queues are created, changed and deleted by name.
//!
//! Must never: give an id, or a message id, twice.

use queue_core::{AttributeChanges, Attributes, Command, Reply};

use crate::room::Room;

#[test]
fn a_deleted_queue_is_gone_at_once_and_erased_afterwards() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("ready", 0), ("leased", 0), ("tried", 0), ("delayed", 9_000), ("parked", 0)]);
    let deliveries = room.receive(queue, 3, 60_000);
    room.release(queue, deliveries[0].receipt, 0, true);
    room.release(queue, deliveries[2].receipt, 70_000, true);
    assert_eq!(room.run(&Command::DeleteQueue { name: "Orders".to_owned() }), Reply::Done);
    assert_eq!((room.machine().status(queue), room.machine().queue_id("orders")), (None, None));
    assert!(!room.machine().has_ready(queue));
    assert!(room.tick() > 0);
    assert_eq!(room.remains(), 0, "no row and no body is left");
    let of_queue = room.store.rows().filter(|(key, _)| key.first().is_some_and(|kind| *kind > 0x10)).count();
    assert_eq!((of_queue, room.machine().next_due()), (0, None));
}

#[test]
fn a_name_that_is_free_again_names_a_new_queue() {
    let (mut room, first) = Room::with_queue(Attributes::default());
    let old = room.send(first, &[("old", 0)])[0];
    room.run(&Command::DeleteQueue { name: "orders".to_owned() });
    let second = room.create("ORDERS", Attributes::default());
    let new = room.send(second, &[("new", 0)])[0];
    assert!(second > first && new > old, "ids are not used twice");
    room.tick();
    assert_eq!(room.take(second, 9, 1_000), ["new"]);
}

#[test]
fn an_empty_queue_is_erased_as_it_is_deleted() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.run(&Command::DeleteQueue { name: "orders".to_owned() });
    assert_eq!((room.machine().status(queue), room.machine().next_due()), (None, None));
    assert_eq!(room.remains(), 0);
}

#[test]
fn set_attributes_changes_what_it_names_and_no_more() {
    let (mut room, queue) = Room::with_queue(Attributes { rewind_s: 60, ..Attributes::default() });
    room.pass(5);
    let changes = AttributeChanges { visibility_timeout_s: Some(9), ..AttributeChanges::default() };
    assert_eq!(room.run(&Command::SetQueueAttributes { name: "ORDERS".to_owned(), changes }), Reply::Done);
    let status = room.status(queue);
    assert_eq!(status.attributes, Attributes { rewind_s: 60, visibility_timeout_s: 9, ..Attributes::default() });
    assert_eq!(status.modified.since(status.created), 5);
}

#[test]
fn a_purge_leaves_what_a_consumer_holds_until_its_lease_ends() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("a", 0), ("b", 0), ("c", 0)]);
    let deliveries = room.receive(queue, 2, 1_000);
    assert_eq!(room.run(&Command::Purge { queue }), Reply::Purged { messages: 1 });
    assert_eq!(room.ack(queue, &[deliveries[0].receipt]), [None]);
    room.pass(1_000);
    room.tick();
    assert_eq!((room.counts(queue), room.status(queue).totals.purged, room.remains()), ((0, 0, 0), 2, 0));
}
