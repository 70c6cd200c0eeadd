//! Create, set attributes and delete: what the owner of a queue may do with it, by name.
//!
//! Must never: give a queue's id to another queue, or let two live queues share a name.

use machine::{Context, Layout, Rows, TimestampMs};

use crate::attributes::{AttributeChanges, Attributes};
use crate::ids::QueueId;
use crate::keys;
use crate::limits::{QUEUES_AND_REMAINS_MAX, QUEUES_MAX};
use crate::names::{folded, is_queue_name};
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rows::{Definition, MachineRow};

impl QueueMachine {
    /// Decides a creation. Refuses: see [`crate::Command::CreateQueue`].
    pub(crate) fn create(
        &mut self,
        context: &Context,
        name: String,
        attributes: Attributes,
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        Refusal::NameInvalid.unless(is_queue_name(&name))?;
        Refusal::QueueExists.unless(self.queue_id(&name).is_none() && self.arriving_id(&name).is_none())?;
        let attributes = attributes.seen_from(context.group);
        attributes.check()?;
        self.check_dead_letter(&name, &attributes)?;
        let is_room = self.names.len() < QUEUES_MAX && self.queues.len() < QUEUES_AND_REMAINS_MAX;
        Refusal::TooManyQueues.unless(is_room)?;
        Refusal::NumbersExhausted.unless(self.last_queue.next().is_some())?;
        attributes.check_window()?;
        attributes.check_transaction()?;
        attributes.check_group()?;
        Refusal::Moved.unless(self.sign(&name).is_none())?;
        let id = self.draw_id(rows)?;
        self.names.insert(folded(&name), id);
        self.found(context, (id, name), attributes, rows);
        Ok(Reply::Created { queue: id })
    }

    /// The next id of a queue or topic: both count together, so that their messages' ids never meet.
    pub(crate) fn draw_id(&mut self, rows: &mut Rows) -> Result<QueueId, Refusal> {
        let id = self.last_queue.next().ok_or(Refusal::NumbersExhausted)?;
        self.last_queue = id;
        rows.put(keys::machine(), MachineRow { last_queue: id }.to_bytes());
        Ok(id)
    }

    /// Adds an empty queue.
    pub(crate) fn found(
        &mut self,
        context: &Context,
        (id, name): (QueueId, String),
        attributes: Attributes,
        rows: &mut Rows,
    ) {
        let (created, modified) = (context.now, context.now);
        let definition = Definition { name, attributes, created, modified, is_deleted: false };
        rows.put(keys::definition(id), definition.to_bytes());
        self.queues.insert(id, Queue::new(id, definition));
        self.dirty.insert(id);
    }

    /// Decides a change of attributes. Refuses: see [`crate::Command::SetQueueAttributes`].
    pub(crate) fn set_attributes(
        &mut self,
        context: &Context,
        name: &str,
        changes: AttributeChanges,
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        let id = self.named(name)?;
        let definition = self.queues.get(&id).map(|queue| &queue.definition).ok_or(Refusal::QueueMissing)?;
        let sets_policy = changes.dead_letter.is_some();
        let attributes = definition.attributes.changed(changes).seen_from(context.group);
        attributes.check()?;
        if sets_policy {
            self.check_dead_letter(name, &attributes)?;
        }
        attributes.check_window()?;
        attributes.check_transaction()?;
        attributes.check_group()?;
        Refusal::QueueMoving.unless(!self.is_leaving(id))?;
        self.change(id, |queue| {
            if attributes.rewind_s == 0 {
                queue.done.drop_all();
            }
            queue.definition.attributes = attributes;
            queue.definition.modified = context.now;
            // Whether a new policy's queue takes dead letters is seen when the next one moves.
            if sets_policy {
                queue.counters.stall = None;
                queue.counters.aged_retry = TimestampMs(0);
            }
            rows.put(keys::definition(id), queue.definition.to_bytes());
        });
        Ok(Reply::Done)
    }

    /// Decides a deletion. Refuses: see [`crate::Command::DeleteQueue`].
    pub(crate) fn delete(&mut self, now: TimestampMs, name: &str, rows: &mut Rows) -> Result<Reply, Refusal> {
        let id = self.named(name)?;
        self.names.remove(&folded(name));
        self.call_off_move(now, id, rows);
        self.remove(now, id, rows);
        Ok(Reply::Done)
    }

    /// Deletes a queue that no name leads to any more, with all that belongs to it.
    pub(crate) fn remove(&mut self, now: TimestampMs, id: QueueId, rows: &mut Rows) {
        self.forget_redrive(id, rows);
        self.forget_arrival(id, rows);
        self.change(id, |queue| {
            queue.purge(now, rows);
            queue.forget_decisions(rows);
            queue.drop_events(rows);
            queue.definition.is_deleted = true;
            rows.put(keys::definition(id), queue.definition.to_bytes());
        });
        self.forget_if_erased(id, rows);
    }

    /// Forgets a deleted queue once nothing is left of it.
    pub(crate) fn forget_if_erased(&mut self, id: QueueId, rows: &mut Rows) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        if queue.definition.is_deleted && queue.is_erased() {
            // Its last pages and spans are empty by now: writing them removes their rows.
            queue.write(rows);
            rows.delete(keys::counters(id));
            rows.delete(keys::trace(id));
            rows.delete(keys::definition(id));
            self.queues.remove(&id);
        }
    }

    pub(crate) fn named(&self, name: &str) -> Result<QueueId, Refusal> {
        Refusal::NameInvalid.unless(is_queue_name(name))?;
        let gone = if self.sign(name).is_some() { Refusal::Moved } else { Refusal::QueueMissing };
        self.queue_id(name).ok_or(gone)
    }

    fn check_dead_letter(&self, name: &str, attributes: &Attributes) -> Result<(), Refusal> {
        let Some(policy) = &attributes.dead_letter else { return Ok(()) };
        let is_here = policy.group.is_none();
        Refusal::DeadLetterQueueIsItself.unless(!is_here || folded(&policy.queue) != folded(name))?;
        let is_known = self.queue_id(&policy.queue).is_some() || self.sign(&policy.queue).is_some();
        let is_there = if is_here { is_known } else { is_queue_name(&policy.queue) };
        Refusal::DeadLetterQueueMissing.unless(is_there)
    }
}
