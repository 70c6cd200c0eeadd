//! The verdict on the queue's cluster, from what every node says of itself: one word and the reasons. Pure.
//!
//! The words and rules are those of `cluster status`; the console sees the queue's nodes only.
//!
//! Must never: call a cluster healthy that lacks a node, a leader, or the entries that the leader has.

use std::collections::{BTreeMap, BTreeSet};

use proto::admin::v1::{GroupStatus, Role, StatusReply};

use super::limits::LAG_ENTRIES_MAX;

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

/// What is to be said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) reasons: Vec<String>,
    pub(super) is_unavailable: bool,
}

impl Verdict {
    pub(super) const fn word(&self) -> &'static str {
        match (self.reasons.is_empty(), self.is_unavailable) {
            (true, _) => "healthy",
            (false, false) => "degraded",
            (false, true) => "unavailable",
        }
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

/// Speaks over the nodes.
pub(super) fn judge(views: &[View]) -> Verdict {
    let mut verdict = Verdict::default();
    for view in views {
        match &view.answer {
            Err(reason) => verdict.reasons.push(format!("node {} is down: {reason}", view.node)),
            Ok(status) if !status.quarantined.is_empty() => {
                verdict.reasons.push(format!("node {} is quarantined: {}", view.node, status.quarantined));
            }
            Ok(_) => {}
        }
    }
    let groups = groups(views);
    if groups.is_empty() {
        verdict.is_unavailable = true;
        verdict.reasons.push("no node knows of a group".to_owned());
    }
    for group in groups {
        judge_group(&mut verdict, views, group);
    }
    verdict
}

fn judge_group(verdict: &mut Verdict, views: &[View], group: u32) {
    let mut terms: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for view in views {
        if let Some(replica) = view.replica(group).filter(|replica| replica.role() == Role::Leader) {
            terms.entry(replica.term).or_default().push(view.node.to_string());
        }
    }
    for (term, nodes) in terms.iter().filter(|(_, nodes)| nodes.len() > 1) {
        verdict.reasons.push(format!("group {group}: two leaders in term {term}: nodes {}", nodes.join(", ")));
    }
    let Some((_, leader)) = leader(views, group) else {
        verdict.is_unavailable = true;
        verdict.reasons.push(format!("group {group}: no leader"));
        return;
    };
    // Who belongs to the group is the leader's to say: not every node holds every group.
    let members = views.iter().filter(|view| leader.members.iter().any(|member| member.node == view.node.to_string()));
    for view in members.filter(|view| view.answer.is_ok()) {
        let found = view.replica(group).map_or_else(|| vec!["has no replica of it".to_owned()], |r| faults(r, leader));
        verdict.reasons.extend(found.iter().map(|fault| format!("group {group}: node {} {fault}", view.node)));
    }
}

/// What is wrong with a replica.
fn faults(replica: &GroupStatus, leader: &GroupStatus) -> Vec<String> {
    let mut faults = Vec::new();
    if !replica.parked.is_empty() {
        faults.push(format!("is parked: {}", replica.parked));
    }
    if matches!(replica.role(), Role::Stopped | Role::Unspecified) {
        faults.push("has stopped".to_owned());
    }
    if replica.leader != leader.leader {
        faults.push("does not follow the leader".to_owned());
    }
    let behind = leader.committed_index.saturating_sub(replica.applied_index);
    if behind > LAG_ENTRIES_MAX {
        faults.push(format!("is {behind} entries behind"));
    }
    faults
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
