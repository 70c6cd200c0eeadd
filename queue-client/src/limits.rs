//! Every limit of the client, in one place and related to those of the wire.
//!
//! Must never: hold a limit of the queue's own; the server refuses those, with a number.

use std::time::Duration;

use proto::limits as wire;

/// Sequence numbers from the lowest unanswered to the highest used one, both counted. The server forgets replies beyond it.
pub const SESSION_SPAN: u64 = wire::SESSION_WINDOW as u64;
/// Sessions kept for long polls of one group while no poll uses them.
pub const POLL_SESSIONS_IDLE_MAX: usize = 64;
/// Nodes a client remembers, those it was told of included.
pub const NODES_MAX: usize = 64;
/// Calls that wait for their turn on one stream.
pub const STREAM_BACKLOG: usize = 256;
/// Most bytes of one encoded call on a stream; its correlation and framing fit beside it.
pub const CALL_BYTES_MAX: usize = wire::WIRE_BYTES_MAX - 64;

/// Most messages of one Send.
pub const SEND_MESSAGES_MAX: usize = wire::MESSAGES_PER_CALL_MAX;
/// A producer closes a batch before it grows beyond this; a larger message travels alone. The log's entries close there too.
pub const SEND_BYTES_SOFT: usize = 1024 * 1024;
/// Messages that may wait in a producer before `submit` waits.
pub const PRODUCER_MESSAGES_MAX: usize = 8192;
/// Bytes of bodies that may wait or travel in a producer before `submit` waits.
pub const PRODUCER_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Most messages of one Receive.
pub const RECEIVE_MESSAGES_MAX: usize = wire::MESSAGES_PER_CALL_MAX;

/// Pause before the first repeat to a node that was tried already.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(10);
/// Longest pause between tries.
pub const BACKOFF_CAP: Duration = Duration::from_secs(2);

/// A node that gave no sign of life is passed over for this long: a follower may still name it as the leader.
pub const SUSPECT_FOR: Duration = Duration::from_millis(300);
/// While the leader of a group is not known, one call looks for it this often.
pub const SEARCH_EVERY: Duration = Duration::from_millis(4);

/// HTTP/2 window of one call: bodies must not wait for window updates.
pub const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// HTTP/2 window of one connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

const _: () = assert!(STREAM_BACKLOG <= wire::SESSION_WINDOW);
const _: () = assert!(wire::BODY_BYTES_PER_CALL_MAX < CALL_BYTES_MAX);
const _: () = assert!(SEND_BYTES_SOFT <= wire::BODY_BYTES_PER_CALL_MAX);
const _: () = assert!(wire::BODY_BYTES_PER_CALL_MAX <= PRODUCER_BYTES_MAX as usize);
const _: () = assert!(SEARCH_EVERY.as_millis() < BACKOFF_FIRST.as_millis());
const _: () = assert!(SEND_MESSAGES_MAX <= PRODUCER_MESSAGES_MAX);
const _: () = assert!(STREAM_WINDOW_BYTES <= CONNECTION_WINDOW_BYTES);
