//! The places of a queue: which sequence numbers are ready, which message stands at each, and how both become rows.
//!
//! ```text
//!  page 0 │ page 1 │ page 2 ...            a page = 4096 places of one lane = one row of ranges and one of ids
//! ```
//!
//! Why pages: a batch rewrites the few pages it touched, and a restart reads a few bytes for 4096 messages.
//!
//! Must never: know a lane's floor: what is ready is not yet visible (see `lanes`).

use std::collections::{BTreeMap, BTreeSet};

use machine::{DecodeError, Layout, Reader, Rows, Writer};

use crate::ids::{MessageId, QueueId};
use crate::keys;
use crate::limits::{PAGE, PAGE_PIECES_MAX};
use crate::range_set::RangeSet;
use crate::rows::{check_version, put_version};
use crate::run_map::{Run, RunMap};

/// All places of one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    ready: RangeSet,
    ids: RunMap,
    /// Per page: messages that stand there, ready, leased or done. A page without is forgotten.
    present: BTreeMap<u64, u32>,
    dirty_ready: BTreeSet<u64>,
    dirty_ids: BTreeSet<u64>,
}

impl Places {
    /// Ranges and runs held in memory.
    pub(crate) fn pieces(&self) -> (usize, usize) {
        (self.ready.ranges(), self.ids.runs())
    }

    /// The first ready place within `from..to`.
    pub(crate) fn first_ready(&self, (from, to): (u64, u64)) -> Option<u64> {
        self.ready.first_from(from).filter(|seq| *seq < to)
    }

    /// Ready places within `from..to` in order, after `offset` of them.
    pub(crate) fn list(&self, within: (u64, u64), offset: u64, count: usize) -> Vec<u64> {
        self.ready.list(within, offset, count)
    }

    /// How many places within `from..to` are ready.
    pub(crate) fn count_ready(&self, (from, to): (u64, u64)) -> u64 {
        self.ready.count_within(from, to)
    }

    pub(crate) fn is_ready(&self, seq: u64) -> bool {
        self.ready.contains(seq)
    }

    /// The message at `seq`. Invariant: it stands there.
    pub(crate) fn id(&self, seq: u64) -> MessageId {
        let id = self.ids.get(seq);
        assert!(id.is_some(), "a place that is asked for has a message");
        id.unwrap_or_default()
    }

    /// Where `id` stands or stood: a place that was left is named until its page is empty. Looks at every run.
    pub(crate) fn places_of(&self, id: MessageId) -> impl Iterator<Item = u64> {
        self.ids.places_of(id)
    }

    /// Puts a message at a new place, ready.
    pub(crate) fn append(&mut self, seq: u64, id: MessageId) {
        self.ids.push(seq, Run { id, count: 1 });
        self.dirty_ids.insert(page(seq));
        let present = self.present.entry(page(seq)).or_insert(0);
        *present = present.saturating_add(1);
        self.make_ready(seq);
    }

    /// Makes the place of a taken message ready again.
    pub(crate) fn make_ready(&mut self, seq: u64) {
        self.ready.insert(seq, seq.saturating_add(1));
        self.dirty_ready.insert(page(seq));
    }

    /// Makes the places of done messages ready again.
    pub(crate) fn make_range_ready(&mut self, start: u64, end: u64) {
        self.ready.insert(start, end);
        self.dirty_ready.extend(page(start)..=page(end.saturating_sub(1)));
    }

    /// Takes the first `count` ready places within `from..to`; they are not ready any more.
    pub(crate) fn take(&mut self, (from, to): (u64, u64), count: usize) -> Vec<u64> {
        let taken = self.ready.take(from, to, count);
        self.dirty_ready.extend(taken.iter().map(|seq| page(*seq)));
        taken
    }

    /// Forgets the message at a taken place. Answers: which it was.
    pub(crate) fn settle(&mut self, seq: u64) -> MessageId {
        let id = self.id(seq);
        let page = page(seq);
        if let Some(present) = self.present.get_mut(&page) {
            *present = present.saturating_sub(1);
            if *present == 0 {
                self.present.remove(&page);
                let (from, to) = span(page);
                self.ids.cut(from, to);
                self.dirty_ids.insert(page);
            }
        }
        id
    }

    /// Writes the pages that were touched since the last time.
    pub(crate) fn write(&mut self, queue: QueueId, rows: &mut Rows) {
        for page in std::mem::take(&mut self.dirty_ready) {
            let (from, to) = span(page);
            let offsets = |(start, end)| (offset(page, start), offset(page, end));
            let row = ReadyPage(self.ready.within(from, to).map(offsets).collect());
            let key = keys::ready(queue, page);
            if row.0.is_empty() { rows.delete(key) } else { rows.put(key, row.to_bytes()) }
        }
        for page in std::mem::take(&mut self.dirty_ids) {
            let (from, to) = span(page);
            let offsets = |(seq, run): (u64, Run)| (offset(page, seq), offset(0, run.count), run.id);
            let row = IdPage(self.ids.within(from, to).map(offsets).collect());
            let key = keys::ids(queue, page);
            if row.0.is_empty() { rows.delete(key) } else { rows.put(key, row.to_bytes()) }
        }
    }

    /// Takes in a row of ready ranges. Answers: the ranges as places.
    pub(crate) fn load_ready(&mut self, page: u64, row: &ReadyPage) -> Result<Vec<(u64, u64)>, DecodeError> {
        let ranges = row.ranges(page)?;
        for (start, end) in &ranges {
            self.ready.insert(*start, *end);
            self.load_present(page, u32::try_from(end.saturating_sub(*start)).unwrap_or(u32::MAX));
        }
        Ok(ranges)
    }

    /// Takes in a row of ids.
    pub(crate) fn load_ids(&mut self, page: u64, row: &IdPage) -> Result<(), DecodeError> {
        let first = span(page).0;
        let mut next = 0;
        for (start, count, id) in &row.0 {
            let end = u64::from(*start).saturating_add(u64::from(*count));
            if u64::from(*start) < next || *count == 0 || end > PAGE {
                return Err(DecodeError::Invalid("run of ids"));
            }
            next = end;
            self.ids.push(first.saturating_add(u64::from(*start)), Run { id: *id, count: u64::from(*count) });
        }
        Ok(())
    }

    /// Takes in a leased message; `false` if its place has no id, for its row is damaged then.
    pub(crate) fn load_leased(&mut self, seq: u64) -> bool {
        self.load_present(page(seq), 1);
        self.ids.get(seq).is_some() && !self.ready.contains(seq)
    }

    /// Takes in that `count` messages of a page are there: ready, leased or done.
    pub(crate) fn load_present(&mut self, page: u64, count: u32) {
        let present = self.present.entry(page).or_insert(0);
        *present = present.saturating_add(count);
    }
}

/// The page of a place.
pub(crate) const fn page(seq: u64) -> u64 {
    seq.wrapping_div(PAGE)
}

/// The places of a page: from, to.
pub(crate) const fn span(page: u64) -> (u64, u64) {
    let from = page.saturating_mul(PAGE);
    (from, from.saturating_add(PAGE))
}

/// Where `seq` lies in `page`; it lies in it, or just behind it.
pub(crate) fn offset(page: u64, seq: u64) -> u16 {
    u16::try_from(seq.saturating_sub(span(page).0)).unwrap_or(u16::MAX)
}

/// The ready, or done, ranges of one page as offsets: start, end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReadyPage(pub(crate) Vec<(u16, u16)>);

impl ReadyPage {
    /// The ranges of places, if they are in order and within `page`.
    pub(crate) fn ranges(&self, page: u64) -> Result<Vec<(u64, u64)>, DecodeError> {
        let first = span(page).0;
        let mut last = None;
        let mut ranges = Vec::with_capacity(self.0.len());
        for (start, end) in &self.0 {
            let is_behind = last.is_none_or(|last| last < start);
            if !is_behind || start >= end || u64::from(*end) > PAGE {
                return Err(DecodeError::Invalid("range of places"));
            }
            last = Some(end);
            ranges.push((first.saturating_add(u64::from(*start)), first.saturating_add(u64::from(*end))));
        }
        Ok(ranges)
    }
}

/// The runs of one page: offset, count, first id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IdPage(Vec<(u16, u16, MessageId)>);

impl Layout for ReadyPage {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        out.len(self.0.len());
        for (start, end) in &self.0 {
            out.u16(*start);
            out.u16(*end);
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "page of ready places")?;
        let count = input.count(PAGE_PIECES_MAX)?;
        (0..count).map(|_| Ok((input.u16()?, input.u16()?))).collect::<Result<_, _>>().map(Self)
    }
}

impl Layout for IdPage {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        out.len(self.0.len());
        for (start, count, id) in &self.0 {
            out.u16(*start);
            out.u16(*count);
            id.encode(out);
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "page of ids")?;
        let count = input.count(PAGE_PIECES_MAX)?;
        let pieces = (0..count).map(|_| Ok((input.u16()?, input.u16()?, MessageId::decode(input)?)));
        pieces.collect::<Result<_, _>>().map(Self)
    }
}
