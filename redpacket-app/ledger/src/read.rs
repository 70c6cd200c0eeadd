//! Reads: what a door shows, straight from committed rows.
//!
//! Why: accounts, transfers and bills are rows, not memory; whoever holds a consistent view of the rows can read them
//! without the machine.
//!
//! Must never: answer from rows that are not yet committed, or read without a bound.

use machine::{Key, Layout, LoadError, RowSource, prefix_end};

use crate::account::{Account, AccountKey};
use crate::audit::{Audit, audit};
use crate::bill::{BillLine, BillOrder, BillPage};
use crate::claim::{Claim, ClaimKey};
use crate::hold::HeldMoney;
use crate::ids::{AccountId, JournalNumber, TransferId};
use crate::journal::{JournalEntry, JournalPage, Link};
use crate::limits::{CLAIMS_PER_ACCOUNT_MAX, PAGE_MAX};
use crate::parked::ParkedCredit;
use crate::rows::{self, name, value};
use crate::transfer::{StoredTransfer, TransferKey};

/// A shard's rows, read as a ledger. Errors of all reads: the store failed, or a row is damaged.
pub struct LedgerView<'a> {
    rows: &'a dyn RowSource,
}

impl<'a> LedgerView<'a> {
    /// Reads `rows`.
    #[must_use]
    pub const fn over(rows: &'a dyn RowSource) -> Self {
        Self { rows }
    }

    /// Recomputes this shard's invariants from all rows. Takes as long as reading them all does.
    pub fn audit(&self) -> Result<Audit, LoadError> {
        audit(self.rows)
    }

    fn get<T: Layout>(&self, key: &Key) -> Result<Option<T>, LoadError> {
        self.rows.get(key)?.map(|bytes| value(key, &bytes)).transpose()
    }

    /// An account.
    pub fn account(&self, key: AccountKey) -> Result<Option<Account>, LoadError> {
        self.get(&rows::account(key))
    }

    /// What became of a transfer, or of an order. The journal has the rest, under the number.
    pub fn transfer(&self, key: TransferKey) -> Result<Option<StoredTransfer>, LoadError> {
        self.get(&rows::transfer(key))
    }

    /// A hold that has not ended.
    pub fn hold(&self, hold: TransferId) -> Result<Option<HeldMoney>, LoadError> {
        self.get(&rows::hold(hold))
    }

    /// One journal entry.
    pub fn journal_entry(&self, number: JournalNumber) -> Result<Option<JournalEntry>, LoadError> {
        self.get(&rows::journal(number))
    }

    /// Journal entries from `from` on, and the links that seal them: at most `limit` entries, and `PAGE_MAX`.
    pub fn journal(&self, from: JournalNumber, limit: usize) -> Result<JournalPage, LoadError> {
        let limit = limit.min(PAGE_MAX);
        let entries = self.page(&rows::journal(from), &prefix_end(&[rows::JOURNAL]), limit)?;
        let behind = entries.last().map_or(from, |(last, _): &(JournalNumber, JournalEntry)| last.next());
        let links: Vec<(JournalNumber, Link)> = self.page(&rows::link(from), &rows::link(behind), limit)?;
        Ok(JournalPage { entries, links })
    }

    /// A page of a customer's bill: at most `limit` lines, and `PAGE_MAX`, from `cursor` on (the `next` of the page
    /// before), or from the end that `order` names.
    pub fn bill(
        &self,
        account: AccountId,
        order: BillOrder,
        cursor: Option<JournalNumber>,
        limit: usize,
    ) -> Result<BillPage, LoadError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut numbers = self.bill_numbers(account, order, cursor, limit.saturating_add(1))?;
        let next = if numbers.len() > limit { numbers.pop() } else { None };
        let keys: Vec<Key> = numbers.iter().copied().map(rows::journal).collect();
        let mut lines = Vec::with_capacity(keys.len());
        for ((number, key), row) in numbers.into_iter().zip(&keys).zip(self.rows.get_many(&keys)?) {
            let entry: Option<JournalEntry> = row.map(|bytes| value(key, &bytes)).transpose()?;
            if let Some((entry, (change, balance))) = entry.and_then(|entry| Some((entry, entry.change_of(account)?))) {
                lines.push(BillLine { number, change, balance, entry });
            }
        }
        Ok(BillPage { lines, next })
    }

    fn bill_numbers(
        &self,
        account: AccountId,
        order: BillOrder,
        cursor: Option<JournalNumber>,
        limit: usize,
    ) -> Result<Vec<JournalNumber>, LoadError> {
        let mut numbers = Vec::new();
        let mut broken = None;
        let mut visit = |key: &[u8], _: &[u8]| {
            match name::<rows::Pair<AccountId, JournalNumber>>(key) {
                Ok(rows::Pair(_, number)) => numbers.push(number),
                Err(error) => broken = Some(error),
            }
            broken.is_none() && numbers.len() < limit
        };
        match order {
            BillOrder::OldestFirst => {
                let from = rows::bill(account, cursor.unwrap_or_default());
                self.rows.scan(&from, &bill_end(account), &mut visit)?;
            }
            BillOrder::NewestFirst => {
                let to = cursor.map_or_else(|| bill_end(account), |at| rows::bill(account, at.next()).to_vec());
                self.rows.scan_back(&rows::bill(account, JournalNumber(0)), &to, &mut visit)?;
            }
        }
        broken.map_or(Ok(numbers), Err)
    }

    /// All claims that wait for an account, the oldest first: the order in which spending forces them.
    pub fn claims(&self, account: AccountId) -> Result<Vec<(ClaimKey, Claim)>, LoadError> {
        let prefix = rows::claims(account);
        let limit = usize::try_from(CLAIMS_PER_ACCOUNT_MAX).unwrap_or(usize::MAX);
        let mut claims: Vec<(ClaimKey, Claim)> = self.page(&prefix, &prefix_end(&prefix), limit)?;
        claims.sort_by_key(|(key, claim)| (claim.announced, *key));
        Ok(claims)
    }

    /// Parked credits behind `after` (0: from the oldest on), at most `limit`, and `PAGE_MAX`.
    pub fn parked(&self, after: JournalNumber, limit: usize) -> Result<Vec<(JournalNumber, ParkedCredit)>, LoadError> {
        self.page(&rows::parked(after.next()), &prefix_end(&[rows::PARKED]), limit.min(PAGE_MAX))
    }

    fn page<N: Layout, V: Layout>(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(N, V)>, LoadError> {
        let mut page = Vec::new();
        if limit > 0 {
            each(self.rows, from, to, &mut |name, value| {
                page.push((name, value));
                page.len() < limit
            })?;
        }
        Ok(page)
    }
}

fn bill_end(account: AccountId) -> Vec<u8> {
    prefix_end(&rows::bills(account))
}

/// Visits rows of one kind in order, as (name, value), until `visit` answers false.
pub(crate) fn each<N: Layout, V: Layout>(
    source: &dyn RowSource,
    from: &[u8],
    to: &[u8],
    visit: &mut dyn FnMut(N, V) -> bool,
) -> Result<(), LoadError> {
    let mut broken = None;
    source.scan(from, to, &mut |key, bytes| match name(key).and_then(|name| Ok((name, value(key, bytes)?))) {
        Ok((name, value)) => visit(name, value),
        Err(error) => {
            broken = Some(error);
            false
        }
    })?;
    broken.map_or(Ok(()), Err)
}
