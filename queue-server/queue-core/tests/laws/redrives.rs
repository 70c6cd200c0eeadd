//! Redrives: which messages move, how fast, and that a job survives whatever interrupts it.
//!
//! Must never: move a message twice, or lose one.

use bytes::Bytes;
use machine::Layout as _;
use queue_core::limits::{BATCH_MAX, REDRIVE_RETRY_MS, REDRIVE_SCAN_MAX};
use queue_core::{
    Attributes, Command, DeadLetterCount, Due, Header, NewMessage, PeekState, QueueAddress, QueueId, Redrive,
    RedriveFilter, RedriveOrder, RedriveState, Reply, Stall, TopicCommand,
};

use crate::room::{Room, START, message, policy};

fn order(to: Option<&str>) -> RedriveOrder {
    let to = to.map(|queue| QueueAddress { group: None, queue: queue.to_owned() });
    RedriveOrder { to, filter: RedriveFilter::default(), messages_max: None, rate: None, is_dry: false }
}

fn start(room: &mut Room, queue: QueueId, order: RedriveOrder) {
    assert_eq!(room.topic(TopicCommand::Redrive { queue, order }), Reply::Done);
}

fn job(room: &Room, queue: QueueId) -> Redrive {
    room.machine().redrive_status(queue).expect("it has a job").clone()
}

/// Two queues and their dead-letter queue, in which stand letters a, b of orders and c of mails.
fn letters() -> (Room, [QueueId; 3]) {
    let mut room = Room::new();
    let dead = room.create("dead", Attributes::default());
    let orders = room.create("orders", policy("dead", DeadLetterCount::Failed, 1));
    let mails = room.create("mails", policy("dead", DeadLetterCount::Received, 1));
    for (queue, bodies) in [(orders, &["a", "b"][..]), (mails, &["c"])] {
        for body in bodies {
            let headers = vec![Header { name: "is".to_owned(), value: (*body).to_owned() }];
            let body = Bytes::from_static(body.as_bytes());
            room.run(&Command::Send { queue, messages: vec![NewMessage { body, headers, ..NewMessage::default() }] });
            let receipt = room.receive(queue, 1, 1_000)[0].receipt;
            room.release(queue, receipt, 0, true);
            room.pass(10);
            room.tick();
        }
    }
    assert_eq!(room.counts(dead), (3, 0, 0));
    (room, [dead, orders, mails])
}

fn only(is: &str) -> RedriveFilter {
    let header = Some(Header { name: "is".to_owned(), value: is.to_owned() });
    RedriveFilter { header, ..RedriveFilter::default() }
}

fn bodies(room: &mut Room, queue: QueueId) -> Vec<String> {
    room.take(queue, 128, 60_000)
}

#[test]
fn letters_go_back_to_where_they_came_from_and_say_so() {
    let (mut room, [dead, orders, mails]) = letters();
    start(&mut room, dead, order(None));
    room.tick();
    let it = job(&room, dead);
    assert_eq!((it.state, it.scanned, it.matched, it.moved), (RedriveState::Done, 3, 3, 3));
    let delivery = room.receive(orders, 1, 1_000)[0];
    assert_eq!((delivery.tries.received, delivery.tries.failed), (1, 0), "tries start anew");
    let row = room.machine().message(&room.store, orders, delivery.seq).expect("rows can be read");
    let origin = row.and_then(|row| row.origin).expect("it keeps its story");
    assert_eq!((origin.queue, origin.redriven), (orders, 1));
    room.release(orders, delivery.receipt, 0, false);
    assert_eq!((bodies(&mut room, orders), bodies(&mut room, mails)), (vec!["a".into(), "b".into()], vec!["c".into()]));
    assert_eq!((room.status(dead).totals.redriven, room.status(orders).totals.arrived), (3, 2));
}

#[test]
fn a_filter_takes_what_fits_everything_it_says() {
    let all = RedriveFilter::default();
    let table = [
        (all.clone(), vec!["a", "b", "c"]),
        (RedriveFilter { header: Some(Header { name: "is".into(), value: "b".into() }), ..all.clone() }, vec!["b"]),
        (RedriveFilter { header: Some(Header { name: "is".into(), value: "x".into() }), ..all.clone() }, vec![]),
        (RedriveFilter { sent_before: Some(START.plus(10)), ..all.clone() }, vec!["a"]),
        (RedriveFilter { sent_from: Some(START.plus(10)), ..all.clone() }, vec!["b", "c"]),
        (RedriveFilter { reason: Some(DeadLetterCount::Received), ..all.clone() }, vec!["c"]),
        (RedriveFilter { origin: Some("ORDERS".into()), ..all.clone() }, vec!["a", "b"]),
        (RedriveFilter { failed_min: 1, ..all.clone() }, vec!["a", "b", "c"]),
        (RedriveFilter { received_min: 2, ..all.clone() }, vec![]),
        (RedriveFilter { origin: Some("orders".into()), sent_from: Some(START.plus(10)), ..all }, vec!["b"]),
    ];
    for (filter, expected) in table {
        for is_dry in [true, false] {
            let (mut room, [dead, _, _]) = letters();
            let target = room.create("target", Attributes::default());
            start(&mut room, dead, RedriveOrder { filter: filter.clone(), is_dry, ..order(Some("Target")) });
            room.tick();
            let it = job(&room, dead);
            let moved = if is_dry { 0 } else { expected.len() as u64 };
            assert_eq!(
                (it.state, it.scanned, it.matched, it.moved),
                (RedriveState::Done, 3, expected.len() as u64, moved)
            );
            assert_eq!(bodies(&mut room, target), if is_dry { vec![] } else { expected.clone() }, "{filter:?}");
            assert_eq!(room.counts(dead).0, 3 - moved);
        }
    }
}

#[test]
fn a_message_from_nowhere_stays_where_it_is() {
    let (mut room, [dead, _, _]) = letters();
    room.send(dead, &[("own", 0)]);
    start(&mut room, dead, order(None));
    room.tick();
    let it = job(&room, dead);
    assert_eq!((it.scanned, it.matched, it.moved), (4, 3, 3));
    let tests = bodies(&mut room, dead);
    assert_eq!(tests, ["own"]);
}

#[test]
fn any_queue_can_be_redriven_to_another_and_the_messages_say_from_where() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    let other = room.create("other", Attributes::default());
    room.send(queue, &[("a", 0), ("leased", 0), ("delayed", 5_000)]);
    room.receive(queue, 1, 1_000);
    room.pass(1_000);
    room.tick();
    room.receive(queue, 1, 60_000);
    room.send(queue, &[("late", 0)]);
    start(&mut room, queue, order(Some("other")));
    room.tick();
    let peeked = room.machine().peek(&room.store, other, PeekState::Visible, (0, 9)).expect("rows can be read");
    let origin = peeked[0].message.origin.clone().expect("a redrive says from where");
    assert_eq!((origin.queue, origin.name.as_str(), origin.reason, origin.redriven), (queue, "orders", None, 1));
    assert_eq!(bodies(&mut room, other), ["leased", "late"], "only visible messages are taken");
    assert_eq!(room.counts(queue), (0, 1, 1));
}

#[test]
fn a_rate_holds_whoever_makes_the_ticks() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    let other = room.create("other", Attributes::default());
    room.run(&Command::Send { queue, messages: vec![message("x", 0); 100] });
    start(&mut room, queue, RedriveOrder { rate: Some(10), ..order(Some("other")) });
    let mut seen = Vec::new();
    for _ in 0..40 {
        room.tick();
        seen.push(room.counts(other).0);
        room.pass(250);
        // Another leader knows what the rows say and no more.
        room.plant([]);
    }
    assert!(seen.iter().zip(0..).all(|(moved, quarter)| *moved <= 10 + 10 * quarter / 4), "{seen:?}");
    assert_eq!(job(&room, queue).state, RedriveState::Done);
}

#[test]
fn a_job_ends_at_its_most_and_does_not_chase_what_comes_later() {
    let (mut room, [dead, orders, _]) = letters();
    start(&mut room, dead, RedriveOrder { messages_max: Some(1), ..order(None) });
    room.tick();
    assert_eq!((job(&room, dead).state, job(&room, dead).moved), (RedriveState::Done, 1));
    start(&mut room, dead, RedriveOrder { rate: Some(1), ..order(None) });
    for _ in 0..10 {
        room.pass(1_000);
        room.tick();
        if let Some(delivery) = room.receive(orders, 1, 1_000).pop() {
            room.release(orders, delivery.receipt, 0, true);
        }
        room.tick();
    }
    let it = job(&room, dead);
    assert_eq!((it.state, it.moved), (RedriveState::Done, 2), "what died again is not redriven again");
    assert_eq!(room.counts(dead), (2, 0, 0));
}

#[test]
fn a_letter_that_dies_again_remembers_how_often_it_was_redriven() {
    let (mut room, [dead, orders, _]) = letters();
    for _ in 0..2 {
        start(&mut room, dead, RedriveOrder { messages_max: Some(1), ..order(None) });
        room.tick();
        let delivery = room.receive(orders, 1, 1_000)[0];
        room.release(orders, delivery.receipt, 0, true);
        room.pass(1);
        room.tick();
    }
    let peeked = room.machine().peek(&room.store, dead, PeekState::Visible, (0, 9)).expect("rows can be read");
    let told: Vec<u32> =
        peeked.iter().filter_map(|peeked| peeked.message.origin.as_ref()).map(|origin| origin.redriven).collect();
    assert_eq!(told, [0, 1, 1], "two of the three went round");
    start(&mut room, dead, RedriveOrder { filter: only("a"), ..order(None) });
    room.tick();
    let delivery = room.receive(orders, 1, 1_000)[0];
    let row = room.machine().message(&room.store, orders, delivery.seq).expect("rows can be read");
    assert_eq!(row.and_then(|row| row.origin).map(|origin| origin.redriven), Some(2));
}

#[test]
fn a_stopped_job_moves_nothing_more_and_another_may_begin() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.create("other", Attributes::default());
    room.run(&Command::Send { queue, messages: vec![message("x", 0); 10] });
    start(&mut room, queue, RedriveOrder { rate: Some(4), ..order(Some("other")) });
    let tick =
        machine::Machine::due(room.machine(), &room.store, room.now).expect("rows can be read").expect("it is due");
    room.run(&tick);
    let late = machine::Machine::due(room.machine(), &room.store, room.now.plus(1_000));
    let late = late.expect("rows can be read").expect("it is due again");
    assert_eq!(room.topic(TopicCommand::StopRedrive { queue }), Reply::Done);
    room.pass(1_000);
    assert_eq!(room.run(&late), Reply::Ticked { moved: 0, readied: vec![] });
    assert_eq!((job(&room, queue).state, job(&room, queue).moved), (RedriveState::Stopped, 4));
    start(&mut room, queue, order(Some("other")));
    room.tick();
    assert_eq!(job(&room, queue).moved, 6);
}

#[test]
fn a_home_that_is_missing_or_full_holds_up_its_own_letters_with_the_reason() {
    for is_full in [true, false] {
        let (mut room, [dead, orders, mails]) = letters();
        if is_full {
            let changes = queue_core::AttributeChanges { max_messages: Some(1), ..Default::default() };
            room.run(&Command::SetQueueAttributes { name: "orders".into(), changes });
            room.send(orders, &[("old", 0)]);
        } else {
            room.run(&Command::DeleteQueue { name: "orders".into() });
        }
        start(&mut room, dead, order(None));
        room.tick();
        let it = job(&room, dead);
        let stall = if is_full { Stall::QueueFull } else { Stall::QueueMissing };
        assert_eq!(
            (it.state, it.stall, it.stalled, it.scanned, it.matched, it.moved),
            (RedriveState::Running, Some(stall), 2, 1, 1, 1),
            "the letter of mails is home, the two of orders are tried again"
        );
        assert_eq!(room.counts(mails).0, 1);
        room.pass(REDRIVE_RETRY_MS - 1);
        assert_eq!(room.tick(), 0);
        if is_full {
            let changes = queue_core::AttributeChanges { max_messages: Some(9), ..Default::default() };
            room.run(&Command::SetQueueAttributes { name: "orders".into(), changes });
        } else {
            room.create("Orders", Attributes::default());
        }
        room.pass(1);
        room.tick();
        let it = job(&room, dead);
        assert_eq!(
            (it.state, it.stall, it.stalled, it.scanned, it.matched, it.moved),
            (RedriveState::Done, None, 0, 3, 3, 3)
        );
        let orders = room.machine().queue_id("orders").expect("it is there");
        assert_eq!(room.counts(orders).0, if is_full { 3 } else { 2 }, "a queue made anew takes what the old one lost");
    }
}

#[test]
fn a_full_target_holds_the_job_at_its_message() {
    let (mut room, [dead, ..]) = letters();
    let other = room.create("other", Attributes { max_messages: 1, ..Attributes::default() });
    start(&mut room, dead, order(Some("other")));
    room.tick();
    let it = job(&room, dead);
    assert_eq!((it.state, it.stall, it.scanned, it.moved), (RedriveState::Running, Some(Stall::QueueFull), 1, 1));
    let first = room.receive(other, 1, 60_000)[0];
    assert_eq!(room.ack(other, &[first.receipt]), [None]);
    room.pass(REDRIVE_RETRY_MS);
    room.tick();
    assert_eq!((job(&room, dead).moved, room.take(other, 1, 60_000)), (2, vec!["b".to_owned()]), "in its order");
}

#[test]
fn a_long_queue_is_looked_at_in_stretches() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.create("other", Attributes::default());
    let sends = REDRIVE_SCAN_MAX.div_ceil(BATCH_MAX) + 1;
    for _ in 0..sends {
        room.run_fast(&Command::Send { queue, messages: vec![message("x", 0); BATCH_MAX] });
    }
    let filter = RedriveFilter { received_min: 1, ..RedriveFilter::default() };
    start(&mut room, queue, RedriveOrder { filter, ..order(Some("other")) });
    assert_eq!(room.tick(), 2);
    let it = job(&room, queue);
    assert_eq!((it.state, it.scanned, it.matched), (RedriveState::Done, (sends * BATCH_MAX) as u64, 0));
    start(&mut room, queue, order(Some("other")));
    room.tick();
    assert_eq!(job(&room, queue).moved, (sends * BATCH_MAX) as u64);
}

#[test]
fn a_deleted_queue_takes_its_job_along() {
    let (mut room, [dead, _, _]) = letters();
    start(&mut room, dead, order(None));
    room.run(&Command::DeleteQueue { name: "dead".into() });
    room.tick();
    assert_eq!((room.machine().redrive_status(dead), room.machine().next_due()), (None, None));
}

#[test]
fn a_tick_that_names_what_the_order_does_not_want_moves_nothing() {
    let (mut room, [dead, _, _]) = letters();
    let filter = RedriveFilter { origin: Some("nobody".into()), ..RedriveFilter::default() };
    start(&mut room, dead, RedriveOrder { filter, ..order(None) });
    let tick = machine::Machine::due(room.machine(), &room.store, room.now).expect("rows can be read");
    let Some(Command::Tick { mut items }) = tick else { panic!("the job is due") };
    let Some(Due::Redrive { stretch, .. }) = items.first_mut() else { panic!("the job is due: {items:?}") };
    stretch.picks = (1..4).map(|seq| queue_core::Pick { seq, body: None }).collect();
    let command = Command::Tick { items };
    assert_eq!(Command::from_bytes(&command.to_bytes()).as_ref(), Ok(&command));
    room.run(&command);
    assert_eq!((job(&room, dead).moved, room.counts(dead)), (0, (3, 0, 0)));
}
