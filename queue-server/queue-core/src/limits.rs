//! Every limit of the queue machine, in one place and related to each other.
//!
//! Why: what a client can make grow without bound will one day be grown without bound. A door may be stricter (the wire
//! contract of CMQ is), never looser.
//!
//! Must never: hold a number that is written anywhere else.

/// Queues of one machine (CMQ: 1000 per account).
pub const QUEUES_MAX: usize = 1_000;
/// Topics of one machine (CMQ: 1000 per account).
pub const TOPICS_MAX: usize = 1_000;
/// Subscriptions of one topic (CMQ, 2023: 500).
pub const SUBSCRIPTIONS_PER_TOPIC_MAX: usize = 500;
/// Subscriptions of one machine: each has a queue of its own, which every tick looks at.
pub const SUBSCRIPTIONS_MAX: usize = 10_000;
/// Live queues, those of subscriptions, and deleted ones whose messages are still being erased, together.
pub const QUEUES_AND_REMAINS_MAX: usize = 2 * (QUEUES_MAX + SUBSCRIPTIONS_MAX);
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
/// Bits of a lane in a sequence number.
pub const LANE_BITS: u32 = 24;
/// Bits of the number within the lane in a sequence number.
pub const LANE_NUMBER_BITS: u32 = 40;
/// Lanes of one queue besides the plain one: tenants and ordered groups whose messages it holds.
pub const LANES_PER_QUEUE_MAX: u64 = 100_000;
/// The same over all queues: about 400 bytes of memory each.
pub const LANES_MAX: u64 = 500_000;
/// The most urgent priority; 0 is the least.
pub const PRIORITY_MAX: u8 = 9;
/// Bytes of a tenant's name.
pub const TENANT_BYTES_MAX: usize = 64;
/// Bytes of a deduplication id.
pub const DEDUP_ID_BYTES_MAX: usize = 128;
/// Most of `dedup_window_s`.
pub const DEDUP_WINDOW_S_MAX: u32 = 86_400;
/// Deduplication ids that one queue remembers; they are rows, not memory.
pub const DEDUP_IDS_PER_QUEUE_MAX: u64 = 10_000_000;
/// Bytes of an ordered group's name.
pub const GROUP_BYTES_MAX: usize = 128;
/// Priority of a message that does not say so (JMS: 4).
pub const PRIORITY_DEFAULT: u8 = 4;

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
/// Most of a topic's `retention_s`, and its default (CMQ: one day).
pub const TOPIC_RETENTION_S_MAX: u32 = 86_400;
/// Tags of a message, and tags or binding keys of a subscription.
pub const TAGS_MAX: usize = 5;
/// Characters of a tag.
pub const TAG_CHARS_MAX: usize = 16;
/// Bytes of a routing or binding key.
pub const ROUTING_KEY_BYTES_MAX: usize = 64;
/// Dots of a routing or binding key.
pub const ROUTING_KEY_DOTS_MAX: usize = 15;
/// Bytes of the address that messages are pushed to.
pub const URL_BYTES_MAX: usize = 2_048;
/// Bytes that one publish writes: each message once for each subscription that it matches.
pub const PUBLISH_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Copies that one publish makes.
pub const PUBLISH_COPIES_MAX: usize = 16_384;
/// Retries of the strategy `BackoffRetry` (CMQ 406/4552: three).
pub const BACKOFF_RETRIES: u32 = 3;
/// Shortest and longest wait before such a retry.
pub const BACKOFF_MS: (u64, u64) = (10_000, 20_000);
/// Retries of the strategy `ExponentialDecayRetry` (CMQ 406/4552: 176, about a day).
pub const DECAY_RETRIES: u32 = 176;
/// Longest wait before such a retry.
pub const DECAY_MS_MAX: u64 = 512_000;
/// A subscription whose queue is missing or full tries again after 1 s, 2 s, 4 s and so on, up to this.
pub const FORWARD_RETRY_MS_MAX: u64 = 60_000;
/// Messages a tick forwards.
pub const TICK_FORWARDS_MAX: usize = 128;
/// Bytes of bodies a tick carries for other groups; a single larger body travels alone.
pub const TICK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Messages that one item of a redrive looks at, and of those that it moves.
pub const REDRIVE_SCAN_MAX: usize = 1_024;
/// See [`REDRIVE_SCAN_MAX`].
pub const REDRIVE_PICKS_MAX: usize = 64;
/// Items of one tick that redrive.
pub const TICK_REDRIVES_MAX: usize = 8;
/// Most of a redrive's rate. Units: messages per second.
pub const REDRIVE_RATE_MAX: u32 = 100_000;
/// A redrive whose target is missing or full tries again after this long.
pub const REDRIVE_RETRY_MS: u64 = 5_000;
/// Queues that are leaving one machine for another, or left it and have not come back: a sign of about 150 bytes each.
pub const MOVES_MAX: usize = 10_000;
/// Messages that one item of a move sends.
pub const SHIP_PASSAGES_MAX: usize = 128;
/// Deduplication ids that one item of a move sends.
pub const SHIP_WINDOWS_MAX: usize = 1_024;
/// Items of one tick that move queues.
pub const TICK_SHIPMENTS_MAX: usize = 4;
/// Most of a dead-letter policy's limit.
pub const DEAD_LETTER_LIMIT_MAX: u32 = 1_000;

/// Least of a dead-letter policy's limit when it counts age (CMQ: MaxTimeToLive). Units: seconds.
pub const DEAD_LETTER_AGE_S_MIN: u32 = 300;
/// Most of a dead-letter policy's limit when it counts age (CMQ: MaxTimeToLive). Units: seconds.
pub const DEAD_LETTER_AGE_S_MAX: u32 = 43_200;
/// Least of `first_query_s`.
pub const FIRST_QUERY_S_MIN: u32 = 1;
/// Most of `first_query_s`.
pub const FIRST_QUERY_S_MAX: u32 = 3_600;
/// Most of `max_queries`.
pub const QUERIES_MAX: u32 = 100;

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

/// Half messages of one queue; they are unsettled too, and so bounded over all queues.
pub const HALVES_PER_QUEUE_MAX: u64 = 10_000;
/// Longest time between two questions about a half message.
pub const QUERY_INTERVAL_MS_MAX: u64 = 3_600_000;
/// Decisions about half messages that a queue remembers, so that a repeat is harmless.
pub const DECISIONS_MAX: usize = 1_024;
/// Places one rewind names: one for each lane at most.
pub const REWIND_PLACES_MAX: usize = 1_024;

/// Events that one queue keeps.
pub const EVENTS_PER_QUEUE_MAX: u64 = 1_000_000;
/// How long an event is kept: three days.
pub const EVENT_MS_MAX: u64 = 3 * 86_400_000;
/// Events one item of a tick erases.
pub const EVENTS_ERASE_MAX: u64 = 1_024;
/// Items of one tick that erase events.
pub const TICK_EVENT_ERASES_MAX: usize = 4;
/// Events of one message, and events of its queue as a whole, that a timeline reads.
pub const TIMELINE_MAX: usize = 1_000;
/// Rows one search, or one explanation of a message, reads.
pub const SEARCH_ROWS_MAX: usize = 1_000;
/// Bytes of bodies one search reads before it stops.
pub const SEARCH_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes a search looks for in a body.
pub const SEARCH_BYTES_MAX: usize = 256;

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
const _: () = assert!(LANE_BITS + LANE_NUMBER_BITS == u64::BITS && LANES_PER_QUEUE_MAX < 1 << LANE_BITS);
const _: () = assert!(PAGE.is_power_of_two() && PAGE < 1 << LANE_NUMBER_BITS);
const _: () = assert!(LANES_PER_QUEUE_MAX <= LANES_MAX && PRIORITY_DEFAULT <= PRIORITY_MAX);
// A lane can always take what its queue may send itself, if moved messages leave that much of it.
const _: () = assert!(MESSAGE_BITS < LANE_NUMBER_BITS);
const _: () = assert!(QUEUES_AND_REMAINS_MAX < QUEUE_ID_MAX as usize);
const _: () = assert!(TICK_ERASES_MAX <= TICK_ITEMS_MAX);
/// Rows that one tick reads at most.
const TICK_ROWS_MAX: u64 = TICK_ITEMS_MAX as u64 + TICK_EVENT_ERASES_MAX as u64 * EVENTS_ERASE_MAX;
const _: () = assert!(TICK_ROWS_MAX <= machine::limits::ROWS_PER_COMMAND_MAX as u64);
const _: () = assert!(REWIND_PLACES_MAX <= machine::limits::ROWS_PER_COMMAND_MAX);
const _: () = assert!(HALVES_PER_QUEUE_MAX < UNSETTLED_PER_QUEUE_MAX);
const _: () = assert!(FIRST_QUERY_S_MAX as u64 * 1_000 <= QUERY_INTERVAL_MS_MAX);
const _: () = assert!(DEAD_LETTER_AGE_S_MIN <= DEAD_LETTER_AGE_S_MAX && DEAD_LETTER_AGE_S_MAX < RETENTION_S_MAX);
const _: () = assert!(SEND_BYTES_MAX + BATCH_MAX * MESSAGE_FRAME_BYTES < machine::limits::COMMAND_BYTES_MAX);
const _: () = assert!(MAX_MESSAGE_BYTES_MAX as usize <= SEND_BYTES_MAX);
const _: () = assert!(UNSETTLED_PER_QUEUE_MAX <= UNSETTLED_MAX);
const _: () = assert!(TICK_FORWARDS_MAX < TICK_ITEMS_MAX && TICK_REDRIVES_MAX < TICK_ITEMS_MAX);
// A tick stops at the body that passes its measure, so it carries one more than that at most.
const _: () = assert!(
    TICK_BYTES_MAX + MAX_MESSAGE_BYTES_MAX as usize + TICK_ITEMS_MAX * MESSAGE_FRAME_BYTES
        < machine::limits::COMMAND_BYTES_MAX
);
const _: () = assert!(TICK_ITEMS_MAX + TICK_REDRIVES_MAX * REDRIVE_PICKS_MAX <= machine::limits::ROWS_PER_COMMAND_MAX);
const _: () = assert!(
    TICK_ROWS_MAX + (TICK_SHIPMENTS_MAX * (SHIP_PASSAGES_MAX + SHIP_WINDOWS_MAX)) as u64
        <= machine::limits::ROWS_PER_COMMAND_MAX as u64
);
const _: () = assert!(
    SHIP_WINDOWS_MAX * (DEDUP_ID_BYTES_MAX + 32) + MESSAGE_FRAME_BYTES <= machine::limits::COURIER_RECORD_BYTES_MAX
);
// A parcel for another group: a body, its row with all headers, an address.
const _: () = assert!(
    MAX_MESSAGE_BYTES_MAX as usize
        + HEADERS_MAX * (HEADER_NAME_BYTES_MAX + HEADER_VALUE_BYTES_MAX + 8)
        + MESSAGE_FRAME_BYTES
        <= machine::limits::COURIER_RECORD_BYTES_MAX
);
const _: () = assert!(DECAY_RETRIES < DEAD_LETTER_LIMIT_MAX && BACKOFF_RETRIES < DEAD_LETTER_LIMIT_MAX);
const _: () = assert!(TOPICS_MAX * 2 + QUEUES_AND_REMAINS_MAX < QUEUE_ID_MAX as usize);
const _: () = assert!(RETENTION_S_MIN <= RETENTION_S_DEFAULT && RETENTION_S_DEFAULT <= RETENTION_S_MAX);
const _: () = assert!(MAX_MESSAGES_MIN <= MAX_MESSAGES_DEFAULT && MAX_MESSAGES_DEFAULT <= MAX_MESSAGES_MAX);
// Offsets within a page are u16, also the one behind its last number.
const _: () = assert!(PAGE <= u16::MAX as u64 && PAGE_PIECES_MAX as u64 == PAGE);
