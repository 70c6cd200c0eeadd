//! Spreading: the app's leaders move apart, so that one node's death does not take ledger and packets at once.
//!
//! Why: the first node leads everything of a young cluster. With its death no share could be opened, and nobody would
//! see what happens to a credit while only the ledger is away.
//!
//! Must never: fail the evening. Where a leader does not move, there is just less to see.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::admin::v1::{GroupKind, GroupStatus, Role, TransferLeaderRequest};
use tokio::time::{Instant, sleep, timeout};

use crate::admin::{self, View};
use crate::file::NodeEntry;
use crate::limits::{POLL_PAUSE, STATUS_MAX};

/// Leaders have moved within this, or stay.
const SPREAD_MAX: Duration = Duration::from_secs(5);

/// A leader that shall move.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Move {
    group: u32,
    /// Where the leader is: place in the list of nodes.
    from: usize,
    /// The id of the node that shall lead.
    to: String,
}

/// Moves leaders apart: those of the ledger to the nodes in turn from the first one on, those of packets from the last
/// one back.
pub(crate) async fn spread(nodes: &[NodeEntry]) {
    let until = Instant::now() + SPREAD_MAX;
    loop {
        let moves = plan(nodes, &admin::look(nodes).await);
        if moves.is_empty() || Instant::now() >= until {
            return;
        }
        for Move { group, from, to } in moves {
            let Ok(mut client) = admin::client(&nodes[from].grpc) else { continue };
            let asked = timeout(STATUS_MAX, client.transfer_leader(TransferLeaderRequest { group, to }));
            // Whether it moved is seen at the next look.
            let _ = asked.await;
        }
        sleep(POLL_PAUSE * 8).await;
    }
}

/// The leaders that are not where they shall be. A group that is just electing is looked at again later.
fn plan(nodes: &[NodeEntry], views: &[View]) -> Vec<Move> {
    let is_packets = |replica: &GroupStatus| replica.kind() == GroupKind::Packets;
    let answers = views.iter().enumerate().filter_map(|(place, view)| Some((place, view.answer.as_ref().ok()?)));
    let replicas: Vec<(usize, &GroupStatus)> =
        answers.flat_map(|(place, status)| status.groups.iter().map(move |replica| (place, replica))).collect();
    let groups: BTreeSet<(bool, u32)> =
        replicas.iter().map(|(_, replica)| (is_packets(replica), replica.group)).collect();
    let leaders = replicas.into_iter().filter(|(_, replica)| replica.role() == Role::Leader);
    let moves = leaders.filter_map(|(from, replica)| {
        let turn = groups.range((is_packets(replica), 0)..(is_packets(replica), replica.group)).count() % nodes.len();
        let to = &nodes[if is_packets(replica) { nodes.len() - 1 - turn } else { turn }];
        let member = replica.members.iter().find(|member| member.grpc == to.grpc)?;
        let is_there = nodes[from].grpc == to.grpc;
        (!is_there).then(|| Move { group: replica.group, from, to: member.node.clone() })
    });
    moves.collect()
}

#[cfg(test)]
mod tests {
    use proto::admin::v1::{Member, StatusReply};

    use super::*;

    fn node(number: usize) -> NodeEntry {
        let grpc = format!("127.0.0.1:{number}");
        NodeEntry { node: format!("a{number}"), pid: 1, grpc, http: String::new(), tcp: None }
    }

    fn leads(number: usize, groups: &[u32]) -> View {
        let member = |number: usize| Member { node: number.to_string(), grpc: node(number).grpc, ..Member::default() };
        let members: Vec<Member> = (1..=3).map(member).collect();
        let kind = |group: u32| if group > 100 { GroupKind::Packets } else { GroupKind::Ledger };
        let lead = |group: &u32| GroupStatus {
            group: *group,
            kind: kind(*group).into(),
            role: Role::Leader.into(),
            members: members.clone(),
            ..GroupStatus::default()
        };
        let status = StatusReply { groups: groups.iter().map(lead).collect(), ..StatusReply::default() };
        View { node: node(number).node, answer: Ok(status) }
    }

    #[test]
    fn the_first_ledger_group_gets_a_leader_of_its_own_and_leaders_stay() {
        let nodes: Vec<NodeEntry> = (1..=3).map(node).collect();
        let young = [leads(1, &[1, 2, 101, 102]), leads(2, &[]), leads(3, &[])];
        let moves: Vec<(u32, usize, String)> =
            plan(&nodes, &young).into_iter().map(|wanted| (wanted.group, wanted.from, wanted.to)).collect();
        assert_eq!(moves, [(2, 0, "2".to_owned()), (101, 0, "3".to_owned()), (102, 0, "2".to_owned())]);
        let spread = [leads(1, &[1]), leads(2, &[2, 102]), leads(3, &[101])];
        assert_eq!(plan(&nodes, &spread), []);
    }
}
