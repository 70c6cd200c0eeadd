//! Delays: how many messages wait, and when the next of them may be due.
//!
//! Why spans: a delay may be as long as 400 days and a queue may hold a million of them, so the messages are rows, and
//! memory only counts them by spans of about a second. The start of the first span is never later than the first due time,
//! and early by less than a span.
//!
//! A purge forgets the spans at once and leaves their rows, which name the epoch that it ended; each row goes with the
//! first message of its span that is erased.
//!
//! Must never: end a delay. The row's own due time does. Write all spans in one entry: there may be a million.

use std::collections::{BTreeMap, BTreeSet};

use machine::{DecodeError, Layout, Reader, Rows, TimestampMs, Writer};

use crate::ids::QueueId;
use crate::keys;
use crate::limits::DELAY_SPAN_BITS;
use crate::rows::{check_version, put_version};

/// The delayed messages of one queue, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delays {
    spans: BTreeMap<u64, u32>,
    count: u64,
    dirty: BTreeSet<u64>,
}

impl Delays {
    /// Delayed messages.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Spans held in memory.
    pub(crate) fn spans(&self) -> usize {
        self.spans.len()
    }

    /// No message is due earlier.
    pub(crate) fn first(&self) -> Option<TimestampMs> {
        self.spans.first_key_value().map(|(span, _)| TimestampMs(*span << DELAY_SPAN_BITS))
    }

    pub(crate) fn add(&mut self, due: TimestampMs) {
        let span = due.0 >> DELAY_SPAN_BITS;
        self.load(span, 1);
        self.dirty.insert(span);
    }

    pub(crate) fn remove(&mut self, due: TimestampMs) {
        let span = due.0 >> DELAY_SPAN_BITS;
        self.dirty.insert(span);
        self.count = self.count.saturating_sub(1);
        if let Some(count) = self.spans.get_mut(&span) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.spans.remove(&span);
            }
        }
    }

    /// Forgets them all, for an epoch begins. Answers: how many.
    pub(crate) fn clear(&mut self) -> u64 {
        self.spans.clear();
        std::mem::take(&mut self.count)
    }

    /// A message of a former epoch was erased: what its span's row says is written anew.
    pub(crate) fn erased(&mut self, due: TimestampMs) {
        self.dirty.insert(due.0 >> DELAY_SPAN_BITS);
    }

    /// Takes in the row of a span.
    pub(crate) fn load(&mut self, span: u64, more: u32) {
        let count = self.spans.entry(span).or_insert(0);
        *count = count.saturating_add(more);
        self.count = self.count.saturating_add(u64::from(more));
    }

    /// Writes the spans that were touched since the last time, as spans of `epoch`.
    pub(crate) fn write(&mut self, queue: QueueId, epoch: u32, rows: &mut Rows) {
        for span in std::mem::take(&mut self.dirty) {
            let key = keys::delays(queue, span);
            match self.spans.get(&span) {
                Some(count) => rows.put(key, SpanRow { epoch, count: *count }.to_bytes()),
                None => rows.delete(key),
            }
        }
    }
}

/// How many delays end within a span. A row of a former epoch counts nothing: its messages were purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanRow {
    pub(crate) epoch: u32,
    pub(crate) count: u32,
}

impl Layout for SpanRow {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        out.u32(self.epoch);
        out.u32(self.count);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "span of delays")?;
        Ok(Self { epoch: input.u32()?, count: input.u32()? })
    }
}
