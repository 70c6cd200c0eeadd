//! A leader is killed under load.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use queue_client::{Client, ClientConfig, NewMessage, QueueAttributes, Receive};
use tests::local::LocalCluster;

const PRODUCERS: u64 = 4;
const QUEUE: &str = "orders";

fn message(number: u64) -> NewMessage {
    NewMessage { body: Bytes::from(number.to_string()), ..NewMessage::default() }
}

/// Sends numbers until told to stop. Returns those that were acknowledged.
async fn produce(client: Client, first: u64, stop: Arc<AtomicBool>) -> BTreeSet<u64> {
    let mut acknowledged = BTreeSet::new();
    for number in (first..).step_by(usize::try_from(PRODUCERS).expect("a small number")) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        match client.send(QUEUE, vec![message(number)]).await {
            Ok(reply) => {
                let copies = reply.durability.map_or(0, |durability| durability.copies);
                assert!(copies >= 2, "a yes means a majority, not {copies}");
                assert!(acknowledged.insert(number), "a number is sent once");
            }
            Err(error) => panic!("within half a minute some leader answers: {error}"),
        }
    }
    acknowledged
}

/// Takes everything out of the queue, in the order it comes.
async fn drain(client: &Client) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        let poll = Receive { messages_max: 128, wait: Duration::from_millis(500), ..Receive::default() };
        let messages = client.receive(QUEUE, poll).await.expect("a receive is answered");
        if messages.is_empty() {
            return numbers;
        }
        let receipts: Vec<u64> = messages.iter().map(|message| message.receipt).collect();
        let results = client.ack(QUEUE, &receipts).await.expect("an ack is answered");
        assert!(results.iter().all(|result| result.refusal == 0), "a fresh receipt is good: {results:?}");
        for message in messages {
            let text = std::str::from_utf8(&message.body).expect("a body is what was sent");
            numbers.push(text.parse().expect("a body is what was sent"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_messages_survive_killed_leaders_and_none_is_doubled() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.create_queue(QUEUE, QueueAttributes::default()).await.expect("the queue is made");

    let stop = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> =
        (0..PRODUCERS).map(|first| tokio::spawn(produce(client.clone(), first, Arc::clone(&stop)))).collect();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let victim = cluster.kill_leader();
        tokio::time::sleep(Duration::from_secs(2)).await;
        cluster.must(&["start", &victim]);
    }
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = BTreeSet::new();
    for producer in producers {
        acknowledged.append(&mut producer.await.expect("a producer ends"));
    }
    assert!(acknowledged.len() > 100, "the producers got through: {}", acknowledged.len());

    let drained = drain(&client).await;
    let unique: BTreeSet<u64> = drained.iter().copied().collect();
    assert_eq!(unique.len(), drained.len(), "a repeated request is not applied twice");
    assert_eq!(unique, acknowledged, "what was acknowledged is there, and nothing else");
}
