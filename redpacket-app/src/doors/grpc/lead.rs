//! Spreading leads: each group has a member that should lead it, and that member asks for the lead.
//!
//! ```text
//!  group 1 ─> second member     group 2 ─> third     group 3 ─> first ...      (group mod members)
//! ```
//!
//! Why: groups that start together tend to elect the same node, which would then do all the work, and whose loss would
//! stop ledger and packets at once. Who asks is alive and has caught up, so a lead never goes to a node that is down.
//!
//! Must never: ask while this node lags behind, or when another node is the right one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use machine::GroupId;
use proto::admin::v1::TransferLeaderRequest;
use proto::admin::v1::admin_client::AdminClient;
use replica::{GroupStatus, Replica, Role};
use tls::Way;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::transport::Endpoint;

use crate::limits::LEAD_LOOK_EVERY;

const ASK_DEADLINE: Duration = Duration::from_secs(5);

/// Asks, until `stop`, for the leads that are this node's.
pub(crate) async fn spread(replica: Arc<Replica>, way: Way, mut stop: watch::Receiver<bool>) {
    let mut before: BTreeMap<GroupId, u64> = BTreeMap::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LEAD_LOOK_EVERY) => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
        let groups = replica.status();
        for group in &groups {
            // A leader that was there at the last look, too: elections settle by themselves first.
            let Some(leader) = misplaced(group, replica.node()) else { continue };
            if before.get(&group.group) == group.leader.as_ref() {
                let asked = timeout(ASK_DEADLINE, ask(&way, leader, group.group, replica.node())).await;
                tracing::debug!(group = group.group.0, leader, ?asked, "asked for a lead");
            }
        }
        before = groups.iter().filter_map(|group| Some((group.group, group.leader?))).collect();
    }
}

/// The leader's address, if `node` should lead the group in its place and can.
fn misplaced(group: &GroupStatus, node: u64) -> Option<&str> {
    let place = usize::try_from(group.group.0).ok()?.checked_rem(group.members.len())?;
    let mut members: Vec<u64> = group.members.iter().map(|(member, _, _)| *member).collect();
    members.sort_unstable();
    let is_mine = members.get(place) == Some(&node);
    let is_able = group.role == Role::Follower && group.trouble.is_none() && group.applied >= group.committed;
    let leader = group.leader.filter(|leader| is_mine && is_able && *leader != node)?;
    group.members.iter().find(|(member, _, _)| *member == leader).map(|(_, address, _)| address.as_str())
}

async fn ask(way: &Way, leader: &str, group: GroupId, node: u64) -> Result<(), String> {
    let endpoint = Endpoint::try_from(format!("http://{leader}")).map_err(|error| error.to_string())?;
    let channel = way.connected(&endpoint).await.map_err(|error| error.to_string())?;
    let request = TransferLeaderRequest { group: group.0, to: super::admin::node_name(node) };
    AdminClient::new(channel).transfer_leader(request).await.map(|_| ()).map_err(|status| status.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(group: u32, role: Role, leader: Option<u64>, applied: u64) -> GroupStatus {
        GroupStatus {
            group: GroupId(group),
            role,
            term: 1,
            last: 10,
            committed: 10,
            applied,
            snapshot: 0,
            purged: 0,
            leader,
            members: (1..=3).map(|node| (node, format!("node-{node}:1"), None)).collect(),
            voters: (1..=3).collect(),
            format: 1,
            is_read_only: false,
            trouble: None,
        }
    }

    #[test]
    fn a_lead_is_asked_for_by_the_member_whose_it_is_once_it_can() {
        let table = [
            // group, role, leader, applied, node, asked
            (1, Role::Follower, Some(1), 10, 2, Some("node-1:1")),
            (1, Role::Follower, Some(1), 10, 3, None),
            (1, Role::Follower, Some(1), 9, 2, None),
            (1, Role::Follower, None, 10, 2, None),
            (1, Role::Leader, Some(2), 10, 2, None),
            (102, Role::Follower, Some(3), 10, 1, Some("node-3:1")),
        ];
        for (group, role, leader, applied, node, asked) in table {
            assert_eq!(misplaced(&status(group, role, leader, applied), node), asked, "{group} {node}");
        }
    }
}
