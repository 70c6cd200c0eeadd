//! Deciding on orders: placed, paid, closed, paid back.
//!
//! ```text
//!  payer here       payer ─> merchant, and the order is paid, in one entry
//!  payer elsewhere  payer ─> clearing ··courier··> clearing ─> merchant, and the order is paid, in one entry
//!                                                  or back: closed, paid by another, merchant closed
//!  refund           merchant ─> payer, or ─> clearing ··courier··> payer, or into suspense; never back
//! ```
//!
//! Must never: take a payment for an order without marking it paid in the same entry.

use machine::{GroupId, Layout};

use crate::account::{AccountKey, Customer, CustomerKind, Status};
use crate::book::{Book, Posting};
use crate::carried::Carried;
use crate::courier::{CourierRecord, Departure};
use crate::fen::{Fen, Money};
use crate::ids::{AccountId, JournalNumber, OrderId};
use crate::limits::{ORDER_MS_MAX, ORDER_NUMBER_BYTES_MAX, ORDER_SUBJECT_BYTES_MAX};
use crate::order::{Order, OrderPayment, OrderState, PAYMENT_CODE, REFUND_CODE};
use crate::order_verb::{CloseOrder, PayOrder, PlaceOrder, RefundOrder};
use crate::parked::Landing;
use crate::refusal::Refusal;
use crate::reply::{Answer, Done};
use crate::rows;
use crate::transfer::TransferKey;

impl Book<'_> {
    /// Refuses: `IdReused`, `AmountNotPositive`, `AmountTooLarge`, `DetailsTooLarge`, `HoldTimeInvalid`,
    /// `AccountUnknown`, `AccountClosed`, `CurrencyMismatch`, `NotMerchant`.
    pub(crate) fn place_order(&mut self, place: &PlaceOrder) -> Answer {
        let PlaceOrder { order, merchant, money, life_ms, ref number, ref subject } = *place;
        if let Some(known) = self.get::<Order>(rows::order(order)) {
            let is_same = known.merchant == merchant
                && known.money == money
                && known.number == *number
                && known.subject == *subject
                && known.deadline == known.placed.plus(life_ms);
            return if is_same { Ok(Done::Opened) } else { Err(Refusal::IdReused) };
        }
        money.amount.check_amount()?;
        if number.len() > ORDER_NUMBER_BYTES_MAX || subject.len() > ORDER_SUBJECT_BYTES_MAX {
            return Err(Refusal::DetailsTooLarge);
        }
        if life_ms == 0 || life_ms > ORDER_MS_MAX {
            return Err(Refusal::HoldTimeInvalid);
        }
        let row = self.account(AccountKey::Customer(merchant)).ok_or(Refusal::AccountUnknown)?;
        let customer = row.customer().ok_or(Refusal::AccountUnknown)?;
        if !customer.is_open() {
            return Err(Refusal::AccountClosed);
        }
        if row.currency != money.currency {
            return Err(Refusal::CurrencyMismatch);
        }
        if customer.kind != CustomerKind::Merchant {
            return Err(Refusal::NotMerchant);
        }
        let placed = self.context.now;
        let placed = Order {
            merchant,
            money,
            placed,
            deadline: placed.plus(life_ms),
            number: number.clone(),
            subject: subject.clone(),
            state: OrderState::Open,
        };
        self.put(rows::order(order), placed.to_bytes());
        self.state.counts.orders = self.state.counts.orders.saturating_add(1);
        Ok(Done::Opened)
    }

    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `GroupInvalid`, `SameAccount`, `DebitUnknown`, `CreditUnknown`,
    /// `DebitClosed`, `CreditClosed`, `DebitFrozen`, `CurrencyMismatch`, `InsufficientFunds`, `CeilingReached`,
    /// `PaymentLimit`, `DayLimit`, `OrderUnknown`, `MerchantDiffers`, `OrderDiffers`, `OrderPaid`, `OrderClosed`,
    /// `BalanceLimit`.
    pub(crate) fn pay_order(&mut self, pay: &PayOrder) -> Answer {
        let PayOrder { id, order, payer, merchant, to_group, money } = *pay;
        money.amount.check_amount()?;
        check_group(to_group)?;
        if payer == merchant {
            return Err(Refusal::SameAccount);
        }
        let is_here = to_group == self.context.group;
        let clearing = AccountKey::Clearing(to_group, money.currency);
        let (from, to) = (AccountKey::Customer(payer), if is_here { AccountKey::Customer(merchant) } else { clearing });
        let (debit, credit) = self.parties(from, to, money.currency)?;
        debit.check_available(money.amount)?;
        credit.check_ceiling(money.amount)?;
        let allowance = self.allowance_after(payer, money.amount)?;
        let posting = Posting::of(TransferKey::Own(id), from, to, money);
        let posting = Posting { code: PAYMENT_CODE, memo: order.0, ..posting };
        let done = if is_here {
            self.check_payable(order, merchant, money)?;
            let number = self.post(&posting, debit, credit)?;
            self.order_is_paid(order, payer, to_group, number);
            Done::Booked(number)
        } else {
            let what = Carried::Transfer(id);
            let departure = Departure { posting, to_group, what, from: payer, account: merchant };
            Done::Sent(self.depart(&departure, debit)?)
        };
        if let Some(allowance) = allowance {
            self.put(rows::allowance(payer), allowance.to_bytes());
        }
        Ok(done)
    }

    /// Whether a payment from another shard finds its order as it must. Fine for what pays no order.
    ///
    /// Refuses: `OrderUnknown`, `MerchantDiffers`, `OrderDiffers`, `OrderPaid`, `OrderClosed`.
    pub(crate) fn check_order_of(&self, landing: &Landing) -> Result<(), Refusal> {
        match landing.order() {
            Some(order) => self.check_payable(order, landing.account, landing.posting.money),
            None => Ok(()),
        }
    }

    /// Refuses: `OrderUnknown`, `MerchantDiffers`, `OrderDiffers`, `OrderPaid`, `OrderClosed`.
    fn check_payable(&self, order: OrderId, merchant: AccountId, money: Money) -> Result<(), Refusal> {
        let row: Order = self.get(rows::order(order)).ok_or(Refusal::OrderUnknown)?;
        row.check_payable(merchant, money, self.context.now)
    }

    /// Marks an order that a payment was just booked for, and tells those outside.
    pub(crate) fn order_is_paid(&mut self, order: OrderId, payer: AccountId, from: GroupId, entry: JournalNumber) {
        let Some(row) = self.get::<Order>(rows::order(order)) else { return };
        let (group, at, money, merchant) = (self.context.group, self.context.now, row.money, row.merchant);
        let number = row.number.clone();
        let state = OrderState::Paid(OrderPayment { payer, from, entry, at, refunded: Fen::ZERO });
        self.put(rows::order(order), Order { state, ..row }.to_bytes());
        let record = CourierRecord::OrderPaid { group, order, merchant, payer, money, at, number };
        self.send(GroupId::OUTSIDE, record.to_bytes());
    }

    /// Refuses: `OrderUnknown`, `MerchantDiffers`, `OrderPaid`.
    pub(crate) fn close_order(&mut self, close: &CloseOrder) -> Answer {
        let row: Order = self.get(rows::order(close.order)).ok_or(Refusal::OrderUnknown)?;
        if row.merchant != close.merchant {
            return Err(Refusal::MerchantDiffers);
        }
        match row.state_at(self.context.now) {
            OrderState::Paid(_) => return Err(Refusal::OrderPaid),
            OrderState::Closed(_) => {}
            OrderState::Open => {
                let state = OrderState::Closed(self.context.now);
                self.put(rows::order(close.order), Order { state, ..row }.to_bytes());
            }
        }
        Ok(Done::Closed)
    }

    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `DetailsTooLarge`, `GroupInvalid`, `DebitUnknown`, `DebitClosed`,
    /// `DebitFrozen`, `CurrencyMismatch`, `InsufficientFunds`, `OrderUnknown`, `MerchantDiffers`, `OrderDiffers`,
    /// `OrderUnpaid`, `RefundTooLarge`, `BalanceLimit` (of the ledger's own accounts).
    pub(crate) fn refund_order(&mut self, refund: &RefundOrder) -> Answer {
        let RefundOrder { id, order, merchant, payer, to_group, money, number: ref refund_number } = *refund;
        money.amount.check_amount()?;
        if refund_number.len() > ORDER_NUMBER_BYTES_MAX {
            return Err(Refusal::DetailsTooLarge);
        }
        check_group(to_group)?;
        let debit = self.account(AccountKey::Customer(merchant)).ok_or(Refusal::DebitUnknown)?;
        match debit.customer().map(|customer: &Customer| customer.status).ok_or(Refusal::DebitUnknown)? {
            Status::Open => {}
            Status::Frozen => return Err(Refusal::DebitFrozen),
            Status::Closed => return Err(Refusal::DebitClosed),
        }
        if debit.currency != money.currency {
            return Err(Refusal::CurrencyMismatch);
        }
        debit.check_available(money.amount)?;
        let row: Order = self.get(rows::order(order)).ok_or(Refusal::OrderUnknown)?;
        let payment = refundable(&row, refund)?;
        let refunded = payment.refunded.plus(money.amount).filter(|sum| *sum <= row.money.amount);
        let refunded = refunded.ok_or(Refusal::RefundTooLarge)?;
        let from = AccountKey::Customer(merchant);
        let of =
            |to| Posting { code: REFUND_CODE, memo: order.0, ..Posting::of(TransferKey::Own(id), from, to, money) };
        let what = Carried::Transfer(id);
        let done = if to_group == self.context.group {
            let posting = of(AccountKey::Customer(payer));
            self.land(&Landing { posting, source: to_group, what, account: payer }, debit)?
        } else {
            let posting = of(AccountKey::Clearing(to_group, money.currency));
            Done::Sent(self.depart(&Departure { posting, to_group, what, from: merchant, account: payer }, debit)?)
        };
        let (group, at, number) = (self.context.group, self.context.now, row.number.clone());
        let state = OrderState::Paid(OrderPayment { refunded, ..payment });
        self.put(rows::order(order), Order { state, ..row }.to_bytes());
        let refund = refund_number.clone();
        let record = CourierRecord::OrderRefunded { group, order, merchant, money, refunded, at, number, refund };
        self.send(GroupId::OUTSIDE, record.to_bytes());
        Ok(done)
    }
}

fn check_group(group: GroupId) -> Result<(), Refusal> {
    if [GroupId::META, GroupId::OUTSIDE].contains(&group) { Err(Refusal::GroupInvalid) } else { Ok(()) }
}

/// The payment that `refund` gives back. Refuses: `MerchantDiffers`, `OrderDiffers`, `OrderUnpaid`.
fn refundable(row: &Order, refund: &RefundOrder) -> Result<OrderPayment, Refusal> {
    if row.merchant != refund.merchant {
        return Err(Refusal::MerchantDiffers);
    }
    let OrderState::Paid(payment) = row.state else { return Err(Refusal::OrderUnpaid) };
    if (payment.payer, payment.from) != (refund.payer, refund.to_group) || row.money.currency != refund.money.currency {
        return Err(Refusal::OrderDiffers);
    }
    Ok(payment)
}
