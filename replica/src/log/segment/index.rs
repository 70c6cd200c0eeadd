//! Where every entry lies: in memory, four bytes an entry, by group and segment.
//!
//! ```text
//!  group 7 ─ facts (vote, committed, purged)
//!          └ runs:  [segment 3: first 100, places …] [segment 4: first 180, places …]     gapless, oldest first
//! ```
//! It is a fold of the log's records: what the writer has synced is applied here, and a start applies what it finds.
//!
//! Must never: have a gap between two entries of a group.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use machine::GroupId;

use super::disk::{Segment, damaged};
use super::footer::{Facts, GroupFooter, NO_CUT};
use super::record::Change;

/// Entries of one group in one segment.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub segment: Arc<Segment>,
    pub first: u64,
    pub places: Vec<u32>,
}

impl Run {
    /// The index behind the last one.
    pub(super) fn end(&self) -> u64 {
        self.first + self.places.len() as u64
    }

    /// The entries `from..to` of this run.
    pub(super) fn part(&self, from: u64, to: u64) -> Self {
        let at = |index: u64| usize::try_from(index.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let end = at(to).min(self.places.len());
        let places = self.places.get(at(from)..end).unwrap_or_default().to_vec();
        Self { segment: Arc::clone(&self.segment), first: from, places }
    }
}

/// One group.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupIndex {
    pub facts: Facts,
    pub runs: VecDeque<Run>,
}

impl GroupIndex {
    /// The index that must be appended next. `None`: any, for the log of the group is empty.
    pub(super) fn next(&self) -> Option<u64> {
        let last = self.runs.back().map(Run::end);
        last.or_else(|| self.facts.purged.as_ref().map(|id| id.index.saturating_add(1)))
    }

    /// The run that holds `index`.
    pub(super) fn run(&self, index: u64) -> Option<&Run> {
        let at = self.runs.partition_point(|run| run.end() <= index);
        self.runs.get(at).filter(|run| run.first <= index)
    }

    fn append(&mut self, segment: &Arc<Segment>, index: u64, place: u32) {
        match self.runs.back_mut() {
            Some(run) if Arc::ptr_eq(&run.segment, segment) => run.places.push(place),
            _ => self.runs.push_back(Run { segment: Arc::clone(segment), first: index, places: vec![place] }),
        }
    }

    fn truncate(&mut self, from: u64) {
        while self.runs.back().is_some_and(|run| run.first >= from) {
            self.runs.pop_back();
        }
        if let Some(run) = self.runs.back_mut() {
            let kept = usize::try_from(from - run.first).unwrap_or(usize::MAX);
            run.places.truncate(kept);
        }
    }

    fn purge(&mut self, upto: u64) {
        while self.runs.front().is_some_and(|run| run.end() <= upto.saturating_add(1)) {
            self.runs.pop_front();
        }
        if let Some(run) = self.runs.front_mut().filter(|run| run.first <= upto) {
            let gone = usize::try_from(upto + 1 - run.first).unwrap_or(usize::MAX).min(run.places.len());
            run.places.drain(..gone);
            run.first = upto + 1;
        }
    }
}

/// All groups and segments.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub groups: BTreeMap<GroupId, GroupIndex>,
    /// Oldest first; the last is the one that is written to.
    pub segments: VecDeque<Arc<Segment>>,
    /// Bytes of the log, from the first byte of its first segment at this start.
    pub end: u64,
    /// The lowest index that was truncated while the newest segment was written.
    cuts: BTreeMap<GroupId, u64>,
}

impl Index {
    /// Goes on in a new segment.
    pub(super) fn begin(&mut self, segment: Arc<Segment>) {
        for run in self.groups.values_mut().filter_map(|of| of.runs.back_mut()) {
            run.places.shrink_to_fit();
        }
        self.segments.push_back(segment);
        self.cuts.clear();
    }

    /// The index that must be appended next to a group's log. `None`: any.
    pub(super) fn next(&self, group: GroupId) -> Option<u64> {
        self.groups.get(&group).and_then(GroupIndex::next)
    }

    /// Applies a record at `place` of the newest segment. Errors: an entry leaves a hole behind the one before it. Whether
    /// the first one follows what was purged is known only when all records are applied: segments before it may be gone.
    pub(super) fn apply(&mut self, group: GroupId, change: Change, place: u32) -> io::Result<()> {
        let of = self.groups.entry(group).or_default();
        match change {
            Change::Entry { index } => {
                if of.runs.back().is_some_and(|run| run.end() != index) {
                    return Err(hole(group, index));
                }
                if let Some(segment) = self.segments.back() {
                    of.append(segment, index, place);
                }
            }
            Change::Vote(vote) => of.facts.vote = Some(vote),
            Change::Committed(id) => of.facts.committed = id,
            Change::Truncate { from } => {
                of.truncate(from);
                let cut = self.cuts.entry(group).or_insert(NO_CUT);
                *cut = from.min(*cut);
            }
            Change::Purge { upto } => {
                of.purge(upto.index);
                of.facts.purged = Some(upto);
            }
        }
        Ok(())
    }

    /// What the newest segment holds, for its footer.
    pub(super) fn footer(&self) -> Vec<GroupFooter> {
        let newest = self.segments.back();
        let footer = |(group, of): (&GroupId, &GroupIndex)| {
            let run = of.runs.back().filter(|run| newest.is_some_and(|segment| Arc::ptr_eq(&run.segment, segment)));
            GroupFooter {
                group: *group,
                cut: self.cuts.get(group).copied().unwrap_or(NO_CUT),
                first: run.map_or(0, |run| run.first),
                places: run.map_or_else(Vec::new, |run| run.places.clone()),
                facts: of.facts,
            }
        };
        self.groups.iter().map(footer).collect()
    }

    /// Takes a sealed segment by its footer. Errors: its entries do not follow those before it.
    pub(super) fn load(&mut self, segment: Segment, footer: Vec<GroupFooter>) -> io::Result<()> {
        let segment = Arc::new(segment);
        self.begin(Arc::clone(&segment));
        for GroupFooter { group, cut, first, places, facts } in footer {
            let of = self.groups.entry(group).or_default();
            of.facts = facts;
            of.truncate(cut);
            if let Some(purged) = &facts.purged {
                of.purge(purged.index);
            }
            if places.is_empty() {
                continue;
            }
            if of.runs.back().is_some_and(|run| run.end() != first) {
                return Err(hole(group, first));
            }
            of.runs.push_back(Run { segment: Arc::clone(&segment), first, places });
        }
        Ok(())
    }

    /// Takes the oldest segment out if no group needs it any more, and it is not the one that is written to.
    pub(super) fn pop_unneeded(&mut self) -> Option<Arc<Segment>> {
        let oldest = self.segments.front()?;
        let is_needed = |of: &GroupIndex| of.runs.iter().any(|run| Arc::ptr_eq(&run.segment, oldest));
        let is_newest = self.segments.len() == 1;
        if is_newest || self.groups.values().any(is_needed) { None } else { self.segments.pop_front() }
    }

    /// The first entry of a group that begins within the newest `bytes` of the log. `None`: the group has no entry there.
    pub(super) fn first_within(&self, group: GroupId, bytes: u64) -> Option<u64> {
        let from = self.end.saturating_sub(bytes);
        let runs = &self.groups.get(&group)?.runs;
        let at =
            runs.partition_point(|run| run.places.last().is_none_or(|last| run.segment.base + u64::from(*last) < from));
        let run = runs.get(at)?;
        let skipped = run.places.partition_point(|place| run.segment.base + u64::from(*place) < from);
        Some(run.first + skipped as u64)
    }
}

fn hole(group: GroupId, index: u64) -> io::Error {
    damaged(format!("group {}: the log has a hole before {index}", group.0))
}
