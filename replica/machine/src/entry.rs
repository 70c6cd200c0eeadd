//! The log entry: many commands that walk the road together under one time stamp.
//!
//! ```text
//!  version u8=1 | stamp_ms u64 | seed u64 | count u16 | count x { session u64 | sequence u64 | kind u8 | len u32 | bytes }
//! ```
//!
//! Session 0 means "no session": the command is applied whenever it is met. All integers are big-endian.
//!
//! Must never: change without a new version number; the golden test pins it.

use bytes::Bytes;

use crate::ids::{Destination, Format, GroupId, TimestampMs, Track};
use crate::layout::{DecodeError, Layout, Reader, Writer};
use crate::limits::{COMMANDS_PER_ENTRY_MAX, COURIER_BATCH_MAX};

const VERSION: u8 = 1;
const KIND_SYSTEM: u8 = 0;
const KIND_MACHINE: u8 = 1;
const HEADER_BYTES: usize = 1 + 8 + 8 + 2;
const COMMAND_HEADER_BYTES: usize = 8 + 8 + 1 + 4;

/// Names a request so that its repeat is answered, not applied again. Session 0 = none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId {
    /// The session, opened by [`System::OpenSession`]; 0 = none.
    pub session: u64,
    /// The request's number within the session, from 1, without gaps larger than the window.
    pub sequence: u64,
}

impl RequestId {
    /// No identity: for commands that carry their own (ids of transfers), or that may safely happen twice.
    pub const NONE: Self = Self { session: 0, sequence: 0 };
}

/// A command as it stands in an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// For the host: sessions and the courier.
    System(System),
    /// For the machine: its own layout, not decoded yet.
    Machine(Bytes),
}

/// Commands that every group understands, whatever its machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum System {
    /// Opens a session; the reply is its id (u64).
    OpenSession,
    /// Records that `source` sends, from sequence `first` on, under `epoch`.
    Deliver {
        /// The group that holds the records.
        source: GroupId,
        /// Their track.
        track: Track,
        /// The source's epoch; a lower one is refused, a higher one starts the count anew.
        epoch: u64,
        /// Sequence of the first record.
        first: u64,
        /// The records, gapless.
        records: Vec<Bytes>,
    },
    /// `target` has applied all records up to and including `upto`.
    Acknowledge {
        /// Whose they were.
        target: Destination,
        /// Last applied sequence.
        upto: u64,
    },
    /// All members know this format: the group has it from here on.
    Raise {
        /// The format.
        format: Format,
    },
}

impl Layout for System {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::OpenSession => out.u8(0),
            Self::Deliver { source, track, epoch, first, records } => {
                out.u8(1);
                Destination { group: *source, track: *track }.encode(out);
                out.u64(*epoch);
                out.u64(*first);
                out.len(records.len());
                for record in records {
                    out.bytes(record);
                }
            }
            Self::Acknowledge { target, upto } => {
                out.u8(2);
                target.encode(out);
                out.u64(*upto);
            }
            Self::Raise { format } => {
                out.u8(3);
                out.u32(format.0);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::OpenSession),
            1 => {
                let Destination { group: source, track } = Destination::decode(input)?;
                let (epoch, first) = (input.u64()?, input.u64()?);
                let count = input.count(COURIER_BATCH_MAX)?;
                let mut records = Vec::with_capacity(count);
                for _ in 0..count {
                    records.push(input.bytes()?);
                }
                Ok(Self::Deliver { source, track, epoch, first, records })
            }
            2 => Ok(Self::Acknowledge { target: Destination::decode(input)?, upto: input.u64()? }),
            3 => Ok(Self::Raise { format: Format(input.u32()?) }),
            tag => Err(DecodeError::Unknown { what: "system command", tag }),
        }
    }
}

/// Collects commands into an entry. The stamp and seed are set last, by the leader, when the entry is closed.
#[derive(Debug)]
pub struct EntryWriter {
    /// Room for the header, and the commands: the entry is finished where it stands.
    out: Writer,
    count: u16,
}

impl Default for EntryWriter {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl EntryWriter {
    /// An entry without commands, with room for `bytes` of them.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut out = Writer::with_capacity(HEADER_BYTES.saturating_add(bytes));
        out.raw(&[0; HEADER_BYTES]);
        Self { out, count: 0 }
    }

    /// Adds a command.
    pub fn push(&mut self, request: RequestId, command: &Command) {
        self.out.u64(request.session);
        self.out.u64(request.sequence);
        match command {
            Command::System(system) => {
                self.out.u8(KIND_SYSTEM);
                self.out.bytes(&system.to_bytes());
            }
            Command::Machine(bytes) => {
                self.out.u8(KIND_MACHINE);
                self.out.bytes(bytes);
            }
        }
        self.count = self.count.saturating_add(1);
    }

    /// Whether another command of `bytes` still belongs into this entry.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let full = usize::from(self.count) >= COMMANDS_PER_ENTRY_MAX;
        let after = self.out.written().saturating_add(bytes).saturating_add(COMMAND_HEADER_BYTES);
        !full && (self.count == 0 || after <= crate::limits::ENTRY_BYTES_SOFT)
    }

    /// Commands so far.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// Bytes so far.
    #[must_use]
    pub fn written(&self) -> usize {
        self.out.written()
    }

    /// Closes the entry.
    #[must_use]
    pub fn finish(mut self, now: TimestampMs, seed: u64) -> Bytes {
        let mut header = Writer::with_capacity(HEADER_BYTES);
        header.u8(VERSION);
        header.u64(now.0);
        header.u64(seed);
        header.u16(self.count);
        self.out.fill_in(&header.finish());
        self.out.finish()
    }
}

/// A decoded entry; commands are slices of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryView {
    /// Machine time as the leader stamped it; the host clamps it to its own.
    pub stamp: TimestampMs,
    /// Random bits of the entry; each command gets its own, derived from these.
    pub seed: u64,
    /// The commands in order.
    pub commands: Vec<(RequestId, Command)>,
}

impl EntryView {
    /// Reads an entry. Errors: [`DecodeError`]; a newer version is `Unknown`, which parks the group.
    pub fn decode(entry: Bytes) -> Result<Self, DecodeError> {
        let mut input = Reader::new(entry);
        let version = input.u8()?;
        if version != VERSION {
            return Err(DecodeError::Unknown { what: "entry version", tag: version });
        }
        let (stamp, seed) = (TimestampMs(input.u64()?), input.u64()?);
        let count = usize::from(input.u16()?);
        if count > COMMANDS_PER_ENTRY_MAX {
            return Err(DecodeError::Invalid("count of commands"));
        }
        let mut commands = Vec::with_capacity(count);
        for _ in 0..count {
            let request = RequestId { session: input.u64()?, sequence: input.u64()? };
            let kind = input.u8()?;
            let bytes = input.bytes()?;
            let command = match kind {
                KIND_SYSTEM => Command::System(System::from_bytes(&bytes)?),
                KIND_MACHINE => Command::Machine(bytes),
                tag => return Err(DecodeError::Unknown { what: "command kind", tag }),
            };
            commands.push((request, command));
        }
        input.end()?;
        Ok(Self { stamp, seed, commands })
    }
}
