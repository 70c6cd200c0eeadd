//! Late lanes: what is sent to an ordered group while earlier messages of it are still on their way from another group.
//!
//! ```text
//!   sent before the move ──courier──> lane        served first
//!   sent here meanwhile ────────────> late lane   held until all have come, and the lane is given back
//! ```
//!
//! Must never: serve a late lane while an earlier message of its ordered group is out or not here.

use crate::lane::LaneName;
use crate::lanes::Lanes;

impl Lanes {
    /// Earlier messages are on their way from now on.
    pub(crate) const fn begin_arrival(&mut self) {
        self.is_arriving = true;
    }

    /// All messages from before have come.
    pub(crate) fn end_arrival(&mut self) {
        self.is_arriving = false;
        self.late_lanes().into_iter().for_each(|lane| self.free(lane));
    }

    /// Whether earlier messages are on their way.
    pub(crate) const fn is_arriving(&self) -> bool {
        self.is_arriving
    }

    /// The lane for what comes now: the late one while messages arrive, and as long as it is open.
    pub(crate) fn name_now(&self, name: LaneName) -> LaneName {
        if name.group.is_empty() {
            return name;
        }
        let late = name.sibling(true);
        if self.is_arriving || self.is_open(&late) { late } else { name }
    }

    /// Whether a lane of this name has to wait.
    pub(crate) fn must_wait(&self, name: &LaneName) -> bool {
        name.is_late && (self.is_arriving || self.is_open(&name.sibling(false)))
    }

    /// Lets a late lane be served if nothing of its ordered group is before it.
    pub(crate) fn free(&mut self, lane: u32) {
        let Some(name) = self.get(lane).map(|lane| lane.name.clone()) else { return };
        let is_held = self.must_wait(&name);
        self.hold(lane, is_held);
    }

    /// Takes in, after its rows, whether messages arrive: which lanes wait follows from it.
    pub(crate) fn load_arrival(&mut self, is_arriving: bool) {
        self.is_arriving = is_arriving;
        for lane in self.late_lanes() {
            let is_held = self.get(lane).is_some_and(|it| self.must_wait(&it.name));
            self.load_held(lane, is_held);
        }
    }

    fn late_lanes(&self) -> Vec<u32> {
        self.numbers(0).filter(|lane| self.is_late(*lane)).collect()
    }

    /// Whether `lane` is a late one.
    pub(crate) fn is_late(&self, lane: u32) -> bool {
        self.get(lane).is_some_and(|lane| lane.name.is_late)
    }
}
