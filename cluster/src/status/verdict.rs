//! The verdict on a cluster: what its queue nodes and its app nodes come to. Pure.
//!
//! Must never: hold queue nodes against app nodes; groups of different kinds have nothing to do with each other.

use proto::verdict;

use crate::admin::View;

/// What is to be said of a cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// The word and its reasons.
    pub(crate) spoken: verdict::Verdict,
    /// The nodes as they were seen, in the order of the cluster's file.
    pub(crate) views: Vec<View>,
}

impl Verdict {
    /// Speaks over the nodes of each kind, all of which are to hold every group.
    pub(crate) fn over(kinds: &[(&str, Vec<View>)]) -> Self {
        let mut verdict = Self::default();
        for (kind, views) in kinds {
            let seen: Vec<_> = views.iter().map(|view| (view.node.as_str(), &view.answer)).collect();
            verdict.spoken.judge(&format!("{kind} "), &seen, |_, _| true);
            verdict.views.extend(views.iter().cloned());
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use proto::admin::v1::{GroupStatus, Role, StatusReply};

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
        assert_eq!(verdict.spoken.reasons, reasons);
        assert_eq!(verdict.spoken.word(), word);
    }

    #[test]
    fn a_cluster_is_healthy_if_every_member_is_up_and_caught_up() {
        let follower = || replica(Role::Follower, 3, "1", 90, 90);
        let leader = || replica(Role::Leader, 3, "1", 100, 100);
        check(vec![up("1", leader()), up("2", follower()), up("3", follower())], "healthy", &[]);
        // A cluster without app nodes has nothing to say of them.
        assert!(Verdict::over(&[("queue", vec![up("1", leader())]), ("app", vec![])]).spoken.is_healthy());
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
        let mut recovered = replica(Role::Leader, 3, "1", 1000, 1000);
        recovered.read_only = true;
        let why = "queue group 1: node 1 is read-only since it was recovered, until an audit holds (`cluster lift`)";
        check(vec![up("1", recovered)], "degraded", &[why]);
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
        assert!(Verdict::over(&[("queue", queue), ("app", app)]).spoken.is_healthy());
    }
}
