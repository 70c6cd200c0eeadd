//! Load: the machine is rebuilt from its rows.
//!
//! Why it is quick: it reads no message and no body. A page is one row of ranges and one of ids for 4096 messages.
//!
//! Must never: go on after a row that it cannot read.

use bytes::Bytes;
use machine::{DecodeError, Layout, LoadError, Reader, RowSource, prefix_end};

use crate::delays::SpanRow;
use crate::departure::{Arrival, Departure};
use crate::done::DoneLane;
use crate::half::{Decision, Half};
use crate::ids::{DeliveryNumber, MessageId, QueueId};
use crate::keys;
use crate::lane::Lane;
use crate::leases::Lease;
use crate::names::folded;
use crate::places::{IdPage, ReadyPage};
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::redrive::Redrive;
use crate::role::Role;
use crate::rows::{CountersRow, Definition, MachineRow};
use crate::subscription::Subscription;
use crate::topic::{Topic, TopicCounters, TopicDefinition, TopicId};
use crate::trace::Trace;
use crate::tries::TriesRow;

/// Rebuilds the machine. Errors: the store failed, or a row is damaged or of a newer release.
pub(crate) fn load(rows: &dyn RowSource) -> Result<QueueMachine, LoadError> {
    let mut machine = QueueMachine::default();
    if let Some(value) = rows.get(&keys::machine())? {
        let row = MachineRow::from_bytes(&value).map_err(|error| LoadError::row(&keys::machine(), error))?;
        machine.last_queue = row.last_queue;
    }
    load_topics(&mut machine, rows)?;
    load_moves(&mut machine, rows)?;
    load_queues(&mut machine, rows)?;
    each(rows, keys::READY, &mut machine, |queue, page, value| {
        let ranges = queue.places.load_ready(page, &ReadyPage::from_bytes(value)?)?;
        ranges.into_iter().try_for_each(|range| queue.lanes.load_ready(range))
    })?;
    each(rows, keys::IDS, &mut machine, |queue, page, value| queue.places.load_ids(page, &IdPage::from_bytes(value)?))?;
    each(rows, keys::LEASE, &mut machine, |queue, delivery, value| {
        let lease = Lease::from_bytes(value)?;
        queue.leases.put(DeliveryNumber(delivery), lease);
        queue.lanes.load_leased(lease.seq)?;
        if queue.places.load_leased(lease.seq) { Ok(()) } else { Err(DecodeError::Invalid("place of a lease")) }
    })?;
    each(rows, keys::TRIES, &mut machine, |queue, seq, value| {
        queue.tried.insert(seq, TriesRow::from_bytes(value)?.0);
        Ok(())
    })?;
    each(rows, keys::DELAYS, &mut machine, |queue, span, value| {
        let row = SpanRow::from_bytes(value)?;
        if row.epoch == queue.counters.delay_epoch {
            queue.delays.load(span, row.count);
        }
        Ok(())
    })?;
    load_life(&mut machine, rows)?;
    for id in machine.arrivals.keys() {
        let queue = machine.queues.get_mut(id).ok_or_else(|| missing(&keys::arrival(*id)))?;
        queue.lanes.load_arrival(true);
    }
    for queue in machine.queues.values_mut() {
        if !machine.arrivals.contains_key(&queue.id) {
            queue.lanes.load_arrival(false);
        }
        machine.lanes = machine.lanes.saturating_add(queue.lanes.count());
        machine.unsettled = machine.unsettled.saturating_add(queue.unsettled());
    }
    Ok(machine)
}

/// What is done, half or written down.
fn load_life(machine: &mut QueueMachine, rows: &dyn RowSource) -> Result<(), LoadError> {
    each(rows, keys::DONE_LANE, machine, |queue, lane, value| {
        queue.done.load_lane(lane, DoneLane::from_bytes(value)?)
    })?;
    each(rows, keys::DONE, machine, |queue, page, value| {
        for (start, end) in ReadyPage::from_bytes(value)?.ranges(page)? {
            queue.done.load((start, end))?;
            queue.lanes.load_done((start, end))?;
            queue.places.load_present(page, u32::try_from(end.saturating_sub(start)).unwrap_or(u32::MAX));
        }
        Ok(())
    })?;
    each(rows, keys::QUESTION, machine, |queue, id, value| {
        queue.halves.put(MessageId(id), Half::from_bytes(value)?);
        Ok(())
    })?;
    each(rows, keys::DECISION, machine, |queue, number, value| {
        queue.halves.load_decision(number, Decision::from_bytes(value)?);
        Ok(())
    })?;
    scan(rows, keys::TRACE, &mut |mut key, value| {
        queue_of(machine, &mut key)?.trace = Trace::from_bytes(value)?;
        key.end()
    })
}

fn load_queues(machine: &mut QueueMachine, rows: &dyn RowSource) -> Result<(), LoadError> {
    scan(rows, keys::DEFINITION, &mut |mut key, value| {
        let id = QueueId::decode(&mut key)?;
        let definition = Definition::from_bytes(value)?;
        let is_cut = machine.sign_of(id).is_some();
        let is_closed = machine.arrivals.get(&id).is_some_and(|arrival| !arrival.is_open);
        let has_name = !definition.is_deleted && !is_cut && !is_closed;
        if has_name && !machine.topics.subscriptions.contains_key(&id) {
            machine.names.insert(folded(&definition.name), id);
        }
        let mut queue = Queue { is_cut, ..Queue::new(id, definition) };
        queue.role = machine.topics.subscriptions.get(&id).map_or(Role::Named, |it| it.attributes.role());
        machine.queues.insert(id, queue);
        key.end()
    })?;
    scan(rows, keys::COUNTERS, &mut |mut key, value| {
        let queue = queue_of(machine, &mut key)?;
        let row = CountersRow::from_bytes(value)?;
        queue.lanes.load_plain(row.plain, row.fresh);
        queue.counters = row.counters;
        key.end()
    })?;
    each(rows, keys::LANE, machine, |queue, lane, value| queue.lanes.load(lane, Lane::from_bytes(value)?))
}

fn missing(key: &[u8]) -> LoadError {
    LoadError::row(key, DecodeError::Invalid("queue of a row"))
}

/// Moves, before the queues: whether a name leads to one follows from them.
fn load_moves(machine: &mut QueueMachine, rows: &dyn RowSource) -> Result<(), LoadError> {
    let departures = &mut machine.departures;
    scan(rows, keys::DEPARTURE, &mut |_, value| {
        let departure = Departure::from_bytes(value)?;
        departures.insert(folded(&departure.name), departure);
        Ok(())
    })?;
    let arrivals = &mut machine.arrivals;
    scan(rows, keys::ARRIVAL, &mut |mut key, value| {
        arrivals.insert(QueueId::decode(&mut key)?, Arrival::from_bytes(value)?);
        key.end()
    })
}

/// Topics, then their subscriptions: a queue whose subscription is known is led to by no name.
fn load_topics(machine: &mut QueueMachine, rows: &dyn RowSource) -> Result<(), LoadError> {
    let topics = &mut machine.topics;
    scan(rows, keys::TOPIC, &mut |mut key, value| {
        let id = TopicId::decode(&mut key)?;
        let topic = Topic::new(TopicDefinition::from_bytes(value)?);
        topics.names.insert(folded(&topic.definition.name), id);
        topics.by_id.insert(id, topic);
        key.end()
    })?;
    scan(rows, keys::TOPIC_COUNTERS, &mut |mut key, value| {
        let topic = topics.by_id.get_mut(&TopicId::decode(&mut key)?);
        topic.ok_or(DecodeError::Invalid("topic of a row"))?.counters = TopicCounters::from_bytes(value)?;
        key.end()
    })?;
    scan(rows, keys::SUBSCRIPTION, &mut |mut key, value| {
        let queue = QueueId::decode(&mut key)?;
        let subscription = Subscription::from_bytes(value)?;
        let topic = topics.by_id.get_mut(&subscription.topic);
        let topic = topic.ok_or(DecodeError::Invalid("topic of a row"))?;
        topic.subscriptions.insert(folded(&subscription.name), queue);
        topics.subscriptions.insert(queue, subscription);
        key.end()
    })?;
    let redrives = &mut machine.redrives;
    scan(rows, keys::REDRIVE, &mut |mut key, value| {
        redrives.insert(QueueId::decode(&mut key)?, Redrive::from_bytes(value)?);
        key.end()
    })
}

/// Hands each row of a kind, with the number in its key, to its queue.
fn each(
    rows: &dyn RowSource,
    kind: u8,
    machine: &mut QueueMachine,
    mut take: impl FnMut(&mut Queue, u64, &Bytes) -> Result<(), DecodeError>,
) -> Result<(), LoadError> {
    scan(rows, kind, &mut |mut key, value| {
        let queue = queue_of(machine, &mut key)?;
        let number = key.u64()?;
        key.end()?;
        take(queue, number, value)
    })
}

fn queue_of<'a>(machine: &'a mut QueueMachine, key: &mut Reader) -> Result<&'a mut Queue, DecodeError> {
    machine.queues.get_mut(&QueueId::decode(key)?).ok_or(DecodeError::Invalid("queue of a row"))
}

fn scan(
    rows: &dyn RowSource,
    kind: u8,
    take: &mut dyn FnMut(Reader, &Bytes) -> Result<(), DecodeError>,
) -> Result<(), LoadError> {
    let mut broken = None;
    rows.scan(&[kind], &prefix_end(&[kind]), &mut |key, value| {
        let mut rest = Reader::new(Bytes::copy_from_slice(key));
        let taken = rest.u8().and_then(|_| take(rest, &Bytes::copy_from_slice(value)));
        broken = taken.err().map(|error| LoadError::row(key, error));
        broken.is_none()
    })?;
    broken.map_or(Ok(()), Err)
}
