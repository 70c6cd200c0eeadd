//! A deep backlog costs memory by how ragged it is, not by how long it is.
//!
//! Must never: hold a million bodies; the store of this test does, the machine does not.

use queue_core::limits::BATCH_MAX;
use queue_core::{Attributes, Command, Delivery};

use crate::room::{Room, message};

#[test]
fn a_million_ready_messages_are_one_range_and_one_run() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    let other = room.create("other", Attributes::default());
    let batch = vec![message("x", 0); BATCH_MAX];
    let sends = 1_000_000_usize.div_ceil(BATCH_MAX);
    for send in 0..sends {
        room.run_fast(&Command::Send { queue, messages: batch.clone() });
        if send % 100 == 0 {
            room.run_fast(&Command::Send { queue: other, messages: vec![message("y", 0)] });
        }
    }
    let status = room.status(queue);
    assert_eq!(status.counts.visible, (sends * BATCH_MAX) as u64);
    assert_eq!((status.footprint.ranges, status.footprint.runs), (1, 1), "other queues' sends do not tear it");
    room.check_reload();
    assert_eq!(room.take(queue, 3, 1_000), ["x", "x", "x"]);
    assert_eq!(room.status(queue).footprint.ranges, 1);
}

#[test]
fn consumers_that_ack_out_of_order_leave_no_pieces_behind() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    for _ in 0..80 {
        room.run_fast(&Command::Send { queue, messages: vec![message("x", 0); BATCH_MAX] });
    }
    let mut all = Vec::new();
    for _ in 0..80 {
        all.extend(room.receive(queue, 128, 60_000));
    }
    let (even, odd): (Vec<Delivery>, Vec<Delivery>) = all.into_iter().partition(|delivery| delivery.seq % 2 == 0);
    for half in [even, odd] {
        for receipts in half.chunks(BATCH_MAX) {
            let receipts: Vec<_> = receipts.iter().map(|delivery| delivery.receipt).collect();
            assert!(room.ack(queue, &receipts).iter().all(Option::is_none));
        }
    }
    assert_eq!(room.remains(), 0, "no row and no body is left");
    let footprint = room.status(queue).footprint;
    assert_eq!((footprint.ranges, footprint.runs, footprint.unsettled), (0, 0, 0));
}

#[test]
fn a_purge_of_a_long_backlog_is_seen_at_once_and_erased_in_parts() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    for _ in 0..80 {
        room.run_fast(&Command::Send { queue, messages: vec![message("x", 0); BATCH_MAX] });
    }
    room.run(&Command::Purge { queue });
    assert_eq!(room.counts(queue), (0, 0, 0));
    assert!(!room.machine().has_ready(queue));
    room.send(queue, &[("new", 0)]);
    assert_eq!(room.tick(), 3, "4096 messages a part");
    assert_eq!(room.take(queue, 10, 1_000), ["new"]);
    assert_eq!(room.status(queue).counts.stale, 0);
}
