//! The agenda: on the leader, what the next tick should name.
//!
//! Queues are asked in the order of what has been due longest; what only waits to be erased comes last, so that a great
//! purge never holds up a lease or a delay.
//!
//! Must never: change anything. A tick that never comes, or comes twice, is harmless.

use bytes::Bytes;
use machine::{Layout, RowSource, StoreFailure, TimestampMs, prefix_end};

use crate::due::Due;
use crate::event::Step;
use crate::ids::MessageId;
use crate::keys;
use crate::leases::Lease;
use crate::limits::{
    EVENT_MS_MAX, EVENTS_ERASE_MAX, TICK_BYTES_MAX, TICK_ERASES_MAX, TICK_EVENT_ERASES_MAX, TICK_FORWARDS_MAX,
    TICK_ITEMS_MAX,
};
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
    agenda.add_shipments()?;
    for (_, queue) in queues {
        agenda.add_leases(queue)?;
        agenda.add_delays(queue)?;
        agenda.add_halves(queue);
        agenda.add_aged(queue)?;
        agenda.add_expired(queue)?;
        agenda.add_forgotten(queue)?;
        agenda.add_forwards(queue)?;
        agenda.add_windows(queue)?;
    }
    for queue in remains {
        agenda.add_remains(queue)?;
    }
    for queue in machine.queues.values().filter(|queue| queue.trace.next_due().is_some_and(|due| due <= now)) {
        agenda.add_events(queue)?;
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
pub(crate) enum Fetched<T> {
    Here(T),
    /// The tick carries enough.
    Later,
    /// It is not kept. What must never happen would happen for ever; its message is left out.
    Gone,
}

impl Agenda<'_> {
    /// Reads the body of a message, as long as the tick may carry more.
    pub(crate) fn fetch(&mut self, id: MessageId) -> Result<Fetched<Bytes>, StoreFailure> {
        if self.bytes >= TICK_BYTES_MAX {
            return Ok(Fetched::Later);
        }
        let Some(body) = self.rows.body(id.body())? else { return Ok(Fetched::Gone) };
        self.bytes = self.bytes.saturating_add(body.len());
        Ok(Fetched::Here(body))
    }

    /// The body of a message that goes to another group; none is needed of one that stays.
    pub(crate) fn fetch_if(&mut self, is_far: bool, id: MessageId) -> Result<Fetched<Option<Bytes>>, StoreFailure> {
        if !is_far {
            return Ok(Fetched::Here(None));
        }
        Ok(match self.fetch(id)? {
            Fetched::Here(body) => Fetched::Here(Some(body)),
            Fetched::Later => Fetched::Later,
            Fetched::Gone => Fetched::Gone,
        })
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
            if !goes_away(self.machine, queue, lease) {
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
        let is_far = self.machine.is_far(address.goal());
        if queue.next_forward().is_none_or(|due| due > self.now) {
            return Ok(());
        }
        let forwards = self.items.iter().filter(|item| matches!(item, Due::Forward { .. })).count();
        let room = self.room().min(TICK_FORWARDS_MAX.saturating_sub(forwards));
        for seq in queue.visible_from(0, room) {
            match self.fetch_if(is_far, queue.places.id(seq))? {
                Fetched::Here(body) => self.items.push(Due::Forward { queue: queue.id, seq, body }),
                Fetched::Later => break,
                Fetched::Gone => {}
            }
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
            let end = queue.next_place(lane);
            let is_over = |seq| self.is_expired(queue, seq);
            let last = last_over((first, end), |seq| queue.first_visible(lane, seq), is_over)?;
            self.items.push(Due::Expire { queue: queue.id, seq: last });
            next = queue.first_visible(lane, last.saturating_add(1));
        }
        // The first that stays tells the lane when to look again.
        self.items.extend(next.map(|seq| Due::Expire { queue: queue.id, seq }));
        Ok(())
    }

    fn is_expired(&self, queue: &Queue, seq: u64) -> Result<bool, StoreFailure> {
        self.is_older(queue, seq, queue.definition.attributes.retention_ms())
    }

    /// Whether the message at `seq` took its place `ms` ago or earlier.
    fn is_older(&self, queue: &Queue, seq: u64, ms: u64) -> Result<bool, StoreFailure> {
        let key = keys::message(queue.id, seq);
        let Some(value) = self.rows.get(&key)? else { return Ok(false) };
        let row = MessageRow::from_bytes(&value).map_err(|error| unreadable(&key, error))?;
        Ok(row.enqueued.plus(ms) <= self.now)
    }

    fn add_halves(&mut self, queue: &Queue) {
        let ended = queue.halves.ended(queue.definition.attributes.retention_ms(), self.now);
        let items = ended.map(|id| Due::Half { queue: queue.id, id });
        let room = self.room();
        self.items.extend(items.take(room));
    }

    /// The first visible messages of each lane, as far as they are too old; the first that stays tells the lane when to look
    /// again.
    fn add_aged(&mut self, queue: &Queue) -> Result<(), StoreFailure> {
        let attributes = &queue.definition.attributes;
        let Some(age_ms) = attributes.dead_letter_age_ms() else { return Ok(()) };
        let is_far = attributes.dead_letter.as_ref().is_some_and(|policy| self.machine.is_far(policy.address().goal()));
        if queue.next_aged().is_none_or(|aged| aged > self.now) {
            return Ok(());
        }
        for (age, lane) in queue.lanes.by_age() {
            if self.room() == 0 || age.plus(age_ms) > self.now {
                break;
            }
            for seq in queue.places.list(queue.visible_span(lane, 0), 0, self.room()) {
                if !self.is_older(queue, seq, age_ms)? {
                    self.items.push(Due::Expire { queue: queue.id, seq });
                    break;
                }
                match self.fetch_if(is_far, queue.places.id(seq))? {
                    Fetched::Here(body) => self.items.push(Due::Age { queue: queue.id, seq, body }),
                    Fetched::Later => return Ok(()),
                    Fetched::Gone => {}
                }
            }
        }
        Ok(())
    }

    fn add_forgotten(&mut self, queue: &Queue) -> Result<(), StoreFailure> {
        let rewind_ms = queue.definition.attributes.rewind_ms();
        for (age, lane) in queue.done.by_age() {
            if self.room() < 2 || age.plus(rewind_ms) > self.now {
                break;
            }
            let Some(first) = queue.done.first(lane, 0) else { continue };
            let is_over = |seq| self.is_older(queue, seq, rewind_ms);
            let mut next = Some(first);
            if is_over(first)? {
                let last = last_over((first, queue.next_place(lane)), |seq| queue.done.first(lane, seq), is_over)?;
                next = queue.done.first(lane, last.saturating_add(1));
                self.items.push(Due::Forget { queue: queue.id, seq: last });
            }
            self.items.extend(next.map(|seq| Due::Forget { queue: queue.id, seq }));
        }
        Ok(())
    }

    /// The first events, as far as they are dropped or too old, and the first that stays.
    fn add_events(&mut self, queue: &Queue) -> Result<(), StoreFailure> {
        let is_events = |item: &&Due| matches!(item, Due::Events { .. });
        if self.room() == 0 || self.items.iter().filter(is_events).count() >= TICK_EVENT_ERASES_MAX {
            return Ok(());
        }
        let (from, floor) = (queue.trace.erased, queue.trace.floor);
        let end = from.saturating_add(EVENTS_ERASE_MAX).min(queue.trace.next);
        let (mut to, mut broken) = (from, None);
        self.rows.scan(&keys::event(queue.id, from), &keys::event(queue.id, end), &mut |key, value| {
            to = to.saturating_add(1);
            match Step::from_bytes(&bytes::Bytes::copy_from_slice(value)) {
                Ok(step) => return to <= floor || step.time.plus(EVENT_MS_MAX) <= self.now,
                Err(error) => broken = Some(unreadable(key, error)),
            }
            false
        })?;
        self.items.push(Due::Events { queue: queue.id, from, to });
        broken.map_or(Ok(()), Err)
    }

    /// Adds the windows that have ended, and the first that has not: it tells the queue when to look again.
    fn add_windows(&mut self, queue: &Queue) -> Result<(), StoreFailure> {
        let is_deleted = queue.definition.is_deleted;
        if self.room() == 0 || queue.next_window_end().is_none_or(|first| first > self.now && !is_deleted) {
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
        let is_stale = queue.lanes.stale() > 0 || queue.done.stale() > 0;
        let has_more = is_stale || (queue.definition.is_deleted && queue.leases.len() > 0);
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

/// The last place within `first..end` that is over, given that `first` is. `next`: the first place from one on. Later
/// places are of later times, so it is found by halving.
fn last_over(
    (first, mut end): (u64, u64),
    next: impl Fn(u64) -> Option<u64>,
    is_over: impl Fn(u64) -> Result<bool, StoreFailure>,
) -> Result<u64, StoreFailure> {
    let mut over = first;
    while over.saturating_add(1) < end {
        let middle = over.midpoint(end);
        match next(middle).filter(|seq| *seq < end) {
            Some(seq) if is_over(seq)? => over = seq,
            _ => end = middle,
        }
    }
    Ok(over)
}

/// Whether the message of a lease that ends may be a dead letter for another group. Its age is in its row, so where age
/// counts it may always be.
fn goes_away(machine: &QueueMachine, queue: &Queue, lease: &Lease) -> bool {
    let tries = if lease.is_parked { lease.tries } else { lease.tries.fail() };
    let attributes = &queue.definition.attributes;
    let is_far = attributes.dead_letter.as_ref().is_some_and(|policy| machine.is_far(policy.address().goal()));
    is_far && (queue.is_spent(&tries) || attributes.dead_letter_age_ms().is_some())
}

/// A row that does not decode, as the failure it is for a reader.
pub(crate) fn unreadable(key: &[u8], error: machine::DecodeError) -> StoreFailure {
    StoreFailure(machine::LoadError::row(key, error).to_string())
}
