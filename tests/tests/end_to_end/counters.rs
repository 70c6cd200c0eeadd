//! What CMQ's monitoring would name can be read from every node: what a queue and a topic hold, did, and were asked.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bytes::Bytes;
use queue_client::{Client, ClientConfig, FilterKind, NewMessage, NewPublication, QueueAttributes, Receive};
use queue_client::{Endpoint, Subscription, TopicAttributes};
use tests::local::LocalCluster;

/// The sum over all nodes of the metric whose line begins with `name` and has `label`.
fn sum(cluster: &LocalCluster, name: &str, label: &str) -> u64 {
    let file = cluster.file();
    let nodes = file["queue"].as_array().expect("the file lists the queue nodes");
    let addresses = nodes.iter().filter_map(|node| node["http"].as_str());
    let of_node = |address: &str| {
        let mut stream = TcpStream::connect(address).expect("the node listens");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("it takes a request");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("it answers with text");
        let lines = page.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    addresses.map(of_node).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_and_message_is_counted_under_its_name() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.create_queue("counted", QueueAttributes::default()).await.expect("the queue is made");
    let message = || NewMessage { body: Bytes::from_static(b"12345"), ..NewMessage::default() };
    client.send("counted", vec![message()]).await.expect("it is sent");
    client.send("counted", vec![message(), message()]).await.expect("they are sent");
    let one = Receive { messages_max: 1, ..Receive::default() };
    let taken = client.receive("counted", one.clone()).await.expect("a receive is answered");
    client.ack("counted", &[taken[0].receipt]).await.expect("it is acknowledged");
    client.receive("counted", Receive::default()).await.expect("a receive is answered");
    client.receive("counted", one).await.expect("a receive is answered");
    client.receive("counted", Receive::default()).await.expect("a receive is answered");

    client.create_topic("told", FilterKind::Tags, TopicAttributes::default()).await.expect("the topic is made");
    let into = Subscription { endpoint: Some(Endpoint::Queue("counted".to_owned())), ..Subscription::default() };
    client.subscribe("told", "s", into).await.expect("it is subscribed");
    let publication = NewPublication { body: Bytes::from_static(b"1234567"), ..NewPublication::default() };
    client.publish("told", vec![publication]).await.expect("it is published");

    let (queue, topic) = ("queue=\"counted\"", "topic=\"told\"");
    let table = [
        ("tercet_queue_send_requests_total", queue, 1),
        ("tercet_queue_send_batch_requests_total", queue, 1),
        ("tercet_queue_receive_requests_total", queue, 2),
        ("tercet_queue_receive_batch_requests_total", queue, 2),
        ("tercet_queue_receives_empty_total", queue, 1),
        ("tercet_queue_batch_receives_empty_total", queue, 1),
        ("tercet_queue_delete_requests_total", queue, 1),
        ("tercet_topic_publish_requests_total", topic, 1),
        ("tercet_topic_publish_bytes_total", topic, 7),
    ];
    for (name, label, expected) in table {
        assert_eq!(sum(&cluster, name, label), expected, "{name}");
    }
    // Every copy tells what the machine counts; a follower may lag.
    while sum(&cluster, "tercet_queue_sent_bytes_total", queue) != 3 * 15 {
        tokio::task::yield_now().await;
    }
}
