//! News: how everything stands that a phone shows of itself, in one reading.
//!
//! ```text
//!  packet groups: newest received, sent, offered; chats with their newest packet ─┐
//!  ledger shard:  balance, and what is on its way ────────────────────────────────┴─> one state
//! ```
//!
//! Why a state and not events: a phone that was away reads the same state as one that was there, so there is no event
//! to lose, to keep or to repeat. Whatever moved money moved the balance, so a change of anything older than the newest
//! items shows, too.
//!
//! Must never: read more than the newest of each list, or show a user what is not his.

use std::sync::Arc;

use machine::LoadError;
use packets::lists::{self, Cursor, PacketItem, ReceivedItem};
use packets::{Chat, ChatId, UserId};

use crate::failure::Failure;
use crate::homes::Homes;
use crate::limits::{NEWS_CHATS_MAX, NEWS_ITEMS};
use crate::packet::lists::{Named, PageAsked};
use crate::tenpay::accounts::{Accounts, Balance, wallet};

/// An item with its place in its list.
type Placed<T> = (Cursor, Named<T>);

/// How everything stands for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// The wallet; `None`: the user has none.
    pub(crate) balance: Option<Balance>,
    /// The newest shares taken.
    pub(crate) received: Vec<Placed<ReceivedItem>>,
    /// The newest packets sent.
    pub(crate) sent: Vec<Placed<PacketItem>>,
    /// The newest packets for this user alone.
    pub(crate) offered: Vec<Placed<PacketItem>>,
    /// The user's chats, each with its newest packet.
    pub(crate) chats: Vec<(ChatId, Chat, Option<Placed<PacketItem>>)>,
}

/// Reads the news of `user` from what is applied here. Errors: a group of this node stands still.
pub(crate) fn news(homes: &Arc<Homes>, accounts: &Accounts, user: UserId) -> Result<News, Failure> {
    let page = PageAsked { after: None, limit: NEWS_ITEMS };
    let mut chats = Vec::new();
    for (id, chat) in super::lists::chats(homes, user)?.into_iter().take(NEWS_CHATS_MAX) {
        chats.push((id, chat, newest_of(homes, id)?));
    }
    Ok(News {
        balance: accounts.balance_here(wallet(user))?,
        received: super::lists::received(homes, user, page)?.items,
        sent: super::lists::sent(homes, user, page)?.items,
        offered: super::lists::offered(homes, user, page)?.items,
        chats,
    })
}

fn newest_of(homes: &Arc<Homes>, chat: ChatId) -> Result<Option<Placed<PacketItem>>, Failure> {
    let mut newest: Option<Placed<PacketItem>> = None;
    for shard in homes.packet_shards() {
        let here = shard.stale(|seen| {
            let page = lists::shown(seen.rows, chat, None, 1)?;
            Ok::<_, LoadError>(super::lists::named(seen.rows, page, |item| item.packet.terms.sender)?.items.pop())
        })??;
        if let Some(item) = here
            && newest.as_ref().is_none_or(|known| known.0 < item.0)
        {
            newest = Some(item);
        }
    }
    Ok(newest)
}

/// Moves whenever something was applied here that could be news of `user`; cheap to ask.
pub(crate) fn pulse(homes: &Homes, user: UserId) -> u64 {
    let packets = homes.packet_shards().map(|shard| *shard.group.applied_index().borrow());
    // Indexes only rise, so the sum moves with each of them.
    packets.fold(*homes.ledger(wallet(user)).group.applied_index().borrow(), u64::wrapping_add)
}
