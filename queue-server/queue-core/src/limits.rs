//! Every limit of the queue machine, in one place and related to each other.
//!
//! Why: what a client can make grow without bound will one day be grown without bound. A door may be stricter (the wire
//! contract of CMQ is), never looser.
//!
//! Must never: hold a number that is written anywhere else.

/// Queues of one machine (CMQ: 1000 per account).
pub const QUEUES_MAX: usize = 1_000;
/// Live queues and deleted ones whose messages are still being erased, together.
pub const QUEUES_AND_REMAINS_MAX: usize = 2 * QUEUES_MAX;
/// Characters of a queue's name.
pub const NAME_CHARS_MAX: usize = 64;
/// Bits of a queue id in a message id and in a delivery number.
pub const QUEUE_ID_BITS: u32 = 20;
/// Largest queue id.
pub const QUEUE_ID_MAX: u32 = (1 << QUEUE_ID_BITS) - 1;
/// Bits of the group in a message id.
pub const GROUP_BITS: u32 = 8;
/// Bits of a queue's own count of messages in a message id.
pub const MESSAGE_BITS: u32 = 36;
/// Bits of a queue's own count of deliveries in a delivery number.
pub const DELIVERY_BITS: u32 = 44;

/// Least of `max_messages`. CMQ's own least is 1,000,000; its door says so.
pub const MAX_MESSAGES_MIN: u64 = 1;
/// Most of `max_messages`.
pub const MAX_MESSAGES_MAX: u64 = 1_000_000_000;
/// Default of `max_messages`.
pub const MAX_MESSAGES_DEFAULT: u64 = 100_000_000;
/// Most of `polling_wait_s`.
pub const POLLING_WAIT_S_MAX: u32 = 30;
/// Least of `visibility_timeout_s`.
pub const VISIBILITY_TIMEOUT_S_MIN: u32 = 1;
/// Most of `visibility_timeout_s`.
pub const VISIBILITY_TIMEOUT_S_MAX: u32 = 43_200;
/// Default of `visibility_timeout_s`.
pub const VISIBILITY_TIMEOUT_S_DEFAULT: u32 = 30;
/// Least of `max_message_bytes`.
pub const MAX_MESSAGE_BYTES_MIN: u32 = 1_024;
/// Most of `max_message_bytes`.
pub const MAX_MESSAGE_BYTES_MAX: u32 = 1_048_576;
/// Default of `max_message_bytes`.
pub const MAX_MESSAGE_BYTES_DEFAULT: u32 = 65_536;
/// Least of `retention_s`.
pub const RETENTION_S_MIN: u32 = 60;
/// Most of `retention_s`.
pub const RETENTION_S_MAX: u32 = 1_296_000;
/// Default of `retention_s`.
pub const RETENTION_S_DEFAULT: u32 = 345_600;
/// Most of a dead-letter policy's limit.
pub const DEAD_LETTER_LIMIT_MAX: u32 = 1_000;

/// Messages of one send or receive, and receipts of one ack.
pub const BATCH_MAX: usize = 128;
/// Bytes of one send: bodies and headers.
pub const SEND_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Headers of one message.
pub const HEADERS_MAX: usize = 16;
/// Bytes of a header's name.
pub const HEADER_NAME_BYTES_MAX: usize = 128;
/// Bytes of a header's value.
pub const HEADER_VALUE_BYTES_MAX: usize = 2_048;
/// Longest delay of a message: 400 days.
pub const DELAY_MS_MAX: u64 = 400 * 86_400_000;
/// Longest lease.
pub const LEASE_MS_MAX: u64 = VISIBILITY_TIMEOUT_S_MAX as u64 * 1_000;

/// Delayed messages of one queue (CMQ, 2020: 1,000,000).
pub const DELAYED_PER_QUEUE_MAX: u64 = 1_000_000;
/// Messages of one queue that were received and are not settled: under a lease, or ready again.
pub const UNSETTLED_PER_QUEUE_MAX: u64 = 200_000;
/// The same over all queues: about 150 bytes of memory each.
pub const UNSETTLED_MAX: u64 = 2_000_000;

/// Key pairs of a cluster.
pub const KEY_PAIRS_MAX: usize = 1_000;
/// Grants of one key pair.
pub const GRANTS_MAX: usize = 64;
/// Bytes of a key's id.
pub const KEY_ID_BYTES_MAX: usize = 64;
/// Bytes of a secret.
pub const SECRET_BYTES_MAX: usize = 128;

/// Things one tick moves.
pub const TICK_ITEMS_MAX: usize = 256;
/// Messages one item of a tick erases.
pub const ERASE_MAX: usize = 4_096;
/// Items of one tick that erase.
pub const TICK_ERASES_MAX: usize = 4;
/// A dead letter that its queue could not take is offered again after this long.
pub const DEAD_LETTER_RETRY_MS: u64 = 30_000;

/// Consecutive sequence numbers whose state is one row.
pub const PAGE: u64 = 4_096;
/// Ranges or runs in the row of a page: one for each number at worst.
pub const PAGE_PIECES_MAX: usize = 4_096;
/// Delays are counted in memory by spans of 2 to this power milliseconds.
pub const DELAY_SPAN_BITS: u32 = 10;
/// Messages one peek, and queues one list, shows.
pub const LOOK_MAX: usize = 128;
/// How far into a queue a peek looks.
pub const LOOK_OFFSET_MAX: usize = 10_000;
/// Most elements a list in a command may announce: each has a byte at least, so no command that may travel holds more.
/// What lies between this and a verb's own limit is refused, not a command that cannot be read.
pub const LIST_MAX: usize = machine::limits::COMMAND_BYTES_MAX;

/// Bytes of a message in a command besides its body and headers, with room for the rest of the command.
const MESSAGE_FRAME_BYTES: usize = 1_024;

const _: () = assert!(GROUP_BITS + QUEUE_ID_BITS + MESSAGE_BITS == u64::BITS);
const _: () = assert!(QUEUE_ID_BITS + DELIVERY_BITS == u64::BITS);
const _: () = assert!(QUEUES_AND_REMAINS_MAX < QUEUE_ID_MAX as usize);
const _: () = assert!(TICK_ERASES_MAX <= TICK_ITEMS_MAX);
const _: () = assert!(TICK_ITEMS_MAX <= machine::limits::ROWS_PER_COMMAND_MAX);
const _: () = assert!(SEND_BYTES_MAX + BATCH_MAX * MESSAGE_FRAME_BYTES < machine::limits::COMMAND_BYTES_MAX);
const _: () = assert!(MAX_MESSAGE_BYTES_MAX as usize <= SEND_BYTES_MAX);
const _: () = assert!(UNSETTLED_PER_QUEUE_MAX <= UNSETTLED_MAX);
const _: () = assert!(RETENTION_S_MIN <= RETENTION_S_DEFAULT && RETENTION_S_DEFAULT <= RETENTION_S_MAX);
const _: () = assert!(MAX_MESSAGES_MIN <= MAX_MESSAGES_DEFAULT && MAX_MESSAGES_DEFAULT <= MAX_MESSAGES_MAX);
// Offsets within a page are u16, also the one behind its last number.
const _: () = assert!(PAGE <= u16::MAX as u64 && PAGE_PIECES_MAX as u64 == PAGE);
