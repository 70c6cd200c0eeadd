//! The agenda: on the leader, what the next tick should name.
//!
//! Queues are asked in the order of what has been due longest; what only waits to be erased comes last, so that a great
//! purge never holds up a lease or a delay.
//!
//! Must never: change anything. A tick that never comes, or comes twice, is harmless.

use bytes::Bytes;
use machine::{Layout, RowSource, StoreFailure, TimestampMs};

use crate::due::Due;
use crate::ids::MessageId;
use crate::keys;
use crate::lanes::lane_of;
use crate::leases::Lease;
use crate::limits::{TICK_BYTES_MAX, TICK_ERASES_MAX, TICK_FORWARDS_MAX, TICK_ITEMS_MAX};
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
    let mut agenda = Agenda { machine, rows, now, items: Vec::new(), bytes: 0 };
    agenda.add_redrives()?;
    for (_, queue) in queues {
        agenda.add_leases(queue)?;
        agenda.add_delays(queue)?;
        agenda.add_expired(queue)?;
        agenda.add_forwards(queue)?;
    }
    for queue in remains {
        agenda.add_remains(queue)?;
    }
    Ok(agenda.items)
}

/// The next tick while it is made.
pub(crate) struct Agenda<'a> {
    pub(crate) machine: &'a QueueMachine,
    pub(crate) rows: &'a dyn RowSource,
    pub(crate) now: TimestampMs,
    pub(crate) items: Vec<Due>,
    /// Of bodies in the items.
    bytes: usize,
}

/// A body for an item.
pub(crate) enum Fetched {
    Here(Bytes),
    /// The tick carries enough.
    Later,
    /// It is not kept. What must never happen would happen for ever; its message is left out.
    Gone,
}

impl Agenda<'_> {
    /// Reads the body of a message, as long as the tick may carry more.
    pub(crate) fn fetch(&mut self, id: MessageId) -> Result<Fetched, StoreFailure> {
        if self.bytes >= TICK_BYTES_MAX {
            return Ok(Fetched::Later);
        }
        let Some(body) = self.rows.body(id.body())? else { return Ok(Fetched::Gone) };
        self.bytes = self.bytes.saturating_add(body.len());
        Ok(Fetched::Here(body))
    }

    pub(crate) fn room(&self) -> usize {
        TICK_ITEMS_MAX.saturating_sub(self.items.len())
    }

    fn add_leases(&mut self, queue: &Queue) -> Result<(), StoreFailure> {
        let now = self.now;
        for (delivery, lease) in queue.leases.by_deadline().take_while(|(_, lease)| lease.deadline <= now) {
            if self.room() == 0 {
                break;
            }
            let (id, seq) = (queue.id, lease.seq);
            if !goes_away(queue, lease) {
                self.items.push(Due::Lease { queue: id, delivery, seq });
                continue;
            }
            match self.fetch(queue.places.id(seq))? {
                Fetched::Here(body) => self.items.push(Due::Carry { queue: id, delivery, seq, body }),
                Fetched::Later => break,
                Fetched::Gone => {}
            }
        }
        Ok(())
    }

    fn add_forwards(&mut self, queue: &Queue) -> Result<(), StoreFailure> {
        let Some(address) = self.machine.endpoint_queue(queue.id) else { return Ok(()) };
        if queue.next_forward().is_none_or(|due| due > self.now) {
            return Ok(());
        }
        let forwards = self.items.iter().filter(|item| matches!(item, Due::Forward { .. })).count();
        let room = self.room().min(TICK_FORWARDS_MAX.saturating_sub(forwards));
        for seq in queue.visible_from(0, room) {
            let body = match address.group {
                None => None,
                Some(_) => match self.fetch(queue.places.id(seq))? {
                    Fetched::Here(body) => Some(body),
                    Fetched::Later => break,
                    Fetched::Gone => continue,
                },
            };
            self.items.push(Due::Forward { queue: queue.id, seq, body });
        }
        Ok(())
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

    fn add_remains(&mut self, queue: &Queue) -> Result<(), StoreFailure> {
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

/// Whether the message of a lease that ends is a dead letter for another group.
fn goes_away(queue: &Queue, lease: &Lease) -> bool {
    let tries = if lease.is_parked { lease.tries } else { lease.tries.fail() };
    let policy = queue.definition.attributes.dead_letter.as_ref();
    policy.is_some_and(|policy| policy.group.is_some()) && queue.is_spent(&tries)
}

/// A row that does not decode, as the failure it is for a reader.
pub(crate) fn unreadable(key: &[u8], error: machine::DecodeError) -> StoreFailure {
    StoreFailure(machine::LoadError::row(key, error).to_string())
}
