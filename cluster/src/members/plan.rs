//! What may be done to a cluster, judged from what its nodes say: may a node stop, which leads should move. Pure.
//!
//! Must never: call a stop safe that leaves a group without a majority of voters that are up and caught up.

use std::collections::{BTreeMap, BTreeSet};

use proto::admin::v1::{GroupStatus, Role, StatusReply};
use proto::limits::LAG_ENTRIES_MAX;

use crate::admin::View;

/// A group as its leader sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Led<'a> {
    /// The node that leads.
    pub(crate) leader: &'a str,
    /// What it says.
    pub(crate) status: &'a GroupStatus,
}

/// The nodes that answered.
fn up(views: &[View]) -> impl Iterator<Item = (&str, &StatusReply)> {
    views.iter().filter_map(|view| Some((view.node.as_str(), view.answer.as_ref().ok()?)))
}

/// Every group that a node knows of, and its leader if it has one.
pub(crate) fn groups(views: &[View]) -> BTreeMap<u32, Option<Led<'_>>> {
    let mut found: BTreeMap<u32, Option<Led<'_>>> = BTreeMap::new();
    for (node, status) in up(views) {
        for group in &status.groups {
            let known = found.entry(group.group).or_default();
            // Of two that lead, the one of the later term does.
            if group.role() == Role::Leader && known.is_none_or(|known| known.status.term < group.term) {
                *known = Some(Led { leader: node, status: group });
            }
        }
    }
    found
}

/// The voters of a group that are up and have what it has committed.
fn serving<'a>(views: &'a [View], led: &Led<'_>) -> BTreeSet<&'a str> {
    let voters = voters(led.status);
    let serves = |status: &StatusReply| {
        let replica = status.groups.iter().find(|group| group.group == led.status.group);
        replica.is_some_and(|replica| {
            matches!(replica.role(), Role::Leader | Role::Follower)
                && replica.parked.is_empty()
                && led.status.committed_index.saturating_sub(replica.applied_index) <= LAG_ENTRIES_MAX
        })
    };
    up(views).filter(|(node, status)| voters.contains(node) && serves(status)).map(|(node, _)| node).collect()
}

/// The voters of a group.
pub(crate) fn voters(status: &GroupStatus) -> BTreeSet<&str> {
    status.members.iter().filter(|member| member.is_voter).map(|member| member.node.as_str()).collect()
}

/// Why `node` must not stop now; empty if it may.
pub(crate) fn unsafe_to_stop(views: &[View], node: &str) -> Vec<String> {
    let groups = groups(views);
    let mut reasons = Vec::new();
    if groups.is_empty() {
        reasons.push("no node answers".to_owned());
    }
    for (group, led) in groups {
        let Some(led) = led else {
            reasons.push(format!("group {group} has no leader"));
            continue;
        };
        let voters = voters(led.status);
        if !voters.contains(node) {
            continue;
        }
        let left = serving(views, &led).into_iter().filter(|other| *other != node).count();
        if left <= voters.len() / 2 {
            let all = voters.len();
            reasons.push(format!("group {group}: {left} of {all} voters would be left that are up and caught up"));
        }
    }
    reasons
}

/// Why `node` must not be drained; empty if it may. A lead needs somebody to take it, whoever fails next.
pub(crate) fn unsafe_to_drain(views: &[View], node: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    for (group, led) in groups(views) {
        let Some(led) = led else {
            reasons.push(format!("group {group} has no leader"));
            continue;
        };
        let is_drained = |other: &str| up(views).any(|(name, status)| name == other && status.drained);
        let left = serving(views, &led).into_iter().filter(|other| *other != node && !is_drained(other)).count();
        if left <= voters(led.status).len() / 2 && voters(led.status).len() > 1 {
            reasons.push(format!("group {group}: {left} voters would be left that may lead"));
        }
    }
    reasons
}

/// Leads that should move, as (group, from, to): afterwards no node leads two groups more than another that could.
pub(crate) fn rebalance(views: &[View]) -> Vec<(u32, String, String)> {
    let drained: BTreeSet<&str> = up(views).filter(|(_, status)| status.drained).map(|(node, _)| node).collect();
    let mut leads: BTreeMap<u32, (&str, BTreeSet<&str>)> = BTreeMap::new();
    let mut count: BTreeMap<&str, usize> = up(views).map(|(node, _)| (node, 0)).collect();
    for (group, led) in groups(views) {
        let Some(led) = led else { continue };
        let candidates = serving(views, &led).into_iter().filter(|node| !drained.contains(node)).collect();
        *count.entry(led.leader).or_default() += 1;
        leads.insert(group, (led.leader, candidates));
    }
    let mut moves = Vec::new();
    // Each move makes the counts more even, so there is an end; the bound is for readers.
    for _ in 0..leads.len().saturating_mul(leads.len()) {
        let load = |node: &str| count.get(node).copied().unwrap_or(0);
        let better = leads.iter().filter_map(|(group, (leader, candidates))| {
            let to = candidates.iter().copied().min_by_key(|node| load(node))?;
            (drained.contains(leader) || load(to) + 1 < load(leader)).then_some((*group, *leader, to))
        });
        // From whoever leads most, so that few moves are enough.
        let Some((group, from, to)) = better.max_by_key(|(_, from, _)| (drained.contains(from), load(from))) else {
            break;
        };
        *count.entry(from).or_default() -= 1;
        *count.entry(to).or_default() += 1;
        if let Some(lead) = leads.get_mut(&group) {
            lead.0 = to;
        }
        moves.push((group, from.to_owned(), to.to_owned()));
    }
    moves
}

#[cfg(test)]
mod tests {
    use proto::admin::v1::Member;

    use super::*;

    /// Nodes "1".."n" with groups led as `leaders` says (group number = place); `behind` nodes lack entries.
    fn views(nodes: &[&str], leaders: &[&str], behind: &[&str], drained: &[&str]) -> Vec<View> {
        let members = |leader: bool| {
            let member = |node: &&str| Member { node: (*node).to_owned(), is_voter: true, ..Member::default() };
            if leader { nodes.iter().map(member).collect() } else { Vec::new() }
        };
        let group = |node: &str, group: usize, leader: &str| GroupStatus {
            group: u32::try_from(group).expect("few groups"),
            role: if node == leader { Role::Leader } else { Role::Follower }.into(),
            term: 1,
            committed_index: 1000,
            applied_index: if behind.contains(&node) { 1 } else { 1000 },
            leader: leader.to_owned(),
            members: members(node == leader),
            ..GroupStatus::default()
        };
        let view = |node: &&str| {
            let groups = leaders.iter().enumerate().map(|(place, leader)| group(node, place, leader)).collect();
            let drained = drained.contains(node);
            let status = StatusReply { node: (*node).to_owned(), groups, drained, ..StatusReply::default() };
            View { node: (*node).to_owned(), answer: Ok(status) }
        };
        nodes.iter().map(view).collect()
    }

    fn without(mut views: Vec<View>, dead: &str) -> Vec<View> {
        let view = views.iter_mut().find(|view| view.node == dead).expect("the node is there");
        view.answer = Err("cannot be reached".to_owned());
        views
    }

    #[test]
    fn a_node_may_stop_if_a_majority_of_caught_up_voters_is_left() {
        let three = || views(&["1", "2", "3"], &["1", "2"], &[], &[]);
        assert!(unsafe_to_stop(&three(), "1").is_empty());
        let blocked = unsafe_to_stop(&without(three(), "3"), "2");
        assert_eq!(blocked.len(), 2, "{blocked:?}");
        // Who is down already may stay down.
        assert!(unsafe_to_stop(&without(three(), "3"), "3").is_empty());
        let lagging = views(&["1", "2", "3"], &["1"], &["3"], &[]);
        assert_eq!(unsafe_to_stop(&lagging, "2"), ["group 0: 1 of 3 voters would be left that are up and caught up"]);
        assert!(unsafe_to_stop(&lagging, "3").is_empty());
        assert_eq!(unsafe_to_stop(&without(three(), "1"), "9")[0], "group 0 has no leader");
        assert_eq!(unsafe_to_stop(&[], "1"), ["no node answers"]);
        let five = views(&["1", "2", "3", "4", "5"], &["1"], &[], &[]);
        assert!(unsafe_to_stop(&without(five, "5"), "4").is_empty());
    }

    #[test]
    fn a_minority_may_be_drained() {
        let three = views(&["1", "2", "3"], &["1"], &[], &[]);
        assert!(unsafe_to_drain(&three, "1").is_empty());
        let one_drained = views(&["1", "2", "3"], &["1"], &[], &["2"]);
        assert_eq!(unsafe_to_drain(&one_drained, "3").len(), 1);
        assert!(unsafe_to_drain(&one_drained, "2").is_empty(), "what is drained may be drained again");
    }

    #[test]
    fn leads_are_spread_over_whoever_may_lead() {
        let check = |leaders: &[&str], drained: &[&str], expected: usize| {
            let views = views(&["1", "2", "3"], leaders, &[], drained);
            let moves = rebalance(&views);
            assert_eq!(moves.len(), expected, "{leaders:?} {drained:?}: {moves:?}");
            assert!(moves.iter().all(|(_, _, to)| !drained.contains(&to.as_str())), "{moves:?}");
        };
        check(&["1", "2", "3"], &[], 0);
        check(&["1", "1", "1"], &[], 2);
        check(&["1", "1"], &[], 1);
        check(&["1", "1", "2", "2", "2", "2"], &[], 2);
        check(&["1", "2", "2"], &["1"], 1);
        check(&["1"], &["1"], 1);
    }
}
