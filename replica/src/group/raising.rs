//! Upgrades: a group's format goes up once every member knows the later one, and not before.
//!
//! ```text
//!  leader ─Hello─> each member: "I know formats up to n"      all answered ──> Raise { the least of them } ──> the log
//! ```
//! Until then an older release may be started again on every node: nothing was written that it could not read. A member
//! that does not answer holds the rise up, since nobody can say what it runs.
//!
//! Must never: count a member that did not answer.

use std::time::Duration;

use futures::future::join_all;
use machine::{Command, Format, Layout as _, Machine, RequestId, System};
use tokio::time::Instant;

use super::handle::Group;
use super::status::GroupControl as _;
use crate::net::{Hello, Lane, Request, call};

/// Between two looks of a leader whose group has an earlier format than it knows, or that is parked.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const HELLO_TIMEOUT: Duration = Duration::from_millis(500);
/// A lead that nobody takes is not offered all the time.
const OFFER_EVERY: Duration = Duration::from_secs(5);

/// Runs on every replica; acts while it leads.
pub(super) async fn raise<M: Machine>(group: Group<M>) {
    let mut closed = group.0.closed.subscribe();
    tokio::select! {
        () = watch_over_formats(&group) => {}
        _ = closed.wait_for(|closed| *closed) => {}
    }
}

async fn watch_over_formats<M: Machine>(group: &Group<M>) {
    let mut offered: Option<Instant> = None;
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if group.0.proposals.is_closed() || group.0.standing.has_failed(&group.0.raft) {
            return;
        }
        if !group.is_leader() {
            continue;
        }
        let known = group.0.state.knowledge.format;
        if group.parked().is_some() {
            if offered.is_none_or(|at| at.elapsed() > OFFER_EVERY) {
                offered = Some(Instant::now());
                pass_on(group, known).await;
            }
            continue;
        }
        if group.format() < known
            && let Some(format) = known_to_all(group, known).await
            && format > group.format()
        {
            let raised = group.submit(RequestId::NONE, Command::System(System::Raise { format })).await;
            tracing::info!(group = group.0.id.0, format = format.0, raised = raised.is_ok(), "every member knows more");
        }
    }
}

/// What each other member knows, if it answers.
async fn others<M: Machine>(group: &Group<M>) -> Vec<(u64, Option<Format>)> {
    let members = group.members().into_iter().filter(|(node, _)| *node != group.0.node);
    join_all(members.map(|(node, address)| async move { (node, known_at(group, &address).await) })).await
}

/// The latest format that the node at `address` knows. `None`: it does not answer.
pub(super) async fn known_at<M: Machine>(group: &Group<M>, address: &str) -> Option<Format> {
    let hello = Request::Hello { node: group.0.node }.encode(group.0.id);
    let body = call(&*group.0.transport, Lane::Control, address, hello, HELLO_TIMEOUT).await.ok()?;
    Hello::from_bytes(&body).ok().map(|hello| hello.known)
}

/// The latest format that every member knows.
async fn known_to_all<M: Machine>(group: &Group<M>, known: Format) -> Option<Format> {
    let others = others(group).await;
    others.into_iter().try_fold(known, |least, (_, known)| Some(least.min(known?)))
}

/// A leader that cannot apply an entry serves nobody: one that knows more may.
async fn pass_on<M: Machine>(group: &Group<M>, known: Format) {
    let others = others(group).await;
    let newer = others.into_iter().filter_map(|(node, theirs)| Some((theirs?, node))).max();
    if let Some((_, node)) = newer.filter(|(theirs, _)| *theirs > known) {
        tracing::warn!(group = group.0.id.0, node, "a parked leader hands its lead to a node that knows more");
        // Nobody may take it; then the next attempt comes.
        let _ = group.transfer_leader(Some(node)).await;
    }
}
