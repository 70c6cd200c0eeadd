//! Landing a credit, and parking it where it cannot land.
//!
//! ```text
//!  row 0x18 number u64 -> version u8=1 | source u32 | carried | account u128 | money | reason u16 | parked_ms u64
//!                         (number: the journal entry that put the money into suspense)
//! ```
//!
//! Why: a credit that its account cannot take must neither be lost nor stand in the way of those behind it. It waits in
//! suspense, is counted (an alarm), and an operator lands it. A closed account is refused to be closed while claims
//! are announced for it, so this is rare.
//!
//! Must never: drop a credit, or land one twice.

use machine::{DecodeError, GroupId, Layout, Reader, TimestampMs, Writer};

use crate::account::{Account, AccountKey};
use crate::book::{Book, Posting};
use crate::carried::Carried;
use crate::claim::ClaimKey;
use crate::fen::Money;
use crate::ids::{AccountId, JournalNumber, OrderId};
use crate::order::{PAYMENT_CODE, REFUND_CODE};
use crate::refusal::Refusal;
use crate::reply::{Answer, Done};
use crate::rows;
use crate::transfer::TransferKey;
use crate::verb::RetryParked;

const VERSION: u8 = 1;

/// A credit that waits in suspense for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParkedCredit {
    /// Where it came from.
    pub source: GroupId,
    /// Which it is.
    pub what: Carried,
    /// Who should have got it.
    pub account: AccountId,
    /// How much.
    pub money: Money,
    /// Why the account could not take it.
    pub reason: Refusal,
    /// Machine time.
    pub parked: TimestampMs,
}

impl Layout for ParkedCredit {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        out.u32(self.source.0);
        self.what.encode(out);
        self.account.encode(out);
        self.money.encode(out);
        self.reason.encode(out);
        self.parked.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            VERSION => {}
            tag => return Err(DecodeError::Unknown { what: "parked version", tag }),
        }
        Ok(Self {
            source: GroupId(input.u32()?),
            what: Carried::decode(input)?,
            account: AccountId::decode(input)?,
            money: Money::decode(input)?,
            reason: Refusal::decode(input)?,
            parked: TimestampMs::decode(input)?,
        })
    }
}

/// A payment at the door of its account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Landing {
    /// How it is booked if it can land.
    pub(crate) posting: Posting,
    pub(crate) source: GroupId,
    pub(crate) what: Carried,
    pub(crate) account: AccountId,
}

impl Landing {
    /// The order that it pays, if it pays one.
    pub(crate) const fn order(&self) -> Option<OrderId> {
        match (self.what, self.posting.code) {
            (Carried::Transfer(_), PAYMENT_CODE) => Some(OrderId(self.posting.memo)),
            _ => None,
        }
    }

    /// Whether it gives back what an order was paid with.
    pub(crate) const fn is_refund(&self) -> bool {
        matches!((self.what, self.posting.code), (Carried::Transfer(_), REFUND_CODE))
    }
}

impl Book<'_> {
    /// Pays a credit out of `debit` into its account, or into suspense, and takes its claim out of the index.
    ///
    /// Refuses: `EscrowShort`, `BalanceLimit` (of the ledger's own accounts).
    pub(crate) fn land(&mut self, landing: &Landing, debit: Account) -> Answer {
        let Landing { posting, source, what, account } = *landing;
        let money = posting.money;
        let done = match self.receiver(landing) {
            Ok(credit) => Done::Booked(self.post(&posting, debit, credit)?),
            Err(reason) => {
                let number = self.suspend(&posting, debit)?;
                let parked = ParkedCredit { source, what, account, money, reason, parked: self.context.now };
                self.put(rows::parked(number), parked.to_bytes());
                self.state.counts.parked = self.state.counts.parked.saturating_add(1);
                Done::Parked(number)
            }
        };
        if let Carried::Share(share) = what {
            self.forget_claim(&ClaimKey { account, source, share });
        }
        Ok(done)
    }

    /// Books `posting` into suspense instead of where it was for.
    pub(crate) fn suspend(&mut self, posting: &Posting, debit: Account) -> Result<JournalNumber, Refusal> {
        let suspense = AccountKey::Suspense(posting.money.currency);
        let credit = self.account(suspense).ok_or(Refusal::CreditUnknown)?;
        self.post(&Posting { credit: suspense, ..*posting }, debit, credit)
    }

    /// The account, if it can take the money.
    ///
    /// Refuses: `CreditUnknown`, `CreditClosed`, `CurrencyMismatch`, `CeilingReached`, `BalanceLimit`.
    pub(crate) fn receiver(&self, landing: &Landing) -> Result<Account, Refusal> {
        let Landing { posting: Posting { money, .. }, what, account, .. } = *landing;
        let row = self.account(AccountKey::Customer(account)).ok_or(Refusal::CreditUnknown)?;
        if row.customer().is_none_or(|customer| !customer.is_open()) {
            return Err(Refusal::CreditClosed);
        }
        if row.currency != money.currency {
            return Err(Refusal::CurrencyMismatch);
        }
        // What comes back was this account's money before.
        if !matches!(what, Carried::Return(_)) && !landing.is_refund() {
            row.check_ceiling(money.amount)?;
        }
        row.balance.plus(money.amount).ok_or(Refusal::BalanceLimit)?;
        Ok(row)
    }

    /// Refuses: `ParkedUnknown`, `CreditUnknown`, `CreditClosed`, `CurrencyMismatch`, `CeilingReached`, `BalanceLimit`.
    pub(crate) fn retry_parked(&mut self, retry: &RetryParked) -> Answer {
        let parked: ParkedCredit = self.get(rows::parked(retry.parked)).ok_or(Refusal::ParkedUnknown)?;
        let (suspense, receiver) = (AccountKey::Suspense(retry.currency), AccountKey::Customer(retry.account));
        let (debit, credit) = self.parties(suspense, receiver, parked.money.currency)?;
        credit.check_ceiling(parked.money.amount)?;
        let posting = Posting::of(TransferKey::Own(retry.id), suspense, receiver, parked.money);
        let number = self.post(&Posting { memo: u128::from(retry.parked.0), ..posting }, debit, credit)?;
        self.delete(rows::parked(retry.parked));
        self.state.counts.parked = self.state.counts.parked.saturating_sub(1);
        Ok(Done::Booked(number))
    }
}
