//! The limits that both ends of the wire must agree on.
//!
//! Must never: be lowered in a later release; a peer of the release before relies on them.

/// Most messages in one Send or Receive, and most receipts in one Ack, Extend or Release.
pub const MESSAGES_PER_CALL_MAX: usize = 128;
/// Most bytes of all bodies in one Send or in the reply to one Receive.
pub const BODY_BYTES_PER_CALL_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of one encoded message of a contract; doors and clients set it on tonic, whose own limit is 4 MiB.
pub const WIRE_BYTES_MAX: usize = 20 * 1024 * 1024;
/// Bytes of one frame of HTTP/2 that doors and clients take. Each is one write: by HTTP/2's own default of 16 KiB a batch
/// would be eight.
pub const FRAME_BYTES_MAX: u32 = 128 * 1024;
/// Longest wait of a Receive.
pub const WAIT_MS_MAX: u32 = 30_000;
/// Replies a session keeps. The distance from a client's highest sequence to its lowest unanswered one stays below it.
pub const SESSION_WINDOW: usize = 1024;

/// Entries that a replica may be behind its leader and be called caught up: answers are not of the same instant.
pub const LAG_ENTRIES_MAX: u64 = 256;

/// Spans that wait for the exporter; more are dropped.
pub const SPANS_WAITING_MAX: usize = 8_192;
/// Spans of one export.
pub const SPANS_PER_EXPORT_MAX: usize = 512;
/// Particulars of a span.
pub const ATTRIBUTES_MAX: usize = 16;
/// Bytes of a particular's text.
pub const ATTRIBUTE_BYTES_MAX: usize = 256;

// Headers, receipts and framing fit beside the bodies.
const _: () = assert!(BODY_BYTES_PER_CALL_MAX + 2 * 1024 * 1024 <= WIRE_BYTES_MAX);
const _: () = assert!(MESSAGES_PER_CALL_MAX <= SESSION_WINDOW);
