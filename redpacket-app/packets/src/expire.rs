//! Expiry: a packet whose time is over is closed, and what is left goes back to its payer, once.
//!
//! Why two triggers: the Tick finds what is due by the index of expiries, a delayed message names one packet. Both end
//! in the same entry order as a late open, which looks at the same stamp: whoever comes first in the log decides.
//!
//! Must never: close before the entry's own stamp has reached the expiry, or change the refund of a closed packet.

use bytes::Bytes;
use machine::{Layout, LoadError, RowSource, StoreFailure, TimestampMs};

use crate::claim::Refund;
use crate::command::Command;
use crate::ids::PacketId;
use crate::limits::TICK_PACKETS_MAX;
use crate::open::{end, read_progress};
use crate::packet::Packet;
use crate::progress::{Phase, Progress};
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rows::{self, Order};
use crate::turn::Turn;

/// Closes those of `packets` that are due. Never refuses: what is not due, or ended before, is passed by.
pub(crate) fn tick(turn: &mut Turn<'_>, packets: &[PacketId]) -> Reply {
    let mut refunds = Vec::new();
    for id in packets.iter().copied().take(TICK_PACKETS_MAX) {
        let Ok((packet, mut progress)) = read_packet(turn, id) else { continue };
        if progress.phase == Phase::Live && turn.now() >= packet.expires() {
            refunds.push(close(turn, id, &packet, &mut progress));
        }
    }
    Reply::Closed(refunds)
}

/// Closes one packet, if it is not ended yet; answers its refund. Refuses: `PacketUnknown`, `NotDue`.
pub(crate) fn close_expired(turn: &mut Turn<'_>, id: PacketId) -> Result<Reply, Refusal> {
    let (packet, mut progress) = read_packet(turn, id)?;
    if turn.now() < packet.expires() {
        return Err(Refusal::NotDue);
    }
    let refund = match progress.phase {
        Phase::Live => close(turn, id, &packet, &mut progress),
        Phase::SoldOut | Phase::RefundPending | Phase::Refunded => refund(id, &packet, &progress),
    };
    Ok(Reply::Closed(vec![refund]))
}

/// The refund is booked. Refuses: `PacketUnknown`, `NothingToRefund`.
pub(crate) fn mark_refunded(turn: &mut Turn<'_>, id: PacketId) -> Result<Reply, Refusal> {
    let mut progress = read_progress(turn, id)?;
    match progress.phase {
        Phase::Live | Phase::SoldOut => Err(Refusal::NothingToRefund),
        Phase::Refunded => Ok(Reply::Done),
        Phase::RefundPending => {
            progress.phase = Phase::Refunded;
            turn.counts.refund(progress.refund);
            turn.rows.delete(rows::timed(rows::REFUND, progress.ended, id));
            turn.rows.put(rows::progress(id), progress.to_bytes());
            Ok(Reply::Done)
        }
    }
}

/// A Tick for the packets that are due at `now`, or `None`.
pub(crate) fn due(source: &dyn RowSource, now: TimestampMs) -> Result<Option<Command>, StoreFailure> {
    let range = (rows::from_time(rows::EXPIRY, TimestampMs(0)), rows::from_time(rows::EXPIRY, now.plus(1)));
    let packets = rows::collect(source, (&range.0, &range.1), Order::Rising, TICK_PACKETS_MAX, |key, _| {
        TimestampMs::decode(key)?;
        PacketId::decode(key)
    });
    match packets {
        Ok(packets) if packets.is_empty() => Ok(None),
        Ok(packets) => Ok(Some(Command::Tick { packets })),
        Err(LoadError::Store(failure)) => Err(failure),
        Err(error @ (LoadError::Row { .. } | LoadError::Newer { .. })) => Err(StoreFailure(error.to_string())),
    }
}

/// What `packet` owes its payer.
pub(crate) const fn refund(id: PacketId, packet: &Packet, progress: &Progress) -> Refund {
    Refund { packet: id, payer: packet.terms.payer, fen: progress.refund, ended: progress.ended }
}

fn close(turn: &mut Turn<'_>, id: PacketId, packet: &Packet, progress: &mut Progress) -> Refund {
    progress.close(turn.now());
    turn.counts.close(progress.refund);
    turn.rows.put(rows::progress(id), progress.to_bytes());
    turn.rows.put(rows::timed(rows::REFUND, progress.ended, id), Bytes::new());
    end(turn, id, packet, progress);
    refund(id, packet, progress)
}

fn read_packet(turn: &Turn<'_>, id: PacketId) -> Result<(Packet, Progress), Refusal> {
    let packet = rows::get(turn.rows, &rows::packet(id)).ok_or(Refusal::PacketUnknown)?;
    Ok((packet, read_progress(turn, id)?))
}
