//! The trace: where steps are written down, how they are numbered, and how the oldest of them go.
//!
//! ```text
//!        erased        floor                      next
//!  ────────┼─────────────┼──────────────────────────┤        events floor.. can be read; erased..floor wait to be
//!  (gone)  │  (dropped)  │        kept              │        erased, bit by bit
//! ```
//!
//! Why a floor: one event too many drops the oldest at once by raising it, and memory holds no event.
//!
//! Must never: write anything down in a queue whose owner did not ask for it.

use machine::{DecodeError, Layout, Reader, Rows, TimestampMs, Writer};

use crate::event::Step;
use crate::keys;
use crate::limits::{EVENT_MS_MAX, EVENTS_ERASE_MAX, EVENTS_PER_QUEUE_MAX};
use crate::queue::Queue;
use crate::rows::{check_version, put_version};
use crate::tick::Moved;

/// The numbers of one queue's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) next: u64,
    /// Events below are dropped.
    pub(crate) floor: u64,
    /// Events below are erased.
    pub(crate) erased: u64,
    /// No event that is not erased is older.
    pub(crate) oldest: TimestampMs,
}

impl Trace {
    /// Whether dropped events wait to be erased.
    pub(crate) const fn has_remains(&self) -> bool {
        self.erased < self.floor
    }

    /// Whether no event is left, dropped or not.
    pub(crate) const fn is_erased(&self) -> bool {
        self.erased >= self.next
    }

    /// No event is too old earlier.
    pub(crate) fn next_due(&self) -> Option<TimestampMs> {
        (!self.is_erased()).then(|| if self.has_remains() { TimestampMs(0) } else { self.oldest.plus(EVENT_MS_MAX) })
    }
}

impl Queue {
    /// Writes a step down, if the queue's owner asked for it.
    pub(crate) fn note(&mut self, step: Step, rows: &mut Rows) {
        if !self.definition.attributes.trace {
            return;
        }
        let trace = &mut self.trace;
        if trace.is_erased() {
            trace.oldest = step.time;
        }
        let number = trace.next;
        trace.next = number.saturating_add(1);
        trace.floor = trace.floor.max(trace.next.saturating_sub(EVENTS_PER_QUEUE_MAX));
        rows.put(keys::event(self.id, number), step.to_bytes());
        rows.put(keys::event_index(step.id, self.id, number), machine::Key::new());
        rows.put(keys::trace(self.id), self.trace.to_bytes());
    }

    /// Drops all events: the queue goes. They are erased bit by bit.
    pub(crate) fn drop_events(&mut self, rows: &mut Rows) {
        if !self.trace.is_erased() {
            self.trace.floor = self.trace.next;
            rows.put(keys::trace(self.id), self.trace.to_bytes());
        }
    }

    /// Erases the first events as far as they are dropped or too old; the first that stays teaches the queue its age.
    /// Invariant: the item named the rows `from..to`.
    pub(crate) fn erase_events(&mut self, (from, to): (u64, u64), now: TimestampMs, rows: &mut Rows) -> Moved {
        if from != self.trace.erased {
            return Moved::Not;
        }
        let before = self.trace;
        let to = to.min(from.saturating_add(EVENTS_ERASE_MAX)).min(self.trace.next);
        for number in from..to {
            let key = keys::event(self.id, number);
            let step = rows.get(&key).map(Step::from_bytes).and_then(Result::ok);
            assert!(step.is_some(), "an event's row is there and reads as it was written");
            let Some(step) = step else { break };
            self.trace.oldest = step.time;
            if number >= self.trace.floor && step.time.plus(EVENT_MS_MAX) > now {
                break;
            }
            rows.delete(key);
            rows.delete(keys::event_index(step.id, self.id, number));
            self.trace.erased = number.saturating_add(1);
        }
        self.trace.floor = self.trace.floor.max(self.trace.erased);
        rows.put(keys::trace(self.id), self.trace.to_bytes());
        if self.trace == before { Moved::Not } else { Moved::Done }
    }
}

impl Layout for Trace {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        out.u64(self.next);
        out.u64(self.floor);
        out.u64(self.erased);
        self.oldest.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "trace row")?;
        Ok(Self { next: input.u64()?, floor: input.u64()?, erased: input.u64()?, oldest: TimestampMs::decode(input)? })
    }
}
