//! The agenda: on the leader, what the next tick should name.
//!
//! Queues are asked in the order of what has been due longest; what only waits to be erased comes last, so that a great
//! purge never holds up a lease or a delay.
//!
//! Must never: change anything. A tick that never comes, or comes twice, is harmless.

use machine::{Layout, RowSource, StoreFailure, TimestampMs, prefix_end};

use crate::due::Due;
use crate::keys;
use crate::lanes::lane_of;
use crate::limits::{TICK_ERASES_MAX, TICK_ITEMS_MAX};
use crate::message::MessageRow;
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;

/// What is due at `now`, at most a tick's worth.
pub(crate) fn due(machine: &QueueMachine, rows: &dyn RowSource, now: TimestampMs) -> Result<Vec<Due>, StoreFailure> {
    let mut queues: Vec<(TimestampMs, &Queue)> = Vec::new();
    let mut remains: Vec<&Queue> = Vec::new();
    for queue in machine.queues.values() {
        if queue.has_remains() {
            remains.push(queue);
        }
        if let Some(due) = queue.next_timely().filter(|due| *due <= now) {
            queues.push((due, queue));
        }
    }
    queues.sort_unstable_by_key(|(due, queue)| (*due, queue.id));
    let mut agenda = Agenda { rows, now, items: Vec::new() };
    for (_, queue) in queues {
        agenda.add_leases(queue);
        agenda.add_delays(queue)?;
        agenda.add_expired(queue)?;
        agenda.add_windows(queue)?;
    }
    for queue in remains {
        agenda.add_remains(queue)?;
    }
    Ok(agenda.items)
}

struct Agenda<'a> {
    rows: &'a dyn RowSource,
    now: TimestampMs,
    items: Vec<Due>,
}

impl Agenda<'_> {
    fn room(&self) -> usize {
        TICK_ITEMS_MAX.saturating_sub(self.items.len())
    }

    fn add_leases(&mut self, queue: &Queue) {
        let due = queue.leases.by_deadline().take_while(|(_, lease)| lease.deadline <= self.now);
        let items = due.map(|(delivery, lease)| Due::Lease { queue: queue.id, delivery, seq: lease.seq });
        let room = self.room();
        self.items.extend(items.take(room));
    }

    fn add_delays(&mut self, queue: &Queue) -> Result<(), StoreFailure> {
        if queue.delays.first().is_none_or(|first| first > self.now) {
            return Ok(());
        }
        let epoch = queue.counters.delay_epoch;
        self.scan_delays(queue, (epoch, epoch.saturating_add(1)), self.now)
    }

    fn add_expired(&mut self, queue: &Queue) -> Result<(), StoreFailure> {
        let retention_ms = queue.definition.attributes.retention_ms();
        for (age, lane) in queue.lanes.by_age() {
            if self.room() < 2 || age.plus(retention_ms) > self.now {
                break;
            }
            self.add_expired_of(queue, lane)?;
        }
        Ok(())
    }

    fn add_expired_of(&mut self, queue: &Queue, lane: u32) -> Result<(), StoreFailure> {
        let Some(first) = queue.first_visible(lane, 0) else { return Ok(()) };
        let mut next = Some(first);
        if self.is_expired(queue, first)? {
            let last = self.last_expired(queue, first)?;
            self.items.push(Due::Expire { queue: queue.id, seq: last });
            next = queue.first_visible(lane, last.saturating_add(1));
        }
        // The first that stays tells the lane when to look again.
        self.items.extend(next.map(|seq| Due::Expire { queue: queue.id, seq }));
        Ok(())
    }

    /// The last expired message, given an expired one: later places are of later times, so it is found by halving.
    fn last_expired(&self, queue: &Queue, first: u64) -> Result<u64, StoreFailure> {
        let lane = lane_of(first);
        let (mut expired, mut end) = (first, queue.lanes.get(lane).map_or(first, |lane| lane.marks.next));
        while expired.saturating_add(1) < end {
            let middle = expired.midpoint(end);
            match queue.first_visible(lane, middle).filter(|seq| *seq < end) {
                Some(seq) if self.is_expired(queue, seq)? => expired = seq,
                _ => end = middle,
            }
        }
        Ok(expired)
    }

    fn is_expired(&self, queue: &Queue, seq: u64) -> Result<bool, StoreFailure> {
        let key = keys::message(queue.id, seq);
        let Some(value) = self.rows.get(&key)? else { return Ok(false) };
        let row = MessageRow::from_bytes(&value).map_err(|error| unreadable(&key, error))?;
        Ok(row.enqueued.plus(queue.definition.attributes.retention_ms()) <= self.now)
    }

    /// Adds the windows that have ended, and the first that has not: it tells the queue when to look again.
    fn add_windows(&mut self, queue: &Queue) -> Result<(), StoreFailure> {
        let is_deleted = queue.definition.is_deleted;
        if self.room() == 0 || queue.next_forgotten().is_none_or(|first| first > self.now && !is_deleted) {
            return Ok(());
        }
        let from = keys::dedup_untils(queue.id);
        let mut broken = None;
        let (room, mut items) = (self.room(), Vec::new());
        self.rows.scan(&from, &prefix_end(&from), &mut |key, _| match keys::read_dedup_until(key) {
            Ok((until, id)) => {
                items.push(Due::Window { queue: queue.id, until, id });
                items.len() < room && (until <= self.now || is_deleted)
            }
            Err(error) => {
                broken = Some(unreadable(key, error));
                false
            }
        })?;
        self.items.append(&mut items);
        broken.map_or(Ok(()), Err)
    }

    fn add_remains(&mut self, queue: &Queue) -> Result<(), StoreFailure> {
        if queue.definition.is_deleted {
            self.add_windows(queue)?;
        }
        if queue.counters.stale_delays > 0 {
            self.scan_delays(queue, (0, queue.counters.delay_epoch), TimestampMs(u64::MAX))?;
        }
        let erases = self.items.iter().filter(|item| matches!(item, Due::Erase { .. })).count();
        let has_more = queue.lanes.stale() > 0 || (queue.definition.is_deleted && queue.leases.len() > 0);
        if has_more && erases < TICK_ERASES_MAX && self.room() > 0 {
            self.items.push(Due::Erase { queue: queue.id });
        }
        Ok(())
    }

    /// Adds the delayed messages of some epochs that are due by `until`, as far as there is room.
    fn scan_delays(&mut self, queue: &Queue, epochs: (u32, u32), until: TimestampMs) -> Result<(), StoreFailure> {
        let (from, to) = (keys::delayed_epoch(queue.id, epochs.0), keys::delayed_epoch(queue.id, epochs.1));
        let mut broken = None;
        let room = self.room();
        let mut items = Vec::new();
        self.rows.scan(&from, &to, &mut |key, _| {
            match keys::read_delayed(key) {
                Ok((epoch, due, id)) if due <= until && items.len() < room => {
                    items.push(Due::Delay { queue: queue.id, epoch, due, id });
                    return true;
                }
                Ok(_) => {}
                Err(error) => broken = Some(unreadable(key, error)),
            }
            false
        })?;
        self.items.append(&mut items);
        broken.map_or(Ok(()), Err)
    }
}

/// A row that does not decode, as the failure it is for a reader.
pub(crate) fn unreadable(key: &[u8], error: machine::DecodeError) -> StoreFailure {
    StoreFailure(machine::LoadError::row(key, error).to_string())
}
