//! The mark: how far the log was synced, kept in a small file beside it.
//!
//! Why: at start RocksDB ends the log quietly at the first record whose checksum is wrong, because it cannot tell a bit
//! that was flipped from a write that a power cut tore. The mark can: what lies behind it may be torn, and what lies
//! before it was promised. It is written after each fsync and not synced itself, so it may lag, and is never ahead.
//!
//! ```text
//!  crc32 u32 | sequence u64        the database's last sequence number that an fsync covered
//! ```
//!
//! Must never: be ahead of the log.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;
use machine::Writer;

use crate::codec;

/// The file that says how far the log was synced.
pub(super) struct SyncMark(File);

impl SyncMark {
    /// Opens or creates the mark. Errors: the file cannot be used, or `sequence`, where the log ends, lies before it.
    pub(super) fn open(path: &Path, sequence: u64) -> io::Result<Self> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        let found = std::fs::read(path)?;
        let damaged = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
        if !found.is_empty() {
            let mut input =
                codec::checked(&Bytes::from(found)).map_err(|error| damaged(format!("the log's mark: {error}")))?;
            let promised = input.u64().map_err(|error| damaged(format!("the log's mark: {error}")))?;
            if sequence < promised {
                let text = format!("the log ends at change {sequence}, and was synced up to {promised}");
                return Err(damaged(text));
            }
        }
        Ok(Self(file))
    }

    /// Everything up to `sequence` is synced.
    pub(super) fn set(&self, sequence: u64) -> io::Result<()> {
        let mut out = Writer::with_capacity(8);
        out.u64(sequence);
        self.0.write_all_at(&codec::with_checksum(&out.finish()), 0)
    }
}
