//! What only a leader does: keep machine time, propose what is due.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use machine::{Layout as _, Machine, RequestId};
use openraft::ReadPolicy;
use openraft::async_runtime::watch::WatchReceiver as _;
use tokio::time::Instant;

use super::handle::Group;
use super::keeping::Keeping;
use crate::clock::STEP_AFTER_MS;
use crate::net::{Hello, Lane, Request, call};

/// How often a leader looks for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const HELLO_TIMEOUT: Duration = Duration::from_millis(300);
const BARRIER_TIMEOUT: Duration = Duration::from_secs(1);

/// A clock that still differs after a step (this node's own is wrong) is not looked at again for so long.
const STEP_EVERY: Duration = Duration::from_secs(2);

/// Runs on every replica; acts while it leads (keeping and looking after Raft: always).
pub(super) async fn lead<M: Machine>(group: Group<M>) {
    let (mut step_after, mut keeping) = (Instant::now(), Keeping::default());
    let mut leads_since = None;
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut metrics = group.0.raft.server_metrics();
    loop {
        tokio::select! {
            _ = look.tick() => {}
            // A lead is taken over at once. A Raft that has stopped changes no more.
            Ok(()) = metrics.changed() => {}
        }
        if group.0.proposals.is_closed() || group.0.standing.has_failed(&group.0.raft) {
            return;
        }
        keeping.look(&group).await;
        if !group.0.raft.is_leader() {
            group.0.clock.set_running(false);
            group.0.standing.follows();
            leads_since = None;
            continue;
        }
        group.0.standing.look(&group.0.raft, *leads_since.get_or_insert_with(Instant::now));
        let is_running = *group.0.clock.running().borrow();
        if !is_running && !take_over(&group).await {
            continue;
        }
        if group.0.clock.behind_ms() > STEP_AFTER_MS && Instant::now() >= step_after {
            step_clock(&group).await;
            step_after = Instant::now() + STEP_EVERY;
        }
        group.0.clock.set_running(true);
        if group.is_at_work() {
            propose_due(&group).await;
        }
    }
}

/// After the election: machine time goes on from the last stamp of the earlier terms, all of whose entries must be applied
/// for it to be known. This node's own clock cannot say how long nobody led; the members' clocks are asked before the
/// first command is stamped. False: the lead is already lost.
async fn take_over<M: Machine>(group: &Group<M>) -> bool {
    let barrier = group.0.raft.ensure_linearizable(ReadPolicy::ReadIndex);
    if !matches!(tokio::time::timeout(BARRIER_TIMEOUT, barrier).await, Ok(Ok(_))) {
        return false;
    }
    group.0.clock.restart(group.with_host(|host, _| host.now()));
    step_clock(group).await;
    true
}

/// Proposes what is due until nothing is, or a proposal fails (then the next look tries again).
async fn propose_due<M: Machine>(group: &Group<M>) {
    loop {
        let now = group.0.clock.now();
        match group.with_host(|host, rows| host.machine().due(rows, now)) {
            Ok(Some(command)) => {
                if group.propose(RequestId::NONE, &command).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::error!(group = group.0.id.0, %error, "what is due cannot be read");
                return;
            }
        }
    }
}

/// Asks the members for the time and steps to what a majority has reached, if machine time is far behind (a new group, a
/// long stop). A majority of answers is enough: a dead member must not hold up the others.
async fn step_clock<M: Machine>(group: &Group<M>) {
    let members = group.members();
    let asks = members.iter().filter(|(node, _)| *node != group.0.node).map(|(_, address)| async move {
        let hello = Request::Hello { node: group.0.node }.encode(group.0.id);
        let body = call(&*group.0.transport, Lane::Control, address, hello, HELLO_TIMEOUT).await.ok()?;
        Hello::from_bytes(&body).ok().map(|hello| hello.wall_ms)
    });
    let mut asks: FuturesUnordered<_> = asks.collect();
    let mut readings = vec![group.0.clock.wall_ms()];
    while readings.len() <= members.len() / 2
        && let Some(reading) = asks.next().await
    {
        readings.extend(reading);
    }
    group.0.clock.step(&readings, members.len());
}
