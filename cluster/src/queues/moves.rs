//! A queue moves to another group: begun, looked at, ended.
//!
//! Must never: move anything itself.

use std::time::Duration;

use queue_client::{Client, GetMoveReply, MovePhase};

use super::failed;
use crate::error::Error;
use crate::screen;

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What shall become of a move.
pub(super) struct Order {
    /// It shall begin, to this group.
    pub(super) to: Option<u32>,
    /// It shall end.
    pub(super) cancel: bool,
    /// Until it has ended.
    pub(super) wait: bool,
}

/// Does what was asked, and shows how it goes. False: the queue did not get there.
pub(super) async fn queue(client: &Client, queue: &str, order: Order) -> Result<bool, Error> {
    if order.cancel {
        client.cancel_move(queue).await.map_err(failed("move"))?;
    } else if let Some(group) = order.to {
        client.move_queue(queue, group).await.map_err(failed("move"))?;
    }
    loop {
        let state = client.get_move(queue).await.map_err(failed("move"))?;
        screen::out(&shown(&state));
        let is_running =
            matches!(state.phase(), MovePhase::Asked | MovePhase::Windows | MovePhase::Leases | MovePhase::Backlog);
        if !order.wait || !is_running {
            return Ok(!order.wait || state.phase() == MovePhase::Done);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn shown(state: &GetMoveReply) -> String {
    let phase = match state.phase() {
        MovePhase::Unspecified => return "the queue was never moved".to_owned(),
        MovePhase::Asked => "the other group is asked for room",
        MovePhase::Windows => "deduplication ids go ahead",
        MovePhase::Leases => "leases go, calls wait for a moment",
        MovePhase::Backlog => "used there, what waits follows",
        MovePhase::Done => "done",
        MovePhase::Declined => "declined, the queue stayed",
        MovePhase::Cancelled => "ended, the queue stayed",
    };
    let why = if state.declined.is_empty() { String::new() } else { format!(": {}", state.declined) };
    let (from, to, shipped, left) = (state.from, state.to, state.shipped, state.left);
    format!("group {from} to {to}: {phase}{why}; {shipped} messages sent ahead, {left} left")
}
