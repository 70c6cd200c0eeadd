//! What a queue is for, and what follows from it: the queue of a subscription forwards, or is pushed, and remembers since
//! when that fails.
//!
//! Must never: be remembered by the queue itself. The subscription's row says it.

use machine::TimestampMs;

use crate::lanes::lane_of;
use crate::queue::Queue;
use crate::relocate::Stall;
use crate::rows::Failing;
use crate::tries::Tries;

/// What a queue is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has a name, and users who send and receive.
    #[default]
    Named,
    /// It holds a subscription's copies until a pusher has delivered them; so many attempts may fail.
    Pushed { attempts: u32 },
    /// It holds a subscription's copies until they are forwarded to a queue.
    Forwarded,
}

impl Queue {
    /// No message is forwarded earlier. It is as early as the message that waits longest, so that what has waited longest
    /// in the machine goes first.
    pub(crate) fn next_forward(&self) -> Option<TimestampMs> {
        let oldest = self.lanes.first_age().filter(|_| self.role == Role::Forwarded)?;
        Some(self.counters.failing.map_or(oldest, |failing| failing.retry))
    }

    /// Whether a message with these tries has failed for good.
    pub(crate) fn is_spent(&self, tries: &Tries) -> bool {
        match self.role {
            Role::Named => self.definition.attributes.is_spent(tries),
            Role::Pushed { attempts } => tries.failed >= attempts,
            Role::Forwarded => false,
        }
    }

    /// A delivery of a subscription failed.
    pub(crate) fn note_failure(&mut self, now: TimestampMs, stall: Option<Stall>, retry: TimestampMs) {
        let former = self.counters.failing;
        let since = former.map_or(now, |failing| failing.since);
        let times = former.map_or(0, |failing| failing.times).saturating_add(1);
        self.counters.failing = Some(Failing { since, times, retry, stall });
    }

    /// A push of a subscription failed; of other queues there is nothing to note.
    pub(crate) fn note_push_failure(&mut self, now: TimestampMs) {
        if matches!(self.role, Role::Pushed { .. }) {
            self.note_failure(now, None, now);
        }
    }

    /// Up to `count` visible places of all lanes from `seq` on, in the order of their numbers.
    pub(crate) fn visible_from(&self, seq: u64, count: usize) -> Vec<u64> {
        let mut seqs = Vec::new();
        for lane in self.lanes.numbers(lane_of(seq)) {
            let left = count.saturating_sub(seqs.len());
            if left == 0 {
                break;
            }
            seqs.append(&mut self.places.list(self.visible_span(lane, seq), 0, left));
        }
        seqs
    }

    /// How many visible places there are within `from..to`.
    pub(crate) fn visible_within(&self, from: u64, to: u64) -> u64 {
        let count = |lane: u32| {
            let (start, end) = self.visible_span(lane, from);
            if start < end.min(to) { self.places.count_ready((start, end.min(to))) } else { 0 }
        };
        self.lanes.by_age().fold(0, |all, (_, lane)| all.saturating_add(count(lane)))
    }
}
