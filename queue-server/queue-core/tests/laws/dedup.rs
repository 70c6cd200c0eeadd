//! Deduplicated send: within the window an id is stored once, after it again.
//!
//! Must never: depend on whether a tick has come.

use queue_core::{AttributeChanges, Attributes, Command, MessageId, NewMessage, QueueId, Reply};

use crate::room::{Room, message};

fn room() -> (Room, QueueId) {
    Room::with_queue(Attributes { dedup_window_s: 60, ..Attributes::default() })
}

/// Sends a message under each id. Answers: their ids, and which were duplicates.
fn send(room: &mut Room, queue: QueueId, ids: &[&str]) -> (Vec<MessageId>, Vec<u32>) {
    let new = |id: &&str| NewMessage { dedup_id: (*id).to_owned(), ..message("x", 0) };
    let reply = room.run(&Command::Send { queue, messages: ids.iter().map(new).collect() });
    let Reply::Sent { ids, duplicates, .. } = reply else { panic!("it is sent, not {reply:?}") };
    (ids, duplicates)
}

#[test]
fn an_id_is_stored_once_within_the_window_and_again_after_it() {
    for ticks in [false, true] {
        let (mut room, queue) = room();
        let first = send(&mut room, queue, &["a", "b", "a", ""]);
        assert_eq!((first.0[2], first.1), (first.0[0], vec![2]));
        let receipts: Vec<_> = room.receive(queue, 9, 1_000).iter().map(|delivery| delivery.receipt).collect();
        assert_eq!(room.ack(queue, &receipts).len(), 3, "the duplicate and nothing else was left out");
        room.pass(59_999);
        if ticks {
            room.tick();
        }
        assert_eq!(send(&mut room, queue, &["b", "c"]).1, [0], "consumed or not");
        room.pass(1);
        if ticks {
            room.tick();
        }
        let (again, duplicates) = send(&mut room, queue, &["a", "", "c"]);
        assert!(duplicates == [2] && again[0] != first.0[0], "ticks: {ticks}");
        assert_eq!(room.status(queue).totals.sent, 6);
    }
}

#[test]
fn ids_are_erased_when_their_windows_have_ended() {
    let (mut room, queue) = room();
    send(&mut room, queue, &["a"]);
    room.pass(30_000);
    send(&mut room, queue, &["b"]);
    room.pass(30_000);
    assert_eq!(room.machine().next_due(), Some(room.now));
    room.tick();
    assert_eq!(room.machine().next_due(), Some(room.now.plus(30_000)), "the queue has learned when to look again");
    room.pass(30_000);
    room.tick();
    let receipts: Vec<_> = room.receive(queue, 9, 1_000).iter().map(|delivery| delivery.receipt).collect();
    room.ack(queue, &receipts);
    assert_eq!(room.remains(), 0);
}

#[test]
fn a_deleted_queue_leaves_no_ids_and_another_queue_knows_none() {
    let (mut room, queue) = room();
    let other = room.create("other", Attributes { dedup_window_s: 60, ..Attributes::default() });
    send(&mut room, queue, &["a", "b"]);
    assert_eq!(send(&mut room, other, &["a"]).1, [0_u32; 0]);
    for name in ["orders", "other"] {
        room.run(&Command::DeleteQueue { name: name.to_owned() });
    }
    room.tick();
    assert_eq!(room.remains(), 0);
}

#[test]
fn a_queue_without_a_window_stores_every_message() {
    let (mut room, queue) = room();
    send(&mut room, queue, &["a"]);
    let changes = AttributeChanges { dedup_window_s: Some(0), ..AttributeChanges::default() };
    room.run(&Command::SetQueueAttributes { name: "orders".to_owned(), changes });
    assert_eq!(send(&mut room, queue, &["a", "a"]).1, [0_u32; 0]);
}

#[test]
fn a_full_queue_still_answers_a_duplicate() {
    let (mut room, queue) =
        Room::with_queue(Attributes { dedup_window_s: 60, max_messages: 1, ..Attributes::default() });
    let first = send(&mut room, queue, &["a"]).0;
    assert_eq!(send(&mut room, queue, &["a"]), (first, vec![0]));
}
