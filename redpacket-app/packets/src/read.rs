//! Reads of one thing: a packet, a user, a chat; and the grab.
//!
//! Why: reads walk past the log. They see committed rows, and the caller says (by read-index) that these are the
//! newest.
//!
//! Must never: reserve anything. A grab that says *yes* promises nothing; open alone decides.

use machine::{DecodeError, Key, Layout, LoadError, RowSource, TimestampMs, prefix_end};

use crate::chat::Chat;
use crate::claim::{Claim, Credit, Share};
use crate::ids::{ChatId, PacketId, UserId};
use crate::limits::SHARES_MAX;
use crate::packet::Packet;
use crate::progress::Progress;
use crate::refusal::Refusal;
use crate::rows::{self, Order};
use crate::user::{User, YearTotals};

/// The answer to a grab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrabAnswer {
    /// A share is left and the user may try to open it.
    Left {
        /// The chat of the packet, for the open.
        chat: Option<ChatId>,
        /// Shares left at this moment.
        shares: u16,
        /// Whether the open needs a password.
        needs_password: bool,
    },
    /// The user has this share already.
    Claimed(Credit),
    /// No share for this user, for the reason that an open would give.
    Refused(Refusal),
}

/// A packet with everybody who has a share of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketView {
    /// Its name.
    pub id: PacketId,
    /// What its sender asked for.
    pub packet: Packet,
    /// How far it has come.
    pub progress: Progress,
    /// Its claims; the first has share number 1.
    pub shares: Vec<Share>,
}

impl PacketView {
    /// Who was luckiest, once that is decided.
    #[must_use]
    pub fn luckiest(&self) -> Option<UserId> {
        self.progress.luckiest(&self.packet)
    }

    /// Everybody who has a share, for [`crate::Gate::learn_over`].
    pub fn holders(&self) -> impl Iterator<Item = UserId> {
        self.shares.iter().map(|share| share.user)
    }
}

/// What a user's year came to, in one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct YearView {
    /// Packets and fen.
    pub totals: YearTotals,
    /// Packets in which the user was luckiest.
    pub luckiest: u64,
}

/// Whether `user` could open `packet` at `now`. Reserves nothing.
///
/// Refuses, as an open: `PacketUnknown`, `UserUnknown`, `NotYours`, `SoldOut`, `Expired`.
pub fn grab(source: &dyn RowSource, id: PacketId, user: UserId, now: TimestampMs) -> Result<GrabAnswer, LoadError> {
    let (Some(packet), Some(progress)) = (read_packet(source, id)?, read_progress(source, id)?) else {
        return Ok(GrabAnswer::Refused(Refusal::PacketUnknown));
    };
    let Some(known) = read_user(source, user)? else {
        return Ok(GrabAnswer::Refused(Refusal::UserUnknown));
    };
    if let Some(claim) = rows::read::<Claim>(source, &rows::claim(id, user))? {
        return Ok(GrabAnswer::Claimed(Credit {
            packet: id,
            share: claim.share,
            fen: claim.fen,
            claimed: claim.claimed,
            payer: packet.terms.payer,
            user,
            payee: known.account,
        }));
    }
    let chat = packet.terms.kind.chat();
    let is_member = match chat {
        Some(chat) => source.get(&rows::member(chat, user))?.is_some(),
        None => false,
    };
    if !packet.terms.kind.admits(user, is_member) {
        return Ok(GrabAnswer::Refused(Refusal::NotYours));
    }
    if let Err(refusal) = progress.available(&packet, now) {
        return Ok(GrabAnswer::Refused(refusal));
    }
    let shares = progress.shares_left(&packet);
    Ok(GrabAnswer::Left { chat, shares, needs_password: packet.terms.password.is_some() })
}

/// A packet with its claims.
pub fn packet(source: &dyn RowSource, id: PacketId) -> Result<Option<PacketView>, LoadError> {
    let (Some(packet), Some(progress)) = (read_packet(source, id)?, read_progress(source, id)?) else {
        return Ok(None);
    };
    Ok(Some(PacketView { id, packet, progress, shares: shares(source, id)? }))
}

/// The claims of a packet in the order of their shares.
pub(crate) fn shares(source: &dyn RowSource, id: PacketId) -> Result<Vec<Share>, LoadError> {
    let from = rows::under(rows::SHARE, id.bits());
    let limit = usize::from(SHARES_MAX);
    rows::collect(source, (&from, &prefix_end(&from)), Order::Rising, limit, |_, value| from_slice(value))
}

/// A user, with the totals of this group.
pub fn user(source: &dyn RowSource, id: UserId) -> Result<Option<User>, LoadError> {
    read_user(source, id)
}

/// Users in the order of `ids`, in one round to the store.
pub fn users(source: &dyn RowSource, ids: &[UserId]) -> Result<Vec<Option<User>>, LoadError> {
    let keys: Vec<Key> = ids.iter().map(|id| rows::user(*id)).collect();
    let values = source.get_many(&keys)?;
    let decode = |(key, value): (&Key, Option<bytes::Bytes>)| value.map(|value| rows::decode(key, &value)).transpose();
    keys.iter().zip(values).map(decode).collect()
}

/// A chat.
pub fn chat(source: &dyn RowSource, id: ChatId) -> Result<Option<Chat>, LoadError> {
    rows::read(source, &rows::chat(id))
}

/// What a user's `year` came to. Costs a step for each packet of the year in which the user was luckiest.
pub fn year(source: &dyn RowSource, id: UserId, year: u16) -> Result<YearView, LoadError> {
    let totals = read_user(source, id)?.and_then(|user| user.years.get(&year).copied()).unwrap_or_default();
    let from = rows::luckiest_in(id, year);
    let mut luckiest = 0_u64;
    source.scan(&from, &prefix_end(&from), &mut |_, _| {
        luckiest = luckiest.saturating_add(1);
        true
    })?;
    Ok(YearView { totals, luckiest })
}

/// A value that is not shared yet.
pub(crate) fn from_slice<T: Layout>(value: &[u8]) -> Result<T, DecodeError> {
    T::from_bytes(&bytes::Bytes::copy_from_slice(value))
}

fn read_packet(source: &dyn RowSource, id: PacketId) -> Result<Option<Packet>, LoadError> {
    rows::read(source, &rows::packet(id))
}

fn read_progress(source: &dyn RowSource, id: PacketId) -> Result<Option<Progress>, LoadError> {
    rows::read(source, &rows::progress(id))
}

fn read_user(source: &dyn RowSource, id: UserId) -> Result<Option<User>, LoadError> {
    rows::read(source, &rows::user(id))
}
