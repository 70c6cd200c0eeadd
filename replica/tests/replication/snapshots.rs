//! Laws of catching up: from the log, from a snapshot, and never under the old id once data is lost.

use bytes::Bytes;
use machine::{BodyRef, GroupId, StoreFailure};
use replica::{Role, StartError};

use crate::loopback::{Loopback, wait_for, write};
use crate::register::Command;

const GROUP: GroupId = GroupId(1);

async fn write_many(cluster: &Loopback, numbers: std::ops::Range<u64>) {
    for number in numbers {
        cluster.propose(GROUP, &write(5, number)).await.expect("applied");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_away_catches_up_from_the_log() {
    let mut cluster = Loopback::start(1).await;
    write_many(&cluster, 0..20).await;
    let away = cluster.follower(GROUP).await;
    cluster.stop(away).await;
    write_many(&cluster, 20..60).await;
    cluster.restart(away).await.expect("the node starts again");
    cluster.converge(GROUP).await;
    assert_eq!(cluster.group(away, GROUP).status().purged, 0, "no snapshot was needed");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_whose_entries_are_purged_is_sent_the_rows() {
    let mut cluster = Loopback::start(1).await;
    write_many(&cluster, 0..20).await;
    let away = cluster.follower(GROUP).await;
    cluster.stop(away).await;
    write_many(&cluster, 20..60).await;
    for node in cluster.nodes.values() {
        node.replica.flush(GROUP, 5).await.expect("rows are flushed");
        wait_for("the log is purged", || (node.groups[&GROUP].status().purged > 40).then_some(())).await;
    }
    cluster.restart(away).await.expect("the node starts again");
    cluster.converge(GROUP).await;
    wait_for("the rows came as a snapshot", || (cluster.group(away, GROUP).status().purged > 40).then_some(())).await;
    write_many(&cluster, 60..70).await;
    cluster.converge(GROUP).await;
    // What was installed is there after a restart too.
    cluster.stop(away).await;
    cluster.restart(away).await.expect("the node starts on the installed rows");
    write_many(&cluster, 70..75).await;
    cluster.converge(GROUP).await;
    cluster.stop_all().await;
}

fn body(number: u64) -> Bytes {
    Bytes::from(vec![u8::try_from(number % 251).expect("small"); 1000])
}

async fn write_bodies(cluster: &Loopback, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let command = Command::Write { client: 5, number, body: body(number) };
        let applied = cluster.propose(GROUP, &command).await.expect("applied");
        assert_eq!(applied.reply.total, number);
    }
}

fn check_bodies(cluster: &Loopback, node: u64, numbers: std::ops::RangeInclusive<u64>) {
    let group = cluster.group(node, GROUP);
    for number in numbers {
        let found = group.read_stale(|view| view.rows.body(BodyRef(number))).expect("read");
        assert_eq!(found, Ok(Some(body(number))), "body {number} on node {node}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_follow_their_rows_through_purges_snapshots_and_restarts() {
    let mut cluster = Loopback::start(1).await;
    write_bodies(&cluster, 1..=20).await;
    let away = cluster.follower(GROUP).await;
    cluster.stop(away).await;
    write_bodies(&cluster, 21..=60).await;
    for (node, running) in &cluster.nodes {
        running.replica.flush(GROUP, 10).await.expect("rows are flushed");
        wait_for("the log is purged", || (running.groups[&GROUP].status().purged > 40).then_some(())).await;
        check_bodies(&cluster, *node, 1..=60);
    }
    write_bodies(&cluster, 61..=70).await;
    cluster.restart(away).await.expect("the node starts again");
    cluster.converge(GROUP).await;
    wait_for("the rows came as a snapshot", || (cluster.group(away, GROUP).status().purged > 40).then_some(())).await;
    check_bodies(&cluster, away, 1..=70);
    for node in 1..=3 {
        cluster.stop(node).await;
    }
    for node in 1..=3 {
        cluster.restart(node).await.expect("the node starts on its data");
    }
    write_bodies(&cluster, 71..=75).await;
    cluster.converge(GROUP).await;
    for node in 1..=3 {
        check_bodies(&cluster, node, 1..=75);
    }
    cluster.stop_all().await;
}

/// Turns a bit of body `number` over on the disk of `node`, and starts the node on that.
async fn damage(cluster: &mut Loopback, node: u64, number: u64) {
    // The first stop seals the segment with its next start, and a start reads no record of a sealed one.
    cluster.stop(node).await;
    cluster.restart(node).await.expect("the node starts again");
    cluster.stop(node).await;
    let path = cluster.folder_of(node).join("log/segment-00000000000000000001");
    let mut bytes = std::fs::read(&path).expect("the segment");
    let at =
        bytes.windows(100).position(|window| window == &body(number)[..100]).expect("the body lies in the segment");
    bytes[at + 50] ^= 1;
    std::fs::write(&path, bytes).expect("damaged");
    cluster.restart(node).await.expect("nothing is seen yet");
}

/// Body 3 as a replica has it.
fn body_3(cluster: &Loopback, node: u64) -> Result<Option<Bytes>, StoreFailure> {
    cluster.group(node, GROUP).read_stale(|view| view.rows.body(BodyRef(3))).expect("rows are there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_body_waits_aside_until_a_peer_brings_it() {
    let mut cluster = Loopback::start(1).await;
    write_bodies(&cluster, 1..=20).await;
    let node = cluster.follower(GROUP).await;
    cluster.nodes[&node].replica.flush(GROUP, 1000).await.expect("rows are flushed");
    damage(&mut cluster, node, 3).await;
    let others: Vec<u64> = cluster.nodes.keys().copied().filter(|other| *other != node).collect();
    for other in &others {
        cluster.stop(*other).await;
    }
    check_bodies(&cluster, node, 9..=9);
    let first = body_3(&cluster, node);
    assert!(first.as_ref().is_err_and(|failure| failure.0.contains("checksum")), "never handed out: {first:?}");
    let trouble = cluster.group(node, GROUP).status().trouble.expect("the status says so");
    assert!(trouble.contains("1 bodies are damaged") && trouble.contains("checksum"), "{trouble}");
    for other in &others {
        cluster.restart(*other).await.expect("the node starts again");
    }
    wait_for("a peer brings it", || body_3(&cluster, node).is_ok().then_some(())).await;
    check_bodies(&cluster, node, 1..=20);
    assert_eq!(cluster.group(node, GROUP).status().trouble, None);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_body_that_nobody_can_bring_stops_a_replica() {
    let mut cluster = Loopback::start(1).await;
    write_bodies(&cluster, 1..=20).await;
    for node in 1..=3 {
        cluster.nodes[&node].replica.flush(GROUP, 1000).await.expect("rows are flushed");
        damage(&mut cluster, node, 3).await;
    }
    let node = cluster.follower(GROUP).await;
    let group = cluster.group(node, GROUP);
    let read = body_3(&cluster, node);
    assert!(read.as_ref().is_err_and(|failure| failure.0.contains("checksum")), "{read:?}");
    let trouble = wait_for("the replica says so", || group.status().trouble).await;
    assert!(trouble.contains("checksum"), "{trouble}");
    // All three have lost it. The first that stops can tell the others nothing any more: they wait for it.
    let groups: Vec<_> = (1..=3).map(|node| cluster.group(node, GROUP)).collect();
    let is_one_stopped = || groups.iter().any(|group| group.status().role == Role::Stopped).then_some(());
    wait_for("a replica stops", is_one_stopped).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purged_logs_and_flushed_rows_survive_a_restart_of_all() {
    let mut cluster = Loopback::start(1).await;
    write_many(&cluster, 0..40).await;
    for node in cluster.nodes.values() {
        node.replica.flush(GROUP, 0).await.expect("rows are flushed");
    }
    write_many(&cluster, 40..50).await;
    for node in 1..=3 {
        cluster.stop(node).await;
    }
    for node in 1..=3 {
        cluster.restart(node).await.expect("the node starts on its data");
    }
    write_many(&cluster, 50..60).await;
    let leader = cluster.leader(GROUP).await;
    let total = cluster.group(leader, GROUP).read(|view| view.machine.total()).await;
    assert_eq!(total, Ok(60));
    cluster.converge(GROUP).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_data_is_gone_may_not_come_back_under_its_id() {
    let mut cluster = Loopback::start(1).await;
    write_many(&cluster, 0..10).await;
    let lost = cluster.follower(GROUP).await;
    cluster.stop(lost).await;
    std::fs::remove_dir_all(cluster.folder_of(lost)).expect("the folder is removed");
    match cluster.restart(lost).await {
        Err(StartError::Lost { group, last: 0, .. }) => assert_eq!(group, GROUP),
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(()) => panic!("a blank node voted under an id that had acknowledged"),
    }
    write_many(&cluster, 10..20).await;
    cluster.stop_all().await;
}
