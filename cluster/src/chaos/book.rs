//! The book of a checked load: what became of every message, by its number.
//!
//! ```text
//!  sent ──> acknowledged ──> delivered (once or again) ──> consumed
//!     └──> unknown: it may be there or not, but once at most
//! ```
//!
//! Must never: call an outcome known that its client was not told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

/// What a message has come through.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    /// Its id, once somebody said it; 0 before.
    id: u64,
    is_acknowledged: bool,
    is_delivered: bool,
    is_consumed: bool,
    is_perhaps_consumed: bool,
}

/// All messages of a run.
#[derive(Debug)]
pub(crate) struct Book {
    fates: BTreeMap<u64, Fate>,
    acknowledged: u64,
    doubled: u64,
    returned: u64,
    redelivered: u64,
    answered: Instant,
    gap: Duration,
}

/// The account at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Account {
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    /// Sends whose outcome nobody learned.
    pub(crate) unknown: u64,
    pub(crate) consumed: u64,
    /// Deliveries of messages that had been delivered before and were not consumed.
    pub(crate) redelivered: u64,
    /// Acknowledged and never seen again.
    pub(crate) lost: u64,
    /// One number that became two messages, or was consumed twice.
    pub(crate) doubled: u64,
    /// Delivered after they were consumed.
    pub(crate) returned: u64,
    /// The longest time in which no send was acknowledged. Units: milliseconds.
    pub(crate) longest_gap_ms: u64,
    /// Whether the queue ran dry in the end.
    pub(crate) is_dry: bool,
}

impl Account {
    /// Whether every message is accounted for.
    pub(crate) const fn holds(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.returned == 0 && self.is_dry
    }
}

impl Book {
    pub(crate) fn new() -> Self {
        let (fates, answered) = (BTreeMap::new(), Instant::now());
        Self { fates, acknowledged: 0, doubled: 0, returned: 0, redelivered: 0, answered, gap: Duration::ZERO }
    }

    /// These numbers are about to be sent.
    pub(crate) fn send(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.fates.entry(*number).or_default();
        }
    }

    /// A send was acknowledged.
    pub(crate) fn acknowledge(&mut self, numbers: &[u64], ids: &[u64]) {
        let now = Instant::now();
        self.gap = self.gap.max(now.duration_since(self.answered));
        self.answered = now;
        for (number, id) in numbers.iter().zip(ids) {
            self.is_named(*number, *id);
            let fate = self.fates.entry(*number).or_default();
            self.acknowledged += u64::from(!std::mem::replace(&mut fate.is_acknowledged, true));
        }
    }

    /// A message came. One whose number nobody sent counts as doubled.
    pub(crate) fn deliver(&mut self, number: u64, id: u64) {
        if !self.fates.contains_key(&number) {
            self.doubled += 1;
            return;
        }
        self.is_named(number, id);
        let fate = self.fates.entry(number).or_default();
        if fate.is_consumed {
            self.returned += 1;
        } else if fate.is_delivered {
            self.redelivered += 1;
        }
        fate.is_delivered = true;
    }

    /// A message was consumed; `is_known` is false if its consumer was not told so.
    pub(crate) fn consume(&mut self, number: u64, is_known: bool) {
        let fate = self.fates.entry(number).or_default();
        if !is_known {
            fate.is_perhaps_consumed = true;
        } else if std::mem::replace(&mut fate.is_consumed, true) {
            self.doubled += 1;
        }
    }

    /// Notes a number's id; another one than before is a second message.
    fn is_named(&mut self, number: u64, id: u64) {
        let fate = self.fates.entry(number).or_default();
        if fate.id != 0 && fate.id != id {
            self.doubled += 1;
        }
        fate.id = id;
    }

    /// Sends stop here: what follows is no gap.
    pub(crate) fn stop(&mut self) {
        self.gap = self.gap.max(self.answered.elapsed());
    }

    pub(crate) const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub(crate) fn account(&self, is_dry: bool) -> Account {
        let lost = |fate: &&Fate| fate.is_acknowledged && !fate.is_consumed && !fate.is_perhaps_consumed;
        let (sent, acknowledged) = (count(self.fates.values()), self.acknowledged());
        Account {
            sent,
            acknowledged,
            unknown: sent - acknowledged,
            consumed: count(self.fates.values().filter(|fate| fate.is_consumed)),
            redelivered: self.redelivered,
            lost: count(self.fates.values().filter(lost)),
            doubled: self.doubled,
            returned: self.returned,
            longest_gap_ms: u64::try_from(self.gap.as_millis()).unwrap_or(u64::MAX),
            is_dry,
        }
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consume_once(book: &mut Book) {
        deliver_then_consume(book, 1, 10);
    }

    fn consume_both(book: &mut Book) {
        book.consume(1, true);
        book.consume(2, true);
    }

    fn consume_twice(book: &mut Book) {
        book.consume(1, true);
        book.consume(1, true);
    }

    fn consume_then_deliver(book: &mut Book) {
        book.consume(1, true);
        book.deliver(1, 10);
    }

    fn deliver_then_consume(book: &mut Book, number: u64, id: u64) {
        book.deliver(number, id);
        book.consume(1, true);
    }

    type Deeds = fn(&mut Book);

    fn account(deeds: impl FnOnce(&mut Book)) -> Account {
        let mut book = Book::new();
        book.send(&[1, 2]);
        book.acknowledge(&[1], &[10]);
        deeds(&mut book);
        book.account(true)
    }

    #[test]
    fn every_breach_is_counted_and_an_unknown_outcome_is_none() {
        let table: [(&str, Deeds, [u64; 3]); 8] = [
            ("never seen again", |_| {}, [1, 0, 0]),
            ("consumed", consume_once, [0, 0, 0]),
            ("perhaps consumed", |book| book.consume(1, false), [0, 0, 0]),
            ("an unknown send is there", consume_both, [0, 0, 0]),
            ("another id", |book| deliver_then_consume(book, 1, 11), [0, 1, 0]),
            ("consumed twice", consume_twice, [0, 1, 0]),
            ("returned", consume_then_deliver, [0, 0, 1]),
            ("never sent", |book| deliver_then_consume(book, 7, 70), [0, 1, 0]),
        ];
        for (name, deeds, expected) in table {
            let found = account(deeds);
            assert_eq!([found.lost, found.doubled, found.returned], expected, "{name}: {found:?}");
            assert_eq!(found.holds(), expected == [0, 0, 0], "{name}");
        }
    }
}
