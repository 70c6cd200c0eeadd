//! Reads: what a door shows, straight from committed rows.
//!
//! Why: accounts, transfers and bills are rows, not memory; whoever holds a consistent view of the rows can read them
//! without the machine.
//!
//! Must never: answer from rows that are not yet committed, or read without a bound.

use machine::{Layout, LoadError, RowSource, TimestampMs, prefix_end};

use crate::account::{Account, AccountKey};
use crate::allowance::Allowance;
use crate::audit::{Audit, Part, audit};
use crate::bill::{BillPage, BillQuery};
use crate::bills;
use crate::claim::{Claim, ClaimKey};
use crate::fen::Fen;
use crate::hold::HeldMoney;
use crate::ids::{AccountId, JournalNumber, OrderId, TransferId};
use crate::journal::{JournalEntry, JournalPage};
use crate::limits::{CLAIMS_PER_ACCOUNT_MAX, PAGE_MAX};
use crate::order::Order;
use crate::pages::Pages;
use crate::parked::ParkedCredit;
use crate::rows::{self, RowKey, name, value};
use crate::transfer::{StoredTransfer, TransferKey};
use crate::verifier::Verifier;

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
        audit(self.rows, Part::ALL)
    }

    /// Like [`Self::audit`], with a closer look at one part of the shard only: it needs so much less memory.
    pub fn audit_part(&self, part: Part) -> Result<Audit, LoadError> {
        audit(self.rows, part)
    }

    fn get<T: Layout>(&self, key: RowKey) -> Result<Option<T>, LoadError> {
        let key = key.as_slice();
        self.rows.get(key)?.map(|bytes| value(key, &bytes)).transpose()
    }

    /// An account.
    pub fn account(&self, key: AccountKey) -> Result<Option<Account>, LoadError> {
        self.get(rows::account(key))
    }

    /// How much an account may pay into packets; `None`: nobody has said.
    pub fn allowance(&self, account: AccountId) -> Result<Option<Allowance>, LoadError> {
        self.get(rows::allowance(account))
    }

    /// An order of a merchant of this shard.
    pub fn order(&self, order: OrderId) -> Result<Option<Order>, LoadError> {
        self.get(rows::order(order))
    }

    /// What an account's payment password is checked against; `None`: it has none.
    pub fn verifier(&self, account: AccountId) -> Result<Option<Verifier>, LoadError> {
        self.get(rows::verifier(account))
    }

    /// What became of a transfer, or of an order. The journal has the rest, under the number.
    pub fn transfer(&self, key: TransferKey) -> Result<Option<StoredTransfer>, LoadError> {
        self.get(rows::transfer(key))
    }

    /// A hold that has not ended.
    pub fn hold(&self, hold: TransferId) -> Result<Option<HeldMoney>, LoadError> {
        self.get(rows::hold(hold))
    }

    /// One journal entry.
    pub fn journal_entry(&self, number: JournalNumber) -> Result<Option<JournalEntry>, LoadError> {
        Pages::over(self.rows).entry(number)
    }

    /// Journal entries from `from` on, and the links that seal them: at most `limit` entries, and `PAGE_MAX`.
    pub fn journal(&self, from: JournalNumber, limit: usize) -> Result<JournalPage, LoadError> {
        Pages::over(self.rows).range(from, limit.min(PAGE_MAX))
    }

    /// The first journal entry booked at `at` or later, of a journal that ends with `last`; the number behind it if
    /// there is none.
    pub fn journal_at(&self, at: TimestampMs, last: JournalNumber) -> Result<JournalNumber, LoadError> {
        Pages::over(self.rows).first_at(at, last)
    }

    /// A page of a customer's bill.
    pub fn bill(&self, account: AccountId, query: &BillQuery) -> Result<BillPage, LoadError> {
        bills::page(self.rows, account, query)
    }

    /// What a customer's account held at an instant: the balance behind the last line of its bill before `before`;
    /// nothing if there was none.
    pub fn balance_at(&self, account: AccountId, before: TimestampMs) -> Result<Fen, LoadError> {
        let query = BillQuery { before: Some(before), limit: 1, ..BillQuery::default() };
        Ok(self.bill(account, &query)?.lines.first().map_or(Fen::ZERO, |line| line.balance))
    }

    /// All claims that wait for an account, the oldest first: the order in which spending forces them.
    pub fn claims(&self, account: AccountId) -> Result<Vec<(ClaimKey, Claim)>, LoadError> {
        let prefix = rows::claims(account);
        let prefix = prefix.as_slice();
        let limit = usize::try_from(CLAIMS_PER_ACCOUNT_MAX).unwrap_or(usize::MAX);
        let mut claims: Vec<(ClaimKey, Claim)> = self.page(prefix, &prefix_end(prefix), limit)?;
        claims.sort_by_key(|(key, claim)| (claim.announced, *key));
        Ok(claims)
    }

    /// Parked credits behind `after` (0: from the oldest on), at most `limit`, and `PAGE_MAX`.
    pub fn parked(&self, after: JournalNumber, limit: usize) -> Result<Vec<(JournalNumber, ParkedCredit)>, LoadError> {
        self.page(rows::parked(after.next()).as_slice(), &prefix_end(&[rows::PARKED]), limit.min(PAGE_MAX))
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
