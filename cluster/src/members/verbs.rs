//! The verbs, over all groups of a cluster.
//!
//! Must never: begin with a group's next step before the former one is done.

use std::time::Duration;

use proto::admin::v1::DrainRequest;
use tokio::time::{Instant, sleep};

use super::group::{Change, Ward, client, failed, led_by, replica};
use super::{Newcomer, plan};
use crate::error::Error;
use crate::file::{ClusterFile, Kind, NodeEntry};
use crate::limits::{CHANGE_MAX, POLL_PAUSE};
use crate::nodes;
use crate::reach::Reach;
use crate::screen::{self, Progress};

/// Adds a node to every group.
pub(super) async fn add(reach: &Reach, newcomer: &Newcomer, is_learner: bool) -> Result<bool, Error> {
    let (cluster, entry) = meet(reach, newcomer, newcomer.kind()).await?;
    join(&cluster, &entry, is_learner).await?;
    let role = if is_learner { "copies" } else { "votes in" };
    screen::out(&format!("node {} {role} every group ({})", entry.node, entry.grpc));
    Ok(true)
}

/// The cluster with its new node, which a local cluster starts.
async fn meet(reach: &Reach, newcomer: &Newcomer, kind: Kind) -> Result<(ClusterFile, NodeEntry), Error> {
    if let (Some(name), Some(grpc)) = (&newcomer.name, &newcomer.grpc) {
        let mut cluster = reach.cluster().await?;
        let entry = NodeEntry { node: name.clone(), pid: 0, grpc: grpc.clone(), http: String::new(), tcp: None };
        let nodes = cluster.of_mut(kind);
        if let Some(known) = nodes.iter().find(|node| node.node == *name && node.grpc != *grpc) {
            let what = format!("node {name} is at {} already: an id is never used again", known.grpc);
            return Err(Error::Impossible(what));
        }
        if nodes.iter().all(|node| node.node != *name) {
            nodes.push(entry.clone());
        }
        return Ok((cluster, entry));
    }
    let folder = reach.folder().map_err(|error| match error {
        Error::Impossible(_) => Error::Impossible("name the node that shall join: --as NODE --grpc ADDRESS".to_owned()),
        other => other,
    })?;
    let entry = nodes::start_extra(&folder, kind).await?;
    screen::note(&format!("node {} has started (pid {}, {})", entry.node, entry.pid, entry.grpc));
    Ok((folder.cluster()?, entry))
}

/// Makes a node a member of every group: first it copies, then it votes.
async fn join(cluster: &ClusterFile, entry: &NodeEntry, is_learner: bool) -> Result<(), Error> {
    let ward = Ward::of(cluster, &entry.node);
    let mut progress = Progress::new();
    let groups = ward.groups().await?;
    for (place, group) in groups.iter().enumerate() {
        ward.change(*group, Change::Add { node: &entry.node, grpc: &entry.grpc }).await?;
        ward.catch_up(*group, &entry.node, &mut progress).await?;
        if !is_learner {
            ward.change(*group, Change::Promote { node: &entry.node }).await?;
        }
        progress.note(&format!("group {group}: node {} is in ({} of {})", entry.node, place + 1, groups.len()));
    }
    Ok(())
}

/// Lets a learner vote in every group.
pub(super) async fn promote(reach: &Reach, node: &str) -> Result<bool, Error> {
    let cluster = reach.cluster().await?;
    let ward = Ward::of(&cluster, node);
    let mut progress = Progress::new();
    ward.address(node)?;
    for group in ward.groups().await? {
        ward.catch_up(group, node, &mut progress).await?;
        ward.change(group, Change::Promote { node }).await?;
    }
    screen::out(&format!("node {node} votes in every group"));
    Ok(true)
}

/// Takes a node out of every group; a local cluster ends it.
pub(super) async fn remove(reach: &Reach, node: &str) -> Result<bool, Error> {
    let cluster = reach.cluster().await?;
    leave(&cluster, node).await?;
    if reach.is_local() {
        nodes::forget(&reach.folder()?, node).await?;
    }
    screen::out(&format!("node {node} is in no group any more; its id must not be used again"));
    Ok(true)
}

async fn leave(cluster: &ClusterFile, node: &str) -> Result<(), Error> {
    let ward = Ward::of(cluster, node);
    ward.address(node)?;
    let groups = ward.groups().await?;
    for (place, group) in groups.iter().enumerate() {
        if led_by(&ward.look().await, node).contains(group) {
            ward.transfer(*group, None).await?;
        }
        ward.change(*group, Change::Remove { node }).await?;
        screen::note(&format!("group {group}: node {node} is out ({} of {})", place + 1, groups.len()));
    }
    Ok(())
}

/// Lets a blank node take the place of another.
pub(super) async fn replace(reach: &Reach, node: &str, newcomer: &Newcomer) -> Result<bool, Error> {
    let before = reach.cluster().await?;
    Ward::of(&before, node).address(node)?;
    let (cluster, entry) = meet(reach, newcomer, NodeEntry::kind_of(node)).await?;
    join(&cluster, &entry, false).await?;
    leave(&cluster, node).await?;
    if reach.is_local() {
        nodes::forget(&reach.folder()?, node).await?;
    }
    screen::out(&format!("node {} ({}) has taken the place of node {node}", entry.node, entry.grpc));
    Ok(true)
}

/// Hands over the lead of a group.
pub(super) async fn transfer(reach: &Reach, group: u32, node: Option<&str>) -> Result<bool, Error> {
    let cluster = reach.cluster().await?;
    let leader = Ward::of(&cluster, node.unwrap_or_default()).transfer(group, node).await?;
    screen::out(&format!("group {group}: node {leader} leads"));
    Ok(true)
}

/// Spreads the leads.
pub(super) async fn rebalance(reach: &Reach) -> Result<bool, Error> {
    let cluster = reach.cluster().await?;
    let ward = Ward { nodes: &cluster.queue };
    let moves = plan::rebalance(&ward.look().await);
    for (group, from, to) in &moves {
        ward.transfer(*group, Some(to)).await?;
        screen::note(&format!("group {group}: node {to} leads instead of node {from}"));
    }
    screen::out(&format!("{} leads moved", moves.len()));
    Ok(true)
}

/// Whether a node may stop.
pub(super) async fn safe_to_stop(reach: &Reach, node: &str, wait_s: u64) -> Result<bool, Error> {
    let cluster = reach.cluster().await?;
    let ward = Ward::of(&cluster, node);
    ward.address(node)?;
    let until = Instant::now() + Duration::from_secs(wait_s);
    loop {
        let reasons = plan::unsafe_to_stop(&ward.look().await, node);
        if reasons.is_empty() {
            screen::out(&format!("node {node} may be stopped"));
            return Ok(true);
        }
        if Instant::now() >= until {
            screen::out(&format!("node {node} must not be stopped now\n  {}", reasons.join("\n  ")));
            return Ok(false);
        }
        sleep(POLL_PAUSE * 4).await;
    }
}

/// Takes every lead from a node, or lets it lead again.
pub(super) async fn drain(reach: &Reach, node: &str, drained: bool) -> Result<bool, Error> {
    let cluster = reach.cluster().await?;
    let ward = Ward::of(&cluster, node);
    let address = ward.address(node)?;
    if drained {
        let reasons = plan::unsafe_to_drain(&ward.look().await, node);
        if !reasons.is_empty() {
            screen::out(&format!("node {node} must not be drained now\n  {}", reasons.join("\n  ")));
            return Ok(false);
        }
    }
    client(address)?.drain(DrainRequest { drained }).await.map_err(failed("drain"))?;
    if !drained {
        screen::out(&format!("node {node} may lead again; `cluster rebalance` gives it its share"));
        return Ok(true);
    }
    let until = Instant::now() + CHANGE_MAX;
    loop {
        let views = ward.look().await;
        let led = led_by(&views, node);
        if led.is_empty() {
            screen::out(&format!("node {node} leads nothing"));
            return Ok(true);
        }
        if Instant::now() > until {
            return Err(Error::Impossible(format!("node {node} still leads groups {led:?}")));
        }
        for group in led {
            // To whoever may lead and has come furthest: the node itself does not know who else is drained.
            let to = views.iter().find(|view| {
                let status = view.answer.as_ref().ok();
                view.node != node && status.is_some_and(|status| !status.drained && replica(status, group).is_some())
            });
            if let Some(to) = to {
                ward.transfer(group, Some(&to.node)).await?;
            }
        }
        sleep(POLL_PAUSE).await;
    }
}
