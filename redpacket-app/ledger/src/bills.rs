//! Reading bills: by time and kind, from either end, page by page.
//!
//! ```text
//!  query: from, before ──halving the journal──> numbers       kinds, cursor
//!                                                  │             │
//!  rows of sixteen lines, then the account's tail ─┴── lines ────┴── numbers of the page ──> their entries
//! ```
//!
//! Why: a bill of ten million lines must show its newest twenty, or those of a day last year, as fast as a short one.
//!
//! Must never: look at more lines than its bound; a page that met it is short, and says where the next one begins.

use machine::{LoadError, RowSource};

use crate::account::{Account, AccountKey};
use crate::bill::{BillLine, BillOrder, BillPage, BillQuery, Line, read_chunk};
use crate::ids::{AccountId, JournalNumber};
use crate::limits::{BILL_LINES_SCANNED_MAX, PAGE_MAX};
use crate::pages::Pages;
use crate::rows;

/// What is collected, and where it ends.
struct Search<'a> {
    query: &'a BillQuery,
    /// Numbers that are asked for: from the first up to, but not including, the second.
    from: JournalNumber,
    before: JournalNumber,
    limit: usize,
    found: Vec<Line>,
    looked_at: usize,
    next: Option<JournalNumber>,
}

impl Search<'_> {
    /// Takes a line. False: nothing more is wanted.
    fn take(&mut self, line: Line) -> bool {
        let (number, kind) = line;
        let is_behind = match self.query.order {
            BillOrder::NewestFirst => number < self.from,
            BillOrder::OldestFirst => number >= self.before,
        };
        if is_behind {
            return false;
        }
        if number < self.from || number >= self.before {
            return true;
        }
        self.looked_at = self.looked_at.saturating_add(1);
        let is_wanted = self.query.kinds.is_empty() || self.query.kinds.contains(&kind);
        if self.looked_at > BILL_LINES_SCANNED_MAX || (is_wanted && self.found.len() >= self.limit) {
            self.next = Some(number);
            return false;
        }
        if is_wanted {
            self.found.push(line);
        }
        true
    }

    fn take_all(&mut self, lines: Vec<Line>) -> bool {
        match self.query.order {
            BillOrder::NewestFirst => lines.into_iter().rev().all(|line| self.take(line)),
            BillOrder::OldestFirst => lines.into_iter().all(|line| self.take(line)),
        }
    }
}

/// A page of the bill of `account`; an empty one if there is no such account.
pub(crate) fn page(rows: &dyn RowSource, account: AccountId, query: &BillQuery) -> Result<BillPage, LoadError> {
    let key = rows::account(AccountKey::Customer(account));
    let Some(row) = rows.get(key.as_slice())? else { return Ok(BillPage::default()) };
    let row: Account = rows::value(key.as_slice(), &row)?;
    let Some(customer) = row.customer() else { return Ok(BillPage::default()) };
    let tail = customer.bill.read().map_err(|error| LoadError::row(key.as_slice(), error))?;
    let (from, before) = numbers(rows, query, tail.last().copied())?;
    let limit = query.limit.clamp(1, PAGE_MAX);
    let mut search = Search { query, from, before, limit, found: Vec::new(), looked_at: 0, next: None };
    match query.order {
        BillOrder::NewestFirst => {
            if search.take_all(tail) {
                chunks_back(rows, account, &mut search)?;
            }
        }
        BillOrder::OldestFirst => {
            if chunks(rows, account, &mut search)? {
                search.take_all(tail);
            }
        }
    }
    lines(rows, account, search)
}

/// The numbers that a query asks for, its cursor counted in.
fn numbers(
    rows: &dyn RowSource,
    query: &BillQuery,
    newest: Option<Line>,
) -> Result<(JournalNumber, JournalNumber), LoadError> {
    let pages = Pages::over(rows);
    let last = match newest {
        Some((number, _)) => number,
        // The tail was emptied just now: the newest line is in a row, and the journal's end bounds it.
        None => crate::state::State::load(rows)?.last,
    };
    let mut from = query.from.map_or(Ok(JournalNumber(0)), |at| pages.first_at(at, last))?;
    let mut before = query.before.map_or(Ok(last.next()), |at| pages.first_at(at, last))?;
    match (query.order, query.cursor) {
        (BillOrder::NewestFirst, Some(cursor)) => before = before.min(cursor.next()),
        (BillOrder::OldestFirst, Some(cursor)) => from = from.max(cursor),
        (_, None) => {}
    }
    Ok((from, before))
}

fn chunks_back(rows: &dyn RowSource, account: AccountId, search: &mut Search<'_>) -> Result<(), LoadError> {
    let (from, to) = (rows::bill(account, JournalNumber(0)), rows::bill(account, search.before));
    let mut broken = None;
    rows.scan_back(from.as_slice(), to.as_slice(), &mut |key, value| match read_chunk(value) {
        Ok(lines) => search.take_all(lines),
        Err(error) => {
            broken = Some(LoadError::row(key, error));
            false
        }
    })?;
    broken.map_or(Ok(()), Err)
}

/// True: the tail is wanted too.
fn chunks(rows: &dyn RowSource, account: AccountId, search: &mut Search<'_>) -> Result<bool, LoadError> {
    // The row that holds the first wanted number may begin before it.
    let lowest = rows::bill(account, JournalNumber(0));
    let mut start = lowest.to_key();
    rows.scan_back(lowest.as_slice(), rows::bill(account, search.from.next()).as_slice(), &mut |key, _| {
        start = bytes::Bytes::copy_from_slice(key);
        false
    })?;
    let end = rows::bill(account, search.before);
    let (mut broken, mut is_more_wanted) = (None, true);
    rows.scan(&start, end.as_slice(), &mut |key, value| {
        is_more_wanted = match read_chunk(value) {
            Ok(lines) => search.take_all(lines),
            Err(error) => {
                broken = Some(LoadError::row(key, error));
                false
            }
        };
        is_more_wanted
    })?;
    broken.map_or(Ok(is_more_wanted), Err)
}

fn lines(rows: &dyn RowSource, account: AccountId, search: Search<'_>) -> Result<BillPage, LoadError> {
    let mut pages = Pages::over(rows);
    let mut lines = Vec::with_capacity(search.found.len());
    for (number, kind) in search.found {
        let entry = pages.entry(number)?;
        if let Some((entry, (change, balance))) = entry.and_then(|entry| Some((entry, entry.change_of(account)?))) {
            lines.push(BillLine { number, kind, change, balance, entry });
        }
    }
    Ok(BillPage { lines, next: search.next })
}
