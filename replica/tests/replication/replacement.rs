//! How long a cluster is missed that loses one node for good and, while a blank one takes its place, another for a moment.
//!
//! Why simulated: with one of three lost every kill takes the majority away, so what is missed is the time that the killed node
//! is away and what comes behind its return. Here that time is known, and nobody disturbs it.
//!
//! ```text
//!  lost ─> (kill) ─> blank node copies ─> (kill) ─> votes: four voters, one lost ─> (kill) ─> lost one removed ─> (kill)
//! ```

use std::sync::Arc;
use std::time::Duration;

use machine::{GroupId, RequestId};
use replica::MemberChange;
use replica::simulation::{Mail, Plan, SimulatedCluster};
use tokio::time::{Instant, sleep};

use crate::loopback::write;
use crate::register::Register;

type Simulated = SimulatedCluster<Register>;

const SPARE: u64 = 4;
/// How long a killed node stays away.
const AWAY: Duration = Duration::from_millis(500);
/// What may come behind its return: a lease that runs out, an election, and a little.
const BEHIND: Duration = Duration::from_millis(1_500);
/// A change of the members is done by then, whoever leads.
const CHANGE_MAX: Duration = Duration::from_secs(10);
const CALL: Duration = Duration::from_secs(2);

/// Whom the kill hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Killed {
    Leader,
    Follower,
    Newcomer,
}

async fn change(cluster: &Simulated, change: MemberChange) {
    let until = Instant::now() + CHANGE_MAX;
    while let Err(error) = cluster.change_member(change.clone()).await {
        assert!(Instant::now() < until, "{change:?}: {error}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The steps of replacing `lost`.
fn steps(lost: u64) -> [MemberChange; 3] {
    let address = Simulated::address(SPARE);
    [
        MemberChange::Add { node: SPARE, address },
        MemberChange::Promote { node: SPARE },
        MemberChange::Remove { node: lost },
    ]
}

/// Proposes through any node that runs until it is applied.
async fn serve(cluster: &Simulated, number: u64) {
    let mut turn = 0;
    loop {
        let running = cluster.running();
        let node = running[turn % running.len()];
        turn += 1;
        if cluster.propose(node, RequestId::NONE, &write(1, number), CALL).await.is_ok() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// How long nothing is applied when `killed` dies after so many steps of the replacement, the lost node having led or not.
async fn gap(seed: u64, done: usize, killed: Killed, is_leader_lost: bool) -> Option<Duration> {
    let mail = Arc::new(Mail::new(seed));
    let plan = Plan { group: GroupId(1), seed, members: 3, spares: 1, mail };
    let cluster = Simulated::start_as(plan).await.expect("the nodes start");
    serve(&cluster, 0).await;
    let leader = cluster.leader().expect("somebody leads");
    let lost = if is_leader_lost { leader } else { leader % 3 + 1 };
    cluster.lose(lost).await;
    serve(&cluster, 1).await;
    cluster.restart(SPARE).await.expect("a blank node starts");
    let steps = steps(lost);
    for step in &steps[..done] {
        change(&cluster, step.clone()).await;
    }
    let leader = cluster.leader().expect("somebody leads");
    let followers: Vec<u64> = cluster.running().into_iter().filter(|node| *node != leader && *node != SPARE).collect();
    let killed = match killed {
        Killed::Leader => leader,
        Killed::Follower => *followers.first()?,
        Killed::Newcomer => SPARE,
    };
    let since = Instant::now();
    cluster.kill(killed).await;
    let back = async {
        sleep(AWAY).await;
        cluster.restart(killed).await.expect("it starts again");
    };
    let ((), gap) = tokio::join!(back, async {
        serve(&cluster, 2).await;
        since.elapsed()
    });
    // What was begun comes to its end.
    for step in &steps[done..] {
        change(&cluster, step.clone()).await;
    }
    serve(&cluster, 3).await;
    for node in cluster.running() {
        cluster.kill(node).await;
    }
    Some(gap)
}

#[tokio::test(start_paused = true)]
async fn a_kill_during_a_replacement_is_missed_while_the_node_is_away_and_an_election_longer() {
    for done in 0..=3 {
        for killed in [Killed::Leader, Killed::Follower, Killed::Newcomer] {
            for (seed, is_leader_lost) in [(1, false), (2, true), (3, false), (4, true)] {
                let Some(gap) = gap(seed, done, killed, is_leader_lost).await else { continue };
                let what = format!("{killed:?} dies after {done} steps, leader lost: {is_leader_lost}");
                eprintln!("{what}: {} ms", gap.as_millis());
                assert!(gap < AWAY + BEHIND, "{what}: {gap:?}");
            }
        }
    }
}
