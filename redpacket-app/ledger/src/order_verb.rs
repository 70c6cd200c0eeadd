//! The verbs of orders: what one step asks for, each with its layout (its fields in order).
//!
//! Must never: gain a field in an old verb; a changed verb gets a new number in `command.rs`.

use bytes::Bytes;
use machine::{DecodeError, GroupId, Layout, Reader, Writer};

use crate::fen::Money;
use crate::ids::{AccountId, OrderId, TransferId};

/// Places an order of a merchant of this shard. A repeat is answered as the first one, whatever became of the order.
///
/// Refuses: `IdReused`, `AmountNotPositive`, `AmountTooLarge`, `DetailsTooLarge`, `HoldTimeInvalid`, `AccountUnknown`,
/// `AccountClosed`, `CurrencyMismatch`, `NotMerchant`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceOrder {
    /// Identity: made of the merchant and his number, by the caller.
    pub order: OrderId,
    /// Who shall be paid.
    pub merchant: AccountId,
    /// How much.
    pub money: Money,
    /// For how long it can be paid. Units: milliseconds of machine time.
    pub life_ms: u64,
    /// The merchant's number.
    pub number: Bytes,
    /// What it is for.
    pub subject: Bytes,
}

impl Layout for PlaceOrder {
    fn encode(&self, out: &mut Writer) {
        self.order.encode(out);
        self.merchant.encode(out);
        self.money.encode(out);
        out.u64(self.life_ms);
        out.bytes(&self.number);
        out.bytes(&self.subject);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            order: OrderId::decode(input)?,
            merchant: AccountId::decode(input)?,
            money: Money::decode(input)?,
            life_ms: input.u64()?,
            number: input.bytes()?,
            subject: input.bytes()?,
        })
    }
}

/// Pays an order: payer to merchant within this shard, or to the clearing account and on by courier. Where the order does
/// not take it any more, the money comes back by itself.
///
/// Refuses: `IdReused`, `AmountNotPositive`, `AmountTooLarge`, `GroupInvalid`, `SameAccount`, `DebitUnknown`,
/// `CreditUnknown`, `DebitClosed`, `CreditClosed`, `DebitFrozen`, `CurrencyMismatch`, `InsufficientFunds`,
/// `CeilingReached`, `BalanceLimit`, `PaymentLimit`, `DayLimit`; where the order is here, `OrderUnknown`,
/// `MerchantDiffers`, `OrderDiffers`, `OrderPaid`, `OrderClosed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayOrder {
    /// Identity: made of the order and the payer, by the caller.
    pub id: TransferId,
    /// The order.
    pub order: OrderId,
    /// Who pays; lives in this shard.
    pub payer: AccountId,
    /// Who is paid.
    pub merchant: AccountId,
    /// The merchant's home: this group, or another.
    pub to_group: GroupId,
    /// How much: what the order says.
    pub money: Money,
}

impl Layout for PayOrder {
    fn encode(&self, out: &mut Writer) {
        self.id.encode(out);
        self.order.encode(out);
        self.payer.encode(out);
        self.merchant.encode(out);
        out.u32(self.to_group.0);
        self.money.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: TransferId::decode(input)?,
            order: OrderId::decode(input)?,
            payer: AccountId::decode(input)?,
            merchant: AccountId::decode(input)?,
            to_group: GroupId(input.u32()?),
            money: Money::decode(input)?,
        })
    }
}

/// Sees to it that an order is never paid. A repeat is fine.
///
/// Refuses: `OrderUnknown`, `MerchantDiffers`, `OrderPaid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseOrder {
    /// The order.
    pub order: OrderId,
    /// Whose it is.
    pub merchant: AccountId,
}

impl Layout for CloseOrder {
    fn encode(&self, out: &mut Writer) {
        self.order.encode(out);
        self.merchant.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { order: OrderId::decode(input)?, merchant: AccountId::decode(input)? })
    }
}

/// Pays back what an order was paid with, or a part of it; several times, until all of it went back.
///
/// A payer's account that cannot take it gets it parked: that is an answer, not a refusal.
///
/// Refuses: `IdReused`, `AmountNotPositive`, `AmountTooLarge`, `DetailsTooLarge`, `GroupInvalid`, `DebitUnknown`,
/// `DebitClosed`, `DebitFrozen`, `CurrencyMismatch`, `InsufficientFunds`, `OrderUnknown`, `MerchantDiffers`,
/// `OrderDiffers`, `OrderUnpaid`, `RefundTooLarge`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundOrder {
    /// Identity: made of the order and the merchant's number of the refund, by the caller.
    pub id: TransferId,
    /// The order.
    pub order: OrderId,
    /// Who was paid; lives in this shard.
    pub merchant: AccountId,
    /// Who paid.
    pub payer: AccountId,
    /// The payer's home: this group, or another.
    pub to_group: GroupId,
    /// How much.
    pub money: Money,
    /// The merchant's number of the refund; only carried.
    pub number: Bytes,
}

impl Layout for RefundOrder {
    fn encode(&self, out: &mut Writer) {
        self.id.encode(out);
        self.order.encode(out);
        self.merchant.encode(out);
        self.payer.encode(out);
        out.u32(self.to_group.0);
        self.money.encode(out);
        out.bytes(&self.number);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: TransferId::decode(input)?,
            order: OrderId::decode(input)?,
            merchant: AccountId::decode(input)?,
            payer: AccountId::decode(input)?,
            to_group: GroupId(input.u32()?),
            money: Money::decode(input)?,
            number: input.bytes()?,
        })
    }
}
