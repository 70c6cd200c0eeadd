//! The footer of a sealed segment: what it holds of each group, so that a start reads no record of it.
//!
//! ```text
//!  groups u32, each:  group u32 | cut u64 | first u64 | places u32, each u32
//!                     vote 0/1 … | committed 0/1 … | purged 0/1 …       as they stand at the segment's end
//!  tail (16 bytes, the file's last):  footer's place u32 | footer bytes u32 | "SEAL" | crc32 u32
//! ```
//! `cut` is the lowest index that was truncated while the segment was written (all ones: none was): entries of earlier
//! segments from there on are gone. `first` is the index of the first entry whose place is listed; indexes are gapless.
//! The checksum covers the segment's number and salt, the footer, and the tail before it.
//!
//! Must never: change without a decision in docs/decisions.

use bytes::Bytes;
use machine::{DecodeError, GroupId, Reader, Writer};

use super::record::SegmentHead;
use crate::codec;
use crate::raft_types::{LogId, Vote};

const SEAL: u32 = 0x5345_414c;
const GROUPS_MAX: usize = 1 << 20;
const PLACES_MAX: usize = 1 << 30;

/// Bytes of the tail.
pub(super) const TAIL_BYTES: usize = 16;
/// A `cut` that cuts nothing.
pub(super) const NO_CUT: u64 = u64::MAX;

/// What is known of a group besides its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub vote: Option<Vote>,
    pub committed: Option<LogId>,
    pub purged: Option<LogId>,
}

/// What a segment holds of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupFooter {
    pub group: GroupId,
    pub cut: u64,
    pub first: u64,
    pub places: Vec<u32>,
    pub facts: Facts,
}

/// The footer that begins at `place`, tail included.
pub(super) fn to_bytes(groups: &[GroupFooter], head: SegmentHead, place: u32) -> Bytes {
    let mut out = Writer::default();
    out.len(groups.len());
    for of in groups {
        out.u32(of.group.0);
        out.u64(of.cut);
        out.u64(of.first);
        out.len(of.places.len());
        for place in &of.places {
            out.u32(*place);
        }
        out.bool(of.facts.vote.is_some());
        if let Some(vote) = &of.facts.vote {
            codec::write_vote(&mut out, vote);
        }
        codec::write_optional_log_id(&mut out, of.facts.committed.as_ref());
        codec::write_optional_log_id(&mut out, of.facts.purged.as_ref());
    }
    sealed(&out.finish(), head, place)
}

/// The groups of a footer at `place` with the tail that ends it.
pub(super) fn sealed(groups: &[u8], head: SegmentHead, place: u32) -> Bytes {
    let mut out = Writer::with_capacity(groups.len() + TAIL_BYTES);
    out.raw(groups);
    out.u32(place);
    out.len(groups.len());
    out.u32(SEAL);
    let covered = out.finish();
    let mut out = Writer::with_capacity(covered.len() + 4);
    out.raw(&covered);
    out.u32(checksum(&covered, head));
    out.finish()
}

/// Where the footer begins, if these last bytes of a file of `file_bytes` are the tail of one.
pub(super) fn place_of(tail: &Bytes, file_bytes: u64) -> Option<u32> {
    let mut input = Reader::new(tail.clone());
    let (place, bytes, seal) = (input.u32().ok()?, input.u32().ok()?, input.u32().ok()?);
    let ends = u64::from(place) + u64::from(bytes) + TAIL_BYTES as u64;
    (seal == SEAL && ends == file_bytes).then_some(place)
}

/// Reads a footer, from its place to the end of its file. Errors: its checksum is wrong, or it does not decode.
pub(super) fn read(bytes: &Bytes, head: SegmentHead) -> Result<Vec<GroupFooter>, DecodeError> {
    let covered = bytes.len().checked_sub(4).ok_or(DecodeError::Short)?;
    if Reader::new(bytes.slice(covered..)).u32()? != checksum(&bytes[..covered], head) {
        return Err(DecodeError::Invalid("checksum of a footer"));
    }
    let mut input = Reader::new(bytes.slice(..bytes.len().checked_sub(TAIL_BYTES).ok_or(DecodeError::Short)?));
    let mut groups = Vec::new();
    for _ in 0..input.count(GROUPS_MAX)? {
        groups.push(read_group(&mut input)?);
    }
    input.end()?;
    Ok(groups)
}

fn read_group(input: &mut Reader) -> Result<GroupFooter, DecodeError> {
    let (group, cut, first) = (GroupId(input.u32()?), input.u64()?, input.u64()?);
    let count = input.count(PLACES_MAX)?;
    let mut places = Vec::with_capacity(count.min(input.left() / 4));
    for _ in 0..count {
        places.push(input.u32()?);
    }
    let vote = if input.bool()? { Some(codec::read_vote(input)?) } else { None };
    let committed = codec::read_optional_log_id(input)?;
    let purged = codec::read_optional_log_id(input)?;
    Ok(GroupFooter { group, cut, first, places, facts: Facts { vote, committed, purged } })
}

fn checksum(covered: &[u8], head: SegmentHead) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&head.number.to_be_bytes());
    hash.update(&head.salt.to_be_bytes());
    hash.update(covered);
    hash.finalize()
}

#[cfg(test)]
mod tests {
    use openraft::impls::leader_id_adv::LeaderId;

    use super::*;

    const HEAD: SegmentHead = SegmentHead { number: 3, salt: 0x0102_0304_0506_0708 };

    fn sample() -> Vec<GroupFooter> {
        let leader_id = LeaderId { term: 2, node_id: 1 };
        let facts = Facts {
            vote: Some(Vote { leader_id, committed: true }),
            committed: Some(LogId::new(leader_id, 8)),
            purged: None,
        };
        let quiet = GroupFooter { group: GroupId(0), cut: NO_CUT, first: 0, places: vec![], facts: Facts::default() };
        vec![quiet, GroupFooter { group: GroupId(7), cut: 5, first: 5, places: vec![32, 104], facts }]
    }

    #[test]
    fn the_footer_is_pinned() {
        let bytes = to_bytes(&sample(), HEAD, 176);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let pinned = concat!(
            "00000002",
            "00000000ffffffffffffffff000000000000000000000000000000",
            "0000000700000000000000050000000000000005000000020000002000000068",
            "0100000000000000020000000000000001010100000000000000020000000000000001000000000000000800",
            "000000b00000006b5345414cf39e837b"
        );
        assert_eq!(hex, pinned);
        assert_eq!(place_of(&bytes.slice(bytes.len() - TAIL_BYTES..), 176 + bytes.len() as u64), Some(176));
        assert_eq!(read(&bytes, HEAD), Ok(sample()));
    }

    #[test]
    fn every_flipped_bit_of_a_footer_is_seen() {
        let bytes = to_bytes(&sample(), HEAD, 176);
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&Bytes::from(broken), HEAD).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(read(&bytes.slice(..length), HEAD).is_err(), "cut to {length}");
        }
        assert!(read(&bytes, SegmentHead { salt: 1, ..HEAD }).is_err(), "another life of the file");
    }
}
