//! The lanes of a queue: messages of one priority, tenant and ordered group stand in a lane of their own, in their order.
//!
//! ```text
//!  sequence number   lane 24 | number in the lane 40
//!
//!                 floor
//!   stale           │  visible ..... leased (not ready) ..... visible            next
//!  ─────────────────┼─────────────────────────────────────────────────────────────┤    one lane
//! ```
//!
//! Why in the number: ready places, ids, pages and leases stay plain sets of numbers, and a queue of one lane costs what it
//! would without. Why a floor: a purge and the retention drop a whole backlog at once by raising it; what is below is
//! erased later, bit by bit.
//!
//! Lane 0, the plain one, is there for ever and stands in the row of counters. Another lane is opened by the first message
//! of its name and given back with its last; numbers never restart, for a lane begins where no lane given back has been.
//!
//! Must never: let a place below its lane's floor become visible again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use machine::{DecodeError, Layout, Rows, TimestampMs};

use crate::ids::QueueId;
use crate::keys;
use crate::lane::{Lane, LaneName, Marks, Standing};
use crate::limits::{LANE_NUMBER_BITS, LANES_PER_QUEUE_MAX, MESSAGE_BITS};
use crate::range_set::RangeSet;
use crate::rows::Oldest;
use crate::turns::{Turn, Turns};

/// The number of the plain lane.
pub(crate) const PLAIN: u32 = 0;

/// The lane in which `seq` lies.
pub(crate) fn lane_of(seq: u64) -> u32 {
    u32::try_from(seq >> LANE_NUMBER_BITS).unwrap_or(u32::MAX)
}

/// Before all places of a lane.
pub(crate) fn start_of(lane: u32) -> u64 {
    u64::from(lane) << LANE_NUMBER_BITS
}

/// Behind all places of a lane.
pub(crate) fn end_of(lane: u32) -> u64 {
    start_of(lane).saturating_add(1 << LANE_NUMBER_BITS)
}

/// All lanes of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lanes {
    lanes: BTreeMap<u32, Lane>,
    /// All but the plain one.
    by_name: BTreeMap<LaneName, u32>,
    /// Numbers of lanes that are not free; all but the plain one.
    used: RangeSet,
    /// Lanes with visible messages, by the bound on the age of their oldest.
    by_age: BTreeSet<(TimestampMs, u32)>,
    turns: Turns,
    /// Lanes with messages below their floor.
    stale_lanes: BTreeSet<u32>,
    visible: u64,
    stale: u64,
    /// No lane that was given back had a number as high.
    fresh: u64,
    /// The queue is being moved here: earlier messages are still on their way.
    pub(crate) is_arriving: bool,
    dirty: BTreeSet<u32>,
}

impl Default for Lanes {
    fn default() -> Self {
        let plain = Lane::new(LaneName::default(), Marks::from(1), Turn::default());
        let mut turns = Turns::default();
        turns.enter(PLAIN, &plain.name, plain.turn);
        Self {
            turns,
            lanes: BTreeMap::from([(PLAIN, plain)]),
            by_name: BTreeMap::new(),
            used: RangeSet::default(),
            by_age: BTreeSet::new(),
            stale_lanes: BTreeSet::new(),
            visible: 0,
            stale: 0,
            fresh: 1,
            is_arriving: false,
            dirty: BTreeSet::new(),
        }
    }
}

impl Lanes {
    /// Messages above their lanes' floors.
    pub(crate) const fn visible(&self) -> u64 {
        self.visible
    }

    /// Messages below their lanes' floors, that wait to be erased.
    pub(crate) const fn stale(&self) -> u64 {
        self.stale
    }

    /// Whether a receive would find something.
    pub(crate) const fn has_ready(&self) -> bool {
        self.turns.has_ready()
    }

    /// The lane whose turn it is, and whether no other may be served.
    pub(crate) fn next(&self) -> Option<(u32, bool)> {
        self.turns.next()
    }

    /// The plain lane's marks and turn.
    pub(crate) fn plain(&self) -> (Marks, Turn) {
        self.get(PLAIN).map_or((Marks::from(1), Turn::default()), |lane| (lane.marks, lane.turn))
    }

    /// Whether a lane is called `name`.
    pub(crate) fn is_open(&self, name: &LaneName) -> bool {
        name.is_plain() || self.by_name.contains_key(name)
    }

    /// Whether a message that was moved here fits its lane, with what the queue itself may yet send.
    pub(crate) fn fits_moved(&self, name: &LaneName) -> bool {
        let lane = if name.is_plain() { Some(PLAIN) } else { self.by_name.get(name).copied() };
        let next = |lane| self.get(lane).map_or(u64::MAX, |it| it.marks.next.saturating_sub(start_of(lane)));
        lane.map_or(self.fresh, next) < (1 << LANE_NUMBER_BITS) - (1 << MESSAGE_BITS)
    }

    /// Lanes with visible messages, the most urgent first, then by number.
    pub(crate) fn by_priority(&self) -> Vec<u32> {
        let visible = self.lanes.iter().filter(|(_, lane)| lane.visible > 0);
        let mut lanes: Vec<_> = visible.map(|(number, lane)| (Reverse(lane.name.priority), *number)).collect();
        lanes.sort_unstable();
        lanes.into_iter().map(|(_, number)| number).collect()
    }

    /// A lane, if it is open.
    pub(crate) fn get(&self, lane: u32) -> Option<&Lane> {
        self.lanes.get(&lane)
    }

    /// The numbers of the lanes from `lane` on.
    pub(crate) fn numbers(&self, lane: u32) -> impl Iterator<Item = u32> {
        self.lanes.range(lane..).map(|(lane, _)| *lane)
    }

    /// Open lanes besides the plain one.
    pub(crate) const fn count(&self) -> u64 {
        self.used.len()
    }

    /// Nothing of `lane` below is visible.
    pub(crate) fn floor(&self, lane: u32) -> u64 {
        self.get(lane).map_or(u64::MAX, |it| it.marks.floor().max(start_of(lane)))
    }

    /// Where no lane given back has been.
    pub(crate) const fn fresh(&self) -> u64 {
        self.fresh
    }

    /// No visible message took its place earlier.
    pub(crate) fn first_age(&self) -> Option<TimestampMs> {
        self.by_age.first().map(|(age, _)| *age)
    }

    /// Lanes with visible messages, by the bound on the age of their oldest.
    pub(crate) fn by_age(&self) -> impl Iterator<Item = (TimestampMs, u32)> {
        self.by_age.iter().copied()
    }

    /// The first lane with stale messages.
    pub(crate) fn first_stale(&self) -> Option<u32> {
        self.stale_lanes.first().copied()
    }

    /// The number of the lane called `name`, opened at the turn `now` if need be.
    ///
    /// Invariant: whoever opens one has asked whether there is room.
    pub(crate) fn open(&mut self, name: &LaneName, now: u64) -> u32 {
        if name.is_plain() {
            return PLAIN;
        }
        if let Some(lane) = self.by_name.get(name) {
            return *lane;
        }
        let lane = u32::try_from(self.used.first_gap(1)).unwrap_or(u32::MAX);
        assert!(u64::from(lane) <= LANES_PER_QUEUE_MAX, "a lane is opened where there is room for it");
        let next = start_of(lane).saturating_add(self.fresh);
        let turn = self.turns.opened(name, now);
        let is_held = self.must_wait(name);
        self.insert(lane, Lane { is_held, ..Lane::new(name.clone(), Marks::from(next), turn) });
        self.dirty.insert(lane);
        lane
    }

    fn insert(&mut self, lane: u32, it: Lane) {
        self.used.insert(u64::from(lane), u64::from(lane).saturating_add(1));
        self.by_name.insert(it.name.clone(), lane);
        self.turns.enter(lane, &it.name, it.turn);
        self.lanes.insert(lane, it);
    }

    /// A message that is not in its place yet will come to a lane.
    pub(crate) fn wait(&mut self, lane: u32) {
        if lane != PLAIN {
            self.change(lane, |lane| lane.awaited = lane.awaited.saturating_add(1));
        }
    }

    /// A message has come to a lane, or will not come any more.
    pub(crate) fn end_wait(&mut self, lane: u32) {
        if lane != PLAIN {
            self.change(lane, |lane| lane.awaited = lane.awaited.saturating_sub(1));
            self.give_back_if_empty(lane);
        }
    }

    /// A message takes the next place of a lane, visible. Answers: the place.
    pub(crate) fn append(&mut self, lane: u32, enqueued: TimestampMs) -> u64 {
        self.change(lane, |lane| lane.append(enqueued)).unwrap_or_default()
    }

    /// Visible messages of a lane go out under leases; it was its turn, which ends at `now`.
    pub(crate) fn deliver(&mut self, lane: u32, count: u64, now: u64) {
        let name = self.change(lane, |lane| {
            lane.turn = Turn { lane: now, tenant: now };
            lane.visible = lane.visible.saturating_sub(count);
            lane.out = lane.out.saturating_add(count);
            lane.name.clone()
        });
        if let Some(name) = name {
            self.turns.serve(&name, now);
        }
    }

    /// The visible message at `seq` leaves without a lease; it is nobody's turn.
    pub(crate) fn withdraw(&mut self, seq: u64) {
        self.change(lane_of(seq), |lane| lane.visible = lane.visible.saturating_sub(1));
    }

    /// The visible message at `seq` came here under a lease; it is nobody's turn.
    pub(crate) fn lend(&mut self, seq: u64) {
        self.change(lane_of(seq), |lane| {
            lane.visible = lane.visible.saturating_sub(1);
            lane.out = lane.out.saturating_add(1);
        });
    }

    /// A late lane must wait, or need not any more.
    pub(crate) fn hold(&mut self, lane: u32, is_held: bool) {
        self.change(lane, |lane| lane.is_held = is_held);
    }

    /// The lease of the message at `seq` ends.
    pub(crate) fn end_lease(&mut self, seq: u64) {
        self.change(lane_of(seq), |lane| lane.out = lane.out.saturating_sub(1));
    }

    /// A message that was out is visible again. `enqueued` is `None` if its row was not read.
    pub(crate) fn put_back(&mut self, seq: u64, enqueued: Option<TimestampMs>) {
        self.change(lane_of(seq), |lane| {
            lane.visible = lane.visible.saturating_add(1);
            if lane.marks.oldest.is_none_or(|oldest| seq < oldest.seq) {
                lane.marks.oldest = Some(Oldest { seq, enqueued: enqueued.unwrap_or_default() });
            }
        });
    }

    /// `count` done messages of a lane are visible again, the first of them at `seq`.
    pub(crate) fn revive(&mut self, seq: u64, count: u64) {
        self.change(lane_of(seq), |lane| {
            lane.visible = lane.visible.saturating_add(count);
            if lane.marks.oldest.is_none_or(|oldest| seq < oldest.seq) {
                lane.marks.oldest = Some(Oldest { seq, enqueued: TimestampMs(0) });
            }
        });
    }

    /// A lane learns the age of its first visible message.
    pub(crate) fn learn(&mut self, oldest: Oldest) {
        self.change(lane_of(oldest.seq), |lane| lane.marks.oldest = Some(oldest));
    }

    /// Changes the marks of a lane so that `dropped` visible messages are below its floor.
    pub(crate) fn drop_below(&mut self, lane: u32, dropped: u64, raise: impl FnOnce(&mut Marks)) {
        self.change(lane, |lane| {
            raise(&mut lane.marks);
            lane.visible = lane.visible.saturating_sub(dropped);
            lane.stale = lane.stale.saturating_add(dropped);
        });
    }

    /// Drops every visible message, and waits for none that was delayed.
    pub(crate) fn purge(&mut self) {
        let numbers: Vec<u32> = self.lanes.keys().copied().collect();
        for lane in numbers {
            let visible = self.get(lane).map_or(0, |lane| lane.visible);
            self.drop_below(lane, visible, |marks| marks.purged_below = marks.next);
            self.change(lane, |lane| lane.awaited = 0);
            self.give_back_if_empty(lane);
        }
    }

    /// Stale messages of a lane are taken to be erased.
    pub(crate) fn take_stale(&mut self, lane: u32, count: u64) {
        self.change(lane, |lane| lane.stale = lane.stale.saturating_sub(count));
    }

    /// The message at `seq`, which is neither ready nor leased, leaves its lane.
    pub(crate) fn settle(&mut self, seq: u64) {
        let lane = lane_of(seq);
        self.change(lane, |lane| lane.present = lane.present.saturating_sub(1));
        self.give_back_if_empty(lane);
    }

    /// Closes a lane in which nothing stands.
    fn give_back_if_empty(&mut self, lane: u32) {
        if lane == PLAIN || self.get(lane).is_none_or(|lane| !lane.is_empty()) {
            return;
        }
        let Some(it) = self.lanes.remove(&lane) else { return };
        self.by_name.remove(&it.name);
        self.used.take(u64::from(lane), u64::from(lane).saturating_add(1), 1);
        self.fresh = self.fresh.max(it.marks.next.saturating_sub(start_of(lane)));
        self.dirty.insert(lane);
        // The plain lane, which may be the heir, is written with the counters.
        if let Some((heir, served)) = self.turns.leave(lane, &it.name, it.turn) {
            self.change(heir, |lane| lane.turn.tenant = served);
        }
        if !it.name.group.is_empty() && !it.name.is_late {
            let late = self.by_name.get(&it.name.sibling(true)).copied();
            if let Some(late) = late {
                self.free(late);
            }
        }
    }

    /// Changes a lane, and keeps what is known of all of them true.
    fn change<R>(&mut self, lane: u32, change: impl FnOnce(&mut Lane) -> R) -> Option<R> {
        let it = self.lanes.get_mut(&lane)?;
        let before = it.standing();
        let result = change(it);
        let after = it.standing();
        if before.turn != after.turn {
            self.turns.set(lane, &it.name, (before.turn, after.turn));
        }
        if lane != PLAIN {
            self.dirty.insert(lane);
        }
        self.keep(lane, before, after);
        Some(result)
    }

    fn keep(&mut self, lane: u32, before: Standing, after: Standing) {
        self.visible = self.visible.saturating_sub(before.visible).saturating_add(after.visible);
        self.stale = self.stale.saturating_sub(before.stale).saturating_add(after.stale);
        if before.age != after.age {
            before.age.map(|age| self.by_age.remove(&(age, lane)));
            after.age.map(|age| self.by_age.insert((age, lane)));
        }
        if (before.stale > 0) != (after.stale > 0) {
            self.stale_lanes.remove(&lane);
            if after.stale > 0 {
                self.stale_lanes.insert(lane);
            }
        }
    }

    /// Writes the lanes that were touched since the last time. The plain one is in the row of counters.
    pub(crate) fn write(&mut self, queue: QueueId, rows: &mut Rows) {
        for lane in std::mem::take(&mut self.dirty) {
            let key = keys::lane(queue, u64::from(lane));
            match self.get(lane) {
                Some(it) => rows.put(key, it.to_bytes()),
                None => rows.delete(key),
            }
        }
    }

    /// Takes in the plain lane's marks and turn, and where new lanes begin.
    pub(crate) fn load_plain(&mut self, (marks, turn): (Marks, Turn), fresh: u64) {
        self.change(PLAIN, |lane| (lane.marks, lane.turn) = (marks, turn));
        self.turns.enter(PLAIN, &LaneName::default(), turn);
        self.fresh = fresh;
    }

    /// Takes in the row of a lane.
    pub(crate) fn load(&mut self, lane: u64, it: Lane) -> Result<(), DecodeError> {
        let number = u32::try_from(lane).unwrap_or(u32::MAX);
        let is_new = !self.lanes.contains_key(&number) && !self.by_name.contains_key(&it.name) && !it.name.is_plain();
        if !is_new || lane > LANES_PER_QUEUE_MAX || lane_of(it.marks.next) != number {
            return Err(DecodeError::Invalid("lane"));
        }
        self.insert(number, it);
        Ok(())
    }

    /// Takes in the ready places `from..to`, which lie in one lane.
    pub(crate) fn load_ready(&mut self, (from, to): (u64, u64)) -> Result<(), DecodeError> {
        let load = |lane: &mut Lane| {
            let stale = lane.marks.floor().clamp(from, to).saturating_sub(from);
            let all = to.saturating_sub(from);
            lane.present = lane.present.saturating_add(all);
            lane.stale = lane.stale.saturating_add(stale);
            lane.visible = lane.visible.saturating_add(all.saturating_sub(stale));
        };
        self.load_change(from, load)
    }

    /// Takes in the done places `from..to`, which lie in one lane.
    pub(crate) fn load_done(&mut self, (from, to): (u64, u64)) -> Result<(), DecodeError> {
        self.load_change(from, |lane| lane.present = lane.present.saturating_add(to.saturating_sub(from)))
    }

    /// Takes in a leased message.
    pub(crate) fn load_leased(&mut self, seq: u64) -> Result<(), DecodeError> {
        self.load_change(seq, |lane| {
            lane.present = lane.present.saturating_add(1);
            lane.out = lane.out.saturating_add(1);
        })
    }

    /// Takes in whether a late lane waits.
    pub(crate) fn load_held(&mut self, lane: u32, is_held: bool) {
        self.hold(lane, is_held);
        self.dirty.remove(&lane);
    }

    fn load_change(&mut self, seq: u64, change: impl FnOnce(&mut Lane)) -> Result<(), DecodeError> {
        let lane = lane_of(seq);
        self.change(lane, change).ok_or(DecodeError::Invalid("lane of a place"))?;
        self.dirty.remove(&lane);
        Ok(())
    }
}
