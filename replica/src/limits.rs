//! Every limit of the replication road, in one place and related to each other.

/// Members of one group, learners included.
pub const MEMBERS_MAX: usize = 16;
/// Voters that a group keeps: three copies are promised.
pub const COPIES_MIN: usize = 3;
/// Entries that a learner may lack when it is promoted: what is under way while a group is busy.
pub const PROMOTE_LAG_ENTRIES_MAX: u64 = 512;
/// Bytes of a node's address.
pub const NODE_ADDRESS_BYTES_MAX: usize = 256;
/// Most bytes of entries in one append request; one entry may be larger and then travels alone.
pub const APPEND_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most bytes one message of the replication protocol may have.
pub const MESSAGE_BYTES_MAX: usize = 40 * 1024 * 1024;
/// Append requests under way to one follower: the window of the pipeline.
pub const APPEND_WINDOW: usize = 64;
/// Most bytes that one fsync of the log carries.
pub const FSYNC_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A segment of the log is full from this many bytes on; the write that fills it may reach over.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Dropped segments whose blocks are kept for new ones.
pub const SPARE_SEGMENTS_MAX: usize = 2;
/// Bytes of the newest entries kept in memory per group, for followers that are up to date and for apply.
pub const TAIL_CACHE_BYTES: usize = 24 * 1024 * 1024;
/// Bytes of one snapshot chunk.
pub const SNAPSHOT_CHUNK_BYTES: usize = 1024 * 1024;
/// Proposals waiting for the road, per group. Beyond it a proposal is refused as not applied.
pub const PROPOSALS_WAITING_MAX: usize = 16 * 1024;
/// Entries proposed and not yet answered, per group: while they are under way the next batch collects.
pub const ENTRIES_IN_FLIGHT_MAX: usize = 32;
/// Log bytes applied since the last flush of rows after which rows are flushed and the log is purged.
pub const FLUSH_AFTER_LOG_BYTES: u64 = 96 * 1024 * 1024;
/// Bytes of the log of all groups that are kept, so that a follower away for a moment needs no snapshot, and a body that is
/// consumed soon is written once. What lies further back is purged with a group's next flush.
pub const LOG_BYTES_KEPT: u64 = 128 * 1024 * 1024;
/// Most bytes of one body.
pub const BODY_BYTES_MAX: usize = machine::limits::COMMAND_BYTES_MAX;
/// A body of so few bytes is stored at once: its place would be as large as itself.
pub const BODY_STORED_BYTES_MAX: usize = 128;
/// Bytes of bodies moved out of the log with one batch; the last body may reach over.
pub const MOVED_BYTES_MAX: usize = 1024 * 1024;
/// Bodies moved with one batch: commits wait that long.
pub const MOVED_COUNT_MAX: usize = 512;
/// Bytes of one courier delivery.
pub const COURIER_BYTES_MAX: usize = 1024 * 1024;
/// Courier tracks of a group that are offered records at the same time.
pub const COURIER_TRACKS_AT_ONCE: usize = 8;
/// Write buffers of all row stores of a process together.
pub const WRITE_BUFFERS_BYTES: usize = 256 * 1024 * 1024;
/// Block cache of all row stores of a process together.
pub const BLOCK_CACHE_BYTES: usize = 64 * 1024 * 1024;

const _: () = assert!(APPEND_BYTES_MAX + machine::limits::COMMAND_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(SEGMENT_BYTES + (FSYNC_BYTES_MAX + MESSAGE_BYTES_MAX) as u64 <= u32::MAX as u64);
const _: () = assert!(SEGMENT_BYTES <= LOG_BYTES_KEPT);
const _: () = assert!(SNAPSHOT_CHUNK_BYTES < MESSAGE_BYTES_MAX);
const _: () = assert!(machine::limits::ENTRY_BYTES_SOFT <= APPEND_BYTES_MAX);
const _: () =
    assert!(COURIER_BYTES_MAX + machine::limits::COURIER_RECORD_BYTES_MAX < machine::limits::COMMAND_BYTES_MAX);
