//! The folder of the log: segments are made, sealed and dropped here, and every sync goes through one place.
//!
//! ```text
//!  segment-00000000000000000007    sealed       making one:   new ──write head and facts, sync──> renamed, folder synced
//!  segment-00000000000000000008    written to   dropping one: unlinked, or kept as a spare for the next to be made from
//!  spare-0                         a dropped segment whose blocks are used again
//! ```
//! A file under a segment's name therefore always has a head that was synced. Segments go oldest first, each synced before
//! the next: the numbers that are there have no gap.
//!
//! Must never: retry a sync that failed, or use a file again that somebody still reads.

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};

use super::footer::{self, GroupFooter, TAIL_BYTES};
use super::record::{SEGMENT_HEAD_BYTES, SegmentHead};
use crate::limits::SPARE_SEGMENTS_MAX;

/// Slices of one system call.
const SLICES_MAX: usize = 1024;
const NEW: &str = "new";

/// Called before each sync; an error is the sync's. How tests take images of the disk and make syncs fail.
pub(super) type SyncWatch = Box<dyn Fn(&Path) -> io::Result<()> + Send + Sync>;

/// One file of the log. Whoever holds it may read it, though it was dropped from the log.
#[derive(Debug)]
pub(super) struct Segment {
    pub head: SegmentHead,
    /// Bytes of the log before this segment: places of the whole log can be compared.
    pub base: u64,
    path: PathBuf,
    file: File,
}

impl Segment {
    /// Bytes `from..from + count`. Errors: the file ends before, or the disk fails.
    pub(super) fn read(&self, from: u64, count: usize) -> io::Result<Bytes> {
        let mut buffer = BytesMut::zeroed(count);
        self.file.read_exact_at(&mut buffer, from)?;
        Ok(buffer.freeze())
    }

    /// Bytes of the file.
    pub(super) fn file_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Writes the parts one behind the other, without copying them together.
    pub(super) fn write(&self, place: u64, parts: &[Bytes]) -> io::Result<()> {
        let mut place = place;
        let parts: Vec<&Bytes> = parts.iter().filter(|part| !part.is_empty()).collect();
        for chunk in parts.chunks(SLICES_MAX) {
            let mut slices: Vec<IoSlice<'_>> = chunk.iter().map(|part| IoSlice::new(part)).collect();
            let mut left = slices.as_mut_slice();
            while !left.is_empty() {
                let written = rustix::io::pwritev(&self.file, left, place)?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                place += written as u64;
                IoSlice::advance_slices(&mut left, written);
            }
        }
        Ok(())
    }

    /// The footer, and where the records end. `None`: it has none.
    pub(super) fn footer(&self) -> io::Result<Option<(Vec<GroupFooter>, u64)>> {
        let file_bytes = self.file_bytes()?;
        let Some(tail_place) = file_bytes.checked_sub(TAIL_BYTES as u64) else { return Ok(None) };
        let tail = self.read(tail_place, TAIL_BYTES)?;
        let Some(place) = footer::place_of(&tail, file_bytes) else { return Ok(None) };
        let place = u64::from(place);
        let bytes = usize::try_from(file_bytes - place).map_err(io::Error::other)?;
        let groups = footer::read(&self.read(place, bytes)?, self.head);
        // A footer that an earlier life of the file left is no footer of this segment.
        Ok(groups.ok().map(|groups| (groups, place)))
    }

    /// What the file says of itself at its beginning. Errors: it is damaged, or the disk fails.
    pub(super) fn read_head(&self) -> io::Result<SegmentHead> {
        let head = self.read(0, SEGMENT_HEAD_BYTES).map_err(|error| self.damaged(error))?;
        SegmentHead::read(&head).map_err(|error| self.damaged(error))
    }

    /// Lets the system's memory go of `bytes` from a place on (`None`: up to the end): what is read next comes from the disk.
    /// A hint: where it is not taken, memory stays as it is.
    pub(super) fn forget(&self, from: u64, bytes: Option<NonZeroU64>) {
        let _ = fadvise(&self.file, from, bytes, Advice::DontNeed);
    }

    /// A damaged segment, as an error.
    pub(super) fn damaged(&self, what: impl std::fmt::Display) -> io::Error {
        damaged(format!("segment {}: {what}", self.head.number))
    }
}

/// Damage: what a node must not start on.
pub(super) fn damaged(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// The folder of the log.
pub(super) struct Disk {
    folder: PathBuf,
    segment_bytes: u64,
    watch: Option<SyncWatch>,
    is_read_only: bool,
}

impl Disk {
    /// Opens or creates the folder.
    pub(super) fn open(folder: &Path, segment_bytes: u64, watch: Option<SyncWatch>) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        if let Some(parent) = folder.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self { folder: folder.to_owned(), segment_bytes, watch, is_read_only: false })
    }

    /// Looks into a folder that is there, and changes nothing of it.
    pub(super) fn look(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), segment_bytes: 0, watch: None, is_read_only: true }
    }

    /// A segment is full from this many bytes on.
    pub(super) const fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("segment-{number:020}"))
    }

    fn spare(&self, which: usize) -> PathBuf {
        self.folder.join(format!("spare-{which}"))
    }

    /// The numbers of all segments, oldest first. Errors: one is missing between two others, or a file has a strange name.
    pub(super) fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for item in fs::read_dir(&self.folder)? {
            let name = item?.file_name();
            let name = name.to_string_lossy();
            match name.strip_prefix("segment-").map(str::parse) {
                Some(Ok(number)) => numbers.push(number),
                None if name == NEW || name.starts_with("spare-") => {}
                _ => return Err(damaged(format!("the log's folder holds a strange file: {name}"))),
            }
        }
        numbers.sort_unstable();
        match numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
            Some(pair) => Err(damaged(format!("segment {} of the log is missing", pair[0] + 1))),
            None => Ok(numbers),
        }
    }

    /// Opens segment `number`, which begins `base` bytes into the log. Errors: its head is damaged.
    pub(super) fn segment(&self, number: u64, base: u64) -> io::Result<Segment> {
        let path = self.path(number);
        let file = File::options().read(true).write(!self.is_read_only).open(&path)?;
        let mut segment = Segment { head: SegmentHead { number, salt: 0 }, base, path, file };
        let head = segment.read_head()?;
        if head.number != number {
            return Err(segment.damaged(format_args!("the file says it is segment {}", head.number)));
        }
        segment.head = head;
        Ok(segment)
    }

    /// Makes a segment whose first bytes are its head and `facts`, synced; from a spare, if there is one.
    pub(super) fn create(&self, head: SegmentHead, base: u64, facts: &[Bytes]) -> io::Result<Segment> {
        let new = self.folder.join(NEW);
        let spare = (0..SPARE_SEGMENTS_MAX).map(|which| self.spare(which)).find(|path| path.exists());
        match spare {
            Some(spare) => fs::rename(spare, &new)?,
            None => allocate(&new, self.segment_bytes)?,
        }
        let file = File::options().read(true).write(true).open(&new)?;
        let segment = Segment { head, base, path: self.path(head.number), file };
        segment.write(0, &[head.to_bytes()])?;
        segment.write(SEGMENT_HEAD_BYTES as u64, facts)?;
        self.before_sync()?;
        segment.file.sync_all()?;
        fs::rename(&new, &segment.path)?;
        self.sync_folder()?;
        Ok(segment)
    }

    /// Cuts the segment off at `end` and writes its footer, synced.
    pub(super) fn seal(&self, segment: &Segment, end: u64, groups: &[GroupFooter]) -> io::Result<()> {
        let place = u32::try_from(end).map_err(|_| io::Error::other("a segment has less than 4 GiB"))?;
        segment.file.set_len(end)?;
        segment.write(end, &[footer::to_bytes(groups, segment.head, place)])?;
        self.before_sync()?;
        segment.file.sync_all()
    }

    /// Makes what was written to a segment durable.
    pub(super) fn sync(&self, segment: &Segment) -> io::Result<()> {
        self.before_sync()?;
        segment.file.sync_data()
    }

    /// Takes the oldest segment out of the folder. A file that is still read is unlinked and lives as long as its readers;
    /// another becomes a spare.
    pub(super) fn drop_segment(&self, segment: Arc<Segment>) -> io::Result<()> {
        let path = segment.path.clone();
        let spare = (0..SPARE_SEGMENTS_MAX).map(|which| self.spare(which)).find(|path| !path.exists());
        match (Arc::into_inner(segment), spare) {
            // A short segment (of a node that was stopped) has few blocks to give.
            (Some(own), Some(spare)) if own.file_bytes()? >= self.segment_bytes => fs::rename(path, spare)?,
            _ => fs::remove_file(path)?,
        }
        self.sync_folder()
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.before_sync()?;
        File::open(&self.folder)?.sync_all()
    }

    fn before_sync(&self) -> io::Result<()> {
        self.watch.as_ref().map_or(Ok(()), |watch| watch(&self.folder))
    }
}

/// A file whose blocks are there before they are written to: an fsync then has less to say.
fn allocate(path: &Path, bytes: u64) -> io::Result<()> {
    let file = File::create(path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        // Some file systems cannot; then the file grows as it is written.
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
        other => Ok(other?),
    }
}
