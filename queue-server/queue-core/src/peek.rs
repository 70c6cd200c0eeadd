//! Peek: messages of a queue in one of their states, without taking them.
//!
//! Must never: show a receipt, or change a counter.

use machine::{Layout, RowSource, StoreFailure, TimestampMs};

use crate::agenda::unreadable;
use crate::ids::{MessageId, QueueId};
use crate::keys;
use crate::leases::Lease;
use crate::limits::{LOOK_MAX, LOOK_OFFSET_MAX};
use crate::message::MessageRow;
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::reply::Question;
use crate::tries::Tries;

/// Which messages to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeekState {
    /// Those a receive may take, the most urgent first, then by lane and place.
    Visible,
    /// Those under a lease, in the order of their deliveries.
    Leased,
    /// Those that wait for a time, in its order.
    Delayed,
    /// Half messages that are not decided, in the order in which they were sent.
    Half,
    /// Acked ones that are kept for a rewind, in the order of the queue.
    Rewindable,
}

/// A message that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peeked {
    /// Its row.
    pub message: MessageRow,
    /// Its tries so far.
    pub tries: Tries,
    /// When its lease or delay ends, or, of a half message, when it is asked about; `None`: it waits for nothing.
    pub until: Option<TimestampMs>,
}

/// A message with a place, before its row is read.
pub(crate) struct Seen {
    pub(crate) seq: u64,
    pub(crate) tries: Tries,
    pub(crate) until: Option<TimestampMs>,
}

impl QueueMachine {
    /// Up to `limit` messages (at most 128) in `state`, after the first `offset` of them (at most 10,000). A missing queue
    /// shows none.
    ///
    /// Errors: the store failed, or a row is damaged.
    pub fn peek(
        &self,
        rows: &dyn RowSource,
        queue: QueueId,
        state: PeekState,
        (offset, limit): (usize, usize),
    ) -> Result<Vec<Peeked>, StoreFailure> {
        let Some(queue) = self.live(queue) else { return Ok(Vec::new()) };
        let (offset, limit) = (offset.min(LOOK_OFFSET_MAX), limit.min(LOOK_MAX));
        match state {
            PeekState::Visible => {
                let seqs = visible(queue, offset, limit);
                let tries = |seq: &u64| queue.tries(*seq);
                let seen = seqs.iter().map(|seq| Seen { seq: *seq, tries: tries(seq), until: None });
                self.read_seen(rows, queue.id, seen.collect())
            }
            PeekState::Leased => {
                let held = queue.leases.iter().map(|(_, lease)| lease).filter(|lease| !lease.is_parked);
                let seen = held.skip(offset).take(limit).map(seen);
                self.read_seen(rows, queue.id, seen.collect())
            }
            PeekState::Half => {
                let halves = queue.halves.iter().skip(offset).take(limit);
                self.read_halves(rows, queue.id, &halves.map(|(id, half)| (id, half.next)).collect::<Vec<_>>())
            }
            PeekState::Rewindable => {
                let done = queue.done.list(0, offset.saturating_add(limit)).into_iter().skip(offset);
                let seen = done.map(|seq| Seen { seq, tries: Tries::default(), until: None });
                self.read_seen(rows, queue.id, seen.collect())
            }
            PeekState::Delayed => {
                let wanted = offset.saturating_add(limit);
                let parked = queue.leases.by_deadline().map(|(_, lease)| lease).filter(|lease| lease.is_parked);
                let mut delayed = self.read_seen(rows, queue.id, parked.take(wanted).map(seen).collect())?;
                delayed.append(&mut read_delayed(rows, queue, wanted)?);
                delayed.sort_by_key(|peeked| (peeked.until, peeked.message.id));
                Ok(delayed.into_iter().skip(offset).take(limit).collect())
            }
        }
    }

    /// The half messages that questions are about, for whoever asks their producers. One that was decided meanwhile is left
    /// out. Errors: the store failed, or a row is damaged.
    pub fn half_messages(
        &self,
        rows: &dyn RowSource,
        queue: QueueId,
        questions: &[Question],
    ) -> Result<Vec<Peeked>, StoreFailure> {
        let halves: Vec<_> = questions.iter().map(|question| (question.id, question.next)).collect();
        self.read_halves(rows, queue, &halves)
    }

    /// Half messages and when they are asked about.
    pub(crate) fn read_halves(
        &self,
        rows: &dyn RowSource,
        queue: QueueId,
        halves: &[(MessageId, TimestampMs)],
    ) -> Result<Vec<Peeked>, StoreFailure> {
        let mut peeked = Vec::with_capacity(halves.len());
        for (id, next) in halves {
            let message = self.half(rows, queue, *id)?;
            peeked.extend(message.map(|message| Peeked { message, tries: Tries::default(), until: Some(*next) }));
        }
        Ok(peeked)
    }

    pub(crate) fn read_seen(
        &self,
        rows: &dyn RowSource,
        queue: QueueId,
        seen: Vec<Seen>,
    ) -> Result<Vec<Peeked>, StoreFailure> {
        let seqs: Vec<u64> = seen.iter().map(|seen| seen.seq).collect();
        let messages = self.messages(rows, queue, &seqs)?;
        let join = |(seen, message): (Seen, Option<MessageRow>)| {
            message.map(|message| Peeked { message, tries: seen.tries, until: seen.until })
        };
        Ok(seen.into_iter().zip(messages).filter_map(join).collect())
    }
}

/// Visible places by priority, lane and number.
fn visible(queue: &Queue, offset: usize, limit: usize) -> Vec<u64> {
    let mut left = u64::try_from(offset).unwrap_or(u64::MAX);
    let mut seqs = Vec::new();
    for lane in queue.lanes.by_priority() {
        if seqs.len() >= limit {
            break;
        }
        let there = queue.lanes.get(lane).map_or(0, |lane| lane.visible);
        if left < there {
            seqs.extend(queue.places.list(queue.visible_span(lane, 0), left, limit.saturating_sub(seqs.len())));
        }
        left = left.saturating_sub(there);
    }
    seqs
}

pub(crate) const fn seen(lease: &Lease) -> Seen {
    Seen { seq: lease.seq, tries: lease.tries, until: Some(lease.deadline) }
}

/// The first `count` delayed messages, by the time at which they are due.
fn read_delayed(rows: &dyn RowSource, queue: &Queue, count: usize) -> Result<Vec<Peeked>, StoreFailure> {
    read_delayed_from(rows, queue, &keys::delayed_epoch(queue.id, queue.counters.delay_epoch), count)
}

/// The first `count` delayed messages from the key `from` on.
pub(crate) fn read_delayed_from(
    rows: &dyn RowSource,
    queue: &Queue,
    from: &[u8],
    count: usize,
) -> Result<Vec<Peeked>, StoreFailure> {
    let to = keys::delayed_epoch(queue.id, queue.counters.delay_epoch.saturating_add(1));
    let mut delayed = Vec::new();
    let mut broken = None;
    rows.scan(from, &to, &mut |key, value| {
        match MessageRow::from_bytes(&bytes::Bytes::copy_from_slice(value)) {
            _ if delayed.len() >= count => return false,
            Ok(message) => {
                let until = Some(message.enqueued);
                delayed.push(Peeked { message, tries: Tries::default(), until });
            }
            Err(error) => broken = Some(unreadable(key, error)),
        }
        broken.is_none()
    })?;
    broken.map_or(Ok(delayed), Err)
}
