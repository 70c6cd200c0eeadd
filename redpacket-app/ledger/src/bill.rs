//! Bills: a customer's journal entries in order, each with its kind.
//!
//! ```text
//!  account row ... | lines packed | line, line ...              the newest, at most sixteen
//!  row 0x16 account u128, first number u64 -> version u8=1 | line, line ...
//!  line: packed (number - number of the line before) x 8 + kind; the first one's number in full
//! ```
//!
//! Why: the entry itself stands in the journal, once. The newest lines lie in the account's row, which a transfer writes
//! anyway; only every sixteenth line costs a row. The ledger's own accounts have no bill: they are busy, and only the
//! audit reads them.
//!
//! Must never: show an entry that does not touch the account.

use bytes::Bytes;
use machine::{DecodeError, Layout, Reader, Writer};

use crate::fen::Fen;
use crate::ids::JournalNumber;
use crate::journal::JournalEntry;
use crate::limits::{BILL_CHUNK_BYTES, BILL_CHUNK_LINES};
use crate::packed;

const VERSION: u8 = 1;

/// What a line of a bill is about. Numbered, never renumbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum BillKind {
    /// Money from the outside world.
    Funded = 0,
    /// Money to the outside world.
    Withdrawn = 1,
    /// A transfer, a posted hold, or a payment between shards.
    Transfer = 2,
    /// The payment of a red packet.
    Packet = 3,
    /// A share of a red packet.
    Credit = 4,
    /// What was left of a red packet.
    Refund = 5,
    /// A payment to another shard that could not land there, and came back.
    Returned = 6,
    /// The payment of a merchant's order, or what went back of it; the sign says which way.
    Payment = 7,
}

impl BillKind {
    /// All kinds, by number.
    pub const ALL: [Self; 8] = [
        Self::Funded,
        Self::Withdrawn,
        Self::Transfer,
        Self::Packet,
        Self::Credit,
        Self::Refund,
        Self::Returned,
        Self::Payment,
    ];

    fn of_number(number: u64) -> Result<Self, DecodeError> {
        let place = usize::try_from(number).ok();
        place.and_then(|place| Self::ALL.get(place)).copied().ok_or(DecodeError::Invalid("kind of a bill's line"))
    }
}

/// A line as it is kept.
pub(crate) type Line = (JournalNumber, BillKind);

/// The newest lines of a bill, as the account's row keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillTail {
    /// Lines of the whole bill.
    pub lines: u64,
    length: u8,
    bytes: [u8; BILL_CHUNK_BYTES],
}

impl BillTail {
    /// Of an account that nothing has touched.
    pub(crate) const EMPTY: Self = Self { lines: 0, length: 0, bytes: [0; BILL_CHUNK_BYTES] };

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Its lines, the oldest first.
    pub(crate) fn read(&self) -> Result<Vec<Line>, DecodeError> {
        read_lines(self.as_slice())
    }

    /// Adds a line. `Some`: the tail is full and was emptied into this row.
    pub(crate) fn push(&mut self, number: JournalNumber, kind: BillKind) -> Option<BillChunk> {
        let mut lines: u8 = 0;
        let last = fold_lines(self.as_slice(), &mut |_| lines = lines.saturating_add(1)).unwrap_or_default();
        let step = number.0.wrapping_sub(last.0);
        let (bytes, length) = packed::bytes_of(step.wrapping_shl(3) | u64::from(kind as u8));
        let start = usize::from(self.length);
        let end = start.saturating_add(length);
        let place = self.bytes.get_mut(start..end).zip(bytes.get(..length));
        assert!(place.is_some(), "a full tail was emptied before");
        if let Some((place, line)) = place {
            place.copy_from_slice(line);
        }
        self.length = u8::try_from(end).unwrap_or(u8::MAX);
        self.lines = self.lines.saturating_add(1);
        let room = BILL_CHUNK_BYTES.saturating_sub(end);
        if lines.saturating_add(1) < BILL_CHUNK_LINES && room >= packed::PACKED_BYTES_MAX {
            return None;
        }
        let first = read_first(self.as_slice()).unwrap_or(number);
        let row = Bytes::copy_from_slice(&[&[VERSION], self.as_slice()].concat());
        *self = Self { lines: self.lines, ..Self::EMPTY };
        Some(BillChunk { first, row })
    }
}

impl Layout for BillTail {
    fn encode(&self, out: &mut Writer) {
        packed::put(out, self.lines);
        out.u8(self.length);
        out.raw(self.as_slice());
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let mut tail = Self { lines: packed::get(input)?, length: input.u8()?, ..Self::EMPTY };
        let raw = input.raw(usize::from(tail.length))?;
        let place = tail.bytes.get_mut(..raw.len()).ok_or(DecodeError::Invalid("length of a bill's tail"))?;
        place.copy_from_slice(&raw);
        Ok(tail)
    }
}

/// A row of lines.
pub(crate) struct BillChunk {
    /// The first line's number.
    pub(crate) first: JournalNumber,
    /// The row.
    pub(crate) row: Bytes,
}

/// The lines of a row, the oldest first.
pub(crate) fn read_chunk(row: &[u8]) -> Result<Vec<Line>, DecodeError> {
    match row.split_first() {
        Some((&VERSION, lines)) => read_lines(lines),
        Some((tag, _)) => Err(DecodeError::Unknown { what: "bill version", tag: *tag }),
        None => Err(DecodeError::Short),
    }
}

fn read_first(lines: &[u8]) -> Result<JournalNumber, DecodeError> {
    let mut bytes = lines.iter().copied();
    let line = packed::fold(|| bytes.next().ok_or(DecodeError::Short))?;
    Ok(JournalNumber(line >> 3))
}

fn read_lines(lines: &[u8]) -> Result<Vec<Line>, DecodeError> {
    let mut read = Vec::with_capacity(usize::from(BILL_CHUNK_LINES));
    let mut broken = None;
    fold_lines(lines, &mut |(number, kind)| match BillKind::of_number(kind) {
        Ok(kind) => read.push((number, kind)),
        Err(error) => broken = Some(error),
    })?;
    broken.map_or(Ok(read), Err)
}

/// Visits lines as (number, kind's number); answers with the last number.
fn fold_lines(lines: &[u8], visit: &mut dyn FnMut((JournalNumber, u64))) -> Result<JournalNumber, DecodeError> {
    let (mut bytes, mut last) = (lines.iter().copied().peekable(), 0_u64);
    while bytes.peek().is_some() {
        let line = packed::fold(|| bytes.next().ok_or(DecodeError::Short))?;
        last = last.wrapping_add(line >> 3);
        visit((JournalNumber(last), line & 7));
    }
    Ok(JournalNumber(last))
}

/// From which end a bill is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BillOrder {
    /// Newest first.
    #[default]
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// Which lines of a bill are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BillQuery {
    /// From which end.
    pub order: BillOrder,
    /// Booked at this machine time or later; `None`: from the first on.
    pub from: Option<machine::TimestampMs>,
    /// Booked before this machine time; `None`: up to the newest.
    pub before: Option<machine::TimestampMs>,
    /// Of these kinds; empty: of all.
    pub kinds: Vec<BillKind>,
    /// The `next` of the page before; `None`: from the end that `order` names.
    pub cursor: Option<JournalNumber>,
    /// Most lines of the page; `PAGE_MAX` bounds it.
    pub limit: usize,
}

/// One line of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillLine {
    /// Its place in the shard's journal.
    pub number: JournalNumber,
    /// What it is about.
    pub kind: BillKind,
    /// What it did to the account: positive for a credit.
    pub change: Fen,
    /// The account's balance behind it.
    pub balance: Fen,
    /// The entry.
    pub entry: JournalEntry,
}

/// A page of a bill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BillPage {
    /// Lines in the order that was asked for. A filtered page may be short and yet not the last.
    pub lines: Vec<BillLine>,
    /// Cursor of the next page; `None`: this is the last.
    pub next: Option<JournalNumber>,
}
