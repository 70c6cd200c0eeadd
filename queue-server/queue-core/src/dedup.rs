//! Deduplicated send: a message whose id was sent to this queue within the window is not stored again.
//!
//! ```text
//!  row S queue id ──> until, message      named by the send, so that it may be read
//!  row U queue until message ──> id       in the order of time, so that a tick finds what may be forgotten
//! ```
//!
//! Why rows: a window of a day remembers millions of ids; memory holds their number and when to look for the next.
//!
//! Must never: forget an id before its window has ended by an entry's stamp, or believe one after it, erased or not.

use std::collections::BTreeMap;

use machine::{DecodeError, Key, Layout, Reader, Rows, TimestampMs, Writer};

use crate::command::NewMessage;
use crate::ids::{MessageId, QueueId};
use crate::keys;
use crate::limits::DEDUP_ID_BYTES_MAX;
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::rows::{check_version, put_version};
use crate::tick::Moved;

/// What a queue knows of the ids it remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) count: u64,
    /// When to look for windows that have ended; it may be early, and late only if the window was made shorter.
    pub(crate) first: TimestampMs,
}

/// What becomes of one message of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// It is stored.
    New,
    /// It is a duplicate of a message that was sent before.
    Former(MessageId),
    /// It is a duplicate of the message at this index of the same send.
    Same(usize),
}

/// The row of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct IdRow {
    until: TimestampMs,
    message: MessageId,
}

/// The row of the end of a window: whose it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UntilRow(pub(crate) String);

/// The rows that a send may read.
pub(crate) fn name_keys(queue: QueueId, messages: &[NewMessage], keys: &mut Vec<Key>) {
    let ids = messages.iter().filter(|message| has_id(message));
    keys.extend(ids.map(|message| keys::dedup(queue, &message.dedup_id)));
}

fn has_id(message: &NewMessage) -> bool {
    (1..=DEDUP_ID_BYTES_MAX).contains(&message.dedup_id.len())
}

impl Queue {
    /// Whether a send of `message` is held against former ones.
    pub(crate) fn is_deduplicated(&self, message: &NewMessage) -> bool {
        self.definition.attributes.dedup_window_s > 0 && has_id(message)
    }

    /// What becomes of each message; empty: all are new.
    pub(crate) fn slots(&self, now: TimestampMs, messages: &[NewMessage], rows: &Rows) -> Vec<Slot> {
        if !messages.iter().any(|message| self.is_deduplicated(message)) {
            return Vec::new();
        }
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut slots = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            let slot = if !self.is_deduplicated(message) {
                Slot::New
            } else if let Some(first) = seen.get(message.dedup_id.as_str()) {
                Slot::Same(*first)
            } else {
                seen.insert(&message.dedup_id, index);
                let former = self.id_row(&message.dedup_id, rows).filter(|row| now < row.until);
                former.map_or(Slot::New, |row| Slot::Former(row.message))
            };
            slots.push(slot);
        }
        slots
    }

    fn id_row(&self, dedup_id: &str, rows: &Rows) -> Option<IdRow> {
        let row = rows.get(&keys::dedup(self.id, dedup_id)).map(IdRow::from_bytes)?;
        assert!(row.is_ok(), "the row of a deduplication id reads as it was written");
        row.ok()
    }

    /// Remembers that `message` was sent under an id; what was known of the id has ended.
    pub(crate) fn remember(&mut self, dedup_id: String, message: MessageId, now: TimestampMs, rows: &mut Rows) {
        let until = now.plus(u64::from(self.definition.attributes.dedup_window_s).saturating_mul(1_000));
        self.remember_until(dedup_id, message, until, rows);
    }

    /// Remembers until then that `message` was sent under an id. Invariant: the id's row may be read.
    pub(crate) fn remember_until(&mut self, dedup_id: String, message: MessageId, until: TimestampMs, rows: &mut Rows) {
        if let Some(old) = self.id_row(&dedup_id, rows) {
            rows.delete(keys::dedup_until(self.id, old.until, old.message));
            self.counters.remembered.count = self.counters.remembered.count.saturating_sub(1);
        }
        rows.put(keys::dedup(self.id, &dedup_id), IdRow { until, message }.to_bytes());
        rows.put(keys::dedup_until(self.id, until, message), UntilRow(dedup_id).to_bytes());
        let it = &mut self.counters.remembered;
        it.first = if it.count == 0 { until } else { it.first.min(until) };
        it.count = it.count.saturating_add(1);
    }

    /// When windows may have ended.
    pub(crate) fn next_window_end(&self) -> Option<TimestampMs> {
        Some(self.counters.remembered).filter(|it| it.count > 0).map(|it| it.first)
    }

    /// Forgets an id whose window has ended; one whose window has not tells when to look again.
    fn end_window(&mut self, (until, message): (TimestampMs, MessageId), now: TimestampMs, rows: &mut Rows) -> Moved {
        let key = keys::dedup_until(self.id, until, message);
        let Some(Ok(UntilRow(dedup_id))) = rows.get(&key).map(UntilRow::from_bytes) else { return Moved::Not };
        let is_over = until <= now || self.definition.is_deleted;
        let it = &mut self.counters.remembered;
        if !is_over && it.first == until {
            return Moved::Not;
        }
        it.first = until;
        if is_over {
            it.count = it.count.saturating_sub(1);
            rows.delete(key);
            rows.delete(keys::dedup(self.id, &dedup_id));
        }
        Moved::Done
    }
}

impl QueueMachine {
    /// The window of an id of `queue` has ended.
    pub(crate) fn end_window(
        &mut self,
        now: TimestampMs,
        queue: QueueId,
        item: (TimestampMs, MessageId),
        rows: &mut Rows,
    ) -> Moved {
        let moved = self.change(queue, |queue| queue.end_window(item, now, rows));
        self.forget_if_erased(queue, rows);
        moved.unwrap_or(Moved::Not)
    }
}

impl Layout for Remembered {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.count);
        self.first.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { count: input.u64()?, first: TimestampMs::decode(input)? })
    }
}

impl Layout for IdRow {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        self.until.encode(out);
        self.message.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "row of a deduplication id")?;
        Ok(Self { until: TimestampMs::decode(input)?, message: MessageId::decode(input)? })
    }
}

impl Layout for UntilRow {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        out.str(&self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "row of the end of a window")?;
        Ok(Self(input.str()?))
    }
}
