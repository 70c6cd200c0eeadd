//! Upgrades: nodes of two releases in one cluster. A release is what it knows: here, formats up to 1, or up to 2.
//!
//! Must never: let a law hold because nothing happened. Load runs all the while, and both releases serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use machine::{Format, GroupId, RequestId};
use replica::{MemberChange, ProposeError, StartError};
use tokio::task::JoinHandle;

use crate::loopback::{Loopback, wait_for, write};
use crate::register::{Command, number_in, times_key};

const GROUP: GroupId = GroupId(1);
const OLD: Format = Format(1);
const NEW: Format = Format(2);
const WRITERS: u32 = 4;

/// Writers that go on whatever happens, each through a node that it is given; they say what was acknowledged.
struct Load {
    ends: Arc<AtomicBool>,
    writers: Vec<JoinHandle<(u32, Vec<u64>)>>,
}

impl Load {
    /// Writes through `through` until it stops, then nothing: its node is about to be replaced.
    fn through(cluster: &Loopback, through: u64, first_client: u32) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let writers = (first_client..first_client + WRITERS).map(|client| {
            let (group, ends) = (cluster.group(through, GROUP).clone(), Arc::clone(&ends));
            tokio::spawn(async move {
                let (mut number, mut acknowledged) = (0, Vec::new());
                while !ends.load(Ordering::Relaxed) {
                    number += 1;
                    let command = write(client, number);
                    let patience = std::time::Duration::from_secs(10);
                    if group.propose_anywhere(RequestId::NONE, &command, patience).await.is_ok() {
                        acknowledged.push(number);
                    }
                }
                (client, acknowledged)
            })
        });
        let writers = writers.collect();
        Self { ends, writers }
    }

    async fn end(self) -> Vec<(u32, Vec<u64>)> {
        self.ends.store(true, Ordering::Relaxed);
        let mut books = Vec::new();
        for writer in self.writers {
            books.push(writer.await.expect("a writer ends well"));
        }
        books
    }
}

async fn start(known: Format) -> Loopback {
    let cluster = Loopback::start_knowing(2, known).await;
    // A node that is stopped before it has seen anything may not come back: it cannot be told from one that lost its disk.
    for group in &cluster.groups {
        cluster.leader(*group).await;
        cluster.propose(*group, &write(0, 0)).await.expect("applied");
        cluster.converge(*group).await;
    }
    cluster
}

fn refused<T: std::fmt::Debug>(proposed: &Result<T, ProposeError>) -> bool {
    matches!(proposed, Err(ProposeError::NotApplied(text)) if text.contains("format 2"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_upgrade_under_load_loses_nothing_and_raises_the_format_at_its_end() {
    let mut cluster = start(OLD).await;
    let mut books = Vec::new();
    for (round, node) in (0..).zip(1..=3) {
        // Through a neighbour: it stays while the node is replaced.
        let load = Load::through(&cluster, node % 3 + 1, round * WRITERS);
        cluster.replace_by(node, NEW).await.expect("the newer release starts on the older one's data");
        if node == 1 {
            cluster.replace_by(node, OLD).await.expect("until all know more, the way back is open");
            cluster.replace_by(node, NEW).await.expect("and forth again");
        }
        let leader = cluster.leader(GROUP).await;
        if node < 3 {
            let newer = cluster.group(leader, GROUP).propose(RequestId::NONE, &Command::Newer).await;
            assert!(refused(&newer), "a member would not know it: {newer:?}");
            assert_eq!(cluster.group(leader, GROUP).status().format, OLD.0);
        }
        books.append(&mut load.end().await);
    }
    for node in cluster.nodes.values() {
        wait_for("the format rises", || (node.groups[&GROUP].status().format == NEW.0).then_some(())).await;
    }
    cluster.propose(GROUP, &Command::Newer).await.expect("everybody knows it now");
    cluster.converge(GROUP).await;
    let acknowledged: usize = books.iter().map(|(_, numbers)| numbers.len()).sum();
    eprintln!("{acknowledged} writes were acknowledged while nodes were replaced");
    assert!(acknowledged > 100, "the load ran: {acknowledged}");
    let leader = cluster.leader(GROUP).await;
    let read = cluster.group(leader, GROUP).read(|view| {
        let times = |client, number| number_in(view.rows.get(&times_key(client, number)).expect("rows read").as_ref());
        books.iter().flat_map(|(client, numbers)| numbers.iter().map(|number| times(*client, *number))).collect()
    });
    let times: Vec<u64> = read.await.expect("the leader reads");
    assert!(times.iter().all(|times| *times == 1), "what was acknowledged was applied, once");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_release_is_refused_on_newer_data_with_the_reason() {
    let mut cluster = start(NEW).await;
    for node in cluster.nodes.values() {
        wait_for("the format rises", || (node.groups[&GROUP].status().format == NEW.0).then_some(())).await;
    }
    let refused = cluster.replace_by(3, OLD).await.expect_err("a format never goes back");
    assert!(matches!(refused, StartError::NewerFormat { found: 2, known: 1 }), "{refused:?}");
    assert!(refused.to_string().contains("start the newer release again"), "{refused}");
    // As a folder would be whose file an operator has set back: the rows know it too.
    std::fs::write(cluster.folder_of(3).join("IDENTITY"), "tercet-1\nnode 3\n").expect("written");
    cluster.replace_by(3, NEW).await.expect("the newer release goes on");
    let flushed = cluster.nodes[&3].replica.flush(GROUP, 0).await;
    flushed.expect("the rows are flushed");
    cluster.stop(3).await;
    std::fs::write(cluster.folder_of(3).join("IDENTITY"), "tercet-1\nnode 3\n").expect("written");
    let refused = cluster.replace_by(3, OLD).await.expect_err("the rows are of the newer release");
    assert!(matches!(refused, StartError::NewerFormat { found: 2, known: 1 }), "{refused:?}");
    cluster.replace_by(3, NEW).await.expect("the newer release goes on");
    let leader = cluster.leader(GROUP).await;

    // Nor is a node of the older release taken into the group.
    let older = start(OLD).await;
    let address = older.address(1);
    let add = MemberChange::Add { node: 9, address };
    let added = cluster.nodes[&leader].replica.change_member(GROUP, add).await;
    assert!(added.as_ref().is_err_and(|error| error.to_string().contains("older release")), "{added:?}");
    older.stop_all().await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_of_a_newer_release_parks_the_group_until_that_release_runs() {
    let mut cluster = start(OLD).await;
    let leader = cluster.leader(GROUP).await;
    let group = cluster.group(leader, GROUP).clone();
    let before = group.propose(RequestId::NONE, &write(1, 1)).await.expect("applied");
    let newer = group.propose(RequestId::NONE, &Command::Smuggled).await;
    assert!(matches!(newer, Err(ProposeError::Unknown(_))), "a newer release may apply it yet: {newer:?}");
    for node in cluster.nodes.values() {
        let trouble = wait_for("the replica is parked", || node.groups[&GROUP].status().trouble).await;
        assert!(trouble.contains("format 2, and this release knows formats up to 1"), "{trouble}");
        assert_eq!(node.groups[&GROUP].status().applied, before.receipt.index, "all stand at the same entry");
    }
    let refused = group.propose(RequestId::NONE, &write(1, 2)).await;
    assert!(matches!(refused, Err(ProposeError::NotApplied(_))), "{refused:?}");
    assert!(group.read(|_| ()).await.is_err(), "and it does not answer from before the entry");
    drop(group);
    cluster.propose(GroupId(2), &write(1, 1)).await.expect("other groups go on");
    for node in 1..=3 {
        cluster.replace_by(node, NEW).await.expect("the newer release starts on what is parked");
    }
    let after = cluster.propose(GROUP, &write(1, 2)).await.expect("the group goes on");
    assert_eq!(after.reply.total, before.reply.total + 2, "the entry that parked it was applied, once");
    cluster.converge(GROUP).await;
    assert!(cluster.nodes.values().all(|node| node.groups[&GROUP].status().trouble.is_none()));
    cluster.stop_all().await;
}
