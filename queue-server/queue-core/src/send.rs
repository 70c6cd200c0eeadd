//! Send: messages enter a queue, all of a batch or none.
//!
//! Must never: read a row but those of deduplication ids. Ids and places follow from the queue's own counts.

use std::collections::BTreeSet;

use bytes::Bytes;
use machine::{Context, Layout, Rows};

use crate::command::{Header, NewMessage};
use crate::dedup::Slot;
use crate::event::{EventKind, Step};
use crate::ids::MessageId;
use crate::keys;
use crate::lane::LaneName;
use crate::limits::{
    DEDUP_ID_BYTES_MAX, DEDUP_IDS_PER_QUEUE_MAX, DELAY_MS_MAX, DELAYED_PER_QUEUE_MAX, GROUP_BYTES_MAX,
    HALVES_PER_QUEUE_MAX, HEADER_NAME_BYTES_MAX, HEADER_VALUE_BYTES_MAX, HEADERS_MAX, PRIORITY_DEFAULT, PRIORITY_MAX,
    SEND_BYTES_MAX, TENANT_BYTES_MAX,
};
use crate::message::MessageRow;
use crate::queue::Queue;
use crate::refusal::Refusal;
use crate::reply::Reply;

/// What the machine may yet take, over all its queues.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Messages that become unsettled.
    pub(crate) unsettled: u64,
    /// Lanes that are opened.
    pub(crate) lanes: u64,
}

impl Queue {
    /// Decides a send. `room`: what the machine may yet take. Refuses: see [`crate::Command::Send`].
    pub(crate) fn send(
        &mut self,
        context: &Context,
        messages: Vec<NewMessage>,
        room: Room,
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        let slots = self.slots(context.now, &messages, rows);
        let is_new = |index: usize| matches!(slots.get(index), None | Some(Slot::New));
        let new = messages.iter().enumerate().filter(|(index, _)| is_new(*index)).map(|(_, message)| message);
        let new: Vec<&NewMessage> = new.collect();
        self.check_send(context, &messages, &new)?;
        self.check_order(&messages, &new, room.lanes)?;
        self.check_transaction(&new, room.unsettled)?;
        let mut ids: Vec<MessageId> = Vec::with_capacity(messages.len());
        let (mut first_seq, mut duplicates) = (0, Vec::new());
        for (index, message) in messages.into_iter().enumerate() {
            let id = match slots.get(index).copied().unwrap_or(Slot::New) {
                Slot::New => self.store(context, message, &mut first_seq, rows)?,
                Slot::Former(id) => id,
                Slot::Same(first) => ids.get(first).copied().unwrap_or_default(),
            };
            if !matches!(slots.get(index), None | Some(Slot::New)) {
                self.note(Step::new(context.now, id, EventKind::Duplicate, 0), rows);
                duplicates.push(u32::try_from(index).unwrap_or(u32::MAX));
            }
            ids.push(id);
        }
        Ok(Reply::Sent { ids, first_seq, duplicates })
    }

    /// Stores a message, delayed or at its place.
    fn store(
        &mut self,
        context: &Context,
        mut message: NewMessage,
        first_seq: &mut u64,
        rows: &mut Rows,
    ) -> Result<MessageId, Refusal> {
        let id = MessageId::new(context.group, self.id, self.counters.next_message);
        let id = id.ok_or(Refusal::NumbersExhausted)?;
        self.counters.next_message = self.counters.next_message.saturating_add(1);
        let totals = &mut self.counters.totals;
        totals.sent = totals.sent.saturating_add(1);
        totals.sent_bytes = totals.sent_bytes.saturating_add(u64::try_from(message.body.len()).unwrap_or(u64::MAX));
        if self.is_deduplicated(&message) {
            self.remember(std::mem::take(&mut message.dedup_id), id, context.now, rows);
        }
        let (delay_ms, is_half, body) = (message.delay_ms, message.is_half, message.body.clone());
        let row = new_row(id, context, message);
        if is_half {
            self.keep_half(&row, rows);
        } else if delay_ms > 0 {
            rows.put(keys::delayed(self.id, self.counters.delay_epoch, row.enqueued, id), row.to_bytes());
            self.delays.add(row.enqueued);
            let lane = self.lane_for(&row);
            self.lanes.wait(lane);
            self.note(Step::new(context.now, id, EventKind::Sent, 0), rows);
            self.note(Step::new(context.now, id, EventKind::Delayed, row.enqueued.0), rows);
        } else {
            let seq = self.place(&row, rows);
            self.note(Step::new(context.now, id, EventKind::Sent, seq), rows);
            *first_seq = if *first_seq == 0 { seq } else { *first_seq };
        }
        rows.keep_body(id.body(), body);
        Ok(id)
    }

    /// `new`: those of `messages` that are no duplicates.
    fn check_send(&self, context: &Context, messages: &[NewMessage], new: &[&NewMessage]) -> Result<(), Refusal> {
        let flaws = messages.iter().filter_map(|message| self.check_message(message).err());
        flaws.min().map_or(Ok(()), Err)?;
        let bytes = messages.iter().fold(0, |bytes: usize, message| bytes.saturating_add(message_bytes(message)));
        Refusal::SendTooLarge.unless(bytes <= SEND_BYTES_MAX)?;
        let count = u64::try_from(new.len()).unwrap_or(u64::MAX);
        let after = self.count().saturating_add(count);
        Refusal::QueueFull.unless(count == 0 || after <= self.definition.attributes.max_messages)?;
        let delayed = new.iter().filter(|message| message.delay_ms > 0).count();
        let delayed_after = self.delays.count().saturating_add(u64::try_from(delayed).unwrap_or(u64::MAX));
        Refusal::TooManyDelayed.unless(delayed == 0 || delayed_after <= DELAYED_PER_QUEUE_MAX)?;
        let last = self.counters.next_message.saturating_add(count.saturating_sub(1));
        Refusal::NumbersExhausted.unless(count == 0 || MessageId::new(context.group, self.id, last).is_some())
    }

    /// What only messages with an order or a deduplication id can break. `new`: those that are no duplicates.
    fn check_order(&self, messages: &[NewMessage], new: &[&NewMessage], room: u64) -> Result<(), Refusal> {
        let fits = |rule: fn(&NewMessage) -> bool| messages.iter().all(rule);
        Refusal::PriorityOutOfRange.unless(fits(|message| message.priority <= PRIORITY_MAX))?;
        Refusal::TenantOutOfRange.unless(fits(|message| message.tenant.len() <= TENANT_BYTES_MAX))?;
        Refusal::OrderedGroupOutOfRange.unless(fits(|message| message.group.len() <= GROUP_BYTES_MAX))?;
        Refusal::DedupIdOutOfRange.unless(fits(|message| message.dedup_id.len() <= DEDUP_ID_BYTES_MAX))?;
        let is_plain = |message: &NewMessage| {
            message.priority == PRIORITY_DEFAULT && message.tenant.is_empty() && message.group.is_empty()
        };
        let named = new.iter().filter(|message| !is_plain(message));
        let name = |message: &&&NewMessage| LaneName::of(message.priority, &message.tenant, &message.group);
        let names = named.map(|message| self.lanes.name_now(name(&message)));
        let lanes: BTreeSet<LaneName> = names.filter(|name| !self.lanes.is_open(name)).collect();
        Refusal::TooManyLanes.unless(lanes.is_empty() || self.has_lanes(lanes.len(), room))?;
        let ids = new.iter().filter(|message| self.is_deduplicated(message)).count();
        let remembered = self.counters.remembered.count.saturating_add(u64::try_from(ids).unwrap_or(u64::MAX));
        Refusal::TooManyDedupIds.unless(ids == 0 || remembered <= DEDUP_IDS_PER_QUEUE_MAX)
    }

    fn check_transaction(&self, messages: &[&NewMessage], room: u64) -> Result<(), Refusal> {
        let is_transactional = self.definition.attributes.transaction.is_some();
        let halves = messages.iter().filter(|message| message.is_half).count();
        let halves = u64::try_from(halves).unwrap_or(u64::MAX);
        Refusal::DelayInTransaction
            .unless(!is_transactional || messages.iter().all(|message| message.delay_ms == 0))?;
        Refusal::NotTransactional.unless(halves == 0 || is_transactional)?;
        let room = room.min(HALVES_PER_QUEUE_MAX.saturating_sub(self.halves.len()));
        Refusal::TooManyHalves.unless(halves <= room)
    }

    fn check_message(&self, message: &NewMessage) -> Result<(), Refusal> {
        let bytes_max = usize::try_from(self.definition.attributes.max_message_bytes).unwrap_or(usize::MAX);
        Refusal::DelayOutOfRange.unless(message.delay_ms <= DELAY_MS_MAX)?;
        Refusal::BodyEmpty.unless(!message.body.is_empty())?;
        Refusal::BodyTooLarge.unless(message.body.len() <= bytes_max)?;
        Refusal::HeadersOutOfRange.unless(headers_fit(&message.headers))
    }
}

/// Whether a message may have these headers.
pub(crate) fn headers_fit(headers: &[Header]) -> bool {
    headers.len() <= HEADERS_MAX && headers.iter().all(header_fits)
}

fn header_fits(header: &Header) -> bool {
    let name_fits = (1..=HEADER_NAME_BYTES_MAX).contains(&header.name.len());
    name_fits && header.value.len() <= HEADER_VALUE_BYTES_MAX
}

fn message_bytes(message: &NewMessage) -> usize {
    size(&message.body, &message.headers)
}

/// Bytes of a message: body and headers.
pub(crate) fn size(body: &Bytes, headers: &[Header]) -> usize {
    let header_bytes = |header: &Header| header.name.len().saturating_add(header.value.len());
    let add = |bytes: usize, header| bytes.saturating_add(header_bytes(header));
    headers.iter().fold(body.len(), add)
}

fn new_row(id: MessageId, context: &Context, message: NewMessage) -> MessageRow {
    MessageRow {
        id,
        sent: context.now,
        enqueued: context.now.plus(message.delay_ms),
        body_bytes: u32::try_from(message.body.len()).unwrap_or(u32::MAX),
        headers: message.headers,
        origin: None,
        published: None,
        priority: message.priority,
        tenant: message.tenant,
        group: message.group,
    }
}
