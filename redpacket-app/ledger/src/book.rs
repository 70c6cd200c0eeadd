//! The book: what a verb works on while its command is applied, and the one place where money moves.
//!
//! ```text
//!  verb ──> checks ──> post(debit, credit) ──> account rows, journal row, bill rows, sums
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

use crate::account::{Account, AccountKey, Body, Customer};
use crate::bill::BILL_ROW;
use crate::command::Verb;
use crate::fen::{Currency, Money};
use crate::ids::{AccountId, JournalNumber};
use crate::journal::{JournalEntry, Seal};
use crate::refusal::Refusal;
use crate::reply::{Answer, Done};
use crate::rows;
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
}

impl Posting {
    pub(crate) const fn of(key: TransferKey, debit: AccountKey, credit: AccountKey, money: Money) -> Self {
        Self { key, debit, credit, money, code: 0, memo: 0 }
    }
}

/// The changes of a chain that has not ended yet, and what it would be taken back to.
#[derive(Debug)]
struct Chain {
    changes: BTreeMap<Key, Option<Bytes>>,
    posts: Vec<(GroupId, Bytes)>,
    state_before: State,
    seal_before: Option<Seal>,
}

/// One command's work on a shard.
#[derive(Debug)]
pub(crate) struct Book<'a> {
    pub(crate) context: &'a Context,
    pub(crate) state: &'a mut State,
    rows: &'a mut Rows,
    /// Over the journal entries of this command; none yet, none here.
    seal: Option<Seal>,
    chain: Option<Chain>,
}

impl<'a> Book<'a> {
    pub(crate) const fn open(context: &'a Context, state: &'a mut State, rows: &'a mut Rows) -> Self {
        Self { context, state, rows, seal: None, chain: None }
    }

    /// Seals what the command wrote into the journal.
    pub(crate) fn close(self) {
        let Some(seal) = self.seal else { return };
        self.state.link = seal.close();
        self.rows.put(rows::link(self.state.last), self.state.link.to_bytes());
    }

    pub(crate) fn begin_chain(&mut self) {
        self.chain = Some(Chain {
            changes: BTreeMap::new(),
            posts: Vec::new(),
            state_before: self.state.clone(),
            seal_before: self.seal.clone(),
        });
    }

    /// Keeps all of the chain.
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
        self.seal = chain.seal_before;
    }

    /// A row that the command named. Invariant: rows decode; they were written by this build or an older one.
    pub(crate) fn get<T: Layout>(&self, key: &Key) -> Option<T> {
        let changed = self.chain.as_ref().and_then(|chain| chain.changes.get(key));
        let bytes = changed.map_or_else(|| self.rows.get(key), Option::as_ref)?;
        let value = T::from_bytes(bytes);
        assert!(value.is_ok(), "a row the ledger wrote decodes; this one is damaged: {key:02x?}");
        value.ok()
    }

    pub(crate) fn put(&mut self, key: Key, value: Bytes) {
        match &mut self.chain {
            Some(chain) => drop(chain.changes.insert(key, Some(value))),
            None => self.rows.put(key, value),
        }
    }

    pub(crate) fn delete(&mut self, key: Key) {
        match &mut self.chain {
            Some(chain) => drop(chain.changes.insert(key, None)),
            None => self.rows.delete(key),
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
            (done, _) if stored.fingerprint == Fingerprint::of(verb) => Ok(done),
            (_, TransferKey::Refund(_)) => Err(Refusal::AlreadyRefunded),
            _ => Err(Refusal::IdReused),
        })
    }

    pub(crate) fn stored(&self, key: TransferKey) -> Option<StoredTransfer> {
        self.get(&rows::transfer(key))
    }

    pub(crate) fn store(&mut self, key: TransferKey, stored: StoredTransfer) {
        self.put(rows::transfer(key), rows::bytes_of(&stored));
    }

    /// An account; the house's own (clearing, issue, suspense) are there from the first time they are asked for.
    pub(crate) fn account(&self, key: AccountKey) -> Option<Account> {
        let make = |currency, body| Some(Account::new(currency, self.context.now, body));
        let stored = self.get(&rows::account(key));
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
    /// Refuses: `PacketUnknown`, `DebitUnknown`, `CreditUnknown`, `DebitClosed`, `CreditClosed`, `CurrencyMismatch`.
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
        let is_closed = |account: &Account| account.customer().is_some_and(|customer| !customer.is_open);
        if is_closed(&debit) {
            return Err(Refusal::DebitClosed);
        }
        if is_closed(&credit) {
            return Err(Refusal::CreditClosed);
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
        let Posting { key, money, code, memo, .. } = *posting;
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
            at: self.context.now,
            debit_balance: debit.balance,
            credit_balance: credit.balance,
        };
        let entry = rows::bytes_of(&entry);
        self.state.last = number;
        self.state.move_sum(money.currency, posting.debit, posting.credit, money.amount);
        self.put_account(posting.debit, &debit);
        self.put_account(posting.credit, &credit);
        for side in [posting.debit, posting.credit] {
            if let AccountKey::Customer(account) = side {
                self.put(rows::bill(account, number), BILL_ROW);
            }
        }
        self.seal.get_or_insert_with(|| Seal::behind(self.state.link)).add(number, &entry);
        self.put(rows::journal(number), entry);
        Ok(number)
    }
}
