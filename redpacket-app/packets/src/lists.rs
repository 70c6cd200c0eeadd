//! Lists, newest first, page by page: what a user sent, received and was offered, what a chat shows.
//!
//! Why a cursor that names an instant and a packet: it is the same place in every group, so a door asks all groups with
//! one cursor and merges their pages.
//!
//! Must never: skip or repeat an item because newer ones came in between two pages.

use machine::{Key, Layout, LoadError, RowSource, TimestampMs, prefix_end};

use crate::claim::{Claim, Share};
use crate::ids::{ChatId, PacketId, UserId};
use crate::limits::PAGE_ITEMS_MAX;
use crate::packet::Packet;
use crate::progress::Progress;
use crate::rows::{self, Order};

/// A place in a list: behind the item of this packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The item's time.
    pub at: TimestampMs,
    /// The item's packet.
    pub packet: PacketId,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Items with their places, newest first.
    pub items: Vec<(Cursor, T)>,
    /// Where the next page begins; `None`: the list ends here.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// One page of at most `limit` items out of those that several groups answered to the same question.
    #[must_use]
    pub fn merge(pages: Vec<Self>, limit: usize) -> Self {
        let is_more = pages.iter().any(|page| page.next.is_some());
        let mut items: Vec<(Cursor, T)> = pages.into_iter().flat_map(|page| page.items).collect();
        items.sort_by_key(|(at, _)| core::cmp::Reverse(*at));
        let is_more = is_more || items.len() > limit;
        items.truncate(limit);
        let next = items.last().map(|(at, _)| *at).filter(|_| is_more);
        Self { items, next }
    }
}

/// A packet in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketItem {
    /// What its sender asked for.
    pub packet: Packet,
    /// How far it has come.
    pub progress: Progress,
}

/// A share in the list of what a user received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedItem {
    /// The packet.
    pub packet: Packet,
    /// Number of the share.
    pub number: u16,
    /// The share, *waiting* or *arrived*.
    pub share: Share,
    /// Whether the user was luckiest of all.
    pub is_luckiest: bool,
}

/// Packets that `user` sent, by creation.
pub fn sent(
    source: &dyn RowSource,
    user: UserId,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<PacketItem>, LoadError> {
    packets(source, &rows::under(rows::SENT, user.0), after, limit)
}

/// Direct packets for `user`, opened or not, by creation.
pub fn offered(
    source: &dyn RowSource,
    user: UserId,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<PacketItem>, LoadError> {
    packets(source, &rows::under(rows::OFFERED, user.0), after, limit)
}

/// Packets that `chat` shows, by creation.
pub fn shown(
    source: &dyn RowSource,
    chat: ChatId,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<PacketItem>, LoadError> {
    packets(source, &rows::under(rows::SHOWN, chat.0), after, limit)
}

/// Shares that `user` opened, by the moment of the open.
pub fn received(
    source: &dyn RowSource,
    user: UserId,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<ReceivedItem>, LoadError> {
    let (places, next) = places(source, &rows::under(rows::RECEIVED, user.0), after, limit)?;
    let named = |key: fn(PacketId) -> Key| places.iter().map(|place| key(place.packet)).collect::<Vec<_>>();
    let packets = rows::read_all::<Packet>(source, &named(rows::packet))?;
    let progress = rows::read_all::<Progress>(source, &named(rows::progress))?;
    let keys: Vec<Key> = places.iter().map(|place| rows::claim(place.packet, user)).collect();
    let claims = rows::read_all::<Claim>(source, &keys)?;
    let keys: Vec<Key> =
        places.iter().zip(&claims).map(|(place, claim)| rows::share(place.packet, claim.share)).collect();
    let shares = rows::read_all::<Share>(source, &keys)?;

    let facts = packets.into_iter().zip(progress).zip(claims.into_iter().zip(shares));
    let items = places.into_iter().zip(facts).map(|(place, ((packet, progress), (claim, share)))| {
        let is_luckiest = progress.luckiest(&packet) == Some(user);
        (place, ReceivedItem { packet, number: claim.share, share, is_luckiest })
    });
    Ok(Page { items: items.collect(), next })
}

/// Members of `chat` behind `after`, by id.
pub fn members(
    source: &dyn RowSource,
    chat: ChatId,
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<UserId>, LoadError> {
    let prefix = rows::under(rows::MEMBER, chat.0);
    Ok(names(source, &prefix, after.map(|user| rows::member(chat, user)), limit)?.into_iter().map(UserId).collect())
}

/// Chats that `user` is in, behind `after`, by id.
pub fn chats_of(
    source: &dyn RowSource,
    user: UserId,
    after: Option<ChatId>,
    limit: usize,
) -> Result<Vec<ChatId>, LoadError> {
    let prefix = rows::under(rows::CHAT_OF, user.0);
    Ok(names(source, &prefix, after.map(|chat| rows::chat_of(user, chat)), limit)?.into_iter().map(ChatId).collect())
}

fn packets(
    source: &dyn RowSource,
    prefix: &Key,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<PacketItem>, LoadError> {
    let (places, next) = places(source, prefix, after, limit)?;
    let named = |key: fn(PacketId) -> Key| places.iter().map(|place| key(place.packet)).collect::<Vec<_>>();
    let packets = rows::read_all::<Packet>(source, &named(rows::packet))?;
    let progress = rows::read_all::<Progress>(source, &named(rows::progress))?;
    let items = places.into_iter().zip(packets.into_iter().zip(progress));
    let items = items.map(|(place, (packet, progress))| (place, PacketItem { packet, progress }));
    Ok(Page { items: items.collect(), next })
}

/// The places of a page, and where the next one begins. One place more than asked for tells whether there is a next
/// page.
fn places(
    source: &dyn RowSource,
    prefix: &Key,
    after: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<Cursor>, Option<Cursor>), LoadError> {
    let limit = limit.clamp(1, PAGE_ITEMS_MAX);
    let end = match after {
        Some(cursor) => {
            let mut end = prefix.to_vec();
            end.extend_from_slice(&cursor.at.to_bytes());
            end.extend_from_slice(&cursor.packet.to_bytes());
            end
        }
        None => prefix_end(prefix),
    };
    let mut places = rows::collect(source, (prefix, &end), Order::Falling, limit.saturating_add(1), |key, _| {
        key.u128()?;
        Ok(Cursor { at: TimestampMs::decode(key)?, packet: PacketId::decode(key)? })
    })?;
    let is_more = places.len() > limit;
    places.truncate(limit);
    let next = places.last().copied().filter(|_| is_more);
    Ok((places, next))
}

/// The second names of the rows under `prefix`, behind the row `after`.
fn names(source: &dyn RowSource, prefix: &Key, after: Option<Key>, limit: usize) -> Result<Vec<u128>, LoadError> {
    // The key behind a key is that key and a zero byte.
    let from = after.map_or_else(|| prefix.to_vec(), |key| [key.as_ref(), &[0]].concat());
    let limit = limit.clamp(1, PAGE_ITEMS_MAX);
    rows::collect(source, (&from, &prefix_end(prefix)), Order::Rising, limit, |key, _| {
        key.u128()?;
        key.u128()
    })
}
