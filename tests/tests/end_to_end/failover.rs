//! How long a client waits when a leader is killed, hangs, or hands over.
//!
//! The gap is the longest time between two sends that were answered, of any producer, around the fault: what a program
//! sees that keeps sending. Bounds are generous, because the machine of a test may be busy; the numbers are printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use queue_client::{Client, ClientConfig, NewMessage, QueueAttributes};
use tests::local::LocalCluster;
use tokio::task::JoinHandle;

const PRODUCERS: usize = 4;
const TRIALS: usize = 5;
/// The group whose leader `cluster kill leader` means.
const FIRST_GROUP: u32 = 1;
/// Every wait ends with this at the latest.
const DEADLINE: Duration = Duration::from_secs(30);

fn message() -> NewMessage {
    NewMessage { body: Bytes::from_static(b"a body of some length"), ..NewMessage::default() }
}

/// Programs that keep sending, and when each send was answered.
struct Traffic {
    answered: Arc<Mutex<Vec<Instant>>>,
    stop: Arc<AtomicBool>,
    producers: Vec<JoinHandle<()>>,
}

impl Traffic {
    fn start(client: &Client, queue: &str) -> Self {
        let (answered, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let produce = |_| {
            let (client, queue) = (client.clone(), queue.to_owned());
            let (answered, stop) = (Arc::clone(&answered), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    client.send(&queue, vec![message()]).await.expect("within half a minute some leader answers");
                    answered.lock().push(Instant::now());
                }
            })
        };
        let producers = (0..PRODUCERS).map(produce).collect();
        Self { answered, stop, producers }
    }

    /// Waits until sends were answered for a while since `since`.
    async fn flows(&self, since: Instant) {
        let until = Instant::now() + DEADLINE;
        while self.answered.lock().iter().filter(|at| **at > since).count() < 100 {
            assert!(Instant::now() < until, "the sends go on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The longest time without an answer since `since`.
    fn gap(&self, since: Instant) -> Duration {
        let answered = self.answered.lock();
        let after: Vec<_> = answered.iter().filter(|at| **at >= since).collect();
        after.windows(2).map(|pair| pair[1].duration_since(*pair[0])).max().unwrap_or_default()
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for producer in self.producers {
            producer.await.expect("a producer ends well");
        }
    }
}

/// A cluster, a client, and a queue that lives in the first group.
async fn serve() -> (LocalCluster, Client, String) {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    for number in 0..16 {
        let queue = format!("failover-{number}");
        client.create_queue(&queue, QueueAttributes::default()).await.expect("the queue is made");
        let sent = client.send(&queue, vec![message()]).await.expect("a send is answered");
        if sent.durability.is_some_and(|durability| durability.group == FIRST_GROUP) {
            return (cluster, client, queue);
        }
    }
    panic!("no queue lives in the first group");
}

/// The nodes and their processes.
fn nodes(cluster: &LocalCluster) -> Vec<(String, u64)> {
    let file = cluster.file();
    let nodes = file["queue"].as_array().expect("the file lists the queue nodes");
    let read = |node: &serde_json::Value| Some((node["node"].as_str()?.to_owned(), node["pid"].as_u64()?));
    nodes.iter().filter_map(read).collect()
}

/// The node whose process is in one of the states (as /proc says them), or has no process.
fn node_in_state(cluster: &LocalCluster, states: &[char]) -> String {
    let is_found = |pid: u64| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).is_none_or(|state| states.contains(&state))
    };
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some((node, _)) = nodes(cluster).into_iter().find(|(_, pid)| is_found(*pid)) {
            return node;
        }
        assert!(Instant::now() < until, "the signal has reached no node");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Prints the gaps and returns their median.
fn median(what: &str, mut gaps: Vec<Duration>) -> Duration {
    gaps.sort_unstable();
    let median = gaps[gaps.len() / 2];
    let texts: Vec<String> = gaps.iter().map(|gap| gap.as_millis().to_string()).collect();
    eprintln!("{what}: median {} ms of [{}] ms", median.as_millis(), texts.join(", "));
    median
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_before_a_client_notices() {
    let (cluster, client, queue) = serve().await;
    let traffic = Traffic::start(&client, &queue);
    let mut gaps = Vec::new();
    for _ in 0..TRIALS {
        traffic.flows(Instant::now()).await;
        let since = Instant::now();
        cluster.must(&["kill", "leader", "--signal", "9"]);
        traffic.flows(Instant::now()).await;
        gaps.push(traffic.gap(since));
        cluster.must(&["start", &node_in_state(&cluster, &['Z'])]);
    }
    traffic.end().await;
    let median = median("gap after SIGKILL of the leader", gaps);
    assert!(median < Duration::from_millis(600), "a kill shows by its closed connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hangs_is_replaced_within_about_a_second() {
    let (cluster, client, queue) = serve().await;
    let traffic = Traffic::start(&client, &queue);
    let mut gaps = Vec::new();
    for _ in 0..TRIALS {
        traffic.flows(Instant::now()).await;
        let since = Instant::now();
        cluster.must(&["kill", "leader", "--signal", "STOP"]);
        let hanging = node_in_state(&cluster, &['T']);
        traffic.flows(Instant::now()).await;
        gaps.push(traffic.gap(since));
        cluster.must(&["kill", &hanging, "--signal", "CONT"]);
    }
    traffic.end().await;
    let median = median("gap after SIGSTOP of the leader", gaps);
    assert!(median < Duration::from_millis(1500), "silence alone ends a lead");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_stopped_hands_over_without_a_pause() {
    let (cluster, client, queue) = serve().await;
    let traffic = Traffic::start(&client, &queue);
    let mut gaps = Vec::new();
    for _ in 0..TRIALS {
        traffic.flows(Instant::now()).await;
        let since = Instant::now();
        cluster.must(&["kill", "leader", "--signal", "TERM"]);
        let until = Instant::now() + DEADLINE;
        while nodes(&cluster).iter().all(|(_, pid)| std::fs::exists(format!("/proc/{pid}/exe")).unwrap_or(false)) {
            assert!(Instant::now() < until, "the node stops");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        traffic.flows(Instant::now()).await;
        gaps.push(traffic.gap(since));
        cluster.must(&["start", &node_in_state(&cluster, &['Z'])]);
    }
    traffic.end().await;
    let median = median("gap of a clean stop of the leader", gaps);
    assert!(median < Duration::from_millis(500), "a lead is handed over, not waited for");
}
