//! The queue machine: all queues of one group, and the one road of a command through them.
//!
//! ```text
//!  command ──> QueueMachine ── by name ──> create, set attributes, delete        owner.rs
//!                   │
//!                   ├── by id ──> one queue: send, receive, settle, purge        send.rs receive.rs settle.rs purge.rs
//!                   │                        rewind, confirm                     rewind.rs confirm.rs
//!                   ├── tick ───> the queues its items name                      tick.rs
//!                   ├── topics, redrives                                         topic_owner.rs subscribe.rs publish.rs redrive_job.rs
//!                   └── moves to other groups                                    depart.rs arrive.rs
//! ```
//!
//! Must never: read a row that [`Machine::keys`] did not name, or let a refused command change anything.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use machine::{Context, GroupId, Key, LoadError, Machine, RowSource, Rows, StoreFailure, TimestampMs};

use crate::command::Command;
use crate::departure::{Arrival, Departure};
use crate::ids::QueueId;
use crate::limits::{BATCH_MAX, LANES_MAX, REWIND_PLACES_MAX, UNSETTLED_MAX};
use crate::queue::Queue;
use crate::receive::Ask;
use crate::redrive::Redrive;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::send::Room;
use crate::settle::Release;
use crate::topic::Topics;
use crate::{agenda, arrive, dedup, keys, load};

/// All queues of one group.
///
/// Invariant: what it holds is a function of its rows; bodies and messages' rows are never held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueMachine {
    /// Live queues, and deleted ones that are not erased yet.
    pub(crate) queues: BTreeMap<QueueId, Queue>,
    /// Live queues by folded name.
    pub(crate) names: BTreeMap<String, QueueId>,
    pub(crate) last_queue: QueueId,
    /// Sum over the queues.
    pub(crate) unsettled: u64,
    pub(crate) topics: Topics,
    /// The last redrive of each queue that had one.
    pub(crate) redrives: BTreeMap<QueueId, Redrive>,
    /// Queues that go to other groups, or went, by folded name.
    pub(crate) departures: BTreeMap<String, Departure>,
    /// Queues that come from other groups.
    pub(crate) arrivals: BTreeMap<QueueId, Arrival>,
    /// Lanes besides the plain ones; sum over the queues.
    pub(crate) lanes: u64,
    /// Queues with something that rows do not hold yet.
    pub(crate) dirty: BTreeSet<QueueId>,
}

impl QueueMachine {
    /// A queue that is not deleted, and about which is decided here.
    pub(crate) fn live(&self, id: QueueId) -> Option<&Queue> {
        self.queues.get(&id).filter(|queue| !queue.definition.is_deleted && !queue.is_cut)
    }

    /// Changes one queue, and keeps what the machine knows of it true. `None`: it is not there.
    pub(crate) fn change<R>(&mut self, id: QueueId, change: impl FnOnce(&mut Queue) -> R) -> Option<R> {
        let queue = self.queues.get_mut(&id)?;
        let (before, lanes) = (queue.unsettled(), queue.lanes.count());
        let result = change(queue);
        self.unsettled = self.unsettled.saturating_add(queue.unsettled()).saturating_sub(before);
        self.lanes = self.lanes.saturating_add(queue.lanes.count()).saturating_sub(lanes);
        self.dirty.insert(id);
        Some(result)
    }

    /// Lanes that may yet be opened.
    pub(crate) const fn lane_room(&self) -> u64 {
        LANES_MAX.saturating_sub(self.lanes)
    }

    /// Lets a live queue decide.
    fn decide(
        &mut self,
        id: QueueId,
        decide: impl FnOnce(&mut Queue) -> Result<Reply, Refusal>,
    ) -> Result<Reply, Refusal> {
        self.live(id).ok_or_else(|| self.absent(id))?;
        self.change(id, decide).unwrap_or(Err(Refusal::QueueMissing))
    }

    fn answer(&mut self, context: &Context, command: Command, rows: &mut Rows) -> Result<Reply, Refusal> {
        match command {
            Command::CreateQueue { name, attributes } => self.create(context, name, attributes, rows),
            Command::SetQueueAttributes { name, changes } => self.set_attributes(context, &name, changes, rows),
            Command::DeleteQueue { name } => self.delete(context.now, &name, rows),
            Command::Send { queue, messages } => {
                check_count(messages.len())?;
                // Only a publish puts messages into the queue of a subscription.
                Refusal::QueueMissing.unless(!self.topics.subscriptions.contains_key(&queue))?;
                let room = Room { unsettled: UNSETTLED_MAX.saturating_sub(self.unsettled), lanes: self.lane_room() };
                self.decide(queue, |queue| queue.send(context, messages, room, rows))
            }
            Command::Receive { queue, count, lease_ms } => {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                check_count(count)?;
                let room = UNSETTLED_MAX.saturating_sub(self.unsettled);
                self.decide(queue, |queue| queue.receive(context, Ask { count, lease_ms, room }, rows))
            }
            Command::Ack { queue, receipts } => {
                check_count(receipts.len())?;
                self.decide(queue, |queue| Ok(queue.ack(context, &receipts, rows)))
            }
            Command::Extend { queue, receipts, lease_ms } => {
                check_count(receipts.len())?;
                self.decide(queue, |queue| queue.extend(context, &receipts, lease_ms, rows))
            }
            Command::Release { queue, receipts, delay_ms, failed } => {
                check_count(receipts.len())?;
                self.decide(queue, |queue| queue.release(context, &receipts, Release { delay_ms, failed }, rows))
            }
            Command::Purge { queue } => {
                let purge = |queue: &mut Queue| Ok(Reply::Purged { messages: queue.purge(context.now, rows) });
                let purged = self.decide(queue, purge)?;
                self.note_purge(queue, rows);
                Ok(purged)
            }
            Command::Tick { items } => self.tick(context, items, rows),
            Command::Rewind { queue, to, places } => {
                Refusal::CountOutOfRange.unless(places.len() <= REWIND_PLACES_MAX)?;
                self.decide(queue, |queue| queue.rewind(context.now, to, &places, rows))
            }
            Command::Confirm { queue, ids, is_commit } => {
                check_count(ids.len())?;
                self.decide(queue, |queue| Ok(queue.confirm(context, &ids, is_commit, rows)))
            }
            Command::QueryHalf { queue, count } => {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                check_count(count)?;
                self.decide(queue, |queue| queue.query_half(context.now, count, rows))
            }
            Command::MoveQueue { name, to } => self.start_move(context, &name, to, rows),
            Command::CancelMove { name } => self.cancel_move(context, &name, rows),
            Command::Topic(command) => self.answer_topic(context, command, rows),
        }
    }
}

fn check_count(count: usize) -> Result<(), Refusal> {
    Refusal::CountOutOfRange.unless((1..=BATCH_MAX).contains(&count))
}

impl Machine for QueueMachine {
    type Command = Command;
    type Reply = Reply;

    fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        load::load(rows)
    }

    fn keys(command: &Command, keys: &mut Vec<Key>) {
        match command {
            Command::Tick { items } => items.iter().for_each(|item| item.keys(keys)),
            Command::Rewind { queue, places, .. } => {
                keys.extend(places.iter().take(REWIND_PLACES_MAX).map(|seq| keys::message(*queue, *seq)));
            }
            Command::Confirm { queue, ids, .. } => {
                keys.extend(ids.iter().take(BATCH_MAX).map(|id| keys::half(*queue, *id)));
            }
            Command::Send { queue, messages } => dedup::name_keys(*queue, messages, keys),
            _ => {}
        }
    }

    fn apply(&mut self, context: &Context, command: Command, rows: &mut Rows) -> Reply {
        self.answer(context, command, rows).unwrap_or_else(Reply::Refused)
    }

    fn seal(&mut self, rows: &mut Rows) {
        for id in std::mem::take(&mut self.dirty) {
            if let Some(queue) = self.queues.get_mut(&id) {
                queue.write(rows);
            }
        }
    }

    fn record_keys(record: &Bytes, keys: &mut Vec<Key>) {
        arrive::record_keys(record, keys);
    }

    fn deliver(&mut self, context: &Context, source: GroupId, record: &Bytes, rows: &mut Rows) -> Result<(), String> {
        if arrive::is_word(record) {
            return self.hear(context, source, record, rows);
        }
        self.unpack(context, record, rows)
    }

    fn due(&self, rows: &dyn RowSource, now: TimestampMs) -> Result<Option<Command>, StoreFailure> {
        let items = agenda::due(self, rows, now)?;
        Ok((!items.is_empty()).then_some(Command::Tick { items }))
    }
}
