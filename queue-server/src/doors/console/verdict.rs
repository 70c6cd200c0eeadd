//! The nodes as the console sees them, and the verdict on them. Pure.
//!
//! Must never: have rules of its own for a verdict; `cluster status` speaks by the same ones.

use std::collections::BTreeSet;

use proto::admin::v1::{GroupStatus, Role, StatusReply};
use proto::verdict::Verdict;

/// A node and what it said, or why it said nothing.
pub(super) struct View {
    pub(super) node: u64,
    pub(super) grpc: String,
    pub(super) answer: Result<StatusReply, String>,
}

impl View {
    /// The node's replica of a group.
    pub(super) fn replica(&self, group: u32) -> Option<&GroupStatus> {
        self.answer.as_ref().ok()?.groups.iter().find(|replica| replica.group == group)
    }
}

/// The groups that any node knows of.
pub(super) fn groups(views: &[View]) -> BTreeSet<u32> {
    let answers = views.iter().filter_map(|view| view.answer.as_ref().ok());
    answers.flat_map(|status| &status.groups).map(|replica| replica.group).collect()
}

/// The leader of a group: of two that say so, the one of the later term is right.
pub(super) fn leader(views: &[View], group: u32) -> Option<(u64, &GroupStatus)> {
    let replicas = views.iter().filter_map(|view| Some((view.node, view.replica(group)?)));
    replicas.filter(|(_, replica)| replica.role() == Role::Leader).max_by_key(|(_, replica)| replica.term)
}

/// Speaks over the nodes. Who belongs to a group is its leader's to say: not every node holds every group.
pub(super) fn judge(views: &[View]) -> Verdict {
    let names: Vec<String> = views.iter().map(|view| view.node.to_string()).collect();
    let seen: Vec<_> = names.iter().map(String::as_str).zip(views.iter().map(|view| &view.answer)).collect();
    let is_member = |node: &str, leader: Option<&GroupStatus>| {
        leader.is_some_and(|leader| leader.members.iter().any(|member| member.node == node))
    };
    let mut verdict = Verdict::default();
    verdict.judge("", &seen, is_member);
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::admin::v1::Member;

    fn replica(role: Role, term: u64, leader: &str, index: u64) -> GroupStatus {
        let member = |node: &str| Member { node: node.to_owned(), is_voter: true, ..Member::default() };
        GroupStatus {
            group: 1,
            role: role.into(),
            term,
            leader: leader.to_owned(),
            committed_index: index,
            applied_index: index,
            members: ["1", "2", "3"].map(member).to_vec(),
            ..GroupStatus::default()
        }
    }

    fn view(node: u64, answer: Result<GroupStatus, &str>) -> View {
        let status = |replica| StatusReply { groups: vec![replica], ..StatusReply::default() };
        View { node, grpc: String::new(), answer: answer.map(status).map_err(str::to_owned) }
    }

    fn check(views: &[View], word: &str, reasons: &[&str]) {
        let verdict = judge(views);
        assert_eq!((verdict.word(), &verdict.reasons[..]), (word, &owned(reasons)[..]));
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn every_fault_of_a_cluster_is_a_reason() {
        let lead = || view(1, Ok(replica(Role::Leader, 3, "1", 1000)));
        let follow = |node| view(node, Ok(replica(Role::Follower, 3, "1", 1000)));
        check(&[lead(), follow(2), follow(3)], "healthy", &[]);
        check(&[lead(), follow(2), view(3, Err("refused"))], "degraded", &["node 3 is down: refused"]);
        check(
            &[lead(), follow(2), view(3, Ok(replica(Role::Follower, 3, "1", 743)))],
            "degraded",
            &["group 1: node 3 is 257 entries behind"],
        );
        check(
            &[lead(), view(2, Ok(replica(Role::Candidate, 4, "", 1000)))],
            "degraded",
            &["group 1: node 2 does not follow the leader"],
        );
        check(
            &[lead(), view(2, Ok(replica(Role::Leader, 3, "1", 1000)))],
            "degraded",
            &["group 1: two leaders in term 3: nodes 1, 2"],
        );
        let parked = GroupStatus { parked: "entry 7".to_owned(), ..replica(Role::Stopped, 3, "1", 1000) };
        check(
            &[lead(), view(2, Ok(parked))],
            "degraded",
            &["group 1: node 2 is parked: entry 7", "group 1: node 2 has stopped"],
        );
        let mut quarantined = follow(2);
        quarantined.answer = quarantined.answer.map(|mut status| {
            status.quarantined = "lost its log".to_owned();
            status
        });
        check(&[lead(), quarantined], "degraded", &["node 2 is quarantined: lost its log"]);
        let empty = View { node: 2, grpc: String::new(), answer: Ok(StatusReply::default()) };
        check(&[lead(), empty], "degraded", &["group 1: node 2 has no replica of it"]);
        let spare = View { node: 4, grpc: String::new(), answer: Ok(StatusReply::default()) };
        check(&[lead(), follow(2), spare], "healthy", &[]);
    }

    #[test]
    fn a_group_without_a_leader_makes_the_cluster_unavailable() {
        check(
            &[view(1, Err("refused")), view(2, Ok(replica(Role::Candidate, 4, "", 10)))],
            "unavailable",
            &["node 1 is down: refused", "group 1: no leader"],
        );
        check(&[view(1, Err("refused"))], "unavailable", &["node 1 is down: refused", "no node knows of a group"]);
    }

    #[test]
    fn of_two_leaders_the_one_of_the_later_term_leads() {
        let old = view(1, Ok(replica(Role::Leader, 3, "1", 10)));
        let new = view(2, Ok(replica(Role::Leader, 4, "2", 11)));
        let views = [old, new];
        assert_eq!(leader(&views, 1).map(|(node, _)| node), Some(2));
        check(&views, "degraded", &["group 1: node 1 does not follow the leader"]);
    }
}
