//! Shards of three nodes that call each other over loopback: what a leader says of its admission reaches its callers.
//!
//! Must never: reuse a port or folder of another test.

use std::collections::BTreeMap;
use std::net::TcpListener;

use ledger::Command;
use machine::{Format, GroupId};
use replica::{Replica, ReplicaConfig, ScrubPace, Timers, Usher as _, system_wall_clock};
use tempfile::TempDir;

use super::*;
use crate::access::admission::{Class, level};

const HOT: GroupId = GroupId(1);
const COLD: GroupId = GroupId(2);
const DEADLINE: Duration = Duration::from_secs(30);

struct Node {
    _replica: Replica,
    _data: TempDir,
    shards: BTreeMap<GroupId, Shard<LedgerMachine>>,
}

async fn start(node: u64, listener: TcpListener, members: BTreeMap<u64, String>) -> Node {
    let data = tempfile::tempdir().expect("a folder can be made");
    let replica = Replica::open(ReplicaConfig {
        node,
        folder: data.path().to_owned(),
        members,
        timers: Timers::default(),
        wall: system_wall_clock(),
        known: Format::LATEST,
        scrub: ScrubPace::default(),
        seal: None,
    });
    let replica = replica.expect("the replica opens");
    listener.set_nonblocking(true).expect("a listener can be handed over");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let connections = futures::stream::unfold(listener, async |listener| {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let served = tonic::transport::Server::builder().add_service(replica.service());
    tokio::spawn(served.serve_with_incoming(connections));
    let mut shards = BTreeMap::new();
    for group in [HOT, COLD] {
        shards.insert(
            group,
            Shard::new(replica.add_group(group).await.expect("the group opens"), replica.recent_fsyncs()),
        );
    }
    Node { _replica: replica, _data: data, shards }
}

async fn three() -> Vec<Node> {
    let listeners: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let address = |listener: &TcpListener| listener.local_addr().expect("a bound address").to_string();
    let members: BTreeMap<u64, String> = (1..).zip(listeners.iter().map(address)).collect();
    let starting = (1..).zip(listeners).map(|(node, listener)| start(node, listener, members.clone()));
    futures::future::join_all(starting).await
}

fn tick() -> Command {
    LedgerMachine::barrier()
}

/// The leader was asked for opens of everybody, and let them wait.
fn press(leader: &Shard<LedgerMachine>) {
    for user in 0..2000 {
        leader.callee.admits(u64::from(level(Class::Open, user, 0)));
    }
    for _ in 0..2000 {
        leader.callee.waited(Duration::from_millis(500));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_real_calls_a_caller_sheds_what_its_callee_would_and_asks_other_callees_on() {
    let nodes = three().await;
    for node in &nodes {
        for shard in node.shards.values() {
            shard.command(&tick(), DEADLINE).await.expect("the group serves");
        }
    }
    let leads = |node: &&Node| node.shards[&HOT].group.is_leader();
    let (leader, caller) = (nodes.iter().find(leads), nodes.iter().find(|node| !leads(node)));
    let (leader, caller) = (leader.expect("a leader"), caller.expect("a follower"));
    let (hot, cold) = (&caller.shards[&HOT], &caller.shards[&COLD]);
    let last = level(Class::Open, 0, 0).max(128 * Class::Grab as u32 - 1);
    assert_eq!(hot.callee.lets(last, Instant::now()), Ok(()), "nothing is shed");

    press(&leader.shards[&HOT]);
    let turned_away = hot.command_as(last, &tick(), DEADLINE).await;
    assert!(matches!(turned_away, Err(Failure::Busy { .. })), "the callee turns it away: {turned_away:?}");
    assert!(hot.callee.lets(last, Instant::now()).is_err(), "and its caller does, from then on");
    press(&leader.shards[&HOT]);
    hot.command(&tick(), DEADLINE).await.expect("money is let on");
    assert!(hot.callee.lets(last, Instant::now()).is_err(), "a reply says it, too");
    cold.command_as(last, &tick(), DEADLINE).await.expect("another callee is asked on");
    assert_eq!((cold.callee.lets(last, Instant::now()), hot.callee.shed()), (Ok(()), 2));

    // The leader's windows pass without a wait, and the next reply says that all are taken again.
    let until = Instant::now() + DEADLINE;
    while hot.callee.lets(last, Instant::now()).is_err() {
        assert!(Instant::now() < until, "the callee takes everybody again in time");
        for _ in 0..2000 {
            leader.shards[&HOT].callee.waited(Duration::ZERO);
        }
        hot.command(&tick(), DEADLINE).await.expect("money is let on");
    }
    hot.command_as(last, &tick(), DEADLINE).await.expect("it is taken");
}
