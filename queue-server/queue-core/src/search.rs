//! Search: messages of a queue in one state that match a filter, without taking them.
//!
//! Bounded: one call looks at 1,000 messages and 16 MiB of bodies at most, and says where to go on.
//!
//! Must never: show a receipt, or change a counter.

use bytes::Bytes;
use machine::{RowSource, StoreFailure, TimestampMs};

use crate::attributes::DeadLetterCount;
use crate::command::Header;
use crate::ids::{DeliveryNumber, MessageId, QueueId};
use crate::keys;
use crate::limits::{LOOK_MAX, SEARCH_BODY_BYTES_MAX, SEARCH_BYTES_MAX, SEARCH_ROWS_MAX};
use crate::peek::{PeekState, Peeked, Seen, read_delayed_from, seen};
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::tries::Tries;

/// What to look for: a message matches if all that is given here is true of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// It is this message.
    pub id: Option<MessageId>,
    /// It has this header.
    pub header: Option<Header>,
    /// It was sent at this time or later.
    pub sent_from: Option<TimestampMs>,
    /// It was sent before this time.
    pub sent_before: Option<TimestampMs>,
    /// It was received at least so often.
    pub received_min: u32,
    /// It failed at least so often.
    pub failed_min: u32,
    /// It came from the queue of this name, whatever the letters' case.
    pub origin: Option<String>,
    /// It is a dead letter for this reason.
    pub reason: Option<DeadLetterCount>,
    /// It is of this tenant; of nobody, if the name is empty.
    pub tenant: Option<String>,
    /// It is of this ordered group; of none, if the name is empty.
    pub group: Option<String>,
    /// Its body contains these bytes. Units: at most 256 of them; more are found nowhere.
    pub body_contains: Option<Bytes>,
}

/// The last message that a search looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// By its place.
    Place(u64),
    /// By its delivery.
    Delivery(DeliveryNumber),
    /// By the end of its delay.
    Delayed {
        /// When it ends.
        due: TimestampMs,
        /// The message.
        id: MessageId,
    },
    /// By its id: a half message.
    Half(MessageId),
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The messages that match.
    pub messages: Vec<Peeked>,
    /// Where to go on; `None`: there is nothing more.
    pub next: Option<Cursor>,
}

impl QueueMachine {
    /// Messages of `queue` in `state` that match `filter`, at most 128, after the one that `after` names. Those that wait
    /// for a time come in the order of their deliveries, then those that were sent with a delay. A missing queue shows none.
    ///
    /// Errors: the store failed, or a row is damaged.
    pub fn search(
        &self,
        rows: &dyn RowSource,
        queue: QueueId,
        (state, filter): (PeekState, &Filter),
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Found, StoreFailure> {
        let Some(queue) = self.live(queue) else { return Ok(Found::default()) };
        let looked = self.look(rows, queue, state, after)?;
        let is_full = looked.len() >= SEARCH_ROWS_MAX;
        let (mut messages, mut bytes, mut last) = (Vec::new(), 0, None);
        for (cursor, peeked) in looked {
            if messages.len() >= limit.min(LOOK_MAX) || bytes >= SEARCH_BODY_BYTES_MAX {
                return Ok(Found { messages, next: last });
            }
            last = Some(cursor);
            let Some(peeked) = peeked.filter(|peeked| filter.matches(peeked)) else { continue };
            if let Some(wanted) = &filter.body_contains {
                let body = rows.body(peeked.message.id.body())?.unwrap_or_default();
                bytes = bytes.saturating_add(body.len());
                if !contains(&body, wanted) {
                    continue;
                }
            }
            messages.push(peeked);
        }
        Ok(Found { messages, next: last.filter(|_| is_full) })
    }

    /// The next messages in `state`, as many as one search looks at; `None`: it has no row any more.
    fn look(
        &self,
        rows: &dyn RowSource,
        queue: &Queue,
        state: PeekState,
        after: Option<Cursor>,
    ) -> Result<Vec<(Cursor, Option<Peeked>)>, StoreFailure> {
        match state {
            PeekState::Visible => {
                let tries = |seq: &u64| queue.tries(*seq);
                let seqs = queue.visible_from(place_behind(after), SEARCH_ROWS_MAX);
                self.join(rows, queue, seqs.iter().map(|seq| (Cursor::Place(*seq), *seq, tries(seq), None)).collect())
            }
            PeekState::Rewindable => {
                let seqs = queue.done.list(place_behind(after), SEARCH_ROWS_MAX);
                let fresh = |seq| (Cursor::Place(seq), seq, Tries::default(), None);
                self.join(rows, queue, seqs.into_iter().map(fresh).collect())
            }
            PeekState::Leased => self.join(rows, queue, leases(queue, after, false)),
            PeekState::Half => {
                let first = if let Some(Cursor::Half(id)) = after { id.plus(1) } else { MessageId(0) };
                let halves = queue.halves.from(first).take(SEARCH_ROWS_MAX);
                let halves: Vec<_> = halves.map(|(id, half)| (id, half.next)).collect();
                let peeked = self.read_halves(rows, queue.id, &halves)?;
                Ok(peeked.into_iter().map(|peeked| (Cursor::Half(peeked.message.id), Some(peeked))).collect())
            }
            PeekState::Delayed => {
                let is_behind_parked = matches!(after, Some(Cursor::Delayed { .. }));
                let parked = if is_behind_parked { Vec::new() } else { leases(queue, after, true) };
                let mut looked = self.join(rows, queue, parked)?;
                let from = match after {
                    Some(Cursor::Delayed { due, id }) => {
                        keys::delayed(queue.id, queue.counters.delay_epoch, due, id.plus(1))
                    }
                    _ => keys::delayed_epoch(queue.id, queue.counters.delay_epoch),
                };
                let room = SEARCH_ROWS_MAX.saturating_sub(looked.len());
                for peeked in read_delayed_from(rows, queue, &from, room)? {
                    let (due, id) = (peeked.message.enqueued, peeked.message.id);
                    looked.push((Cursor::Delayed { due, id }, Some(peeked)));
                }
                Ok(looked)
            }
        }
    }

    /// Reads the rows of messages that stand at places.
    fn join(
        &self,
        rows: &dyn RowSource,
        queue: &Queue,
        found: Vec<(Cursor, u64, Tries, Option<TimestampMs>)>,
    ) -> Result<Vec<(Cursor, Option<Peeked>)>, StoreFailure> {
        let seqs: Vec<u64> = found.iter().map(|(_, seq, ..)| *seq).collect();
        let messages = self.messages(rows, queue.id, &seqs)?;
        let pairs = found.into_iter().zip(messages);
        Ok(pairs
            .map(|((cursor, _, tries, until), message)| {
                (cursor, message.map(|message| Peeked { message, tries, until }))
            })
            .collect())
    }
}

fn place_behind(after: Option<Cursor>) -> u64 {
    if let Some(Cursor::Place(seq)) = after { seq.saturating_add(1) } else { 0 }
}

/// Leases behind `after`, held or parked, in the order of their deliveries.
fn leases(queue: &Queue, after: Option<Cursor>, is_parked: bool) -> Vec<(Cursor, u64, Tries, Option<TimestampMs>)> {
    let last = if let Some(Cursor::Delivery(delivery)) = after { delivery } else { DeliveryNumber(0) };
    let wanted = queue.leases.behind(last).filter(|(_, lease)| lease.is_parked == is_parked);
    let looked = wanted.map(|(delivery, lease)| {
        let Seen { seq, tries, until } = seen(lease);
        (Cursor::Delivery(delivery), seq, tries, until)
    });
    looked.take(SEARCH_ROWS_MAX).collect()
}

impl Filter {
    /// Whether all but the body matches.
    fn matches(&self, peeked: &Peeked) -> bool {
        let (message, tries) = (&peeked.message, &peeked.tries);
        let has_header = |header: &Header| message.headers.contains(header);
        self.id.is_none_or(|id| message.id == id)
            && self.header.as_ref().is_none_or(has_header)
            && self.sent_from.is_none_or(|from| message.sent >= from)
            && self.sent_before.is_none_or(|before| message.sent < before)
            && tries.received >= self.received_min
            && tries.failed >= self.failed_min
            && self.origin.as_ref().is_none_or(|name| message.origin.as_ref().is_some_and(|origin| origin.is_of(name)))
            && self.tenant.as_ref().is_none_or(|tenant| message.tenant == *tenant)
            && self.group.as_ref().is_none_or(|group| message.group == *group)
            && (self.reason.is_none() || message.origin.as_ref().is_some_and(|origin| origin.reason == self.reason))
    }
}

fn contains(body: &[u8], wanted: &[u8]) -> bool {
    let fits = wanted.len() <= SEARCH_BYTES_MAX;
    wanted.is_empty() || (fits && body.windows(wanted.len()).any(|part| part == wanted))
}
