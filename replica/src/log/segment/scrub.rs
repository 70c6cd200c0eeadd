//! The scrub of the log: sealed segments are read though nobody asked, so that damage is found while peers have the bytes.
//!
//! ```text
//!  a step:  the index says which entries lie behind the place ─> head and checksum of each ─> the place behind them
//!           at the end of a segment: its head and its footer, which the next start needs
//! ```
//! What is read is what the log needs still: entries that were purged or cut off are passed over. The segment that is
//! written to is not looked at. A segment that is dropped meanwhile lives as long as its step, and is used again by nobody.
//!
//! Must never: hold the index while it reads, keep more than a block in memory, or take for damage what is only gone.

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;

use machine::GroupId;
use parking_lot::RwLock;

use super::disk::Segment;
use super::index::Index;
use super::record::{Kind, RECORD_HEAD_BYTES, RECORD_PROOF_BYTES, RecordHead};
use super::scan::Blocks;
use crate::log::engine::{LogScrubbed, ScrubPlace};

/// Entries of one group whose places are taken out of the index at once.
const ENTRIES_MAX: usize = 4096;
/// Bytes of an entry that are read at once.
const PART_BYTES: usize = 256 * 1024;
/// Bytes of the checksum that a frame begins with.
const CHECKSUM_BYTES: usize = 4;

/// Entries of one segment, in the order of their places.
struct Part {
    segment: Arc<Segment>,
    entries: Vec<(u32, GroupId, u64)>,
    /// The segment holds no entries behind them.
    is_last: bool,
}

/// Reads about `bytes_max` bytes from a place on.
pub(super) fn step(index: &RwLock<Index>, from: ScrubPlace, bytes_max: u64) -> LogScrubbed {
    let Some(Part { segment, entries, is_last }) = part(&index.read(), from) else { return LogScrubbed::default() };
    let number = segment.head.number;
    if from.segment != number || from.place == 0 {
        // Memory may hold what the disk has lost.
        segment.forget(0, None);
    }
    let mut scrubbed = LogScrubbed::default();
    let mut blocks = Blocks::new(&segment);
    let mut behind = entries.last().map_or(from.place, |(place, _, _)| place.saturating_add(1));
    let mut is_whole = true;
    for (place, group, entry) in &entries {
        if scrubbed.bytes >= bytes_max {
            (behind, is_whole) = (*place, false);
            break;
        }
        let read = blocks.as_mut().map_err(|error| io::Error::from(error.kind())).and_then(|blocks| {
            // A disk that cannot give the bytes has lost them.
            check(blocks, &segment, *place, *group)
        });
        scrubbed.bytes += read.as_ref().map_or(RECORD_PROOF_BYTES as u64, |bytes| *bytes);
        if let Err(error) = read {
            tracing::error!(segment = number, place, group = group.0, entry, %error, "damage was found in the log");
            scrubbed.damaged.push((*group, *entry));
        }
    }
    scrubbed.next = Some(ScrubPlace { segment: number, place: behind });
    if is_last && is_whole {
        scrubbed.bytes += check_ends(&segment, &mut scrubbed.damaged, index);
        scrubbed.next = Some(ScrubPlace { segment: number + 1, place: 0 });
    }
    let first = entries.first().map_or(0, |(place, _, _)| u64::from(*place));
    segment.forget(first, NonZeroU64::new(scrubbed.bytes));
    // What was purged or cut off while it was read is missed by nobody.
    let index = index.read();
    scrubbed.damaged.retain(|(group, entry)| index.groups.get(group).is_some_and(|of| of.run(*entry).is_some()));
    scrubbed
}

/// The entries from a place on, of the first sealed segment that is not before it. `None`: there is none.
fn part(index: &Index, from: ScrubPlace) -> Option<Part> {
    let sealed = index.segments.len().checked_sub(1)?;
    let segment = index.segments.iter().take(sealed).find(|segment| segment.head.number >= from.segment)?;
    let first = if segment.head.number == from.segment { from.place } else { 0 };
    let (mut entries, mut upto) = (Vec::new(), None);
    for (group, of) in &index.groups {
        let at = of.runs.partition_point(|run| run.segment.head.number < segment.head.number);
        let Some(run) = of.runs.get(at).filter(|run| Arc::ptr_eq(&run.segment, segment)) else { continue };
        let skipped = run.places.partition_point(|place| *place < first);
        let places = run.places.iter().enumerate().skip(skipped);
        let taken = entries.len();
        entries.extend(places.take(ENTRIES_MAX).map(|(nth, place)| (*place, *group, run.first + nth as u64)));
        if entries.len() - taken == ENTRIES_MAX {
            upto = upto.into_iter().chain(entries.last().map(|(place, _, _)| *place)).min();
        }
    }
    // Of another group more may lie before the last place of one of which not all were taken.
    entries.retain(|(place, _, _)| upto.is_none_or(|upto| *place <= upto));
    entries.sort_unstable();
    Some(Part { segment: Arc::clone(segment), entries, is_last: upto.is_none() })
}

/// Reads an entry's record, part by part. Returns its bytes. Errors: it is damaged, or the disk fails.
fn check(blocks: &mut Blocks<'_>, segment: &Segment, place: u32, group: GroupId) -> io::Result<u64> {
    let proof = blocks.read(u64::from(place), RECORD_PROOF_BYTES)?;
    let head = RecordHead::read(&proof, segment.head.salt, place)
        .filter(|head| (head.kind, head.group) == (Kind::Entry, group))
        .ok_or_else(|| segment.damaged("the head of a record"))?;
    let checksum = proof.slice(RECORD_HEAD_BYTES..);
    let mut at = u64::from(place) + RECORD_PROOF_BYTES as u64;
    let (mut left, mut hash) = (head.frame_bytes as usize - CHECKSUM_BYTES, crc32fast::Hasher::new());
    while left > 0 {
        let bytes = blocks.read(at, left.min(PART_BYTES))?;
        if bytes.is_empty() {
            return Err(segment.damaged("a record is cut off"));
        }
        hash.update(&bytes);
        left -= bytes.len();
        at += bytes.len() as u64;
    }
    if hash.finalize().to_be_bytes() != *checksum {
        return Err(segment.damaged("the checksum of a record"));
    }
    Ok(head.record_bytes() as u64)
}

/// Reads the head and the footer of a segment. If one is damaged the next start would be refused: the log is whole again when
/// the segment is gone, which every group's last entry up to it must be before. Returns the bytes read.
fn check_ends(segment: &Segment, damaged: &mut Vec<(GroupId, u64)>, index: &RwLock<Index>) -> u64 {
    let head = segment.read_head();
    let footer = segment.footer();
    let end = footer.as_ref().ok().and_then(|footer| footer.as_ref().map(|(_, end)| *end));
    let is_own = head.as_ref().is_ok_and(|head| *head == segment.head);
    if let (true, Some(end)) = (is_own, end) {
        return segment.file_bytes().unwrap_or(end).saturating_sub(end);
    }
    let number = segment.head.number;
    tracing::error!(segment = number, "the head or the footer of a segment of the log is damaged");
    for (group, of) in &index.read().groups {
        let at = of.runs.partition_point(|run| run.segment.head.number <= number);
        damaged.extend(at.checked_sub(1).and_then(|at| of.runs.get(at)).map(|run| (*group, run.end() - 1)));
    }
    0
}
