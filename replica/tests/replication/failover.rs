//! How long a lost lead is missed: a killed process shows by its closed connections, a silent one by a time-out.
//!
//! Real nodes show what the machine at hand does, and print it; bounds are generous, because it may be busy. Simulated
//! nodes show the law itself, in a time that nobody disturbs.

use std::time::Duration;

use machine::{GroupId, RequestId};
use replica::ProposeError;
use replica::simulation::SimulatedCluster;
use tokio::time::Instant;

use crate::loopback::{DEADLINE, Loopback, write};
use crate::register::Register;

const GROUP: GroupId = GroupId(1);
const TRIALS: usize = 5;

/// Proposes through `node` until it is applied, and says how long that took.
async fn time_to_serve(cluster: &Loopback, node: u64, number: u64) -> Duration {
    let since = Instant::now();
    let group = cluster.group(node, GROUP);
    loop {
        let left = DEADLINE.saturating_sub(since.elapsed());
        match group.propose_anywhere(RequestId::NONE, &write(1, number), Duration::from_secs(5).min(left)).await {
            Ok(_) => return since.elapsed(),
            Err(error) => assert!(since.elapsed() < DEADLINE, "nobody serves: {error}"),
        }
    }
}

fn median(what: &str, mut gaps: Vec<Duration>) -> Duration {
    gaps.sort_unstable();
    let median = gaps[gaps.len() / 2];
    let texts: Vec<String> = gaps.iter().map(|gap| gap.as_millis().to_string()).collect();
    eprintln!("{what}: median {} ms of [{}] ms", median.as_millis(), texts.join(", "));
    median
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_succeeded_at_once() {
    let mut cluster = Loopback::start(1).await;
    let mut gaps = Vec::new();
    for trial in 0..TRIALS {
        let (leader, follower) = (cluster.leader(GROUP).await, cluster.follower(GROUP).await);
        cluster.propose(GROUP, &write(0, trial as u64)).await.expect("applied");
        cluster.kill(leader);
        gaps.push(time_to_serve(&cluster, follower, trial as u64).await);
        cluster.restart_when_free(leader).await;
        cluster.converge(GROUP).await;
    }
    let median = median("from the death of the leader to the next applied proposal", gaps);
    assert!(median < Duration::from_millis(400), "no timeout is waited for");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_hangs_is_succeeded_within_a_second() {
    let cluster = Loopback::start(1).await;
    let mut gaps = Vec::new();
    for trial in 0..TRIALS {
        let (leader, follower) = (cluster.leader(GROUP).await, cluster.follower(GROUP).await);
        cluster.propose(GROUP, &write(0, trial as u64)).await.expect("applied");
        let hanging = cluster.hang(leader);
        gaps.push(time_to_serve(&cluster, follower, trial as u64).await);
        drop(hanging);
        cluster.converge(GROUP).await;
    }
    let median = median("from the silence of the leader to the next applied proposal", gaps);
    assert!(median < Duration::from_millis(1300), "a lease and an election timeout");
    cluster.stop_all().await;
}

type Simulated = SimulatedCluster<Register>;

const CALL: Duration = Duration::from_secs(30);

async fn simulated() -> (Simulated, u64, u64) {
    let cluster = Simulated::start(7, 3).await.expect("the nodes start");
    // An answered write: from here on the leader serves and is known.
    cluster.propose(1, RequestId::NONE, &write(0, 0), CALL).await.expect("applied");
    let leader = cluster.leader().expect("somebody leads");
    (cluster, leader, leader % 3 + 1)
}

async fn end(cluster: Simulated) {
    for node in cluster.running() {
        cluster.kill(node).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_death_that_shows_is_not_waited_out_and_one_that_does_not_is() {
    for (is_silent, at_least, at_most) in [(false, 0, 100), (true, 700, 950)] {
        let (cluster, leader, follower) = simulated().await;
        let since = Instant::now();
        if is_silent {
            cluster.lose(leader).await;
        } else {
            cluster.kill(leader).await;
        }
        cluster.propose(follower, RequestId::NONE, &write(1, 1), CALL).await.expect("applied");
        let gap = u64::try_from(since.elapsed().as_millis()).expect("a short time");
        assert!((at_least..at_most).contains(&gap), "silent: {is_silent}, took {gap} ms");
        end(cluster).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_says_so_and_another_one_serves() {
    let (cluster, leader, follower) = simulated().await;
    for other in (1..=3).filter(|other| *other != leader) {
        cluster.weather().cut(leader, other);
        cluster.weather().cut(other, leader);
    }
    let since = Instant::now();
    let at_old = cluster.propose(leader, RequestId::NONE, &write(1, 1), CALL).await;
    assert!(matches!(at_old, Err(ProposeError::Unknown(_))), "nobody has seen it: {at_old:?}");
    cluster.propose(follower, RequestId::NONE, &write(1, 2), CALL).await.expect("applied");
    assert!(since.elapsed() < Duration::from_secs(1), "took {:?}", since.elapsed());
    let refused = cluster.group(leader).expect("it runs").propose(RequestId::NONE, &write(1, 3)).await;
    assert!(matches!(refused, Err(ProposeError::NotLeader { leader: None })), "it leads nobody: {refused:?}");
    end(cluster).await;
}

#[tokio::test(start_paused = true)]
async fn one_follower_that_lost_the_leader_disturbs_nobody() {
    let (cluster, leader, follower) = simulated().await;
    let term = cluster.group(leader).expect("it runs").status().term;
    // The follower sees neither heartbeats nor the other's word for the leader's life.
    cluster.weather().cut(leader, follower);
    cluster.weather().cut(follower, leader);
    for number in 1..=200 {
        cluster.propose(leader, RequestId::NONE, &write(1, number), CALL).await.expect("applied");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let status = cluster.group(leader).expect("it runs").status();
    assert_eq!((cluster.leader(), status.term), (Some(leader), term), "no election");
    end(cluster).await;
}

#[tokio::test(start_paused = true)]
async fn slow_disks_elect_nobody_and_refuse_nobody() {
    let (cluster, leader, _) = simulated().await;
    let term = cluster.group(leader).expect("it runs").status().term;
    cluster.weather().change_disks(300_000..300_001);
    let until = Instant::now() + Duration::from_secs(30);
    let write_on = async |client: u32| {
        let mut number = 0;
        while Instant::now() < until {
            number += 1;
            let group = cluster.group(leader).expect("it runs");
            group.propose(RequestId::NONE, &write(client, number)).await.expect("the leader takes its time");
        }
        number
    };
    let written: u64 = futures::future::join_all((1..=20).map(write_on)).await.into_iter().sum();
    let status = cluster.group(leader).expect("it runs").status();
    assert_eq!((cluster.leader(), status.term), (Some(leader), term), "no election");
    assert!(written > 20 * 30, "the disks are slow, and used: {written}");
    cluster.weather().change_disks(100..3_000);
    end(cluster).await;
}
