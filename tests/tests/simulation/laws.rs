//! The laws of a queue, held against what its clients saw.
//!
//! ```text
//!  nothing acknowledged is lost          no number becomes two messages, none is consumed twice
//!  no message is under two live leases   what is acked never comes again
//!  receipts only grow                    no delay ends early
//!  an ordered group keeps its order      a dead letter comes back to no consumer
//! ```
//! Entries are ordered by their index; what one entry did is in no order, and no law looks into it. Where only a repeat was
//! answered, the entry is known within a span: a law is broken only if it is broken wherever in the span that was.
//!
//! Must never: count an outcome as known that the client was not told.

use std::collections::{BTreeMap, BTreeSet};

use machine::TimestampMs;
use queue_core::{DeliveryNumber, MessageId};

use crate::history::{Delivered, End, Ended, Extended, History, Line, Sent, Span};
use crate::play::Tally;

/// Holds every law against a history. Errors: all that are broken.
pub(crate) fn judge(history: &History) -> Result<Tally, String> {
    let book = Book::new(history);
    let mut broken = history.broken.clone();
    for law in [lost, doubled, returned, shared, numbered, early, ordered, dead] {
        let mut found = law(&book);
        let more = found.len().saturating_sub(5);
        found.truncate(5);
        if more > 0 {
            found.push(format!("and {more} more"));
        }
        broken.append(&mut found);
    }
    if !broken.is_empty() {
        return Err(broken.join("\n"));
    }
    let dead = history.delivered.iter().filter(|delivery| delivery.line == Line::Dead).count() as u64;
    let (sent, delivered) = (history.sent.len() as u64, history.delivered.len() as u64);
    Ok(Tally { sent, delivered, dead, unknown: history.unknown })
}

/// A history, sorted for the laws.
struct Book<'a> {
    history: &'a History,
    /// Deliveries of each message in their order.
    delivered: BTreeMap<MessageId, Vec<&'a Delivered>>,
    ended: BTreeMap<DeliveryNumber, Vec<&'a Ended>>,
    extended: BTreeMap<DeliveryNumber, Vec<&'a Extended>>,
    /// Where a message was acked.
    acked: BTreeMap<MessageId, Vec<Span>>,
    /// Messages that may have been acked.
    perhaps: BTreeSet<MessageId>,
    /// The latest stamp known of entries before an index.
    stamps: BTreeMap<u64, TimestampMs>,
}

impl<'a> Book<'a> {
    fn new(history: &'a History) -> Self {
        let mut book = Self {
            history,
            delivered: BTreeMap::new(),
            ended: BTreeMap::new(),
            extended: BTreeMap::new(),
            acked: BTreeMap::new(),
            perhaps: BTreeSet::new(),
            stamps: BTreeMap::new(),
        };
        for delivery in &history.delivered {
            book.delivered.entry(delivery.id).or_default().push(delivery);
        }
        for deliveries in book.delivered.values_mut() {
            deliveries.sort_by_key(|delivery| (delivery.stamp, delivery.receipt));
        }
        for ended in &history.ended {
            book.ended.entry(ended.receipt).or_default().push(ended);
            match (ended.end, ended.at) {
                (End::Ack, Some(at)) => book.acked.entry(ended.id).or_default().push(at),
                (End::Ack, None) => drop(book.perhaps.insert(ended.id)),
                (End::Release { .. }, _) => {}
            }
        }
        for extended in &history.extended {
            book.extended.entry(extended.receipt).or_default().push(extended);
        }
        let mut stamps = history.stamps.clone();
        stamps.sort_unstable();
        let mut latest = TimestampMs(0);
        for (index, stamp) in stamps {
            latest = latest.max(stamp);
            book.stamps.insert(index, latest);
        }
        book
    }

    /// Machine time was this at least when entry `index` was stamped.
    fn reached(&self, index: u64) -> TimestampMs {
        self.stamps.range(..=index).next_back().map_or(TimestampMs(0), |(_, stamp)| *stamp)
    }

    /// The entry that acked a message, if its consumer was told.
    fn acked_at(&self, id: MessageId) -> Option<Span> {
        self.acked.get(&id).and_then(|spans| spans.first().copied())
    }

    /// When the lease of `delivery` ends by itself, as far as entries before `later` say. `None`: nobody knows.
    fn deadline(&self, delivery: &Delivered, later: Span) -> Option<TimestampMs> {
        let mut known: Vec<(Span, TimestampMs)> = Vec::new();
        for extended in self.extended.get(&delivery.receipt).into_iter().flatten() {
            known.push(extended.at?);
        }
        if known.iter().any(|(at, _)| !at.is_before(later) && !later.is_before(*at)) {
            return None;
        }
        known.sort_unstable();
        let last = known.iter().rfind(|(at, _)| at.is_before(later));
        Some(last.map_or(delivery.deadline, |(_, deadline)| *deadline))
    }

    /// Whether the holder of `delivery` ended it before `later` or in the same entry, or may have.
    fn is_ended(&self, delivery: &Delivered, later: Span) -> bool {
        let ends = self.ended.get(&delivery.receipt).into_iter().flatten();
        ends.into_iter().any(|end| end.at.is_none_or(|at| !later.is_before(at)))
    }
}

fn lost(book: &Book<'_>) -> Vec<String> {
    let is_lost = |sent: &&Sent| !book.acked.contains_key(&sent.id) && !book.perhaps.contains(&sent.id);
    let lost = book.history.sent.iter().filter(is_lost);
    lost.map(|sent| format!("lost: message {:x}, acknowledged at {}", sent.number, sent.at.to)).collect()
}

fn doubled(book: &Book<'_>) -> Vec<String> {
    let mut ids: BTreeMap<u64, BTreeSet<MessageId>> = BTreeMap::new();
    for sent in &book.history.sent {
        ids.entry(sent.number).or_default().insert(sent.id);
    }
    for delivery in &book.history.delivered {
        if let Some(number) = delivery.number {
            ids.entry(number).or_default().insert(delivery.id);
        }
    }
    let twice = ids.iter().filter(|(_, ids)| ids.len() > 1);
    let mut found: Vec<String> = twice.map(|(number, ids)| format!("doubled: {number:x} is {ids:?}")).collect();
    let acks = book.acked.iter().filter(|(_, at)| at.len() > 1);
    found.extend(acks.map(|(id, at)| format!("doubled: message {:x} was consumed at {at:?}", id.0)));
    found
}

fn returned(book: &Book<'_>) -> Vec<String> {
    let after = |delivery: &&Delivered| book.acked_at(delivery.id).is_some_and(|acked| acked.is_before(delivery.at));
    let came = book.history.delivered.iter().filter(after);
    came.map(|delivery| format!("returned: message {:x} came at {} after its ack", delivery.id.0, delivery.at.from))
        .collect()
}

fn shared(book: &Book<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for pair in book.delivered.values().flat_map(|deliveries| deliveries.windows(2)) {
        let [first, second] = pair else { continue };
        let is_over = book.is_ended(first, second.at)
            || book.deadline(first, second.at).is_none_or(|deadline| deadline <= second.stamp);
        if !is_over {
            let (receipt, deadline) = (first.receipt.0, first.deadline.0);
            found.push(format!(
                "shared: message {:x} came at {} (time {}) under receipt {:x}, and {receipt:x} lasts until {deadline}",
                second.id.0, second.at.to, second.stamp.0, second.receipt.0
            ));
        }
    }
    found
}

fn numbered(book: &Book<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for line in Line::ALL {
        let mut list: Vec<_> = book.history.delivered.iter().filter(|delivery| delivery.line == line).collect();
        list.retain(|delivery| delivery.at.is_exact());
        list.sort_by_key(|delivery| (delivery.at, delivery.receipt));
        for pair in list.windows(2) {
            if pair[0].receipt >= pair[1].receipt {
                let (at, receipt) = (pair[1].at.to, pair[1].receipt.0);
                found.push(format!("numbers: receipt {receipt:x} at {at} is not larger than the one before"));
            }
        }
    }
    found
}

fn early(book: &Book<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |id: MessageId, index: u64, delay_ms: u64, next: Option<&&Delivered>| {
        let due = book.reached(index).plus(delay_ms);
        if let Some(next) = next.filter(|next| next.stamp < due) {
            found.push(format!("early: message {:x} came at time {}, due at {}", id.0, next.stamp.0, due.0));
        }
    };
    for sent in &book.history.sent {
        check(sent.id, sent.at.from, sent.delay_ms, book.delivered.get(&sent.id).and_then(|list| list.first()));
    }
    for ended in &book.history.ended {
        if let (End::Release { delay_ms }, Some(at)) = (ended.end, ended.at) {
            let list = book.delivered.get(&ended.id).into_iter().flatten();
            // A dead letter starts anew where it arrives: only its own queue keeps the delay.
            let mut later = list.filter(|delivery| delivery.receipt > ended.receipt && delivery.line != Line::Dead);
            check(ended.id, at.from, delay_ms, later.next());
        }
    }
    found
}

fn ordered(book: &Book<'_>) -> Vec<String> {
    let mut groups: BTreeMap<u64, Vec<&Sent>> = BTreeMap::new();
    for sent in &book.history.sent {
        if let Some(group) = sent.group {
            groups.entry(group).or_default().push(sent);
        }
    }
    let mut found = Vec::new();
    for list in groups.values_mut() {
        list.sort_by_key(|sent| sent.number);
        // The entry in which the last of all earlier messages was consumed.
        let mut free_from = Span { from: 0, to: 0 };
        for sent in list {
            let first = book.delivered.get(&sent.id).and_then(|deliveries| deliveries.first());
            if let Some(first) = first.filter(|first| first.at.is_before(free_from)) {
                found.push(format!(
                    "order: {:x} came at {} before the one it follows was done",
                    sent.number, first.at.to
                ));
            }
            if !book.perhaps.contains(&sent.id) {
                free_from = free_from.max(book.acked_at(sent.id).unwrap_or(free_from));
            }
        }
    }
    found
}

fn dead(book: &Book<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for deliveries in book.delivered.values() {
        let died = deliveries.iter().find(|delivery| delivery.line == Line::Dead).map(|delivery| delivery.at);
        let lives = |delivery: &&&Delivered| {
            delivery.line != Line::Dead && died.is_some_and(|died| died.is_before(delivery.at))
        };
        if let Some(alive) = deliveries.iter().find(lives) {
            found.push(format!("dead: letter {:x} came to a consumer again at {}", alive.id.0, alive.at.to));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(index: u64) -> Span {
        Span { from: index, to: index }
    }

    fn delivered(line: Line, id: u64, receipt: u64, index: u64, from: u64, to: u64) -> Delivered {
        let (stamp, deadline) = (TimestampMs(from), TimestampMs(to));
        let (id, receipt) = (MessageId(id), DeliveryNumber(receipt));
        Delivered { line, id, number: Some(id.0), receipt, at: exactly(index), stamp, deadline }
    }

    fn acked(id: u64, receipt: u64, index: Option<u64>) -> Ended {
        Ended { id: MessageId(id), receipt: DeliveryNumber(receipt), end: End::Ack, at: index.map(exactly) }
    }

    fn sent(id: u64, index: u64, group: Option<u64>) -> Sent {
        Sent { number: id, id: MessageId(id), at: exactly(index), delay_ms: 0, group }
    }

    fn check(name: &str, history: &History, expected: Option<&str>) {
        let verdict = judge(history).err();
        let is_right = match (&verdict, expected) {
            (None, None) => true,
            (Some(broken), Some(law)) => broken.lines().all(|line| line.starts_with(law)),
            _ => false,
        };
        assert!(is_right, "{name}: {verdict:?}");
    }

    #[test]
    fn each_law_sees_its_own_breach_and_an_unknown_outcome_is_none() {
        let plain = |receipt, index, from, to| delivered(Line::Plain, 7, receipt, index, from, to);
        let base = History { sent: vec![sent(7, 1, None)], ..History::default() };
        let with = |delivered: Vec<Delivered>, ended: Vec<Ended>| History { delivered, ended, ..base.clone() };
        check("lost", &base, Some("lost"));
        check("consumed", &with(vec![plain(1, 2, 10, 20)], vec![acked(7, 1, Some(3))]), None);
        check("perhaps consumed", &with(vec![plain(1, 2, 10, 20)], vec![acked(7, 1, None)]), None);
        let twice = vec![plain(1, 2, 10, 20), plain(2, 4, 20, 30)];
        check("lease ran out", &with(twice.clone(), vec![acked(7, 2, Some(5))]), None);
        check("returned", &with(twice.clone(), vec![acked(7, 1, Some(3))]), Some("returned"));
        check("perhaps returned", &with(twice, vec![acked(7, 1, None)]), None);
        let shared = vec![plain(1, 2, 10, 20), plain(2, 4, 19, 30)];
        check("shared", &with(shared, vec![acked(7, 2, Some(5))]), Some("shared"));
        let shrunk = vec![plain(2, 2, 10, 20), plain(1, 4, 20, 30)];
        check("numbers", &with(shrunk, vec![acked(7, 1, Some(5))]), Some("numbers"));
        let once = vec![plain(1, 2, 10, 20)];
        check("consumed twice", &with(once, vec![acked(7, 1, Some(5)), acked(7, 1, Some(6))]), Some("doubled"));
        let risen = vec![delivered(Line::Dead, 7, 9, 2, 10, 20), plain(1, 4, 20, 30)];
        check("dead", &with(risen, vec![acked(7, 1, Some(5))]), Some("dead"));
    }

    #[test]
    fn a_group_is_delivered_one_after_another_and_a_delay_is_waited_out() {
        let ended = vec![acked(1, 1, Some(5)), acked(2, 2, Some(8))];
        let orders = |second| {
            let first = delivered(Line::Orders, 1, 1, 3, 10, 20);
            vec![first, delivered(Line::Orders, 2, 2, second, 15, 25)]
        };
        let group = vec![sent(1, 1, Some(1)), sent(2, 2, Some(1))];
        let history = |second| History {
            sent: group.clone(),
            delivered: orders(second),
            ended: ended.clone(),
            ..History::default()
        };
        check("in order", &history(6), None);
        check("too soon", &history(4), Some("order"));
        let mut delayed = history(6);
        delayed.stamps = vec![(1, TimestampMs(8))];
        delayed.sent[1].delay_ms = 7;
        check("waited", &delayed, None);
        delayed.sent[1].delay_ms = 8;
        check("early", &delayed, Some("early"));
    }
}
