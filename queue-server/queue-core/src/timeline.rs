//! The timeline: what was written down about one message, over all queues it went through, and the events of one queue.
//!
//! A purge, a rewind or the retention moves any number of messages by one step of the queue as a whole. So a timeline is
//! the message's own events with those steps of its queue put in that found it in a state they apply to: visible, delayed or
//! half for a purge, visible below a place for the retention, kept from a place on for a rewind.
//!
//! Must never: read more rows than its bounds, or say that it read all if it did not.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use machine::{Layout, RowSource, StoreFailure, TimestampMs};

use crate::agenda::unreadable;
use crate::event::{Event, EventKind, Step};
use crate::ids::{MessageId, QueueId};
use crate::keys;
use crate::lanes::lane_of;
use crate::limits::{LOOK_MAX, TIMELINE_MAX};
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;

/// What was written down about a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The events in their order, also through other queues. A step of a queue as a whole stands here with the message.
    pub events: Vec<Event>,
    /// Whether all events were read.
    pub is_complete: bool,
}

/// A page of a queue's events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    /// The events in their order.
    pub events: Vec<Event>,
    /// The number to go on from; `None`: there are no more in the range of time.
    pub next: Option<u64>,
}

/// Where a message is, as far as its events tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whereabouts {
    /// Delayed, parked or half.
    Waits,
    Visible(u64),
    Held(u64),
    Done(u64),
    Gone,
}

impl QueueMachine {
    /// What was written down about the message `id`, in this machine. Errors: the store failed, or a row is damaged.
    pub fn timeline(&self, rows: &dyn RowSource, id: MessageId) -> Result<Timeline, StoreFailure> {
        let (own, mut is_complete) = self.indexed(rows, &keys::event_index(id, QueueId(0), 0), None)?;
        let mut queues: BTreeMap<QueueId, Vec<Event>> = BTreeMap::new();
        for event in own {
            queues.entry(event.queue).or_default().push(event);
        }
        let mut told = BTreeMap::new();
        for (queue, own) in queues {
            let first = own.first().map_or(0, |event| event.number);
            let from = keys::event_index(MessageId(0), queue, first);
            let (whole, is_all) = self.indexed(rows, &from, Some(queue))?;
            is_complete = is_complete && is_all;
            told.insert(queue, VecDeque::from(merge(id, own, whole)));
        }
        Ok(Timeline { events: follow(told), is_complete })
    }

    /// The events that the index names from the key `from` on, of one message, or of `queue` as a whole; whether these are
    /// all.
    fn indexed(
        &self,
        rows: &dyn RowSource,
        from: &[u8],
        queue: Option<QueueId>,
    ) -> Result<(Vec<Event>, bool), StoreFailure> {
        // One message's entries in all queues, or those of one queue as a whole.
        let prefix = from.get(..if queue.is_some() { 13 } else { 9 }).unwrap_or(from);
        let (mut found, mut broken, mut is_complete) = (Vec::new(), None, true);
        rows.scan(from, &machine::prefix_end(prefix), &mut |key, _| {
            match keys::read_event_index(key) {
                _ if found.len() >= TIMELINE_MAX => {
                    is_complete = false;
                    return false;
                }
                Ok(entry) => found.push(entry),
                Err(error) => broken = Some(unreadable(key, error)),
            }
            broken.is_none()
        })?;
        broken.map_or(Ok(()), Err)?;
        let is_kept =
            |(queue, number): &(QueueId, u64)| self.live(*queue).is_some_and(|queue| *number >= queue.trace.floor);
        found.retain(is_kept);
        Ok((read(rows, &found)?, is_complete))
    }

    /// Events of `queue` from the time `from` on and before `before`, at most 128, from the number `next` of the page
    /// before. A missing queue shows none. Errors: the store failed, or a row is damaged.
    pub fn events(
        &self,
        rows: &dyn RowSource,
        queue: QueueId,
        (from, before): (TimestampMs, TimestampMs),
        next: Option<u64>,
        limit: usize,
    ) -> Result<EventPage, StoreFailure> {
        let Some(queue) = self.live(queue) else { return Ok(EventPage::default()) };
        let first = match next {
            Some(next) => next.max(queue.trace.floor),
            None => first_since(rows, queue, from)?,
        };
        let end = first.saturating_add(u64::try_from(limit.min(LOOK_MAX)).unwrap_or(0)).min(queue.trace.next);
        let wanted: Vec<_> = (first..end).map(|number| (queue.id, number)).collect();
        let mut events = read(rows, &wanted)?;
        let all = events.len();
        events.retain(|event| event.time < before);
        let has_more = events.len() == all && end < queue.trace.next && first <= end;
        Ok(EventPage { events, next: has_more.then_some(end) })
    }
}

/// The first event of `queue` at `time` or later: later numbers are of later times, so it is found by halving.
fn first_since(rows: &dyn RowSource, queue: &Queue, time: TimestampMs) -> Result<u64, StoreFailure> {
    let (mut low, mut high) = (queue.trace.floor, queue.trace.next);
    while low < high {
        let middle = low.midpoint(high);
        let is_before = read(rows, &[(queue.id, middle)])?.first().is_none_or(|event| event.time < time);
        if is_before { low = middle.saturating_add(1) } else { high = middle }
    }
    Ok(low)
}

fn read(rows: &dyn RowSource, wanted: &[(QueueId, u64)]) -> Result<Vec<Event>, StoreFailure> {
    let keys: Vec<_> = wanted.iter().map(|(queue, number)| keys::event(*queue, *number)).collect();
    let mut events = Vec::with_capacity(keys.len());
    for ((key, (queue, number)), value) in keys.iter().zip(wanted).zip(rows.get_many(&keys)?) {
        let Some(value) = value else { continue };
        let step = Step::from_bytes(&Bytes::clone(&value)).map_err(|error| unreadable(key, error))?;
        events.push(step.event(*queue, *number));
    }
    Ok(events)
}

/// A message's own events in one queue, and the steps of the whole queue that moved it.
fn merge(id: MessageId, own: Vec<Event>, whole: Vec<Event>) -> Vec<Event> {
    let mut all: Vec<Event> = own.into_iter().chain(whole).collect();
    all.sort_unstable_by_key(|event| event.number);
    let mut at = Whereabouts::Gone;
    let mut merged = Vec::new();
    for event in all {
        let moved = if event.message.is_some() { Some(after(at, &event)) } else { after_whole(at, &event) };
        // What is kept for a rewind goes with a purge: that is no step of the message any more.
        let is_told =
            !(event.message.is_none() && matches!(at, Whereabouts::Done(_)) && moved == Some(Whereabouts::Gone));
        at = moved.unwrap_or(at);
        if moved.is_some() && is_told {
            merged.push(Event { message: Some(id), ..event });
        }
    }
    merged
}

/// Where a message is after an event of its own.
fn after(at: Whereabouts, event: &Event) -> Whereabouts {
    use EventKind as Kind;
    match (event.kind, at) {
        (Kind::Sent, _) if event.detail == 0 => Whereabouts::Waits,
        (Kind::Sent | Kind::Visible | Kind::Arrived | Kind::Committed, _) => Whereabouts::Visible(event.detail),
        (Kind::Received, Whereabouts::Visible(seq)) => Whereabouts::Held(seq),
        (Kind::Acked, Whereabouts::Held(seq)) if event.detail == 1 => Whereabouts::Done(seq),
        (Kind::Delayed | Kind::HalfSent, _) | (Kind::Released | Kind::Failed, Whereabouts::Held(_)) => {
            Whereabouts::Waits
        }
        (
            Kind::DeadLettered
            | Kind::Redriven
            | Kind::Purged
            | Kind::Expired
            | Kind::RolledBack
            | Kind::HalfExpired
            | Kind::Acked,
            _,
        ) => Whereabouts::Gone,
        (_, at) => at,
    }
}

/// Where a message is after a step of its whole queue; `None`: it was not moved.
fn after_whole(at: Whereabouts, event: &Event) -> Option<Whereabouts> {
    match (event.kind, at) {
        (EventKind::Purged, Whereabouts::Waits | Whereabouts::Visible(_) | Whereabouts::Done(_)) => {
            Some(Whereabouts::Gone)
        }
        (EventKind::Expired, Whereabouts::Visible(seq))
            if seq < event.detail && lane_of(seq) == lane_of(event.detail) =>
        {
            Some(Whereabouts::Gone)
        }
        (EventKind::Rewound, Whereabouts::Done(seq))
            if seq >= event.detail && lane_of(seq) == lane_of(event.detail) =>
        {
            Some(Whereabouts::Visible(seq))
        }
        _ => None,
    }
}

/// Joins the events of several queues: one follows the message from queue to queue, and where nothing was written down about
/// its way, the time tells. A duplicate is told at its time: it is no step of the message, which may be elsewhere.
fn follow(mut queues: BTreeMap<QueueId, VecDeque<Event>>) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut went: Option<QueueId> = None;
    loop {
        let fronts = || queues.values().filter_map(VecDeque::front);
        // At one time, a message arrives after what sent it on.
        let time = |event: &Event| (event.time, event.kind == EventKind::Arrived, event.queue);
        let there = fronts().filter(|event| Some(event.queue) == went).map(time).next();
        let next = there.or_else(|| fronts().map(time).min());
        let duplicates = fronts().filter(|event| event.kind == EventKind::Duplicate).map(time);
        let earlier = duplicates.min().filter(|duplicate| next.is_some_and(|next| duplicate.0 < next.0));
        let Some((.., queue)) = earlier.or(next) else { return events };
        let Some(event) = queues.get_mut(&queue).and_then(VecDeque::pop_front) else { return events };
        match event.kind {
            EventKind::Duplicate => {}
            EventKind::DeadLettered | EventKind::Redriven => went = event.other,
            _ => went = Some(queue),
        }
        events.push(event);
    }
}
