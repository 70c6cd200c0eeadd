//! Every limit of the replication road, in one place and related to each other.

use std::time::Duration;

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
/// Bytes of the newest entries of all groups of a process kept in memory, for followers that are up to date and for apply.
/// What is not on disk yet is kept beyond it.
pub const TAIL_CACHE_BYTES: usize = 16 * 1024 * 1024;
/// What a group may keep of it when others need it, or when it is idle.
pub const TAIL_CACHE_SHARE_BYTES_MIN: usize = 1024 * 1024;
/// Bytes of one snapshot chunk.
pub const SNAPSHOT_CHUNK_BYTES: usize = 1024 * 1024;
/// Proposals waiting for the road, per group. Beyond it a proposal is refused as not applied.
pub const PROPOSALS_WAITING_MAX: usize = 16 * 1024;
/// Their bytes. Of each group by itself: one that stands still must not take the road of the others.
pub const PROPOSALS_WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Entries proposed and not yet answered, per group: while they are under way the next batch collects.
pub const ENTRIES_IN_FLIGHT_MAX: usize = 32;
/// Their bytes; a larger entry travels alone.
pub const ENTRIES_IN_FLIGHT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A follower is far behind that misses so many entries, or so many bytes, and is sent them at a pace.
pub const CATCH_UP_ENTRIES: u64 = 128;
/// As [`CATCH_UP_ENTRIES`]: twice what may be under way to a follower that keeps up.
pub const CATCH_UP_BYTES: u64 = 2 * ENTRIES_IN_FLIGHT_BYTES_MAX as u64;
/// That pace, for all groups of a node together, unless followers that keep up are sent more than half of it: then twice that.
pub const CATCH_UP_BYTES_PER_S: u64 = 32 * 1024 * 1024;
/// A node that sends less than this to followers that keep up is quiet: nobody is in the way of one that is far behind.
pub const CATCH_UP_QUIET_BYTES_PER_S: u64 = 64 * 1024;
/// The longest that one request to a follower that is far behind waits for its turn.
pub const CATCH_UP_SLEEP_MAX: Duration = Duration::from_millis(500);
/// How often it is measured what they are sent.
pub const CATCH_UP_LOOK_EVERY: Duration = Duration::from_millis(250);
/// Log bytes applied since the last flush of rows after which rows are flushed and the log is purged.
pub const FLUSH_AFTER_LOG_BYTES: u64 = 96 * 1024 * 1024;
/// Bytes of the log of all groups that are kept, so that a follower that was away needs no snapshot, and a body is written
/// once. More is kept while half of it is alive: a backlog stays where it was written.
pub const LOG_BYTES_KEPT: u64 = 1024 * 1024 * 1024;
/// What may lie further back until bodies are moved and the log is purged: moving looks at the place of every body in the
/// log, so it is done seldom.
pub const LOG_BYTES_SLACK: u64 = 256 * 1024 * 1024;
/// The same as a part of what is kept, if that is more.
pub const LOG_SLACK_PART: u64 = 4;
/// Entries of one group that are kept, however small: where each lies takes four bytes of memory.
pub const LOG_ENTRIES_KEPT: u64 = 1024 * 1024;
/// As [`LOG_BYTES_SLACK`].
pub const LOG_ENTRIES_SLACK: u64 = LOG_ENTRIES_KEPT / 4;
/// Most bytes of one body.
pub const BODY_BYTES_MAX: usize = machine::limits::COMMAND_BYTES_MAX;
/// A body of so few bytes is stored at once: its place would be as large as itself.
pub const BODY_STORED_BYTES_MAX: usize = 128;
/// Bytes of bodies moved out of the log with one batch; the last body may reach over.
pub const MOVED_BYTES_MAX: usize = 1024 * 1024;
/// Bodies moved with one batch: commits wait that long.
pub const MOVED_COUNT_MAX: usize = 512;
/// Places counted until whoever counts gives way.
pub const COUNTED_AT_ONCE: u64 = 4096;
/// Most time that passes between two batches of moved bodies. Units: milliseconds.
pub const MOVE_PAUSE_MS_MAX: u64 = 50;
/// Damaged bodies that a replica sets aside; more of them are no flaw of single blocks, and the replica stops.
pub const QUARANTINE_MAX: usize = 4_096;
/// Bodies that are fetched from peers at a time.
pub const REPAIRS_AT_ONCE_MAX: usize = 16;
/// Bytes that a scrub reads a second: a small part of what the slowest disk gives.
pub const SCRUB_BYTES_PER_S: u64 = 8 * 1024 * 1024;
/// Bytes of one step of a scrub, after which it rests; the last entry or body may reach over.
pub const SCRUB_STEP_BYTES: u64 = 1024 * 1024;
/// From the beginning of a whole scrub to that of the next, if it takes no longer.
pub const SCRUB_EVERY: Duration = Duration::from_secs(6 * 60 * 60);
/// From the start of a process to its first scrub: who has just started has other things to read.
pub const SCRUB_FIRST_AFTER: Duration = Duration::from_secs(10 * 60);
/// Bytes of one courier delivery.
pub const COURIER_BYTES_MAX: usize = 1024 * 1024;
/// Courier tracks of a group that are offered records at the same time.
pub const COURIER_TRACKS_AT_ONCE: usize = 8;
/// Memory of all row stores of a process together: their write buffers, and the blocks of their files in what is left.
pub const ROWS_MEMORY_BYTES: usize = 40 * 1024 * 1024;
/// The cache of that memory has two to this many shards. Each holds whole blocks, and a charge of 256 KiB for each piece of
/// a write buffer: of a small cache few shards waste little.
pub const ROWS_CACHE_SHARD_BITS: i32 = 2;
/// Write buffers of all row stores of a process together. When they are full, all are flushed.
pub const WRITE_BUFFERS_BYTES: usize = 24 * 1024 * 1024;

/// Bytes of the first level of tables, with which each flush is merged whole.
pub const FIRST_LEVEL_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of one table file.
pub const TABLE_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Table files of one group that are open at a time: descriptors are few where nobody raised their limit.
pub const TABLE_FILES_OPEN_MAX: i32 = 256;

const _: () = assert!(WRITE_BUFFERS_BYTES < ROWS_MEMORY_BYTES);
const _: () = assert!(PROPOSALS_WAITING_BYTES_MAX > machine::limits::COMMAND_BYTES_MAX);
const _: () = assert!(ENTRIES_IN_FLIGHT_BYTES_MAX >= machine::limits::ENTRY_BYTES_SOFT);
const _: () = assert!(APPEND_BYTES_MAX + machine::limits::COMMAND_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(SEGMENT_BYTES + (FSYNC_BYTES_MAX + MESSAGE_BYTES_MAX) as u64 <= u32::MAX as u64);
const _: () = assert!(SEGMENT_BYTES <= LOG_BYTES_SLACK && FLUSH_AFTER_LOG_BYTES <= LOG_BYTES_KEPT);
const _: () = assert!(SCRUB_STEP_BYTES <= SCRUB_BYTES_PER_S && SCRUB_BYTES_PER_S < CATCH_UP_BYTES_PER_S);
const _: () = assert!(LOG_BYTES_KEPT / SCRUB_BYTES_PER_S < SCRUB_EVERY.as_secs());
const _: () = assert!(SNAPSHOT_CHUNK_BYTES < MESSAGE_BYTES_MAX);
const _: () = assert!(machine::limits::ENTRY_BYTES_SOFT <= APPEND_BYTES_MAX);
const _: () =
    assert!(COURIER_BYTES_MAX + machine::limits::COURIER_RECORD_BYTES_MAX < machine::limits::COMMAND_BYTES_MAX);
