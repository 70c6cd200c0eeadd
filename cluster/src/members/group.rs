//! One change of one group: asked of whoever leads it, and repeated until its outcome is known.
//!
//! Why repeat: every change may be given again, and a leader may die in the middle of one.
//!
//! Must never: repeat what was refused.

use proto::admin::v1::members_client::MembersClient;
use proto::admin::v1::{
    AddMemberRequest, PromoteMemberRequest, RemoveMemberRequest, Role, StatusReply, TransferLeaderRequest,
};
use proto::limits::LAG_ENTRIES_MAX;
use proto::outcome::{Outcome, outcome_of};
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;

use super::plan;
use crate::admin::{self, View};
use crate::error::Error;
use crate::file::{ClusterFile, NodeEntry};
use crate::limits::{CATCH_UP_MAX, CHANGE_ATTEMPT_MAX, CHANGE_MAX, POLL_PAUSE};
use crate::link::{self, Signed};
use crate::screen::Progress;

/// A change of a group.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change<'a> {
    /// Add a node at an address.
    Add { node: &'a str, grpc: &'a str },
    /// Let it vote.
    Promote { node: &'a str },
    /// Take it out.
    Remove { node: &'a str },
}

/// The nodes of one kind, and how they say they stand.
pub(super) struct Ward<'a> {
    pub(super) nodes: &'a [NodeEntry],
}

impl<'a> Ward<'a> {
    /// Those among which a node of that name is: `a1` is one of the app.
    pub(super) fn of(cluster: &'a ClusterFile, node: &str) -> Self {
        Self { nodes: cluster.of(NodeEntry::kind_of(node)) }
    }

    /// Asks every node.
    pub(super) async fn look(&self) -> Vec<View> {
        admin::look(self.nodes).await
    }

    /// The groups there are. Errors: no node answers.
    pub(super) async fn groups(&self) -> Result<Vec<u32>, Error> {
        let groups: Vec<u32> = plan::groups(&self.look().await).into_keys().collect();
        if groups.is_empty() { Err(Error::Impossible("no node answers".to_owned())) } else { Ok(groups) }
    }

    pub(super) fn address(&self, node: &str) -> Result<&str, Error> {
        let found = self.nodes.iter().find(|entry| entry.node == node);
        found.map(|entry| entry.grpc.as_str()).ok_or_else(|| Error::NoNode {
            node: node.to_owned(),
            known: self.nodes.iter().map(|entry| entry.node.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Makes a change. Errors: refused, or its outcome is not known in time.
    pub(super) async fn change(&self, group: u32, change: Change<'_>) -> Result<(), Error> {
        let until = Instant::now() + CHANGE_MAX;
        loop {
            let reason = match admin::leader_of(&self.look().await, group) {
                None => "it has no leader".to_owned(),
                Some(leader) => match self.ask(&leader, group, change).await {
                    Ok(()) => return Ok(()),
                    Err(status) => match outcome_of(&status) {
                        Outcome::Refused { .. } => {
                            return Err(Error::Impossible(format!("group {group}: {}", status.message())));
                        }
                        Outcome::NotApplied(_) | Outcome::Unknown(_) => status.message().to_owned(),
                    },
                },
            };
            if Instant::now() > until {
                return Err(Error::Impossible(format!("group {group}: {reason}")));
            }
            sleep(POLL_PAUSE * 4).await;
        }
    }

    async fn ask(&self, leader: &str, group: u32, change: Change<'_>) -> Result<(), Status> {
        let address = self.address(leader).map_err(|error| Status::unavailable(error.to_string()))?;
        let mut client = client(address).map_err(|error| Status::unavailable(error.to_string()))?;
        let asked = async {
            match change {
                Change::Add { node, grpc } => {
                    let request = AddMemberRequest { group, node: node.to_owned(), grpc: grpc.to_owned() };
                    client.add_member(request).await.map(|_| ())
                }
                Change::Promote { node } => {
                    let request = PromoteMemberRequest { group, node: node.to_owned() };
                    client.promote_member(request).await.map(|_| ())
                }
                Change::Remove { node } => {
                    let request = RemoveMemberRequest { group, node: node.to_owned() };
                    client.remove_member(request).await.map(|_| ())
                }
            }
        };
        timeout(CHANGE_ATTEMPT_MAX, asked).await.unwrap_or_else(|_| Err(Status::unknown("no answer in time")))
    }

    /// Waits until `node` has what the group has committed, showing how far it is.
    pub(super) async fn catch_up(&self, group: u32, node: &str, progress: &mut Progress) -> Result<(), Error> {
        let until = Instant::now() + CATCH_UP_MAX;
        loop {
            let views = self.look().await;
            let groups = plan::groups(&views);
            let committed = groups.get(&group).copied().flatten().map(|led| led.status.committed_index);
            let own = views.iter().find(|view| view.node == node).and_then(|view| view.answer.as_ref().ok());
            let applied = own.and_then(|status| replica(status, group)).map_or(0, |replica| replica.applied_index);
            if let Some(committed) = committed
                && committed > 0
                && applied + LAG_ENTRIES_MAX >= committed
                && applied > 0
            {
                return Ok(());
            }
            let known = committed.map_or("?".to_owned(), |committed| committed.to_string());
            progress.show(&format!("group {group}: node {node} has applied {applied} of {known}"));
            if Instant::now() > until {
                let what = format!("group {group}: node {node} has not caught up: {applied} of {known} entries");
                return Err(Error::Impossible(what));
            }
            sleep(POLL_PAUSE * 4).await;
        }
    }

    /// Hands the lead of a group to `to`, or to whoever has come furthest; returns the node that leads afterwards.
    pub(super) async fn transfer(&self, group: u32, to: Option<&str>) -> Result<String, Error> {
        let until = Instant::now() + CHANGE_MAX;
        let mut from: Option<String> = None;
        let mut reason = format!("group {group} has no leader");
        if let Some(to) = to {
            let views = self.look().await;
            let taker = views.iter().find(|view| view.node == to).and_then(|view| view.answer.as_ref().ok());
            let taker = taker.ok_or_else(|| Error::Impossible(format!("node {to} is not up")))?;
            if taker.drained {
                return Err(Error::Impossible(format!("node {to} is drained: `cluster revive {to}` first")));
            }
        }
        loop {
            let leader = admin::leader_of(&self.look().await, group);
            if let Some(leader) = leader {
                let is_there = match to {
                    Some(to) => leader == to,
                    None => from.as_ref().is_some_and(|from| *from != leader),
                };
                if is_there {
                    return Ok(leader);
                }
                let request = TransferLeaderRequest { group, to: to.unwrap_or_default().to_owned() };
                let mut client = admin::client(self.address(&leader)?)?;
                if let Err(status) = client.transfer_leader(request).await {
                    reason = format!("group {group}: {}", status.message());
                }
                from = from.or(Some(leader));
            }
            if Instant::now() > until {
                return Err(Error::Impossible(reason));
            }
            // An election's time: a lead that was asked for is not asked for again at once.
            sleep(POLL_PAUSE * 10).await;
        }
    }
}

/// A node's replica of a group.
pub(super) fn replica(status: &StatusReply, group: u32) -> Option<&proto::admin::v1::GroupStatus> {
    status.groups.iter().find(|replica| replica.group == group)
}

/// The groups a node leads.
pub(super) fn led_by(views: &[View], node: &str) -> Vec<u32> {
    let own = views.iter().find(|view| view.node == node).and_then(|view| view.answer.as_ref().ok());
    let groups = own.into_iter().flat_map(|status| &status.groups);
    groups.filter(|replica| replica.role() == Role::Leader).map(|replica| replica.group).collect()
}

/// A client that connects when first used.
pub(super) fn client(address: &str) -> Result<MembersClient<Signed>, Error> {
    Ok(MembersClient::new(link::signed(address)?))
}

/// For `map_err`: a call that failed.
pub(super) fn failed(what: &str) -> impl FnOnce(Status) -> Error {
    let what = what.to_owned();
    move |status| Error::Call { what, reason: status.message().to_owned() }
}
