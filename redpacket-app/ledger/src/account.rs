//! Accounts: their names, their rows, and which of them may be below zero.
//!
//! ```text
//!  row 0x10 key -> version u8=1 | currency u16 | balance i64 | opened_ms u64 | body
//!  key:  1 customer u128 | 2 escrow packet u128 | 3 clearing group u32 currency u16 | 4 issue u16 | 5 suspense u16
//!  body: 1 customer kind u8 open u8 held i64 holds u32 claims u32 packets u32 | 2 escrow payer u128
//!        3 clearing sent u64 received u64 | 4 house
//! ```
//!
//! Why: only customers' accounts can be named by a caller, so that no command can reach into an escrow by a clever id.
//!
//! Must never: hold a list of anything; an account's row stays small however busy it is.

use machine::{DecodeError, GroupId, Layout, Reader, TimestampMs, Writer};

use crate::fen::{Currency, Fen};
use crate::ids::{AccountId, PacketId};
use crate::refusal::Refusal;

const VERSION: u8 = 1;

/// Every account of a shard. Escrow, clearing, issue and suspense are the ledger's own and made when first needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccountKey {
    /// A user's or merchant's account; never below zero, holds counted.
    Customer(AccountId),
    /// What a packet still owes; lives in the group of its payer; never below zero.
    Escrow(PacketId),
    /// What this shard owes to another one; below zero: what the other one owes.
    Clearing(GroupId, Currency),
    /// Where money enters and leaves the ledger: minus the money issued here.
    Issue(Currency),
    /// Credits that could not land in their account, until an operator retries them.
    Suspense(Currency),
}

impl Layout for AccountKey {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Customer(account) => {
                out.u8(1);
                account.encode(out);
            }
            Self::Escrow(packet) => {
                out.u8(2);
                packet.encode(out);
            }
            Self::Clearing(group, currency) => {
                out.u8(3);
                out.u32(group.0);
                currency.encode(out);
            }
            Self::Issue(currency) => {
                out.u8(4);
                currency.encode(out);
            }
            Self::Suspense(currency) => {
                out.u8(5);
                currency.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Customer(AccountId::decode(input)?)),
            2 => Ok(Self::Escrow(PacketId::decode(input)?)),
            3 => Ok(Self::Clearing(GroupId(input.u32()?), Currency::decode(input)?)),
            4 => Ok(Self::Issue(Currency::decode(input)?)),
            5 => Ok(Self::Suspense(Currency::decode(input)?)),
            tag => Err(DecodeError::Unknown { what: "account key", tag }),
        }
    }
}

/// Whose account it is. The ledger treats both alike; the doors' limits do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomerKind {
    /// A person.
    User,
    /// A shop.
    Merchant,
}

impl Layout for CustomerKind {
    fn encode(&self, out: &mut Writer) {
        out.u8(match self {
            Self::User => 1,
            Self::Merchant => 2,
        });
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::User),
            2 => Ok(Self::Merchant),
            tag => Err(DecodeError::Unknown { what: "customer kind", tag }),
        }
    }
}

/// What only a customer's account has. Invariant: `balance - held >= 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Whose account it is.
    pub kind: CustomerKind,
    /// False once closed; a closed account holds nothing and takes nothing.
    pub is_open: bool,
    /// Sum of the holds that debit it.
    pub held: Fen,
    /// Holds on either side of it.
    pub holds: u32,
    /// Claims announced and not yet credited.
    pub claims: u32,
    /// Packets it paid whose escrow is not empty.
    pub packets: u32,
}

/// The part of an account that depends on its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Of [`AccountKey::Customer`].
    Customer(Customer),
    /// Of [`AccountKey::Escrow`]: who paid for the packet.
    Escrow {
        /// The payer, in the same group.
        payer: AccountId,
    },
    /// Of [`AccountKey::Clearing`]: credits counted, each direction without gaps.
    Clearing {
        /// Credits sent to the other group.
        sent: u64,
        /// Credits received from it.
        received: u64,
    },
    /// Of [`AccountKey::Issue`] and [`AccountKey::Suspense`].
    House,
}

/// An account's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// What it is kept in.
    pub currency: Currency,
    /// Credits minus debits.
    pub balance: Fen,
    /// Machine time of its first command.
    pub opened: TimestampMs,
    /// What depends on its key.
    pub body: Body,
}

impl Account {
    /// An empty account.
    pub(crate) const fn new(currency: Currency, opened: TimestampMs, body: Body) -> Self {
        Self { currency, balance: Fen::ZERO, opened, body }
    }

    /// The customer's part, if it is a customer's account.
    #[must_use]
    pub const fn customer(&self) -> Option<&Customer> {
        if let Body::Customer(customer) = &self.body { Some(customer) } else { None }
    }

    pub(crate) const fn customer_mut(&mut self) -> Option<&mut Customer> {
        if let Body::Customer(customer) = &mut self.body { Some(customer) } else { None }
    }

    /// What may be spent: the balance without what is held.
    #[must_use]
    pub fn available(&self) -> Fen {
        let held = self.customer().map_or(0, |customer| customer.held.0);
        Fen(self.balance.0.saturating_sub(held))
    }

    /// Takes `amount` out. Refuses: `EscrowShort`, `InsufficientFunds`, `BalanceLimit`.
    pub(crate) fn take(&mut self, amount: Fen) -> Result<(), Refusal> {
        match &self.body {
            Body::Escrow { .. } if self.balance < amount => return Err(Refusal::EscrowShort),
            Body::Customer(_) if self.available() < amount => return Err(Refusal::InsufficientFunds),
            _ => {}
        }
        self.balance = self.balance.minus(amount).ok_or(Refusal::BalanceLimit)?;
        Ok(())
    }

    /// Puts `amount` in. Refuses: `BalanceLimit`.
    pub(crate) fn give(&mut self, amount: Fen) -> Result<(), Refusal> {
        self.balance = self.balance.plus(amount).ok_or(Refusal::BalanceLimit)?;
        Ok(())
    }
}

impl Layout for Account {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.currency.encode(out);
        self.balance.encode(out);
        self.opened.encode(out);
        match &self.body {
            Body::Customer(customer) => {
                out.u8(1);
                customer.kind.encode(out);
                out.bool(customer.is_open);
                customer.held.encode(out);
                out.u32(customer.holds);
                out.u32(customer.claims);
                out.u32(customer.packets);
            }
            Body::Escrow { payer } => {
                out.u8(2);
                payer.encode(out);
            }
            Body::Clearing { sent, received } => {
                out.u8(3);
                out.u64(*sent);
                out.u64(*received);
            }
            Body::House => out.u8(4),
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            VERSION => {}
            tag => return Err(DecodeError::Unknown { what: "account version", tag }),
        }
        let currency = Currency::decode(input)?;
        let balance = Fen::decode(input)?;
        let opened = TimestampMs::decode(input)?;
        let body = match input.u8()? {
            1 => Body::Customer(Customer {
                kind: CustomerKind::decode(input)?,
                is_open: input.bool()?,
                held: Fen::decode(input)?,
                holds: input.u32()?,
                claims: input.u32()?,
                packets: input.u32()?,
            }),
            2 => Body::Escrow { payer: AccountId::decode(input)? },
            3 => Body::Clearing { sent: input.u64()?, received: input.u64()? },
            4 => Body::House,
            tag => return Err(DecodeError::Unknown { what: "account body", tag }),
        };
        Ok(Self { currency, balance, opened, body })
    }
}
