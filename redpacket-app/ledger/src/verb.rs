//! The verbs: what one step asks for, each with its layout (its fields in order).
//!
//! Why: every verb names the accounts it touches and their currency, so that the rows it reads follow from it alone.
//!
//! Must never: gain a field in an old verb; a changed verb gets a new number in `command.rs`.

use bytes::Bytes;
use machine::{DecodeError, GroupId, Layout, Reader, Writer};

use crate::account::CustomerKind;
use crate::claim::ClaimKey;
use crate::fen::{Currency, Fen, Money};
use crate::ids::{AccountId, JournalNumber, OrderId, PacketId, ShareId, TransferId};
use crate::packed;

/// Opens a customer's account.
///
/// Refuses: `AccountClosed`, `AccountDiffers`, `TooManyCurrencies`. A repeat with the same body is fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenAccount {
    /// The account.
    pub account: AccountId,
    /// Whose it is.
    pub kind: CustomerKind,
    /// What it is kept in.
    pub currency: Currency,
}

impl Layout for OpenAccount {
    fn encode(&self, out: &mut Writer) {
        self.account.encode(out);
        self.kind.encode(out);
        self.currency.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            account: AccountId::decode(input)?,
            kind: CustomerKind::decode(input)?,
            currency: Currency::decode(input)?,
        })
    }
}

/// Moves money between the outside world and a customer's account (top-up, withdrawal).
///
/// Refuses a top-up: `IdReused`, `AmountNotPositive`, `AmountTooLarge`, `CreditUnknown`, `CreditClosed`,
/// `CurrencyMismatch`, `CeilingReached`, `BalanceLimit`. A withdrawal: the same with `DebitUnknown`, `DebitClosed`,
/// `DebitFrozen`; `InsufficientFunds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// Identity.
    pub id: TransferId,
    /// The customer.
    pub account: AccountId,
    /// How much.
    pub money: Money,
    /// The caller's reference.
    pub memo: u128,
}

impl Layout for Wallet {
    fn encode(&self, out: &mut Writer) {
        self.id.encode(out);
        self.account.encode(out);
        self.money.encode(out);
        packed::put_memo(out, self.memo);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: TransferId::decode(input)?,
            account: AccountId::decode(input)?,
            money: Money::decode(input)?,
            memo: packed::get_memo(input)?,
        })
    }
}

/// Moves money between two customers of this shard.
///
/// Refuses: `IdReused`, `AmountNotPositive`, `AmountTooLarge`, `SameAccount`, `DebitUnknown`, `CreditUnknown`,
/// `DebitClosed`, `CreditClosed`, `DebitFrozen`, `CurrencyMismatch`, `InsufficientFunds`, `CeilingReached`,
/// `BalanceLimit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Identity.
    pub id: TransferId,
    /// Who pays.
    pub debit: AccountId,
    /// Who is paid.
    pub credit: AccountId,
    /// How much.
    pub money: Money,
    /// The caller's word for what it is.
    pub code: u16,
    /// The caller's reference.
    pub memo: u128,
}

impl Layout for Transfer {
    fn encode(&self, out: &mut Writer) {
        self.id.encode(out);
        self.debit.encode(out);
        self.credit.encode(out);
        self.money.encode(out);
        out.u16(self.code);
        packed::put_memo(out, self.memo);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: TransferId::decode(input)?,
            debit: AccountId::decode(input)?,
            credit: AccountId::decode(input)?,
            money: Money::decode(input)?,
            code: input.u16()?,
            memo: packed::get_memo(input)?,
        })
    }
}

/// Moves money from a customer of this shard to one of another shard: to the clearing account here, and on by courier.
///
/// Where it cannot land there, it comes back by itself: nobody need look after it.
///
/// Refuses: `IdReused`, `AmountNotPositive`, `AmountTooLarge`, `GroupInvalid`, `SameAccount`, `DebitUnknown`,
/// `DebitClosed`, `DebitFrozen`, `CurrencyMismatch`, `InsufficientFunds`, `BalanceLimit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remit {
    /// The payment; only its debit account lives here.
    pub transfer: Transfer,
    /// The home of the credit account; not this group.
    pub to_group: GroupId,
}

impl Layout for Remit {
    fn encode(&self, out: &mut Writer) {
        self.transfer.encode(out);
        out.u32(self.to_group.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { transfer: Transfer::decode(input)?, to_group: GroupId(input.u32()?) })
    }
}

/// Sets the bounds of an account. A repeat is fine: it says what shall be, not what shall change.
///
/// Refuses: `CeilingInvalid`, `AccountUnknown`, `AccountClosed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restrict {
    /// The account.
    pub account: AccountId,
    /// Most it may hold, incoming holds counted; 0: as much as any account. What it holds already stays. A share of a
    /// packet that does not fit is parked; a refund, or a payment that comes back, was its money before and fits.
    pub ceiling: Fen,
    /// Whether it may be credited only.
    pub is_frozen: bool,
}

impl Layout for Restrict {
    fn encode(&self, out: &mut Writer) {
        self.account.encode(out);
        self.ceiling.encode(out);
        out.bool(self.is_frozen);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { account: AccountId::decode(input)?, ceiling: Fen::decode(input)?, is_frozen: input.bool()? })
    }
}

/// Sets money of the debit account aside for the credit account, until it is posted, voided, or its time is over.
///
/// Refuses: `IdReused`, `AmountNotPositive`, `AmountTooLarge`, `HoldTimeInvalid`, `SameAccount`, `DebitUnknown`,
/// `CreditUnknown`, `DebitClosed`, `CreditClosed`, `DebitFrozen`, `CurrencyMismatch`, `InsufficientFunds`,
/// `CeilingReached`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Identity; names the hold.
    pub id: TransferId,
    /// Who will pay.
    pub debit: AccountId,
    /// Who will be paid.
    pub credit: AccountId,
    /// How much at most.
    pub money: Money,
    /// How long. Units: milliseconds of machine time.
    pub hold_ms: u64,
    /// The caller's word for what it is.
    pub code: u16,
    /// The caller's reference.
    pub memo: u128,
}

impl Layout for Hold {
    fn encode(&self, out: &mut Writer) {
        self.id.encode(out);
        self.debit.encode(out);
        self.credit.encode(out);
        self.money.encode(out);
        out.u64(self.hold_ms);
        out.u16(self.code);
        packed::put_memo(out, self.memo);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: TransferId::decode(input)?,
            debit: AccountId::decode(input)?,
            credit: AccountId::decode(input)?,
            money: Money::decode(input)?,
            hold_ms: input.u64()?,
            code: input.u16()?,
            memo: packed::get_memo(input)?,
        })
    }
}

/// Pays what is held, or a part of it; the rest is free again.
///
/// Refuses: `IdReused`, `AmountNotPositive`, `AmountTooLarge`, `HoldUnknown`, `HoldEnded`, `HoldDiffers`,
/// `AmountExceedsHold`, `BalanceLimit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Post {
    /// Identity.
    pub id: TransferId,
    /// The hold.
    pub hold: TransferId,
    /// Its debit account.
    pub debit: AccountId,
    /// Its credit account.
    pub credit: AccountId,
    /// How much; all of it if `None`.
    pub amount: Option<Fen>,
}

impl Layout for Post {
    fn encode(&self, out: &mut Writer) {
        self.id.encode(out);
        self.hold.encode(out);
        self.debit.encode(out);
        self.credit.encode(out);
        out.option(self.amount.as_ref());
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: TransferId::decode(input)?,
            hold: TransferId::decode(input)?,
            debit: AccountId::decode(input)?,
            credit: AccountId::decode(input)?,
            amount: input.option()?,
        })
    }
}

/// Lets a hold go without paying.
///
/// Refuses: `IdReused`, `HoldUnknown`, `HoldEnded`, `HoldDiffers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Void {
    /// Identity.
    pub id: TransferId,
    /// The hold.
    pub hold: TransferId,
    /// Its debit account.
    pub debit: AccountId,
    /// Its credit account.
    pub credit: AccountId,
}

impl Layout for Void {
    fn encode(&self, out: &mut Writer) {
        self.id.encode(out);
        self.hold.encode(out);
        self.debit.encode(out);
        self.credit.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: TransferId::decode(input)?,
            hold: TransferId::decode(input)?,
            debit: AccountId::decode(input)?,
            credit: AccountId::decode(input)?,
        })
    }
}

/// Pays for a packet: payer to escrow, and "packet paid" to the outside, in one entry.
///
/// Refuses: `IdReused`, `OrderCancelled`, `AmountNotPositive`, `AmountTooLarge`, `DetailsTooLarge`, `DebitUnknown`,
/// `DebitClosed`, `CurrencyMismatch`, `PacketExists`, `InsufficientFunds`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayPacket {
    /// Identity.
    pub order: OrderId,
    /// The packet; paid once.
    pub packet: PacketId,
    /// Who pays; lives in this shard.
    pub payer: AccountId,
    /// How much.
    pub money: Money,
    /// What the packet shall be; only carried.
    pub details: Bytes,
}

impl Layout for PayPacket {
    fn encode(&self, out: &mut Writer) {
        self.order.encode(out);
        self.packet.encode(out);
        self.payer.encode(out);
        self.money.encode(out);
        out.bytes(&self.details);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            order: OrderId::decode(input)?,
            packet: PacketId::decode(input)?,
            payer: AccountId::decode(input)?,
            money: Money::decode(input)?,
            details: input.bytes()?,
        })
    }
}

/// Pays a share out of the packet's escrow. Identity: the share.
///
/// An account that cannot take it gets it parked: that is an answer, not a refusal.
///
/// Refuses: `IdReused`, `AmountNotPositive`, `AmountTooLarge`, `GroupInvalid`, `PacketUnknown`, `CurrencyMismatch`,
/// `PayerDiffers`, `EscrowShort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditShare {
    /// The share.
    pub share: ShareId,
    /// Who paid for the packet.
    pub payer: AccountId,
    /// Who gets the share.
    pub account: AccountId,
    /// The home of that account: this group, or another.
    pub to_group: GroupId,
    /// How much.
    pub money: Money,
}

impl Layout for CreditShare {
    fn encode(&self, out: &mut Writer) {
        self.share.encode(out);
        self.payer.encode(out);
        self.account.encode(out);
        out.u32(self.to_group.0);
        self.money.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            share: ShareId::decode(input)?,
            payer: AccountId::decode(input)?,
            account: AccountId::decode(input)?,
            to_group: GroupId(input.u32()?),
            money: Money::decode(input)?,
        })
    }
}

/// Pays what was not claimed back to the payer. Identity: the packet, so at most once.
///
/// Refuses: `AlreadyRefunded`, `AmountNotPositive`, `AmountTooLarge`, `PacketUnknown`, `CurrencyMismatch`,
/// `PayerDiffers`, `EscrowShort`, `BalanceLimit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundPacket {
    /// The packet.
    pub packet: PacketId,
    /// Who paid for it.
    pub payer: AccountId,
    /// How much.
    pub money: Money,
}

impl Layout for RefundPacket {
    fn encode(&self, out: &mut Writer) {
        self.packet.encode(out);
        self.payer.encode(out);
        self.money.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { packet: PacketId::decode(input)?, payer: AccountId::decode(input)?, money: Money::decode(input)? })
    }
}

/// Enters a claim into the index of an account's pending credits, so that spending can force it.
///
/// Refuses: `IdReused`, `AmountNotPositive`, `AmountTooLarge`, `AccountUnknown`, `AccountClosed`, `CurrencyMismatch`,
/// `TooManyClaims`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnounceClaim {
    /// The claim.
    pub claim: ClaimKey,
    /// How much will come.
    pub money: Money,
}

impl Layout for AnnounceClaim {
    fn encode(&self, out: &mut Writer) {
        self.claim.encode(out);
        self.money.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { claim: ClaimKey::decode(input)?, money: Money::decode(input)? })
    }
}

/// An operator's attempt to land a parked credit, in the account it was for or in another one.
///
/// Refuses: `IdReused`, `ParkedUnknown`, `CreditUnknown`, `CreditClosed`, `CurrencyMismatch`, `BalanceLimit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryParked {
    /// Identity.
    pub id: TransferId,
    /// The entry that parked it.
    pub parked: JournalNumber,
    /// Who gets it.
    pub account: AccountId,
    /// The credit's currency.
    pub currency: Currency,
}

impl Layout for RetryParked {
    fn encode(&self, out: &mut Writer) {
        self.id.encode(out);
        self.parked.encode(out);
        self.account.encode(out);
        self.currency.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: TransferId::decode(input)?,
            parked: JournalNumber::decode(input)?,
            account: AccountId::decode(input)?,
            currency: Currency::decode(input)?,
        })
    }
}
