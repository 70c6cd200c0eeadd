//! A stream delivers what credits were granted for, and no more; what nobody has seen is given back.

use std::time::{Duration, Instant};

use bytes::Bytes;
use queue_client::{Client, ClientConfig, Deliveries, NewMessage, QueueAttributes};
use tests::local::LocalCluster;

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
