//! Lists: what a user sent and received, what a chat shows, over all packet groups.
//!
//! Why from what is applied here: a list may be a moment old. Its cursor names a time and a packet, so a page of one
//! node is followed by the next of another.
//!
//! Must never: skip an item between two pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use machine::{LoadError, RowSource};
use packets::lists::{self, Cursor, PacketItem, Page, ReceivedItem};
use packets::read::{self, YearView};
use packets::{ChatId, Refusal, UserId, YearTotals};

use crate::failure::Failure;
use crate::homes::Homes;
use crate::pay::send::is_member;

/// An item with the name of its packet's sender.
pub(crate) type Named<T> = (T, String);

/// The place and the length of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageAsked {
    /// Behind this item; `None`: from the newest.
    pub(crate) after: Option<Cursor>,
    /// Most items.
    pub(crate) limit: usize,
}

/// Packets that `user` sent, newest first.
pub(crate) fn sent(homes: &Arc<Homes>, user: UserId, page: PageAsked) -> Result<Page<Named<PacketItem>>, Failure> {
    gather(homes, page, |rows| {
        let found = lists::sent(rows, user, page.after, page.limit)?;
        named(rows, found, |item| item.packet.terms.sender)
    })
}

/// Shares that `user` took, newest first.
pub(crate) fn received(
    homes: &Arc<Homes>,
    user: UserId,
    page: PageAsked,
) -> Result<Page<Named<ReceivedItem>>, Failure> {
    gather(homes, page, |rows| {
        let found = lists::received(rows, user, page.after, page.limit)?;
        named(rows, found, |item| item.packet.terms.sender)
    })
}

/// Direct packets for `user`, newest first.
pub(crate) fn offered(homes: &Arc<Homes>, user: UserId, page: PageAsked) -> Result<Page<Named<PacketItem>>, Failure> {
    gather(homes, page, |rows| {
        let found = lists::offered(rows, user, page.after, page.limit)?;
        named(rows, found, |item| item.packet.terms.sender)
    })
}

/// Packets of `chat`, newest first, for one of its members. Refuses: `NotMember`.
pub(crate) async fn of_chat(
    homes: &Arc<Homes>,
    chat: ChatId,
    user: UserId,
    page: PageAsked,
) -> Result<Page<Named<PacketItem>>, Failure> {
    if let Some(shard) = homes.packet_shards().next()
        && !shard.stale(|seen| is_member(seen.rows, chat, user))??
        && !shard.fresh(|seen| is_member(seen.rows, chat, user)).await??
    {
        return Err(Refusal::NotMember.into());
    }
    gather(homes, page, |rows| {
        let found = lists::shown(rows, chat, page.after, page.limit)?;
        named(rows, found, |item| item.packet.terms.sender)
    })
}

/// Chats that `user` is in, with their names.
pub(crate) fn chats(homes: &Arc<Homes>, user: UserId) -> Result<Vec<(ChatId, packets::Chat)>, Failure> {
    let Some(shard) = homes.packet_shards().next() else { return Ok(Vec::new()) };
    let found = shard.stale(|seen| {
        let mut found = Vec::new();
        for id in lists::chats_of(seen.rows, user, None, packets::limits::PAGE_ITEMS_MAX)? {
            found.extend(read::chat(seen.rows, id)?.map(|chat| (id, chat)));
        }
        Ok::<_, LoadError>(found)
    });
    Ok(found??)
}

/// Members of `chat` behind `after` with their names, by id, for one of them. Refuses: `NotMember`.
pub(crate) fn members(
    homes: &Arc<Homes>,
    chat: ChatId,
    user: UserId,
    after: Option<UserId>,
) -> Result<Vec<(UserId, String)>, Failure> {
    let Some(shard) = homes.packet_shards().next() else { return Ok(Vec::new()) };
    let found = shard.stale(|seen| {
        if !is_member(seen.rows, chat, user)? {
            return Ok(None);
        }
        let members = lists::members(seen.rows, chat, after, packets::limits::PAGE_ITEMS_MAX)?;
        let names = read::users(seen.rows, &members)?;
        let named =
            members.into_iter().zip(names).map(|(id, user)| (id, user.map(|user| user.name).unwrap_or_default()));
        Ok::<_, LoadError>(Some(named.collect()))
    });
    found??.ok_or_else(|| Refusal::NotMember.into())
}

/// What each year came to for `user`, newest first.
pub(crate) fn years(homes: &Arc<Homes>, user: UserId) -> Result<Vec<(u16, YearView)>, Failure> {
    let mut years: BTreeMap<u16, YearView> = BTreeMap::new();
    for shard in homes.packet_shards() {
        let here = shard.stale(|seen| years_of(seen.rows, user))??;
        for (year, view) in here {
            let sum = years.entry(year).or_default();
            sum.totals = sum.totals.plus(view.totals);
            sum.luckiest = sum.luckiest.saturating_add(view.luckiest);
        }
    }
    Ok(years.into_iter().rev().filter(|(_, view)| view.totals != YearTotals::default()).collect())
}

fn years_of(rows: &dyn RowSource, user: UserId) -> Result<Vec<(u16, YearView)>, LoadError> {
    let Some(known) = read::user(rows, user)? else { return Ok(Vec::new()) };
    known.years.keys().map(|year| Ok((*year, read::year(rows, user, *year)?))).collect()
}

fn gather<T>(
    homes: &Arc<Homes>,
    page: PageAsked,
    list: impl Fn(&dyn RowSource) -> Result<Page<T>, LoadError>,
) -> Result<Page<T>, Failure> {
    let pages = homes.packet_shards().map(|shard| Ok(shard.stale(|seen| list(seen.rows))??));
    Ok(Page::merge(pages.collect::<Result<_, Failure>>()?, page.limit))
}

/// A page with the names of the packets' senders.
pub(super) fn named<T>(
    rows: &dyn RowSource,
    page: Page<T>,
    sender: impl Fn(&T) -> UserId,
) -> Result<Page<Named<T>>, LoadError> {
    let senders: Vec<UserId> = page.items.iter().map(|(_, item)| sender(item)).collect();
    let names = read::users(rows, &senders)?.into_iter().map(|user| user.map(|user| user.name).unwrap_or_default());
    let items = page.items.into_iter().zip(names).map(|((at, item), name)| (at, (item, name)));
    Ok(Page { items: items.collect(), next: page.next })
}
