//! The verbs of red packets: paying into a packet's escrow, paying shares out of it, and the refund of the rest.
//!
//! ```text
//!  pay     payer ──> escrow(packet)        and "packet paid" to the outside, in one entry
//!  credit  escrow ─> account               its home is here
//!          escrow ─> clearing(to_group)    its home is elsewhere: a courier record carries it on
//!  refund  escrow ─> payer                 once
//! ```
//!
//! Why: the escrow lives beside its payer, so the debit is one entry and needs no lock. What a share is worth is decided
//! by the packets machine; here it is only seen to that an escrow never pays more than it holds.
//!
//! Must never: let a late debit pass once its order was cancelled.

use machine::{GroupId, Layout};

use crate::account::{Account, AccountKey, Body, Status};
use crate::book::{Book, Posting};
use crate::carried::Carried;
use crate::courier::{CourierRecord, Departure};
use crate::fen::Currency;
use crate::ids::{AccountId, OrderId, PacketId};
use crate::limits::DETAILS_BYTES_MAX;
use crate::parked::Landing;
use crate::refusal::Refusal;
use crate::reply::{Answer, Done};
use crate::rows;
use crate::transfer::{Fingerprint, StoredTransfer, TransferKey};
use crate::verb::{CreditShare, PayPacket, RefundPacket};

impl Book<'_> {
    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `DetailsTooLarge`, `DebitUnknown`, `DebitClosed`,
    /// `DebitFrozen`, `CurrencyMismatch`, `PacketExists`, `InsufficientFunds`, `PaymentLimit`, `DayLimit`.
    pub(crate) fn pay_packet(&mut self, pay: &PayPacket) -> Answer {
        let PayPacket { order, packet, payer, money, ref details } = *pay;
        money.amount.check_amount()?;
        if details.len() > DETAILS_BYTES_MAX {
            return Err(Refusal::DetailsTooLarge);
        }
        let mut debit = self.account(AccountKey::Customer(payer)).ok_or(Refusal::DebitUnknown)?;
        let customer = debit.customer().ok_or(Refusal::DebitUnknown)?;
        match customer.status {
            Status::Open => {}
            Status::Frozen => return Err(Refusal::DebitFrozen),
            Status::Closed => return Err(Refusal::DebitClosed),
        }
        if debit.currency != money.currency {
            return Err(Refusal::CurrencyMismatch);
        }
        let escrow = AccountKey::Escrow(packet);
        if self.account(escrow).is_some() {
            return Err(Refusal::PacketExists);
        }
        debit.check_available(money.amount)?;
        let allowance = self.allowance_after(payer, money.amount)?;
        if let Some(customer) = debit.customer_mut() {
            customer.packets = customer.packets.saturating_add(1);
        }
        let paid = self.context.now;
        let credit = Account::new(money.currency, paid, Body::Escrow { payer });
        let posting = Posting::of(TransferKey::Order(order), AccountKey::Customer(payer), escrow, money);
        let number = self.post(&posting, debit, credit)?;
        if let Some(allowance) = allowance {
            self.put(rows::allowance(payer), allowance.to_bytes());
        }
        self.state.counts.packets = self.state.counts.packets.saturating_add(1);
        let (group, details) = (self.context.group, details.clone());
        let record = CourierRecord::PacketPaid { group, order, packet, payer, money, paid, details };
        self.send(GroupId::OUTSIDE, record.to_bytes());
        Ok(Done::Booked(number))
    }

    /// What the order did; or, if it did nothing yet, its permanent cancel.
    pub(crate) fn settle_or_cancel(&mut self, order: OrderId) -> Done {
        let key = TransferKey::Order(order);
        if let Some(stored) = self.stored(key) {
            return stored.done;
        }
        self.store(key, StoredTransfer { done: Done::Cancelled, fingerprint: Fingerprint::default() });
        Done::Cancelled
    }

    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `GroupInvalid`, `PacketUnknown`, `CurrencyMismatch`,
    /// `PayerDiffers`, `EscrowShort`, `BalanceLimit` (of the ledger's own accounts).
    pub(crate) fn credit_share(&mut self, credit: &CreditShare) -> Answer {
        let CreditShare { share, payer, account, to_group, money } = *credit;
        money.amount.check_amount()?;
        if to_group == GroupId::META || to_group == GroupId::OUTSIDE {
            return Err(Refusal::GroupInvalid);
        }
        let escrow = self.escrow(share.packet, payer, money.currency)?;
        let is_last = escrow.balance == money.amount;
        let from = AccountKey::Escrow(share.packet);
        let key = TransferKey::Credit(share);
        let done = if to_group == self.context.group {
            let posting = Posting::of(key, from, AccountKey::Customer(account), money);
            self.land(&Landing { posting, source: to_group, what: Carried::Share(share), account }, escrow)?
        } else {
            let posting = Posting::of(key, from, AccountKey::Clearing(to_group, money.currency), money);
            let departure = Departure { posting, to_group, what: Carried::Share(share), from: payer, account };
            Done::Sent(self.depart(&departure, escrow)?)
        };
        if is_last {
            self.packet_is_empty(payer);
        }
        Ok(done)
    }

    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `PacketUnknown`, `CurrencyMismatch`, `PayerDiffers`, `EscrowShort`,
    /// `BalanceLimit`.
    pub(crate) fn refund_packet(&mut self, refund: &RefundPacket) -> Answer {
        let RefundPacket { packet, payer, money } = *refund;
        money.amount.check_amount()?;
        let escrow = self.escrow(packet, payer, money.currency)?;
        let is_last = escrow.balance == money.amount;
        // Closing is refused while a packet of the account holds money: the payer is there, and open.
        let credit = self.account(AccountKey::Customer(payer)).ok_or(Refusal::CreditUnknown)?;
        let (debit, payee) = (AccountKey::Escrow(packet), AccountKey::Customer(payer));
        let number = self.post(&Posting::of(TransferKey::Refund(packet), debit, payee, money), escrow, credit)?;
        if is_last {
            self.packet_is_empty(payer);
        }
        Ok(Done::Booked(number))
    }

    fn escrow(&self, packet: PacketId, payer: AccountId, currency: Currency) -> Result<Account, Refusal> {
        let escrow = self.account(AccountKey::Escrow(packet)).ok_or(Refusal::PacketUnknown)?;
        if escrow.currency != currency {
            return Err(Refusal::CurrencyMismatch);
        }
        if escrow.body != (Body::Escrow { payer }) {
            return Err(Refusal::PayerDiffers);
        }
        Ok(escrow)
    }

    fn packet_is_empty(&mut self, payer: AccountId) {
        self.adjust(payer, |customer| customer.packets = customer.packets.saturating_sub(1));
        self.state.counts.packets = self.state.counts.packets.saturating_sub(1);
    }
}
