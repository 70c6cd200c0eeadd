//! Who belongs to a group: a learner is added, promoted to a voter, removed; one change at a time, by the leader.
//!
//! ```text
//!  blank node ─add─> learner (copies itself full, by snapshot if need be) ─promote─> voter ─remove─> nobody
//! ```
//!
//! Why refusals before Raft's own: Raft allows every change that keeps the log safe. It would take a voter away although
//! the rest has no majority alive, or promote a blank one that everybody then waits for.
//!
//! Must never: leave fewer copies than were promised, or voters of whom no majority is alive.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use machine::Machine;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::{ChangeMembershipError, ClientWriteError};
use openraft::impls::BasicNode;
use openraft::{ChangeMembers, Instant as _, RaftMetrics, ServerState};
use tokio::time::timeout;

use super::handle::{Group, READ_ONLY};
use super::raising::known_at;
use crate::limits::{COPIES_MIN, MEMBERS_MAX, NODE_ADDRESS_BYTES_MAX, PROMOTE_LAG_ENTRIES_MAX};
use crate::raft_types::Config;

/// A member that has not answered its leader for so long is not counted as alive.
const ALIVE_WITHIN: Duration = Duration::from_secs(2);
/// A change needs two entries of the group; after this it may or may not have happened.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// A change of a group's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// Add a node that copies the group and does not vote.
    Add {
        /// Its id, never used before.
        node: u64,
        /// Where its gRPC listens, `host:port`.
        address: String,
    },
    /// Let a learner that has caught up vote.
    Promote {
        /// Its id.
        node: u64,
    },
    /// Take a member out of the group.
    Remove {
        /// Its id.
        node: u64,
    },
}

/// Why a group's members were not changed. All but `Unknown`: nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// The mark is this node's alone: another leader would not know of it.
    #[error("{READ_ONLY}")]
    ReadOnly,
    /// Another node leads.
    #[error("this node does not lead the group")]
    NotLeader,
    /// One change at a time.
    #[error("another change of the group's members is under way")]
    UnderWay,
    /// The id is in use at another address.
    #[error("node {node} is a member already, at {address}: an id is never used again")]
    OtherAddress {
        /// The node.
        node: u64,
        /// Its address.
        address: String,
    },
    /// An address that is none, or too many members.
    #[error("{0}")]
    Limit(String),
    /// The node is no member.
    #[error("node {node} is no member of the group")]
    NoMember {
        /// The node.
        node: u64,
    },
    /// A learner that lags would hold up every commit.
    #[error("node {node} is {behind} entries behind; wait until it has caught up")]
    Behind {
        /// The node.
        node: u64,
        /// Entries it lacks.
        behind: u64,
    },
    /// A leader does not remove itself.
    #[error("node {node} leads the group: transfer the lead first")]
    Leads {
        /// The node.
        node: u64,
    },
    /// Three copies were promised.
    #[error("{left} voters would be left, and {COPIES_MIN} copies are promised: add a node first")]
    TooFewCopies {
        /// Voters that would be left.
        left: usize,
    },
    /// The group would stand still.
    #[error("of the {voters} voters that would be left only {alive} answer: no majority")]
    NoMajority {
        /// Voters that would be left.
        voters: usize,
        /// Those of them that answer.
        alive: usize,
    },
    /// It may or may not have happened.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
}

/// What a leader knows of its group when it is asked for a change.
#[derive(Clone, Debug, Default)]
struct Standings {
    node: u64,
    last: u64,
    addresses: BTreeMap<u64, String>,
    voters: BTreeSet<u64>,
    /// Members that answered lately, this node included.
    alive: BTreeSet<u64>,
    matched: BTreeMap<u64, u64>,
    /// The voters to be, if a change was left half done.
    half_done: Option<BTreeSet<u64>>,
}

impl Standings {
    fn of(node: u64, metrics: &RaftMetrics<Config>) -> Self {
        let membership = metrics.membership_config.membership();
        let heartbeat = metrics.heartbeat.iter().flatten();
        let answered = heartbeat.filter(|(_, at)| at.as_ref().is_some_and(|at| at.elapsed() < ALIVE_WITHIN));
        let matched = metrics.replication.iter().flatten();
        let matched = matched.filter_map(|(node, at)| Some((*node, at.as_ref()?.index)));
        Self {
            node,
            last: metrics.last_log_index.unwrap_or(0),
            addresses: membership.nodes().map(|(node, at)| (*node, at.addr.clone())).collect(),
            voters: membership.voter_ids().collect(),
            alive: answered.map(|(node, _)| *node).chain([node]).collect(),
            matched: matched.collect(),
            half_done: membership.get_joint_config().get(1).cloned(),
        }
    }

    /// What Raft is to be asked for; nothing if the members are as they shall be. Refuses: as [`MemberError`], in its order.
    fn judge(&self, change: &MemberChange) -> Result<Option<ChangeMembers<u64, BasicNode>>, MemberError> {
        match change {
            MemberChange::Add { node, address } => self.add(*node, address),
            MemberChange::Promote { node } => self.promote(*node),
            MemberChange::Remove { node } => self.remove(*node),
        }
    }

    fn add(&self, node: u64, address: &str) -> Result<Option<ChangeMembers<u64, BasicNode>>, MemberError> {
        match self.addresses.get(&node) {
            Some(known) if known == address => return Ok(None),
            Some(known) => return Err(MemberError::OtherAddress { node, address: known.clone() }),
            None => {}
        }
        if address.is_empty() || address.len() > NODE_ADDRESS_BYTES_MAX {
            return Err(MemberError::Limit(format!("an address has 1 to {NODE_ADDRESS_BYTES_MAX} bytes")));
        }
        if let Some((other, _)) = self.addresses.iter().find(|(_, known)| *known == address) {
            return Err(MemberError::Limit(format!("node {other} is at {address} already")));
        }
        if self.addresses.len() >= MEMBERS_MAX {
            return Err(MemberError::Limit(format!("a group has {MEMBERS_MAX} members at most")));
        }
        Ok(Some(ChangeMembers::AddNodes([(node, BasicNode { addr: address.to_owned() })].into())))
    }

    fn promote(&self, node: u64) -> Result<Option<ChangeMembers<u64, BasicNode>>, MemberError> {
        if self.voters.contains(&node) {
            return Ok(None);
        }
        if !self.addresses.contains_key(&node) {
            return Err(MemberError::NoMember { node });
        }
        let behind = self.last.saturating_sub(self.matched.get(&node).copied().unwrap_or(0));
        if behind > PROMOTE_LAG_ENTRIES_MAX {
            return Err(MemberError::Behind { node, behind });
        }
        self.has_majority(&self.voters.iter().copied().chain([node]).collect())?;
        Ok(Some(ChangeMembers::AddVoterIds([node].into())))
    }

    fn remove(&self, node: u64) -> Result<Option<ChangeMembers<u64, BasicNode>>, MemberError> {
        if !self.addresses.contains_key(&node) {
            return Ok(None);
        }
        if !self.voters.contains(&node) {
            return Ok(Some(ChangeMembers::RemoveNodes([node].into())));
        }
        if node == self.node {
            return Err(MemberError::Leads { node });
        }
        let left: BTreeSet<u64> = self.voters.iter().copied().filter(|voter| *voter != node).collect();
        if left.len() < COPIES_MIN {
            return Err(MemberError::TooFewCopies { left: left.len() });
        }
        self.has_majority(&left)?;
        Ok(Some(ChangeMembers::RemoveVoters([node].into())))
    }

    fn has_majority(&self, voters: &BTreeSet<u64>) -> Result<(), MemberError> {
        let alive = voters.intersection(&self.alive).count();
        if alive > voters.len() / 2 { Ok(()) } else { Err(MemberError::NoMajority { voters: voters.len(), alive }) }
    }
}

/// Changes the members of a group that this node leads. Returns when the change is committed.
///
/// A change that an earlier leader left half done, between the old voters and the new ones, is finished first: nobody else
/// does.
pub(super) async fn change<M: Machine>(group: &Group<M>, change: MemberChange) -> Result<(), MemberError> {
    if group.is_read_only() {
        return Err(MemberError::ReadOnly);
    }
    if let Some(voters) = standings(group)?.half_done {
        tracing::info!(group = group.0.id.0, ?voters, "a change of the members was left half done and is finished");
        ask(group, ChangeMembers::ReplaceAllVoters(voters)).await?;
    }
    let Some(wanted) = standings(group)?.judge(&change)? else { return Ok(()) };
    if let MemberChange::Add { address, .. } = &change
        && let Some(known) = known_at(group, address).await
        && known < group.format()
    {
        // It could not read what it would be sent.
        let (known, format) = (known.0, group.format().0);
        return Err(MemberError::Limit(format!(
            "the node at {address} runs an older release: it knows formats up to {known}, and the group has {format}"
        )));
    }
    tracing::info!(group = group.0.id.0, ?change, "the members change");
    ask(group, wanted).await
}

fn standings<M: Machine>(group: &Group<M>) -> Result<Standings, MemberError> {
    let metrics = group.0.raft.metrics();
    let metrics = metrics.borrow_watched();
    if metrics.state != ServerState::Leader {
        return Err(MemberError::NotLeader);
    }
    Ok(Standings::of(group.0.node, &metrics))
}

async fn ask<M: Machine>(group: &Group<M>, wanted: ChangeMembers<u64, BasicNode>) -> Result<(), MemberError> {
    // Boxed: openraft's own futures nest deeply.
    match timeout(CHANGE_TIMEOUT, Box::pin(group.0.raft.change_membership(wanted, false))).await {
        Err(_) => Err(MemberError::Unknown("no answer in time".to_owned())),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(match error.api_error() {
            Some(ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_))) => {
                MemberError::UnderWay
            }
            _ => MemberError::Unknown(error.to_string()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Node 1 leads `voters`; `alive` answer; everybody has the whole log but for who is `behind`.
    fn standings(voters: &[u64], learners: &[u64], alive: &[u64], behind: &[u64]) -> Standings {
        let members = || voters.iter().chain(learners).copied();
        Standings {
            node: 1,
            last: 10_000,
            addresses: members().map(|node| (node, format!("node-{node}:1"))).collect(),
            voters: voters.iter().copied().collect(),
            alive: alive.iter().copied().collect(),
            matched: members().filter(|node| !behind.contains(node)).map(|node| (node, 9_990)).collect(),
            half_done: None,
        }
    }

    fn check(standings: &Standings, change: &MemberChange, expected: &str) {
        let verdict = match standings.judge(change) {
            Ok(None) => "nothing to do".to_owned(),
            Ok(Some(change)) => change.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(verdict.contains(expected), "{change:?}: {verdict:?} says nothing of {expected:?}");
    }

    fn add(node: u64, address: &str) -> MemberChange {
        MemberChange::Add { node, address: address.to_owned() }
    }

    #[test]
    fn a_node_is_added_once_and_its_id_stays_at_its_address() {
        let three = standings(&[1, 2, 3], &[], &[1, 2, 3], &[]);
        check(&three, &add(4, "node-4:1"), "AddNodes");
        check(&three, &add(3, "node-3:1"), "nothing to do");
        check(&three, &add(3, "elsewhere:1"), "never used again");
        check(&three, &add(4, "node-3:1"), "node 3 is at node-3:1 already");
        check(&three, &add(4, ""), "an address has");
        let many: Vec<u64> = (1..=16).collect();
        check(&standings(&many, &[], &many, &[]), &add(17, "node-17:1"), "members at most");
    }

    #[test]
    fn a_learner_is_promoted_when_it_has_caught_up() {
        let promote = MemberChange::Promote { node: 4 };
        check(&standings(&[1, 2, 3], &[4], &[1, 2, 3, 4], &[]), &promote, "AddVoterIds");
        check(&standings(&[1, 2, 3], &[4], &[1, 2, 3, 4], &[4]), &promote, "10000 entries behind");
        check(&standings(&[1, 2, 3], &[], &[1, 2, 3], &[]), &promote, "no member");
        check(&standings(&[1, 2, 3, 4], &[], &[1, 2, 3, 4], &[]), &promote, "nothing to do");
        // One of three is dead: the fourth makes a majority of three alive.
        check(&standings(&[1, 2, 3], &[4], &[1, 2, 4], &[]), &promote, "AddVoterIds");
        check(&standings(&[1, 2, 3], &[4], &[1, 2], &[]), &promote, "no majority");
    }

    #[test]
    fn nobody_is_removed_who_is_needed() {
        let remove = |node| MemberChange::Remove { node };
        let four = standings(&[1, 2, 3, 4], &[], &[1, 2, 3, 4], &[]);
        check(&four, &remove(2), "RemoveVoters");
        check(&four, &remove(1), "transfer the lead first");
        check(&four, &remove(9), "nothing to do");
        check(&standings(&[1, 2, 3], &[], &[1, 2, 3], &[]), &remove(2), "copies are promised");
        check(&standings(&[1, 2, 3, 4], &[], &[1, 2, 4], &[]), &remove(3), "RemoveVoters");
        check(&standings(&[1, 2, 3, 4], &[], &[1, 4], &[]), &remove(4), "no majority");
        check(&standings(&[1, 2, 3], &[4], &[1, 2, 3], &[4]), &remove(4), "RemoveNodes");
    }
}
