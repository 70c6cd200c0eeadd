//! A queue moves to another group under load, and the leader that sends it ahead is killed in the middle.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use queue_client::{Client, ClientConfig, MovePhase, NewMessage, QueueAttributes, Receive};
use tests::local::LocalCluster;

const QUEUE: &str = "orders";
/// Messages that wait when the move begins: enough that it takes a while.
const BACKLOG: u64 = 20_000;
const BATCH: u64 = 125;
const PATIENCE: Duration = Duration::from_secs(60);

fn messages(numbers: &[u64]) -> Vec<NewMessage> {
    let body = |number: &u64| Bytes::from(format!("{number:01000}"));
    numbers.iter().map(|number| NewMessage { body: body(number), ..NewMessage::default() }).collect()
}

async fn send(client: &Client, numbers: &[u64]) {
    let sent = client.send(QUEUE, messages(numbers)).await;
    sent.unwrap_or_else(|error| panic!("within half a minute some leader answers: {error}"));
}

/// Sends numbers until told to stop. Returns the first that was not sent.
async fn produce(client: Client, stop: Arc<AtomicBool>) -> u64 {
    let mut next = BACKLOG;
    while !stop.load(Ordering::Relaxed) {
        send(&client, &[next]).await;
        next += 1;
    }
    next
}

/// Takes what comes, until nothing comes any more once told to stop. Returns what it acknowledged.
async fn consume(client: Client, stop: Arc<AtomicBool>) -> BTreeSet<u64> {
    let mut acknowledged = BTreeSet::new();
    loop {
        let is_last = stop.load(Ordering::Relaxed);
        let batch = if is_last { 128 } else { 4 };
        let poll = Receive { messages_max: batch, wait: Duration::from_secs(1), ..Receive::default() };
        let messages = client.receive(QUEUE, poll).await.expect("a receive is answered");
        if messages.is_empty() && is_last {
            return acknowledged;
        }
        if messages.is_empty() {
            continue;
        }
        let receipts: Vec<u64> = messages.iter().map(|message| message.receipt).collect();
        let results = client.ack(QUEUE, &receipts).await.expect("an ack is answered");
        assert!(results.iter().all(|result| result.refusal == 0), "a receipt is good in both groups: {results:?}");
        for message in messages {
            let text = std::str::from_utf8(&message.body).expect("a body is what was sent");
            let number = text.trim_start_matches('0').parse().unwrap_or(0);
            assert!(acknowledged.insert(number), "{number} came twice");
        }
    }
}

/// Waits until the move is as far as wanted. Returns how many messages the old group still holds.
async fn reached(client: &Client, wanted: MovePhase) -> u64 {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Ok(state) = client.get_move(QUEUE).await {
            if state.phase() == wanted {
                return state.left;
            }
            assert!(!matches!(state.phase(), MovePhase::Declined | MovePhase::Cancelled), "{state:?}");
        }
        assert!(Instant::now() < until, "the move comes to {wanted:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_moves_under_load_though_its_leader_is_killed_and_every_message_is_accounted_for() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.create_queue(QUEUE, QueueAttributes::default()).await.expect("the queue is made");
    assert_eq!(client.get_queue(QUEUE).await.expect("it is there").group, 1, "`kill leader` means its group");
    let numbers: Vec<u64> = (0..BACKLOG).collect();
    for numbers in numbers.chunks(usize::try_from(BATCH).expect("a small number")) {
        send(&client, numbers).await;
    }

    let (stop, drained) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let producer = tokio::spawn(produce(client.clone(), Arc::clone(&stop)));
    let consumer = tokio::spawn(consume(client.clone(), Arc::clone(&drained)));
    client.move_queue(QUEUE, 2).await.expect("the move begins");
    assert!(reached(&client, MovePhase::Backlog).await > 0, "the leader is killed in the middle");
    let victim = cluster.kill_leader();
    reached(&client, MovePhase::Done).await;
    cluster.must(&["start", &victim]);
    assert_eq!(client.get_queue(QUEUE).await.expect("it is there").group, 2);
    cluster.must(&["queue", "move", QUEUE, "--look"]);

    stop.store(true, Ordering::Relaxed);
    let sent = producer.await.expect("the producer ends");
    drained.store(true, Ordering::Relaxed);
    let acknowledged = consumer.await.expect("the consumer ends");
    assert!(sent > BACKLOG + 50, "the queue is used meanwhile: {sent}");
    assert_eq!(acknowledged, (0..sent).collect(), "every number came once");
    let counters = client.get_queue(QUEUE).await.expect("it is there").counters.expect("it has counters");
    assert_eq!((counters.sent, counters.acked), (sent, sent), "counters go along");
    assert_eq!((counters.visible, counters.leased, counters.arriving), (0, 0, 0));
}
