//! The host: runs one machine over entries, with sessions and the courier around it. Pure, like the machine.
//!
//! Why: what every machine needs (a repeat is answered, time never goes back, records cross groups once) is decided in
//! the same deterministic pass as the machine's own commands, and is therefore equal on every replica.
//!
//! Must never: answer before the caller has committed the rows it returns.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::contract::{Context, LoadError, Machine};
use crate::courier::{Courier, CourierStatus, Delivery, Record};
use crate::entry::{Command, EntryView, RequestId, System};
use crate::ids::{Destination, Format, GroupId, LogIndex, TimestampMs, Track};
use crate::layout::{DecodeError, Layout, Reader, Writer};
use crate::rows::{Key, RowSource, Rows, StoreFailure};
use crate::session::{Seen, SessionRefusal, SessionTable};

const STAMP: u8 = 0x07;
/// The group's format; absent while it is the first.
const FORMAT: u8 = 0x08;
/// Odd constant of the SplitMix64 generator (Steele, Lea, Flood 2014): spreads one entry seed over its commands.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What became of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The machine's reply (its layout), or the reply to a system command.
    Reply(Bytes),
    /// Not applied: the request id is unusable.
    Refused(SessionRefusal),
}

/// A committed entry that this build cannot apply. The group stands still and says so; a newer build goes on from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The entry.
    pub index: LogIndex,
    /// Why it does not decode.
    pub error: DecodeError,
}

/// The result of a batch: rows to commit, then answers to hand out, entry by entry.
#[derive(Debug)]
pub struct Outcome {
    /// Row and body changes of the whole batch.
    pub rows: Rows,
    /// One list per applied entry, one answer per command.
    pub answers: Vec<Vec<Answer>>,
    /// Set if the batch ended early, at an entry that cannot be applied.
    pub parked: Option<Parked>,
}

enum Decoded<M: Machine> {
    System(System),
    Machine(M::Command),
}

struct Work<M: Machine> {
    index: LogIndex,
    stamp: TimestampMs,
    seed: u64,
    commands: Vec<(RequestId, Decoded<M>)>,
}

/// Records of another group, as they arrive.
struct Shipment {
    source: GroupId,
    track: Track,
    epoch: u64,
    first: u64,
    records: Vec<Bytes>,
}

/// One machine with its sessions, its courier and its clock.
#[derive(Debug)]
pub struct Host<M> {
    group: GroupId,
    machine: M,
    sessions: SessionTable,
    courier: Courier,
    now: TimestampMs,
    format: Format,
    known: Format,
}

impl<M: Machine> Host<M> {
    /// Rebuilds the host of `group` from rows, as a process that knows formats up to `known`.
    pub fn load(group: GroupId, rows: &dyn RowSource, known: Format) -> Result<Self, LoadError> {
        let now = match rows.get(&[STAMP])? {
            Some(value) => TimestampMs(Reader::new(value).u64().map_err(|error| LoadError::row(&[STAMP], error))?),
            None => TimestampMs(0),
        };
        let format = match rows.get(&[FORMAT])? {
            Some(value) => Format(Reader::new(value).u32().map_err(|error| LoadError::row(&[FORMAT], error))?),
            None => Format::FIRST,
        };
        // Before the machine is asked: it could not say why a row is strange to it.
        if format > known {
            return Err(LoadError::Newer { found: format, known });
        }
        Ok(Self {
            format,
            known,
            group,
            machine: M::load(rows)?,
            sessions: SessionTable::load(rows)?,
            courier: Courier::load(rows)?,
            now,
        })
    }

    /// The machine, for reads.
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// Machine time: the stamp of the last applied entry.
    pub const fn now(&self) -> TimestampMs {
        self.now
    }

    /// The group's format.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The latest format that this process knows.
    pub const fn known(&self) -> Format {
        self.known
    }

    /// The courier's epoch of this group as a source.
    pub const fn epoch(&self) -> u64 {
        self.courier.epoch()
    }

    /// The reply that `request` got before, if its session still holds it. Errors: the rows cannot be read.
    pub fn former(&self, request: RequestId, rows: &dyn RowSource) -> Result<Option<Bytes>, StoreFailure> {
        match self.sessions.seen(request) {
            Seen::Repeat(key) => {
                let row = rows.get(&key)?;
                Ok(self.sessions.former(request, || row.as_ref()))
            }
            Seen::Fresh | Seen::Refused(_) => Ok(None),
        }
    }

    /// Destinations that have records waiting.
    pub fn courier_status(&self) -> Vec<CourierStatus> {
        self.courier.status()
    }

    /// Records waiting for `target`, from the first on.
    pub fn courier_records(
        &self,
        target: impl Into<Destination>,
        bytes_max: usize,
        rows: &dyn RowSource,
    ) -> Result<Vec<Record>, StoreFailure> {
        self.courier.waiting(target.into(), bytes_max, rows)
    }

    /// Applies committed entries in order. Errors: rows could not be read; nothing was applied then.
    pub fn apply(&mut self, entries: &[(LogIndex, Bytes)], source: &dyn RowSource) -> Result<Outcome, StoreFailure> {
        let (work, parked) = decode_entries::<M>(entries, self.known);
        let mut rows = Rows::new(self.load_named(&work, source)?);
        let mut answers = Vec::with_capacity(work.len());
        for entry in work {
            self.now = self.now.max(entry.stamp);
            let mut replies = Vec::with_capacity(entry.commands.len());
            for (ordinal, (request, command)) in (0_u64..).zip(entry.commands) {
                let seed = mix(entry.seed.wrapping_add(GOLDEN.wrapping_mul(ordinal.wrapping_add(1))));
                let (group, format) = (self.group, self.format);
                let context = Context { group, index: entry.index, now: self.now, seed, format };
                replies.push(self.answer(&context, ordinal, request, command, &mut rows));
            }
            self.sessions.seal(entry.index, &mut rows);
            answers.push(replies);
        }
        self.machine.seal(&mut rows);
        let mut stamp = Writer::with_capacity(8);
        self.now.encode(&mut stamp);
        rows.put(Bytes::from_static(&[STAMP]), stamp.finish());
        Ok(Outcome { rows, answers, parked })
    }

    /// Reads the rows that a batch names, and the former replies of what it repeats. Errors: the store failed, or has lost
    /// a reply.
    fn load_named(
        &self,
        work: &[Work<M>],
        source: &dyn RowSource,
    ) -> Result<BTreeMap<Key, Option<Bytes>>, StoreFailure> {
        let (mut keys, mut replies) = (Vec::new(), Vec::new());
        for (request, command) in work.iter().flat_map(|entry| &entry.commands) {
            if let Seen::Repeat(key) = self.sessions.seen(*request) {
                replies.push(key);
                continue;
            }
            match command {
                Decoded::Machine(command) => M::keys(command, &mut keys),
                Decoded::System(System::Deliver { records, .. }) => {
                    for record in records {
                        M::record_keys(record, &mut keys);
                    }
                }
                Decoded::System(_) => {}
            }
        }
        keys.extend(replies.iter().cloned());
        keys.sort_unstable();
        keys.dedup();
        let values = source.get_many(&keys)?;
        let named: BTreeMap<_, _> = keys.into_iter().zip(values).collect();
        match replies.iter().any(|key| named.get(key).is_none_or(Option::is_none)) {
            true => Err(StoreFailure("a former reply is missing".to_owned())),
            false => Ok(named),
        }
    }

    fn answer(
        &mut self,
        context: &Context,
        ordinal: u64,
        request: RequestId,
        command: Decoded<M>,
        rows: &mut Rows,
    ) -> Answer {
        match self.sessions.seen(request) {
            Seen::Fresh => {}
            Seen::Repeat(key) => {
                return Answer::Reply(self.sessions.former(request, || rows.get(&key)).unwrap_or_default());
            }
            Seen::Refused(refusal) => return Answer::Refused(refusal),
        }
        let answer = match command {
            Decoded::System(system) => self.answer_system(context, ordinal, system, rows),
            Decoded::Machine(command) => Answer::Reply(self.machine.apply(context, command, rows).to_bytes()),
        };
        for (target, record) in rows.take_posts() {
            self.courier.post(target, record, rows);
        }
        if let Answer::Reply(reply) = &answer
            && request.session != 0
        {
            self.sessions.remember(request, reply.clone(), context.index, context.now);
        }
        answer
    }

    fn answer_system(&mut self, context: &Context, ordinal: u64, system: System, rows: &mut Rows) -> Answer {
        match system {
            System::OpenSession => {
                // Unique in the group: an entry holds fewer than 2^16 commands.
                let id = context.index.0.wrapping_shl(16) | ordinal;
                match self.sessions.open(id, context.now, rows) {
                    Ok(id) => {
                        let mut out = Writer::with_capacity(8);
                        out.u64(id);
                        Answer::Reply(out.finish())
                    }
                    Err(refusal) => Answer::Refused(refusal),
                }
            }
            System::Deliver { source, track, epoch, first, records } => {
                let shipment = Shipment { source, track, epoch, first, records };
                Answer::Reply(self.deliver(context, &shipment, rows).to_bytes())
            }
            System::Acknowledge { target, upto } => {
                self.courier.acknowledge(target, upto, rows);
                Answer::Reply(Bytes::new())
            }
            System::Raise { format } => {
                if format > self.format {
                    self.format = format;
                    let mut row = Writer::with_capacity(4);
                    row.u32(format.0);
                    rows.put(Bytes::from_static(&[FORMAT]), row.finish());
                }
                Answer::Reply(Bytes::new())
            }
        }
    }

    fn deliver(&mut self, context: &Context, shipment: &Shipment, rows: &mut Rows) -> Delivery {
        let Shipment { source, track, epoch, first, records } = shipment;
        let Some(mut applied) = self.courier.last(*source, *track, *epoch) else {
            return Delivery { applied: 0, refused: Some("the source's epoch is an old one".to_owned()) };
        };
        let mut refused = None;
        for (sequence, record) in (*first..).zip(records) {
            let expected = applied.saturating_add(1);
            if sequence < expected {
                continue;
            }
            if sequence > expected {
                refused = Some(format!("record {expected} is missing"));
                break;
            }
            match self.machine.deliver(context, *source, record, rows) {
                Ok(()) => applied = sequence,
                Err(reason) => {
                    refused = Some(reason);
                    break;
                }
            }
        }
        self.courier.applied((*source, *track), *epoch, applied, rows);
        Delivery { applied, refused }
    }
}

fn decode_entries<M: Machine>(entries: &[(LogIndex, Bytes)], known: Format) -> (Vec<Work<M>>, Option<Parked>) {
    let mut work = Vec::with_capacity(entries.len());
    for (index, bytes) in entries {
        match decode_entry(*index, bytes.clone(), known) {
            Ok(entry) => work.push(entry),
            Err(error) => return (work, Some(Parked { index: *index, error })),
        }
    }
    (work, None)
}

fn decode_entry<M: Machine>(index: LogIndex, bytes: Bytes, known: Format) -> Result<Work<M>, DecodeError> {
    let view = EntryView::decode(bytes)?;
    let is_known = |what, format: Format| match format <= known {
        true => Ok(()),
        false => Err(DecodeError::Newer { what, format: format.0, known: known.0 }),
    };
    let mut commands = Vec::with_capacity(view.commands.len());
    for (request, command) in view.commands {
        let decoded = match command {
            Command::System(system) => {
                if let System::Raise { format } = &system {
                    is_known("rise of the group", *format)?;
                }
                Decoded::System(system)
            }
            Command::Machine(bytes) => {
                let command = M::Command::from_bytes(&bytes)?;
                is_known("command", M::since(&command))?;
                Decoded::Machine(command)
            }
        };
        commands.push((request, decoded));
    }
    Ok(Work { index, stamp: view.stamp, seed: view.seed, commands })
}

/// The finishing step of SplitMix64.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
