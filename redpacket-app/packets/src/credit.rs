//! Marks on the way of a credit: put in the queue, booked by the ledger.
//!
//! Why: the uncredited mark of a claim is the promise and the message only its carrier. A mark *queued* moves the claim
//! to the back of the index by age, so that the leader puts it in the queue again only when a retry's time has passed.
//!
//! Must never: mark as credited what the ledger has not booked; nobody would retry it.

use bytes::Bytes;
use machine::Layout;

use crate::claim::{CreditState, Share};
use crate::ids::PacketId;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rows;
use crate::turn::Turn;

/// The credit of a share is in the queue; one that is booked stays so. Refuses: `ClaimUnknown`.
pub(crate) fn mark_queued(turn: &mut Turn<'_>, id: PacketId, number: u16) -> Result<Reply, Refusal> {
    move_on(turn, id, number, |_| CreditState::Queued)
}

/// The credit of a share is booked. Refuses: `ClaimUnknown`.
pub(crate) fn mark_credited(turn: &mut Turn<'_>, id: PacketId, number: u16) -> Result<Reply, Refusal> {
    move_on(turn, id, number, CreditState::booked)
}

fn move_on(
    turn: &mut Turn<'_>,
    id: PacketId,
    number: u16,
    next: impl FnOnce(CreditState) -> CreditState,
) -> Result<Reply, Refusal> {
    let key = rows::share(id, number);
    let mut share = rows::get::<Share>(turn.rows, &key).ok_or(Refusal::ClaimUnknown)?;
    if share.is_credited() {
        return Ok(Reply::Done);
    }
    turn.rows.delete(rows::uncredited(share.since, id, number));
    share.state = next(share.state);
    share.since = turn.now();
    if share.is_credited() {
        turn.counts.credit(share.fen);
    } else {
        turn.rows.put(rows::uncredited(share.since, id, number), Bytes::new());
    }
    turn.rows.put(key, share.to_bytes());
    Ok(Reply::Done)
}
