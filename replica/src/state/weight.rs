//! What of the log is alive: the bytes of the bodies that lie in it, of all groups of a process together.
//!
//! ```text
//!  a commit:  + what it keeps in the log, − what it drops (each for a body of average size) ─┐
//!  a settle, or a start:  every place, counted ──────────────────────────────────────────────┴─> of a group ─> of all
//! ```
//! While half of the log is alive, what is old stays where it was written, and nothing is moved (decision 0064). It is an
//! estimate, and no more depends on it than how long the log becomes: what may be purged is asked of the places themselves.

use std::sync::Arc;

use parking_lot::Mutex;

/// Bodies in the log, or a change of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bodies {
    pub count: u64,
    pub bytes: u64,
}

impl Bodies {
    pub(super) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }

    /// Without `count` of them, of average size.
    fn without(self, count: u64) -> Self {
        let left = self.count.saturating_sub(count);
        let bytes = (u128::from(self.bytes) * u128::from(left)).checked_div(u128::from(self.count)).unwrap_or(0);
        Self { count: left, bytes: u64::try_from(bytes).unwrap_or(u64::MAX) }
    }

    /// Changed as `before` has become `now` meanwhile.
    fn changed(self, before: Self, now: Self) -> Self {
        let change = |of: u64, before: u64, now: u64| (of + now).saturating_sub(before);
        Self { count: change(self.count, before.count, now.count), bytes: change(self.bytes, before.bytes, now.bytes) }
    }
}

/// Of all groups of a process.
#[derive(Clone, Default)]
pub(super) struct LogWeight(Arc<Mutex<Total>>);

#[derive(Default)]
struct Total {
    bytes: u64,
    /// Groups whose places nobody has counted since the start.
    uncounted: usize,
}

impl LogWeight {
    /// Bytes of all bodies in the log. `None`: of some groups nobody knows.
    pub(super) fn bytes(&self) -> Option<u64> {
        let total = self.0.lock();
        (total.uncounted == 0).then_some(total.bytes)
    }
}

/// Of one group. Its part of the total goes with it.
pub(super) struct GroupWeight {
    total: LogWeight,
    own: Mutex<Own>,
}

#[derive(Default)]
struct Own {
    bodies: Bodies,
    is_counted: bool,
    /// Somebody counts just now.
    is_being_counted: bool,
}

impl GroupWeight {
    /// A group that has no body in the log (`is_empty`), or nobody knows how many.
    pub(super) fn new(total: LogWeight, is_empty: bool) -> Self {
        total.0.lock().uncounted += usize::from(!is_empty);
        Self { total, own: Mutex::new(Own { is_counted: is_empty, ..Own::default() }) }
    }

    /// Changes what is known. Of the total, only what was counted is a part.
    fn update(&self, change: impl FnOnce(&mut Own)) {
        let mut own = self.own.lock();
        let (before, was_counted) = (own.bodies.bytes, own.is_counted);
        change(&mut own);
        let mut total = self.total.0.lock();
        total.bytes -= if was_counted { before } else { 0 };
        total.bytes += if own.is_counted { own.bodies.bytes } else { 0 };
        total.uncounted -= usize::from(own.is_counted && !was_counted);
    }

    /// A commit kept bodies in the log, and dropped some, here or in the store.
    pub(super) fn commit(&self, kept: Bodies, dropped: u64) {
        if kept == Bodies::default() && dropped == 0 {
            return;
        }
        self.update(|own| {
            let Bodies { count, bytes } = own.bodies;
            own.bodies = Bodies { count: count + kept.count, bytes: bytes + kept.bytes }.without(dropped);
        });
    }

    /// Somebody begins to count. False: it is known, or somebody does already.
    pub(super) fn begin_count(&self) -> bool {
        let mut own = self.own.lock();
        !own.is_counted && !std::mem::replace(&mut own.is_being_counted, true)
    }

    /// Takes what `count` finds, and adds what commits change meanwhile. Errors: its own; nothing is changed.
    pub(super) fn recount<E>(&self, count: impl FnOnce() -> Result<Bodies, E>) -> Result<(), E> {
        let before = self.own.lock().bodies;
        let counted = count();
        self.update(|own| {
            own.is_being_counted = false;
            if let Ok(counted) = &counted {
                own.bodies = counted.changed(before, own.bodies);
                own.is_counted = true;
            }
        });
        counted.map(|_| ())
    }

    /// The group has none any more.
    pub(super) fn clear(&self) {
        self.update(|own| *own = Own { is_counted: true, ..Own::default() });
    }
}

impl Drop for GroupWeight {
    fn drop(&mut self) {
        let own = self.own.get_mut();
        let mut total = self.total.0.lock();
        if own.is_counted {
            total.bytes -= own.bodies.bytes;
        } else {
            total.uncounted -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(count: u64, bytes: u64) -> Bodies {
        Bodies { count, bytes }
    }

    #[test]
    fn the_total_is_known_when_every_group_was_counted_and_a_group_takes_its_part_with_it() {
        let total = LogWeight::default();
        let (new, old) = (GroupWeight::new(total.clone(), true), GroupWeight::new(total.clone(), false));
        new.commit(bodies(10, 1000), 0);
        old.commit(bodies(1, 7), 0);
        assert_eq!(total.bytes(), None, "one group was not counted");
        assert!(old.begin_count() && !old.begin_count(), "one counts");
        assert_eq!(old.recount(|| Err("the disk")), Err("the disk"));
        assert!(old.begin_count(), "another may, when the first could not");
        let counted = old.recount(|| {
            old.commit(bodies(1, 50), 0);
            Ok::<_, &str>(bodies(3, 300))
        });
        assert_eq!(counted, Ok(()));
        assert!(!old.begin_count(), "it is known");
        assert_eq!(total.bytes(), Some(1350), "what came while it was counted is there");
        new.clear();
        assert_eq!(total.bytes(), Some(350));
        new.commit(bodies(10, 1000), 0);
        drop(old);
        assert_eq!(total.bytes(), Some(1000));
        drop(GroupWeight::new(total.clone(), false));
        assert_eq!(total.bytes(), Some(1000), "a group that was never counted leaves nothing behind");
    }

    #[test]
    fn a_dropped_body_weighs_the_average_and_never_more_than_there_is() {
        let total = LogWeight::default();
        let group = GroupWeight::new(total.clone(), true);
        group.commit(bodies(10, 1000), 4);
        assert_eq!(total.bytes(), Some(600));
        group.commit(Bodies::default(), 100);
        assert_eq!(total.bytes(), Some(0));
        group.commit(bodies(2, 50), 1);
        assert_eq!(total.bytes(), Some(25));
    }
}
