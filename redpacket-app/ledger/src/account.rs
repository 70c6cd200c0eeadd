//! Accounts: their names, their rows, and which of them may be below zero.
//!
//! ```text
//!  row 0x10 key -> version u8=1 | currency | balance | opened_ms packed | body
//!  key:  1 customer u128 | 2 escrow packet u128 | 3 clearing group u32 currency u16 | 4 issue u16 | 5 suspense u16
//!  body: 1 customer kind u8 status u8 held incoming ceiling | holds claims packets packed | bill
//!        2 escrow payer u128 | 3 clearing sent received packed | 4 house
//! ```
//!
//! Why: only customers' accounts can be named by a caller, so that no command can reach into an escrow by a clever id.
//!
//! Must never: hold a list of anything; an account's row stays small however busy it is.

use machine::{DecodeError, GroupId, Layout, Reader, TimestampMs, Writer};

use crate::bill::BillTail;
use crate::fen::{Currency, Fen};
use crate::ids::{AccountId, PacketId};
use crate::packed;
use crate::refusal::Refusal;
use crate::rows::RowKey;

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

impl AccountKey {
    /// Appends it to a key: a tag, then numbers of fixed length.
    pub(crate) fn name(&self, key: &mut RowKey) {
        match self {
            Self::Customer(account) => {
                key.u8(1);
                key.u128(account.0);
            }
            Self::Escrow(packet) => {
                key.u8(2);
                key.u128(packet.0);
            }
            Self::Clearing(group, currency) => {
                key.u8(3);
                key.u32(group.0);
                key.u16(currency.0);
            }
            Self::Issue(currency) => {
                key.u8(4);
                key.u16(currency.0);
            }
            Self::Suspense(currency) => {
                key.u8(5);
                key.u16(currency.0);
            }
        }
    }
}

impl Layout for AccountKey {
    fn encode(&self, out: &mut Writer) {
        let mut key = RowKey::new();
        self.name(&mut key);
        out.raw(key.as_slice());
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Customer(AccountId::decode(input)?)),
            2 => Ok(Self::Escrow(PacketId::decode(input)?)),
            3 => Ok(Self::Clearing(GroupId(input.u32()?), Currency(input.u16()?))),
            4 => Ok(Self::Issue(Currency(input.u16()?))),
            5 => Ok(Self::Suspense(Currency(input.u16()?))),
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

/// Whether an account takes part in transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// On both sides.
    Open,
    /// It may be credited only, until an operator frees it. What was held before may still be posted.
    Frozen,
    /// Not at all, for ever; it holds nothing.
    Closed,
}

impl Layout for Status {
    fn encode(&self, out: &mut Writer) {
        out.u8(match self {
            Self::Open => 1,
            Self::Frozen => 2,
            Self::Closed => 3,
        });
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Open),
            2 => Ok(Self::Frozen),
            3 => Ok(Self::Closed),
            tag => Err(DecodeError::Unknown { what: "account status", tag }),
        }
    }
}

/// What only a customer's account has. Invariant: `balance - held >= 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Whose account it is.
    pub kind: CustomerKind,
    /// Whether it takes part in transfers.
    pub status: Status,
    /// Sum of the holds that debit it.
    pub held: Fen,
    /// Sum of the holds that credit it.
    pub incoming: Fen,
    /// Most it may hold, incoming holds counted; 0: as much as any account.
    pub ceiling: Fen,
    /// Holds on either side of it.
    pub holds: u32,
    /// Claims announced and not yet credited.
    pub claims: u32,
    /// Packets it paid whose escrow is not empty.
    pub packets: u32,
    /// The newest lines of its bill.
    pub bill: BillTail,
}

impl Customer {
    /// Whether it may be credited.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self.status, Status::Closed)
    }
}

impl Layout for Customer {
    fn encode(&self, out: &mut Writer) {
        self.kind.encode(out);
        self.status.encode(out);
        self.held.encode(out);
        self.incoming.encode(out);
        self.ceiling.encode(out);
        packed::put(out, u64::from(self.holds));
        packed::put(out, u64::from(self.claims));
        packed::put(out, u64::from(self.packets));
        self.bill.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: CustomerKind::decode(input)?,
            status: Status::decode(input)?,
            held: Fen::decode(input)?,
            incoming: Fen::decode(input)?,
            ceiling: Fen::decode(input)?,
            holds: packed::get_u32(input)?,
            claims: packed::get_u32(input)?,
            packets: packed::get_u32(input)?,
            bill: BillTail::decode(input)?,
        })
    }
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
    /// Of [`AccountKey::Clearing`]: payments counted, each direction without gaps.
    Clearing {
        /// Payments sent to the other group.
        sent: u64,
        /// Payments received from it.
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

    /// Whether `amount` may be taken out. Refuses: `EscrowShort`, `InsufficientFunds`.
    pub(crate) fn check_available(&self, amount: Fen) -> Result<(), Refusal> {
        match &self.body {
            Body::Escrow { .. } if self.balance < amount => Err(Refusal::EscrowShort),
            Body::Customer(_) if self.available() < amount => Err(Refusal::InsufficientFunds),
            _ => Ok(()),
        }
    }

    /// Takes `amount` out. Refuses: `EscrowShort`, `InsufficientFunds`, `BalanceLimit`.
    pub(crate) fn take(&mut self, amount: Fen) -> Result<(), Refusal> {
        self.check_available(amount)?;
        self.balance = self.balance.minus(amount).ok_or(Refusal::BalanceLimit)?;
        Ok(())
    }

    /// Whether a customer may get `amount` more. Refuses: `CeilingReached`.
    pub(crate) fn check_ceiling(&self, amount: Fen) -> Result<(), Refusal> {
        let Some(customer) = self.customer().filter(|customer| customer.ceiling > Fen::ZERO) else { return Ok(()) };
        let held = self.balance.0.saturating_add(customer.incoming.0);
        if held.saturating_add(amount.0) > customer.ceiling.0 { Err(Refusal::CeilingReached) } else { Ok(()) }
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
        packed::put_time(out, self.opened);
        match &self.body {
            Body::Customer(customer) => {
                out.u8(1);
                customer.encode(out);
            }
            Body::Escrow { payer } => {
                out.u8(2);
                payer.encode(out);
            }
            Body::Clearing { sent, received } => {
                out.u8(3);
                packed::put(out, *sent);
                packed::put(out, *received);
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
        let opened = packed::get_time(input)?;
        let body = match input.u8()? {
            1 => Body::Customer(Customer::decode(input)?),
            2 => Body::Escrow { payer: AccountId::decode(input)? },
            3 => Body::Clearing { sent: packed::get(input)?, received: packed::get(input)? },
            4 => Body::House,
            tag => return Err(DecodeError::Unknown { what: "account body", tag }),
        };
        Ok(Self { currency, balance, opened, body })
    }
}
