//! The whole cluster goes down and comes back.

use std::time::Duration;

use bytes::Bytes;
use queue_client::{Client, ClientConfig, NewMessage, QueueAttributes, Receive};
use tests::local::LocalCluster;

#[tokio::test(flavor = "multi_thread")]
async fn messages_leases_and_delays_survive_a_kill_of_every_node() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.create_queue("kept", QueueAttributes::default()).await.expect("the queue is made");
    let plain = |text: &'static str| NewMessage { body: Bytes::from_static(text.as_bytes()), ..NewMessage::default() };
    let delayed = NewMessage { delay_ms: 3_600_000, ..plain("later") };
    client.send("kept", vec![plain("leased"), plain("visible"), delayed]).await.expect("they are sent");
    let one = Receive { messages_max: 1, lease: Some(Duration::from_secs(3600)), ..Receive::default() };
    let leased = client.receive("kept", one).await.expect("a receive is answered");

    for node in ["1", "2", "3"] {
        cluster.must(&["kill", node]);
    }
    cluster.must(&["up"]);

    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves again");
    let counters = client.get_queue("kept").await.expect("the queue is there").counters.expect("it has counters");
    assert_eq!((counters.visible, counters.leased, counters.delayed), (1, 1, 1));
    let receipts: Vec<u64> = leased.iter().map(|message| message.receipt).collect();
    let results = client.ack("kept", &receipts).await.expect("an ack is answered");
    assert!(results.iter().all(|result| result.refusal == 0), "the lease is still good: {results:?}");
}

#[test]
fn health_tells_a_dead_node_within_a_second_and_a_healed_one_after_it_came_back() {
    let cluster = LocalCluster::start(false);
    cluster.must(&["health"]);
    cluster.must(&["kill", "2"]);
    assert!(!cluster.run(&["health"]).status.success(), "a dead node is not healthy");
    assert!(!cluster.run(&["kill", "2"]).status.success(), "what is dead cannot be killed");
    cluster.must(&["start", "2"]);
    cluster.must(&["health"]);
}
