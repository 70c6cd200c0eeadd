//! Records and the head of a segment: the bytes of the log on disk. Big-endian, golden-tested, drawn in decision 0010.
//!
//! ```text
//!  segment:  head | record | record | … | footer, once it is sealed
//!
//!  head      "TERCETLG" | version u32 = 1 | number u64 | salt u64 | crc32 u32                    (32 bytes)
//!  record    0x7e5e u16 | kind u8 | first u8 | group u32 | frame bytes u32 | crc32 u32           (16 bytes)
//!            frame: crc32 u32 | body                                                             (what the crc says)
//!            zeros up to a multiple of 8
//! ```
//!
//! The checksum of a record's head covers the segment's salt, the record's place, the head and the frame's checksum: so a
//! record is valid at one place of one segment only, and what an earlier life of a recycled file left is none.
//! `first` is 1 at the first record of each write. A write is begun when the one before it is synced: whoever sees a valid
//! first record knows that everything before it was promised.
//!
//! Must never: change without a decision in docs/decisions.

use bytes::Bytes;
use machine::{DecodeError, GroupId, Reader, Writer};

use crate::codec::{self, Frame};
use crate::log::engine::LogOp;
use crate::raft_types::{LogId, Vote};

const MAGIC: &[u8; 8] = b"TERCETLG";
const VERSION: u32 = 1;
const MARK: u16 = 0x7e5e;
const MARK_BYTES: [u8; 2] = MARK.to_be_bytes();

/// Bytes of a segment's head.
pub(super) const SEGMENT_HEAD_BYTES: usize = 32;
/// Bytes of a record before its frame.
pub(super) const RECORD_HEAD_BYTES: usize = 16;
/// Bytes of a record that say whether it is one: its head and the frame's checksum.
pub(super) const RECORD_PROOF_BYTES: usize = RECORD_HEAD_BYTES + 4;
/// Records begin at multiples of this.
pub(super) const ALIGN: usize = 8;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHead {
    pub number: u64,
    pub salt: u64,
}

impl SegmentHead {
    pub(super) fn to_bytes(self) -> Bytes {
        let mut out = Writer::with_capacity(SEGMENT_HEAD_BYTES);
        out.raw(MAGIC);
        out.u32(VERSION);
        out.u64(self.number);
        out.u64(self.salt);
        let head = out.finish();
        let mut out = Writer::with_capacity(SEGMENT_HEAD_BYTES);
        out.raw(&head);
        out.u32(crc32fast::hash(&head));
        out.finish()
    }

    pub(super) fn read(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes.clone());
        if input.raw(MAGIC.len())?.as_ref() != MAGIC || input.u32()? != VERSION {
            return Err(DecodeError::Invalid("head of a segment"));
        }
        let head = Self { number: input.u64()?, salt: input.u64()? };
        if input.u32()? != crc32fast::hash(&bytes[..SEGMENT_HEAD_BYTES - 4]) {
            return Err(DecodeError::Invalid("checksum of a segment's head"));
        }
        Ok(head)
    }
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Entry = 1,
    Vote = 2,
    Committed = 3,
    Truncate = 4,
    Purge = 5,
}

impl Kind {
    fn of(tag: u8) -> Option<Self> {
        [Self::Entry, Self::Vote, Self::Committed, Self::Truncate, Self::Purge]
            .into_iter()
            .find(|kind| *kind as u8 == tag)
    }
}

/// The head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHead {
    pub kind: Kind,
    pub is_first: bool,
    pub group: GroupId,
    pub frame_bytes: u32,
}

impl RecordHead {
    /// The head as it stands at `place` of a segment with `salt`, before a frame that begins with `checksum`.
    pub(super) fn to_bytes(self, salt: u64, place: u32, checksum: &[u8]) -> [u8; RECORD_HEAD_BYTES] {
        let mut head = [0; RECORD_HEAD_BYTES];
        head[..2].copy_from_slice(&MARK_BYTES);
        head[2] = self.kind as u8;
        head[3] = u8::from(self.is_first);
        head[4..8].copy_from_slice(&self.group.0.to_be_bytes());
        head[8..12].copy_from_slice(&self.frame_bytes.to_be_bytes());
        let sum = head_checksum(&head[..12], salt, place, checksum);
        head[12..].copy_from_slice(&sum.to_be_bytes());
        head
    }

    /// Reads the head at `place`. `None`: there is no record of this segment here, or a damaged one.
    pub(super) fn read(proof: &[u8], salt: u64, place: u32) -> Option<Self> {
        if proof.len() < RECORD_PROOF_BYTES || proof[..2] != MARK_BYTES {
            return None;
        }
        let number = |from: usize| u32::from_be_bytes([proof[from], proof[from + 1], proof[from + 2], proof[from + 3]]);
        if number(12) != head_checksum(&proof[..12], salt, place, &proof[16..20]) {
            return None;
        }
        let head = Self {
            kind: Kind::of(proof[2])?,
            is_first: proof[3] == 1,
            group: GroupId(number(4)),
            frame_bytes: number(8),
        };
        (head.frame_bytes >= 4).then_some(head)
    }

    /// Bytes of the whole record, zeros at its end included.
    pub(super) const fn record_bytes(&self) -> usize {
        (RECORD_HEAD_BYTES + self.frame_bytes as usize).next_multiple_of(ALIGN)
    }
}

fn head_checksum(head: &[u8], salt: u64, place: u32, frame_checksum: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&salt.to_be_bytes());
    hash.update(&place.to_be_bytes());
    hash.update(head);
    hash.update(frame_checksum);
    hash.finalize()
}

/// What a record does to the log of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Entry { index: u64 },
    Vote(Vote),
    Committed(Option<LogId>),
    Truncate { from: u64 },
    Purge { upto: LogId },
}

impl Change {
    /// The record of an operation.
    pub(super) fn of(op: &LogOp) -> (Self, Kind, Frame) {
        let mut body = Writer::default();
        let (change, kind) = match op {
            LogOp::Append { index, frame } => return (Self::Entry { index: *index }, Kind::Entry, frame.clone()),
            LogOp::Vote(vote) => {
                codec::write_vote(&mut body, vote);
                (Self::Vote(*vote), Kind::Vote)
            }
            LogOp::Committed(id) => {
                codec::write_optional_log_id(&mut body, id.as_ref());
                (Self::Committed(*id), Kind::Committed)
            }
            LogOp::TruncateFrom { index } => {
                body.u64(*index);
                (Self::Truncate { from: *index }, Kind::Truncate)
            }
            LogOp::Purge { upto } => {
                codec::write_log_id(&mut body, upto);
                (Self::Purge { upto: *upto }, Kind::Purge)
            }
        };
        (change, kind, Frame::small(&body.finish()))
    }

    /// Reads a frame. Errors: its checksum is wrong, or its body does not decode.
    pub(super) fn read(kind: Kind, frame: &Bytes) -> Result<Self, DecodeError> {
        let mut input = codec::checked(frame)?;
        let change = match kind {
            Kind::Entry => return Ok(Self::Entry { index: codec::read_log_id(&mut input)?.index }),
            Kind::Vote => Self::Vote(codec::read_vote(&mut input)?),
            Kind::Committed => Self::Committed(codec::read_optional_log_id(&mut input)?),
            Kind::Truncate => Self::Truncate { from: input.u64()? },
            Kind::Purge => Self::Purge { upto: codec::read_log_id(&mut input)? },
        };
        input.end()?;
        Ok(change)
    }
}

#[cfg(test)]
mod tests {
    use openraft::impls::leader_id_adv::LeaderId;

    use super::*;

    const SALT: u64 = 0x0102_0304_0506_0708;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn id(index: u64) -> LogId {
        LogId::new(LeaderId { term: 2, node_id: 1 }, index)
    }

    fn record(op: &LogOp, is_first: bool) -> Vec<u8> {
        let (_, kind, frame) = Change::of(op);
        let frame = frame.join();
        let frame_bytes = u32::try_from(frame.len()).expect("short");
        let head = RecordHead { kind, is_first, group: GroupId(7), frame_bytes };
        let mut out = head.to_bytes(SALT, 64, &frame[..4]).to_vec();
        out.extend_from_slice(&frame);
        out.resize(head.record_bytes(), 0);
        out
    }

    #[test]
    fn the_head_of_a_segment_is_pinned() {
        let head = SegmentHead { number: 3, salt: SALT };
        let bytes = head.to_bytes();
        assert_eq!(hex(&bytes), "5445524345544c470000000100000000000000030102030405060708349956e4");
        assert_eq!(SegmentHead::read(&bytes), Ok(head));
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHead::read(&Bytes::from(broken)).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn records_are_pinned() {
        let entry = crate::raft_types::Entry { log_id: id(9), payload: openraft::EntryPayload::Blank };
        let vote = Vote { leader_id: LeaderId { term: 2, node_id: 1 }, committed: true };
        let table = [
            (
                LogOp::Append { index: 9, frame: Frame::of(&entry) },
                true,
                concat!(
                    "7e5e0101000000070000001daf7eb083",
                    "d21bb57b0000000000000002000000000000000100000000",
                    "0000000900000000"
                ),
            ),
            (
                LogOp::Vote(vote),
                false,
                concat!("7e5e02000000000700000015c76ae27a", "a30620570000000000000002000000000000000101000000"),
            ),
            (
                LogOp::Committed(Some(id(8))),
                false,
                concat!(
                    "7e5e0300000000070000001d7c789a20",
                    "81d892370100000000000000020000000000000001000000",
                    "0000000008000000"
                ),
            ),
            (
                LogOp::TruncateFrom { index: 9 },
                false,
                concat!("7e5e0400000000070000000c037c8303", "1cfe67cd000000000000000900000000"),
            ),
            (
                LogOp::Purge { upto: id(5) },
                false,
                concat!(
                    "7e5e0500000000070000001cd618c14e",
                    "10ecba2b0000000000000002000000000000000100000000",
                    "0000000500000000"
                ),
            ),
        ];
        for (op, is_first, pinned) in table {
            let bytes = record(&op, is_first);
            assert_eq!(hex(&bytes), pinned);
            let head = RecordHead::read(&bytes, SALT, 64).expect("a record has a head");
            assert_eq!((head.is_first, head.group, head.record_bytes()), (is_first, GroupId(7), bytes.len()));
            let frame =
                Bytes::copy_from_slice(&bytes[RECORD_HEAD_BYTES..RECORD_HEAD_BYTES + head.frame_bytes as usize]);
            assert_eq!(Change::read(head.kind, &frame), Ok(Change::of(&op).0), "a record reads back as its operation");
        }
    }

    #[test]
    fn a_record_is_valid_at_its_own_place_only() {
        let bytes = record(&LogOp::TruncateFrom { index: 9 }, true);
        assert!(RecordHead::read(&bytes, SALT, 64).is_some());
        assert_eq!(RecordHead::read(&bytes, SALT, 72), None, "at another place");
        assert_eq!(RecordHead::read(&bytes, SALT + 1, 64), None, "in another life of the file");
        assert_eq!(RecordHead::read(&bytes[..19], SALT, 64), None, "cut off");
        for bit in 0..RECORD_PROOF_BYTES * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHead::read(&broken, SALT, 64), None, "bit {bit}");
        }
    }
}
