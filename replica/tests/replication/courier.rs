//! Laws of two groups: one log serves both, and records cross from one to the other exactly once.

use machine::{GroupId, RequestId};

use crate::loopback::{DEADLINE, Loopback, wait_for};
use crate::register::{Command, arrived_key, number_in};

const SOURCE: GroupId = GroupId(1);
const TARGET: GroupId = GroupId(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_cross_exactly_once_while_leaders_change() {
    const RECORDS: u64 = 120;
    let mut cluster = Loopback::start(2).await;
    for number in 1..=RECORDS {
        if number == RECORDS / 3 {
            let leader = cluster.leader(TARGET).await;
            cluster.stop(leader).await;
            cluster.restart(leader).await.expect("the node starts again");
        }
        if number == RECORDS / 2 {
            let leader = cluster.leader(SOURCE).await;
            cluster.nodes[&leader].replica.transfer_leader(SOURCE, None).await.expect("the lead is handed over");
        }
        let node = cluster.nodes.values().next().expect("a node runs");
        let post = Command::Post { target: TARGET, number };
        node.groups[&SOURCE].propose_anywhere(RequestId::NONE, &post, DEADLINE).await.expect("posted");
    }
    let leader = cluster.leader(SOURCE).await;
    wait_for("the source has let every record go", || {
        cluster.group(leader, SOURCE).courier_status().is_empty().then_some(())
    })
    .await;
    let leader = cluster.leader(TARGET).await;
    let arrived = cluster.group(leader, TARGET).read(|view| {
        let times = |number| view.rows.get(&arrived_key(SOURCE, number)).map(|row| number_in(row.as_ref()));
        (1..=RECORDS).map(times).collect::<Result<Vec<_>, _>>()
    });
    assert_eq!(arrived.await.expect("readable"), Ok(vec![1; 120]));
    for id in [SOURCE, TARGET] {
        cluster.converge(id).await;
    }
    cluster.stop_all().await;
}
