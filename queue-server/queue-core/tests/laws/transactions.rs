//! Transactions: a half message is nobody's until its producer decides, and its producer is asked, not too often.
//!
//! Must never: hand out what was not committed, or lose what was.

use queue_core::limits::{DECISIONS_MAX, HALVES_PER_QUEUE_MAX, QUERY_INTERVAL_MS_MAX};
use queue_core::{
    AttributeChanges, Attributes, Command, MessageId, NewMessage, PeekState, Question, QueueId, Refusal, Reply,
    TransactionPolicy,
};

use crate::room::{Room, START, message};

fn deals(first_query_s: u32, max_queries: u32) -> (Room, QueueId) {
    let transaction = Some(TransactionPolicy { first_query_s, max_queries });
    Room::with_queue(Attributes { transaction, ..Attributes::default() })
}

fn halves(room: &mut Room, queue: QueueId, bodies: &[&'static str]) -> Vec<MessageId> {
    let messages = bodies.iter().map(|body| NewMessage { is_half: true, ..message(body, 0) }).collect();
    let reply = room.run(&Command::Send { queue, messages });
    let Reply::Sent { ids, first_seq: 0, .. } = reply else { panic!("half messages have no place: {reply:?}") };
    ids
}

fn confirm(room: &mut Room, queue: QueueId, ids: &[MessageId], is_commit: bool) -> Vec<Option<Refusal>> {
    let reply = room.run(&Command::Confirm { queue, ids: ids.to_vec(), is_commit });
    let Reply::Settled { results } = reply else { panic!("a confirmation is answered, not {reply:?}") };
    results
}

fn ask(room: &mut Room, queue: QueueId, count: u32) -> Vec<Question> {
    match room.run(&Command::QueryHalf { queue, count }) {
        Reply::Questions { questions } => questions,
        Reply::Empty => Vec::new(),
        other => panic!("questions are taken, not {other:?}"),
    }
}

#[test]
fn a_half_message_is_received_once_it_is_committed_and_takes_its_place_then() {
    let (mut room, queue) = deals(5, 3);
    let ids = halves(&mut room, queue, &["first", "second", "never"]);
    assert_eq!((room.counts(queue), room.status(queue).counts.half), ((0, 0, 0), 3));
    assert!(!room.machine().has_ready(queue));
    room.send(queue, &[("plain", 0)]);
    room.pass(1_000);
    assert_eq!(confirm(&mut room, queue, &[ids[1], ids[0]], true), [None, None]);
    assert_eq!(confirm(&mut room, queue, &[ids[2]], false), [None]);
    let deliveries = room.receive(queue, 9, 60_000);
    let bodies: Vec<_> = deliveries.iter().map(|delivery| room.body(delivery.id)).collect();
    assert_eq!(bodies, ["plain", "second", "first"], "in the order of their commits");
    let row = room.machine().message(&room.store, queue, deliveries[1].seq).expect("rows can be read");
    let row = row.expect("a leased message has a row");
    assert_eq!((row.sent, row.enqueued), (START, START.plus(1_000)));
    let receipts: Vec<_> = deliveries.iter().map(|delivery| delivery.receipt).collect();
    room.ack(queue, &receipts);
    assert_eq!(room.store.bodies().count(), 0, "what was rolled back is gone");
    let totals = room.status(queue).totals;
    assert_eq!((totals.half_sent, totals.half_committed, totals.half_rolled_back), (3, 2, 1));
}

#[test]
fn a_decision_may_be_repeated_and_not_be_changed() {
    use Refusal::{HalfSettled, HalfUnknown};
    let (mut room, queue) = deals(5, 3);
    let ids = halves(&mut room, queue, &["a", "b"]);
    let plain = room.send(queue, &[("plain", 0)])[0];
    let other = room.create("other", Attributes::default());
    let foreign = room.send(other, &[("x", 0)])[0];
    let future = MessageId(plain.0 + 1);
    type Row<'a> = (&'a [MessageId], bool, &'a [Option<Refusal>]);
    let table: [Row<'_>; 6] = [
        (&[ids[0], ids[0]], true, &[None, None]),
        (&[ids[0]], true, &[None]),
        (&[ids[0]], false, &[Some(HalfSettled)]),
        (&[ids[1]], false, &[None]),
        (&[ids[1], plain], true, &[Some(HalfSettled), Some(HalfSettled)]),
        (&[foreign, future, MessageId(0)], true, &[Some(HalfUnknown); 3]),
    ];
    for (ids, is_commit, results) in table {
        assert_eq!(confirm(&mut room, queue, ids, is_commit), results, "{ids:?} {is_commit}");
    }
    assert_eq!(room.take(queue, 9, 1_000), ["plain", "a"]);
}

#[test]
fn a_queue_remembers_a_bounded_number_of_decisions() {
    let (mut room, queue) = deals(5, 3);
    let mut all = Vec::new();
    for _ in 0..=DECISIONS_MAX.div_ceil(128) {
        let ids = halves(&mut room, queue, &["x"; 128]);
        assert!(confirm(&mut room, queue, &ids, false).iter().all(Option::is_none));
        all.extend(ids);
    }
    assert_eq!(confirm(&mut room, queue, &all[all.len() - 1..], false), [None]);
    assert_eq!(confirm(&mut room, queue, &all[all.len() - DECISIONS_MAX..][..1], false), [None]);
    assert_eq!(confirm(&mut room, queue, &all[..1], false), [Some(Refusal::HalfSettled)], "forgotten, and harmless");
    let rows = room.store.rows().filter(|(key, _)| key.first() == Some(&0x22)).count();
    assert_eq!(rows, DECISIONS_MAX);
    room.run(&Command::DeleteQueue { name: "orders".to_owned() });
    room.tick();
    assert_eq!(room.remains(), 0);
}

#[test]
fn each_question_is_handed_out_once_in_an_interval_that_doubles() {
    let (mut room, queue) = deals(5, 3);
    let ids = halves(&mut room, queue, &["a", "b"]);
    assert_eq!(ask(&mut room, queue, 9), []);
    assert_eq!(room.machine().next_question(queue), Some(START.plus(5_000)));
    room.pass(5_000);
    assert_eq!(room.machine().queues_asking(room.now), [queue]);
    let question = |id, queries, next| Question { id, sent: START, queries, next };
    assert_eq!(ask(&mut room, queue, 1), [question(ids[0], 1, START.plus(15_000))]);
    assert_eq!(ask(&mut room, queue, 9), [question(ids[1], 1, START.plus(15_000))]);
    assert_eq!(ask(&mut room, queue, 9), []);
    confirm(&mut room, queue, &ids[1..], true);
    room.pass(10_000);
    assert_eq!(ask(&mut room, queue, 9), [question(ids[0], 2, START.plus(35_000))]);
    room.pass(20_000);
    assert_eq!(ask(&mut room, queue, 9), [question(ids[0], 3, START.plus(75_000))]);
    assert_eq!(room.machine().next_question(queue), None, "the last one was asked");
    room.pass(39_999);
    assert_eq!((ask(&mut room, queue, 9), room.tick(), room.status(queue).counts.half), (vec![], 0, 1));
    room.pass(1);
    assert_eq!(
        confirm(&mut room, queue, &ids[..1], true),
        [Some(Refusal::HalfSettled)],
        "the stamp decides, not the tick"
    );
    assert_eq!(room.tick(), 1);
    let status = room.status(queue);
    assert_eq!((status.counts.half, status.totals.half_expired), (0, 1));
    assert_eq!(confirm(&mut room, queue, &ids[..1], false), [None], "a late roll-back agrees");
    assert_eq!(room.take(queue, 9, 1_000), ["b"]);
}

#[test]
fn the_interval_does_not_grow_without_end() {
    let (mut room, queue) = deals(3_600, 100);
    halves(&mut room, queue, &["a"]);
    for _ in 0..5 {
        let next = room.machine().next_question(queue).expect("it is asked about");
        assert_eq!(next.since(room.now), QUERY_INTERVAL_MS_MAX);
        room.now = next;
        assert_eq!(ask(&mut room, queue, 1).len(), 1);
    }
}

#[test]
fn retention_purge_and_deletion_drop_half_messages() {
    let transaction = Some(TransactionPolicy { first_query_s: 1, max_queries: 1 });
    let attributes = Attributes { transaction, retention_s: 60, ..Attributes::default() };
    let (mut room, queue) = Room::with_queue(attributes);
    let ids = halves(&mut room, queue, &["a", "b"]);
    room.pass(59_999);
    assert_eq!((room.machine().next_due(), room.tick()), (Some(START.plus(60_000)), 0));
    room.pass(1);
    assert_eq!(room.tick(), 2);
    assert_eq!((room.status(queue).totals.expired, room.store.bodies().count()), (2, 0));
    assert_eq!(confirm(&mut room, queue, &ids, true), [Some(Refusal::HalfSettled); 2]);

    halves(&mut room, queue, &["c", "d"]);
    assert_eq!(room.run(&Command::Purge { queue }), Reply::Purged { messages: 2 });
    assert_eq!((room.status(queue).counts.half, room.store.bodies().count()), (0, 0));

    halves(&mut room, queue, &["e"]);
    room.run(&Command::DeleteQueue { name: "orders".to_owned() });
    room.tick();
    assert_eq!(room.remains(), 0);
}

#[test]
fn half_messages_count_as_held() {
    let transaction = Some(TransactionPolicy { first_query_s: 1, max_queries: 1 });
    let (mut room, queue) = Room::with_queue(Attributes { max_messages: 2, transaction, ..Attributes::default() });
    let ids = halves(&mut room, queue, &["a", "b"]);
    let more = Command::Send { queue, messages: vec![message("c", 0)] };
    assert_eq!(room.run(&more), Reply::Refused(Refusal::QueueFull));
    assert_eq!(confirm(&mut room, queue, &ids, true), [None, None], "a commit needs no further room");
    assert_eq!(room.counts(queue), (2, 0, 0));
}

#[test]
fn without_its_policy_half_messages_can_still_be_decided() {
    let (mut room, queue) = deals(5, 3);
    let ids = halves(&mut room, queue, &["a"]);
    let changes = AttributeChanges { transaction: Some(None), ..AttributeChanges::default() };
    room.run(&Command::SetQueueAttributes { name: "orders".to_owned(), changes });
    assert_eq!(room.machine().next_question(queue), None);
    assert_eq!(room.run(&Command::QueryHalf { queue, count: 1 }), Reply::Refused(Refusal::NotTransactional));
    assert_eq!(confirm(&mut room, queue, &ids, true), [None]);
    assert_eq!(room.take(queue, 9, 1_000), ["a"]);
}

#[test]
fn a_queue_holds_a_bounded_number_of_half_messages() {
    let (mut room, queue) = deals(5, 3);
    let half = NewMessage { is_half: true, ..message("x", 0) };
    let full = usize::try_from(HALVES_PER_QUEUE_MAX).expect("the limit is small");
    for _ in 0..full / 100 {
        room.run_fast(&Command::Send { queue, messages: vec![half.clone(); 100] });
    }
    let more = Command::Send { queue, messages: vec![message("plain", 0), half] };
    assert_eq!(room.run(&more), Reply::Refused(Refusal::TooManyHalves));
    room.send(queue, &[("plain", 0)]);
}

#[test]
fn half_messages_can_be_looked_at() {
    let (mut room, queue) = deals(5, 3);
    let ids = halves(&mut room, queue, &["a", "b", "c"]);
    let peeked = room.machine().peek(&room.store, queue, PeekState::Half, (1, 9)).expect("rows can be read");
    let seen: Vec<_> = peeked.iter().map(|peeked| (peeked.message.id, peeked.until)).collect();
    assert_eq!(seen, [(ids[1], Some(START.plus(5_000))), (ids[2], Some(START.plus(5_000)))]);
    let row = room.machine().half(&room.store, queue, ids[0]).expect("rows can be read").expect("it is there");
    assert_eq!((row.id, row.body_bytes), (ids[0], 1));
    room.pass(5_000);
    let questions = ask(&mut room, queue, 3);
    confirm(&mut room, queue, &ids[1..2], false);
    let asked = room.machine().half_messages(&room.store, queue, &questions).expect("rows can be read");
    let seen: Vec<_> = asked.iter().map(|peeked| (peeked.message.id, peeked.until)).collect();
    assert_eq!(seen, [(ids[0], Some(questions[0].next)), (ids[2], Some(questions[2].next))]);
}
