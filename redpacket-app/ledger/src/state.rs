//! What a shard holds in memory: the end of its journal, sums and counts. Everything else is rows.
//!
//! ```text
//!  row 0x1f -> version u8=3 | last u64 | link | published u64
//!              | accounts, packets, holds, claims, parked, orders u64
//!              | count u32, count x { currency | issue, customers, held, escrow, clearing, suspense i128 }
//! ```
//!
//! Must never: grow with accounts or transfers.

use std::collections::BTreeMap;

use machine::{DecodeError, Layout, LoadError, Reader, RowSource, Writer};

use crate::account::AccountKey;
use crate::fen::{Currency, Fen};
use crate::ids::JournalNumber;
use crate::journal::Link;
use crate::rows;

const VERSION: u8 = 3;

/// Sums of the balances of one currency. Units: fen. Invariant: all of them but `held` add up to zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Of the issue account: minus the money issued here.
    pub issue: i128,
    /// Of all customers.
    pub customers: i128,
    /// Of all holds; a part of `customers`.
    pub held: i128,
    /// Of all escrows.
    pub escrow: i128,
    /// Of all clearing accounts: what this shard owes to others, less what they owe to it.
    pub clearing: i128,
    /// Of parked credits.
    pub suspense: i128,
}

impl Sums {
    /// What double entry makes zero.
    #[must_use]
    pub const fn total(&self) -> i128 {
        let owed = self.customers.saturating_add(self.escrow).saturating_add(self.suspense);
        owed.saturating_add(self.clearing).saturating_add(self.issue)
    }

    /// Adds a signed amount to the sum that `key` belongs to.
    pub(crate) const fn add(&mut self, key: AccountKey, fen: i128) {
        let sum = match key {
            AccountKey::Customer(_) => &mut self.customers,
            AccountKey::Escrow(_) => &mut self.escrow,
            AccountKey::Clearing(..) => &mut self.clearing,
            AccountKey::Issue(_) => &mut self.issue,
            AccountKey::Suspense(_) => &mut self.suspense,
        };
        *sum = sum.saturating_add(fen);
    }

    const fn all(&self) -> [i128; 6] {
        [self.issue, self.customers, self.held, self.escrow, self.clearing, self.suspense]
    }
}

impl Layout for Sums {
    fn encode(&self, out: &mut Writer) {
        for sum in self.all() {
            out.u128(sum.cast_unsigned());
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            issue: input.u128()?.cast_signed(),
            customers: input.u128()?.cast_signed(),
            held: input.u128()?.cast_signed(),
            escrow: input.u128()?.cast_signed(),
            clearing: input.u128()?.cast_signed(),
            suspense: input.u128()?.cast_signed(),
        })
    }
}

/// How many there are of what a shard keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Customers' accounts ever opened.
    pub accounts: u64,
    /// Packets whose escrow is not empty.
    pub packets: u64,
    /// Holds that have not ended.
    pub holds: u64,
    /// Claims announced and not yet credited.
    pub claims: u64,
    /// Parked credits; more than none is an alarm.
    pub parked: u64,
    /// Orders ever placed.
    pub orders: u64,
}

impl Counts {
    pub(crate) const fn all(&self) -> [(&'static str, u64); 6] {
        [
            ("accounts", self.accounts),
            ("packets", self.packets),
            ("holds", self.holds),
            ("claims", self.claims),
            ("parked", self.parked),
            ("orders", self.orders),
        ]
    }
}

impl Layout for Counts {
    fn encode(&self, out: &mut Writer) {
        for (_, count) in self.all() {
            out.u64(count);
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            accounts: input.u64()?,
            packets: input.u64()?,
            holds: input.u64()?,
            claims: input.u64()?,
            parked: input.u64()?,
            orders: input.u64()?,
        })
    }
}

/// The memory of a shard; a function of its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The last journal entry.
    pub(crate) last: JournalNumber,
    /// The link that seals it.
    pub(crate) link: Link,
    /// Up to where the journal has been handed to those outside.
    pub(crate) published: JournalNumber,
    pub(crate) counts: Counts,
    pub(crate) sums: BTreeMap<Currency, Sums>,
}

impl State {
    /// The memory that belongs to `rows`.
    pub(crate) fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        let key = rows::state();
        rows.get(key.as_slice())?.map_or(Ok(Self::default()), |value| rows::value(key.as_slice(), &value))
    }

    /// Moves `amount` between the sums of two accounts.
    pub(crate) fn move_sum(&mut self, currency: Currency, debit: AccountKey, credit: AccountKey, amount: Fen) {
        let sums = self.sums.entry(currency).or_default();
        let fen = i128::from(amount.0);
        sums.add(debit, fen.saturating_neg());
        sums.add(credit, fen);
    }

    /// Adds a signed amount to what is held.
    pub(crate) fn move_held(&mut self, currency: Currency, fen: i128) {
        let sums = self.sums.entry(currency).or_default();
        sums.held = sums.held.saturating_add(fen);
    }
}

impl Layout for State {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.last.encode(out);
        self.link.encode(out);
        self.published.encode(out);
        self.counts.encode(out);
        out.len(self.sums.len());
        for (currency, sums) in &self.sums {
            currency.encode(out);
            sums.encode(out);
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            VERSION => {}
            tag => return Err(DecodeError::Unknown { what: "state version", tag }),
        }
        let (last, link) = (JournalNumber::decode(input)?, Link::decode(input)?);
        let (published, counts) = (JournalNumber::decode(input)?, Counts::decode(input)?);
        let currencies = input.count(usize::from(u16::MAX).saturating_add(1))?;
        let sums = (0..currencies).map(|_| Ok((Currency::decode(input)?, Sums::decode(input)?)));
        Ok(Self { last, link, published, counts, sums: sums.collect::<Result<_, DecodeError>>()? })
    }
}
