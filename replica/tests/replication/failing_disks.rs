//! What a failed write or fsync ends: the process, and never by a retry.

use std::time::Duration;

use machine::RequestId;
use replica::simulation::SimulatedCluster;
use tokio::time::Instant;

use crate::loopback::write;
use crate::register::Register;

type Simulated = SimulatedCluster<Register>;
type Break = fn(&Simulated, u64);

const CALL: Duration = Duration::from_secs(5);

async fn until_failed(cluster: &Simulated, node: u64) -> String {
    let until = Instant::now() + CALL;
    loop {
        if let Some(reason) = cluster.failed(node) {
            return reason;
        }
        assert!(Instant::now() < until, "node {node} does not say that it has failed");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_fsync_or_commit_ends_the_process_and_the_others_go_on() {
    let table: [(&str, Break, bool, &str); 4] = [
        ("fsync of the leader", Simulated::break_log, true, "fsync failed"),
        ("fsync of a follower", Simulated::break_log, false, "fsync failed"),
        ("rows of the leader", Simulated::break_rows, true, "write failed"),
        ("rows of a follower", Simulated::break_rows, false, "write failed"),
    ];
    for (what, break_disk, is_leader, expected) in table {
        let cluster = Simulated::start(11, 3).await.expect("the nodes start");
        cluster.propose(1, RequestId::NONE, &write(1, 1), CALL).await.expect("applied");
        let leader = cluster.leader().expect("somebody leads");
        let victim = if is_leader { leader } else { leader % 3 + 1 };
        assert_eq!(cluster.failed(victim), None, "{what}");
        break_disk(&cluster, victim);
        // Whatever becomes of it, the broken node does not say yes to it: its own copy does not count, its rows are not
        // written.
        let answer = cluster.propose(leader, RequestId::NONE, &write(1, 2), CALL).await;
        assert_eq!(answer.is_ok(), !is_leader, "{what}: {answer:?}");
        let reason = until_failed(&cluster, victim).await;
        assert!(reason.contains(expected) && reason.starts_with("group 1"), "{what}: {reason}");
        // The process ends.
        cluster.kill(victim).await;
        let other = (1..=3).find(|node| *node != victim).expect("two are left");
        cluster.propose(other, RequestId::NONE, &write(1, 3), CALL).await.expect("the others go on");
        for node in 1..=3 {
            let failed = cluster.failed(node).is_some();
            assert_eq!(failed, node == victim, "{what}: node {node}");
            cluster.kill(node).await;
        }
    }
}
