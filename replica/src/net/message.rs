//! The messages of the replication protocol and their layouts.
//!
//! ```text
//!  request:  version u8=1 | group u32 | kind u8 | body          answer:  0 | body,  or  1 | text of the failure
//! ```
//!
//! Must never: panic on any bytes; what does not decode is answered with a failure.

use bytes::Bytes;
use machine::{Answer, BodyRef, DecodeError, Format, GroupId, Layout, Reader, RequestId, SessionRefusal, Writer};
use openraft::raft::{AppendEntriesRequest, StreamAppendError, TransferLeaderRequest, VoteRequest, VoteResponse};

use super::parcel::{Packer, Parcel};
use crate::codec;
use crate::lineage::Lineage;
use crate::raft_types::{Config, LogId, SnapshotMeta, Vote};
use crate::state::SnapshotFile;

const VERSION: u8 = 1;
const ENTRIES_MAX: usize = 1 << 20;
const FILES_MAX: usize = 100_000;
/// What a message takes besides entries and chunks.
const MESSAGE_HEAD_BYTES: usize = 256;
/// What an entry takes besides its commands.
const ENTRY_HEAD_BYTES: usize = codec::FRAME_HEADER_BYTES + 4;

/// A request from one node to another.
#[derive(Debug)]
pub(crate) enum Request {
    Vote(VoteRequest<Config>),
    PreVote(VoteRequest<Config>),
    TransferLeader(TransferLeaderRequest<Config>),
    Append(AppendEntriesRequest<Config>),
    /// "I have this snapshot for you": answered with the bytes already received of each file.
    SnapshotOffer {
        id: u64,
        files: Vec<SnapshotFile>,
    },
    SnapshotChunk {
        id: u64,
        name: String,
        offset: u64,
        chunk: Bytes,
    },
    SnapshotInstall {
        id: u64,
        vote: Vote,
        meta: SnapshotMeta,
    },
    /// A command for the group's leader, from a node that is not it. The bytes are one `machine::Command`.
    Propose {
        request: RequestId,
        /// What the caller says to the leader's usher.
        note: u64,
        is_system: bool,
        command: Bytes,
    },
    /// "Up to which index must I have applied to read what is acknowledged now?" Answered by the leader.
    ReadIndex,
    /// "Mine is damaged: have you this body?" Answered with it, if the asked replica has it whole.
    Body {
        body: BodyRef,
    },
    /// "What do you know of this group, of me (`node`), and of the time?"
    Hello {
        node: u64,
    },
}

/// The answer to `Hello`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The group has a membership here.
    pub is_initialized: bool,
    /// The asking node votes in it.
    pub is_voter: bool,
    /// The highest index the asked node, as leader, has seen acknowledged by the asking one.
    pub acknowledged: Option<u64>,
    /// The asked node's wall clock, milliseconds.
    pub wall_ms: u64,
    /// The latest format the asked node knows.
    pub known: Format,
    /// The asked node's lineage; it stands in the message if it has one.
    pub lineage: Lineage,
}

/// The answer to `Propose`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProposeAnswer {
    Applied {
        answer: Answer,
        log_id: LogId,
        /// What the leader's usher says.
        word: u64,
    },
    /// Surely not applied.
    NotApplied(String),
    /// It may have been applied, or may be yet.
    Unknown(String),
    /// Surely not applied: the leader's usher did not let it on.
    TurnedAway { word: u64 },
}

impl Request {
    pub(crate) fn encode(&self, group: GroupId) -> Bytes {
        self.pack(group).join()
    }

    /// The message in parts.
    pub(crate) fn pack(&self, group: GroupId) -> Parcel {
        let mut packer = Packer::with_capacity(self.size_hint());
        let out = &mut packer.out;
        out.u8(VERSION);
        out.u32(group.0);
        match self {
            Self::Vote(vote) => write_vote_request(out, 1, vote),
            Self::PreVote(vote) => write_vote_request(out, 2, vote),
            Self::TransferLeader(transfer) => {
                out.u8(3);
                codec::write_vote(out, transfer.from_leader());
                out.u64(*transfer.to_node_id());
                codec::write_optional_log_id(out, transfer.last_log_id());
            }
            Self::Append(append) => write_append(&mut packer, append),
            Self::SnapshotOffer { id, files } => {
                out.u8(5);
                out.u64(*id);
                out.len(files.len());
                for file in files {
                    out.str(&file.name);
                    out.u64(file.bytes);
                }
            }
            Self::SnapshotChunk { id, name, offset, chunk } => {
                out.u8(6);
                out.u64(*id);
                out.str(name);
                out.u64(*offset);
                out.u32(crc32fast::hash(chunk));
                out.bytes(chunk);
            }
            Self::SnapshotInstall { id, vote, meta } => {
                out.u8(7);
                out.u64(*id);
                codec::write_vote(out, vote);
                codec::write_snapshot_meta(out, meta);
            }
            Self::Propose { request, note, is_system, command } => {
                out.u8(8);
                out.u64(request.session);
                out.u64(request.sequence);
                out.u64(*note);
                out.bool(*is_system);
                out.bytes(command);
            }
            Self::ReadIndex => out.u8(10),
            Self::Body { body } => {
                out.u8(11);
                body.encode(out);
            }
            Self::Hello { node } => {
                out.u8(9);
                out.u64(*node);
            }
        }
        packer.finish()
    }

    /// Bytes of the message that are copied, or a little more.
    fn size_hint(&self) -> usize {
        MESSAGE_HEAD_BYTES
            + match self {
                Self::Append(append) => {
                    let copied = |entry| Packer::copied(codec::payload_bytes(entry)) + ENTRY_HEAD_BYTES;
                    append.entries.iter().map(copied).sum()
                }
                Self::SnapshotChunk { chunk, .. } => chunk.len(),
                Self::Propose { command, .. } => command.len(),
                _ => 0,
            }
    }

    pub(crate) fn decode(bytes: Bytes) -> Result<(GroupId, Self), DecodeError> {
        let mut input = Reader::new(bytes);
        let version = input.u8()?;
        if version != VERSION {
            return Err(DecodeError::Unknown { what: "protocol version", tag: version });
        }
        let group = GroupId(input.u32()?);
        let request = match input.u8()? {
            1 => Self::Vote(read_vote_request(&mut input)?),
            2 => Self::PreVote(read_vote_request(&mut input)?),
            3 => {
                let (from, to) = (codec::read_vote(&mut input)?, input.u64()?);
                Self::TransferLeader(TransferLeaderRequest::new(from, to, codec::read_optional_log_id(&mut input)?))
            }
            4 => Self::Append(read_append(&mut input)?),
            5 => Self::SnapshotOffer { id: input.u64()?, files: read_files(&mut input)? },
            6 => {
                let (id, name, offset, checksum) = (input.u64()?, input.str()?, input.u64()?, input.u32()?);
                let chunk = input.bytes()?;
                if crc32fast::hash(&chunk) != checksum {
                    return Err(DecodeError::Invalid("checksum of a snapshot chunk"));
                }
                Self::SnapshotChunk { id, name, offset, chunk }
            }
            7 => Self::SnapshotInstall {
                id: input.u64()?,
                vote: codec::read_vote(&mut input)?,
                meta: codec::read_snapshot_meta(&mut input)?,
            },
            8 => {
                let request = RequestId { session: input.u64()?, sequence: input.u64()? };
                let (note, is_system) = (input.u64()?, input.bool()?);
                Self::Propose { request, note, is_system, command: input.bytes()? }
            }
            9 => Self::Hello { node: input.u64()? },
            10 => Self::ReadIndex,
            11 => Self::Body { body: BodyRef::decode(&mut input)? },
            tag => return Err(DecodeError::Unknown { what: "protocol message", tag }),
        };
        input.end()?;
        Ok((group, request))
    }
}

fn write_vote_request(out: &mut Writer, kind: u8, request: &VoteRequest<Config>) {
    out.u8(kind);
    codec::write_vote(out, &request.vote);
    codec::write_optional_log_id(out, request.last_log_id.as_ref());
    out.bool(request.leadership_transfer);
}

fn read_vote_request(input: &mut Reader) -> Result<VoteRequest<Config>, DecodeError> {
    let mut request = VoteRequest::new(codec::read_vote(input)?, codec::read_optional_log_id(input)?);
    request.leadership_transfer = input.bool()?;
    Ok(request)
}

fn write_append(packer: &mut Packer, append: &AppendEntriesRequest<Config>) {
    let out = &mut packer.out;
    out.u8(4);
    codec::write_vote(out, &append.vote);
    codec::write_optional_log_id(out, append.prev_log_id.as_ref());
    codec::write_optional_log_id(out, append.leader_commit.as_ref());
    out.len(append.entries.len());
    for entry in &append.entries {
        let frame = codec::Frame::of(entry);
        packer.out.len(frame.len());
        packer.out.raw(&frame.head);
        packer.add(&frame.payload);
    }
}

fn read_append(input: &mut Reader) -> Result<AppendEntriesRequest<Config>, DecodeError> {
    let vote = codec::read_vote(input)?;
    let prev_log_id = codec::read_optional_log_id(input)?;
    let leader_commit = codec::read_optional_log_id(input)?;
    let mut entries = Vec::new();
    for _ in 0..input.count(ENTRIES_MAX)? {
        entries.push(codec::read_entry(&input.bytes()?)?);
    }
    Ok(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
}

fn read_files(input: &mut Reader) -> Result<Vec<SnapshotFile>, DecodeError> {
    let mut files = Vec::new();
    for _ in 0..input.count(FILES_MAX)? {
        files.push(SnapshotFile { name: input.str()?, bytes: input.u64()? });
    }
    Ok(files)
}

pub(crate) fn write_vote_response(response: &VoteResponse<Config>) -> Bytes {
    let mut out = Writer::default();
    codec::write_vote(&mut out, &response.vote);
    out.bool(response.vote_granted);
    codec::write_optional_log_id(&mut out, response.last_log_id.as_ref());
    out.finish()
}

pub(crate) fn read_vote_response(body: Bytes) -> Result<VoteResponse<Config>, DecodeError> {
    let mut input = Reader::new(body);
    let (vote, is_granted) = (codec::read_vote(&mut input)?, input.bool()?);
    Ok(VoteResponse::new(vote, codec::read_optional_log_id(&mut input)?, is_granted))
}

/// What a follower says to one append request.
pub(crate) type AppendResult = Result<Option<LogId>, StreamAppendError<Config>>;

pub(crate) fn write_append_result(result: &AppendResult) -> Bytes {
    let mut out = Writer::default();
    match result {
        Ok(matched) => {
            out.u8(0);
            codec::write_optional_log_id(&mut out, matched.as_ref());
        }
        Err(StreamAppendError::Conflict(at)) => {
            out.u8(1);
            codec::write_log_id(&mut out, at);
        }
        Err(StreamAppendError::HigherVote(vote)) => {
            out.u8(2);
            codec::write_vote(&mut out, vote);
        }
    }
    out.finish()
}

pub(crate) fn read_append_result(body: Bytes) -> Result<AppendResult, DecodeError> {
    let mut input = Reader::new(body);
    Ok(match input.u8()? {
        0 => Ok(codec::read_optional_log_id(&mut input)?),
        1 => Err(StreamAppendError::Conflict(codec::read_log_id(&mut input)?)),
        2 => Err(StreamAppendError::HigherVote(codec::read_vote(&mut input)?)),
        tag => return Err(DecodeError::Unknown { what: "append result", tag }),
    })
}

impl Layout for Hello {
    fn encode(&self, out: &mut Writer) {
        out.bool(self.is_initialized);
        out.bool(self.is_voter);
        out.bool(self.acknowledged.is_some());
        out.u64(self.acknowledged.unwrap_or(0));
        out.u64(self.wall_ms);
        out.u32(self.known.0);
        if self.lineage != Lineage::NONE {
            out.u64(self.lineage.number());
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let (is_initialized, is_voter) = (input.bool()?, input.bool()?);
        let (is_known, index) = (input.bool()?, input.u64()?);
        let (acknowledged, wall_ms) = (is_known.then_some(index), input.u64()?);
        let known = Format(input.u32()?);
        let lineage = if input.left() > 0 { Lineage::of(input.u64()?) } else { Lineage::NONE };
        Ok(Self { is_initialized, is_voter, acknowledged, wall_ms, known, lineage })
    }
}

impl Layout for ProposeAnswer {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Applied { answer: Answer::Reply(reply), log_id, word } => {
                out.u8(0);
                codec::write_log_id(out, log_id);
                out.u64(*word);
                out.bytes(reply);
            }
            Self::Applied { answer: Answer::Refused(refusal), log_id, word } => {
                out.u8(1);
                codec::write_log_id(out, log_id);
                out.u64(*word);
                out.u16(*refusal as u16);
            }
            Self::NotApplied(reason) => {
                out.u8(2);
                out.str(reason);
            }
            Self::Unknown(reason) => {
                out.u8(3);
                out.str(reason);
            }
            Self::TurnedAway { word } => {
                out.u8(4);
                out.u64(*word);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => {
                let (log_id, word) = (codec::read_log_id(input)?, input.u64()?);
                Self::Applied { answer: Answer::Reply(input.bytes()?), log_id, word }
            }
            1 => {
                let (log_id, word) = (codec::read_log_id(input)?, input.u64()?);
                let refusal = match input.u16()? {
                    1 => SessionRefusal::RequestTooOld,
                    2 => SessionRefusal::TooManySessions,
                    _ => return Err(DecodeError::Invalid("session refusal")),
                };
                Self::Applied { answer: Answer::Refused(refusal), log_id, word }
            }
            2 => Self::NotApplied(input.str()?),
            3 => Self::Unknown(input.str()?),
            4 => Self::TurnedAway { word: input.u64()? },
            tag => return Err(DecodeError::Unknown { what: "answer to a proposal", tag }),
        })
    }
}

/// Wraps an answer for the wire.
pub(crate) fn write_answer(answer: Result<Bytes, String>) -> Bytes {
    let mut out = Writer::default();
    match answer {
        Ok(body) => {
            out.u8(0);
            out.raw(&body);
        }
        Err(text) => {
            out.u8(1);
            out.raw(text.as_bytes());
        }
    }
    out.finish()
}

/// Unwraps an answer: the body, or the failure's text.
pub(crate) fn read_answer(answer: Bytes) -> Result<Bytes, String> {
    let mut input = Reader::new(answer);
    let status = input.u8().map_err(|error| error.to_string())?;
    let left = input.left();
    let body = input.raw(left).map_err(|error| error.to_string())?;
    if status == 0 { Ok(body) } else { Err(String::from_utf8_lossy(&body).into_owned()) }
}
