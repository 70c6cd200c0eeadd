//! A set of sequence numbers, held as ranges.
//!
//! Why: ten million ready messages that were sent one after another are one range. Memory grows with how ragged the set
//! is, not with how large.
//!
//! Must never: hold two ranges that touch; equal sets are then equal maps.

use std::collections::BTreeMap;

/// A set of `u64`. Ranges are half open: start -> end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeSet {
    ranges: BTreeMap<u64, u64>,
    len: u64,
}

impl RangeSet {
    /// Numbers in the set.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Ranges they make.
    pub(crate) fn ranges(&self) -> usize {
        self.ranges.len()
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, end)| number < *end)
    }

    /// Adds `start..end`. Invariant: none of it is in the set.
    pub(crate) fn insert(&mut self, start: u64, end: u64) {
        let before = self.ranges.range(..=start).next_back().map(|(first, last)| (*first, *last));
        let after = self.ranges.range(start..).next().map(|(first, last)| (*first, *last));
        let is_free = before.is_none_or(|(_, last)| last <= start) && after.is_none_or(|(first, _)| end <= first);
        assert!(start < end && is_free, "a number enters a set once");
        self.len = self.len.saturating_add(end.saturating_sub(start));
        let start = before.filter(|(_, last)| *last == start).map_or(start, |(first, _)| first);
        let end = match after.filter(|(first, _)| *first == end) {
            Some((first, last)) => {
                self.ranges.remove(&first);
                last
            }
            None => end,
        };
        self.ranges.insert(start, end);
    }

    /// The first range of what is in the set from `floor` on.
    fn range_from(&self, floor: u64) -> Option<(u64, u64)> {
        let around = self.ranges.range(..=floor).next_back().filter(|(_, end)| floor < **end);
        around.map(|(_, end)| (floor, *end)).or_else(|| self.ranges.range(floor..).next().map(|(a, b)| (*a, *b)))
    }

    /// The first number that is not less than `floor`.
    pub(crate) fn first_from(&self, floor: u64) -> Option<u64> {
        self.range_from(floor).map(|(start, _)| start)
    }

    /// The first number from `floor` on that is not in the set.
    pub(crate) fn first_gap(&self, floor: u64) -> u64 {
        self.range_from(floor).filter(|(start, _)| *start == floor).map_or(floor, |(_, end)| end)
    }

    /// The ranges within `from..to`, cut off at its ends.
    pub(crate) fn within(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
        let around = self.range_from(from).filter(|(start, _)| *start == from && from < to);
        let behind = self.ranges.range(from.saturating_add(1).min(to)..to).map(|(start, end)| (*start, *end));
        around.into_iter().chain(behind).map(move |(start, end)| (start, end.min(to)))
    }

    /// How many numbers are within `from..to`.
    pub(crate) fn count_within(&self, from: u64, to: u64) -> u64 {
        self.within(from, to).fold(0, |count, (start, end)| count.saturating_add(end.saturating_sub(start)))
    }

    /// Up to `count` numbers within `from..to`, in order, after `offset` of them.
    pub(crate) fn list(&self, (from, to): (u64, u64), offset: u64, count: usize) -> Vec<u64> {
        let mut left = offset;
        let mut numbers = Vec::with_capacity(count.min(usize::try_from(self.len).unwrap_or(count)));
        for (start, end) in self.within(from, to) {
            let skipped = left.min(end.saturating_sub(start));
            left = left.saturating_sub(skipped);
            numbers.extend((start.saturating_add(skipped)..end).take(count.saturating_sub(numbers.len())));
            if numbers.len() >= count {
                break;
            }
        }
        numbers
    }

    /// Takes out up to `count` numbers from `floor` on, below `ceiling`, in order.
    pub(crate) fn take(&mut self, floor: u64, ceiling: u64, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let Some((start, end)) = self.range_from(floor).filter(|(start, _)| *start < ceiling) else { break };
            let room = u64::try_from(count.saturating_sub(numbers.len())).unwrap_or(u64::MAX);
            let end = end.min(ceiling).min(start.saturating_add(room));
            self.cut(start, end);
            numbers.extend(start..end);
        }
        numbers
    }

    /// Takes out all of `from..to`. Answers: the ranges that were there.
    pub(crate) fn take_ranges(&mut self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let ranges: Vec<_> = self.within(from, to).collect();
        for (start, end) in &ranges {
            self.cut(*start, *end);
        }
        ranges
    }

    /// The last number less than `ceiling`.
    pub(crate) fn last_below(&self, ceiling: u64) -> Option<u64> {
        let (_, end) = self.ranges.range(..ceiling).next_back()?;
        Some((*end).min(ceiling).saturating_sub(1))
    }

    /// Takes out `start..end`. Invariant: it lies within one range.
    fn cut(&mut self, start: u64, end: u64) {
        let around = self.ranges.range(..=start).next_back().map(|(first, last)| (*first, *last));
        let Some((first, last)) = around else { return };
        self.ranges.remove(&first);
        if first < start {
            self.ranges.insert(first, start);
        }
        if end < last {
            self.ranges.insert(end, last);
        }
        self.len = self.len.saturating_sub(end.saturating_sub(start));
    }
}

#[cfg(test)]
mod tests {
    use super::RangeSet;
    use proptest::prelude::{any, proptest};
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_of_ranges_is_the_set_of_its_numbers(steps in proptest::collection::vec(
            (any::<bool>(), 0_u64..48, 0_u64..48, 0_usize..6), 1..80,
        )) {
            let (mut set, mut model) = (RangeSet::default(), BTreeSet::new());
            for (adds, at, other, count) in steps {
                if adds {
                    if model.insert(at) {
                        set.insert(at, at.saturating_add(1));
                    }
                } else {
                    let taken: Vec<u64> = model.range(at..).filter(|n| **n < other).take(count).copied().collect();
                    assert_eq!(set.take(at, other, count), taken);
                    model.retain(|number| !taken.contains(number));
                }
                check(&set, &model, at, other);
            }
        }
    }

    #[test]
    fn ranges_are_taken_cut_off_at_the_ends() {
        let mut set = RangeSet::default();
        set.insert(1, 5);
        set.insert(7, 9);
        assert_eq!(set.take_ranges(3, 8), [(3, 5), (7, 8)]);
        assert_eq!((set.list((0, 9), 0, 9), set.len()), (vec![1, 2, 8], 3));
        let last: Vec<_> = [1, 2, 3, 8, 9].into_iter().map(|ceiling| set.last_below(ceiling)).collect();
        assert_eq!(last, [None, Some(1), Some(2), Some(2), Some(8)]);
    }

    fn check(set: &RangeSet, model: &BTreeSet<u64>, from: u64, to: u64) {
        let listed: Vec<u64> = model.iter().copied().filter(|number| *number >= from).collect();
        let starts = model.iter().filter(|number| number.checked_sub(1).is_none_or(|before| !model.contains(&before)));
        assert_eq!(set.ranges(), starts.count(), "no two ranges touch");
        assert_eq!(set.len(), model.len() as u64);
        assert_eq!(set.first_from(from), listed.first().copied());
        assert_eq!(set.contains(from), model.contains(&from));
        assert_eq!(Some(set.first_gap(from)), (from..).find(|number| !model.contains(number)));
        assert_eq!(set.list((from, u64::MAX), 0, 100), listed);
        assert_eq!(set.list((from, u64::MAX), 2, 3), listed.iter().copied().skip(2).take(3).collect::<Vec<_>>());
        let within = model.iter().filter(|number| **number >= from && **number < to).count();
        assert_eq!(set.count_within(from, to), within as u64);
        let cut: Vec<u64> = set.within(from, to).flat_map(|(start, end)| start..end).collect();
        assert_eq!(cut, listed.into_iter().filter(|number| *number < to).collect::<Vec<_>>());
    }

    #[test]
    #[should_panic(expected = "a number enters a set once")]
    fn a_number_cannot_enter_twice() {
        let mut set = RangeSet::default();
        set.insert(1, 5);
        set.insert(4, 6);
    }
}
