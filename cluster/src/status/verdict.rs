//! The verdict: from what every node says of itself to one word and the reasons for it. Pure.
//!
//! Must never: call a cluster healthy that lacks a node, a leader, or the entries that the leader has.

use std::collections::{BTreeMap, BTreeSet};

use proto::admin::v1::{GroupStatus, Role, StatusReply};

use crate::admin::View;
use crate::limits::LAG_ENTRIES_MAX;

/// What is to be said of a cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// Why it is not healthy; empty if it is.
    pub(crate) reasons: Vec<String>,
    /// Whether a group cannot serve.
    pub(crate) is_unavailable: bool,
    /// The nodes as they were seen, in the order of the cluster's file.
    pub(crate) views: Vec<View>,
}

impl Verdict {
    /// Speaks over the nodes of each kind; groups of different kinds have nothing to do with each other.
    pub(crate) fn over(kinds: &[(&str, Vec<View>)]) -> Self {
        let mut verdict = Self::default();
        for (kind, views) in kinds {
            verdict.judge_nodes(views);
            verdict.judge_groups(kind, views);
            verdict.views.extend(views.iter().cloned());
        }
        verdict
    }

    /// Whether every member is up and caught up.
    pub(crate) fn is_healthy(&self) -> bool {
        self.reasons.is_empty()
    }

    /// The verdict in one word.
    pub(crate) fn word(&self) -> &'static str {
        match (self.is_healthy(), self.is_unavailable) {
            (true, _) => "healthy",
            (false, false) => "degraded",
            (false, true) => "unavailable",
        }
    }

    fn judge_nodes(&mut self, views: &[View]) {
        for View { node, answer } in views {
            match answer {
                Err(reason) => self.reasons.push(format!("node {node} is down: {reason}")),
                Ok(status) if !status.quarantined.is_empty() => {
                    self.reasons.push(format!("node {node} is quarantined: {}", status.quarantined));
                }
                Ok(_) => {}
            }
        }
    }

    fn judge_groups(&mut self, kind: &str, views: &[View]) {
        let up: Vec<(&str, &StatusReply)> =
            views.iter().filter_map(|view| Some((view.node.as_str(), view.answer.as_ref().ok()?))).collect();
        let groups: BTreeSet<u32> = up.iter().flat_map(|(_, status)| &status.groups).map(|group| group.group).collect();
        if groups.is_empty() && !views.is_empty() {
            self.is_unavailable = true;
            self.reasons.push(format!("no {kind} node knows of a group"));
        }
        for group in groups {
            let replica =
                |status: &'_ StatusReply| status.groups.iter().find(|replica| replica.group == group).cloned();
            let replicas: Vec<(&str, Option<GroupStatus>)> =
                up.iter().map(|(node, status)| (*node, replica(status))).collect();
            self.judge_group(&format!("{kind} group {group}"), &replicas);
        }
    }

    fn judge_group(&mut self, group: &str, replicas: &[(&str, Option<GroupStatus>)]) {
        let mut leaders: BTreeMap<u64, Vec<(&str, &GroupStatus)>> = BTreeMap::new();
        for (node, replica) in replicas {
            match replica {
                None => self.reasons.push(format!("{group}: node {node} has no replica of it")),
                Some(replica) if replica.role() == Role::Leader => {
                    leaders.entry(replica.term).or_default().push((node, replica));
                }
                Some(_) => {}
            }
        }
        for (term, nodes) in leaders.iter().filter(|(_, nodes)| nodes.len() > 1) {
            let names: Vec<&str> = nodes.iter().map(|(node, _)| *node).collect();
            self.reasons.push(format!("{group}: two leaders in term {term}: nodes {}", names.join(", ")));
        }
        // A leader of an earlier term has not heard yet that it leads no more.
        let leader = leaders.last_key_value().and_then(|(_, nodes)| nodes.first().copied());
        if leader.is_none() {
            self.is_unavailable = true;
            self.reasons.push(format!("{group}: no leader"));
        }
        for (node, replica) in replicas.iter().filter_map(|(node, replica)| Some((*node, replica.as_ref()?))) {
            self.judge_replica(group, node, replica, leader.map(|(_, leader)| leader));
        }
    }

    fn judge_replica(&mut self, group: &str, node: &str, replica: &GroupStatus, leader: Option<&GroupStatus>) {
        if !replica.parked.is_empty() {
            self.reasons.push(format!("{group}: node {node} is parked: {}", replica.parked));
        }
        match replica.role() {
            Role::Stopped | Role::Unspecified => {
                self.reasons.push(format!("{group}: node {node} has stopped"));
            }
            Role::Candidate | Role::Learner | Role::Leader | Role::Follower => {}
        }
        let Some(leader) = leader else { return };
        if replica.leader != leader.leader {
            self.reasons.push(format!("{group}: node {node} does not follow the leader"));
        }
        let behind = leader.committed_index.saturating_sub(replica.applied_index);
        if behind > LAG_ENTRIES_MAX {
            self.reasons.push(format!("{group}: node {node} is {behind} entries behind"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A replica: role, term, leader, committed, applied.
    fn replica(role: Role, term: u64, leader: &str, committed: u64, applied: u64) -> GroupStatus {
        GroupStatus {
            group: 1,
            role: role.into(),
            term,
            leader: leader.to_owned(),
            committed_index: committed,
            applied_index: applied,
            ..GroupStatus::default()
        }
    }

    fn up(node: &str, replica: GroupStatus) -> View {
        let status = StatusReply { node: node.to_owned(), groups: vec![replica], ..StatusReply::default() };
        View { node: node.to_owned(), answer: Ok(status) }
    }

    fn down(node: &str) -> View {
        View { node: node.to_owned(), answer: Err("cannot be reached".to_owned()) }
    }

    fn check(views: Vec<View>, word: &str, reasons: &[&str]) {
        let verdict = Verdict::over(&[("queue", views)]);
        assert_eq!(verdict.reasons, reasons);
        assert_eq!(verdict.word(), word);
    }

    #[test]
    fn a_cluster_is_healthy_if_every_member_is_up_and_caught_up() {
        let follower = || replica(Role::Follower, 3, "1", 90, 90);
        let leader = || replica(Role::Leader, 3, "1", 100, 100);
        check(vec![up("1", leader()), up("2", follower()), up("3", follower())], "healthy", &[]);
        // A cluster without app nodes has nothing to say of them.
        assert!(Verdict::over(&[("queue", vec![up("1", leader())]), ("app", vec![])]).is_healthy());
    }

    #[test]
    fn every_fault_is_a_reason() {
        let leader = || up("1", replica(Role::Leader, 3, "1", 1000, 1000));
        let follower = |node: &str| up(node, replica(Role::Follower, 3, "1", 1000, 1000));
        check(vec![leader(), follower("2"), down("3")], "degraded", &["node 3 is down: cannot be reached"]);
        check(
            vec![leader(), follower("2"), up("3", replica(Role::Follower, 3, "1", 1000, 743))],
            "degraded",
            &["queue group 1: node 3 is 257 entries behind"],
        );
        check(
            vec![leader(), up("2", replica(Role::Candidate, 4, "", 1000, 1000))],
            "degraded",
            &["queue group 1: node 2 does not follow the leader"],
        );
        check(
            vec![leader(), up("2", replica(Role::Leader, 3, "2", 1000, 1000))],
            "degraded",
            &["queue group 1: two leaders in term 3: nodes 1, 2", "queue group 1: node 2 does not follow the leader"],
        );
        let mut parked = replica(Role::Follower, 3, "1", 1000, 1000);
        parked.parked = "entry 7".to_owned();
        check(vec![leader(), up("2", parked)], "degraded", &["queue group 1: node 2 is parked: entry 7"]);
        let mut quarantined = follower("2");
        if let Ok(status) = &mut quarantined.answer {
            status.quarantined = "lost its log".to_owned();
        }
        check(vec![leader(), quarantined], "degraded", &["node 2 is quarantined: lost its log"]);
        let empty = View { node: "2".to_owned(), answer: Ok(StatusReply::default()) };
        check(vec![leader(), empty], "degraded", &["queue group 1: node 2 has no replica of it"]);
        let mut stopped = replica(Role::Stopped, 3, "1", 1000, 1000);
        stopped.parked = "disk".to_owned();
        check(
            vec![leader(), up("2", stopped)],
            "degraded",
            &["queue group 1: node 2 is parked: disk", "queue group 1: node 2 has stopped"],
        );
    }

    #[test]
    fn a_group_without_a_leader_makes_the_cluster_unavailable() {
        let lost = up("2", replica(Role::Candidate, 4, "", 10, 10));
        check(vec![down("1"), lost], "unavailable", &["node 1 is down: cannot be reached", "queue group 1: no leader"]);
        check(vec![down("1")], "unavailable", &["node 1 is down: cannot be reached", "no queue node knows of a group"]);
    }

    #[test]
    fn of_two_leaders_in_different_terms_the_later_one_counts() {
        let old = up("1", replica(Role::Leader, 3, "1", 10, 10));
        let new = up("2", replica(Role::Leader, 4, "2", 11, 11));
        check(vec![old, new], "degraded", &["queue group 1: node 1 does not follow the leader"]);
    }

    #[test]
    fn groups_of_different_kinds_are_judged_apart() {
        let queue = vec![up("1", replica(Role::Leader, 3, "1", 10_000, 10_000))];
        let app = vec![up("a1", replica(Role::Leader, 3, "a1", 10, 10))];
        assert!(Verdict::over(&[("queue", queue), ("app", app)]).is_healthy());
    }
}
