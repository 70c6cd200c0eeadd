//! Send: messages enter a queue, all of a batch or none.
//!
//! Must never: read a row but those of deduplication ids. Ids and places follow from the queue's own counts.

use std::collections::BTreeSet;

use bytes::Bytes;
use machine::{Context, Layout, Rows};

use crate::command::{Header, NewMessage};
use crate::dedup::Slot;
use crate::ids::MessageId;
use crate::keys;
use crate::lane::LaneName;
use crate::limits::{
    DEDUP_ID_BYTES_MAX, DEDUP_IDS_PER_QUEUE_MAX, DELAY_MS_MAX, DELAYED_PER_QUEUE_MAX, GROUP_BYTES_MAX,
    HEADER_NAME_BYTES_MAX, HEADER_VALUE_BYTES_MAX, HEADERS_MAX, PRIORITY_DEFAULT, PRIORITY_MAX, SEND_BYTES_MAX,
    TENANT_BYTES_MAX,
};
use crate::message::MessageRow;
use crate::queue::Queue;
use crate::refusal::Refusal;
use crate::reply::Reply;

impl Queue {
    /// Decides a send. Refuses: see [`crate::Command::Send`].
    pub(crate) fn send(
        &mut self,
        context: &Context,
        messages: Vec<NewMessage>,
        lane_room: u64,
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        let slots = self.slots(context.now, &messages, rows);
        let is_new = |index: usize| matches!(slots.get(index), None | Some(Slot::New));
        let new = messages.iter().enumerate().filter(|(index, _)| is_new(*index)).map(|(_, message)| message);
        let new: Vec<&NewMessage> = new.collect();
        self.check_send(context, &messages, &new)?;
        self.check_order(&messages, &new, lane_room)?;
        let mut ids: Vec<MessageId> = Vec::with_capacity(messages.len());
        let (mut first_seq, mut duplicates) = (0, Vec::new());
        for (index, message) in messages.into_iter().enumerate() {
            let id = match slots.get(index).copied().unwrap_or(Slot::New) {
                Slot::New => self.store(context, message, &mut first_seq, rows)?,
                Slot::Former(id) => id,
                Slot::Same(first) => ids.get(first).copied().unwrap_or_default(),
            };
            if !matches!(slots.get(index), None | Some(Slot::New)) {
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
        self.counters.totals.sent = self.counters.totals.sent.saturating_add(1);
        if self.is_deduplicated(&message) {
            self.remember(std::mem::take(&mut message.dedup_id), id, context.now, rows);
        }
        let (delay_ms, body) = (message.delay_ms, message.body.clone());
        let row = new_row(id, context, message);
        if delay_ms > 0 {
            rows.put(keys::delayed(self.id, self.counters.delay_epoch, row.enqueued, id), row.to_bytes());
            self.delays.add(row.enqueued);
            let lane = self.lane_for(&row);
            self.lanes.wait(lane);
        } else {
            let seq = self.place(&row, rows);
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
        Refusal::GroupOutOfRange.unless(fits(|message| message.group.len() <= GROUP_BYTES_MAX))?;
        Refusal::DedupIdOutOfRange.unless(fits(|message| message.dedup_id.len() <= DEDUP_ID_BYTES_MAX))?;
        let is_plain = |message: &NewMessage| {
            message.priority == PRIORITY_DEFAULT && message.tenant.is_empty() && message.group.is_empty()
        };
        let named = new.iter().filter(|message| !is_plain(message));
        let names = named.map(|message| LaneName::of(message.priority, &message.tenant, &message.group));
        let lanes: BTreeSet<LaneName> = names.filter(|name| !self.lanes.is_open(name)).collect();
        Refusal::TooManyLanes.unless(lanes.is_empty() || self.has_lanes(lanes.len(), room))?;
        let ids = new.iter().filter(|message| self.is_deduplicated(message)).count();
        let remembered = self.counters.remembered.count.saturating_add(u64::try_from(ids).unwrap_or(u64::MAX));
        Refusal::TooManyDedupIds.unless(ids == 0 || remembered <= DEDUP_IDS_PER_QUEUE_MAX)
    }

    fn check_message(&self, message: &NewMessage) -> Result<(), Refusal> {
        let bytes_max = usize::try_from(self.definition.attributes.max_message_bytes).unwrap_or(usize::MAX);
        Refusal::DelayOutOfRange.unless(message.delay_ms <= DELAY_MS_MAX)?;
        Refusal::BodyEmpty.unless(!message.body.is_empty())?;
        Refusal::BodyTooLarge.unless(message.body.len() <= bytes_max)?;
        let headers_fit = message.headers.len() <= HEADERS_MAX && message.headers.iter().all(header_fits);
        Refusal::HeadersOutOfRange.unless(headers_fit)
    }
}

fn header_fits(header: &Header) -> bool {
    let name_fits = (1..=HEADER_NAME_BYTES_MAX).contains(&header.name.len());
    name_fits && header.value.len() <= HEADER_VALUE_BYTES_MAX
}

fn message_bytes(message: &NewMessage) -> usize {
    let header_bytes = |header: &Header| header.name.len().saturating_add(header.value.len());
    let add = |bytes: usize, header| bytes.saturating_add(header_bytes(header));
    message.headers.iter().fold(Bytes::len(&message.body), add)
}

fn new_row(id: MessageId, context: &Context, message: NewMessage) -> MessageRow {
    MessageRow {
        id,
        sent: context.now,
        enqueued: context.now.plus(message.delay_ms),
        body_bytes: u32::try_from(message.body.len()).unwrap_or(u32::MAX),
        headers: message.headers,
        origin: None,
        priority: message.priority,
        tenant: message.tenant,
        group: message.group,
    }
}
