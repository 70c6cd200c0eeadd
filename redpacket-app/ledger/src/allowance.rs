//! Allowances: how much an account may pay into packets, at once and within a day. A row beside the payer.
//!
//! ```text
//!  row 0x19 account u128 -> version u8=1 | payment_max | day_max | day packed | spent
//! ```
//!
//! Why here: the limit must hold whichever door a payment comes by, and two payments at once must not both pass. The
//! entry's own stamp says which day it is, so all replicas agree.
//!
//! Must never: give back what was spent because a packet was refunded; a limit bounds what leaves, not what is lost.

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::account::{AccountKey, Customer};
use crate::book::Book;
use crate::fen::Fen;
use crate::ids::AccountId;
use crate::limits::BALANCE_FEN_MAX;
use crate::packed;
use crate::refusal::Refusal;
use crate::reply::{Answer, Done};
use crate::rows;

const VERSION: u8 = 1;
/// Days begin at midnight in China: 8 hours before UTC's.
const DAY_BEGINS_EARLIER_MS: u64 = 8 * 3_600_000;
const DAY_MS: u64 = 24 * 3_600_000;

/// The day of an instant, counted from 1970.
const fn day_of(now: TimestampMs) -> u64 {
    now.0.saturating_add(DAY_BEGINS_EARLIER_MS) / DAY_MS
}

/// Sets how much an account may pay into packets. A repeat is fine: it says what shall be, not what shall change.
///
/// Refuses: `CeilingInvalid`, `AccountUnknown`, `AccountClosed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitPayments {
    /// The account.
    pub account: AccountId,
    /// Most for one packet; 0: as much as there is.
    pub payment_max: Fen,
    /// Most for all packets of a day; 0: as much as there is.
    pub day_max: Fen,
}

impl Layout for LimitPayments {
    fn encode(&self, out: &mut Writer) {
        self.account.encode(out);
        self.payment_max.encode(out);
        self.day_max.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { account: AccountId::decode(input)?, payment_max: Fen::decode(input)?, day_max: Fen::decode(input)? })
    }
}

/// How much an account may pay, and what it has paid on the last day on which it paid anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Most for one packet; 0: as much as there is.
    pub payment_max: Fen,
    /// Most for all packets of a day; 0: as much as there is.
    pub day_max: Fen,
    /// The day of the last payment, counted from 1970 in China.
    pub day: u64,
    /// What was paid on that day. Units: fen.
    pub spent: Fen,
}

impl Allowance {
    /// What was paid so far on the day of `now`.
    #[must_use]
    pub const fn spent_on(&self, now: TimestampMs) -> Fen {
        if self.day == day_of(now) { self.spent } else { Fen::ZERO }
    }

    /// The allowance after a payment. Refuses: `PaymentLimit`, `DayLimit`.
    fn after(self, amount: Fen, now: TimestampMs) -> Result<Self, Refusal> {
        let spent = Fen(self.spent_on(now).0.saturating_add(amount.0));
        if self.payment_max > Fen::ZERO && amount > self.payment_max {
            return Err(Refusal::PaymentLimit);
        }
        if self.day_max > Fen::ZERO && spent > self.day_max {
            return Err(Refusal::DayLimit);
        }
        Ok(Self { day: day_of(now), spent, ..self })
    }
}

impl Layout for Allowance {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.payment_max.encode(out);
        self.day_max.encode(out);
        packed::put(out, self.day);
        self.spent.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            VERSION => {}
            tag => return Err(DecodeError::Unknown { what: "allowance version", tag }),
        }
        Ok(Self {
            payment_max: Fen::decode(input)?,
            day_max: Fen::decode(input)?,
            day: packed::get(input)?,
            spent: Fen::decode(input)?,
        })
    }
}

impl Book<'_> {
    /// Refuses: `CeilingInvalid`, `AccountUnknown`, `AccountClosed`.
    pub(crate) fn limit_payments(&mut self, limit: &LimitPayments) -> Answer {
        let LimitPayments { account, payment_max, day_max } = *limit;
        let is_bound = |fen: Fen| fen >= Fen::ZERO && fen.0 <= BALANCE_FEN_MAX;
        if !is_bound(payment_max) || !is_bound(day_max) {
            return Err(Refusal::CeilingInvalid);
        }
        let row = self.account(AccountKey::Customer(account)).ok_or(Refusal::AccountUnknown)?;
        if !row.customer().is_some_and(Customer::is_open) {
            return Err(Refusal::AccountClosed);
        }
        // What was paid today stays paid: a limit that is set anew does not begin the day again.
        let former: Allowance = self.get(rows::allowance(account)).unwrap_or_default();
        self.put(rows::allowance(account), Allowance { payment_max, day_max, ..former }.to_bytes());
        Ok(Done::Restricted)
    }

    /// The allowance of `payer` after a payment; `None`: it has none, and needs none. Writes nothing.
    ///
    /// Refuses: `PaymentLimit`, `DayLimit`.
    pub(crate) fn allowance_after(&self, payer: AccountId, amount: Fen) -> Result<Option<Allowance>, Refusal> {
        let allowance: Option<Allowance> = self.get(rows::allowance(payer));
        allowance.map(|allowance| allowance.after(amount, self.context.now)).transpose()
    }
}
