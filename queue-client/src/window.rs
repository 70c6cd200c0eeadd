//! The window of a session: which sequence numbers are in use, and which may be used next.
//!
//! Why a span and not a count: the server keeps the last replies by number. One slow request and a thousand quick ones
//! after it are few at any time, and would still push the slow one out.
//!
//! Must never: use a number twice, or one that is [`SESSION_SPAN`] or more above an unanswered one.

use std::collections::BTreeSet;

use crate::limits::SESSION_SPAN;

/// Numbers of one session. Invariant: `next - first(unanswered) <= SESSION_SPAN`.
#[derive(Debug)]
pub(crate) struct Window {
    next: u64,
    unanswered: BTreeSet<u64>,
}

impl Window {
    pub(crate) const fn new() -> Self {
        Self { next: 1, unanswered: BTreeSet::new() }
    }

    /// Whether a number can be used now.
    pub(crate) fn has_room(&self) -> bool {
        self.unanswered.first().is_none_or(|lowest| self.next - lowest < SESSION_SPAN)
    }

    /// Uses the next number; `None` while the span is full.
    pub(crate) fn open(&mut self) -> Option<u64> {
        if !self.has_room() {
            return None;
        }
        let sequence = self.next;
        self.next += 1;
        self.unanswered.insert(sequence);
        Some(sequence)
    }

    /// Nobody waits for the answer to `sequence` any more.
    pub(crate) fn close(&mut self, sequence: u64) {
        self.unanswered.remove(&sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_from_one() {
        let mut window = Window::new();
        assert_eq!([window.open(), window.open(), window.open()], [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn span_counts_from_the_lowest_unanswered_number() {
        let mut window = Window::new();
        for sequence in 1..=SESSION_SPAN {
            assert_eq!(window.open(), Some(sequence));
        }
        for answered in 2..=SESSION_SPAN {
            window.close(answered);
            assert_eq!(window.open(), None, "number 1 is unanswered");
        }
        window.close(1);
        assert_eq!(window.open(), Some(SESSION_SPAN + 1));
    }

    #[test]
    fn a_number_is_never_used_twice() {
        let mut window = Window::new();
        for sequence in 1..=3 * SESSION_SPAN {
            assert_eq!(window.open(), Some(sequence));
            window.close(sequence);
        }
    }
}
