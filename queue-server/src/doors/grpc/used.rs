//! Proofs that were used, so that none is used twice while it is young enough to be taken.
//!
//! ```text
//!  span of time │ before │ present │      a proof is young for two ages, from a clock behind to a clock ahead:
//!  nonces       │  set   │   set   │      two spans of two ages each hold every one that may come again
//! ```
//!
//! Must never: grow beyond its limit, or forget a proof that would be taken.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use crate::doors::limits::{PROOF_AGE_MAX, PROOFS_MAX};

/// Units: milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "an age of seconds")]
const SPAN_MS: u64 = 2 * PROOF_AGE_MAX.as_millis() as u64;

/// The nonces of proofs.
#[derive(Default)]
pub(super) struct Used(Mutex<Spans>);

#[derive(Default)]
struct Spans {
    number: u64,
    present: BTreeSet<u64>,
    before: BTreeSet<u64>,
}

/// What is known of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was not used; now it is.
    New,
    /// It was.
    Used,
    /// There is no room to remember it.
    Full,
}

impl Used {
    /// Uses a nonce at `now_ms`, milliseconds.
    pub(super) fn take(&self, now_ms: u64, nonce: u64) -> Verdict {
        let mut spans = self.0.lock();
        let number = now_ms / SPAN_MS;
        if number > spans.number {
            let present = std::mem::take(&mut spans.present);
            spans.before = if number == spans.number + 1 { present } else { BTreeSet::new() };
            spans.number = number;
        }
        if spans.before.contains(&nonce) || spans.present.contains(&nonce) {
            return Verdict::Used;
        }
        if spans.present.len() >= PROOFS_MAX {
            return Verdict::Full;
        }
        spans.present.insert(nonce);
        Verdict::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_known_for_as_long_as_its_proof_is_young() {
        let used = Used::default();
        let start = 10 * SPAN_MS + 7;
        let table = [
            (start, 1, Verdict::New),
            (start, 1, Verdict::Used),
            (start, 2, Verdict::New),
            (start + SPAN_MS, 1, Verdict::Used),
            (start + SPAN_MS, 3, Verdict::New),
            // A clock that steps back changes nothing.
            (start, 3, Verdict::Used),
            (start + 2 * SPAN_MS, 1, Verdict::New),
            (start + 2 * SPAN_MS, 3, Verdict::Used),
            (start + 9 * SPAN_MS, 3, Verdict::New),
        ];
        for (at, (now, nonce, expected)) in table.into_iter().enumerate() {
            assert_eq!(used.take(now, nonce), expected, "row {at}");
        }
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let used = Used::default();
        assert!((0..PROOFS_MAX as u64).all(|nonce| used.take(0, nonce) == Verdict::New));
        assert_eq!(used.take(0, PROOFS_MAX as u64), Verdict::Full);
        assert_eq!(used.take(SPAN_MS, PROOFS_MAX as u64), Verdict::New);
        let spans = used.0.lock();
        assert_eq!((spans.before.len(), spans.present.len()), (PROOFS_MAX, 1));
    }
}
