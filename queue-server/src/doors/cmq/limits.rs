//! The numbers of CMQ's wire and of its doors, in one place.
//!
//! Source: CMQ documentation 406/5832 to 5841, 7405, 7411, 7414, 8128, 5903; `docs/decisions/0013` for those of our own.
//!
//! Must never: hold a limit of the queue machine; a door may be stricter than it, never looser.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Messages of one batch, and elements of any repeated parameter.
pub(crate) const BATCH_MAX: usize = 16;
/// Bytes of the bodies of one batch (10300).
pub(crate) const BATCH_BYTES_MAX: usize = 1_048_576;
/// Bytes of one request, decoded: 1 MB of bodies, and room for the rest (10420).
pub(crate) const REQUEST_BYTES_MAX: usize = BATCH_BYTES_MAX + 64 * 1024;
/// Bytes of one request as they travel: percent-encoding may triple them.
pub(crate) const ENCODED_BYTES_MAX: usize = 3 * REQUEST_BYTES_MAX;
/// What a request that is too large may go on sending before its connection is cut.
pub(crate) const DRAIN_BYTES_MAX: usize = 4 * ENCODED_BYTES_MAX;
/// Parameters of one request.
pub(crate) const PARAMS_MAX: usize = 256;
/// Bytes of a parameter's name.
pub(crate) const PARAM_NAME_BYTES_MAX: usize = 128;

/// `maxMsgHeapNum`.
pub(crate) const HEAP_MESSAGES: RangeInclusive<u64> = 1_000_000..=1_000_000_000;
/// `visibilityTimeout`, seconds.
pub(crate) const VISIBILITY_S: RangeInclusive<u64> = 1..=43_200;
/// `maxMsgSize`, bytes.
pub(crate) const MESSAGE_BYTES: RangeInclusive<u64> = 1_024..=1_048_576;
/// `msgRetentionSeconds` of a queue.
pub(crate) const RETENTION_S: RangeInclusive<u64> = 60..=1_296_000;
/// `rewindSeconds`.
pub(crate) const REWIND_S: RangeInclusive<u64> = 0..=1_296_000;
/// `maxReceiveCount` of a dead-letter policy.
pub(crate) const RECEIVE_COUNT: RangeInclusive<u64> = 1..=1_000;
/// `maxTimeToLive` of a dead-letter policy, seconds.
pub(crate) const TIME_TO_LIVE_S: RangeInclusive<u64> = 300..=43_200;
/// `firstQueryInterval` of a transaction queue, seconds.
pub(crate) const QUERY_INTERVAL_S: RangeInclusive<u64> = 1..=43_200;
/// `maxQueryCount` of a transaction queue.
pub(crate) const QUERY_COUNT: RangeInclusive<u64> = 1..=1_000;
/// `msgRetentionSeconds` of a topic.
pub(crate) const TOPIC_RETENTION_S: RangeInclusive<u64> = 60..=86_400;
/// Longest poll, seconds. What is longer, or negative, is brought into the range.
pub(crate) const POLL_S_MAX: u64 = 30;
/// Longest delay, seconds: what Tencent's Go SDK lets pass (its pages say 3,600).
pub(crate) const DELAY_S_MAX: u64 = 6_048_000;
/// Elements of a list's page.
pub(crate) const PAGE: RangeInclusive<u64> = 1..=50;
/// Elements of a page where nothing is said.
pub(crate) const PAGE_DEFAULT: u64 = 20;
/// Farthest offset of a page.
pub(crate) const OFFSET_MAX: u64 = 1_000_000;

/// Tags of a message, filter tags or binding keys of a subscription.
pub(crate) const TAGS_MAX: usize = 5;
/// Characters of a tag.
pub(crate) const TAG_CHARS_MAX: usize = 16;
/// Bytes of a routing key or a binding key.
pub(crate) const ROUTING_KEY_BYTES_MAX: usize = 64;
/// Dots in a routing key or a binding key.
pub(crate) const ROUTING_KEY_DOTS_MAX: usize = 15;
/// Bytes of an endpoint.
pub(crate) const ENDPOINT_BYTES_MAX: usize = 500;

/// A verb is answered within this, besides its poll: doors answer within the poll and 3 s.
pub(crate) const ANSWER_MAX: Duration = Duration::from_millis(2_500);
/// Every parameter that a parse may keep fits what a request may be.
const _: () = assert!(PARAMS_MAX * PARAM_NAME_BYTES_MAX <= REQUEST_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX < REQUEST_BYTES_MAX && ENCODED_BYTES_MAX < DRAIN_BYTES_MAX);
const _: () = assert!(BATCH_MAX <= proto::limits::MESSAGES_PER_CALL_MAX);
