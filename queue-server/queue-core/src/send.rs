//! Send: messages enter a queue, all of a batch or none.
//!
//! Must never: read a row. Ids and places follow from the queue's own counts.

use bytes::Bytes;
use machine::{Context, Layout, Rows};

use crate::command::{Header, NewMessage};
use crate::ids::MessageId;
use crate::keys;
use crate::limits::{
    DELAY_MS_MAX, DELAYED_PER_QUEUE_MAX, HEADER_NAME_BYTES_MAX, HEADER_VALUE_BYTES_MAX, HEADERS_MAX, SEND_BYTES_MAX,
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
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        self.check_send(context, &messages)?;
        let mut ids = Vec::with_capacity(messages.len());
        let mut first_seq = 0;
        for message in messages {
            let id = MessageId::new(context.group, self.id, self.counters.next_message);
            let id = id.ok_or(Refusal::NumbersExhausted)?;
            self.counters.next_message = self.counters.next_message.saturating_add(1);
            self.counters.totals.sent = self.counters.totals.sent.saturating_add(1);
            let (delay_ms, body) = (message.delay_ms, message.body.clone());
            let row = new_row(id, context, message);
            if delay_ms > 0 {
                rows.put(keys::delayed(self.id, self.counters.delay_epoch, row.enqueued, id), row.to_bytes());
                self.delays.add(row.enqueued);
            } else {
                let seq = self.place(&row, rows);
                first_seq = if first_seq == 0 { seq } else { first_seq };
            }
            rows.keep_body(id.body(), body);
            ids.push(id);
        }
        Ok(Reply::Sent { ids, first_seq })
    }

    fn check_send(&self, context: &Context, messages: &[NewMessage]) -> Result<(), Refusal> {
        let flaws = messages.iter().filter_map(|message| self.check_message(message).err());
        flaws.min().map_or(Ok(()), Err)?;
        let bytes = messages.iter().fold(0, |bytes: usize, message| bytes.saturating_add(message_bytes(message)));
        Refusal::SendTooLarge.unless(bytes <= SEND_BYTES_MAX)?;
        let count = u64::try_from(messages.len()).unwrap_or(u64::MAX);
        let after = self.count().saturating_add(count);
        Refusal::QueueFull.unless(after <= self.definition.attributes.max_messages)?;
        let delayed = messages.iter().filter(|message| message.delay_ms > 0).count();
        let delayed_after = self.delays.count().saturating_add(u64::try_from(delayed).unwrap_or(u64::MAX));
        Refusal::TooManyDelayed.unless(delayed == 0 || delayed_after <= DELAYED_PER_QUEUE_MAX)?;
        let last = self.counters.next_message.saturating_add(count.saturating_sub(1));
        Refusal::NumbersExhausted.unless(MessageId::new(context.group, self.id, last).is_some())
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
    }
}
