//! What operators do while programs send: nodes come, go, are replaced and restarted, and nothing is lost.
//!
//! The gap is the longest time between two sends that were answered, as in `failover`. No operator's act may cost more than
//! 3 s of it; where the machine itself is slow, which the gap before the first act shows, so many times that more.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use queue_client::{Client, ClientConfig, NewMessage, QueueAttributes, Receive};
use tests::local::LocalCluster;
use tokio::task::JoinHandle;

/// Queues, so that every group has some.
const QUEUES: [&str; 4] = ["work-0", "work-1", "work-2", "work-3"];
const DEADLINE: Duration = Duration::from_secs(60);
/// A clean stop hands its leads over first, and clients follow the hint to the new leader: both take milliseconds. The rest is
/// what five nodes on one disk and a few cores cost.
const GAP_MAX: Duration = Duration::from_secs(3);
/// How often the gap of a quiet moment, which is the machine's own, may be in that of an act besides.
const QUIET_GAPS: u32 = 4;

/// Programs that keep sending numbers, one a queue.
struct Traffic {
    sent: Arc<Mutex<Vec<(usize, u64, Instant)>>>,
    stop: Arc<AtomicBool>,
    producers: Vec<JoinHandle<()>>,
    /// The gap of the first stretch, in which nobody did anything.
    quiet: OnceLock<Duration>,
}

impl Traffic {
    fn start(client: &Client) -> Self {
        let (sent, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let next = Arc::new(AtomicU64::new(0));
        let produce = |(place, queue): (usize, &'static str)| {
            let (client, next) = (client.clone(), Arc::clone(&next));
            let (sent, stop) = (Arc::clone(&sent), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let body = Bytes::from(format!("message {number} of some length"));
                    let message = NewMessage { body, ..NewMessage::default() };
                    client.send(queue, vec![message]).await.expect("within half a minute some leader answers");
                    sent.lock().push((place, number, Instant::now()));
                }
            })
        };
        let producers = QUEUES.into_iter().enumerate().map(produce).collect();
        Self { sent, stop, producers, quiet: OnceLock::new() }
    }

    /// Waits until some more was sent.
    async fn flows(&self) {
        let (from, until) = (self.sent.lock().len(), Instant::now() + DEADLINE);
        while self.sent.lock().len() < from + 100 {
            assert!(Instant::now() < until, "the sends go on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The longest time without an answer of any one queue since `since`.
    fn gap(&self, since: Instant) -> Duration {
        let sent = self.sent.lock();
        let gap = |place| {
            let times: Vec<_> = sent.iter().filter(|(of, _, at)| *of == place && *at >= since).collect();
            times.windows(2).map(|pair| pair[1].2.duration_since(pair[0].2)).max().unwrap_or_default()
        };
        (0..QUEUES.len()).map(gap).max().unwrap_or_default()
    }

    /// Waits for more, tells the gap since `since`, and begins anew from here.
    async fn tell(&self, what: &str, since: &mut Instant) {
        self.flows().await;
        let gap = self.gap(*since);
        let most = GAP_MAX + *self.quiet.get_or_init(|| gap) * QUIET_GAPS;
        eprintln!("{what}: longest gap of a queue {} ms", gap.as_millis());
        assert!(gap < most, "{what}: refused for longer than a failover: {gap:?} of {most:?}");
        *since = Instant::now();
    }

    /// All numbers that were answered.
    async fn end(self) -> BTreeSet<u64> {
        self.stop.store(true, Ordering::Relaxed);
        for producer in self.producers {
            producer.await.expect("a producer ends well");
        }
        self.sent.lock().iter().map(|(_, number, _)| *number).collect()
    }
}

/// Everything that is in the queues.
async fn drain(client: &Client) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for queue in QUEUES {
        loop {
            let ask = Receive { messages_max: 32, lease: Some(Duration::from_secs(600)), ..Receive::default() };
            let messages = client.receive(queue, ask).await.expect("a receive is answered");
            if messages.is_empty() {
                break;
            }
            let text = |body: &Bytes| String::from_utf8_lossy(body).into_owned();
            let number = |body| text(body).split(' ').nth(1).and_then(|word| word.parse::<u64>().ok());
            found.extend(messages.iter().filter_map(|message| number(&message.body)));
            let receipts: Vec<u64> = messages.iter().map(|message| message.receipt).collect();
            client.ack(queue, &receipts).await.expect("an ack is answered");
        }
    }
    found
}

fn names(cluster: &LocalCluster) -> Vec<String> {
    let file = cluster.file();
    let nodes = file["queue"].as_array().expect("the file lists the queue nodes");
    nodes.iter().filter_map(|node| node["node"].as_str().map(str::to_owned)).collect()
}

/// The groups that each node leads.
fn leads(cluster: &LocalCluster) -> Vec<(String, usize)> {
    let output = cluster.run(&["status", "-o", "json"]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the status is JSON");
    let nodes = status["nodes"].as_array().expect("it lists the nodes");
    let count = |node: &serde_json::Value| {
        let groups = node["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
        groups.iter().filter(|group| group["role"] == "leader").count()
    };
    nodes.iter().map(|node| (node["node"].as_str().unwrap_or_default().to_owned(), count(node))).collect()
}

/// Runs a blocking verb beside the traffic.
async fn must(cluster: &Arc<LocalCluster>, words: &'static [&'static str]) {
    let cluster = Arc::clone(cluster);
    tokio::task::spawn_blocking(move || cluster.must(words)).await.expect("the verb succeeds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_grows_replaces_a_node_and_restarts_under_load_and_loses_nothing() {
    let cluster = Arc::new(LocalCluster::start(false));
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    for queue in QUEUES {
        client.create_queue(queue, QueueAttributes::default()).await.expect("the queue is made");
    }
    let traffic = Traffic::start(&client);
    let mut since = Instant::now();
    traffic.tell("before", &mut since).await;

    must(&cluster, &["add"]).await;
    must(&cluster, &["add"]).await;
    assert_eq!(names(&cluster), ["1", "2", "3", "4", "5"]);
    must(&cluster, &["health"]).await;
    traffic.tell("two nodes more", &mut since).await;

    must(&cluster, &["kill", "2"]).await;
    assert!(!cluster.run(&["health"]).status.success(), "a node is gone");
    traffic.tell("a node killed", &mut since).await;
    must(&cluster, &["replace", "2"]).await;
    assert_eq!(names(&cluster), ["1", "3", "4", "5", "6"]);
    must(&cluster, &["health"]).await;
    traffic.tell("the node replaced", &mut since).await;

    must(&cluster, &["rebalance"]).await;
    assert!(leads(&cluster).iter().all(|(_, led)| *led <= 1), "three leads on five nodes: {:?}", leads(&cluster));
    traffic.tell("leads spread", &mut since).await;

    for node in ["1", "3", "4", "5", "6"] {
        let of = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || restart(&of, node)).await.expect("the node restarts");
        traffic.tell("a node restarted", &mut since).await;
    }
    must(&cluster, &["safe-to-stop", "1", "--wait", "60"]).await;

    let sent = traffic.end().await;
    let found = drain(&client).await;
    let lost: Vec<_> = sent.difference(&found).take(10).collect();
    assert!(lost.is_empty(), "lost: {lost:?} of {}", sent.len());
}

/// Restarts a node as an operator does.
fn restart(cluster: &LocalCluster, node: &str) {
    cluster.must(&["safe-to-stop", node, "--wait", "60"]);
    cluster.must(&["kill", node, "--signal", "TERM"]);
    let until = Instant::now() + DEADLINE;
    // What still stops runs still.
    while !cluster.run(&["start", node]).status.success() {
        assert!(Instant::now() < until, "node {node} starts again");
    }
}

#[test]
fn what_would_cost_a_majority_or_a_copy_is_refused() {
    let cluster = LocalCluster::start(false);
    cluster.must(&["safe-to-stop", "2"]);
    assert!(!cluster.run(&["remove", "3"]).status.success(), "three copies are promised");
    assert!(!cluster.run(&["promote", "9"]).status.success(), "there is no such node");
    assert_eq!(names(&cluster).len(), 3);

    cluster.must(&["drain", "1"]);
    assert!(leads(&cluster).iter().all(|(node, led)| node != "1" || *led == 0), "{:?}", leads(&cluster));
    assert!(!cluster.run(&["drain", "2"]).status.success(), "somebody must be left to lead");
    // The wish outlives a restart.
    cluster.must(&["kill", "1"]);
    cluster.must(&["start", "1"]);
    assert!(!cluster.run(&["transfer", "1", "1"]).status.success(), "a drained node takes no lead");
    cluster.must(&["revive", "1"]);
    cluster.must(&["transfer", "1", "1"]);
    assert!(leads(&cluster).iter().any(|(node, led)| node == "1" && *led > 0));

    cluster.must(&["kill", "3"]);
    assert!(!cluster.run(&["safe-to-stop", "2"]).status.success(), "two of three must stay");
    cluster.must(&["safe-to-stop", "3", "--wait", "60"]);
}

/// What a node's HTTP address answers.
fn get(address: &str, path: &str) -> String {
    use std::io::Read as _;
    let mut stream = std::net::TcpStream::connect(address).expect("the node listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("it is asked");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("it answers");
    page
}

/// What a verb prints; it must succeed.
fn said(cluster: &LocalCluster, words: &[&str]) -> String {
    let output = cluster.run(words);
    assert!(output.status.success(), "cluster {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_and_does_by_hand_what_programs_do() {
    let cluster = LocalCluster::start(false);
    said(&cluster, &["queue", "create", "orders", "--retention-s", "3600", "--trace", "true", "--rewind-s", "600"]);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    let message = NewMessage { body: Bytes::from_static(b"look at me"), ..NewMessage::default() };
    let sent = client.send("orders", vec![message.clone(), message]).await.expect("they are sent");

    assert!(said(&cluster, &["queue", "list"]).contains("orders"));
    assert!(said(&cluster, &["queue", "peek", "orders"]).contains("look at me"));
    let id = sent.ids[0].to_string();
    assert!(said(&cluster, &["queue", "explain", "orders", &id]).contains("sent"));
    assert!(said(&cluster, &["queue", "edit", "orders", "--lease-s", "77"]).contains("77"));
    assert!(said(&cluster, &["queue", "show", "orders"]).contains("visible            2"));
    assert!(said(&cluster, &["status"]).contains("orders"), "the status shows the queues");
    assert!(said(&cluster, &["verify"]).contains("3 copies are equal"));
    assert!(!cluster.run(&["queue", "purge", "orders", "--yes", "other"]).status.success(), "one must be sure");
    assert!(said(&cluster, &["queue", "purge", "orders", "--yes", "orders"]).contains("2 messages"));
    said(&cluster, &["topic", "create", "news"]);
    assert!(said(&cluster, &["topic", "list"]).contains("news"));

    // From anywhere, by the address of one node.
    let file = cluster.file();
    let at = file["queue"][1]["grpc"].as_str().expect("an address");
    let remote = std::process::Command::new(tests::local::binary("cluster")).args(["health", "--at", at]).output();
    let remote = remote.expect("the command runs");
    assert!(remote.status.success(), "{}", String::from_utf8_lossy(&remote.stdout));

    let bundle = cluster.path().join("bundle.json");
    said(&cluster, &["bundle", "--out", bundle.to_str().expect("UTF-8")]);
    let text = std::fs::read_to_string(&bundle).expect("it was written");
    assert!(text.contains("orders") && !text.contains("look at me"), "no bodies");

    let dashboard = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/grafana");
    let named = |name| std::fs::read_to_string(dashboard.join(name)).expect("it is there");
    let page = get(file["queue"][0]["http"].as_str().expect("an address"), "/metrics");
    let text = named("dashboard.json") + &named("alerts.json");
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let names = text.split(|c| !is_part(c)).filter(|word| word.starts_with("tercet_"));
    // Nodes with certificates, those that record traces, and the app's alone serve these: their own tests look at them.
    let off = ["tercet_tls_", "tercet_trace_", "tercet_app_"];
    let is_off = |name: &&str| off.iter().any(|begin| name.starts_with(begin));
    for name in names.filter(|name| !is_off(name)) {
        assert!(page.lines().any(|line| line.starts_with(name)), "{name} is not served");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn below_its_mark_of_free_disk_a_cluster_gives_and_takes_nothing_new() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.create_queue("full", QueueAttributes::default()).await.expect("the queue is made");
    let message = NewMessage { body: Bytes::from_static(b"before"), ..NewMessage::default() };
    client.send("full", vec![message.clone()]).await.expect("there is room");
    cluster.must(&["down"]);
    // More than any disk has.
    cluster.must_with(&["up"], "TERCET_DISK_FREE_MIN_BYTES", "9000000000000000000");

    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves again");
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let refused = client.with_timeout(Duration::from_secs(2)).send("full", vec![message.clone()]).await;
        match refused.expect_err("there is no room") {
            queue_client::Error::NotApplied { reason } if reason.contains("disk") => break,
            // The group may just be electing.
            other => assert!(Instant::now() < until, "{other}"),
        }
    }
    let messages = client.receive("full", Receive::default()).await.expect("receive goes on");
    assert_eq!(messages.len(), 1);
    let settled = client.ack("full", &[messages[0].receipt]).await.expect("ack goes on");
    assert!(settled.iter().all(|result| result.refusal == 0), "{settled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_restores_into_a_new_cluster_of_another_size() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    for queue in QUEUES {
        client.create_queue(queue, QueueAttributes::default()).await.expect("the queue is made");
    }
    let traffic = Traffic::start(&client);
    traffic.flows().await;
    // What was answered before the backup began is in it.
    let before: BTreeSet<u64> = traffic.sent.lock().iter().map(|(_, number, _)| *number).collect();
    let folder = cluster.path().join("backup");
    said(&cluster, &["backup", "--out", folder.to_str().expect("UTF-8")]);
    traffic.end().await;
    assert!(!cluster.run(&["backup", "--out", folder.to_str().expect("UTF-8")]).status.success(), "it is there");

    let restored = LocalCluster::blank();
    restored.must_with(&["up", "--nodes", "5"], "TERCET_RESTORE", folder.to_str().expect("UTF-8"));
    assert!(said(&restored, &["verify"]).contains("5 copies are equal"));
    let client = Client::connect(ClientConfig::new(restored.queue_addresses())).await.expect("the new cluster serves");
    let found = drain(&client).await;
    let lost: Vec<_> = before.difference(&found).take(10).collect();
    assert!(lost.is_empty(), "not in the backup: {lost:?} of {}", before.len());
    // It goes on from there, and starts again on its own data.
    let message = NewMessage { body: Bytes::from_static(b"message 1 after"), ..NewMessage::default() };
    client.send(QUEUES[0], vec![message]).await.expect("it takes messages");
    restored.must(&["kill", "2"]);
    restored.must(&["start", "2"]);
    restored.must(&["health"]);
}

#[test]
fn a_key_without_a_grant_sees_how_nodes_stand_and_nothing_else() {
    let cluster = LocalCluster::blank();
    cluster.must(&["up", "--keys"]);
    let key = cluster.path().join("pod.key");
    let mut file = std::fs::File::options();
    let mut file = file.write(true).create_new(true).mode(0o600).open(&key).expect("a new file");
    file.write_all(said(&cluster, &["keys", "create"]).as_bytes()).expect("written");
    let at = cluster.file()["queue"][0]["grpc"].as_str().expect("an address").to_owned();
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(tests::local::binary("cluster"));
        let asked = command.args(words).args(["--at", &at, "--key"]).arg(&key).output();
        asked.expect("the command runs").status.code()
    };
    assert_eq!(run(&["safe-to-stop", "2", "--wait", "30"]), Some(0), "what a pod asks before it goes");
    for words in [&["queue", "list"][..], &["keys", "list"], &["keys", "create"], &["verify"], &["drain", "2"]] {
        assert_eq!(run(words), Some(3), "{words:?}");
    }
}
