//! Upgrades of real nodes: a newer release takes over one by one, beside a checked load; and data that releases left is read.
//!
//! Must never: make the kept data anew to get a test through. It is what stands on other people's disks.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use queue_client::{
    Client, ClientConfig, Endpoint, FilterKind, NewMessage, NewPublication, QueueAttributes, Receive, Subscription,
    TopicAttributes,
};
use tests::local::{LocalCluster, binary};
use tests::lone::LoneNode;

/// Set to write the data of the present format, once, when it is new.
const KEEP: &str = "TERCET_KEEP_FORMAT";
const DEADLINE: Duration = Duration::from_secs(60);

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The formats of all groups on all nodes, as the operators' command shows them.
fn formats(cluster: &LocalCluster) -> Vec<u64> {
    let status = cluster.run(&["status", "-o", "json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("the status is JSON");
    let nodes = status["nodes"].as_array().expect("it lists nodes");
    let groups = nodes.iter().filter_map(|node| node["groups"].as_array()).flatten();
    groups.filter_map(|group| group["format"].as_u64()).collect()
}

#[test]
fn real_nodes_are_replaced_by_a_newer_release_beside_a_load_and_none_goes_back() {
    let cluster = LocalCluster::start(false);
    let mut load = Command::new(binary("cluster"));
    load.args(["chaos", "work", "--secs", "600", "--messages", "1001", "--rate", "2000", "-o", "json", "--dir"]);
    let load = load.arg(cluster.path()).stdout(Stdio::piped()).spawn().expect("the load starts");
    for node in ["1", "2", "3"] {
        assert!(formats(&cluster).iter().all(|format| *format == 1), "not all nodes know more");
        cluster.must(&["kill", node]);
        cluster.must_with(&["start", node], "TERCET_FORMAT", "2");
    }
    let until = Instant::now() + DEADLINE;
    while formats(&cluster).len() < 9 || formats(&cluster).iter().any(|format| *format != 2) {
        assert!(Instant::now() < until, "the format rises: {:?}", formats(&cluster));
        std::thread::sleep(Duration::from_millis(100));
    }
    // The older release is refused, and says why; the newer one goes on.
    cluster.must(&["kill", "2"]);
    let refused = cluster.run(&["start", "2"]);
    let text = said(&refused);
    assert!(!refused.status.success() && text.contains("format 2, and this release knows formats up to 1"), "{text}");
    cluster.must_with(&["start", "2"], "TERCET_FORMAT", "2");
    let pid = i32::try_from(load.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("the load is told to end");
    let load = load.wait_with_output().expect("the load ends");
    let account: serde_json::Value = serde_json::from_slice(&load.stdout).expect("the account is JSON");
    eprintln!("{account}");
    assert!(load.status.success(), "{account}");
    assert!(account["acknowledged"].as_u64().is_some_and(|count| count > 1_000), "{account}");
    assert!(["lost", "doubled", "returned"].iter().all(|breach| account[breach] == 0), "{account}");
}

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("formats")
}

fn message(body: &str) -> NewMessage {
    NewMessage { body: Bytes::copy_from_slice(body.as_bytes()), ..NewMessage::default() }
}

/// What every kept folder holds: messages that are visible, leased, delayed and dead, and a topic with a subscription.
async fn fill(client: &Client) {
    client.create_queue("dead", QueueAttributes::default()).await.expect("the queue is made");
    let attributes = QueueAttributes { message_bytes_max: Some(4_096), ..QueueAttributes::default() };
    client.create_queue("kept", attributes).await.expect("the queue is made");
    client.create_topic("news", FilterKind::Tags, TopicAttributes::default()).await.expect("the topic is made");
    client.create_queue("of-news", QueueAttributes::default()).await.expect("the queue is made");
    let subscription =
        Subscription { endpoint: Some(Endpoint::Queue("of-news".to_owned())), ..Subscription::default() };
    client.subscribe("news", "all", subscription).await.expect("it is subscribed");
    let year = NewMessage { delay_ms: 300 * 86_400_000, ..message("delayed") };
    let urgent = NewMessage { priority: Some(9), headers: [("a".into(), "b".into())].into(), ..message("urgent") };
    client.send("kept", vec![urgent, message("one"), message("two"), year]).await.expect("it is sent");
    let lease = Some(Duration::from_secs(12 * 3600));
    let taken = client.receive("kept", Receive { messages_max: 1, lease, ..Receive::default() }).await;
    assert_eq!(taken.expect("it is received").len(), 1);
    let publication = NewPublication { body: Bytes::from_static(b"published"), ..NewPublication::default() };
    client.publish("news", vec![publication]).await.expect("it is published");
    let take = Receive { wait: Duration::from_secs(10), lease: Some(Duration::from_secs(1)), ..Receive::default() };
    assert_eq!(client.receive("of-news", take).await.expect("it is received").len(), 1);
}

/// What must be found in it, whatever has read it since.
async fn check(client: &Client, what: &str) {
    let kept = client.get_queue("kept").await.expect("the queue is there");
    let attributes = kept.attributes.expect("it has attributes");
    assert_eq!(attributes.message_bytes_max, Some(4_096), "{what}");
    let take = |wait| Receive { wait: Duration::from_secs(wait), ..Receive::default() };
    let taken = client.receive("kept", take(10)).await.expect("it is received");
    let mut bodies: Vec<&[u8]> = taken.iter().map(|message| message.body.as_ref()).collect();
    // The lease of the urgent one has ended, if it was kept for long enough.
    bodies.retain(|body| *body != b"urgent");
    assert_eq!(bodies, [b"one".as_slice(), b"two"], "{what}");
    let news = client.receive("of-news", take(10)).await.expect("it is received");
    assert_eq!(news.first().map(|message| message.body.as_ref()), Some(b"published".as_slice()), "{what}");
    assert!(news[0].times_received >= 2, "{what}: it was received before");
    client.send("kept", vec![message("three")]).await.expect("and it goes on");
    let names = client.list_queues("", 0, 50).await.expect("they are listed").queues.len();
    assert_eq!(names, 3, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_of_every_format_is_read() {
    if let Ok(format) = std::env::var(KEEP) {
        let node = LoneNode::keyless(&[]).ready();
        let client = Client::connect(ClientConfig::new([&node.grpc])).await.expect("the node serves");
        fill(&client).await;
        drop(client);
        node.archive(&kept().join(format!("{format}.tar.gz")));
    }
    let mut found = 0;
    for archive in std::fs::read_dir(kept()).expect("the kept data").map(|item| item.expect("an item").path()) {
        let what = archive.display().to_string();
        let node = LoneNode::keyless_on(&archive, &[]).ready();
        let client = Client::connect(ClientConfig::new([&node.grpc])).await.expect("the node serves");
        check(&client, &what).await;
        found += 1;
    }
    assert!(found >= machine::Format::LATEST.0, "each format's data is kept");
}
