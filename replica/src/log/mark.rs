//! The mark: how far the log was synced, kept in a small file beside it.
//!
//! Why: at a start the last write of the log cannot be told from its own torn tail, if a bit of it was flipped. The mark
//! can: what lies behind it may be torn, and what lies before it was promised. It is written after each fsync and not
//! synced itself, so it may lag, and is never ahead.
//!
//! ```text
//!  crc32 u32 | position u64        segment number << 32 | place: where the records end that an fsync covered
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
    /// Opens or creates the mark. Errors: the file cannot be used, or `position`, where the log ends, lies before it.
    pub(super) fn open(path: &Path, position: u64) -> io::Result<Self> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        Self::check(path, position)?;
        Ok(Self(file))
    }

    /// Looks at a mark, and changes nothing; without one nothing was synced. Errors: as [`Self::open`].
    pub(super) fn check(path: &Path, position: u64) -> io::Result<()> {
        let found = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            found => found?,
        };
        let damaged = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
        if !found.is_empty() {
            let mut input =
                codec::checked(&Bytes::from(found)).map_err(|error| damaged(format!("the log's mark: {error}")))?;
            let promised = input.u64().map_err(|error| damaged(format!("the log's mark: {error}")))?;
            if position < promised {
                let show = |position: u64| format!("segment {} at {}", position >> 32, position & u64::from(u32::MAX));
                let text = format!("the log ends in {}, and was synced up to {}", show(position), show(promised));
                return Err(damaged(text));
            }
        }
        Ok(())
    }

    /// Everything up to `position` is synced.
    pub(super) fn set(&self, position: u64) -> io::Result<()> {
        let mut out = Writer::with_capacity(8);
        out.u64(position);
        self.0.write_all_at(&codec::with_checksum(&out.finish()), 0)
    }
}
