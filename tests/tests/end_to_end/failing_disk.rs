//! A disk that takes no more writes ends the process at once, with exit code 70; the other nodes go on.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use queue_client::{Client, ClientConfig, NewMessage, QueueAttributes};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tests::local::LocalCluster;

const QUEUE: &str = "kept";
/// Every wait ends with this at the latest.
const DEADLINE: Duration = Duration::from_secs(30);

/// A node that the test has started itself, and ends if nobody else does.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already: then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes a node's place: the same command, but a write that meets a file size limit fails instead of killing the process,
/// and its log comes here, because a limit would stop that too.
fn take_place(cluster: &LocalCluster, name: &str) -> (Node, BufReader<ChildStderr>) {
    let file = cluster.file();
    let nodes = file["queue"].as_array().expect("the file lists the queue nodes");
    let node = nodes.iter().find(|node| node["node"] == name).expect("the node is in the file");
    let words = std::fs::read(format!("/proc/{}/cmdline", node["pid"])).expect("the node runs");
    let words = String::from_utf8(words).expect("its words are text");
    cluster.must(&["kill", name]);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).args(words.trim_end_matches('\0').split('\0'));
    let mut child = command.current_dir(cluster.path()).stderr(Stdio::piped()).spawn().expect("the node starts");
    let log = child.stderr.take().expect("the pipe was asked for");
    (Node(child), BufReader::new(log))
}

/// Reads the log until a line says `text`. `None`: the log has ended.
fn read_until(log: &mut BufReader<ChildStderr>, text: &str) -> Option<String> {
    log.lines().map_while(Result::ok).find(|line| line.contains(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_disk_takes_no_more_writes_ends_with_its_own_exit_code() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.create_queue(QUEUE, QueueAttributes::default()).await.expect("the queue is made");
    let stop = Arc::new(AtomicBool::new(false));
    let producer = tokio::spawn({
        let stop = Arc::clone(&stop);
        async move {
            while !stop.load(Ordering::Relaxed) {
                let message = NewMessage { body: Bytes::from_static(b"kept"), ..NewMessage::default() };
                client.send(QUEUE, vec![message]).await.expect("two nodes are enough");
            }
        }
    });
    let ended = tokio::task::spawn_blocking(move || {
        let (mut node, mut log) = take_place(&cluster, "2");
        read_until(&mut log, "serving").expect("the node serves");
        let pid = i32::try_from(node.0.id()).ok().and_then(Pid::from_raw).expect("a process id");
        let limit = Rlimit { current: Some(1), maximum: Some(1) };
        prlimit(Some(pid), Resource::Fsize, limit).expect("a limit can be set");
        let line = read_until(&mut log, "the replica has failed").expect("the log says why the node ends");
        (node.0.wait().expect("it has ended").code(), line, cluster)
    });
    let ended = tokio::time::timeout(DEADLINE, ended).await.expect("it ends in time");
    let (code, line, _cluster) = ended.expect("the watch over the node ends well");
    assert_eq!(code, Some(70), "{line}");
    stop.store(true, Ordering::Relaxed);
    producer.await.expect("the others go on");
}
