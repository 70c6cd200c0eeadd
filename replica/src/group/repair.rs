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
    let mut nowhere_since: Option<Instant> = None;
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
        let bodies: Vec<BodyRef> = damaged.iter().take(REPAIRS_AT_ONCE_MAX).map(|(body, _)| *body).collect();
        let fetched = join_all(bodies.into_iter().map(|body| fetch(&group, body))).await;
        let whole = fetched.iter().filter(|fetched| **fetched == Fetched::Whole).count();
        if whole > 0 {
            tracing::warn!(group = group.0.id.0, whole, reason, "damaged bodies were brought back from a peer");
            // A snapshot from before names the damaged places, and a crash would bring them back.
            flush(&group).await;
        }
        if !fetched.contains(&Fetched::Nowhere) {
            nowhere_since = None;
        } else if nowhere_since.get_or_insert_with(Instant::now).elapsed() > REPAIR_MAX {
            return stop(&group, &format!("{reason}; no member has it")).await;
        }
        if whole == 0 && group.is_leader() {
            tracing::error!(group = group.0.id.0, reason, "a damaged leader hands its lead over");
            // Nobody may be there to take it; then the next attempt, or the stop, comes.
            let _ = group.transfer_leader(None).await;
        }
    }
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
