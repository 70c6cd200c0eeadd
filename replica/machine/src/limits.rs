//! Every limit that shapes the entry format, the sessions and the courier, in one place and related to each other.

/// Most commands in one log entry.
pub const COMMANDS_PER_ENTRY_MAX: usize = 4096;
/// Most bytes of one command, its bodies included (a batch of 16 messages of 1 MiB and their headers).
pub const COMMAND_BYTES_MAX: usize = 17 * 1024 * 1024;
/// The road closes an entry once it holds this many bytes; a larger single command travels alone.
pub const ENTRY_BYTES_SOFT: usize = 1024 * 1024;
/// Former replies kept per session: a client may have this many requests under way.
pub const SESSION_WINDOW: usize = 1024;
/// Sessions of one group.
pub const SESSIONS_MAX: usize = 100_000;
/// A session unused for this long (machine time) may be forgotten.
pub const SESSION_IDLE_MS: u64 = 3_600_000;
/// Records in one courier delivery.
pub const COURIER_BATCH_MAX: usize = 256;
/// Most bytes of one courier record.
pub const COURIER_RECORD_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Rows one command may name.
pub const ROWS_PER_COMMAND_MAX: usize = 65_536;

const _: () = assert!(ENTRY_BYTES_SOFT < COMMAND_BYTES_MAX);
const _: () = assert!(COURIER_RECORD_BYTES_MAX < COMMAND_BYTES_MAX);
const _: () = assert!(COMMANDS_PER_ENTRY_MAX <= u16::MAX as usize);
/// Bytes of former replies kept over all sessions of a group; beyond it the longest unused session is forgotten.
pub const SESSION_REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes that a former reply counts for beside its own: its row's key, and its place in memory.
pub const SESSION_REPLY_BYTES_MORE: usize = 64;
