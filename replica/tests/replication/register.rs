//! The machine of these tests: counts how often each numbered write was applied, and passes records on.
//!
//! ```text
//!  0x10 client u32 number u64  -> times u64           0x11 client u32 -> number u64   the register
//!  0x12                        -> total u64           0x13 source u32 number u64 -> times u64
//! ```
//!
//! Must never: forgive. A write applied twice is counted twice, so that the tests see it.

use bytes::Bytes;
use machine::{
    BodyRef, Context, DecodeError, Format, GroupId, Key, Layout, LoadError, Machine, Reader, RowSource, Rows,
    TimestampMs, Writer,
};

/// What the machine is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Sets the client's register to `number` and counts it. A body is kept under the total so far.
    Write { client: u32, number: u64, body: Bytes },
    /// Posts `number` to another group.
    Post { target: GroupId, number: u64 },
    /// A command that came with format 2.
    Newer,
    /// The same, from who does not say so: as a fault in the gate would bring it into a log.
    Smuggled,
}

/// What it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The entry.
    pub index: u64,
    /// Its machine time.
    pub stamp: TimestampMs,
    /// Commands applied so far.
    pub total: u64,
}

/// The machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Register {
    total: u64,
}

impl Register {
    /// Commands applied so far.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

/// The row that counts how often a write was applied.
pub(crate) fn times_key(client: u32, number: u64) -> Key {
    key(0x10, client, number)
}

/// The row that counts how often a record arrived.
pub(crate) fn arrived_key(source: GroupId, number: u64) -> Key {
    key(0x13, source.0, number)
}

/// The row of a client's register.
pub(crate) fn register_key(client: u32) -> Key {
    let mut out = Writer::with_capacity(5);
    out.u8(0x11);
    out.u32(client);
    out.finish()
}

/// A number as a row's value.
pub(crate) fn number_in(row: Option<&Bytes>) -> u64 {
    row.map_or(0, |value| Reader::new(value.clone()).u64().expect("a row holds a number"))
}

fn key(kind: u8, first: u32, second: u64) -> Key {
    let mut out = Writer::with_capacity(13);
    out.u8(kind);
    out.u32(first);
    out.u64(second);
    out.finish()
}

fn number(value: u64) -> Bytes {
    Bytes::copy_from_slice(&value.to_be_bytes())
}

fn count_up(rows: &mut Rows, key: Key) {
    let times = number_in(rows.get(&key)) + 1;
    rows.put(key, number(times));
}

impl Machine for Register {
    type Command = Command;
    type Reply = Written;

    fn since(command: &Command) -> Format {
        if *command == Command::Newer { Format(2) } else { Format::FIRST }
    }

    fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        Ok(Self { total: number_in(rows.get(&[0x12])?.as_ref()) })
    }

    fn keys(command: &Command, keys: &mut Vec<Key>) {
        if let Command::Write { client, number, .. } = command {
            keys.push(times_key(*client, *number));
        }
    }

    fn apply(&mut self, context: &Context, command: Command, rows: &mut Rows) -> Written {
        self.total += 1;
        match command {
            Command::Write { client, number: written, body } => {
                count_up(rows, times_key(client, written));
                rows.put(register_key(client), number(written));
                if !body.is_empty() {
                    rows.keep_body(BodyRef(self.total), body);
                }
            }
            Command::Post { target, number: record } => rows.post(target, number(record)),
            Command::Newer | Command::Smuggled => {}
        }
        Written { index: context.index.0, stamp: context.now, total: self.total }
    }

    fn seal(&mut self, rows: &mut Rows) {
        rows.put(Bytes::from_static(&[0x12]), number(self.total));
    }

    fn record_keys(record: &Bytes, keys: &mut Vec<Key>) {
        // The source is not known here: all groups of these tests are named.
        keys.extend((0..8).map(|source| arrived_key(GroupId(source), number_in(Some(record)))));
    }

    fn deliver(&mut self, _: &Context, source: GroupId, record: &Bytes, rows: &mut Rows) -> Result<(), String> {
        count_up(rows, arrived_key(source, number_in(Some(record))));
        Ok(())
    }
}

impl Layout for Command {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Write { client, number, body } => {
                out.u8(1);
                out.u32(*client);
                out.u64(*number);
                out.bytes(body);
            }
            Self::Post { target, number } => {
                out.u8(2);
                out.u32(target.0);
                out.u64(*number);
            }
            Self::Newer | Self::Smuggled => out.u8(9),
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Write { client: input.u32()?, number: input.u64()?, body: input.bytes()? }),
            2 => Ok(Self::Post { target: GroupId(input.u32()?), number: input.u64()? }),
            9 => Ok(Self::Newer),
            tag => Err(DecodeError::Unknown { what: "command of the register", tag }),
        }
    }
}

impl Layout for Written {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.index);
        self.stamp.encode(out);
        out.u64(self.total);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { index: input.u64()?, stamp: TimestampMs::decode(input)?, total: input.u64()? })
    }
}
