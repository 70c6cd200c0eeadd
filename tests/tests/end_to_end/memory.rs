//! What a backlog takes of a node's memory: nothing that grows with it.
//!
//! The first fill makes the caches full; the second must find room in them. What is compared is memory of the process' own,
//! for the pages of its program are the system's affair.

use std::fs;
use std::time::{Duration, Instant};

use bytes::Bytes;
use queue_client::{Client, ClientConfig, NewMessage, QueueAttributes};
use tests::local::LocalCluster;

const BODY_BYTES: usize = 1024;
const BATCH: usize = 128;
const SENDERS: usize = 4;
/// Messages of each fill.
const FILL: usize = 60_000;
/// Memory that another fill may take. What it brings has 60 MiB of bodies, and rows of half as much.
const GROWTH_BYTES_MAX: u64 = 12 * 1024 * 1024;
/// What all budgets of `replica/src/limits.rs` come to, with what the runtime and the connections take.
const OWN_BYTES_MAX: u64 = 112 * 1024 * 1024;
/// Pages that are not used go back to the system after a second; every wait ends with this at the latest.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// Memory of the processes' own of the largest queue node.
fn own_bytes(cluster: &LocalCluster) -> u64 {
    let file = cluster.file();
    let nodes = file["queue"].as_array().expect("the file lists the queue nodes");
    let own = |node: &serde_json::Value| {
        let status = fs::read_to_string(format!("/proc/{}/status", node["pid"])).expect("a node's books can be read");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux tells it");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
        kib * 1024
    };
    nodes.iter().map(own).max().expect("there are nodes")
}

/// The least that is seen until memory stays below `enough`, or time is up.
async fn settled_bytes(cluster: &LocalCluster, enough: u64) -> u64 {
    let until = Instant::now() + SETTLED_AFTER;
    let mut least = own_bytes(cluster);
    while least > enough && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
        least = least.min(own_bytes(cluster));
    }
    least
}

async fn fill(client: &Client) {
    let senders = (0..SENDERS).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let message = NewMessage { body: Bytes::from(vec![7; BODY_BYTES]), ..NewMessage::default() };
            for _ in 0..FILL / BATCH / SENDERS {
                client.send("deep", vec![message.clone(); BATCH]).await.expect("they are sent");
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.expect("a sender ends");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_of_a_node_does_not_grow_with_its_backlog() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.create_queue("deep", QueueAttributes::default()).await.expect("the queue is made");
    fill(&client).await;
    let before = settled_bytes(&cluster, 0).await;
    fill(&client).await;
    let enough = OWN_BYTES_MAX.min(before + GROWTH_BYTES_MAX);
    let after = settled_bytes(&cluster, enough).await;
    eprintln!("{} KiB after one fill, {} KiB after another", before / 1024, after / 1024);
    assert!(after <= before + GROWTH_BYTES_MAX, "a backlog is held in memory: {before} bytes before, {after} after");
    assert!(after <= OWN_BYTES_MAX, "{after} bytes are more than the budgets allow");
}
