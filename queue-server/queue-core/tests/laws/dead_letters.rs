//! Dead letters: when a message leaves for the dead-letter queue, and what it takes with it.
//!
//! Must never: lose or double a message that cannot move.

use queue_core::limits::DEAD_LETTER_RETRY_MS;
use queue_core::{AttributeChanges, Attributes, Command, DeadLetterCount, Origin, PeekState, QueueId, Stall};

use crate::room::{GROUP, Room, START, policy, released};

fn rooms(count: DeadLetterCount, limit: u32) -> (Room, QueueId, QueueId) {
    let mut room = Room::new();
    let dead = room.create("Dead", Attributes::default());
    let queue = room.create("orders", policy("dead", count, limit));
    (room, queue, dead)
}

/// One delivery that ends in one of three ways.
fn fail(room: &mut Room, queue: QueueId, how: &str) {
    let receipt = room.receive(queue, 1, 1_000)[0].receipt;
    match how {
        "run out" => room.pass(1_000),
        "failed" => assert_eq!(room.release(queue, receipt, 0, true), released()),
        _ => assert_eq!(room.release(queue, receipt, 0, false), released()),
    }
    room.tick();
}

#[test]
fn a_message_moves_when_its_count_has_reached_the_limit() {
    use DeadLetterCount::{Failed, Received};
    let table: [(DeadLetterCount, u32, &[&str], bool); 8] = [
        (Received, 2, &["run out"], false),
        (Received, 2, &["run out", "run out"], true),
        (Received, 2, &["failed", "run out"], true),
        (Received, 2, &["given back", "given back"], true),
        (Failed, 2, &["failed"], false),
        (Failed, 2, &["failed", "run out"], true),
        (Failed, 2, &["given back", "given back", "given back"], false),
        (Failed, 1, &["failed"], true),
    ];
    for (count, limit, ends, moves) in table {
        let (mut room, queue, dead) = rooms(count, limit);
        room.send(queue, &[("a", 0)]);
        for how in ends {
            fail(&mut room, queue, how);
        }
        let expected = if moves { ((0, 0, 0), (1, 0, 0)) } else { ((1, 0, 0), (0, 0, 0)) };
        assert_eq!((room.counts(queue), room.counts(dead)), expected, "{count:?} {limit} {ends:?}");
    }
}

#[test]
fn a_dead_letter_keeps_its_id_and_body_and_tells_its_story() {
    let (mut room, queue, dead) = rooms(DeadLetterCount::Failed, 1);
    let id = room.send(queue, &[("poison", 0)])[0];
    room.pass(10);
    let tries = room.receive(queue, 1, 1_000)[0].tries;
    room.pass(1_000);
    room.tick();
    let moved = room.now;
    let delivery = room.receive(dead, 1, 60_000)[0];
    assert_eq!((delivery.id, delivery.tries.received), (id, 1), "its tries begin anew");
    assert_eq!(room.body(id), "poison");
    let row = room.machine().message(&room.store, dead, delivery.seq).expect("rows can be read");
    let row = row.expect("a leased message has a row");
    assert_eq!((row.sent, row.enqueued), (START, moved));
    let tries = queue_core::Tries { failed: 1, ..tries };
    let (name, reason) = ("orders".to_owned(), Some(DeadLetterCount::Failed));
    let origin = Origin { group: GROUP, queue, name, enqueued: START, tries, reason, redriven: 0 };
    assert_eq!(row.origin, Some(origin));
    assert_eq!(room.ack(dead, &[delivery.receipt]), [None]);
    assert_eq!((room.remains(), room.status(queue).totals.dead_lettered, room.status(dead).totals.arrived), (0, 1, 1));
}

#[test]
fn a_dead_letter_that_cannot_move_stays_and_the_queue_says_why() {
    let delete = Command::DeleteQueue { name: "dead".to_owned() };
    let shrink = Command::SetQueueAttributes {
        name: "dead".to_owned(),
        changes: AttributeChanges { max_messages: Some(1), ..AttributeChanges::default() },
    };
    for (obstacle, stall) in [(delete, Stall::QueueMissing), (shrink, Stall::QueueFull)] {
        let (mut room, queue, dead) = rooms(DeadLetterCount::Failed, 1);
        room.send(dead, &[("old", 0)]);
        room.run(&obstacle);
        room.tick();
        room.send(queue, &[("a", 0)]);
        fail(&mut room, queue, "failed");
        assert_eq!((room.status(queue).stall, room.counts(queue)), (Some(stall), (0, 0, 1)));
        room.pass(DEAD_LETTER_RETRY_MS - 1);
        assert_eq!(room.tick(), 0, "it is not offered again at once");
        let target = if stall == Stall::QueueMissing {
            room.create("dead", Attributes::default())
        } else {
            room.take(dead, 1, 1_000);
            room.run(&Command::Purge { queue: dead });
            room.pass(1_000);
            room.tick();
            dead
        };
        room.pass(DEAD_LETTER_RETRY_MS);
        room.tick();
        assert_eq!((room.status(queue).stall, room.counts(queue)), (None, (0, 0, 0)));
        assert_eq!(room.take(target, 9, 1_000), ["a"]);
    }
}

#[test]
fn without_its_policy_a_waiting_dead_letter_is_visible_again() {
    let (mut room, queue, _) = rooms(DeadLetterCount::Failed, 1);
    room.run(&Command::DeleteQueue { name: "dead".to_owned() });
    room.send(queue, &[("a", 0)]);
    fail(&mut room, queue, "failed");
    let changes = AttributeChanges { dead_letter: Some(None), ..AttributeChanges::default() };
    room.run(&Command::SetQueueAttributes { name: "orders".to_owned(), changes });
    assert_eq!(room.status(queue).stall, None);
    room.pass(DEAD_LETTER_RETRY_MS);
    room.tick();
    assert_eq!(room.take(queue, 1, 1_000), ["a"]);
}

#[test]
fn a_dead_letter_may_become_one_again() {
    let mut room = Room::new();
    let last = room.create("last", Attributes::default());
    let dead = room.create("dead", policy("last", DeadLetterCount::Failed, 1));
    let queue = room.create("orders", policy("dead", DeadLetterCount::Failed, 1));
    room.send(queue, &[("a", 0)]);
    fail(&mut room, queue, "run out");
    fail(&mut room, dead, "failed");
    let peeked = room.machine().peek(&room.store, last, PeekState::Visible, (0, 9)).expect("rows can be read");
    let origins: Vec<_> =
        peeked.iter().filter_map(|peeked| peeked.message.origin.as_ref()).map(|origin| origin.queue).collect();
    assert_eq!(origins, [dead], "the last move is told");
    assert_eq!(room.take(last, 9, 1_000), ["a"]);
}

fn aged() -> (Room, QueueId, QueueId) {
    rooms(DeadLetterCount::Age, 300)
}

#[test]
fn a_message_moves_when_it_has_stood_too_long_whether_or_not_it_was_received() {
    let (mut room, queue, dead) = aged();
    room.send(queue, &[("unread", 0), ("tried", 0), ("held", 0), ("late", 10_000)]);
    let deliveries = room.receive(queue, 3, 400_000);
    room.release(queue, deliveries[0].receipt, 0, false);
    room.release(queue, deliveries[1].receipt, 0, true);
    room.pass(10_000);
    room.tick();
    room.send(queue, &[("young", 0)]);
    room.now = START.plus(299_999);
    room.tick();
    assert_eq!(room.counts(dead), (0, 0, 0));
    assert_eq!(room.machine().next_due(), Some(START.plus(300_000)), "the queue has learned the age of its oldest");
    room.pass(1);
    room.tick();
    assert_eq!((room.counts(queue), room.counts(dead)), ((2, 1, 0), (2, 0, 0)), "a held one waits for its lease");
    room.now = START.plus(310_000);
    room.tick();
    assert_eq!(
        (room.counts(queue), room.counts(dead)),
        ((0, 1, 0), (4, 0, 0)),
        "the time counts from the end of a delay"
    );
    room.now = START.plus(400_000);
    room.tick();
    assert_eq!((room.counts(queue), room.counts(dead)), ((0, 0, 0), (5, 0, 0)));
    let peeked = room.machine().peek(&room.store, dead, PeekState::Visible, (0, 9)).expect("rows can be read");
    let reasons: Vec<_> =
        peeked.iter().filter_map(|peeked| peeked.message.origin.as_ref()).map(|origin| origin.reason).collect();
    assert_eq!(reasons, [Some(DeadLetterCount::Age); 5]);
    assert_eq!(room.take(dead, 9, 1_000), ["unread", "tried", "late", "young", "held"]);
    assert_eq!(room.status(queue).footprint.unsettled, 0);
}

#[test]
fn a_backlog_that_is_too_old_and_cannot_move_stays_visible_and_costs_no_memory() {
    let (mut room, queue, dead) = aged();
    let shrink = AttributeChanges { max_messages: Some(1), ..AttributeChanges::default() };
    room.run(&Command::SetQueueAttributes { name: "dead".to_owned(), changes: shrink });
    for _ in 0..10 {
        room.send(queue, &[("x", 0); 100]);
    }
    room.pass(300_000);
    room.tick();
    let status = room.status(queue);
    assert_eq!((status.stall, room.counts(queue), room.counts(dead)), (Some(Stall::QueueFull), (999, 0, 0), (1, 0, 0)));
    assert_eq!((status.footprint.unsettled, status.footprint.ranges), (0, 1));
    assert_eq!(room.machine().next_due(), Some(room.now.plus(DEAD_LETTER_RETRY_MS)));
    assert_eq!(room.take(queue, 1, 1_000), ["x"], "it may still be received");
    let unbind = AttributeChanges { dead_letter: Some(None), ..AttributeChanges::default() };
    room.run(&Command::SetQueueAttributes { name: "orders".to_owned(), changes: unbind });
    assert_eq!((room.status(queue).stall, room.machine().dead_letter_sources(GROUP, GROUP, "dead")), (None, vec![]));
    room.pass(DEAD_LETTER_RETRY_MS);
    room.tick();
    assert_eq!(room.counts(queue), (999, 0, 0), "without its policy nothing moves");
    let again = AttributeChanges {
        dead_letter: policy("dead", DeadLetterCount::Age, 300).dead_letter.into(),
        ..AttributeChanges::default()
    };
    room.run(&Command::SetQueueAttributes { name: "orders".to_owned(), changes: again });
    assert_eq!(room.machine().dead_letter_sources(GROUP, GROUP, "dead"), [queue]);
    let widen = AttributeChanges { max_messages: Some(1_000), ..AttributeChanges::default() };
    room.run(&Command::SetQueueAttributes { name: "dead".to_owned(), changes: widen });
    room.tick();
    assert_eq!((room.counts(queue), room.counts(dead)), ((0, 0, 0), (1_000, 0, 0)));
}

#[test]
fn an_age_is_held_against_its_range_and_the_retention() {
    let table = [
        (299, 345_600, false),
        (300, 345_600, true),
        (43_200, 43_201, true),
        (43_201, 345_600, false),
        (300, 300, false),
    ];
    for (limit, retention_s, fits) in table {
        let attributes = Attributes { retention_s, ..policy("dead", DeadLetterCount::Age, limit) };
        assert_eq!(attributes.check().is_ok(), fits, "{limit} s of {retention_s} s");
    }
}
