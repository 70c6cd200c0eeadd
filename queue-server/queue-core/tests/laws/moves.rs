//! Moves: a queue goes from one group to another with everything it holds, and whoever uses it loses and doubles nothing.
//!
//! Must never: look at one group alone where both together must agree.

use bytes::Bytes;
use machine::{Delivery, EntryWriter, GroupId, Layout as _, LogIndex, Machine as _, MemoryStore, RequestId, System};
use queue_core::limits::DEAD_LETTER_RETRY_MS;
use queue_core::{
    Attributes, Command, DeadLetterCount, DeadLetterPolicy, DirectoryCommand, DirectoryMachine, MessageId, MovePhase,
    NewMessage, PlaceKind, PlaceQueue, QueueId, Refusal, Reply, TransactionPolicy,
};

use crate::golden::hex;
use crate::room::{GROUP, Room, START, message, released};

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

/// What a room has for the directory.
fn for_the_directory(room: &Room) -> Vec<System> {
    let tracks = room.host.courier_status().into_iter().filter(|status| status.target.group == GroupId::META);
    let deliver = |status: machine::CourierStatus| {
        let records = room.host.courier_records(status.target, 1 << 20, &room.store).expect("rows can be read");
        let records = records.into_iter().map(|record| record.bytes).collect();
        let (source, track, epoch) = (room.group, status.target.track, room.host.epoch());
        System::Deliver { source, track, epoch, first: status.first, records }
    };
    tracks.map(deliver).collect()
}

#[test]
fn the_directory_knows_the_last_move_in_whatever_order_it_hears_of_them() {
    let (mut near, _, mut there) = rooms(Attributes::default());
    start(&mut near, FAR);
    settle(&mut near, &mut there);
    there.pass(5);
    near.pass(5);
    start(&mut there, GROUP);
    settle(&mut near, &mut there);
    let (first, second) = (for_the_directory(&there), for_the_directory(&near));
    assert_eq!((first.len(), second.len()), (1, 1));
    for (words, expected) in [([&first, &second], GROUP), ([&second, &first], GROUP), ([&first, &first], FAR)] {
        let mut store = MemoryStore::default();
        let mut host = store.host::<DirectoryMachine>(GroupId::META).expect("an empty store loads");
        let (name, groups) = ("orders".to_owned(), vec![GROUP]);
        let place = PlaceQueue { kind: PlaceKind::Queue, name, groups, beside: String::new() };
        store.run(&mut host, LogIndex(1), START, &DirectoryCommand::Place(place)).expect("it is placed");
        for (index, word) in (2..).zip(words.into_iter().flatten()) {
            let mut entry = EntryWriter::default();
            entry.push(RequestId::NONE, &machine::Command::System(word.clone()));
            let outcome = host.apply(&[(LogIndex(index), entry.finish(START, 1))], &store).expect("rows can be read");
            store.commit(&outcome.rows);
        }
        let place = host.machine().place("ORDERS").expect("it has a place");
        assert_eq!(place.group, expected);
        assert!(place.epoch > 1, "whoever was told the old place is turned away");
        let reloaded = store.host::<DirectoryMachine>(GroupId::META).expect("its rows load");
        assert_eq!(reloaded.machine(), host.machine());
    }
}

/// Every word of a move in the order in which it is said, and what the directory is told.
fn conversation(near: &mut Room, there: &mut Room) -> Vec<String> {
    let mut said = Vec::new();
    loop {
        for room in [&*near, &*there] {
            for status in room.host.courier_status() {
                let records = room.host.courier_records(status.target, 1 << 20, &room.store).expect("rows can be read");
                said.extend(
                    records
                        .iter()
                        .map(|record| hex(&record.bytes))
                        .filter(|word| !said.contains(word))
                        .collect::<Vec<_>>(),
                );
            }
        }
        let carried = carry(near, there, 1 << 20, true) | carry(there, near, 1 << 20, true);
        if !carried && !tick_once(near) {
            return said;
        }
    }
}

#[test]
fn words_and_rows_of_a_move_keep_their_layout() {
    let (mut near, queue, mut there) = rooms(Attributes { dedup_window_s: 60, ..Attributes::default() });
    let known = NewMessage { dedup_id: "d".to_owned(), ..message("x", 0) };
    send(&mut near, queue, vec![known, message("y", 0)]);
    near.receive(queue, 1, 60_000);
    start(&mut near, FAR);
    let row = |room: &Room, kind: u8| {
        let found = room.store.rows().find(|(key, _)| key.first() == Some(&kind));
        found.map(|(key, value)| format!("{} {}", hex(key), hex(value)))
    };
    let now = "0000018bcfe56800";
    let departure = format!(
        "2c6f7264657273 01000000 0100000006 6f7264657273 00000009 01 {now} {now} 0000000000000000 00000000
         0000000000000004 0000000000000000 0000000000000000 0000000000000000"
    );
    assert_eq!(row(&near, 0x2c).map(|row| plain(&row)), Some(plain(&departure)));
    carry(&mut near, &mut there, 1 << 20, false);
    let arrival = format!("2d00000002 01 00000007 00 0000000000000000 {now} 00");
    assert_eq!(row(&there, 0x2d).map(|row| plain(&row)), Some(plain(&arrival)));
    let row = |count| format!("01 070000100000000{count} {now} {now} 00000001 00000000 00 00 04 00000000 00000000");
    let totals = format!(
        "0000000000000002 {z} 0000000000000001 {z}{z}{z}{z}{z} 0000000000000002 {z}{z}{z}{z}{z}{z}{z}{z}",
        z = "0".repeat(16)
    );
    let golden = [
        format!(
            "02 0000000000000004 00000006 6f7264657273 0000000005f5e100 00000000 0000001e 00010000 00054600 00000000
             0000003c 000000 {now} {now} 0000000000000000 0000000000000001"
        ),
        "03 0000000000000004 00000006 6f7264657273 00000002".to_owned(),
        "06 00000002 00000001 00000001 64 0000018bcfe65260 0700001000000001".to_owned(),
        format!("07 00000002 03 0000100000000001 0000018bcfe65260 00000001 00000000 {now} 00 {} 00000001 78", row(1)),
        format!("08 00000002 0000000000000002 0000000000000001 {totals}"),
        "01 00000006 6f7264657273 00000009 0000018bcfe56801".to_owned(),
        format!("07 00000002 01 00000000 00000000 0000000000000000 {} 00000001 79", row(2)),
        "09 00000002".to_owned(),
    ];
    let mut said = conversation(&mut near, &mut there);
    let mut golden: Vec<String> = golden.iter().map(|word| plain(word)).collect();
    // What two groups say at the same time has no order.
    said.sort();
    golden.sort();
    assert_eq!(said, golden);
}

fn plain(text: &str) -> String {
    text.replace([' ', '\n'], "")
}
