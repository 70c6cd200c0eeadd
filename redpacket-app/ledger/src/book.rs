//! The book: what a verb works on while its command is applied, and the one place where money moves.
//!
//! ```text
//!  verb ──> checks ──> post(debit, credit) ──> account rows with their bills, the open page of the journal, sums
//!                                      └─ within a chain: into the chain's own changes, until it ends well
//! ```
//!
//! Why: a verb decides first and writes only when nothing can refuse any more, so a single step needs no way back. Only
//! a chain of linked steps needs one, and has it: its changes stand aside until all of them are done.
//!
//! Must never: write an account without a journal entry when its balance changed.

use std::collections::BTreeMap;

use bytes::Bytes;
use machine::{Context, GroupId, Key, Layout, Rows};

use crate::account::{Account, AccountKey, Body, Customer, Status};
use crate::bill::BillKind;
use crate::command::Verb;
use crate::fen::{Currency, Money};
use crate::ids::{AccountId, JournalNumber};
use crate::journal::{JournalEntry, OpenPage};
use crate::refusal::Refusal;
use crate::reply::{Answer, Done};
use crate::rows::{self, RowKey};
use crate::state::State;
use crate::transfer::{Fingerprint, StoredTransfer, TransferKey};

/// A movement of money that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Posting {
    pub(crate) key: TransferKey,
    pub(crate) debit: AccountKey,
    pub(crate) credit: AccountKey,
    pub(crate) money: Money,
    pub(crate) code: u16,
    pub(crate) memo: u128,
    pub(crate) serial: u64,
}

impl Posting {
    pub(crate) const fn of(key: TransferKey, debit: AccountKey, credit: AccountKey, money: Money) -> Self {
        Self { key, debit, credit, money, code: 0, memo: 0, serial: 0 }
    }
}

/// The changes of a chain that has not ended yet, and what it would be taken back to.
#[derive(Debug)]
struct Chain {
    changes: BTreeMap<Key, Option<Bytes>>,
    posts: Vec<(GroupId, Bytes)>,
    state_before: State,
    page_before: Option<OpenPage>,
}

/// One command's work on a shard.
#[derive(Debug)]
pub(crate) struct Book<'a> {
    pub(crate) context: &'a Context,
    pub(crate) state: &'a mut State,
    page: &'a mut Option<OpenPage>,
    rows: &'a mut Rows,
    chain: Option<Chain>,
}

impl<'a> Book<'a> {
    /// Opens the book for a command; a page that belongs to an earlier log entry is sealed first.
    pub(crate) fn open(
        context: &'a Context,
        state: &'a mut State,
        page: &'a mut Option<OpenPage>,
        rows: &'a mut Rows,
    ) -> Self {
        if page.as_ref().is_some_and(|page| page.index != context.index) {
            seal(state, page, rows);
        }
        Self { context, state, page, rows, chain: None }
    }

    /// From here on, changes are kept aside.
    pub(crate) fn begin_chain(&mut self) {
        let (state_before, page_before) = (self.state.clone(), self.page.clone());
        self.chain = Some(Chain { changes: BTreeMap::new(), posts: Vec::new(), state_before, page_before });
    }

    /// All of the chain was done.
    pub(crate) fn commit_chain(&mut self) {
        let Some(chain) = self.chain.take() else { return };
        for (key, value) in chain.changes {
            match value {
                Some(value) => self.rows.put(key, value),
                None => self.rows.delete(key),
            }
        }
        for (target, record) in chain.posts {
            self.rows.post(target, record);
        }
    }

    /// Takes all of the chain back.
    pub(crate) fn drop_chain(&mut self) {
        let Some(chain) = self.chain.take() else { return };
        *self.state = chain.state_before;
        *self.page = chain.page_before;
    }

    /// A row that the command named. Invariant: rows decode; they were written by this build or an older one.
    pub(crate) fn get<T: Layout>(&self, key: RowKey) -> Option<T> {
        let key = key.as_slice();
        let changed = self.chain.as_ref().and_then(|chain| chain.changes.get(key));
        let bytes = changed.map_or_else(|| self.rows.get(key), Option::as_ref)?;
        let value = T::from_bytes(bytes);
        assert!(value.is_ok(), "a row the ledger wrote decodes; this one is damaged: {key:02x?}");
        value.ok()
    }

    pub(crate) fn put(&mut self, key: RowKey, value: Bytes) {
        match &mut self.chain {
            Some(chain) => drop(chain.changes.insert(key.to_key(), Some(value))),
            None => self.rows.set(key.as_slice(), value),
        }
    }

    pub(crate) fn delete(&mut self, key: RowKey) {
        match &mut self.chain {
            Some(chain) => drop(chain.changes.insert(key.to_key(), None)),
            None => self.rows.delete(key.to_key()),
        }
    }

    pub(crate) fn send(&mut self, target: GroupId, record: Bytes) {
        match &mut self.chain {
            Some(chain) => chain.posts.push((target, record)),
            None => self.rows.post(target, record),
        }
    }

    /// What was answered to `verb` before, if its identity was used.
    ///
    /// Refuses: `IdReused`, `AlreadyRefunded`, `OrderCancelled`.
    pub(crate) fn former(&self, verb: &Verb) -> Option<Answer> {
        let key = verb.transfer_key()?;
        let stored = self.stored(key)?;
        Some(match (stored.done, key) {
            (Done::Cancelled, _) => Err(Refusal::OrderCancelled),
            (Done::Posted(_), _) if stored.fingerprint == Fingerprint::of(verb) => Ok(Done::Held),
            (done, _) if stored.fingerprint == Fingerprint::of(verb) => Ok(done),
            (_, TransferKey::Refund(_)) => Err(Refusal::AlreadyRefunded),
            _ => Err(Refusal::IdReused),
        })
    }

    pub(crate) fn stored(&self, key: TransferKey) -> Option<StoredTransfer> {
        self.get(rows::transfer(key))
    }

    pub(crate) fn store(&mut self, key: TransferKey, stored: StoredTransfer) {
        self.put(rows::transfer(key), rows::bytes_of(&stored));
    }

    /// An account; the house's own (clearing, issue, suspense) are there from the first time they are asked for.
    pub(crate) fn account(&self, key: AccountKey) -> Option<Account> {
        let make = |currency, body| Some(Account::new(currency, self.context.now, body));
        let stored = self.get(rows::account(key));
        stored.or_else(|| match key {
            AccountKey::Customer(_) | AccountKey::Escrow(_) => None,
            AccountKey::Clearing(_, currency) => make(currency, Body::Clearing { sent: 0, received: 0 }),
            AccountKey::Issue(currency) | AccountKey::Suspense(currency) => make(currency, Body::House),
        })
    }

    pub(crate) fn put_account(&mut self, key: AccountKey, account: &Account) {
        self.put(rows::account(key), rows::bytes_of(account));
    }

    /// Changes a customer's account in what is not its balance.
    pub(crate) fn adjust(&mut self, account: AccountId, change: impl FnOnce(&mut Customer)) {
        let key = AccountKey::Customer(account);
        let Some(mut row) = self.account(key) else { return };
        if let Some(customer) = row.customer_mut() {
            change(customer);
        }
        self.put_account(key, &row);
    }

    /// Both sides of a transfer, if money of `currency` may pass between them.
    ///
    /// Refuses: `PacketUnknown`, `DebitUnknown`, `CreditUnknown`, `DebitClosed`, `CreditClosed`, `DebitFrozen`,
    /// `CurrencyMismatch`.
    pub(crate) fn parties(
        &self,
        debit: AccountKey,
        credit: AccountKey,
        currency: Currency,
    ) -> Result<(Account, Account), Refusal> {
        let is_escrow = matches!(debit, AccountKey::Escrow(_));
        let unknown = if is_escrow { Refusal::PacketUnknown } else { Refusal::DebitUnknown };
        let debit = self.account(debit).ok_or(unknown)?;
        let credit = self.account(credit).ok_or(Refusal::CreditUnknown)?;
        let status = |account: &Account| account.customer().map_or(Status::Open, |customer| customer.status);
        if status(&debit) == Status::Closed {
            return Err(Refusal::DebitClosed);
        }
        if status(&credit) == Status::Closed {
            return Err(Refusal::CreditClosed);
        }
        if status(&debit) == Status::Frozen {
            return Err(Refusal::DebitFrozen);
        }
        if debit.currency != currency || credit.currency != currency {
            return Err(Refusal::CurrencyMismatch);
        }
        Ok((debit, credit))
    }

    /// Moves the money of `posting` and journals it: all of it, or nothing. The accounts are handed in as they shall be
    /// but for their balances.
    ///
    /// Refuses: `EscrowShort`, `InsufficientFunds`, `BalanceLimit`.
    pub(crate) fn post(
        &mut self,
        posting: &Posting,
        mut debit: Account,
        mut credit: Account,
    ) -> Result<JournalNumber, Refusal> {
        let Posting { key, money, code, memo, serial, .. } = *posting;
        debit.take(money.amount)?;
        credit.give(money.amount)?;
        let number = self.state.last.next();
        let entry = JournalEntry {
            key,
            debit: posting.debit,
            credit: posting.credit,
            money,
            code,
            memo,
            serial,
            at: self.context.now,
            debit_balance: debit.balance,
            credit_balance: credit.balance,
        };
        self.state.last = number;
        self.state.move_sum(money.currency, posting.debit, posting.credit, money.amount);
        let kind = entry.kind();
        self.put_side(posting.debit, debit, number, kind);
        self.put_side(posting.credit, credit, number, kind);
        let (index, now) = (self.context.index, self.context.now);
        let page = self.page.get_or_insert_with(|| OpenPage::begin(index, number, now));
        if page.push(&entry)
            && let Some(page) = self.page.take()
        {
            let (first, sealed) = page.seal(self.state.link);
            self.state.link = sealed.link;
            self.put(rows::journal(first), rows::bytes_of(&sealed));
        }
        Ok(number)
    }

    /// Writes one side of a posting, with its line of the bill.
    fn put_side(&mut self, key: AccountKey, mut account: Account, number: JournalNumber, kind: BillKind) {
        if let (AccountKey::Customer(id), Some(customer)) = (key, account.customer_mut())
            && let Some(chunk) = customer.bill.push(number, kind)
        {
            self.put(rows::bill(id, chunk.first), chunk.row);
        }
        self.put_account(key, &account);
    }
}

/// Seals the open page, if there is one, into its row.
pub(crate) fn seal(state: &mut State, page: &mut Option<OpenPage>, rows: &mut Rows) {
    if let Some(page) = page.take() {
        let (first, sealed) = page.seal(state.link);
        state.link = sealed.link;
        rows.put(rows::journal(first).to_key(), rows::bytes_of(&sealed));
    }
}
