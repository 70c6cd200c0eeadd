//! The done places of a queue: acked messages that are kept for a while, because a rewind may bring them back.
//!
//! ```text
//!                 floor
//!   stale           │  done ... done ....... (visible, leased) ... done           next
//!  ─────────────────┼─────────────────────────────────────────────────────────────┤    one lane
//! ```
//!
//! Why a set of its own: what is done counts neither as held nor as erased; its rows and body stay as they are. Why a floor:
//! switching the rewind off, a purge and age drop any number of them at once; what is below is erased bit by bit. A lane is
//! known here only while something done stands in it.
//!
//! Must never: bring back a place below its lane's floor.

use std::collections::{BTreeMap, BTreeSet};

use machine::{DecodeError, Layout, Reader, Rows, TimestampMs, Writer};

use crate::ids::QueueId;
use crate::keys;
use crate::lanes::{end_of, lane_of, start_of};
use crate::places::{ReadyPage, offset, page, span};
use crate::range_set::RangeSet;
use crate::rows::{Oldest, check_version, put_version};

/// What is done in one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DoneLane {
    /// Nothing below comes back.
    floor: u64,
    /// A message no later than any that may come back; its time is 0 if it is not known, and the next tick reads it.
    oldest: Oldest,
    /// Messages that may come back.
    len: u64,
    /// Messages below the floor.
    stale: u64,
}

/// The done places of one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    set: RangeSet,
    lanes: BTreeMap<u32, DoneLane>,
    /// Lanes from which something may come back, by the bound on its age.
    by_age: BTreeSet<(TimestampMs, u32)>,
    stale_lanes: BTreeSet<u32>,
    stale: u64,
    dirty: BTreeSet<u64>,
    dirty_lanes: BTreeSet<u32>,
}

impl Done {
    /// Messages that a rewind may bring back.
    pub(crate) const fn len(&self) -> u64 {
        self.set.len().saturating_sub(self.stale)
    }

    /// Messages below their lanes' floors that wait to be erased.
    pub(crate) const fn stale(&self) -> u64 {
        self.stale
    }

    /// Ranges held in memory.
    pub(crate) fn ranges(&self) -> usize {
        self.set.ranges()
    }

    /// Lanes from which something may come back, by the bound on its age.
    pub(crate) fn by_age(&self) -> impl Iterator<Item = (TimestampMs, u32)> {
        self.by_age.iter().copied()
    }

    /// No message that may come back took its place earlier.
    pub(crate) fn first_age(&self) -> Option<TimestampMs> {
        self.by_age.first().map(|(age, _)| *age)
    }

    /// Lanes in which something done stands.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = u32> {
        self.lanes.keys().copied()
    }

    /// Nothing of `lane` below comes back.
    pub(crate) fn floor(&self, lane: u32) -> u64 {
        self.lanes.get(&lane).map_or(start_of(lane), |lane| lane.floor)
    }

    /// The first place of `lane` from `seq` on that may come back.
    pub(crate) fn first(&self, lane: u32, seq: u64) -> Option<u64> {
        self.set.first_from(seq.max(self.floor(lane))).filter(|seq| *seq < end_of(lane))
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        seq >= self.floor(lane_of(seq)) && self.set.contains(seq)
    }

    /// Up to `count` places that may come back, from `seq` on, lane by lane.
    pub(crate) fn list(&self, seq: u64, count: usize) -> Vec<u64> {
        let mut listed = Vec::new();
        for lane in self.lanes.range(lane_of(seq)..).map(|(lane, _)| *lane) {
            let span = (seq.max(self.floor(lane)), end_of(lane));
            listed.append(&mut self.set.list(span, 0, count.saturating_sub(listed.len())));
        }
        listed
    }

    /// Adds the place of an acked message. `floor`: below it nothing of the lane is visible. Answers: whether it is kept;
    /// below the floor stands what is as old as something that was dropped already.
    pub(crate) fn add(&mut self, seq: u64, floor: u64) -> bool {
        let lane = lane_of(seq);
        if seq < floor.max(self.floor(lane)) {
            return false;
        }
        let oldest = Oldest { seq, enqueued: TimestampMs(0) };
        self.lanes.entry(lane).or_insert(DoneLane { floor, oldest, len: 0, stale: 0 });
        self.set.insert(seq, seq.saturating_add(1));
        self.dirty.insert(page(seq));
        self.change(lane, |lane| {
            if lane.len == 0 || seq < lane.oldest.seq {
                lane.oldest = oldest;
            }
            lane.len = lane.len.saturating_add(1);
        });
        true
    }

    /// Takes out all places of a lane from `seq` on, as ranges.
    pub(crate) fn take(&mut self, seq: u64) -> Vec<(u64, u64)> {
        let lane = lane_of(seq);
        let ranges = self.set.take_ranges(seq.max(self.floor(lane)), end_of(lane));
        let mut count: u64 = 0;
        for (start, end) in &ranges {
            self.dirty.extend(page(*start)..=page(end.saturating_sub(1)));
            count = count.saturating_add(end.saturating_sub(*start));
        }
        self.change(lane, |lane| lane.len = lane.len.saturating_sub(count));
        ranges
    }

    /// Takes the first `count` places below their lanes' floors.
    pub(crate) fn take_stale(&mut self, count: usize) -> Vec<u64> {
        let mut taken = Vec::new();
        while let Some(lane) = self.stale_lanes.first().copied().filter(|_| taken.len() < count) {
            let stale = self.set.take(start_of(lane), self.floor(lane), count.saturating_sub(taken.len()));
            self.dirty.extend(stale.iter().map(|seq| page(*seq)));
            let gone = u64::try_from(stale.len()).unwrap_or(u64::MAX);
            self.change(lane, |lane| lane.stale = lane.stale.saturating_sub(gone));
            taken.extend(stale);
        }
        taken
    }

    /// A lane learns the age of the first message that may come back.
    pub(crate) fn learn(&mut self, oldest: Oldest) {
        self.change(lane_of(oldest.seq), |lane| lane.oldest = oldest);
    }

    /// Drops what is done in a lane below `floor`.
    pub(crate) fn raise_floor(&mut self, lane: u32, floor: u64) {
        let dropped = self.set.count_within(self.floor(lane), floor);
        self.change(lane, |lane| {
            lane.floor = lane.floor.max(floor);
            lane.len = lane.len.saturating_sub(dropped);
            lane.stale = lane.stale.saturating_add(dropped);
        });
    }

    /// Drops all that could come back.
    pub(crate) fn drop_all(&mut self) {
        let lanes: Vec<u32> = self.lanes().collect();
        for lane in lanes {
            // Not up to the lane's end: what is acked later may be kept again.
            let last = self.set.last_below(end_of(lane));
            self.raise_floor(lane, last.unwrap_or_default().saturating_add(1));
        }
    }

    /// Changes a lane, and keeps what is known of all of them true.
    fn change(&mut self, lane: u32, change: impl FnOnce(&mut DoneLane)) {
        let Some(it) = self.lanes.get_mut(&lane) else { return };
        let before = *it;
        change(it);
        let after = *it;
        self.by_age.remove(&(before.oldest.enqueued, lane));
        if after.len > 0 {
            self.by_age.insert((after.oldest.enqueued, lane));
        }
        self.stale = self.stale.saturating_sub(before.stale).saturating_add(after.stale);
        if after.stale > 0 {
            self.stale_lanes.insert(lane)
        } else {
            self.stale_lanes.remove(&lane)
        };
        if after.len == 0 && after.stale == 0 {
            self.lanes.remove(&lane);
        }
        let is_row_changed = (before.floor, before.oldest) != (after.floor, after.oldest);
        if is_row_changed || !self.lanes.contains_key(&lane) || before.len == 0 {
            self.dirty_lanes.insert(lane);
        }
    }

    /// Writes the pages and lanes that were touched since the last time.
    pub(crate) fn write(&mut self, queue: QueueId, rows: &mut Rows) {
        for page in std::mem::take(&mut self.dirty) {
            let (from, to) = span(page);
            let offsets = |(start, end)| (offset(page, start), offset(page, end));
            let row = ReadyPage(self.set.within(from, to).map(offsets).collect());
            let key = keys::done(queue, page);
            if row.0.is_empty() { rows.delete(key) } else { rows.put(key, row.to_bytes()) }
        }
        for lane in std::mem::take(&mut self.dirty_lanes) {
            let key = keys::done_lane(queue, u64::from(lane));
            match self.lanes.get(&lane) {
                Some(it) => rows.put(key, it.to_bytes()),
                None => rows.delete(key),
            }
        }
    }

    /// Takes in the row of a lane.
    pub(crate) fn load_lane(&mut self, lane: u64, it: DoneLane) -> Result<(), DecodeError> {
        let lane = u32::try_from(lane).map_err(|_| DecodeError::Invalid("lane"))?;
        self.lanes.insert(lane, it);
        Ok(())
    }

    /// Takes in the done places `from..to`, which lie in one lane.
    pub(crate) fn load(&mut self, (from, to): (u64, u64)) -> Result<(), DecodeError> {
        let lane = lane_of(from);
        let floor = self.lanes.get(&lane).map(|lane| lane.floor).ok_or(DecodeError::Invalid("lane of a done place"))?;
        let stale = floor.clamp(from, to).saturating_sub(from);
        self.set.insert(from, to);
        self.change(lane, |lane| {
            lane.stale = lane.stale.saturating_add(stale);
            lane.len = lane.len.saturating_add(to.saturating_sub(from).saturating_sub(stale));
        });
        self.dirty_lanes.remove(&lane);
        Ok(())
    }
}

impl Layout for DoneLane {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        out.u64(self.floor);
        self.oldest.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "done lane row")?;
        Ok(Self { floor: input.u64()?, oldest: Oldest::decode(input)?, len: 0, stale: 0 })
    }
}
