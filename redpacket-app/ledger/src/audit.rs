//! The audit of one shard: every invariant recomputed from all rows.
//!
//! ```text
//!  journal ──fold──> balances ──=──> account rows ──sum──> zero, and the sums in memory
//!     │ └─links──> chain            holds, claims, parked, bills, transfers ──count──> what accounts and memory say
//!     └─sent, received──> Facts ──> reconcile
//! ```
//!
//! Why: the invariants of the money must be checkable by someone who trusts none of the code that kept them. It reads
//! all rows once (bills and transfers look into the journal) and holds one record per account, packet and order of its part: an
//! audit of a large shard is made in parts, one after the other, so that its memory is bounded whatever the shard holds.
//!
//! Must never: be run where a reply waits for it.

use std::collections::BTreeMap;

use machine::{Layout, LoadError, RowSource, TimestampMs, prefix_end};

use crate::account::{Account, AccountKey, Body};
use crate::bill::{Line, read_chunk};
use crate::claim::{Claim, ClaimKey};
use crate::difference::Difference;
use crate::facts::{Facts, Trail};
use crate::fen::{Currency, Fen};
use crate::hold::{Deadline, HeldMoney};
use crate::ids::{AccountId, JournalNumber, OrderId, PacketId, ShareId, TransferId};
use crate::journal::{JournalEntry, Link, SealedPage};
use crate::order_audit::OrderSums;
use crate::pages::{Pages, entries_of};
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
    incoming: i128,
    holds: u32,
    claims: u32,
    packets: u32,
}

/// The accounts, packets, orders and transfers that an audit takes a closer look at: one of `of` parts of about the same size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which, from 0.
    pub index: u32,
    /// Of how many; 0 and 1: all.
    pub of: u32,
}

impl Part {
    /// Everything at once.
    pub const ALL: Self = Self { index: 0, of: 1 };

    /// Whether what `name` stands for is in it.
    #[must_use]
    pub fn has(self, name: u128) -> bool {
        let folded = name.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) >> 96;
        folded.checked_rem(u128::from(self.of)).is_none_or(|part| part == u128::from(self.index))
    }

    fn has_account(self, key: AccountKey) -> bool {
        self.has(match key {
            AccountKey::Customer(AccountId(id)) | AccountKey::Escrow(PacketId(id)) => id,
            AccountKey::Clearing(..) | AccountKey::Issue(_) | AccountKey::Suspense(_) => 0,
        })
    }

    fn has_transfer(self, key: TransferKey) -> bool {
        self.has(match key {
            TransferKey::Own(TransferId(id))
            | TransferKey::Crossing(_, TransferId(id))
            | TransferKey::Bounce(_, TransferId(id))
            | TransferKey::Returned(_, TransferId(id))
            | TransferKey::Order(OrderId(id))
            | TransferKey::Credit(ShareId { packet: PacketId(id), .. })
            | TransferKey::Arrival(_, ShareId { packet: PacketId(id), .. })
            | TransferKey::Refund(PacketId(id)) => id,
        })
    }
}

struct Auditor<'a> {
    rows: &'a dyn RowSource,
    part: Part,
    around: BTreeMap<AccountKey, Around>,
    sums: BTreeMap<Currency, Sums>,
    parked: BTreeMap<Currency, i128>,
    counts: Counts,
    last: JournalNumber,
    link: Link,
    orders: OrderSums,
    audit: Audit,
}

/// Recomputes the invariants of the shard that lies in `source`.
///
/// Errors: the store failed, or a row is damaged; then nothing can be said.
pub(crate) fn audit(source: &dyn RowSource, part: Part) -> Result<Audit, LoadError> {
    let mut auditor = Auditor {
        rows: source,
        part,
        around: BTreeMap::new(),
        sums: BTreeMap::new(),
        parked: BTreeMap::new(),
        counts: Counts::default(),
        last: JournalNumber(0),
        link: Link::default(),
        orders: OrderSums::default(),
        audit: Audit::default(),
    };
    auditor.journal()?;
    auditor.transfers()?;
    auditor.bill_rows()?;
    auditor.holds()?;
    auditor.waiting()?;
    auditor.accounts()?;
    let orders = core::mem::take(&mut auditor.orders).check(source, part)?;
    auditor.counts.orders = orders.rows;
    auditor.audit.differences.extend(orders.differences);
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
        let mut broken = None;
        all(self.rows, rows::JOURNAL, &mut |first: JournalNumber, page: SealedPage| {
            let expected = self.last.next();
            if first != expected {
                self.differs(Difference::JournalGap { expected, found: first });
            }
            let entries = match entries_of(first, &page) {
                Ok(entries) => entries,
                Err(error) => {
                    broken = Some(error);
                    return;
                }
            };
            for (number, entry) in (first.0..).map(JournalNumber).zip(entries) {
                self.last = number;
                self.fold(number, &entry);
            }
            if !page.follows(self.link, first) {
                self.differs(Difference::ChainBroken { last: self.last });
            }
            self.link = page.link;
        })?;
        broken.map_or(Ok(()), Err)
    }

    fn fold(&mut self, number: JournalNumber, entry: &JournalEntry) {
        let fen = i128::from(entry.money.amount.0);
        let (debit, credit) = (entry.debit, entry.credit);
        for (account, change, balance) in
            [(debit, fen.saturating_neg(), entry.debit_balance), (credit, fen, entry.credit_balance)]
        {
            if !self.part.has_account(account) {
                continue;
            }
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
        self.orders.take(number, entry, self.part);
        if !self.audit.facts.take(entry, self.part) {
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
            if !self.part.has_transfer(key) {
                return;
            }
            match view.journal_entry(number) {
                Ok(entry) if entry.is_some_and(|entry| entry.key == key) => {}
                Ok(_) => self.differs(Difference::TransferUnbooked { key }),
                Err(error) => failed = Some(error),
            }
        })?;
        failed.map_or(Ok(()), Err)?;
        self.count("transfers", self.last.0, booked);
        if self.last.0 == booked { Ok(()) } else { self.lost_transfers() }
    }

    /// Which entries have no transfer: a look-up for each, so only made where their numbers differ.
    fn lost_transfers(&mut self) -> Result<(), LoadError> {
        let view = LedgerView::over(self.rows);
        let mut failed = None;
        each(self.rows, &[rows::JOURNAL], &prefix_end(&[rows::JOURNAL]), &mut |first: JournalNumber, page| {
            failed = self.without_transfer(&view, first, &page).err();
            failed.is_none()
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn without_transfer(
        &mut self,
        view: &LedgerView<'_>,
        first: JournalNumber,
        page: &SealedPage,
    ) -> Result<(), LoadError> {
        for (number, entry) in (first.0..).map(JournalNumber).zip(entries_of(first, page)?) {
            if self.part.has_transfer(entry.key) && view.transfer(entry.key)?.is_none() {
                self.differs(Difference::TransferLost { key: entry.key, number });
            }
        }
        Ok(())
    }

    /// Bills that lie in rows of their own; the tails lie with their accounts.
    fn bill_rows(&mut self) -> Result<(), LoadError> {
        let mut pages = Pages::over(self.rows);
        let mut failed = None;
        let source = self.rows;
        source.scan(&[rows::BILL], &prefix_end(&[rows::BILL]), &mut |key, row| {
            let lines = rows::name::<Pair<AccountId, JournalNumber>>(key).and_then(|Pair(account, _)| {
                let lines = read_chunk(row).map_err(|error| LoadError::row(key, error))?;
                Ok((account, lines))
            });
            let checked = lines.and_then(|(account, lines)| self.bill_lines(account, &lines, &mut pages));
            failed = checked.err();
            failed.is_none()
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Lines of a bill: every line's entry touches the account; as many lines as entries is checked with the account.
    fn bill_lines(&mut self, account: AccountId, lines: &[Line], pages: &mut Pages<'_>) -> Result<(), LoadError> {
        if !self.part.has_account(AccountKey::Customer(account)) {
            return Ok(());
        }
        for (number, kind) in lines {
            let entry = pages.entry(*number)?;
            if entry.is_some_and(|entry| entry.change_of(account).is_some() && entry.kind() == *kind) {
                add_one(&mut self.around(AccountKey::Customer(account)).bills);
            } else {
                self.differs(Difference::AccountCountDiffers { account, what: "bill", stored: 1, counted: 0 });
            }
        }
        Ok(())
    }

    /// Holds: each has its deadline row, and counts on both of its accounts.
    fn holds(&mut self) -> Result<(), LoadError> {
        let mut failed = None;
        all(self.rows, rows::HOLD, &mut |hold: TransferId, held: HeldMoney| {
            add_one(&mut self.counts.holds);
            match self.rows.get(rows::deadline(held.deadline, hold).as_slice()) {
                Ok(Some(_)) => {}
                Ok(None) => self.differs(Difference::HoldWithoutDeadline { hold }),
                Err(failure) => failed = Some(LoadError::from(failure)),
            }
            let fen = i128::from(held.money.amount.0);
            let (debit, credit) = (AccountKey::Customer(held.debit), AccountKey::Customer(held.credit));
            if self.part.has_account(debit) {
                let debit = self.around(debit);
                debit.held = debit.held.saturating_add(fen);
                debit.holds = debit.holds.saturating_add(1);
            }
            if self.part.has_account(credit) {
                let credit = self.around(credit);
                credit.incoming = credit.incoming.saturating_add(fen);
                credit.holds = credit.holds.saturating_add(1);
            }
        })?;
        let mut deadlines = 0;
        all(self.rows, rows::DEADLINE, &mut |_: Pair<TimestampMs, TransferId>, _: Deadline| add_one(&mut deadlines))?;
        self.count("deadlines", self.counts.holds, deadlines);
        failed.map_or(Ok(()), Err)
    }

    /// Claims and parked credits.
    fn waiting(&mut self) -> Result<(), LoadError> {
        all(self.rows, rows::CLAIM, &mut |key: ClaimKey, _: Claim| {
            add_one(&mut self.counts.claims);
            if self.part.has_account(AccountKey::Customer(key.account)) {
                let around = self.around(AccountKey::Customer(key.account));
                around.claims = around.claims.saturating_add(1);
            }
        })?;
        all(self.rows, rows::PARKED, &mut |_: JournalNumber, credit: ParkedCredit| {
            let sum = self.parked.entry(credit.money.currency).or_default();
            *sum = sum.saturating_add(i128::from(credit.money.amount.0));
            add_one(&mut self.counts.parked);
            if self.part.has_transfer(credit.what.arrival(credit.source)) {
                self.audit.facts.parked.insert((credit.source, credit.what), credit.money.amount);
            }
        })
    }

    /// Accounts: the balance is the fold, nobody is below zero, and what the row counts is there.
    fn accounts(&mut self) -> Result<(), LoadError> {
        // Customers stand before escrows, and need to know them: so escrows are counted first.
        all(self.rows, rows::ACCOUNT, &mut |key: AccountKey, account: Account| {
            if let (AccountKey::Escrow(packet), Body::Escrow { payer }) = (key, account.body)
                && account.balance > Fen::ZERO
            {
                add_one(&mut self.counts.packets);
                if self.part.has_account(AccountKey::Customer(payer)) {
                    let around = self.around(AccountKey::Customer(payer));
                    around.packets = around.packets.saturating_add(1);
                }
                if self.part.has_account(key) {
                    self.audit.facts.escrows.insert(packet, account.balance);
                }
            }
        })?;
        let (mut pages, mut failed) = (Pages::over(self.rows), None);
        all(self.rows, rows::ACCOUNT, &mut |key: AccountKey, account: Account| {
            self.sum(key, &account);
            if !self.part.has_account(key) {
                return;
            }
            if let (AccountKey::Customer(id), Some(customer)) = (key, account.customer()) {
                let tail = customer.bill.read();
                let tail = tail.map_err(|error| LoadError::row(rows::account(key).as_slice(), error));
                failed = tail.and_then(|lines| self.bill_lines(id, &lines, &mut pages)).err().or(failed.take());
            }
            let around = self.around.remove(&key).unwrap_or_default();
            self.account(key, &account, &around);
        })?;
        failed.map_or(Ok(()), Err)?;
        for account in core::mem::take(&mut self.around).into_keys() {
            self.differs(Difference::AccountMissing { account });
        }
        Ok(())
    }

    /// What every account adds to the sums and counts of the shard, whatever its part.
    fn sum(&mut self, key: AccountKey, account: &Account) {
        let sums = self.sums.entry(account.currency).or_default();
        sums.add(key, i128::from(account.balance.0));
        if let Some(customer) = account.customer() {
            sums.held = sums.held.saturating_add(i128::from(customer.held.0));
            add_one(&mut self.counts.accounts);
        }
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
        match (key, account.body) {
            (AccountKey::Customer(id), _) => self.customer(id, account, around),
            (AccountKey::Clearing(peer, currency), Body::Clearing { sent, received }) => {
                self.audit.facts.clearing.insert((peer, currency), stored);
                let count = |trail: Option<&Trail>| trail.map_or(0, |trail| trail.count);
                let facts = &self.audit.facts;
                let (out, back) =
                    (count(facts.sent.get(&(peer, currency))), count(facts.received.get(&(peer, currency))));
                self.count("payments sent", sent, out);
                self.count("payments received", received, back);
            }
            _ => {}
        }
    }

    fn customer(&mut self, account: AccountId, row: &Account, around: &Around) {
        let Some(customer) = row.customer() else { return };
        for (what, stored, counted) in [
            ("held", i128::from(customer.held.0), around.held),
            ("incoming", i128::from(customer.incoming.0), around.incoming),
            ("holds", i128::from(customer.holds), i128::from(around.holds)),
            ("claims", i128::from(customer.claims), i128::from(around.claims)),
            ("packets", i128::from(customer.packets), i128::from(around.packets)),
            ("bills", i128::from(around.entries), i128::from(around.bills)),
            ("lines", i128::from(customer.bill.lines), i128::from(around.bills)),
        ] {
            if stored != counted {
                self.differs(Difference::AccountCountDiffers { account, what, stored, counted });
            }
        }
        let is_empty = row.balance == Fen::ZERO && customer.holds == 0 && customer.claims == 0 && customer.packets == 0;
        if !customer.is_open() && !is_empty {
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
