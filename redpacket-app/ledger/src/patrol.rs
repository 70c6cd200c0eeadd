//! The patrol: the audit that never rests, in slices, while the shard goes on.
//!
//! ```text
//!  journal up to N      gapless, linked, serials in order             + balance by balance   + line by line  + id by id
//!  accounts, slice by slice, each as of the journal's end then        - balance              - line
//!  transfers up to N                                                                                         - id
//!  journal behind N     what the slices had seen of it already        + balance by balance
//!                                                                     = nothing              = nothing       = nothing
//! ```
//!
//! Why: whoever holds a record per account cannot watch ten million of them, and whoever holds the rows still stops the
//! shard. Each step of a balance adds a mark of what it became and takes off the mark of what it was; over a whole
//! journal all but the first and the last cancel out, and these the account's row takes off. A few sums stand for all
//! accounts: one wrong fen, one lost line or one lost id leaves them different from nothing.
//!
//! Must never: need more memory for a longer journal; or raise an alarm over what came between two slices.

use std::collections::BTreeMap;

use machine::{GroupId, Key, LoadError, RowSource, prefix_end};

use crate::account::{Account, AccountKey};
use crate::bill::{Line, read_chunk};
use crate::difference::Difference;
use crate::facts::{Crossing, carried};
use crate::fen::{Currency, Fen};
use crate::ids::{AccountId, JournalNumber, OrderId, PacketId, ShareId, TransferId};
use crate::journal::{JournalEntry, Link, SealedPage};
use crate::pages::entries_of;
use crate::read::each;
use crate::rows;
use crate::state::State;
use crate::transfer::{StoredTransfer, TransferKey};

/// Differences that one round spells out.
const DIFFERENCES_MAX: usize = 64;

/// What a round of the patrol has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// What does not hold. Empty: everything does.
    pub differences: Vec<Difference>,
    /// Journal entries that were read.
    pub entries: u64,
    /// Accounts that were read.
    pub accounts: u64,
    /// Transfers that were read.
    pub transfers: u64,
}

#[derive(Debug)]
enum Stage {
    Journal,
    Accounts { next: Key, bill: Option<BillLeft> },
    Transfers { next: Key },
    Rest { until: JournalNumber },
}

/// The rows of a bill that are still to be read: those of lines from the first number on, before the second.
#[derive(Clone, Copy, Debug)]
struct BillLeft {
    account: AccountId,
    from: JournalNumber,
    before: JournalNumber,
}

/// One round in the making.
#[derive(Debug)]
pub struct Patrol {
    stage: Stage,
    round: Round,
    last: JournalNumber,
    link: Link,
    /// The end of the journal when its accounts began to be read.
    end: JournalNumber,
    /// Where each slice of accounts ended, and the journal's end that it was read at.
    slices: Vec<(Key, JournalNumber)>,
    serials: BTreeMap<(GroupId, Currency), [u64; 2]>,
    balances: u128,
    lines: u128,
    ids: u128,
}

impl Default for Patrol {
    fn default() -> Self {
        Self {
            stage: Stage::Journal,
            round: Round::default(),
            last: JournalNumber(0),
            link: Link::default(),
            end: JournalNumber(0),
            slices: Vec::new(),
            serials: BTreeMap::new(),
            balances: 0,
            lines: 0,
            ids: 0,
        }
    }
}

/// The finishing step of SplitMix64 (Steele, Lea, Flood 2014).
const fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A mark of some numbers, spread over 128 bits. Against mishap, not against malice: for that there is the chain.
fn mark(parts: [u128; 3]) -> u128 {
    let half = |seed: u64| {
        parts.iter().fold(seed, |sum, part| {
            let [low, high] = [*part, *part >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or(0));
            mix(mix(sum ^ low).wrapping_add(high).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        })
    };
    u128::from(half(0x2545_f491_4f6c_dd1d)) << 64 | u128::from(half(0x9e6c_63d0_876a_9a47))
}

fn name_of(key: AccountKey) -> [u128; 2] {
    match key {
        AccountKey::Customer(AccountId(id)) => [1, id],
        AccountKey::Escrow(PacketId(id)) => [2, id],
        AccountKey::Clearing(group, currency) => [3, u128::from(group.0) << 16 | u128::from(currency.0)],
        AccountKey::Issue(currency) => [4, u128::from(currency.0)],
        AccountKey::Suspense(currency) => [5, u128::from(currency.0)],
    }
}

fn balance_mark(key: AccountKey, balance: i128) -> u128 {
    let [kind, id] = name_of(key);
    mark([kind, id, balance.cast_unsigned()])
}

fn line_mark(account: AccountId, (number, kind): Line) -> u128 {
    mark([account.0, u128::from(number.0), u128::from(kind as u8)])
}

fn id_mark(key: TransferKey, number: JournalNumber) -> u128 {
    let (kind, group, share, id) = match key {
        TransferKey::Own(TransferId(id)) => (0, 0, 0, id),
        TransferKey::Order(OrderId(id)) => (1, 0, 0, id),
        TransferKey::Credit(ShareId { packet, share }) => (2, 0, share, packet.0),
        TransferKey::Arrival(group, ShareId { packet, share }) => (3, group.0, share, packet.0),
        TransferKey::Refund(PacketId(id)) => (4, 0, 0, id),
        TransferKey::Crossing(group, TransferId(id)) => (5, group.0, 0, id),
        TransferKey::Bounce(group, TransferId(id)) => (6, group.0, 0, id),
        TransferKey::Returned(group, TransferId(id)) => (7, group.0, 0, id),
    };
    let parts = u128::from(group) << 32 | u128::from(share) | kind << 64;
    mark([parts, id, u128::from(number.0)])
}

const fn add_one(count: &mut u64) {
    *count = count.saturating_add(1);
}

impl Patrol {
    /// Goes on by about `budget` rows of `rows`, a view that does not change meanwhile. `Some`: the round is over.
    ///
    /// Errors: the store failed, or a row is damaged; the round is lost.
    pub fn go_on(&mut self, source: &dyn RowSource, budget: usize) -> Result<Option<Round>, LoadError> {
        let budget = budget.max(1);
        match &mut self.stage {
            Stage::Journal => self.journal(source, budget)?,
            Stage::Accounts { .. } => self.accounts(source, budget)?,
            Stage::Transfers { .. } => self.transfers(source, budget)?,
            Stage::Rest { until } => {
                let until = *until;
                if self.last >= until {
                    self.balance_up();
                    return Ok(Some(core::mem::take(&mut self.round)));
                }
                self.read_journal(source, budget)?;
            }
        }
        Ok(None)
    }

    fn differs(&mut self, difference: Difference) {
        if self.round.differences.len() < DIFFERENCES_MAX {
            self.round.differences.push(difference);
        }
    }

    fn journal(&mut self, source: &dyn RowSource, budget: usize) -> Result<(), LoadError> {
        if self.read_journal(source, budget)? >= budget {
            return Ok(());
        }
        let state = State::load(source)?;
        if state.last != self.last {
            let (stored, counted) = (state.last.0, self.last.0);
            self.differs(Difference::CountDiffers { what: "journal", stored, counted });
        }
        if state.link != self.link {
            self.differs(Difference::ChainBroken { last: self.last });
        }
        self.end = self.last;
        self.stage = Stage::Accounts { next: Key::from_static(&[rows::ACCOUNT]), bill: None };
        Ok(())
    }

    /// Reads pages behind the last entry; answers how many.
    fn read_journal(&mut self, source: &dyn RowSource, budget: usize) -> Result<usize, LoadError> {
        let (mut pages, mut broken) = (0_usize, None);
        let from = rows::journal(self.last.next());
        let end = prefix_end(&[rows::JOURNAL]);
        each(source, from.as_slice(), &end, &mut |first: JournalNumber, page: SealedPage| {
            pages = pages.saturating_add(1);
            broken = self.page(first, &page).err();
            broken.is_none() && pages < budget
        })?;
        broken.map_or(Ok(pages), Err)
    }

    fn page(&mut self, first: JournalNumber, page: &SealedPage) -> Result<(), LoadError> {
        let expected = self.last.next();
        if first != expected {
            self.differs(Difference::JournalGap { expected, found: first });
        }
        for (number, entry) in (first.0..).map(JournalNumber).zip(entries_of(first, page)?) {
            self.last = number;
            self.entry(number, &entry);
        }
        if !page.follows(self.link, first) {
            self.differs(Difference::ChainBroken { last: self.last });
        }
        self.link = page.link;
        Ok(())
    }

    fn entry(&mut self, number: JournalNumber, entry: &JournalEntry) {
        add_one(&mut self.round.entries);
        let fen = i128::from(entry.money.amount.0);
        let (debit_after, credit_after) = (i128::from(entry.debit_balance.0), i128::from(entry.credit_balance.0));
        for (key, before, after) in [
            (entry.debit, debit_after.saturating_add(fen), debit_after),
            (entry.credit, credit_after.saturating_sub(fen), credit_after),
        ] {
            if self.is_seen(key, number) {
                let step = balance_mark(key, after).wrapping_sub(balance_mark(key, before));
                self.balances = self.balances.wrapping_add(step);
            }
        }
        if matches!(self.stage, Stage::Rest { .. }) {
            return;
        }
        if fen <= 0 {
            self.differs(Difference::AmountNotPositive { number });
        }
        self.ids = self.ids.wrapping_add(id_mark(entry.key, number));
        for key in [entry.debit, entry.credit] {
            if let AccountKey::Customer(account) = key {
                self.lines = self.lines.wrapping_add(line_mark(account, (number, entry.kind())));
            }
        }
        self.serial(number, entry);
    }

    /// Whether the account's row was, or will be, read with this entry in it.
    fn is_seen(&self, key: AccountKey, number: JournalNumber) -> bool {
        if !matches!(self.stage, Stage::Rest { .. }) {
            return true;
        }
        let row = rows::account(key);
        let slice = self.slices.partition_point(|(end, _)| end.as_ref() < row.as_slice());
        self.slices.get(slice).is_some_and(|(_, seen)| number <= *seen)
    }

    fn serial(&mut self, number: JournalNumber, entry: &JournalEntry) {
        let (peer, way) = match carried(entry) {
            Some((_, Crossing::Out(target))) => (target, 0_usize),
            Some((_, Crossing::In(source))) => (source, 1),
            None => return,
        };
        let counts = self.serials.entry((peer, entry.money.currency)).or_default();
        let Some(count) = counts.get_mut(way) else { return };
        add_one(count);
        if *count != entry.serial {
            self.differs(Difference::SerialGap { number });
        }
    }

    fn accounts(&mut self, source: &dyn RowSource, budget: usize) -> Result<(), LoadError> {
        let Stage::Accounts { next, bill } = &mut self.stage else { return Ok(()) };
        let (from, bill) = (next.clone(), bill.take());
        if let Some(left) = bill {
            let left = self.bill(source, left, budget)?;
            self.stage = Stage::Accounts { next: from, bill: left };
            return Ok(());
        }
        let seen = State::load(source)?.last;
        let (mut read, mut last, mut broken, mut left) = (0_usize, None, None, None);
        source.scan(&from, &prefix_end(&[rows::ACCOUNT]), &mut |key, value| {
            let row = rows::name::<AccountKey>(key).and_then(|name| Ok((name, rows::value::<Account>(key, value)?)));
            let checked = row.and_then(|(name, account)| self.account(name, &account, seen));
            match checked {
                Ok(bill) => left = bill,
                Err(error) => broken = Some(error),
            }
            read = read.saturating_add(1);
            last = Some(Key::copy_from_slice(key));
            // A bill with rows of its own ends the slice: they are read before the next account is.
            broken.is_none() && left.is_none() && read < budget
        })?;
        broken.map_or(Ok(()), Err)?;
        match last {
            Some(last) => {
                let next = Key::from([last.as_ref(), &[0]].concat());
                self.slices.push((last, seen));
                self.merge_slices();
                self.stage = Stage::Accounts { next, bill: left };
            }
            None => self.stage = Stage::Transfers { next: Key::from_static(&[rows::TRANSFER]) },
        }
        Ok(())
    }

    /// Slices that were read at the same end of the journal are one: a quiet shard needs a single one.
    fn merge_slices(&mut self) {
        if let [.., (end, seen), (last, also)] = self.slices.as_mut_slice()
            && seen == also
        {
            *end = last.clone();
            self.slices.pop();
        }
    }

    fn account(
        &mut self,
        key: AccountKey,
        account: &Account,
        seen: JournalNumber,
    ) -> Result<Option<BillLeft>, LoadError> {
        add_one(&mut self.round.accounts);
        let step = balance_mark(key, i128::from(account.balance.0)).wrapping_sub(balance_mark(key, 0));
        self.balances = self.balances.wrapping_sub(step);
        let available = account.available();
        if available < Fen::ZERO && !matches!(key, AccountKey::Issue(_) | AccountKey::Clearing(..)) {
            self.differs(Difference::BelowZero { account: key, available });
        }
        let (AccountKey::Customer(id), Some(customer)) = (key, account.customer()) else { return Ok(None) };
        let tail = customer.bill.read().map_err(|error| LoadError::row(rows::account(key).as_slice(), error))?;
        let has_rows = u64::try_from(tail.len()).is_ok_and(|lines| lines < customer.bill.lines);
        let before = tail.first().map_or(seen.next(), |(number, _)| *number);
        self.take_off(id, &tail);
        Ok(has_rows.then_some(BillLeft { account: id, from: JournalNumber(0), before }))
    }

    fn take_off(&mut self, account: AccountId, lines: &[Line]) {
        for line in lines.iter().filter(|(number, _)| *number <= self.end) {
            self.lines = self.lines.wrapping_sub(line_mark(account, *line));
        }
    }

    /// Reads rows of a bill; answers what is left of them.
    fn bill(&mut self, source: &dyn RowSource, left: BillLeft, budget: usize) -> Result<Option<BillLeft>, LoadError> {
        let BillLeft { account, from, before } = left;
        let (mut read, mut broken, mut next) = (0_usize, None, from);
        let (start, end) = (rows::bill(account, from), rows::bill(account, before));
        source.scan(start.as_slice(), end.as_slice(), &mut |key, value| {
            match read_chunk(value) {
                Ok(lines) => {
                    next = lines.last().map_or(next, |(number, _)| number.next());
                    self.take_off(account, &lines);
                }
                Err(error) => broken = Some(LoadError::row(key, error)),
            }
            read = read.saturating_add(1);
            broken.is_none() && read < budget
        })?;
        broken.map_or(Ok(()), Err)?;
        Ok((read >= budget).then_some(BillLeft { account, from: next, before }))
    }

    fn transfers(&mut self, source: &dyn RowSource, budget: usize) -> Result<(), LoadError> {
        let Stage::Transfers { next } = &self.stage else { return Ok(()) };
        let from = next.clone();
        let (mut read, mut last, mut broken) = (0_usize, None, None);
        source.scan(&from, &prefix_end(&[rows::TRANSFER]), &mut |key, value| {
            let row = rows::name::<TransferKey>(key)
                .and_then(|name| Ok((name, rows::value::<StoredTransfer>(key, value)?.done.journal_number())));
            match row {
                Ok((name, Some(number))) if number <= self.end => {
                    self.ids = self.ids.wrapping_sub(id_mark(name, number));
                }
                Ok(_) => {}
                Err(error) => broken = Some(error),
            }
            add_one(&mut self.round.transfers);
            read = read.saturating_add(1);
            last = Some(Key::from([key, &[0]].concat()));
            broken.is_none() && read < budget
        })?;
        broken.map_or(Ok(()), Err)?;
        self.stage = match last {
            Some(next) => Stage::Transfers { next },
            None => Stage::Rest { until: self.slices.iter().map(|(_, seen)| *seen).max().unwrap_or_default() },
        };
        Ok(())
    }

    /// What was added must have been taken off again.
    fn balance_up(&mut self) {
        for (what, rest) in [("balances", self.balances), ("bills", self.lines), ("transfers", self.ids)] {
            if rest != 0 {
                self.differs(Difference::MarksDiffer { what });
            }
        }
    }
}
