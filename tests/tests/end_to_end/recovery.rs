//! A majority is lost for good: one node goes on alone with all it held, its money when an audit has found it right, and the
//! lost ones stay out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use queue_client::{Client, ClientConfig, NewMessage, QueueAttributes, Receive};
use tests::local::{LocalCluster, binary};

const MESSAGES: usize = 300;
const QUEUE: &str = "kept";
const DEADLINE: Duration = Duration::from_secs(60);

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What a verb says that must succeed.
fn said(cluster: &LocalCluster, words: &[&str]) -> String {
    let output = cluster.run(words);
    assert!(output.status.success(), "cluster {words:?}: {}", text(&output));
    text(&output)
}

/// What a verb says that must not.
fn refused(cluster: &LocalCluster, words: &[&str]) -> String {
    let output = cluster.run(words);
    assert!(!output.status.success(), "cluster {words:?}: {}", text(&output));
    text(&output)
}

/// Every file of a folder with its bytes.
fn bytes_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for item in fs::read_dir(folder).expect("a folder") {
        let path = item.expect("an item").path();
        if path.is_dir() {
            found.extend(bytes_of(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).expect("a file"));
        }
    }
    found
}

fn message(number: usize) -> NewMessage {
    NewMessage {
        body: Bytes::from(format!("message {number} of some length, {}", "x".repeat(200))),
        ..NewMessage::default()
    }
}

/// Receives and acknowledges all there is.
async fn drain(client: &Client) -> BTreeSet<Bytes> {
    let mut found = BTreeSet::new();
    loop {
        let take = Receive { messages_max: 64, ..Receive::default() };
        let messages = client.receive(QUEUE, take).await.expect("it is received");
        if messages.is_empty() {
            return found;
        }
        let receipts: Vec<_> = messages.iter().map(|message| message.receipt).collect();
        client.ack(QUEUE, &receipts).await.expect("it is acknowledged");
        found.extend(messages.into_iter().map(|message| message.body));
    }
}

/// Starts a queue node by hand, as it was told to run before anything was lost, and waits for its end.
fn come_back(cluster: &LocalCluster, before: &serde_json::Value, node: &str) -> (bool, String) {
    let nodes = before["queue"].as_array().expect("the queue's nodes");
    let word = |node: &serde_json::Value, field: &str| node[field].as_str().unwrap_or_default().to_owned();
    let own = nodes.iter().find(|entry| entry["node"] == node).expect("the node was there");
    let mut command = Command::new(binary("queue-server"));
    command.args(["--groups", "2", "--keyless", "--local-key", "--node", node]);
    for (flag, field) in [("--grpc", "grpc"), ("--http", "http"), ("--tcp", "tcp")] {
        command.args([flag, &word(own, field)]);
    }
    for member in nodes {
        command.args(["--member", &format!("{}={}", word(member, "node"), word(member, "grpc"))]);
    }
    let log = cluster.path().join("back.log");
    let out = fs::File::create(&log).expect("a log");
    command.arg("--data").arg(cluster.path().join(node)).stdin(Stdio::null()).stderr(out);
    let mut child = command.spawn().expect("the node starts");
    let until = Instant::now() + DEADLINE;
    let ended = loop {
        if let Some(status) = child.try_wait().expect("the node is ours") {
            break Some(status.success());
        }
        if Instant::now() > until {
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    if ended.is_none() {
        child.kill().expect("it ends");
        child.wait().expect("it is gone");
    }
    (ended == Some(false), fs::read_to_string(&log).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_of_three_goes_on_alone_grows_again_and_the_lost_ones_stay_out() {
    let cluster = LocalCluster::start(false);
    let before = cluster.file();
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.create_queue(QUEUE, QueueAttributes::default()).await.expect("the queue is made");
    let sent: Vec<NewMessage> = (0..MESSAGES).map(message).collect();
    for batch in sent.chunks(50) {
        client.send(QUEUE, batch.to_vec()).await.expect("it is sent");
    }
    drop(client);
    assert!(said(&cluster, &["verify"]).contains("3 copies are equal"), "node 3 holds everything");

    assert!(refused(&cluster, &["recover", "3"]).contains("in use"), "a node that runs is not looked at");
    cluster.must(&["kill", "1"]);
    cluster.must(&["kill", "3"]);
    assert!(refused(&cluster, &["recover", "3", "--yes"]).contains("node 2 runs"), "it is not lost");
    cluster.must(&["kill", "2"]);
    let folder = cluster.path().join("3");
    let bytes = bytes_of(&folder);
    let looked = said(&cluster, &["recover", "3"]);
    assert!(
        looked.contains("group 0") && looked.contains("members 1, 2, 3") && looked.contains("may be lost"),
        "{looked}"
    );
    assert!(bytes == bytes_of(&folder), "a look has changed a file");
    let done = said(&cluster, &["recover", "3", "--yes"]);
    assert!(done.contains("only member of every group, lineage 1-"), "{done}");

    cluster.must(&["start", "3"]);
    said(&cluster, &["health"]);
    assert!(said(&cluster, &["status"]).contains("of a cluster that was recovered, lineage 1-"));
    let (is_refused, log) = come_back(&cluster, &before, "1");
    assert!(is_refused && log.contains("left behind"), "{log}");

    cluster.must(&["add"]);
    cluster.must(&["add"]);
    said(&cluster, &["health"]);
    assert!(said(&cluster, &["verify"]).contains("3 copies are equal"));
    // Three copies again: any one may die, the one that was recovered too.
    cluster.must(&["kill", "3"]);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.send(QUEUE, vec![message(MESSAGES)]).await.expect("it takes messages");
    let found = drain(&client).await;
    let lost = (0..=MESSAGES).filter(|number| !found.contains(&message(*number).body)).count();
    assert_eq!((lost, found.len()), (0, MESSAGES + 1));
    cluster.must(&["start", "3"]);
    assert!(refused(&cluster, &["recover", "3"]).contains("in use"));
}

#[test]
fn recovered_money_is_read_only_until_an_audit_holds() {
    let cluster = LocalCluster::start(true);
    cluster.must(&["bench", "packets", "--secs", "3"]);
    let until = Instant::now() + DEADLINE;
    while !said(&cluster, &["audit"]).contains("4 of 4 groups alike on all copies") {
        assert!(Instant::now() < until, "the copies agree once nothing is sent");
    }
    for node in ["a1", "a2", "a3"] {
        cluster.must(&["kill", node]);
    }
    let folder = cluster.path().join("a3");
    let bytes = bytes_of(&folder);
    let looked = said(&cluster, &["recover", "a3"]);
    assert!(looked.contains("group 102") && looked.contains("nothing was changed"), "{looked}");
    assert!(bytes == bytes_of(&folder), "a look has changed a file");
    assert!(said(&cluster, &["recover", "a3", "--yes"]).contains("read-only until an audit"));

    // A restart lifts nothing.
    for _ in 0..2 {
        cluster.must(&["start", "a3"]);
        let health = refused(&cluster, &["health"]);
        for group in ["group 1:", "group 2:", "group 101:", "group 102:"] {
            let line = health.lines().find(|line| line.contains(group)).unwrap_or_default();
            assert!(line.contains("read-only since it was recovered"), "{group} {health}");
        }
        let status = cluster.run(&["status", "-o", "json"]);
        assert!(String::from_utf8_lossy(&status.stdout).contains("\"read_only\":true"));
        refused(&cluster, &["bench", "packets", "--secs", "1"]);
        assert!(said(&cluster, &["audit"]).starts_with("ok: "), "it is looked at all the same");
        assert!(refused(&cluster, &["health"]).contains("read-only"), "to look lifts nothing");
        cluster.must(&["kill", "a3"]);
    }
    cluster.must(&["start", "a3"]);
    let lifted = said(&cluster, &["lift"]);
    assert!(lifted.contains("ok: all") && lifted.contains("groups 102, 101, 2, 1 take commands again"), "{lifted}");
    assert!(said(&cluster, &["lift"]).contains("nothing is read-only"), "it may be said again");
    said(&cluster, &["health"]);
    // Three copies again, and any one may die.
    cluster.must(&["add", "--app"]);
    cluster.must(&["add", "--app"]);
    said(&cluster, &["health"]);
    cluster.must(&["kill", "a3"]);
    cluster.must(&["bench", "packets", "--secs", "2"]);
    cluster.must(&["start", "a3"]);
    assert!(said(&cluster, &["audit"]).starts_with("ok: "));
}
