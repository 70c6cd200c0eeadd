//! One write: the records of all jobs that share a sync, as the parts of one run of bytes.
//!
//! Must never: copy a large payload. The bytes that came off the wire go to the disk.

use std::collections::BTreeMap;
use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use machine::GroupId;

use super::disk::damaged;
use super::index::Index;
use super::record::{ALIGN, Change, RecordHead};
use crate::log::engine::LogOp;

/// Payloads up to this many bytes are copied together: a slice of its own would cost more.
const COPIED_BYTES_MAX: usize = 1024;

/// Records that become durable together.
pub(super) struct Batch {
    salt: u64,
    place: u64,
    parts: Vec<Bytes>,
    small: BytesMut,
    is_begun: bool,
    /// What each record does, and where it lies.
    changes: Vec<(GroupId, Change, u32)>,
}

impl Batch {
    /// A batch that begins at `place` of a segment with `salt`.
    pub(super) fn new(salt: u64, place: u64) -> Self {
        Self { salt, place, parts: Vec::new(), small: BytesMut::new(), is_begun: false, changes: Vec::new() }
    }

    /// Adds a record. Errors: the segment would have 4 GiB.
    pub(super) fn add(&mut self, group: GroupId, op: &LogOp) -> io::Result<()> {
        let (change, kind, frame) = Change::of(op);
        let place = u32::try_from(self.place).map_err(|_| io::Error::other("a segment has less than 4 GiB"))?;
        let frame_bytes = u32::try_from(frame.len()).map_err(|_| io::Error::other("a record has less than 4 GiB"))?;
        let checksum = frame.head.get(..4).ok_or_else(|| io::Error::other("a frame begins with its checksum"))?;
        let head = RecordHead { kind, is_first: !self.is_begun, group, frame_bytes };
        self.is_begun = true;
        self.small.put_slice(&head.to_bytes(self.salt, place, checksum));
        let zeros = head.record_bytes() - super::record::RECORD_HEAD_BYTES - frame.len();
        self.small.put_slice(&frame.head);
        if frame.payload.len() <= COPIED_BYTES_MAX {
            self.small.put_slice(&frame.payload);
        } else {
            self.parts.push(self.small.split().freeze());
            self.parts.push(frame.payload);
        }
        self.small.put_slice(&[0; ALIGN][..zeros]);
        self.place += head.record_bytes() as u64;
        self.changes.push((group, change, place));
        Ok(())
    }

    /// The bytes, what they do, and the place behind them.
    pub(super) fn finish(mut self) -> (Vec<Bytes>, Vec<(GroupId, Change, u32)>, u64) {
        self.parts.push(self.small.freeze());
        (self.parts, self.changes, self.place)
    }
}

/// What the groups' logs expect next, while a batch is put together.
#[derive(Default)]
pub(super) struct Expected(BTreeMap<GroupId, Option<u64>>);

impl Expected {
    /// Follows an operation. Errors: an entry would leave a hole; nothing of the batch may be written.
    pub(super) fn follow(&mut self, index: &Index, group: GroupId, op: &LogOp) -> io::Result<()> {
        let next = self.0.entry(group).or_insert_with(|| index.next(group));
        match op {
            LogOp::Append { index, .. } => {
                if next.is_some_and(|next| next != *index) {
                    return Err(damaged(format!("group {}: the log would get a hole before {index}", group.0)));
                }
                *next = Some(index + 1);
            }
            LogOp::TruncateFrom { index } => *next = next.map(|next| next.min(*index)).filter(|next| *next > 0),
            LogOp::Purge { upto } => *next = Some(next.unwrap_or(0).max(upto.index.saturating_add(1))),
            LogOp::Vote(_) | LogOp::Committed(_) => {}
        }
        Ok(())
    }
}
