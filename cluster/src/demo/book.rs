//! The demo's own books: what every send paid and every open got, kept apart from the servers and compared in the end.
//!
//! Must never: take a number from a server's balance or audit; it would agree with itself.

use std::collections::BTreeMap;

use crate::phone::{Id, Offer};

/// All that is known for sure, and what is still open.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Fen each wallet was funded with.
    funded: BTreeMap<Id, i64>,
    /// Packets that were paid for.
    pub(crate) packets: BTreeMap<Id, PacketPage>,
    /// Sends of which nobody said what became.
    pub(crate) unclear_sends: Vec<Offer>,
    /// Opens (user, packet) of which nobody said what became.
    pub(crate) unclear_opens: Vec<(Id, Id)>,
    /// What does not fit together.
    pub(crate) disputes: Vec<String>,
    /// How often what happened.
    pub(crate) counts: Counts,
}

/// A packet as its sender and its openers know it.
#[derive(Clone, Debug)]
pub(crate) struct PacketPage {
    /// What was offered.
    pub(crate) offer: Offer,
    /// What each user got.
    pub(crate) opens: BTreeMap<Id, i64>,
    /// What went back to the sender.
    pub(crate) refunded_fen: i64,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Packets sent.
    pub(crate) sends: u64,
    /// Answers to "is a share left".
    pub(crate) grabs: u64,
    /// Looks at packets and lists.
    pub(crate) views: u64,
    /// Shares taken.
    pub(crate) opens: u64,
    /// Opens whose credit was waiting when they were answered.
    pub(crate) waiting: u64,
    /// A "no": sold out, not enough money.
    pub(crate) refused: u64,
}

impl Book {
    /// A wallet was opened with money.
    pub(crate) fn fund(&mut self, user: Id, fen: i64) {
        self.funded.insert(user, fen);
    }

    /// A packet was paid for. Said again, it changes nothing.
    pub(crate) fn sent(&mut self, packet: Id, offer: &Offer) {
        let page = || PacketPage { offer: offer.clone(), opens: BTreeMap::new(), refunded_fen: 0 };
        let page = self.packets.entry(packet).or_insert_with(page);
        if page.offer != *offer {
            self.disputes.push(format!("packet {} belongs to two orders", hex(packet)));
        }
    }

    /// A user got a share. Said again, it must be the same one.
    pub(crate) fn opened(&mut self, packet: Id, user: Id, fen: i64) {
        let Some(page) = self.packets.get_mut(&packet) else {
            self.disputes.push(format!("packet {} was opened and never sent", hex(packet)));
            return;
        };
        let former = *page.opens.entry(user).or_insert(fen);
        if former != fen {
            self.disputes.push(format!("user {} got {former} and then {fen} fen from one packet", hex(user)));
        }
        if fen < 1 {
            self.disputes.push(format!("user {} got {fen} fen", hex(user)));
        }
    }

    /// The claims that a packet shows are compared with the opens that were answered.
    pub(crate) fn compare(&mut self, packet: Id, claims: &BTreeMap<Id, i64>, left_fen: i64) {
        let Some(page) = self.packets.get(&packet) else { return };
        let claimed: i64 = claims.values().sum();
        if page.opens != *claims {
            let (own, shown) = (page.opens.values().sum::<i64>(), claimed);
            let dispute = format!("packet {}: openers got {own} fen, the packet shows {shown}", hex(packet));
            self.disputes.push(dispute);
        } else if claimed + left_fen + page.refunded_fen != page.offer.total_fen {
            let total = page.offer.total_fen;
            let back = page.refunded_fen;
            let parts = format!("{claimed} claimed, {left_fen} left, {back} refunded");
            self.disputes.push(format!("packet {}: {parts} of {total} fen", hex(packet)));
        }
    }

    /// What was left of a packet went back.
    pub(crate) fn refunded(&mut self, packet: Id, fen: i64) {
        if let Some(page) = self.packets.get_mut(&packet) {
            page.refunded_fen = fen;
        }
    }

    /// What each wallet must hold, to the fen.
    pub(crate) fn balances(&self) -> BTreeMap<Id, i64> {
        let mut balances = self.funded.clone();
        let mut book = |user: Id, fen: i64| *balances.entry(user).or_default() += fen;
        for page in self.packets.values() {
            book(page.offer.sender, page.refunded_fen - page.offer.total_fen);
            page.opens.iter().for_each(|(user, fen)| book(*user, *fen));
        }
        balances
    }

    /// Fen paid into packets, and fen that left them.
    pub(crate) fn turnover(&self) -> (i64, i64) {
        let pages = || self.packets.values();
        let fen_in = pages().map(|page| page.offer.total_fen).sum();
        let fen_out = pages().map(|page| page.opens.values().sum::<i64>() + page.refunded_fen).sum();
        (fen_in, fen_out)
    }
}

/// The first half of an id, for people.
pub(crate) fn hex(id: Id) -> String {
    id.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proto::packet::v1::PacketKind;

    use super::*;

    const ANN: Id = [1; 16];
    const BOB: Id = [2; 16];
    const PACKET: Id = [9; 16];

    fn offer(order: u8) -> Offer {
        Offer {
            order: [order; 16],
            sender: ANN,
            kind: PacketKind::GroupLucky,
            chat: None,
            recipients: Vec::new(),
            total_fen: 100,
            shares: 3,
            life_ms: 0,
        }
    }

    fn book() -> Book {
        let mut book = Book::default();
        book.fund(ANN, 1000);
        book.fund(BOB, 10);
        book.sent(PACKET, &offer(9));
        book.opened(PACKET, BOB, 60);
        book
    }

    #[test]
    fn balances_are_what_was_funded_less_what_was_sent_plus_what_was_opened_and_came_back() {
        let mut book = book();
        assert_eq!(book.balances(), BTreeMap::from([(ANN, 900), (BOB, 70)]));
        book.opened(PACKET, ANN, 10);
        book.refunded(PACKET, 30);
        assert_eq!(book.balances(), BTreeMap::from([(ANN, 940), (BOB, 70)]));
        assert_eq!(book.turnover(), (100, 100));
    }

    #[test]
    fn a_repeat_changes_nothing() {
        let mut book = book();
        book.sent(PACKET, &offer(9));
        book.opened(PACKET, BOB, 60);
        assert_eq!(book.balances(), BTreeMap::from([(ANN, 900), (BOB, 70)]));
        assert!(book.disputes.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_disputed() {
        type Act = fn(&mut Book);
        let table: [(&str, Act); 6] = [
            ("another share", |book| book.opened(PACKET, BOB, 61)),
            ("a share of nothing", |book| book.opened(PACKET, ANN, 0)),
            ("a packet nobody sent", |book| book.opened([8; 16], BOB, 1)),
            ("one packet, two orders", |book| book.sent(PACKET, &offer(8))),
            ("a claim nobody was told of", |book| book.compare(PACKET, &BTreeMap::from([(BOB, 60), (ANN, 1)]), 39)),
            ("fen that are nowhere", |book| book.compare(PACKET, &BTreeMap::from([(BOB, 60)]), 39)),
        ];
        for (what, act) in table {
            let mut book = book();
            act(&mut book);
            assert_eq!(book.disputes.len(), 1, "{what}: {:?}", book.disputes);
        }
        let mut fine = book();
        fine.compare(PACKET, &BTreeMap::from([(BOB, 60)]), 40);
        assert!(fine.disputes.is_empty(), "{:?}", fine.disputes);
    }
}
