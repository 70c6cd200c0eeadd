//! Layouts of what Raft keeps and sends: votes, log ids, memberships, entries. Hand-made, big-endian, golden-tested.
//!
//! ```text
//!  frame of an entry:  crc32 u32 | term u64 | node u64 | index u64 | kind u8 | payload
//!  kind 0 blank, 1 commands (machine::EntryView), 2 membership
//! ```
//! The same frame lies in the log and travels to the followers; the checksum covers everything behind itself.
//!
//! Must never: panic on any bytes, or change without a decision in docs/decisions.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use machine::{DecodeError, Reader, Writer};
use openraft::entry::RaftEntry as _;
use openraft::impls::{BasicNode, leader_id_adv::LeaderId};
use openraft::{EntryPayload, Membership};

use crate::limits::{MEMBERS_MAX, NODE_ADDRESS_BYTES_MAX};
use crate::raft_types::{Entry, LogId, Payload, SnapshotMeta, StoredMembership, Vote};

const BLANK: u8 = 0;
const COMMANDS: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// Bytes of a frame before its payload.
pub(crate) const FRAME_HEADER_BYTES: usize = 4 + 8 + 8 + 8 + 1;

/// The bytes of a record in two parts, so that what is large is not copied to stand behind its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Checksum, and what else stands before the payload.
    pub head: Bytes,
    /// An entry's commands as they came; empty for what is small.
    pub payload: Bytes,
}

impl Frame {
    /// The frame of an entry.
    pub(crate) fn of(entry: &Entry) -> Self {
        let (kind, payload) = match &entry.payload {
            EntryPayload::Blank => (BLANK, Bytes::new()),
            EntryPayload::Normal(payload) => (COMMANDS, payload.0.clone()),
            EntryPayload::Membership(membership) => {
                let mut out = Writer::default();
                write_membership(&mut out, membership);
                (MEMBERSHIP, out.finish())
            }
        };
        let mut tail = Writer::with_capacity(FRAME_HEADER_BYTES);
        write_log_id(&mut tail, &entry.log_id());
        tail.u8(kind);
        let tail = tail.finish();
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&tail);
        checksum.update(&payload);
        let mut head = Writer::with_capacity(FRAME_HEADER_BYTES);
        head.u32(checksum.finalize());
        head.raw(&tail);
        Self { head: head.finish(), payload }
    }

    /// The frame of a small record.
    pub(crate) fn small(body: &[u8]) -> Self {
        Self { head: with_checksum(body), payload: Bytes::new() }
    }

    /// Bytes of both parts.
    pub(crate) const fn len(&self) -> usize {
        self.head.len() + self.payload.len()
    }

    /// The frame in one piece.
    pub(crate) fn join(&self) -> Bytes {
        let mut out = Writer::with_capacity(self.len());
        out.raw(&self.head);
        out.raw(&self.payload);
        out.finish()
    }
}

/// Bytes of an entry's commands, for limits and budgets.
pub(crate) fn payload_bytes(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(payload) => payload.0.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    }
}

/// Reads a frame. Errors: a wrong checksum is `Invalid("checksum")`.
pub(crate) fn read_entry(frame: &Bytes) -> Result<Entry, DecodeError> {
    let mut input = checked(frame)?;
    let log_id = read_log_id(&mut input)?;
    let payload = match input.u8()? {
        BLANK => EntryPayload::Blank,
        COMMANDS => {
            let left = input.left();
            EntryPayload::Normal(Payload(input.raw(left)?))
        }
        MEMBERSHIP => EntryPayload::Membership(read_membership(&mut input)?),
        tag => return Err(DecodeError::Unknown { what: "entry kind", tag }),
    };
    input.end()?;
    Ok(Entry { log_id, payload })
}

/// `crc32 | bytes`: how every record of the log lies on disk.
pub(crate) fn with_checksum(bytes: &[u8]) -> Bytes {
    let mut out = Writer::with_capacity(bytes.len() + 4);
    out.u32(crc32fast::hash(bytes));
    out.raw(bytes);
    out.finish()
}

/// The bytes behind a checksum that fits.
pub(crate) fn checked(record: &Bytes) -> Result<Reader, DecodeError> {
    let mut input = Reader::new(record.clone());
    let checksum = input.u32()?;
    let left = input.left();
    let body = input.raw(left)?;
    if crc32fast::hash(&body) == checksum { Ok(Reader::new(body)) } else { Err(DecodeError::Invalid("checksum")) }
}

pub(crate) fn write_log_id(out: &mut Writer, id: &LogId) {
    out.u64(id.leader_id.term);
    out.u64(id.leader_id.node_id);
    out.u64(id.index);
}

pub(crate) fn read_log_id(input: &mut Reader) -> Result<LogId, DecodeError> {
    Ok(LogId::new(LeaderId { term: input.u64()?, node_id: input.u64()? }, input.u64()?))
}

pub(crate) fn write_optional_log_id(out: &mut Writer, id: Option<&LogId>) {
    out.bool(id.is_some());
    if let Some(id) = id {
        write_log_id(out, id);
    }
}

pub(crate) fn read_optional_log_id(input: &mut Reader) -> Result<Option<LogId>, DecodeError> {
    if input.bool()? { read_log_id(input).map(Some) } else { Ok(None) }
}

pub(crate) fn write_vote(out: &mut Writer, vote: &Vote) {
    out.u64(vote.leader_id.term);
    out.u64(vote.leader_id.node_id);
    out.bool(vote.committed);
}

pub(crate) fn read_vote(input: &mut Reader) -> Result<Vote, DecodeError> {
    Ok(Vote { leader_id: LeaderId { term: input.u64()?, node_id: input.u64()? }, committed: input.bool()? })
}

fn write_membership(out: &mut Writer, membership: &Membership<u64, BasicNode>) {
    let configs = membership.get_joint_config();
    out.len(configs.len());
    for config in configs {
        out.len(config.len());
        for id in config {
            out.u64(*id);
        }
    }
    let nodes: Vec<_> = membership.nodes().collect();
    out.len(nodes.len());
    for (id, node) in nodes {
        out.u64(*id);
        out.str(&node.addr);
    }
}

fn read_membership(input: &mut Reader) -> Result<Membership<u64, BasicNode>, DecodeError> {
    let mut configs = Vec::new();
    for _ in 0..input.count(2)? {
        let mut config = BTreeSet::new();
        for _ in 0..input.count(MEMBERS_MAX)? {
            config.insert(input.u64()?);
        }
        configs.push(config);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..input.count(MEMBERS_MAX)? {
        let id = input.u64()?;
        let addr = input.str()?;
        if addr.len() > NODE_ADDRESS_BYTES_MAX {
            return Err(DecodeError::Invalid("node address"));
        }
        nodes.insert(id, BasicNode { addr });
    }
    Membership::new(configs, nodes).map_err(|_| DecodeError::Invalid("membership"))
}

pub(crate) fn write_stored_membership(out: &mut Writer, stored: &StoredMembership) {
    write_optional_log_id(out, stored.log_id().as_ref());
    write_membership(out, stored.membership());
}

pub(crate) fn read_stored_membership(input: &mut Reader) -> Result<StoredMembership, DecodeError> {
    let log_id = read_optional_log_id(input)?;
    Ok(StoredMembership::new(log_id, read_membership(input)?))
}

pub(crate) fn write_snapshot_meta(out: &mut Writer, meta: &SnapshotMeta) {
    write_optional_log_id(out, meta.last_log_id.as_ref());
    write_stored_membership(out, &meta.last_membership);
}

pub(crate) fn read_snapshot_meta(input: &mut Reader) -> Result<SnapshotMeta, DecodeError> {
    Ok(SnapshotMeta { last_log_id: read_optional_log_id(input)?, last_membership: read_stored_membership(input)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn id(term: u64, node: u64, index: u64) -> LogId {
        LogId::new(LeaderId { term, node_id: node }, index)
    }

    #[test]
    fn entry_frames_are_pinned() {
        let nodes = BTreeMap::from([(1, BasicNode { addr: "a:1".into() }), (2, BasicNode { addr: "b:2".into() })]);
        let membership = Membership::new(vec![BTreeSet::from([1, 2])], nodes).expect("a valid membership");
        let table = [
            (
                Entry { log_id: id(1, 2, 3), payload: EntryPayload::Blank },
                "29453b9000000000000000010000000000000002000000000000000300",
            ),
            (
                Entry { log_id: id(1, 2, 3), payload: EntryPayload::Normal(Payload(Bytes::from_static(b"hi"))) },
                concat!("191b0ae000000000000000010000000000000002000000000000000301", "6869"),
            ),
            (
                Entry { log_id: id(7, 1, 9), payload: EntryPayload::Membership(membership) },
                concat!(
                    "1313275400000000000000070000000000000001000000000000000902",
                    "00000001000000020000000000000001000000000000000200000002000000000000000100000003",
                    "613a31000000000000000200000003623a32"
                ),
            ),
        ];
        for (entry, pinned) in table {
            let frame = Frame::of(&entry).join();
            assert_eq!(hex(&frame), pinned);
            assert_eq!(read_entry(&frame).as_ref(), Ok(&entry), "a frame reads back as its entry");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_frame_is_seen() {
        let entry = Entry { log_id: id(5, 1, 77), payload: EntryPayload::Normal(Payload(Bytes::from_static(b"body"))) };
        let frame = Frame::of(&entry).join();
        for bit in 0..frame.len() * 8 {
            let mut broken = frame.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(read_entry(&Bytes::from(broken)).is_err(), "bit {bit}");
        }
        for length in 0..frame.len() {
            assert!(read_entry(&frame.slice(..length)).is_err(), "cut to {length}");
        }
    }
}
