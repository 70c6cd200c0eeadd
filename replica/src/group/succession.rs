//! What a follower does when the leader's process is gone: it ends its own lease and asks for votes at once.
//!
//! ```text
//!  connection to the leader ends ─> dial again ─ refused ─> end the own lease ─> pre-vote ─> vote
//!                                        └ answered, or silent: the leader may live; timeouts decide
//! ```
//!
//! Why: a lease protects a leader that lives. Of one that is dead it only prolongs the silence, and a killed process shows
//! by its closed connection long before any timeout. Decision 0009 says why this is safe.
//!
//! Must never: campaign without a pre-vote. A follower that is mistaken is refused by those who still hear the leader.

use std::time::Duration;

use machine::Machine;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::metrics::RaftServerMetrics;
use openraft::raft::TransferLeaderRequest;
use tokio::time::timeout;

use super::handle::Group;
use crate::raft_types::{Config, Vote};

/// The member with the highest id campaigns at once; each one below waits so much longer, and not at all if that one has.
const STAGGER: Duration = Duration::from_millis(20);
/// Pause before the first repeat: another voter may not have seen the end yet.
const AGAIN_AFTER: Duration = Duration::from_millis(10);
const AGAIN_AFTER_MAX: Duration = Duration::from_millis(80);
/// Campaigns until it is left to the election timeout, which does not stop meanwhile.
const CAMPAIGNS_MAX: usize = 12;

type Metrics = WatchReceiverOf<Config, RaftServerMetrics<Config>>;

/// The leader that this node follows.
struct Followed {
    node: u64,
    vote: Vote,
    address: String,
    /// Members above this node that may succeed, too.
    ahead: u32,
}

/// Runs on every replica: watches over the leader's process while this node follows it.
pub(super) async fn succeed<M: Machine>(group: Group<M>) {
    let mut closed = group.0.closed.subscribe();
    tokio::select! {
        () = watch_over_leaders(&group) => {}
        _ = closed.wait_for(|closed| *closed) => {}
    }
}

/// Ends with Raft.
async fn watch_over_leaders<M: Machine>(group: &Group<M>) {
    let mut metrics = group.0.raft.server_metrics();
    loop {
        let followed = followed(&metrics.borrow_and_update());
        let Some(followed) = followed else {
            match metrics.changed().await {
                Ok(()) => continue,
                Err(_) => return,
            }
        };
        group.0.transport.meet(followed.node, &followed.address);
        let gone = group.0.transport.gone(&followed.address);
        let is_open = tokio::select! {
            is_open = lead_changes(&mut metrics, &followed) => is_open,
            () = gone => {
                tracing::info!(group = group.0.id.0, leader = followed.node, "the leader's process is gone");
                campaign(group, &mut metrics, &followed).await
            }
        };
        if !is_open {
            return;
        }
    }
}

fn followed(metrics: &RaftServerMetrics<Config>) -> Option<Followed> {
    let node = metrics.current_leader.filter(|leader| *leader != metrics.id)?;
    let membership = metrics.membership_config.membership();
    let ahead = membership.voter_ids().filter(|voter| *voter > metrics.id && *voter != node).count();
    let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
    Some(Followed { node, vote: metrics.vote, address: membership.get_node(&node)?.addr.clone(), ahead })
}

/// Waits until this node follows `followed` no more. False: Raft has stopped.
async fn lead_changes(metrics: &mut Metrics, followed: &Followed) -> bool {
    loop {
        {
            let now = metrics.borrow_and_update();
            if now.current_leader != Some(followed.node) || now.vote != followed.vote {
                return true;
            }
        }
        if metrics.changed().await.is_err() {
            return false;
        }
    }
}

/// Asks for votes until some node has begun to take over. False: Raft has stopped.
async fn campaign<M: Machine>(group: &Group<M>, metrics: &mut Metrics, followed: &Followed) -> bool {
    let raft = &group.0.raft;
    group.0.standing.set_gone(followed.vote);
    // Told that the leader hands over to a node that is not this one, Raft ends its lease and does nothing else.
    let handed_over = TransferLeaderRequest::new(followed.vote, followed.node, None);
    if raft.handle_transfer_leader(handed_over).await.is_err() {
        return false;
    }
    let (mut pause, mut again) = (STAGGER.saturating_mul(followed.ahead), AGAIN_AFTER);
    for _ in 0..CAMPAIGNS_MAX {
        if let Ok(is_open) = timeout(pause, lead_changes(metrics, followed)).await {
            return is_open;
        }
        if !group.0.standing.is_drained() && raft.trigger().elect(true).await.is_err() {
            return false;
        }
        (pause, again) = (again, (again * 2).min(AGAIN_AFTER_MAX));
    }
    lead_changes(metrics, followed).await
}
