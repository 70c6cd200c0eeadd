//! Which message stands at which place: sequence number -> message id, held as runs.
//!
//! Why: an ack names a delivery and must drop the body by the message's id without reading a row. Ids of consecutive sends
//! are consecutive, so a plain queue is one run; a queue of dead letters, or of uneven delays, has a run for each break.
//!
//! Must never: hold two runs that continue each other; equal maps are then equal trees.

use std::collections::BTreeMap;

use crate::ids::MessageId;

/// Consecutive places with consecutive ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The id at the first place.
    pub(crate) id: MessageId,
    /// Places.
    pub(crate) count: u64,
}

/// Sequence numbers and their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunMap {
    runs: BTreeMap<u64, Run>,
}

impl RunMap {
    /// Runs held.
    pub(crate) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Adds a run where nothing stands yet. Invariant: it does not go on into a run behind it.
    pub(crate) fn push(&mut self, seq: u64, run: Run) {
        if let Some((first, last)) = self.runs.range_mut(..=seq).next_back() {
            let end = first.saturating_add(last.count);
            assert!(end <= seq, "a place has one message");
            if end == seq && last.id.plus(last.count) == run.id {
                last.count = last.count.saturating_add(run.count);
                return;
            }
        }
        self.runs.insert(seq, run);
    }

    /// The id at `seq`.
    pub(crate) fn get(&self, seq: u64) -> Option<MessageId> {
        let (first, run) = self.runs.range(..=seq).next_back()?;
        let steps = seq.saturating_sub(*first);
        (steps < run.count).then(|| run.id.plus(steps))
    }

    /// The places of `id`. Looks at every run.
    pub(crate) fn places_of(&self, id: MessageId) -> impl Iterator<Item = u64> {
        self.runs.iter().filter_map(move |(first, run)| {
            let steps = id.0.checked_sub(run.id.0).filter(|steps| *steps < run.count)?;
            Some(first.saturating_add(steps))
        })
    }

    /// The runs within `from..to`, cut off at its ends.
    pub(crate) fn within(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, Run)> {
        let start = self.runs.range(..=from).next_back().map_or(from, |(first, _)| *first).min(to);
        self.runs.range(start..to).filter_map(move |(first, run)| {
            let end = first.saturating_add(run.count).min(to);
            let begin = (*first).max(from);
            let id = run.id.plus(begin.saturating_sub(*first));
            (begin < end).then(|| (begin, Run { id, count: end.saturating_sub(begin) }))
        })
    }

    /// Forgets `from..to`.
    pub(crate) fn cut(&mut self, from: u64, to: u64) {
        let start = self.runs.range(..=from).next_back().map_or(from, |(first, _)| *first).min(to);
        let cut: Vec<(u64, Run)> = self.runs.range(start..to).map(|(first, run)| (*first, *run)).collect();
        for (first, run) in cut {
            let end = first.saturating_add(run.count);
            if end <= from {
                continue;
            }
            self.runs.remove(&first);
            if first < from {
                self.runs.insert(first, Run { id: run.id, count: from.saturating_sub(first) });
            }
            if to < end {
                let id = run.id.plus(to.saturating_sub(first));
                self.runs.insert(to, Run { id, count: end.saturating_sub(to) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Run, RunMap};
    use crate::ids::MessageId;
    use proptest::prelude::{any, proptest};
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn a_map_of_runs_is_the_map_of_its_places(steps in proptest::collection::vec(
            (any::<bool>(), 0_u64..12, 0_u64..40, 0_u64..40), 1..60,
        )) {
            let (mut map, mut model) = (RunMap::default(), BTreeMap::new());
            let (mut next_seq, mut next_id) = (0_u64, 1_u64);
            for (adds, gap, from, to) in steps {
                if adds {
                    // Three of four additions go on where the last one ended.
                    next_seq = next_seq.saturating_add(if gap == 10 { 1 } else { 0 });
                    next_id = next_id.saturating_add(if gap == 11 { 3 } else { 0 });
                    map.push(next_seq, Run { id: MessageId(next_id), count: 1 });
                    model.insert(next_seq, next_id);
                    next_seq = next_seq.saturating_add(1);
                    next_id = next_id.saturating_add(1);
                } else if from < to {
                    map.cut(from, to);
                    model.retain(|seq, _| *seq < from || *seq >= to);
                }
                check(&map, &model, from, to);
            }
        }
    }

    fn check(map: &RunMap, model: &BTreeMap<u64, u64>, from: u64, to: u64) {
        for seq in 0..48 {
            assert_eq!(map.get(seq), model.get(&seq).copied().map(MessageId));
        }
        let goes_on = |(seq, id): &(&u64, &u64)| {
            seq.checked_sub(1).and_then(|before| model.get(&before)) == id.checked_sub(1).as_ref()
        };
        assert_eq!(map.runs(), model.iter().filter(|place| !goes_on(place)).count(), "runs are as long as can be");
        let listed: Vec<(u64, u64)> =
            map.within(from, to).flat_map(|(seq, run)| (seq..seq.saturating_add(run.count)).zip(run.id.0..)).collect();
        let wanted: Vec<(u64, u64)> =
            model.iter().filter(|(seq, _)| **seq >= from && **seq < to).map(|(seq, id)| (*seq, *id)).collect();
        assert_eq!(listed, wanted);
        for id in 0..64 {
            let found: Vec<u64> = map.places_of(MessageId(id)).collect();
            let places: Vec<u64> = model.iter().filter(|(_, at)| **at == id).map(|(seq, _)| *seq).collect();
            assert_eq!(found, places, "{id}");
        }
    }
}
