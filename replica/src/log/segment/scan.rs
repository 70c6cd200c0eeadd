//! The start: what the folder holds becomes the index again, and what is damaged is told from what was torn.
//!
//! ```text
//!  sealed segments    by their footers, no record is read
//!  the newest one     record by record:  good good good [bad …
//!                       a valid first record behind the bad one   ─> damage: the bad one had been synced
//!                       the mark says that more was synced        ─> damage
//!                       neither                                   ─> the torn tail of the last write, which is cut
//! ```
//!
//! Must never: change a byte before the log is known to be whole.

use std::io;

use bytes::Bytes;

use super::disk::{Disk, Segment, damaged};
use super::index::Index;
use super::record::{ALIGN, Change, RECORD_HEAD_BYTES, RECORD_PROOF_BYTES, RecordHead, SEGMENT_HEAD_BYTES};

/// Bytes read at once.
const BLOCK_BYTES: u64 = 1024 * 1024;

/// Reads a segment in blocks.
pub(super) struct Blocks<'a> {
    segment: &'a Segment,
    file_bytes: u64,
    block: Bytes,
    at: u64,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(segment: &'a Segment) -> io::Result<Self> {
        Ok(Self { segment, file_bytes: segment.file_bytes()?, block: Bytes::new(), at: 0 })
    }

    /// Bytes from `place` on, fewer than `count` only where the file ends.
    pub(super) fn read(&mut self, place: u64, count: usize) -> io::Result<Bytes> {
        let end = place.saturating_add(count as u64).min(self.file_bytes);
        if place >= end {
            return Ok(Bytes::new());
        }
        if place < self.at || end > self.at + self.block.len() as u64 {
            let block_end = end.max(place.saturating_add(BLOCK_BYTES)).min(self.file_bytes);
            let bytes = usize::try_from(block_end - place).map_err(io::Error::other)?;
            (self.block, self.at) = (self.segment.read(place, bytes)?, place);
        }
        let from = usize::try_from(place - self.at).map_err(io::Error::other)?;
        let to = usize::try_from(end - self.at).map_err(io::Error::other)?;
        Ok(self.block.slice(from..to))
    }

    /// The record at `place`, if its head is one.
    pub(super) fn record(&mut self, place: u32) -> io::Result<Option<(RecordHead, Bytes)>> {
        let proof = self.read(u64::from(place), RECORD_PROOF_BYTES)?;
        let Some(head) = RecordHead::read(&proof, self.segment.head.salt, place) else { return Ok(None) };
        let frame = self.read(u64::from(place) + RECORD_HEAD_BYTES as u64, head.frame_bytes as usize)?;
        Ok((frame.len() == head.frame_bytes as usize).then_some((head, frame)))
    }
}

/// How the log was found.
pub(super) struct Found {
    pub index: Index,
    /// Where the newest segment's records end.
    pub end: u64,
    /// The newest segment has a footer already. True if there is no segment at all.
    pub is_sealed: bool,
}

/// Reads the log. Errors: `InvalidData` is damage.
pub(super) fn read_log(disk: &Disk) -> io::Result<Found> {
    let numbers = disk.numbers()?;
    let mut found = Found { index: Index::default(), end: 0, is_sealed: true };
    for number in &numbers {
        let segment = disk.segment(*number, found.index.end)?;
        match segment.footer()? {
            Some((footer, end)) => {
                found.end = end;
                found.index.load(segment, footer)?;
            }
            None if Some(number) == numbers.last() => {
                found.is_sealed = false;
                found.end = read_records(segment, &mut found.index)?;
            }
            None => return Err(segment.damaged("its footer")),
        }
        found.index.end += found.end;
    }
    Ok(found)
}

/// Applies the records of a segment without a footer. Returns where they end.
fn read_records(segment: Segment, index: &mut Index) -> io::Result<u64> {
    let segment = std::sync::Arc::new(segment);
    index.begin(std::sync::Arc::clone(&segment));
    let mut blocks = Blocks::new(&segment)?;
    let mut place = place_of(SEGMENT_HEAD_BYTES)?;
    let flaw = loop {
        let Some((head, frame)) = blocks.record(place)? else { break "no record".to_owned() };
        let zeros_from = u64::from(place) + (RECORD_HEAD_BYTES + frame.len()) as u64;
        let zeros_bytes = head.record_bytes() - RECORD_HEAD_BYTES - frame.len();
        let zeros = blocks.read(zeros_from, zeros_bytes)?;
        let change = match Change::read(head.kind, &frame) {
            Ok(change) if zeros.len() == zeros_bytes && zeros.iter().all(|byte| *byte == 0) => change,
            Ok(_) => break "no zeros behind a record".to_owned(),
            Err(error) => break error.to_string(),
        };
        index.apply(head.group, change, place)?;
        place = place_of(place as usize + head.record_bytes())?;
    };
    if let Some(later) = first_record_behind(&mut blocks, place, segment.head.salt)? {
        let what = format!("{flaw} at {place}, and a write that came later at {later}");
        return Err(segment.damaged(what));
    }
    Ok(u64::from(place))
}

/// The place of the first record of a write behind `place`, if there is one.
fn first_record_behind(blocks: &mut Blocks<'_>, place: u32, salt: u64) -> io::Result<Option<u32>> {
    let mut place = place_of(place as usize + ALIGN)?;
    loop {
        let proof = blocks.read(u64::from(place), RECORD_PROOF_BYTES)?;
        if proof.len() < RECORD_PROOF_BYTES {
            return Ok(None);
        }
        if RecordHead::read(&proof, salt, place).is_some_and(|head| head.is_first)
            && let Some((head, frame)) = blocks.record(place)?
            && Change::read(head.kind, &frame).is_ok()
        {
            return Ok(Some(place));
        }
        place = place_of(place as usize + ALIGN)?;
    }
}

fn place_of(place: usize) -> io::Result<u32> {
    u32::try_from(place).map_err(|_| damaged("a segment has less than 4 GiB".to_owned()))
}
