//! Repair: what is damaged on this disk is fetched from the members that have it whole.
//!
//! ```text
//!  a read or a move finds a wrong checksum ──> quarantine ──> Request::Body to the others ──> checksum right ──> the store
//! ```
//! A leader that cannot repair at once hands its lead over. A replica stops when all the others have said for [`REPAIR_MAX`]
//! that they lack what it lost; while one of them is away it waits, and its status says what for.
//!
//! Must never: take bytes for whole because a peer sent them. Their checksum is the one that was written with the place.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use machine::{BodyRef, Machine, Reader};
use tokio::time::Instant;

use super::handle::Group;
use super::keeping::{flush, stop};
use super::status::GroupControl as _;
use crate::limits::{BODY_BYTES_MAX, REPAIRS_AT_ONCE_MAX};
use crate::net::{Lane, Request, call};

/// How long a replica goes on with a body that no member has.
const REPAIR_MAX: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// One peer has so long to bring one body.
const FETCH_MAX: Duration = Duration::from_millis(500);

/// What asking the other members for one body came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fetched {
    /// It is whole again.
    Whole,
    /// All others answered, and none of them has it.
    Nowhere,
    /// Somebody who may have it did not answer.
    Unknown,
}

/// Runs on every replica: repairs what is set aside.
pub(super) async fn repair<M: Machine>(group: Group<M>) {
    let (mut nowhere_since, mut handed_over): (Option<Instant>, Option<Instant>) = (None, None);
    let mut turn = 0_usize;
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if group.0.proposals.is_closed() || group.0.standing.has_failed(&group.0.raft) {
            return;
        }
        let damaged = group.0.state.rows.quarantine();
        let Some((_, reason)) = damaged.first() else {
            nowhere_since = None;
            continue;
        };
        // In turn: those that nobody can bring now must not stand before those that somebody can.
        let from = turn % damaged.len();
        let count = REPAIRS_AT_ONCE_MAX.min(damaged.len());
        let bodies: Vec<BodyRef> = damaged.iter().cycle().skip(from).take(count).map(|(body, _)| *body).collect();
        turn = from + count;
        let fetched = join_all(bodies.iter().map(|body| fetch(&group, *body))).await;
        let whole = fetched.iter().filter(|fetched| **fetched == Fetched::Whole).count();
        if whole > 0 {
            tracing::warn!(group = group.0.id.0, whole, reason, "damaged bodies were brought back from a peer");
            // A snapshot from before names the damaged places, and a crash would bring them back.
            flush(&group).await;
        }
        if !fetched.contains(&Fetched::Nowhere) {
            nowhere_since = None;
        } else if let Some(since) = nowhere_since {
            if since.elapsed() > REPAIR_MAX && is_wanted(&group, &bodies, &fetched) {
                return stop(&group, &format!("{reason}; no member has it")).await;
            }
        } else if has_caught_up(&group).await {
            nowhere_since = Some(Instant::now());
        }
        // The next one may be damaged too, and a lead that is passed on at each look serves nobody.
        let may_hand_over = handed_over.is_none_or(|at| at.elapsed() > REPAIR_MAX);
        if whole == 0 && may_hand_over && group.is_leader() {
            handed_over = Some(Instant::now());
            tracing::error!(group = group.0.id.0, reason, "a damaged leader hands its lead over");
            // Nobody may be there to take it; then the next attempt, or the stop, comes.
            let _ = group.transfer_leader(None).await;
        }
    }
}

/// Whether this replica knows what the others know: what they dropped by right is not lost, and one that lags, or is
/// parked, still wants it.
async fn has_caught_up<M: Machine>(group: &Group<M>) -> bool {
    group.parked().is_none() && group.read_anywhere(REPAIR_MAX, |_| ()).await.is_ok()
}

/// Whether one of the bodies that no member has is still wanted here.
fn is_wanted<M: Machine>(group: &Group<M>, bodies: &[BodyRef], fetched: &[Fetched]) -> bool {
    let held = group.0.state.rows.quarantine();
    let is_held = |body: &BodyRef| held.iter().any(|(other, _)| other == body);
    bodies.iter().zip(fetched).any(|(body, fetched)| *fetched == Fetched::Nowhere && is_held(body))
}

/// Asks the other members for a body until one brings the right bytes.
async fn fetch<M: Machine>(group: &Group<M>, body: BodyRef) -> Fetched {
    let mut outcome = Fetched::Nowhere;
    for (_, address) in group.members().into_iter().filter(|(node, _)| *node != group.0.node) {
        let request = Request::Body { body }.encode(group.0.id);
        let Ok(answer) = call(&*group.0.transport, Lane::Forward, &address, request, FETCH_MAX).await else {
            outcome = Fetched::Unknown;
            continue;
        };
        let Some(bytes) = read_answer(answer) else { continue };
        match group.0.state.rows.repair(body, &bytes) {
            Ok(true) => return Fetched::Whole,
            Ok(false) => tracing::warn!(group = group.0.id.0, body = body.0, address, "a peer brought other bytes"),
            Err(failure) => {
                tracing::error!(group = group.0.id.0, %failure, "a body could not be put back");
                outcome = Fetched::Unknown;
            }
        }
    }
    outcome
}

/// The bytes that a peer sent. `None`: it has none.
fn read_answer(answer: Bytes) -> Option<Bytes> {
    let mut input = Reader::new(answer);
    let bytes = if input.bool().ok()? { input.bytes().ok() } else { None };
    bytes.filter(|bytes| bytes.len() <= BODY_BYTES_MAX)
}
