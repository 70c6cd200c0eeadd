//! Sweeps of the leader: promises that wait to be kept.
//!
//! Why: the message in the queue only carries a credit; the uncredited mark is the promise. Whoever leads the group
//! puts again into the queue what has waited too long, and repeats refunds until they are booked.
//!
//! Must never: decide anything. A sweep reads; the ledger's ids make every repetition harmless.

use machine::{Key, Layout, LoadError, RowSource, TimestampMs, prefix_end};

use crate::claim::{Credit, Refund, Share};
use crate::expire::refund;
use crate::ids::PacketId;
use crate::limits::SWEEP_ITEMS_MAX;
use crate::lists::Cursor;
use crate::packet::Packet;
use crate::progress::Progress;
use crate::rows::{self, Order};
use crate::user::User;

/// Credits not booked whose claim, or last mark *queued*, is of `older_than` or before; the longest waiting first.
///
/// A door asks with now - [`crate::limits::CREDIT_RETRY_MS`], puts them in the queue and marks them; so a sweep always
/// moves on, however many cannot be booked.
pub fn uncredited(source: &dyn RowSource, older_than: TimestampMs, limit: usize) -> Result<Vec<Credit>, LoadError> {
    let range =
        (rows::from_time(rows::UNCREDITED, TimestampMs(0)), rows::from_time(rows::UNCREDITED, older_than.plus(1)));
    let limit = limit.min(SWEEP_ITEMS_MAX);
    let found = rows::collect(source, (&range.0, &range.1), Order::Rising, limit, |key, _| {
        TimestampMs::decode(key)?;
        Ok((PacketId::decode(key)?, key.u16()?))
    })?;
    let keys: Vec<Key> = found.iter().map(|(packet, share)| rows::share(*packet, *share)).collect();
    let shares = rows::read_all::<Share>(source, &keys)?;
    let keys: Vec<Key> = shares.iter().map(|share| rows::user(share.user)).collect();
    let users = rows::read_all::<User>(source, &keys)?;
    let keys: Vec<Key> = found.iter().map(|(packet, _)| rows::packet(*packet)).collect();
    let packets = rows::read_all::<Packet>(source, &keys)?;
    let facts = shares.iter().zip(users).zip(packets);
    let credits = found.into_iter().zip(facts).map(|((id, number), ((share, user), packet))| Credit {
        packet: id,
        share: number,
        fen: share.fen,
        claimed: share.claimed,
        payer: packet.terms.payer,
        user: share.user,
        payee: user.account,
    });
    Ok(credits.collect())
}

/// When the longest waiting credit was claimed or last put in the queue; `None`: all are booked.
pub fn uncredited_since(source: &dyn RowSource) -> Result<Option<TimestampMs>, LoadError> {
    let from = [rows::UNCREDITED];
    let found =
        rows::collect(source, (&from, &prefix_end(&from)), Order::Rising, 1, |key, _| TimestampMs::decode(key))?;
    Ok(found.first().copied())
}

/// Refunds not booked, the longest waiting first, behind the packet of `after`.
pub fn pending_refunds(source: &dyn RowSource, after: Option<Cursor>, limit: usize) -> Result<Vec<Refund>, LoadError> {
    let from = match after {
        // The key behind a key is that key and a zero byte.
        Some(cursor) => [rows::timed(rows::REFUND, cursor.at, cursor.packet).as_ref(), &[0]].concat(),
        None => vec![rows::REFUND],
    };
    let limit = limit.min(SWEEP_ITEMS_MAX);
    let found = rows::collect(source, (&from, &prefix_end(&[rows::REFUND])), Order::Rising, limit, |key, _| {
        TimestampMs::decode(key)?;
        PacketId::decode(key)
    })?;
    let named = |key: fn(PacketId) -> Key| found.iter().copied().map(key).collect::<Vec<_>>();
    let packets = rows::read_all::<Packet>(source, &named(rows::packet))?;
    let progress = rows::read_all::<Progress>(source, &named(rows::progress))?;
    let facts = found.into_iter().zip(packets.iter().zip(&progress));
    Ok(facts.map(|(id, (packet, progress))| refund(id, packet, progress)).collect())
}
