//! Laws of the scrub: damage that nobody reads is found, and mended by the peers that have the bytes.

use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use bytes::Bytes;
use machine::{BodyRef, GroupId, StoreFailure};
use replica::ScrubPace;

use crate::loopback::{Loopback, wait_for, write};
use crate::register::Command;

const GROUP: GroupId = GroupId(1);

fn body(number: u64) -> Bytes {
    Bytes::from(vec![u8::try_from(number % 251).expect("small"); 1000])
}

/// Three nodes that scrub all the time, with bodies `1..=20` in sealed segments that no memory holds.
async fn scrubbing() -> Loopback {
    let mut cluster = Loopback::start(1).await;
    for number in 1..=20 {
        let command = Command::Write { client: 5, number, body: body(number) };
        cluster.propose(GROUP, &command).await.expect("applied");
    }
    cluster.converge(GROUP).await;
    cluster.scrub = ScrubPace { first_after: Duration::ZERO, every: Duration::from_millis(50), bytes_per_s: 1 << 30 };
    for node in 1..=3 {
        cluster.nodes[&node].replica.flush(GROUP, 1000).await.expect("rows are flushed");
        cluster.stop(node).await;
        cluster.restart(node).await.expect("the node starts again");
    }
    cluster.leader(GROUP).await;
    cluster
}

/// Waits until a node has begun and ended a pass from now on.
async fn passes(cluster: &Loopback, node: u64) {
    let replica = &cluster.nodes[&node].replica;
    for _ in 0..2 {
        let before = replica.scrubbed();
        wait_for("a pass", || (replica.scrubbed().passed_ms > before.passed_ms).then_some(())).await;
    }
}

/// Turns a bit over in the first segment of a running node, within what `bytes` find.
fn flip(cluster: &Loopback, node: u64, bytes: &[u8]) {
    let path = cluster.folder_of(node).join("log/segment-00000000000000000001");
    let found = std::fs::read(&path).expect("the segment");
    let at = found.windows(bytes.len()).position(|window| window == bytes).expect("it lies in the segment") + 50;
    let file = std::fs::File::options().write(true).open(&path).expect("the segment");
    file.write_all_at(&[found[at] ^ 1], at as u64).expect("damaged");
}

fn read(cluster: &Loopback, node: u64, number: u64) -> Result<Option<Bytes>, StoreFailure> {
    cluster.group(node, GROUP).read_stale(|view| view.rows.body(BodyRef(number))).expect("rows are there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_nobody_reads_is_repaired_before_its_peers_are_gone() {
    let mut cluster = scrubbing().await;
    let node = cluster.follower(GROUP).await;
    passes(&cluster, node).await;
    let whole = cluster.nodes[&node].replica.scrubbed();
    assert!(whole.damaged == 0 && whole.bytes > 20 * 1000, "{whole:?}");
    flip(&cluster, node, &body(3));
    let replica = &cluster.nodes[&node].replica;
    wait_for("the scrub finds it", || (replica.scrubbed().damaged > 0).then_some(())).await;
    let is_let_go = || cluster.group(node, GROUP).status().purged >= 3;
    wait_for("the log is let go up to the entry", || is_let_go().then_some(())).await;
    wait_for("nothing is damaged", || cluster.group(node, GROUP).status().trouble.is_none().then_some(())).await;
    passes(&cluster, node).await;
    let damaged = cluster.nodes[&node].replica.scrubbed().damaged;
    passes(&cluster, node).await;
    assert_eq!(cluster.nodes[&node].replica.scrubbed().damaged, damaged, "what is gone is found no more");
    // Nobody could bring it any more.
    for other in (1..=3).filter(|other| *other != node) {
        cluster.stop(other).await;
    }
    for number in 1..=20 {
        assert_eq!(read(&cluster, node, number), Ok(Some(body(number))), "body {number}");
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_entry_is_damaged_sends_a_lagging_follower_the_rows() {
    let mut cluster = scrubbing().await;
    let away = cluster.follower(GROUP).await;
    cluster.stop(away).await;
    for number in 100..120 {
        cluster.propose(GROUP, &write(5, number)).await.expect("applied");
    }
    let leader = cluster.leader(GROUP).await;
    flip(&cluster, leader, &body(20));
    let status = || cluster.group(leader, GROUP).status();
    wait_for("the log is let go up to the entry", || (status().purged >= 20).then_some(())).await;
    wait_for("nothing is damaged", || status().trouble.is_none().then_some(())).await;
    cluster.restart(away).await.expect("the node starts again");
    cluster.converge(GROUP).await;
    for node in 1..=3 {
        assert_eq!(read(&cluster, node, 20), Ok(Some(body(20))), "on node {node}");
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrub_under_way_holds_no_stop_up() {
    let mut cluster = scrubbing().await;
    let node = cluster.follower(GROUP).await;
    cluster.stop(node).await;
    // After its first step it rests for hours.
    cluster.scrub = ScrubPace { first_after: Duration::ZERO, bytes_per_s: 2, ..cluster.scrub };
    cluster.restart(node).await.expect("the node starts again");
    let replica = &cluster.nodes[&node].replica;
    wait_for("it has begun", || (replica.scrubbed().bytes > 0).then_some(())).await;
    tokio::time::timeout(Duration::from_secs(5), cluster.stop(node)).await.expect("it stops at once");
    cluster.restart(node).await.expect("the folder is free");
    cluster.stop_all().await;
}
