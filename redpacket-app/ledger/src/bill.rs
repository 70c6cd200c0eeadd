//! Bills: a customer's journal entries in order.
//!
//! ```text
//!  row 0x16 account u128, number u64 -> version u8=1          the entry itself stands in the journal, once
//! ```
//!
//! Why: the bill is an index, so a transfer costs two short rows and can never differ from the journal. The ledger's own
//! accounts have none: they are busy, and only the audit reads them.
//!
//! Must never: show an entry that does not touch the account.

use bytes::Bytes;
use machine::{DecodeError, Layout, Reader, Writer};

use crate::fen::Fen;
use crate::ids::JournalNumber;
use crate::journal::JournalEntry;

const VERSION: u8 = 1;

/// The row under a bill's key, which says all.
pub(crate) const BILL_ROW: Bytes = Bytes::from_static(&[VERSION]);

/// A bill's row as it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BillRow;

impl Layout for BillRow {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            VERSION => Ok(Self),
            tag => Err(DecodeError::Unknown { what: "bill version", tag }),
        }
    }
}

/// From which end a bill is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillOrder {
    /// Newest first.
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// One line of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillLine {
    /// Its place in the shard's journal.
    pub number: JournalNumber,
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
    /// Lines in the order that was asked for.
    pub lines: Vec<BillLine>,
    /// Cursor of the next page; `None`: this is the last.
    pub next: Option<JournalNumber>,
}
