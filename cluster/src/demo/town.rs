//! The town: users with funded wallets, chats they belong to, and one host whose account is hot.
//!
//! Must never: fund a wallet without entering it in the book.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rand::Rng;
use rand::seq::IndexedRandom as _;

use super::book::Book;
use crate::doors::Miss;
use crate::limits::SETTLE_CALLS;
use crate::phone::{Id, Phone};

/// Users besides the host.
const USERS: usize = 60;
/// Chats.
const CHATS: usize = 8;
/// Members of a chat besides the host.
const MEMBERS: usize = 16;
/// Fen of a user's wallet: 1,000 yuan.
const FUND_FEN: i64 = 100_000;
/// Fen of the host's wallet, who sends a quarter of all packets.
const HOST_FUND_FEN: i64 = 10_000_000;

/// Who lives here.
#[derive(Clone, Debug)]
pub(crate) struct Town {
    /// Everybody; the host first.
    pub(crate) users: Vec<Id>,
    /// The chats.
    pub(crate) chats: Vec<Chat>,
}

/// A chat.
#[derive(Clone, Debug)]
pub(crate) struct Chat {
    /// Its name.
    pub(crate) id: Id,
    /// Its members; the host first.
    pub(crate) members: Vec<Id>,
}

impl Town {
    /// Draws a town; nobody is registered yet.
    pub(crate) fn draw(rng: &mut impl Rng) -> Self {
        let users: Vec<Id> = (0..=USERS).map(|_| rng.random()).collect();
        let chats = (0..CHATS).map(|_| {
            let (host, others) = users.split_at(1);
            let guests = others.choose_multiple(rng, MEMBERS).copied();
            let members = host.iter().copied().chain(guests).collect();
            Chat { id: rng.random(), members }
        });
        let chats = chats.collect();
        Self { users, chats }
    }

    /// Whose account is hot.
    pub(crate) fn host(&self) -> Id {
        self.users[0]
    }

    /// Registers everybody, and lets them join their chats.
    pub(crate) async fn settle_in(&self, phone: &Phone, book: &mut Book) -> Result<(), Miss> {
        let fund = |user: Id| if user == self.host() { HOST_FUND_FEN } else { FUND_FEN };
        let registered = stream::iter(self.users.iter().enumerate()).map(|(number, user)| async move {
            let name = if number == 0 { "the host".to_owned() } else { format!("user {number}") };
            phone.register(*user, &name, fund(*user)).await
        });
        registered.buffer_unordered(SETTLE_CALLS).try_for_each(|()| async { Ok(()) }).await?;
        self.users.iter().for_each(|user| book.fund(*user, fund(*user)));
        let chats = stream::iter(self.chats.iter().enumerate()).map(|(number, chat)| async move {
            phone.create_chat(chat.id, &format!("chat {number}"), self.host()).await?;
            for member in &chat.members {
                phone.join_chat(chat.id, *member).await?;
            }
            Ok(())
        });
        chats.buffer_unordered(CHATS).try_for_each(|()| async { Ok(()) }).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn every_chat_has_the_host_and_different_members() {
        let town = Town::draw(&mut StdRng::seed_from_u64(1));
        assert_eq!((town.users.len(), town.chats.len()), (USERS + 1, CHATS));
        for chat in &town.chats {
            assert_eq!(chat.members.first(), Some(&town.host()));
            assert_eq!(chat.members.iter().collect::<BTreeSet<_>>().len(), MEMBERS + 1);
        }
    }
}
