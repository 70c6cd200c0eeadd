//! Moves: a queue goes from one group to another with everything it holds, and whoever uses it loses and doubles nothing.
//!
//! Must never: look at one group alone where both together must agree.

use bytes::Bytes;
use machine::{Delivery, GroupId, Layout as _, Machine as _, System};
use queue_core::limits::DEAD_LETTER_RETRY_MS;
use queue_core::{
    Attributes, Command, DeadLetterCount, DeadLetterPolicy, MessageId, MovePhase, NewMessage, QueueId, Refusal, Reply,
    TransactionPolicy,
};

use crate::room::{GROUP, Room, message, released};

pub(crate) const FAR: GroupId = GroupId(9);

/// Offers the first records of each track to the other group. Answers: whether any was taken.
pub(crate) fn carry(from: &mut Room, to: &mut Room, bytes_max: usize, is_acknowledged: bool) -> bool {
    let mut has_moved = false;
    let tracks = from.host.courier_status().into_iter().filter(|status| status.target.group == to.group);
    for status in tracks.collect::<Vec<_>>() {
        let records = from.host.courier_records(status.target, bytes_max, &from.store).expect("rows can be read");
        let records = records.into_iter().map(|record| record.bytes).collect();
        let (source, track, epoch) = (from.group, status.target.track, from.host.epoch());
        let reply = to.run_system(System::Deliver { source, track, epoch, first: status.first, records });
        let delivery = Delivery::from_bytes(&reply).expect("a delivery decodes");
        assert_eq!(delivery.refused, None, "nothing of a move is turned away");
        if is_acknowledged {
            from.run_system(System::Acknowledge { target: status.target, upto: delivery.applied });
        }
        has_moved |= delivery.applied >= status.first;
    }
    has_moved
}

/// Makes one tick of what is due. Answers: whether there was one.
pub(crate) fn tick_once(room: &mut Room) -> bool {
    let command = room.machine().due(&room.store, room.now).expect("rows in memory can be read");
    command.is_some_and(|command| matches!(room.run(&command), Reply::Ticked { .. }))
}

/// Ticks and carries until nothing moves any more.
pub(crate) fn settle(near: &mut Room, there: &mut Room) {
    loop {
        let ticked = tick_once(near) | tick_once(there);
        if !(carry(near, there, 1 << 20, true) | carry(there, near, 1 << 20, true) | ticked) {
            return;
        }
    }
}

pub(crate) fn start(room: &mut Room, to: GroupId) -> Reply {
    room.run(&Command::MoveQueue { name: "orders".to_owned(), to })
}

pub(crate) fn phase(room: &Room) -> Option<MovePhase> {
    room.machine().departure("ORDERS").map(|departure| departure.phase)
}

/// Steps until the source has come to a phase.
fn until(near: &mut Room, there: &mut Room, wanted: MovePhase) {
    for _ in 0..100 {
        if phase(near) == Some(wanted) {
            return;
        }
        if !carry(near, there, 1 << 20, true) && !carry(there, near, 1 << 20, true) {
            tick_once(near);
        }
    }
    panic!("the move does not come to {wanted:?}, it is at {:?}", phase(near));
}

fn rooms(attributes: Attributes) -> (Room, QueueId, Room) {
    let (near, queue) = Room::with_queue(attributes);
    let mut there = Room::of(FAR);
    there.create("other", Attributes::default());
    (near, queue, there)
}

fn send(room: &mut Room, queue: QueueId, messages: Vec<NewMessage>) -> Vec<MessageId> {
    match room.run(&Command::Send { queue, messages }) {
        Reply::Sent { ids, .. } => ids,
        other => panic!("messages are sent, not {other:?}"),
    }
}

fn grouped(body: &'static str) -> NewMessage {
    NewMessage { group: "g".to_owned(), ..message(body, 0) }
}

fn here(room: &Room) -> QueueId {
    room.machine().queue_id("Orders").expect("the queue is here")
}

#[test]
fn every_state_of_a_message_moves_and_receipts_stay_good() {
    let attributes = Attributes { dedup_window_s: 600, ..Attributes::default() };
    let (mut near, queue, mut there) = rooms(attributes);
    let known = NewMessage { dedup_id: "once".to_owned(), ..message("known", 0) };
    let ids =
        send(&mut near, queue, vec![message("out", 0), message("tried", 0), known.clone(), message("later", 9_000)]);
    let taken = near.receive(queue, 2, 60_000);
    assert_eq!(near.release(queue, taken[1].receipt, 0, true), released());
    let before = near.status(queue);
    assert_eq!(start(&mut near, FAR), Reply::Done);
    settle(&mut near, &mut there);
    let target = here(&there);
    assert_eq!((phase(&near), near.remains()), (Some(MovePhase::Gone), 0), "the source keeps a sign, and nothing else");
    assert_eq!(there.counts(target), (2, 1, 1));
    let after = there.status(target);
    assert_eq!((after.totals, after.attributes, after.created), (before.totals, before.attributes, before.created));
    assert_eq!(there.machine().arrival(target), None, "it is whole");
    assert_eq!(there.ack(target, &[taken[0].receipt]), [None], "the receipt is good where its lease is now");
    assert_eq!(send(&mut there, target, vec![known]), ids[2..3], "a repeated send is known");
    let again = there.receive(target, 9, 60_000);
    let bodies: Vec<String> = again.iter().map(|delivery| there.body(delivery.id)).collect();
    assert_eq!(bodies, ["tried", "known"]);
    assert_eq!((again[0].tries.received, again[0].tries.failed), (2, 1), "tries are not forgotten");
    assert!(again.iter().all(|delivery| delivery.receipt.0 & 0xfff_ffff_ffff > taken[1].receipt.0 & 0xfff_ffff_ffff));
    there.pass(9_000);
    there.tick();
    assert_eq!(there.take(target, 9, 60_000), ["later"]);
}

#[test]
fn half_messages_move_and_are_decided_under_their_ids() {
    let transaction = Some(TransactionPolicy { first_query_s: 5, max_queries: 3 });
    let (mut near, queue, mut there) = rooms(Attributes { transaction, ..Attributes::default() });
    let half = |body| NewMessage { is_half: true, ..message(body, 0) };
    let ids = send(&mut near, queue, vec![half("yes"), half("no"), half("late")]);
    start(&mut near, FAR);
    settle(&mut near, &mut there);
    let target = here(&there);
    let confirm = |there: &mut Room, ids: &[MessageId], is_commit| {
        there.run(&Command::Confirm { queue: target, ids: ids.to_vec(), is_commit })
    };
    assert_eq!(confirm(&mut there, &ids[..1], true), released());
    assert_eq!(confirm(&mut there, &ids[1..2], false), released());
    assert_eq!(confirm(&mut there, &ids[1..2], false), released(), "the same decision once more");
    assert_eq!(there.take(target, 9, 1_000), ["yes"]);
    there.pass(5_000);
    let asked = there.run(&Command::QueryHalf { queue: target, count: 9 });
    assert!(matches!(asked, Reply::Questions { questions } if questions.len() == 1 && questions[0].id == ids[2]));
}

#[test]
fn from_the_cut_on_the_source_decides_nothing_and_says_where_the_queue_went() {
    let (mut near, queue, mut there) = rooms(Attributes::default());
    send(&mut near, queue, vec![message("a", 0), message("b", 0)]);
    let receipt = near.receive(queue, 1, 60_000)[0].receipt;
    start(&mut near, FAR);
    assert_eq!(start(&mut near, FAR), Reply::Refused(Refusal::QueueMoving));
    send(&mut near, queue, vec![message("until the cut", 0)]);
    until(&mut near, &mut there, MovePhase::Leases);
    let moved = [
        Command::Send { queue, messages: vec![message("c", 0)] },
        Command::Receive { queue, count: 1, lease_ms: None },
        Command::Ack { queue, receipts: vec![receipt] },
        Command::Purge { queue },
        Command::DeleteQueue { name: "orders".to_owned() },
        Command::CreateQueue { name: "Orders".to_owned(), attributes: Attributes::default() },
        Command::MoveQueue { name: "orders".to_owned(), to: FAR },
    ];
    for command in &moved {
        assert_eq!(near.run(command), Reply::Refused(Refusal::Moved), "{command:?}");
    }
    assert_eq!(near.run(&Command::CancelMove { name: "orders".to_owned() }), Reply::Refused(Refusal::MoveIsCut));
    let (_, machine) = (near.machine().moved_to("ORDERS"), there.machine());
    assert_eq!((near.machine().moved_to("ORDERS"), machine.queue_id("orders")), (Some(FAR), None), "not open yet");
    assert!(machine.arriving_id("orders").is_some());
    settle(&mut near, &mut there);
    for command in &moved {
        assert_eq!(near.run(command), Reply::Refused(Refusal::Moved), "{command:?}, when all has gone");
    }
    let target = here(&there);
    assert_eq!(there.ack(target, &[receipt]), [None]);
    assert_eq!(there.take(target, 9, 1_000), ["b", "until the cut"]);
}

#[test]
fn an_ordered_group_keeps_its_order_across_the_move() {
    let (mut near, queue, mut there) = rooms(Attributes::default());
    send(&mut near, queue, vec![grouped("1"), grouped("2"), grouped("3")]);
    let first = near.receive(queue, 1, 60_000)[0];
    send(&mut near, queue, vec![message("free", 0)]);
    start(&mut near, FAR);
    until(&mut near, &mut there, MovePhase::Backlog);
    carry(&mut near, &mut there, 1 << 20, true);
    let target = here(&there);
    send(&mut there, target, vec![grouped("4"), message("new", 0)]);
    assert_eq!(there.take(target, 9, 60_000), ["new"], "what is free is served at once");
    assert_eq!(there.ack(target, &[first.receipt]), [None]);
    assert_eq!(there.take(target, 9, 60_000), Vec::<String>::new(), "earlier ones are not here yet");
    settle(&mut near, &mut there);
    assert_eq!(there.machine().arrival(target), None);
    let mut order = Vec::new();
    loop {
        let taken = there.receive(target, 1, 60_000);
        let Some(delivery) = taken.first() else { break };
        order.push(there.body(delivery.id));
        assert_eq!(there.ack(target, &[delivery.receipt]), [None]);
    }
    order.retain(|body| body != "free");
    assert_eq!(order, ["2", "3", "4"]);
    assert_eq!(there.status(target).footprint.lanes, 0, "late lanes are given back like all");
}

#[test]
fn a_purge_reaches_what_is_still_on_its_way() {
    let (mut near, queue, mut there) = rooms(Attributes::default());
    send(&mut near, queue, vec![message("old", 0), message("held", 0), message("delayed", 5_000)]);
    let held = near.receive(queue, 1, 60_000)[0];
    start(&mut near, FAR);
    until(&mut near, &mut there, MovePhase::Backlog);
    carry(&mut near, &mut there, 1 << 20, true);
    let target = here(&there);
    assert_eq!(there.machine().arrival(target).map(|arrival| arrival.left), Some(2));
    there.run(&Command::Purge { queue: target });
    send(&mut there, target, vec![message("new", 0)]);
    settle(&mut near, &mut there);
    assert_eq!((there.counts(target), there.status(target).totals.purged), ((1, 1, 0), 2));
    assert_eq!(there.ack(target, &[held.receipt]), [None]);
    assert_eq!(there.take(target, 9, 1_000), ["new"]);
}

#[test]
fn a_move_is_declined_or_ended_and_the_queue_stays() {
    let (mut near, queue, mut there) = rooms(Attributes::default());
    there.create("ORDERS", Attributes::default());
    send(&mut near, queue, vec![message("a", 0)]);
    start(&mut near, FAR);
    settle(&mut near, &mut there);
    assert_eq!(phase(&near), Some(MovePhase::Declined(Refusal::QueueExists)));
    there.run(&Command::DeleteQueue { name: "orders".to_owned() });
    let cancel = Command::CancelMove { name: "orders".to_owned() };
    assert_eq!(near.run(&cancel), Reply::Refused(Refusal::MoveMissing));
    // Before the answer, and behind it.
    for steps in [0, 2] {
        start(&mut near, FAR);
        if steps > 0 {
            until(&mut near, &mut there, MovePhase::Windows);
        }
        assert_eq!(near.run(&cancel), Reply::Done);
        settle(&mut near, &mut there);
        assert_eq!(phase(&near), Some(MovePhase::Cancelled));
        assert_eq!((there.machine().queue_id("orders"), there.machine().arriving_id("orders")), (None, None));
        assert_eq!(there.remains(), 0, "the target keeps nothing");
    }
    start(&mut near, FAR);
    near.run(&Command::DeleteQueue { name: "orders".to_owned() });
    settle(&mut near, &mut there);
    assert_eq!((there.machine().arriving_id("orders"), there.remains(), near.remains()), (None, 0, 0));
}

#[test]
fn a_queue_comes_back_and_the_sign_goes() {
    let (mut near, queue, mut there) = rooms(Attributes::default());
    let ids = send(&mut near, queue, vec![message("a", 0), message("b", 0)]);
    let receipt = near.receive(queue, 1, 60_000)[0].receipt;
    for _ in 0..2 {
        start(&mut near, FAR);
        settle(&mut near, &mut there);
        start(&mut there, GROUP);
        settle(&mut near, &mut there);
        assert_eq!((near.machine().moved_to("orders"), there.machine().moved_to("orders")), (None, Some(GROUP)));
    }
    let home = here(&near);
    assert_ne!(home, queue);
    assert_eq!(near.ack(home, &[receipt]), [None]);
    assert_eq!(near.receive(home, 9, 1_000)[0].id, ids[1]);
    assert_eq!(
        near.run(&Command::Purge { queue }),
        Reply::Refused(Refusal::QueueMissing),
        "an id means one queue for ever"
    );
}

#[test]
fn what_is_for_a_queue_that_moved_follows_it() {
    let (mut near, queue, mut there) = rooms(Attributes::default());
    let policy =
        |group| DeadLetterPolicy { group, queue: "orders".to_owned(), count: DeadLetterCount::Failed, limit: 1 };
    let source = near.create("source", Attributes { dead_letter: Some(policy(None)), ..Attributes::default() });
    let far = there.create("far", Attributes { dead_letter: Some(policy(Some(GROUP))), ..Attributes::default() });
    send(&mut near, source, vec![message("near", 0)]);
    send(&mut there, far, vec![message("far", 0)]);
    start(&mut near, FAR);
    settle(&mut near, &mut there);
    for (room, queue) in [(&mut near, source), (&mut there, far)] {
        let receipt = room.receive(queue, 1, 1_000)[0].receipt;
        assert_eq!(room.release(queue, receipt, 0, true), released());
    }
    settle(&mut near, &mut there);
    let target = here(&there);
    let mut bodies = there.take(target, 9, DEAD_LETTER_RETRY_MS);
    bodies.sort();
    assert_eq!(bodies, ["far", "near"]);
    assert_eq!(near.machine().queue_id("orders"), None);
    assert_ne!(target, queue);
}

#[test]
fn a_queues_own_dead_letters_find_their_queue_from_its_new_group() {
    let policy = DeadLetterPolicy { group: None, queue: "dead".to_owned(), count: DeadLetterCount::Failed, limit: 1 };
    let mut near = Room::new();
    let dead = near.create("dead", Attributes::default());
    let queue = near.create("orders", Attributes { dead_letter: Some(policy), ..Attributes::default() });
    let mut there = Room::of(FAR);
    send(&mut near, queue, vec![message("poison", 0)]);
    start(&mut near, FAR);
    settle(&mut near, &mut there);
    let target = here(&there);
    let receipt = there.receive(target, 1, 1_000)[0].receipt;
    there.release(target, receipt, 0, true);
    settle(&mut near, &mut there);
    assert_eq!(near.take(dead, 9, 1_000), ["poison"]);
}

#[test]
fn a_queue_that_is_deleted_where_it_arrives_takes_what_follows_with_it() {
    let (mut near, queue, mut there) = rooms(Attributes::default());
    send(&mut near, queue, vec![message("a", 0), message("b", 0)]);
    start(&mut near, FAR);
    until(&mut near, &mut there, MovePhase::Backlog);
    carry(&mut near, &mut there, 1 << 20, true);
    assert_eq!(there.run(&Command::DeleteQueue { name: "orders".to_owned() }), Reply::Done);
    let anew = there.create("orders", Attributes::default());
    settle(&mut near, &mut there);
    assert_eq!((there.counts(anew), there.remains(), near.remains()), ((0, 0, 0), 0, 0));
    assert_eq!(there.store.bodies().map(|(_, body)| body.clone()).collect::<Vec<Bytes>>(), Vec::<Bytes>::new());
}

#[test]
fn refusals_of_a_move_stand_in_their_order() {
    let (mut near, queue, mut there) = rooms(Attributes::default());
    let order = |name: &str, to| Command::MoveQueue { name: name.to_owned(), to: GroupId(to) };
    let table = [
        (order("-", 0), Refusal::NameInvalid),
        (order("nowhere", 0), Refusal::QueueMissing),
        (order("orders", 0), Refusal::GroupOutOfRange),
        (order("orders", 256), Refusal::GroupOutOfRange),
        (order("orders", GROUP.0), Refusal::MoveToItself),
    ];
    for (command, expected) in table {
        assert_eq!(near.run(&command), Reply::Refused(expected), "{command:?}");
    }
    start(&mut near, FAR);
    let changes = queue_core::AttributeChanges { retention_s: Some(60), ..queue_core::AttributeChanges::default() };
    let set = Command::SetQueueAttributes { name: "orders".to_owned(), changes };
    assert_eq!(near.run(&set), Reply::Refused(Refusal::QueueMoving));
    send(&mut near, queue, vec![message("a", 0)]);
    until(&mut near, &mut there, MovePhase::Backlog);
    carry(&mut near, &mut there, 1 << 20, true);
    assert_eq!(start(&mut there, GROUP), Reply::Refused(Refusal::QueueMoving), "it is not whole yet");
}
