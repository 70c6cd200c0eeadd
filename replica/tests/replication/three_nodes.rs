//! Laws of three real nodes: elect, propose, read, forward, restart, hand over the lead.

use std::time::Duration;

use bytes::Bytes;
use machine::{GroupId, RequestId};
use replica::{ProposeError, ReadError, Role};
use tokio::time::Instant;

use crate::loopback::{DEADLINE, Loopback, wait_for, write};
use crate::register::{Command, number_in, register_key, times_key};

const GROUP: GroupId = GroupId(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_read_at_once() {
    let cluster = Loopback::start(1).await;
    let leader = cluster.leader(GROUP).await;
    let group = cluster.group(leader, GROUP);
    for number in 1..=20 {
        let applied = group.propose(RequestId::NONE, &write(7, number)).await.expect("the leader takes proposals");
        assert_eq!((applied.reply.index, applied.receipt.copies), (applied.receipt.index, 2));
        let register = group
            .read(|view| view.rows.get(&register_key(7)).map(|row| number_in(row.as_ref())))
            .await
            .expect("the leader may be read");
        assert_eq!(register, Ok(number));
    }
    cluster.converge(GROUP).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_refuses_and_names_the_leader_but_forwards_what_may_go_anywhere() {
    let cluster = Loopback::start(1).await;
    let (follower, leader) = (cluster.follower(GROUP).await, cluster.leader(GROUP).await);
    let group = cluster.group(follower, GROUP);
    match group.propose(RequestId::NONE, &write(1, 1)).await {
        Err(ProposeError::NotLeader { leader: Some(named) }) => assert_eq!(named.node, leader),
        other => panic!("a follower took a proposal: {other:?}"),
    }
    let read = group.read(|_| ()).await;
    assert!(matches!(read, Err(ReadError::NotLeader { leader: Some(_) })), "{read:?}");
    let applied = group.propose_anywhere(RequestId::NONE, &write(1, 2), DEADLINE).await.expect("forwarded");
    wait_for("the follower applies too", || (*group.applied_index().borrow() >= applied.receipt.index).then_some(()))
        .await;
    let times = |number| group.read_stale(|view| number_in(view.rows.get(&times_key(1, number)).ok()?.as_ref()).into());
    assert_eq!((times(1), times(2)), (Ok(Some(0)), Ok(Some(1))));
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_every_node_keeps_everything() {
    let mut cluster = Loopback::start(2).await;
    for id in cluster.groups.clone() {
        for number in 1..=50 {
            cluster.propose(id, &write(3, number)).await.expect("applied");
        }
    }
    for node in 1..=3 {
        cluster.stop(node).await;
    }
    for node in 1..=3 {
        cluster.restart(node).await.expect("the node starts on its data");
    }
    for id in cluster.groups.clone() {
        cluster.propose(id, &write(3, 51)).await.expect("applied after the restart");
        let leader = cluster.leader(id).await;
        let total = cluster.group(leader, id).read(|view| view.machine.total()).await;
        assert_eq!(total, Ok(51));
        cluster.converge(id).await;
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stops_hands_over_before_it_goes() {
    let mut cluster = Loopback::start(1).await;
    let leader = cluster.leader(GROUP).await;
    cluster.propose(GROUP, &write(1, 1)).await.expect("applied");
    let term = cluster.group(leader, GROUP).status().term;
    let stopping = Instant::now();
    cluster.stop(leader).await;
    let next = cluster.leader(GROUP).await;
    cluster.group(next, GROUP).propose(RequestId::NONE, &write(1, 2)).await.expect("the next leader serves");
    let status = cluster.group(next, GROUP).status();
    assert_eq!((status.role, status.term), (Role::Leader, term + 1), "handed over, not voted for after a silence");
    assert!(stopping.elapsed() < Duration::from_secs(5), "took {:?}", stopping.elapsed());
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_after_a_leader_change_gets_the_former_reply() {
    let mut cluster = Loopback::start(1).await;
    let leader = cluster.leader(GROUP).await;
    let group = cluster.group(leader, GROUP).clone();
    let session = group.open_session().await.expect("a session");
    let request = RequestId { session, sequence: 1 };
    let first = group.propose(request, &write(9, 1)).await.expect("applied");
    drop(group);
    cluster.stop(leader).await;
    let next = cluster.leader(GROUP).await;
    let group = cluster.group(next, GROUP);
    let again = group.propose(request, &write(9, 1)).await.expect("answered");
    assert_eq!(again.reply, first.reply);
    let times = group.read(|view| view.rows.get(&times_key(9, 1)).map(|row| number_in(row.as_ref()))).await;
    assert_eq!(times, Ok(Ok(1)), "applied once");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proposals_in_flight_share_entries_and_fsyncs() {
    const EACH: u64 = 200;
    const CLIENTS: u32 = 256;
    let cluster = Loopback::start(1).await;
    let leader = cluster.leader(GROUP).await;
    cluster.propose(GROUP, &write(0, 0)).await.expect("warm");
    let (_, _, fsyncs_before) = cluster.nodes[&leader].replica.fsyncs();
    let started = Instant::now();
    let clients = (0..CLIENTS).map(|client| {
        let group = cluster.group(leader, GROUP).clone();
        tokio::spawn(async move {
            for number in 1..=EACH {
                let command = Command::Write { client, number, body: Bytes::from(vec![7; 1024]) };
                group.propose(RequestId::NONE, &command).await.expect("applied");
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("a client ends well");
    }
    let (p50, p99, fsyncs) = cluster.nodes[&leader].replica.fsyncs();
    let commands = u64::from(CLIENTS) * EACH;
    let per_s = commands * 1000 / u64::try_from(started.elapsed().as_millis()).expect("short").max(1);
    eprintln!(
        "{per_s} proposals/s of 1 KiB, {CLIENTS} in flight; {} fsyncs, p50 {p50} us, p99 {p99} us",
        fsyncs - fsyncs_before
    );
    assert!(fsyncs - fsyncs_before < commands / 4, "an fsync carries several proposals");
    cluster.converge(GROUP).await;
    cluster.stop_all().await;
}
