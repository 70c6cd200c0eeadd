//! The machine of one shard: commands and courier records in, replies and row changes out.
//!
//! Must never: keep in memory what grows with accounts or transfers.

use bytes::Bytes;
use machine::{Context, GroupId, Key, Layout, LoadError, Machine, RowSource, Rows, StoreFailure, TimestampMs};

use crate::book::{self, Book};
use crate::command::{Command, DueHold};
use crate::courier;
use crate::fen::Currency;
use crate::hold::Deadline;
use crate::ids::{JournalNumber, TransferId};
use crate::journal::{Link, OpenPage};
use crate::limits::TICK_HOLDS_MAX;
use crate::refusal::Refusal;
use crate::reply::{Reply, Said};
use crate::rows;
use crate::state::{Counts, State, Sums};

/// One shard of the ledger. Reads of rows are [`crate::LedgerView`]'s; here is what memory knows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LedgerMachine {
    state: State,
    /// Empty but within a batch.
    page: Option<OpenPage>,
}

impl LedgerMachine {
    /// The last journal entry, and the link that seals the journal up to it.
    #[must_use]
    pub const fn journal_end(&self) -> (JournalNumber, Link) {
        (self.state.last, self.state.link)
    }

    /// Up to where the journal has been handed to those outside.
    #[must_use]
    pub const fn published(&self) -> JournalNumber {
        self.state.published
    }

    /// Sums of balances, currency by currency.
    pub fn sums(&self) -> impl Iterator<Item = (Currency, Sums)> {
        self.state.sums.iter().map(|(currency, sums)| (*currency, *sums))
    }

    /// Counts of what the shard keeps. An operator is alarmed while `parked` is not zero.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.state.counts
    }
}

impl Machine for LedgerMachine {
    type Command = Command;
    type Reply = Reply;

    fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        State::load(rows).map(|state| Self { state, page: None })
    }

    fn keys(command: &Command, keys: &mut Vec<Key>) {
        command.keys(keys);
    }

    fn apply(&mut self, context: &Context, command: Command, rows: &mut Rows) -> Reply {
        let (at, first) = (context.now, self.state.last.next());
        let said = if command.is_too_large() {
            Said::One(Err(Refusal::BatchTooLarge))
        } else {
            let mut book = Book::open(context, &mut self.state, &mut self.page, rows);
            match command {
                Command::One(verb) => Said::One(book.step(&verb)),
                Command::Batch(steps) => Said::Batch(book.batch(&steps)),
                Command::Tick(due) => Said::Ticked(book.tick(&due)),
                Command::Published(number) => {
                    self.state.published = self.state.published.max(number.min(self.state.last));
                    Said::Published(self.state.published)
                }
            }
        };
        Reply { at, first, said }
    }

    fn seal(&mut self, rows: &mut Rows) {
        book::seal(&mut self.state, &mut self.page, rows);
        rows.put(rows::state().to_key(), self.state.to_bytes());
    }

    fn record_keys(record: &Bytes, keys: &mut Vec<Key>) {
        courier::record_keys(record, keys);
    }

    fn deliver(&mut self, context: &Context, source: GroupId, record: &Bytes, rows: &mut Rows) -> Result<(), String> {
        Book::open(context, &mut self.state, &mut self.page, rows).arrive(source, record)
    }

    fn due(&self, rows: &dyn RowSource, now: TimestampMs) -> Result<Option<Command>, StoreFailure> {
        if self.state.counts.holds == 0 {
            return Ok(None);
        }
        let mut due = Vec::new();
        let mut broken = None;
        let (from, to) = (rows::deadline(TimestampMs(0), TransferId(0)), rows::deadline(now.plus(1), TransferId(0)));
        rows.scan(from.as_slice(), to.as_slice(), &mut |key, value| {
            match read_due(key, value) {
                Ok(hold) => due.push(hold),
                Err(error) => broken = Some(StoreFailure(error.to_string())),
            }
            broken.is_none() && due.len() < TICK_HOLDS_MAX
        })?;
        broken.map_or(Ok(()), Err)?;
        Ok(if due.is_empty() { None } else { Some(Command::Tick(due)) })
    }
}

fn read_due(key: &[u8], value: &[u8]) -> Result<DueHold, LoadError> {
    let rows::Pair(_, hold) = rows::name::<rows::Pair<TimestampMs, TransferId>>(key)?;
    let Deadline { debit, credit } = rows::value(key, value)?;
    Ok(DueHold { hold, debit, credit })
}
