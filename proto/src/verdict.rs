//! What the answers of nodes come to: one word on a cluster and the reasons for it, and whether an audit holds. Pure.
//!
//! Why here: the operators' command and the console of a node say the same of the same answers.
//!
//! Must never: call a cluster healthy that lacks a node, a leader, or the entries that the leader has.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::admin::v1::{AuditReply, GroupStatus, Role, StatusReply};
use crate::limits::LAG_ENTRIES_MAX;

/// A node by its name, and its status or why there is none.
pub type Seen<'a> = (&'a str, &'a Result<StatusReply, String>);

/// A node that answered, and its replica of a group.
type Holder<'a> = (&'a str, Option<&'a GroupStatus>);

/// What is to be said of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why it is not healthy; empty if it is.
    pub reasons: Vec<String>,
    /// Whether a group cannot serve.
    pub is_unavailable: bool,
}

impl Verdict {
    /// Whether every member is up and caught up.
    #[must_use]
    pub const fn is_healthy(&self) -> bool {
        self.reasons.is_empty()
    }

    /// The verdict in one word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match (self.is_healthy(), self.is_unavailable) {
            (true, _) => "healthy",
            (false, false) => "degraded",
            (false, true) => "unavailable",
        }
    }

    /// Speaks over nodes of one kind, whose groups have nothing to do with those of another. `kind` stands before "group"
    /// and "node" in the reasons: "queue ", or nothing. `is_member` tells whether a node is to hold a group, whose leader
    /// is given if it has one.
    pub fn judge(&mut self, kind: &str, nodes: &[Seen], is_member: impl Fn(&str, Option<&GroupStatus>) -> bool) {
        for (node, answer) in nodes {
            match answer {
                Err(reason) => self.reasons.push(format!("node {node} is down: {reason}")),
                Ok(status) if !status.quarantined.is_empty() => {
                    self.reasons.push(format!("node {node} is quarantined: {}", status.quarantined));
                }
                Ok(_) => {}
            }
        }
        let up: Vec<(&str, &StatusReply)> =
            nodes.iter().filter_map(|(node, answer)| Some((*node, answer.as_ref().ok()?))).collect();
        let groups: BTreeSet<u32> = up.iter().flat_map(|(_, status)| &status.groups).map(|group| group.group).collect();
        if groups.is_empty() && !nodes.is_empty() {
            self.is_unavailable = true;
            self.reasons.push(format!("no {kind}node knows of a group"));
        }
        for group in groups {
            let holders = up.iter().map(|(node, status)| (*node, status.groups.iter().find(|of| of.group == group)));
            let holders: Vec<Holder> = holders.collect();
            self.judge_group(&format!("{kind}group {group}"), &holders, &is_member);
        }
    }

    fn judge_group(
        &mut self,
        group: &str,
        holders: &[Holder],
        is_member: &impl Fn(&str, Option<&GroupStatus>) -> bool,
    ) {
        let leads = holders.iter().filter_map(|(node, replica)| Some((*node, (*replica)?)));
        let leads: Vec<(&str, &GroupStatus)> = leads.filter(|(_, replica)| replica.role() == Role::Leader).collect();
        // A leader of an earlier term has not heard yet that it leads no more.
        let leader = leads.iter().map(|(_, replica)| *replica).min_by_key(|replica| Reverse(replica.term));
        let members: Vec<&Holder> = holders.iter().filter(|(node, _)| is_member(node, leader)).collect();
        for (node, _) in members.iter().filter(|(_, replica)| replica.is_none()) {
            self.reasons.push(format!("{group}: node {node} has no replica of it"));
        }
        let mut terms: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for (node, replica) in leads {
            terms.entry(replica.term).or_default().push(node);
        }
        for (term, nodes) in terms.iter().filter(|(_, nodes)| nodes.len() > 1) {
            self.reasons.push(format!("{group}: two leaders in term {term}: nodes {}", nodes.join(", ")));
        }
        if leader.is_none() {
            self.is_unavailable = true;
            self.reasons.push(format!("{group}: no leader"));
        }
        for (node, replica) in members.iter().filter_map(|(node, replica)| Some((*node, (*replica)?))) {
            let faults = faults(replica, leader);
            self.reasons.extend(faults.iter().map(|fault| format!("{group}: node {node} {fault}")));
        }
    }
}

/// What is wrong with a replica.
fn faults(replica: &GroupStatus, leader: Option<&GroupStatus>) -> Vec<String> {
    let mut faults = Vec::new();
    if !replica.parked.is_empty() {
        faults.push(format!("is parked: {}", replica.parked));
    }
    if replica.read_only {
        faults.push("is read-only since it was recovered, until an audit holds (`cluster lift`)".to_owned());
    }
    if matches!(replica.role(), Role::Stopped | Role::Unspecified) {
        faults.push("has stopped".to_owned());
    }
    let Some(leader) = leader else { return faults };
    if replica.leader != leader.leader {
        faults.push("does not follow the leader".to_owned());
    }
    let behind = leader.committed_index.saturating_sub(replica.applied_index);
    if behind > LAG_ENTRIES_MAX {
        faults.push(format!("is {behind} entries behind"));
    }
    faults
}

/// Whether the money is right. An audit that looked at nothing proves nothing.
#[must_use]
pub fn holds(reply: &AuditReply) -> bool {
    reply.ok && !reply.items.is_empty() && reply.items.iter().all(|item| item.ok)
}
