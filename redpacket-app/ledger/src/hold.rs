//! Holds: money set aside for another account, then posted, voided, or free again when its time is over.
//!
//! ```text
//!  row 0x12 hold u128               -> version u8=1 | debit u128 | credit u128 | money | deadline_ms u64 | code u16 | memo
//!  row 0x13 deadline_ms u64, hold   -> version u8=1 | debit u128 | credit u128
//! ```
//!
//! Both rows live as long as the hold. A hold counts against the available balance until its row is gone; whether it may
//! still be posted is decided by the entry's own stamp. So late ticks keep money set aside for longer, and never let it
//! be spent twice.
//!
//! Must never: let one hold end twice.

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::account::{Account, AccountKey};
use crate::book::{Book, Posting};
use crate::command::DueHold;
use crate::fen::{Fen, Money};
use crate::ids::{AccountId, TransferId};
use crate::limits::HOLD_MS_MAX;
use crate::packed;
use crate::refusal::Refusal;
use crate::reply::{Answer, Done};
use crate::rows;
use crate::transfer::{StoredTransfer, TransferKey, check_code};
use crate::verb::{Hold, Post, Void};

const VERSION: u8 = 1;

/// A hold that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldMoney {
    /// Who will pay.
    pub debit: AccountId,
    /// Who will be paid.
    pub credit: AccountId,
    /// How much is set aside.
    pub money: Money,
    /// Machine time from which on it can no longer be posted.
    pub deadline: TimestampMs,
    /// The caller's word for what it is.
    pub code: u16,
    /// The caller's reference.
    pub memo: u128,
}

impl Layout for HeldMoney {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.debit.encode(out);
        self.credit.encode(out);
        self.money.encode(out);
        self.deadline.encode(out);
        out.u16(self.code);
        packed::put_memo(out, self.memo);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            VERSION => {}
            tag => return Err(DecodeError::Unknown { what: "hold version", tag }),
        }
        Ok(Self {
            debit: AccountId::decode(input)?,
            credit: AccountId::decode(input)?,
            money: Money::decode(input)?,
            deadline: TimestampMs::decode(input)?,
            code: input.u16()?,
            memo: packed::get_memo(input)?,
        })
    }
}

/// The value of a deadline row: the accounts that the tick must name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) debit: AccountId,
    pub(crate) credit: AccountId,
}

impl Layout for Deadline {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.debit.encode(out);
        self.credit.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            VERSION => Ok(Self { debit: AccountId::decode(input)?, credit: AccountId::decode(input)? }),
            tag => Err(DecodeError::Unknown { what: "deadline version", tag }),
        }
    }
}

impl Book<'_> {
    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `HoldTimeInvalid`, `SameAccount`, `DebitUnknown`, `CreditUnknown`,
    /// `DebitClosed`, `CreditClosed`, `DebitFrozen`, `CurrencyMismatch`, `InsufficientFunds`, `CeilingReached`,
    /// `CodeReserved`.
    pub(crate) fn hold(&mut self, hold: &Hold) -> Answer {
        let Hold { id, debit, credit, money, code, memo, .. } = *hold;
        money.amount.check_amount()?;
        if hold.hold_ms == 0 || hold.hold_ms > HOLD_MS_MAX {
            return Err(Refusal::HoldTimeInvalid);
        }
        if debit == credit {
            return Err(Refusal::SameAccount);
        }
        let (payer, payee) = self.parties(AccountKey::Customer(debit), AccountKey::Customer(credit), money.currency)?;
        payer.check_available(money.amount)?;
        payee.check_ceiling(money.amount)?;
        check_code(code)?;
        let deadline = self.context.now.plus(hold.hold_ms);
        self.adjust(debit, |customer| {
            customer.held = Fen(customer.held.0.saturating_add(money.amount.0));
            customer.holds = customer.holds.saturating_add(1);
        });
        self.adjust(credit, |customer| {
            customer.incoming = Fen(customer.incoming.0.saturating_add(money.amount.0));
            customer.holds = customer.holds.saturating_add(1);
        });
        self.state.move_held(money.currency, i128::from(money.amount.0));
        self.state.counts.holds = self.state.counts.holds.saturating_add(1);
        self.put(rows::hold(id), HeldMoney { debit, credit, money, deadline, code, memo }.to_bytes());
        self.put(rows::deadline(deadline, id), Deadline { debit, credit }.to_bytes());
        Ok(Done::Held)
    }

    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `HoldUnknown`, `HoldEnded`, `HoldDiffers`, `AmountExceedsHold`,
    /// `BalanceLimit`.
    pub(crate) fn post_hold(&mut self, post: &Post) -> Answer {
        post.amount.map_or(Ok(()), Fen::check_amount)?;
        let held = self.live_hold(post.hold, post.debit, post.credit)?;
        let amount = post.amount.unwrap_or(held.money.amount);
        if amount > held.money.amount {
            return Err(Refusal::AmountExceedsHold);
        }
        let (debit, credit) = (AccountKey::Customer(held.debit), AccountKey::Customer(held.credit));
        // Closing is refused while holds touch an account, and what is held is paid even if the payer was frozen since.
        let mut payer = self.account(debit).ok_or(Refusal::DebitUnknown)?;
        let mut payee = self.account(credit).ok_or(Refusal::CreditUnknown)?;
        let_go(&held, &mut payer, &mut payee);
        let posting = Posting::of(TransferKey::Own(post.id), debit, credit, Money { amount, ..held.money });
        let number = self.post(&Posting { code: held.code, memo: post.hold.0, ..posting }, payer, payee)?;
        self.forget_hold(post.hold, &held);
        let made = TransferKey::Own(post.hold);
        if let Some(stored) = self.stored(made) {
            self.store(made, StoredTransfer { done: Done::Posted(number), ..stored });
        }
        Ok(Done::Booked(number))
    }

    /// Refuses: `HoldUnknown`, `HoldEnded`, `HoldDiffers`.
    pub(crate) fn void_hold(&mut self, void: &Void) -> Answer {
        let held = self.live_hold(void.hold, void.debit, void.credit)?;
        self.end_hold(void.hold, &held);
        Ok(Done::Voided)
    }

    /// Ends the holds whose time is over; passes by what has ended, is not yet due, or is not what the leader saw.
    pub(crate) fn tick(&mut self, due: &[DueHold]) -> u32 {
        let mut ended: u32 = 0;
        for DueHold { hold, debit, credit } in due {
            let held: Option<HeldMoney> = self.get(rows::hold(*hold));
            let is_due = |held: &HeldMoney| held.deadline <= self.context.now;
            let is_same = |held: &HeldMoney| held.debit == *debit && held.credit == *credit;
            if let Some(held) = held.filter(is_due).filter(is_same) {
                self.end_hold(*hold, &held);
                ended = ended.saturating_add(1);
            }
        }
        ended
    }

    fn live_hold(&self, hold: TransferId, debit: AccountId, credit: AccountId) -> Result<HeldMoney, Refusal> {
        if self.stored(TransferKey::Own(hold)).is_none_or(|stored| !matches!(stored.done, Done::Held | Done::Posted(_)))
        {
            return Err(Refusal::HoldUnknown);
        }
        let held: Option<HeldMoney> = self.get(rows::hold(hold));
        let held = held.filter(|held| self.context.now < held.deadline).ok_or(Refusal::HoldEnded)?;
        if held.debit != debit || held.credit != credit {
            return Err(Refusal::HoldDiffers);
        }
        Ok(held)
    }

    fn end_hold(&mut self, hold: TransferId, held: &HeldMoney) {
        let (debit, credit) = (AccountKey::Customer(held.debit), AccountKey::Customer(held.credit));
        if let (Some(mut payer), Some(mut payee)) = (self.account(debit), self.account(credit)) {
            let_go(held, &mut payer, &mut payee);
            self.put_account(debit, &payer);
            self.put_account(credit, &payee);
        }
        self.forget_hold(hold, held);
    }

    fn forget_hold(&mut self, hold: TransferId, held: &HeldMoney) {
        self.delete(rows::hold(hold));
        self.delete(rows::deadline(held.deadline, hold));
        self.state.move_held(held.money.currency, i128::from(held.money.amount.0).saturating_neg());
        self.state.counts.holds = self.state.counts.holds.saturating_sub(1);
    }
}

/// Takes a hold off both accounts.
fn let_go(held: &HeldMoney, payer: &mut Account, payee: &mut Account) {
    if let Some(customer) = payer.customer_mut() {
        customer.held = Fen(customer.held.0.saturating_sub(held.money.amount.0));
        customer.holds = customer.holds.saturating_sub(1);
    }
    if let Some(customer) = payee.customer_mut() {
        customer.incoming = Fen(customer.incoming.0.saturating_sub(held.money.amount.0));
        customer.holds = customer.holds.saturating_sub(1);
    }
}
