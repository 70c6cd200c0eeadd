//! A message that fails too often ends in the dead-letter queue, with where it came from.

use std::time::Duration;

use bytes::Bytes;
use queue_client::{
    Client, ClientConfig, DeadLetterCount, DeadLetterPolicy, Error, NewMessage, QueueAttributes, Receive, Release,
};
use tests::local::LocalCluster;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_failed_twice_is_moved_with_its_origin() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.create_queue("dead", QueueAttributes::default()).await.expect("the dead-letter queue is made");
    let policy = DeadLetterPolicy { queue: "dead".into(), count: DeadLetterCount::Failed.into(), times_max: 2 };
    let attributes = QueueAttributes { dead_letter: Some(policy), ..QueueAttributes::default() };
    client.create_queue("work", attributes).await.expect("the queue is made");
    let sent = client
        .send("work", vec![NewMessage { body: Bytes::from_static(b"poison"), ..NewMessage::default() }])
        .await
        .expect("it is sent");

    let poll = || Receive { messages_max: 1, wait: Duration::from_secs(30), ..Receive::default() };
    for _ in 0..2 {
        let messages = client.receive("work", poll()).await.expect("a receive is answered");
        let receipt = messages.first().expect("the message comes again").receipt;
        let failed = Release { failed: true, ..Release::default() };
        client.release("work", &[receipt], failed).await.expect("it is released");
    }
    let dead = client.receive("dead", poll()).await.expect("a receive is answered");
    let dead = dead.first().expect("the message is a dead letter");
    assert_eq!((Some(&dead.id), &dead.body[..]), (sent.ids.first(), &b"poison"[..]));
    let origin = dead.origin.as_ref().expect("a dead letter says where it came from");
    assert_eq!((origin.queue.as_str(), origin.times_failed), ("work", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_with_a_number_and_changes_nothing() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.create_queue("q", QueueAttributes::default()).await.expect("the queue is made");
    let body = |bytes: usize| vec![NewMessage { body: Bytes::from(vec![b'x'; bytes]), ..NewMessage::default() }];
    let refused = |result: Result<(), Error>, what: &str| match result {
        Err(Error::Refused { text, .. }) => assert!(!text.is_empty(), "{what} is refused with a text"),
        other => panic!("{what} is refused, not {other:?}"),
    };
    refused(client.create_queue("Q", QueueAttributes::default()).await.map(drop), "a name that is taken");
    refused(client.create_queue("1q", QueueAttributes::default()).await.map(drop), "a name out of rule");
    refused(client.send("none", body(1)).await.map(drop), "an unknown queue");
    refused(client.send("q", body(0)).await.map(drop), "an empty body");
    refused(client.send("q", body(65_537)).await.map(drop), "a body that is too large");
    refused(client.send("q", Vec::new()).await.map(drop), "an empty batch");
    let stale = client.ack("q", &[1]).await.expect("an ack is answered");
    assert!(stale.iter().all(|result| result.refusal != 0), "a receipt that was never given is stale");
    let counters = client.get_queue("q").await.expect("the queue is there").counters.expect("it has counters");
    assert_eq!((counters.visible, counters.sent, counters.received), (0, 0, 0), "nothing has changed");
}
