//! The keys of the queue machine's rows.
//!
//! ```text
//!  0x10                              machine    last queue id
//!  0x11 Q queue                      definition name, attributes, times
//!  0x12 C queue                      counters   next numbers, floors, totals
//!  0x13 M queue seq                  message    visible or leased
//!  0x14 D queue epoch due id         message    delayed
//!  0x15 L queue delivery             lease
//!  0x16 T queue seq                  tries      of a message that is ready again
//!  0x17 P queue page                 ready      ranges of ready places
//!  0x18 I queue page                 ids        runs of ids
//!  0x19 B queue span                 delays     how many end within a span of time
//!  0x1a A queue lane                 lane       its name and marks; the plain lane's are in the counters
//!  0x1b S queue dedup id             dedup      until when, and which message; the id is the rest of the key
//!  0x1c U queue until id             window     whose window ends then
//!  0x1d R queue page                 done       ranges of acked places that a rewind may bring back
//!  0x1e H queue id                   message    half
//!  0x1f E queue number               event      one step of a message, or of the queue as a whole
//!  0x20 X id queue number            (empty)    the events of a message; of a queue as a whole under id 0
//!  0x21 A queue id                   question   when a half message is asked about
//!  0x22 F queue number               decision   what became of a half message
//!  0x23 N queue                      trace      numbers of its events
//!  0x24 O queue lane                 done lane  its floor, and a bound on its age
//!  0x28 topic                        topic      name, attributes, times
//!  0x29 queue                        subscription, by the queue that holds its copies
//!  0x2a queue                        redrive    the job that empties this queue
//!  0x2b topic                        counters   of the topic
//!  0x2c folded name                  departure  of a queue that goes to another group, or went
//!  0x2d queue                        arrival    of a queue that comes from another group
//! ```
//!
//! Queue u32, epoch u32, the rest u64, big-endian: keys sort as their numbers do.
//!
//! Must never: give a first byte another meaning.

use machine::{DecodeError, Key, Reader, TimestampMs, Writer};

use crate::ids::{DeliveryNumber, MessageId, QueueId};
use crate::topic::TopicId;

pub(crate) const MACHINE: u8 = 0x10;
pub(crate) const DEFINITION: u8 = 0x11;
pub(crate) const COUNTERS: u8 = 0x12;
const MESSAGE: u8 = 0x13;
const DELAYED: u8 = 0x14;
pub(crate) const LEASE: u8 = 0x15;
pub(crate) const TRIES: u8 = 0x16;
pub(crate) const READY: u8 = 0x17;
pub(crate) const IDS: u8 = 0x18;
pub(crate) const DELAYS: u8 = 0x19;
pub(crate) const LANE: u8 = 0x1a;
const DEDUP: u8 = 0x1b;
const DEDUP_UNTIL: u8 = 0x1c;
pub(crate) const DONE: u8 = 0x1d;
const HALF: u8 = 0x1e;
const EVENT: u8 = 0x1f;
const EVENT_INDEX: u8 = 0x20;
pub(crate) const QUESTION: u8 = 0x21;
pub(crate) const DECISION: u8 = 0x22;
pub(crate) const TRACE: u8 = 0x23;
pub(crate) const DONE_LANE: u8 = 0x24;

pub(crate) const TOPIC: u8 = 0x28;
pub(crate) const SUBSCRIPTION: u8 = 0x29;
pub(crate) const REDRIVE: u8 = 0x2a;
pub(crate) const TOPIC_COUNTERS: u8 = 0x2b;
pub(crate) const DEPARTURE: u8 = 0x2c;
pub(crate) const ARRIVAL: u8 = 0x2d;

/// The one row of the machine itself.
pub(crate) const fn machine() -> Key {
    Key::from_static(&[MACHINE])
}

fn start(kind: u8, queue: QueueId, bytes: usize) -> Writer {
    let mut key = Writer::with_capacity(bytes);
    key.u8(kind);
    key.u32(queue.0);
    key
}

fn of_queue(kind: u8, queue: QueueId) -> Key {
    start(kind, queue, 5).finish()
}

fn numbered(kind: u8, queue: QueueId, number: u64) -> Key {
    let mut key = start(kind, queue, 13);
    key.u64(number);
    key.finish()
}

pub(crate) fn definition(queue: QueueId) -> Key {
    of_queue(DEFINITION, queue)
}

pub(crate) fn counters(queue: QueueId) -> Key {
    of_queue(COUNTERS, queue)
}

pub(crate) fn topic(topic: TopicId) -> Key {
    of_queue(TOPIC, QueueId(topic.0))
}

pub(crate) fn topic_counters(topic: TopicId) -> Key {
    of_queue(TOPIC_COUNTERS, QueueId(topic.0))
}

pub(crate) fn subscription(queue: QueueId) -> Key {
    of_queue(SUBSCRIPTION, queue)
}

pub(crate) fn redrive(queue: QueueId) -> Key {
    of_queue(REDRIVE, queue)
}

pub(crate) fn departure(folded: &str) -> Key {
    let mut key = Writer::with_capacity(folded.len().saturating_add(1));
    key.u8(DEPARTURE);
    key.raw(folded.as_bytes());
    key.finish()
}

pub(crate) fn arrival(queue: QueueId) -> Key {
    of_queue(ARRIVAL, queue)
}

pub(crate) fn message(queue: QueueId, seq: u64) -> Key {
    numbered(MESSAGE, queue, seq)
}

pub(crate) fn delayed(queue: QueueId, epoch: u32, due: TimestampMs, id: MessageId) -> Key {
    let mut key = start(DELAYED, queue, 25);
    key.u32(epoch);
    key.u64(due.0);
    key.u64(id.0);
    key.finish()
}

/// Before all delayed messages of `epoch`, and behind all of the epochs before.
pub(crate) fn delayed_epoch(queue: QueueId, epoch: u32) -> Key {
    let mut key = start(DELAYED, queue, 9);
    key.u32(epoch);
    key.finish()
}

/// Reads the parts of a delayed message's key: epoch, due, id.
pub(crate) fn read_delayed(key: &[u8]) -> Result<(u32, TimestampMs, MessageId), DecodeError> {
    let mut input = Reader::new(Key::copy_from_slice(key));
    input.raw(5)?;
    let parts = (input.u32()?, TimestampMs(input.u64()?), MessageId(input.u64()?));
    input.end()?;
    Ok(parts)
}

pub(crate) fn lease(queue: QueueId, delivery: DeliveryNumber) -> Key {
    numbered(LEASE, queue, delivery.0)
}

pub(crate) fn tries(queue: QueueId, seq: u64) -> Key {
    numbered(TRIES, queue, seq)
}

pub(crate) fn ready(queue: QueueId, page: u64) -> Key {
    numbered(READY, queue, page)
}

pub(crate) fn ids(queue: QueueId, page: u64) -> Key {
    numbered(IDS, queue, page)
}

pub(crate) fn delays(queue: QueueId, span: u64) -> Key {
    numbered(DELAYS, queue, span)
}

pub(crate) fn lane(queue: QueueId, lane: u64) -> Key {
    numbered(LANE, queue, lane)
}

pub(crate) fn dedup(queue: QueueId, id: &str) -> Key {
    let mut key = start(DEDUP, queue, id.len().saturating_add(5));
    key.raw(id.as_bytes());
    key.finish()
}

pub(crate) fn dedup_until(queue: QueueId, until: TimestampMs, id: MessageId) -> Key {
    let mut key = start(DEDUP_UNTIL, queue, 21);
    key.u64(until.0);
    key.u64(id.0);
    key.finish()
}

/// Before all ends of windows of a queue.
pub(crate) fn dedup_untils(queue: QueueId) -> Key {
    of_queue(DEDUP_UNTIL, queue)
}

/// Reads the parts of the key of the end of a window: until, id.
pub(crate) fn read_dedup_until(key: &[u8]) -> Result<(TimestampMs, MessageId), DecodeError> {
    let mut input = Reader::new(Key::copy_from_slice(key));
    input.raw(5)?;
    let parts = (TimestampMs(input.u64()?), MessageId(input.u64()?));
    input.end()?;
    Ok(parts)
}

pub(crate) fn done(queue: QueueId, page: u64) -> Key {
    numbered(DONE, queue, page)
}

pub(crate) fn done_lane(queue: QueueId, lane: u64) -> Key {
    numbered(DONE_LANE, queue, lane)
}

pub(crate) fn half(queue: QueueId, id: MessageId) -> Key {
    numbered(HALF, queue, id.0)
}

pub(crate) fn question(queue: QueueId, id: MessageId) -> Key {
    numbered(QUESTION, queue, id.0)
}

pub(crate) fn decision(queue: QueueId, number: u64) -> Key {
    numbered(DECISION, queue, number)
}

pub(crate) fn trace(queue: QueueId) -> Key {
    of_queue(TRACE, queue)
}

pub(crate) fn event(queue: QueueId, number: u64) -> Key {
    numbered(EVENT, queue, number)
}

/// The last eight bytes of a key that ends with a number.
pub(crate) fn read_number(key: &[u8]) -> Result<u64, DecodeError> {
    let mut input = Reader::new(Key::copy_from_slice(key));
    input.raw(key.len().saturating_sub(8))?;
    input.u64()
}

pub(crate) fn event_index(id: MessageId, queue: QueueId, number: u64) -> Key {
    let mut key = Writer::with_capacity(21);
    key.u8(EVENT_INDEX);
    key.u64(id.0);
    key.u32(queue.0);
    key.u64(number);
    key.finish()
}

/// Reads the parts of an event's index key: queue, number.
pub(crate) fn read_event_index(key: &[u8]) -> Result<(QueueId, u64), DecodeError> {
    let mut input = Reader::new(Key::copy_from_slice(key));
    input.raw(9)?;
    let parts = (QueueId(input.u32()?), input.u64()?);
    input.end()?;
    Ok(parts)
}
