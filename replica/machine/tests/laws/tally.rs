//! The machine of these tests: counts, passes records on, and refuses the record 13.
//!
//! Must never: forgive. What is applied twice is counted twice.

use bytes::Bytes;
use machine::{
    Answer, Command, Context, DecodeError, Destination, EntryWriter, Format, GroupId, Host, Key, Layout, LoadError,
    LogIndex, Machine, MemoryStore, Outcome, Reader, RequestId, RowSource, Rows, TimestampMs, Writer,
};

/// The group of the host under test.
pub(crate) const GROUP: GroupId = GroupId(3);
/// The row that counts what came by courier.
const ARRIVED: &[u8] = &[0x11];

/// What the machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Adds to the count, and answers the sum.
    Add(u64),
    /// Posts a record.
    Post(Destination, u64),
    /// A command of a newer release.
    Newer,
    /// A command that came with format 2.
    Later,
}

/// The machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    sum: u64,
}

/// Its reply: the sum, and the entry's time and seed as the machine saw them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum(pub u64, pub TimestampMs, pub u64);

impl Layout for Told {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Add(number) => {
                out.u8(1);
                out.u64(*number);
            }
            Self::Post(target, number) => {
                out.u8(2);
                target.encode(out);
                out.u64(*number);
            }
            Self::Newer => out.u8(9),
            Self::Later => out.u8(3),
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Add(input.u64()?)),
            2 => Ok(Self::Post(Destination::decode(input)?, input.u64()?)),
            3 => Ok(Self::Later),
            tag => Err(DecodeError::Unknown { what: "command of the tally", tag }),
        }
    }
}

impl Layout for Sum {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
        self.1.encode(out);
        out.u64(self.2);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(input.u64()?, TimestampMs::decode(input)?, input.u64()?))
    }
}

fn number_in(row: Option<&Bytes>) -> u64 {
    row.map_or(0, |value| Reader::new(value.clone()).u64().expect("a row holds a number"))
}

/// A number as a record or a row.
pub(crate) fn number(value: u64) -> Bytes {
    Bytes::copy_from_slice(&value.to_be_bytes())
}

impl Machine for Tally {
    type Command = Told;
    type Reply = Sum;

    fn since(command: &Told) -> Format {
        if *command == Told::Later { Format(2) } else { Format::FIRST }
    }

    fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        Ok(Self { sum: number_in(rows.get(&[0x10])?.as_ref()) })
    }

    fn keys(_: &Told, _: &mut Vec<Key>) {}

    fn apply(&mut self, context: &Context, command: Told, rows: &mut Rows) -> Sum {
        match command {
            Told::Add(more) => self.sum += more,
            Told::Post(target, record) => rows.post(target, number(record)),
            Told::Newer | Told::Later => {}
        }
        Sum(self.sum, context.now, context.seed)
    }

    fn seal(&mut self, rows: &mut Rows) {
        rows.put(Bytes::from_static(&[0x10]), number(self.sum));
    }

    fn record_keys(_: &Bytes, keys: &mut Vec<Key>) {
        keys.push(Bytes::from_static(ARRIVED));
    }

    fn deliver(&mut self, _: &Context, _: GroupId, record: &Bytes, rows: &mut Rows) -> Result<(), String> {
        let record = number_in(Some(record));
        if record == 13 {
            return Err("13 is full".to_owned());
        }
        let sum = number_in(rows.get(ARRIVED)) + record;
        rows.put(Bytes::from_static(ARRIVED), number(sum));
        Ok(())
    }
}

/// A host with its rows and the index it stands at.
pub(crate) struct Desk {
    pub store: MemoryStore,
    pub host: Host<Tally>,
    pub index: u64,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::knowing(Format::LATEST)
    }

    /// A host of a release that knows formats up to `known`.
    pub(crate) fn knowing(known: Format) -> Self {
        let store = MemoryStore::default();
        let host = Host::load(GROUP, &store, known).expect("no rows load");
        Self { store, host, index: 0 }
    }

    /// The sum of all records that arrived.
    pub(crate) fn arrived(&self) -> u64 {
        number_in(self.store.get(ARRIVED).expect("memory does not fail").as_ref())
    }

    /// Applies entries as one batch and commits it.
    pub(crate) fn batch(&mut self, entries: &[Bytes]) -> Outcome {
        let numbered: Vec<_> = (self.index + 1..).map(LogIndex).zip(entries.iter().cloned()).collect();
        self.index += entries.len() as u64;
        let outcome = self.host.apply(&numbered, &self.store).expect("memory does not fail");
        self.store.commit(&outcome.rows);
        outcome
    }

    /// Applies one command as an entry of its own.
    pub(crate) fn one(&mut self, now: u64, request: RequestId, command: &Command) -> Answer {
        let outcome = self.batch(&[entry(now, &[(request, command.clone())])]);
        outcome.answers.into_iter().flatten().next().expect("a command is answered")
    }

    /// Loads a second host from the rows: what a restart or a snapshot does.
    pub(crate) fn reload(&mut self) {
        self.host = self.store.host(GROUP).expect("the rows load");
    }
}

/// An entry of these commands.
pub(crate) fn entry(now: u64, commands: &[(RequestId, Command)]) -> Bytes {
    let mut writer = EntryWriter::default();
    for (request, command) in commands {
        writer.push(*request, command);
    }
    writer.finish(TimestampMs(now), now ^ 0x55)
}

/// A command of the machine.
pub(crate) fn told(command: Told) -> Command {
    Command::Machine(command.to_bytes())
}

/// The machine's reply.
pub(crate) fn sum_of(answer: &Answer) -> Sum {
    match answer {
        Answer::Reply(reply) => Sum::from_bytes(reply).expect("a reply decodes"),
        Answer::Refused(refusal) => panic!("refused: {refusal}"),
    }
}
