//! Transfers: the identities under which money moves once, what is remembered of each, and the plain verbs.
//!
//! ```text
//!  row 0x11 key -> done | fingerprint 16 bytes
//!  key: 1 own u128 | 2 order u128 | 3 credit packet u128 share u32 | 4 arrival group u32 packet u128 share u32
//!       5 refund packet u128
//! ```
//!
//! Why: each source of identities has a space of its own. A transfer's id that a caller chose can neither stand in the
//! way of a credit nor pass for one.
//!
//! Must never: be changed or removed, once written.

use machine::{DecodeError, GroupId, Layout, Reader, Writer};
use sha2::{Digest, Sha256};

use crate::account::AccountKey;
use crate::book::{Book, Posting};
use crate::ids::{OrderId, PacketId, ShareId, TransferId};
use crate::refusal::Refusal;
use crate::reply::{Answer, Done};
use crate::rows;
use crate::verb::{Transfer, Wallet};

/// The identity of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransferKey {
    /// Chosen by a caller.
    Own(TransferId),
    /// The debit that pays an order, or its cancel.
    Order(OrderId),
    /// The credit of a share, in the group of the packet's payer.
    Credit(ShareId),
    /// The same credit where it arrives, with the group it came from.
    Arrival(GroupId, ShareId),
    /// What goes back to the payer.
    Refund(PacketId),
}

impl Layout for TransferKey {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Own(id) => {
                out.u8(1);
                id.encode(out);
            }
            Self::Order(order) => {
                out.u8(2);
                order.encode(out);
            }
            Self::Credit(share) => {
                out.u8(3);
                share.encode(out);
            }
            Self::Arrival(source, share) => {
                out.u8(4);
                out.u32(source.0);
                share.encode(out);
            }
            Self::Refund(packet) => {
                out.u8(5);
                packet.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Own(TransferId::decode(input)?)),
            2 => Ok(Self::Order(OrderId::decode(input)?)),
            3 => Ok(Self::Credit(ShareId::decode(input)?)),
            4 => Ok(Self::Arrival(GroupId(input.u32()?), ShareId::decode(input)?)),
            5 => Ok(Self::Refund(PacketId::decode(input)?)),
            tag => Err(DecodeError::Unknown { what: "transfer key", tag }),
        }
    }
}

/// The first half of the SHA-256 of a step: tells a repeat from the reuse of an id for something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// Of anything with a layout.
    pub(crate) fn of<T: Layout>(body: &T) -> Self {
        let digest: [u8; 32] = Sha256::digest(rows::bytes_of(body)).into();
        let mut half = [0; 16];
        half.iter_mut().zip(digest).for_each(|(byte, from)| *byte = from);
        Self(half)
    }
}

/// What is remembered under a transfer's identity, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredTransfer {
    /// The answer, given again to every repeat.
    pub done: Done,
    /// Of the step that made it; zeros for a cancel, which fits any step.
    pub fingerprint: Fingerprint,
}

impl Layout for StoredTransfer {
    fn encode(&self, out: &mut Writer) {
        self.done.encode(out);
        out.raw(&self.fingerprint.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let done = Done::decode(input)?;
        let raw = input.raw(16)?;
        let fingerprint = Fingerprint(<[u8; 16]>::try_from(raw.as_ref()).map_err(|_| DecodeError::Short)?);
        Ok(Self { done, fingerprint })
    }
}

impl Book<'_> {
    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `CreditUnknown`, `CreditClosed`, `CurrencyMismatch`, `BalanceLimit`.
    pub(crate) fn fund(&mut self, fund: &Wallet) -> Answer {
        let issue = AccountKey::Issue(fund.money.currency);
        self.move_own(
            Posting::of(TransferKey::Own(fund.id), issue, AccountKey::Customer(fund.account), fund.money),
            fund.memo,
        )
    }

    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `DebitUnknown`, `DebitClosed`, `CurrencyMismatch`,
    /// `InsufficientFunds`.
    pub(crate) fn withdraw(&mut self, withdraw: &Wallet) -> Answer {
        let (debit, issue) = (AccountKey::Customer(withdraw.account), AccountKey::Issue(withdraw.money.currency));
        self.move_own(Posting::of(TransferKey::Own(withdraw.id), debit, issue, withdraw.money), withdraw.memo)
    }

    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `SameAccount`, `DebitUnknown`, `CreditUnknown`, `DebitClosed`,
    /// `CreditClosed`, `CurrencyMismatch`, `InsufficientFunds`, `BalanceLimit`.
    pub(crate) fn transfer(&mut self, transfer: &Transfer) -> Answer {
        let (debit, credit) = (AccountKey::Customer(transfer.debit), AccountKey::Customer(transfer.credit));
        let posting = Posting::of(TransferKey::Own(transfer.id), debit, credit, transfer.money);
        self.move_own(Posting { code: transfer.code, ..posting }, transfer.memo)
    }

    fn move_own(&mut self, posting: Posting, memo: u128) -> Answer {
        posting.money.amount.check_amount()?;
        if posting.debit == posting.credit {
            return Err(Refusal::SameAccount);
        }
        let (debit, credit) = self.parties(posting.debit, posting.credit, posting.money.currency)?;
        self.post(&Posting { memo, ..posting }, debit, credit).map(Done::Booked)
    }
}
