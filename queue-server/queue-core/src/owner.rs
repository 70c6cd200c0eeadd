//! Create, set attributes and delete: what the owner of a queue may do with it, by name.
//!
//! Must never: give a queue's id to another queue, or let two live queues share a name.

use machine::{Context, Layout, Rows};

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
        Refusal::QueueExists.unless(self.queue_id(&name).is_none())?;
        attributes.check()?;
        self.check_dead_letter(&name, &attributes)?;
        let is_room = self.names.len() < QUEUES_MAX && self.queues.len() < QUEUES_AND_REMAINS_MAX;
        Refusal::TooManyQueues.unless(is_room)?;
        let id = self.last_queue.next().ok_or(Refusal::NumbersExhausted)?;
        attributes.check_window()?;
        self.last_queue = id;
        rows.put(keys::machine(), MachineRow { last_queue: id }.to_bytes());
        self.names.insert(folded(&name), id);
        let (created, modified) = (context.now, context.now);
        let definition = Definition { name, attributes, created, modified, is_deleted: false };
        rows.put(keys::definition(id), definition.to_bytes());
        self.queues.insert(id, Queue::new(id, definition));
        self.dirty.insert(id);
        Ok(Reply::Created { queue: id })
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
        let attributes = definition.attributes.changed(changes);
        attributes.check()?;
        if sets_policy {
            self.check_dead_letter(name, &attributes)?;
        }
        attributes.check_window()?;
        self.change(id, |queue| {
            queue.definition.attributes = attributes;
            queue.definition.modified = context.now;
            // Whether a new policy's queue takes dead letters is seen when the next one moves.
            queue.counters.stall = queue.counters.stall.filter(|_| !sets_policy);
            rows.put(keys::definition(id), queue.definition.to_bytes());
        });
        Ok(Reply::Done)
    }

    /// Decides a deletion. Refuses: see [`crate::Command::DeleteQueue`].
    pub(crate) fn delete(&mut self, name: &str, rows: &mut Rows) -> Result<Reply, Refusal> {
        let id = self.named(name)?;
        self.names.remove(&folded(name));
        self.change(id, |queue| {
            queue.purge(rows);
            queue.definition.is_deleted = true;
            rows.put(keys::definition(id), queue.definition.to_bytes());
        });
        self.forget_if_erased(id, rows);
        Ok(Reply::Done)
    }

    /// Forgets a deleted queue once nothing is left of it.
    pub(crate) fn forget_if_erased(&mut self, id: QueueId, rows: &mut Rows) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        if queue.definition.is_deleted && queue.is_erased() {
            // Its last pages and spans are empty by now: writing them removes their rows.
            queue.write(rows);
            rows.delete(keys::counters(id));
            rows.delete(keys::definition(id));
            self.queues.remove(&id);
        }
    }

    fn named(&self, name: &str) -> Result<QueueId, Refusal> {
        Refusal::NameInvalid.unless(is_queue_name(name))?;
        self.queue_id(name).ok_or(Refusal::QueueMissing)
    }

    fn check_dead_letter(&self, name: &str, attributes: &Attributes) -> Result<(), Refusal> {
        let Some(policy) = &attributes.dead_letter else { return Ok(()) };
        Refusal::DeadLetterQueueIsItself.unless(folded(&policy.queue) != folded(name))?;
        Refusal::DeadLetterQueueMissing.unless(self.queue_id(&policy.queue).is_some())
    }
}
