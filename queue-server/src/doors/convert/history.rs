//! Searches, stories and redrives in the wire's words, and back.

use bytes::Bytes;
use machine::{DecodeError, Reader, TimestampMs, Writer};
use proto::queue::v1::{self as wire, MessageState};
use queue_core::{
    Cursor, DeliveryNumber, Event, EventKind, Filter, Header, MessageId, PeekState, QueueAddress, QueueId,
    QueueMachine, Redrive, RedriveFilter, RedriveOrder, RedriveState, Refusal,
};

use super::stall_text;

fn header(filter: &wire::MessageFilter) -> Option<Header> {
    let named = (!filter.header_name.is_empty()).then(|| filter.header_name.clone());
    named.map(|name| Header { name, value: filter.header_value.clone() })
}

/// 0 = not given.
fn time(ms: u64) -> Option<TimestampMs> {
    (ms > 0).then_some(TimestampMs(ms))
}

/// A text that is not given is empty.
fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub(crate) fn filter(wire: &wire::MessageFilter) -> Filter {
    Filter {
        id: None,
        header: header(wire),
        sent_from: time(wire.sent_from_ms),
        sent_before: time(wire.sent_until_ms),
        received_min: wire.times_received_min,
        failed_min: wire.times_failed_min,
        origin: text(&wire.origin_queue),
        reason: None,
        body_contains: (!wire.body_contains.is_empty()).then(|| wire.body_contains.clone()),
        tenant: text(&wire.tenant),
        group: text(&wire.group),
    }
}

/// Refuses: what a redrive cannot choose by.
pub(crate) fn redrive_order(
    call: &wire::StartRedriveRequest,
    to: Option<QueueAddress>,
) -> Result<RedriveOrder, Refusal> {
    let wanted = call.filter.clone().unwrap_or_default();
    if !(wanted.body_contains.is_empty() && wanted.tenant.is_empty() && wanted.group.is_empty()) {
        return Err(Refusal::FilterUnusable);
    }
    Ok(RedriveOrder {
        to,
        filter: RedriveFilter {
            header: header(&wanted),
            sent_before: time(wanted.sent_until_ms),
            sent_from: time(wanted.sent_from_ms),
            reason: None,
            origin: text(&wanted.origin_queue),
            failed_min: wanted.times_failed_min,
            received_min: wanted.times_received_min,
        },
        messages_max: (call.messages_max > 0).then_some(call.messages_max),
        rate: (call.rate > 0).then_some(call.rate),
        is_dry: call.dry_run,
    })
}

pub(crate) fn redrive(job: &Redrive) -> wire::GetRedriveReply {
    wire::GetRedriveReply {
        none: false,
        ended: job.state != RedriveState::Running,
        dry_run: job.order.is_dry,
        scanned: job.scanned,
        matched: job.matched,
        moved: job.moved,
        blocked: stall_text(job.stall),
        started_ms: job.started.0,
        stalled: job.stalled,
    }
}

pub(crate) const fn wire_state(state: PeekState) -> MessageState {
    match state {
        PeekState::Visible => MessageState::Visible,
        PeekState::Leased => MessageState::Leased,
        PeekState::Delayed => MessageState::Delayed,
        PeekState::Half => MessageState::Half,
        PeekState::Rewindable => MessageState::Rewindable,
    }
}

/// A cursor on the wire: `kind u8 | numbers u64…`. Only this door reads it again.
pub(crate) fn write_cursor(cursor: Cursor) -> Bytes {
    let mut out = Writer::with_capacity(17);
    match cursor {
        Cursor::Place(place) => {
            out.u8(1);
            out.u64(place);
        }
        Cursor::Delivery(delivery) => {
            out.u8(2);
            out.u64(delivery.0);
        }
        Cursor::Delayed { due, id } => {
            out.u8(3);
            out.u64(due.0);
            out.u64(id.0);
        }
        Cursor::Half(id) => {
            out.u8(4);
            out.u64(id.0);
        }
    }
    out.finish()
}

/// Errors: it is not one of ours.
pub(crate) fn read_cursor(bytes: &Bytes) -> Result<Option<Cursor>, DecodeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut input = Reader::new(bytes.clone());
    let cursor = match input.u8()? {
        1 => Cursor::Place(input.u64()?),
        2 => Cursor::Delivery(DeliveryNumber(input.u64()?)),
        3 => Cursor::Delayed { due: TimestampMs(input.u64()?), id: MessageId(input.u64()?) },
        4 => Cursor::Half(MessageId(input.u64()?)),
        tag => return Err(DecodeError::Unknown { what: "cursor", tag }),
    };
    input.end()?;
    Ok(Some(cursor))
}

/// What happened, with names where the queues are still there.
pub(crate) fn event(machine: &QueueMachine, event: &Event) -> wire::MessageEvent {
    let name = |queue: QueueId| machine.status(queue).map(|status| status.name).unwrap_or_default();
    wire::MessageEvent {
        at_ms: event.time.0,
        id: event.message.map_or(0, |message| message.0),
        kind: kind(event.kind).to_owned(),
        detail: event.detail,
        queue: name(event.queue),
        other_queue: event.other.map(name).unwrap_or_default(),
    }
}

const fn kind(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Sent => "sent",
        EventKind::Delayed => "delayed",
        EventKind::Visible => "visible",
        EventKind::Received => "received",
        EventKind::Extended => "extended",
        EventKind::Released => "released",
        EventKind::Failed => "failed",
        EventKind::LeaseEnded => "lease-ended",
        EventKind::DeadLettered => "dead-lettered",
        EventKind::Arrived => "arrived",
        EventKind::Redriven => "redriven",
        EventKind::Acked => "acked",
        EventKind::Rewound => "rewound",
        EventKind::Purged => "purged",
        EventKind::Expired => "expired",
        EventKind::HalfSent => "half-sent",
        EventKind::Committed => "committed",
        EventKind::RolledBack => "rolled-back",
        EventKind::Queried => "queried",
        EventKind::HalfExpired => "half-expired",
        EventKind::Duplicate => "duplicate",
        EventKind::Stalled => "stalled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_was_written_and_nothing_else_does() {
        let cursors = [
            Cursor::Place(7),
            Cursor::Delivery(DeliveryNumber(8)),
            Cursor::Delayed { due: TimestampMs(9), id: MessageId(10) },
            Cursor::Half(MessageId(11)),
        ];
        for cursor in cursors {
            assert_eq!(read_cursor(&write_cursor(cursor)), Ok(Some(cursor)));
        }
        assert_eq!(read_cursor(&Bytes::new()), Ok(None));
        for bad in [&[0_u8][..], &[9, 0, 0], &[1, 2, 3], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(read_cursor(&Bytes::copy_from_slice(bad)).is_err(), "{bad:?}");
        }
    }
}
