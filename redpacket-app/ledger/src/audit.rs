//! The audit of one shard: every invariant recomputed from all rows.
//!
//! ```text
//!  journal ──fold──> balances ──=──> account rows ──sum──> zero, and the sums in memory
//!     │ └─links──> chain            holds, claims, parked, bills, transfers ──count──> what accounts and memory say
//!     └─sent, received──> Facts ──> reconcile
//! ```
//!
//! Why: the invariants of the money must be checkable by someone who trusts none of the code that kept them. It reads
//! all rows once (bills and transfers look into the journal) and holds one record per account and one per credit.
//!
//! Must never: be run where a reply waits for it.

use std::collections::BTreeMap;

use machine::{Layout, LoadError, RowSource, TimestampMs, prefix_end};

use crate::account::{Account, AccountKey, Body};
use crate::bill::BillRow;
use crate::claim::{Claim, ClaimKey};
use crate::difference::Difference;
use crate::facts::Facts;
use crate::fen::{Currency, Fen};
use crate::hold::{Deadline, HeldMoney};
use crate::ids::{AccountId, JournalNumber, TransferId};
use crate::journal::{JournalEntry, Link, Seal};
use crate::parked::ParkedCredit;
use crate::read::{LedgerView, each};
use crate::rows::{self, Pair};
use crate::state::{Counts, State, Sums};
use crate::transfer::{StoredTransfer, TransferKey};

/// The result of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// What does not hold. Empty: everything does.
    pub differences: Vec<Difference>,
    /// What other shards, and the packets machine, can be held against.
    pub facts: Facts,
}

/// What the rows around an account say of it.
#[derive(Debug, Default)]
struct Around {
    folded: i128,
    entries: u64,
    bills: u64,
    held: i128,
    holds: u32,
    claims: u32,
    packets: u32,
}

struct Auditor<'a> {
    rows: &'a dyn RowSource,
    around: BTreeMap<AccountKey, Around>,
    sums: BTreeMap<Currency, Sums>,
    parked: BTreeMap<Currency, i128>,
    counts: Counts,
    last: JournalNumber,
    link: Link,
    audit: Audit,
}

/// Recomputes the invariants of the shard that lies in `source`.
///
/// Errors: the store failed, or a row is damaged; then nothing can be said.
pub(crate) fn audit(source: &dyn RowSource) -> Result<Audit, LoadError> {
    let mut auditor = Auditor {
        rows: source,
        around: BTreeMap::new(),
        sums: BTreeMap::new(),
        parked: BTreeMap::new(),
        counts: Counts::default(),
        last: JournalNumber(0),
        link: Link::default(),
        audit: Audit::default(),
    };
    auditor.journal()?;
    auditor.transfers()?;
    auditor.bills()?;
    auditor.holds()?;
    auditor.waiting()?;
    auditor.accounts()?;
    auditor.memory()?;
    auditor.audit.facts.sums = auditor.sums;
    Ok(auditor.audit)
}

/// All rows of one kind in order.
fn all<N: Layout, V: Layout>(source: &dyn RowSource, tag: u8, visit: &mut dyn FnMut(N, V)) -> Result<(), LoadError> {
    each(source, &[tag], &prefix_end(&[tag]), &mut |name, value| {
        visit(name, value);
        true
    })
}

fn add_one(count: &mut u64) {
    *count = count.saturating_add(1);
}

impl Auditor<'_> {
    fn differs(&mut self, difference: Difference) {
        self.audit.differences.push(difference);
    }

    fn around(&mut self, key: AccountKey) -> &mut Around {
        self.around.entry(key).or_default()
    }

    fn count(&mut self, what: &'static str, stored: u64, counted: u64) {
        if stored != counted {
            self.differs(Difference::CountDiffers { what, stored, counted });
        }
    }

    /// Journal: gapless, sealed by its links, every balance the fold of its entries.
    fn journal(&mut self) -> Result<(), LoadError> {
        let mut links = Vec::new();
        all(self.rows, rows::LINK, &mut |last: JournalNumber, link: Link| links.push((last, link)))?;
        let mut links = links.into_iter().peekable();
        let mut seal: Option<Seal> = None;
        all(self.rows, rows::JOURNAL, &mut |number: JournalNumber, entry: JournalEntry| {
            let expected = self.last.next();
            if number != expected {
                self.differs(Difference::JournalGap { expected, found: number });
            }
            self.last = number;
            self.fold(number, &entry);
            let mut open = seal.take().unwrap_or_else(|| Seal::behind(self.link));
            open.add(number, &entry.to_bytes());
            let Some((last, link)) = links.next_if(|(last, _)| *last <= number) else {
                seal = Some(open);
                return;
            };
            if last != number || link != open.close() {
                self.differs(Difference::ChainBroken { last: number });
            }
            self.link = link;
        })?;
        if seal.is_some() || links.next().is_some() {
            self.differs(Difference::ChainBroken { last: self.last });
        }
        Ok(())
    }

    fn fold(&mut self, number: JournalNumber, entry: &JournalEntry) {
        let fen = i128::from(entry.money.amount.0);
        let (debit, credit) = (entry.debit, entry.credit);
        for (account, change, balance) in
            [(debit, fen.saturating_neg(), entry.debit_balance), (credit, fen, entry.credit_balance)]
        {
            let around = self.around(account);
            around.folded = around.folded.saturating_add(change);
            add_one(&mut around.entries);
            if around.folded != i128::from(balance.0) {
                self.differs(Difference::BalanceNotFolded { account, number });
            }
        }
        if fen <= 0 {
            self.differs(Difference::AmountNotPositive { number });
        }
        if !self.audit.facts.take(entry) {
            self.differs(Difference::SerialGap { number });
        }
    }

    /// Transfers: each that was booked has its entry, and each entry its transfer.
    fn transfers(&mut self) -> Result<(), LoadError> {
        let view = LedgerView::over(self.rows);
        let (mut booked, mut failed) = (0, None);
        all(self.rows, rows::TRANSFER, &mut |key: TransferKey, stored: StoredTransfer| {
            let Some(number) = stored.done.journal_number() else { return };
            add_one(&mut booked);
            match view.journal_entry(number) {
                Ok(entry) if entry.is_some_and(|entry| entry.key == key) => {}
                Ok(_) => self.differs(Difference::TransferUnbooked { key }),
                Err(error) => failed = Some(error),
            }
        })?;
        self.count("transfers", self.last.0, booked);
        failed.map_or(Ok(()), Err)
    }

    /// Bills: every line's entry touches the account; as many lines as entries is checked with the account.
    fn bills(&mut self) -> Result<(), LoadError> {
        let view = LedgerView::over(self.rows);
        let mut failed = None;
        all(
            self.rows,
            rows::BILL,
            &mut |Pair(account, number): Pair<AccountId, JournalNumber>, _: BillRow| match view.journal_entry(number) {
                Ok(entry) if entry.is_some_and(|entry| entry.change_of(account).is_some()) => {
                    add_one(&mut self.around(AccountKey::Customer(account)).bills);
                }
                Ok(_) => self.differs(Difference::AccountCountDiffers { account, what: "bill", stored: 1, counted: 0 }),
                Err(error) => failed = Some(error),
            },
        )?;
        failed.map_or(Ok(()), Err)
    }

    /// Holds: each has its deadline row, and counts on both of its accounts.
    fn holds(&mut self) -> Result<(), LoadError> {
        let mut failed = None;
        all(self.rows, rows::HOLD, &mut |hold: TransferId, held: HeldMoney| {
            add_one(&mut self.counts.holds);
            match self.rows.get(&rows::deadline(held.deadline, hold)) {
                Ok(Some(_)) => {}
                Ok(None) => self.differs(Difference::HoldWithoutDeadline { hold }),
                Err(failure) => failed = Some(LoadError::from(failure)),
            }
            let fen = i128::from(held.money.amount.0);
            let debit = self.around(AccountKey::Customer(held.debit));
            debit.held = debit.held.saturating_add(fen);
            debit.holds = debit.holds.saturating_add(1);
            let credit = self.around(AccountKey::Customer(held.credit));
            credit.holds = credit.holds.saturating_add(1);
        })?;
        let mut deadlines = 0;
        all(self.rows, rows::DEADLINE, &mut |_: Pair<TimestampMs, TransferId>, _: Deadline| add_one(&mut deadlines))?;
        self.count("deadlines", self.counts.holds, deadlines);
        failed.map_or(Ok(()), Err)
    }

    /// Claims and parked credits.
    fn waiting(&mut self) -> Result<(), LoadError> {
        all(self.rows, rows::CLAIM, &mut |key: ClaimKey, _: Claim| {
            let around = self.around(AccountKey::Customer(key.account));
            around.claims = around.claims.saturating_add(1);
            add_one(&mut self.counts.claims);
        })?;
        all(self.rows, rows::PARKED, &mut |_: JournalNumber, credit: ParkedCredit| {
            let sum = self.parked.entry(credit.money.currency).or_default();
            *sum = sum.saturating_add(i128::from(credit.money.amount.0));
            self.audit.facts.parked.insert((credit.source, credit.share), credit.money.amount);
            add_one(&mut self.counts.parked);
        })
    }

    /// Accounts: the balance is the fold, nobody is below zero, and what the row counts is there.
    fn accounts(&mut self) -> Result<(), LoadError> {
        // Customers stand before escrows, and need to know them: so escrows are counted first.
        all(self.rows, rows::ACCOUNT, &mut |key: AccountKey, account: Account| {
            if let (AccountKey::Escrow(packet), Body::Escrow { payer }) = (key, account.body)
                && account.balance > Fen::ZERO
            {
                let around = self.around(AccountKey::Customer(payer));
                around.packets = around.packets.saturating_add(1);
                add_one(&mut self.counts.packets);
                self.audit.facts.escrows.insert(packet, account.balance);
            }
        })?;
        all(self.rows, rows::ACCOUNT, &mut |key: AccountKey, account: Account| {
            let around = self.around.remove(&key).unwrap_or_default();
            self.account(key, &account, &around);
        })?;
        for account in core::mem::take(&mut self.around).into_keys() {
            self.differs(Difference::AccountMissing { account });
        }
        Ok(())
    }

    fn account(&mut self, key: AccountKey, account: &Account, around: &Around) {
        let (stored, folded) = (account.balance, around.folded);
        if i128::from(stored.0) != folded {
            self.differs(Difference::BalanceDiffers { account: key, stored, folded });
        }
        let may_be_below = matches!(key, AccountKey::Issue(_) | AccountKey::Clearing(..));
        let available = account.available();
        if available < Fen::ZERO && !may_be_below {
            self.differs(Difference::BelowZero { account: key, available });
        }
        let sums = self.sums.entry(account.currency).or_default();
        sums.add(key, i128::from(stored.0));
        match (key, account.body) {
            (AccountKey::Customer(id), _) => self.customer(id, account, around),
            (AccountKey::Clearing(peer, currency), Body::Clearing { sent, received }) => {
                self.audit.facts.clearing.insert((peer, currency), stored);
                let count = |pairs: Option<&Vec<_>>| pairs.map_or(0, |pairs| u64::try_from(pairs.len()).unwrap_or(0));
                let facts = &self.audit.facts;
                let (out, back) =
                    (count(facts.sent.get(&(peer, currency))), count(facts.received.get(&(peer, currency))));
                self.count("credits sent", sent, out);
                self.count("credits received", received, back);
            }
            _ => {}
        }
    }

    fn customer(&mut self, account: AccountId, row: &Account, around: &Around) {
        let Some(customer) = row.customer() else { return };
        add_one(&mut self.counts.accounts);
        let sums = self.sums.entry(row.currency).or_default();
        sums.held = sums.held.saturating_add(i128::from(customer.held.0));
        for (what, stored, counted) in [
            ("held", i128::from(customer.held.0), around.held),
            ("holds", i128::from(customer.holds), i128::from(around.holds)),
            ("claims", i128::from(customer.claims), i128::from(around.claims)),
            ("packets", i128::from(customer.packets), i128::from(around.packets)),
            ("bills", i128::from(around.entries), i128::from(around.bills)),
        ] {
            if stored != counted {
                self.differs(Difference::AccountCountDiffers { account, what, stored, counted });
            }
        }
        let is_empty = row.balance == Fen::ZERO && customer.holds == 0 && customer.claims == 0 && customer.packets == 0;
        if !customer.is_open && !is_empty {
            self.differs(Difference::ClosedNotEmpty { account });
        }
    }

    /// Memory: the sums and counts it holds, and the journal's end, are those of the rows; and all sums cancel out.
    fn memory(&mut self) -> Result<(), LoadError> {
        let state = State::load(self.rows)?;
        for ((what, stored), (_, counted)) in state.counts.all().into_iter().zip(self.counts.all()) {
            self.count(what, stored, counted);
        }
        self.count("journal", state.last.0, self.last.0);
        if state.link != self.link {
            self.differs(Difference::ChainBroken { last: self.last });
        }
        let mut currencies: Vec<Currency> = state.sums.keys().chain(self.sums.keys()).copied().collect();
        currencies.sort_unstable();
        currencies.dedup();
        for currency in currencies {
            let sums = self.sums.get(&currency).copied().unwrap_or_default();
            if sums != state.sums.get(&currency).copied().unwrap_or_default() {
                self.differs(Difference::SumsDiffer { currency });
            }
            if sums.total() != 0 {
                self.differs(Difference::SumNotZero { currency, sum: sums.total() });
            }
            let counted = self.parked.get(&currency).copied().unwrap_or_default();
            if sums.suspense != counted {
                self.differs(Difference::SuspenseDiffers { currency, stored: sums.suspense, counted });
            }
        }
        Ok(())
    }
}
