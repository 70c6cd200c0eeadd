//! A stream delivers what credits were granted for, and no more; what nobody has seen is given back.

use std::time::{Duration, Instant};

use bytes::Bytes;
use queue_client::{Client, ClientConfig, Deliveries, NewMessage, QueueAttributes, Receive};
use tests::local::LocalCluster;
use tokio::task::JoinSet;

use crate::counters::sum;

async fn take(deliveries: &mut Deliveries, count: usize) -> Vec<u64> {
    let mut receipts = Vec::new();
    while receipts.len() < count {
        let messages = deliveries.next().await.expect("the stream goes on").expect("the stream is open");
        receipts.extend(messages.iter().map(|message| message.receipt));
    }
    assert_eq!(receipts.len(), count, "no more than was granted");
    receipts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_delivers_what_was_granted_and_no_more() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.create_queue("stream", QueueAttributes::default()).await.expect("the queue is made");
    let messages = (0..50).map(|_| NewMessage { body: Bytes::from_static(b"x"), ..NewMessage::default() }).collect();
    client.send("stream", messages).await.expect("they are sent");

    let mut deliveries = client.consume("stream", 10, None).await.expect("the stream opens");
    let first = take(&mut deliveries, 10).await;
    let more = tokio::time::timeout(Duration::from_millis(1_500), deliveries.next()).await;
    assert!(more.is_err(), "without a credit nothing comes: {more:?}");
    deliveries.grant(5).await.expect("the stream is open");
    let second = take(&mut deliveries, 5).await;
    let results = client.ack("stream", &[first, second].concat()).await.expect("an ack is answered");
    assert!(
        results.iter().all(|result| result.refusal == 0),
        "streamed messages are acknowledged as others: {results:?}"
    );

    // A stream with credits waits for messages; one that goes takes none along.
    deliveries.grant(100).await.expect("the stream is open");
    take(&mut deliveries, 35).await;
    drop(deliveries);
    client.purge_queue("stream").await.expect("it is purged");
    let last = NewMessage { body: Bytes::from_static(b"last"), ..NewMessage::default() };
    client.send("stream", vec![last]).await.expect("it is sent");
    let begun = Instant::now();
    loop {
        let counters = client.get_queue("stream").await.expect("it is there").counters.expect("it has counters");
        if (counters.visible, counters.leased) == (1, 35) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "what nobody has seen is visible again: {counters:?}");
        tokio::task::yield_now().await;
    }
    let refused = client.consume("stream", 10_001, None).await;
    assert!(refused.is_err(), "a stream has a limit of credits: {refused:?}");
}

/// Receives that stand on all nodes.
fn standing(cluster: &LocalCluster) -> u64 {
    sum(cluster, "tercet_receives_standing", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_at_an_empty_queue_gets_its_message_in_the_entry_that_brings_it() {
    const WAITING: u64 = 24;
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.create_queue("waits", QueueAttributes::default()).await.expect("the queue is made");
    let message = |body: &str| NewMessage { body: Bytes::copy_from_slice(body.as_bytes()), ..NewMessage::default() };
    let wait = |wait, messages_max| Receive { wait, messages_max, ..Receive::default() };

    // One whose wait has ended takes nothing along.
    let over = client.receive("waits", wait(Duration::from_millis(50), 1)).await.expect("the wait ends");
    assert!(over.is_empty());

    let mut receives = JoinSet::new();
    for _ in 0..WAITING {
        let (client, receive) = (client.clone(), wait(Duration::from_secs(30), 1));
        receives.spawn(async move { client.receive("waits", receive).await });
    }
    let begun = Instant::now();
    while standing(&cluster) < WAITING {
        assert!(begun.elapsed() < Duration::from_secs(20), "all of them stand");
        tokio::task::yield_now().await;
    }
    let mut sent = Vec::new();
    for first in 0..WAITING / 3 {
        let bodies = (0..3).map(|number| message(&format!("{first} {number}"))).collect();
        sent.extend(client.send("waits", bodies).await.expect("they are sent").ids);
    }
    let mut taken = Vec::new();
    while let Some(received) = receives.join_next().await {
        let received = received.expect("it does not panic").expect("it is answered");
        assert_eq!(received.len(), 1, "each has one");
        assert_eq!(received[0].first_received_ms, received[0].enqueued_ms, "an entry has one time");
        taken.push(received[0].id);
    }
    taken.sort_unstable();
    sent.sort_unstable();
    assert_eq!(taken, sent, "and no two the same");
    assert_eq!(standing(&cluster), 0);
}
