//! The evening: players who send, grab, look and open, all at the same time, and write what they are told into the book.
//!
//! Must never: forget a call without an answer. It is kept as unclear and asked again under the same ids.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::packet::v1::{CreditState, PacketKind};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;

use super::book::Book;
use super::town::Town;
use crate::doors::Miss;
use crate::draw::{self, Action, Zipf};
use crate::phone::{Id, Offer, Phone};

/// Packets that people still look at.
const BOARD_PACKETS: usize = 200;
/// One packet of so many closes in the middle of the evening, after [`SHORT_LIFE_MS`].
const SHORT_LIVED: u32 = 8;
/// Life of such a packet.
const SHORT_LIFE_MS: u64 = 4_000;
/// The others close after this, so that at the end every fen has been claimed or has gone back.
const LIFE_MS: u64 = 12_000;
/// The host sends one packet of so many.
const HOST_SENDS: u32 = 4;

/// A packet that people can see.
#[derive(Clone, Debug)]
struct Shown {
    packet: Id,
    viewers: Vec<Id>,
    /// Who has not opened it yet, in the order in which they will.
    to_open: Vec<Id>,
}

/// Where all players meet.
#[derive(Debug)]
pub(crate) struct Evening {
    town: Town,
    zipf: Zipf,
    board: Mutex<VecDeque<Shown>>,
    book: Mutex<Book>,
}

impl Evening {
    /// An evening in a town whose wallets stand in the book.
    pub(crate) fn new(town: Town, book: Book) -> Self {
        let zipf = Zipf::new(u32::try_from(BOARD_PACKETS).unwrap_or(u32::MAX));
        Self { town, zipf, board: Mutex::default(), book: Mutex::new(book) }
    }

    /// The book as it is now.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn board(&self) -> MutexGuard<'_, VecDeque<Shown>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plays until `stop` is true.
    pub(crate) async fn play(self: Arc<Self>, phone: Phone, seed: u64, stop: watch::Receiver<bool>) {
        let mut rng = StdRng::seed_from_u64(seed);
        while !*stop.borrow() {
            match draw::action(&mut rng) {
                Action::Send => self.send(&phone, &mut rng).await,
                Action::Open => self.open(&phone, &mut rng).await,
                Action::Grab => self.grab(&phone, &mut rng).await,
                Action::View => self.view(&phone, &mut rng).await,
            }
        }
    }

    async fn send(&self, phone: &Phone, rng: &mut StdRng) {
        let Some((offer, viewers)) = self.offer(rng) else { return };
        match phone.send(&offer).await {
            Ok(packet) => {
                {
                    let mut book = self.book();
                    book.sent(packet, &offer);
                    book.counts.sends += 1;
                }
                let to_open = viewers.choose_multiple(rng, viewers.len()).copied().collect();
                let mut board = self.board();
                board.push_front(Shown { packet, viewers, to_open });
                board.truncate(BOARD_PACKETS);
            }
            Err(Miss::Refused { may_have_happened: false, .. }) => self.book().counts.refused += 1,
            Err(_) => self.book().unclear_sends.push(offer),
        }
    }

    /// A packet by lot, and who can see it.
    fn offer(&self, rng: &mut StdRng) -> Option<(Offer, Vec<Id>)> {
        let chat = self.town.chats.choose(rng)?;
        let sender = if rng.random_ratio(1, HOST_SENDS) { self.town.host() } else { *chat.members.choose(rng)? };
        let kind = draw::kind(rng);
        let others: Vec<Id> = chat.members.iter().copied().filter(|member| *member != sender).collect();
        let mut shares = rng.random_range(3..=8);
        let mut recipients = Vec::new();
        match kind {
            PacketKind::Direct => {
                shares = 1;
                recipients.push(*others.choose(rng)?);
            }
            PacketKind::Exclusive => recipients.extend(others.choose_multiple(rng, shares)),
            _ => {}
        }
        let viewers = if recipients.is_empty() { chat.members.clone() } else { recipients.clone() };
        let shares = u32::try_from(shares).unwrap_or(u32::MAX);
        let life_ms = if rng.random_ratio(1, SHORT_LIVED) { SHORT_LIFE_MS } else { LIFE_MS };
        let total_fen = i64::from(shares) * rng.random_range(10..=400);
        let chat = (kind != PacketKind::Direct).then_some(chat.id);
        Some((Offer { order: rng.random(), sender, kind, chat, recipients, total_fen, shares, life_ms }, viewers))
    }

    async fn open(&self, phone: &Phone, rng: &mut StdRng) {
        let Some((packet, user)) = self.next_opener(rng) else {
            return self.grab(phone, rng).await;
        };
        match phone.open(user, packet).await {
            Ok(claim) => {
                let mut book = self.book();
                book.opened(packet, user, claim.fen);
                book.counts.opens += 1;
                book.counts.waiting += u64::from(claim.credit() != CreditState::Arrived);
            }
            Err(Miss::Refused { may_have_happened: false, .. }) => self.book().counts.refused += 1,
            Err(_) => self.book().unclear_opens.push((user, packet)),
        }
    }

    /// A hot packet, and who opens it next.
    fn next_opener(&self, rng: &mut StdRng) -> Option<(Id, Id)> {
        let mut board = self.board();
        let rank = self.zipf.rank(rng, board.len());
        let shown = board.get_mut(rank)?;
        Some((shown.packet, shown.to_open.pop()?))
    }

    async fn grab(&self, phone: &Phone, rng: &mut StdRng) {
        let Some((packet, user)) = self.viewer(rng) else { return tokio::task::yield_now().await };
        let outcome = phone.grab(user, packet).await;
        let mut book = self.book();
        match outcome {
            Ok(_) => book.counts.grabs += 1,
            Err(Miss::Refused { .. }) => {
                book.counts.grabs += 1;
                book.counts.refused += 1;
            }
            // Nothing was reserved; nobody needs to know.
            Err(Miss::Unknown { .. }) => {}
        }
    }

    async fn view(&self, phone: &Phone, rng: &mut StdRng) {
        let Some((packet, user)) = self.viewer(rng) else { return tokio::task::yield_now().await };
        let seen = if rng.random_ratio(1, 4) {
            phone.received(user).await.is_ok()
        } else {
            phone.packet(user, packet).await.is_ok()
        };
        self.book().counts.views += u64::from(seen);
    }

    /// A hot packet, and somebody who can see it.
    fn viewer(&self, rng: &mut StdRng) -> Option<(Id, Id)> {
        let board = self.board();
        let shown = board.get(self.zipf.rank(rng, board.len()))?;
        Some((shown.packet, *shown.viewers.choose(rng)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offer_is_one_that_a_sender_may_make() {
        let mut rng = StdRng::seed_from_u64(1);
        let town = Town::draw(&mut rng);
        let evening = Evening::new(town, Book::default());
        for _ in 0..500 {
            let (offer, viewers) = evening.offer(&mut rng).expect("the town has chats and members");
            let shares = usize::try_from(offer.shares).expect("shares are few");
            assert!(offer.total_fen >= i64::from(offer.shares) && offer.total_fen <= 20_000 * i64::from(offer.shares));
            assert_eq!(offer.total_fen % i64::from(offer.shares), 0, "equal shares are whole fen");
            assert!(!offer.recipients.contains(&offer.sender));
            match offer.kind {
                PacketKind::Direct => assert_eq!((offer.chat, shares, offer.recipients.len()), (None, 1, 1)),
                PacketKind::Exclusive => assert_eq!(offer.recipients.len(), shares),
                _ => assert!(offer.recipients.is_empty() && offer.chat.is_some()),
            }
            assert!(!viewers.is_empty());
            assert!(offer.life_ms > 0, "no packet stays open for a day");
        }
    }
}
