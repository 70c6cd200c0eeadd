//! Refusals: each verb's ladder. The first row breaks every rule of the verb, each next row one rule less, so that the
//! table is the order of precedence; the last row is let in.
//!
//! Must never: let a refused command change a row that matters: what the machine holds is compared after each.

use bytes::Bytes;
use queue_core::limits::{
    DELAY_MS_MAX, DELAYED_PER_QUEUE_MAX, HALVES_PER_QUEUE_MAX, LEASE_MS_MAX, MESSAGE_BITS, QUEUE_ID_MAX, QUEUES_MAX,
    REWIND_PLACES_MAX, TICK_ITEMS_MAX, UNSETTLED_PER_QUEUE_MAX,
};
use queue_core::{
    AttributeChanges, Attributes, Command, DeadLetterCount, DeadLetterPolicy, DeliveryNumber, Due, Header, MessageId,
    NewMessage, QueueId, Refusal, Reply, TransactionPolicy,
};

use crate::room::{Room, START, message, policy};

const NOWHERE: QueueId = QueueId(99);

fn refused(room: &mut Room, command: &Command, expected: Refusal) {
    let before = room.machine().clone();
    assert_eq!(room.run(command), Reply::Refused(expected), "{command:?}");
    assert_eq!(room.machine(), &before, "a refused command changes nothing");
}

/// Mends one rule.
type Mend = fn(&mut Attributes);

/// Attributes that break every rule, mended step by step.
fn attribute_ladder(own_name: &str) -> Vec<(Attributes, Refusal)> {
    let letters = |queue: &str, limit| DeadLetterPolicy {
        group: None,
        queue: queue.to_owned(),
        count: DeadLetterCount::Failed,
        limit,
    };
    let broken = Attributes {
        max_messages: 0,
        polling_wait_s: 31,
        visibility_timeout_s: 0,
        max_message_bytes: 1_023,
        retention_s: 59,
        rewind_s: 61,
        dedup_window_s: 86_401,
        dead_letter: Some(letters(own_name, 0)),
        transaction: Some(TransactionPolicy { first_query_s: 0, max_queries: 1 }),
        trace: true,
    };
    let mends: [(Mend, Refusal); 7] = [
        (|_| {}, Refusal::MaxMessagesOutOfRange),
        (|it| it.max_messages = 1, Refusal::PollingWaitOutOfRange),
        (|it| it.polling_wait_s = 30, Refusal::VisibilityTimeoutOutOfRange),
        (|it| it.visibility_timeout_s = 43_200, Refusal::MaxMessageBytesOutOfRange),
        (|it| it.max_message_bytes = 1_048_576, Refusal::RetentionOutOfRange),
        (|it| it.retention_s = 60, Refusal::RewindOutOfRange),
        (|it| it.rewind_s = 60, Refusal::DeadLetterLimitOutOfRange),
    ];
    let mut mended = broken;
    let mut ladder = Vec::new();
    for (mend, refusal) in mends {
        mend(&mut mended);
        ladder.push((mended.clone(), refusal));
    }
    mended.dead_letter = None;
    let with = |policy| Attributes { dead_letter: Some(policy), ..mended.clone() };
    ladder.push((with(letters(own_name, 1_000)), Refusal::DeadLetterQueueIsItself));
    ladder.push((with(letters("nobody", 1_000)), Refusal::DeadLetterQueueMissing));
    ladder.push((mended.clone(), Refusal::DedupWindowOutOfRange));
    ladder
}

fn changes(attributes: Attributes) -> AttributeChanges {
    AttributeChanges {
        max_messages: Some(attributes.max_messages),
        polling_wait_s: Some(attributes.polling_wait_s),
        visibility_timeout_s: Some(attributes.visibility_timeout_s),
        max_message_bytes: Some(attributes.max_message_bytes),
        retention_s: Some(attributes.retention_s),
        rewind_s: Some(attributes.rewind_s),
        dedup_window_s: Some(attributes.dedup_window_s),
        dead_letter: Some(attributes.dead_letter),
        transaction: Some(attributes.transaction),
        trace: Some(attributes.trace),
    }
}

fn broken_transactions() -> [TransactionPolicy; 4] {
    [(0, 1), (3_601, 1), (1, 0), (1, 101)]
        .map(|(first_query_s, max_queries)| TransactionPolicy { first_query_s, max_queries })
}

#[test]
fn create_is_refused_in_precedence() {
    let (mut room, _) = Room::with_queue(Attributes::default());
    let create = |name: &str, attributes: Attributes| Command::CreateQueue { name: name.to_owned(), attributes };
    let worst = attribute_ladder("new").swap_remove(0).0;
    refused(&mut room, &create("1 bad name", worst.clone()), Refusal::NameInvalid);
    refused(&mut room, &create("ORDERS", worst), Refusal::QueueExists);
    let ladder = attribute_ladder("new");
    for (attributes, refusal) in ladder.clone() {
        refused(&mut room, &create("New", attributes), refusal);
    }
    for transaction in broken_transactions() {
        let attributes = Attributes { transaction: Some(transaction), ..Attributes::default() };
        refused(&mut room, &create("New", attributes), Refusal::TransactionOutOfRange);
    }
    let worst = Attributes { transaction: Some(broken_transactions()[0]), ..Attributes::default() };
    room.plant([(vec![0x10], [vec![1], QUEUE_ID_MAX.to_be_bytes().to_vec()].concat())]);
    refused(&mut room, &create("New", worst.clone()), Refusal::NumbersExhausted);

    let mut room = Room::new();
    for number in 0..QUEUES_MAX {
        room.run_fast(&create(&format!("q{number}"), Attributes::default()));
    }
    refused(&mut room, &create("New", ladder[8].0.clone()), Refusal::DeadLetterQueueMissing);
    refused(&mut room, &create("New", worst), Refusal::TooManyQueues);
    room.run(&Command::DeleteQueue { name: "q5".to_owned() });
    room.create("New", policy("Q6", DeadLetterCount::Failed, 1_000));
}

#[test]
fn set_attributes_and_delete_are_refused_in_precedence() {
    let (mut room, _) = Room::with_queue(Attributes::default());
    let set =
        |name: &str, attributes| Command::SetQueueAttributes { name: name.to_owned(), changes: changes(attributes) };
    let ladder = attribute_ladder("orders");
    refused(&mut room, &set("1 bad name", ladder[0].0.clone()), Refusal::NameInvalid);
    refused(&mut room, &set("nobody", ladder[0].0.clone()), Refusal::QueueMissing);
    for (attributes, refusal) in ladder {
        refused(&mut room, &set("Orders", attributes), refusal);
    }
    for transaction in broken_transactions() {
        let changes = AttributeChanges { transaction: Some(Some(transaction)), ..AttributeChanges::default() };
        let set = Command::SetQueueAttributes { name: "Orders".to_owned(), changes };
        refused(&mut room, &set, Refusal::TransactionOutOfRange);
    }
    refused(&mut room, &Command::DeleteQueue { name: String::new() }, Refusal::NameInvalid);
    refused(&mut room, &Command::DeleteQueue { name: "nobody".to_owned() }, Refusal::QueueMissing);
}

#[test]
fn send_is_refused_in_precedence() {
    let attributes = Attributes { max_messages: 2, max_message_bytes: 1_024, ..Attributes::default() };
    let (mut room, queue) = Room::with_queue(attributes);
    let large = Bytes::from(vec![b'x'; 1_025]);
    let header = |name: &str, bytes: usize| Header { name: name.to_owned(), value: "v".repeat(bytes) };
    let (unnamed, long) = (vec![header("", 1)], vec![header("h", 2_049)]);
    let new = |body: &Bytes, delay_ms, headers: &[Header]| NewMessage {
        body: body.clone(),
        delay_ms,
        headers: headers.to_vec(),
        ..NewMessage::default()
    };
    let good = message("x", 0);
    let late = new(&Bytes::new(), DELAY_MS_MAX + 1, &unnamed);
    let empty = new(&Bytes::new(), DELAY_MS_MAX, &unnamed);
    let fat = new(&large, 0, &unnamed);
    let table: Vec<(QueueId, Vec<NewMessage>, Refusal)> = vec![
        (NOWHERE, vec![], Refusal::CountOutOfRange),
        (NOWHERE, vec![late.clone(); 129], Refusal::CountOutOfRange),
        (NOWHERE, vec![late.clone()], Refusal::QueueMissing),
        (queue, vec![good.clone(), new(&Bytes::new(), 0, &unnamed), fat.clone(), late], Refusal::DelayOutOfRange),
        (queue, vec![good.clone(), fat.clone(), empty], Refusal::BodyEmpty),
        (queue, vec![good.clone(), new(&good.body, 0, &unnamed), fat], Refusal::BodyTooLarge),
        (queue, vec![new(&good.body, 0, &unnamed); 3], Refusal::HeadersOutOfRange),
        (queue, vec![new(&good.body, 0, &long); 3], Refusal::HeadersOutOfRange),
        (queue, vec![new(&good.body, 0, &vec![header("h", 1); 17]); 3], Refusal::HeadersOutOfRange),
        (queue, vec![message("x", 1); 3], Refusal::QueueFull),
    ];
    for (queue, messages, refusal) in table {
        refused(&mut room, &Command::Send { queue, messages }, refusal);
    }
    room.send(queue, &[("x", 0), ("x", 0)]);
    refused(&mut room, &Command::Send { queue, messages: vec![good] }, Refusal::QueueFull);
}

#[test]
fn a_send_is_refused_by_what_only_a_great_queue_reaches() {
    let attributes = Attributes { max_message_bytes: 1_048_576, ..Attributes::default() };
    let (mut room, queue) = Room::with_queue(attributes.clone());
    let body = Bytes::from(vec![b'x'; 1_048_576]);
    let megabyte = NewMessage { body, ..NewMessage::default() };
    let mut messages = vec![megabyte; 16];
    messages.push(message("x", 1));
    refused(&mut room, &Command::Send { queue, messages }, Refusal::SendTooLarge);

    let span = |count: u64| {
        let key = [vec![0x19], queue.0.to_be_bytes().to_vec(), u64::MAX.to_be_bytes().to_vec()].concat();
        let count = u32::try_from(count).expect("the limit fits the row");
        [(key, [vec![1], 0_u32.to_be_bytes().to_vec(), count.to_be_bytes().to_vec()].concat())]
    };
    room.plant(span(DELAYED_PER_QUEUE_MAX - 1));
    refused(&mut room, &Command::Send { queue, messages: vec![message("x", 1); 2] }, Refusal::TooManyDelayed);
    room.send(queue, &[("x", 1)]);
    room.send(queue, &[("x", 0), ("y", 0)]);

    let (mut room, queue) = Room::with_queue(attributes);
    room.plant([counters(&room, queue, |row| {
        row[9..17].copy_from_slice(&((1_u64 << MESSAGE_BITS) - 1).to_be_bytes());
    })]);
    refused(&mut room, &Command::Send { queue, messages: vec![message("x", 0); 2] }, Refusal::NumbersExhausted);
    room.send(queue, &[("the last", 0)]);
    refused(&mut room, &Command::Send { queue, messages: vec![message("x", 0)] }, Refusal::NumbersExhausted);
}

/// The counters row of a queue, changed by hand: version u8, then the next place, message and delivery, u64 each.
fn counters(room: &Room, queue: QueueId, change: impl FnOnce(&mut [u8])) -> (Vec<u8>, Vec<u8>) {
    let wanted = [vec![0x12], queue.0.to_be_bytes().to_vec()].concat();
    let (key, value) = room.store.rows().find(|(key, _)| key[..] == wanted[..]).expect("a queue has counters");
    let mut value = value.to_vec();
    change(&mut value);
    (key.to_vec(), value)
}

#[test]
fn receive_is_refused_in_precedence() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("x", 0)]);
    let receive = |queue, count, lease_ms| Command::Receive { queue, count, lease_ms: Some(lease_ms) };
    let tried = |seq: u64| {
        let key = [vec![0x16], queue.0.to_be_bytes().to_vec(), (1_000 + seq).to_be_bytes().to_vec()].concat();
        (key, [vec![1], vec![0; 16]].concat())
    };
    room.plant((0..UNSETTLED_PER_QUEUE_MAX).map(tried));
    room.plant([counters(&room, queue, |row| row[17..25].copy_from_slice(&(1_u64 << 44).to_be_bytes()))]);
    let table = [
        (receive(NOWHERE, 0, 0), Refusal::CountOutOfRange),
        (receive(NOWHERE, 129, 0), Refusal::CountOutOfRange),
        (receive(NOWHERE, 1, 0), Refusal::QueueMissing),
        (receive(queue, 1, 0), Refusal::LeaseOutOfRange),
        (receive(queue, 1, LEASE_MS_MAX + 1), Refusal::LeaseOutOfRange),
        (receive(queue, 128, LEASE_MS_MAX), Refusal::TooManyLeased),
    ];
    for (command, refusal) in table {
        refused(&mut room, &command, refusal);
    }
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("x", 0)]);
    room.plant([counters(&room, queue, |row| row[17..25].copy_from_slice(&(1_u64 << 44).to_be_bytes()))]);
    refused(&mut room, &receive(queue, 1, 1), Refusal::NumbersExhausted);
}

#[test]
fn a_full_table_of_tries_still_lets_the_tried_ones_be_received() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    room.send(queue, &[("tried", 0), ("fresh", 0)]);
    let receipt = room.receive(queue, 1, 1_000)[0].receipt;
    room.release(queue, receipt, 0, false);
    let tried = |seq: u64| {
        let key = [vec![0x16], queue.0.to_be_bytes().to_vec(), (1_000 + seq).to_be_bytes().to_vec()].concat();
        (key, [vec![1], vec![0; 16]].concat())
    };
    room.plant((1..UNSETTLED_PER_QUEUE_MAX).map(tried));
    assert_eq!(room.take(queue, 128, 1_000), ["tried"]);
    refused(&mut room, &Command::Receive { queue, count: 1, lease_ms: None }, Refusal::TooManyLeased);
}

#[test]
fn verbs_of_a_receipt_are_refused_in_precedence() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    let receipt = DeliveryNumber(5);
    let ack = |queue, count| Command::Ack { queue, receipts: vec![receipt; count] };
    let extend = |queue, count, lease_ms| Command::Extend { queue, receipts: vec![receipt; count], lease_ms };
    let release =
        |queue, count, delay_ms| Command::Release { queue, receipts: vec![receipt; count], delay_ms, failed: true };
    let table = [
        (ack(NOWHERE, 0), Refusal::CountOutOfRange),
        (ack(NOWHERE, 129), Refusal::CountOutOfRange),
        (ack(NOWHERE, 128), Refusal::QueueMissing),
        (extend(NOWHERE, 0, 0), Refusal::CountOutOfRange),
        (extend(NOWHERE, 1, 0), Refusal::QueueMissing),
        (extend(queue, 1, 0), Refusal::LeaseOutOfRange),
        (extend(queue, 1, LEASE_MS_MAX + 1), Refusal::LeaseOutOfRange),
        (release(NOWHERE, 129, DELAY_MS_MAX + 1), Refusal::CountOutOfRange),
        (release(NOWHERE, 1, DELAY_MS_MAX + 1), Refusal::QueueMissing),
        (release(queue, 1, DELAY_MS_MAX + 1), Refusal::DelayOutOfRange),
        (Command::Purge { queue: NOWHERE }, Refusal::QueueMissing),
        (Command::Tick { items: vec![] }, Refusal::CountOutOfRange),
        (Command::Tick { items: vec![Due::Erase { queue }; TICK_ITEMS_MAX + 1] }, Refusal::CountOutOfRange),
    ];
    for (command, refusal) in table {
        refused(&mut room, &command, refusal);
    }
    let stale = vec![Some(Refusal::StaleReceipt)];
    assert_eq!(room.ack(queue, &[receipt]), stale);
    let extended = room.run(&extend(queue, 1, LEASE_MS_MAX));
    assert_eq!(extended, Reply::Extended { deadline: room.now.plus(LEASE_MS_MAX), results: stale.clone() });
    assert_eq!(room.run(&release(queue, 1, DELAY_MS_MAX)), Reply::Settled { results: stale });
}

#[test]
fn half_messages_are_refused_in_precedence() {
    let transaction = Some(TransactionPolicy { first_query_s: 1, max_queries: 1 });
    let attributes = Attributes { max_messages: 200_000, ..Attributes::default() };
    let (mut room, plain) = Room::with_queue(attributes.clone());
    let deals = room.create("deals", Attributes { transaction, ..attributes });
    let half = |delay_ms| NewMessage { is_half: true, ..message("x", delay_ms) };
    let asked = |seq: u64| {
        let key = [vec![0x21], deals.0.to_be_bytes().to_vec(), seq.to_be_bytes().to_vec()].concat();
        (key, [vec![1], vec![0xff; 16], vec![0; 9]].concat())
    };
    room.plant((0..HALVES_PER_QUEUE_MAX).map(asked));
    let send = |queue, messages| Command::Send { queue, messages };
    let confirm = |queue, count| Command::Confirm { queue, ids: vec![MessageId(1); count], is_commit: true };
    let query = |queue, count| Command::QueryHalf { queue, count };
    let table = [
        (send(deals, vec![half(1)]), Refusal::DelayInTransaction),
        (send(deals, vec![message("x", 1)]), Refusal::DelayInTransaction),
        (send(deals, vec![half(0)]), Refusal::TooManyHalves),
        (send(plain, vec![half(0)]), Refusal::NotTransactional),
        (send(plain, vec![half(1)]), Refusal::NotTransactional),
        (confirm(NOWHERE, 0), Refusal::CountOutOfRange),
        (confirm(NOWHERE, 129), Refusal::CountOutOfRange),
        (confirm(NOWHERE, 1), Refusal::QueueMissing),
        (query(NOWHERE, 0), Refusal::CountOutOfRange),
        (query(NOWHERE, 129), Refusal::CountOutOfRange),
        (query(NOWHERE, 1), Refusal::QueueMissing),
        (query(plain, 1), Refusal::NotTransactional),
    ];
    for (command, refusal) in table {
        refused(&mut room, &command, refusal);
    }
    room.send(deals, &[("plain", 0)]);
}

#[test]
fn rewind_is_refused_in_precedence() {
    let (mut room, queue) = Room::with_queue(Attributes::default());
    let rewind = |queue, places| Command::Rewind { queue, to: START, places };
    refused(&mut room, &rewind(NOWHERE, vec![1; REWIND_PLACES_MAX + 1]), Refusal::CountOutOfRange);
    refused(&mut room, &rewind(NOWHERE, vec![1]), Refusal::QueueMissing);
    refused(&mut room, &rewind(queue, vec![1]), Refusal::RewindOff);
    let changes = AttributeChanges { rewind_s: Some(1), ..AttributeChanges::default() };
    room.run(&Command::SetQueueAttributes { name: "orders".to_owned(), changes });
    refused(&mut room, &rewind(queue, vec![1]), Refusal::RewindPlaceMoved);
    assert_eq!(room.run(&rewind(queue, vec![])), Reply::Rewound { messages: 0 });
}
