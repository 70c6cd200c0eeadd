//! Transfers: the identities under which money moves once, what is remembered of each, and the plain verbs.
//!
//! ```text
//!  row 0x11 key -> done | fingerprint 16 bytes
//!  key: 1 own u128 | 2 order u128 | 3 credit packet u128 share u32 | 4 arrival group u32 packet u128 share u32
//!       5 refund packet u128 | 6 crossing group u32 id u128 | 7 bounce group u32 id u128 | 8 returned group u32 id u128
//! ```
//!
//! Why: each source of identities has a space of its own. A transfer's id that a caller chose can neither stand in the
//! way of a credit nor pass for one.
//!
//! Must never: be removed once written, or changed in what it answers.

use machine::{DecodeError, GroupId, Layout, Reader, Writer};
use sha2::{Digest, Sha256};

use crate::account::AccountKey;
use crate::book::{Book, Posting};
use crate::ids::{OrderId, PacketId, ShareId, TransferId};
use crate::limits::CODE_MAX;
use crate::refusal::Refusal;
use crate::reply::{Answer, Done};
use crate::rows::{self, RowKey};
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
    /// A payment from another group where it arrives, with the group it came from.
    Crossing(GroupId, TransferId),
    /// The same payment sent back, in the group where it could not land.
    Bounce(GroupId, TransferId),
    /// The same payment where it comes back to, with the group that sent it back.
    Returned(GroupId, TransferId),
}

impl TransferKey {
    /// Its number less one: three bits.
    pub(crate) const fn kind(self) -> u8 {
        match self {
            Self::Own(_) => 0,
            Self::Order(_) => 1,
            Self::Credit(_) => 2,
            Self::Arrival(..) => 3,
            Self::Refund(_) => 4,
            Self::Crossing(..) => 5,
            Self::Bounce(..) => 6,
            Self::Returned(..) => 7,
        }
    }

    /// Appends it to a key: a tag, then numbers of fixed length.
    pub(crate) fn name(self, key: &mut RowKey) {
        key.u8(self.kind().saturating_add(1));
        self.body(key);
    }

    fn body(self, key: &mut RowKey) {
        match self {
            Self::Credit(credit) => {
                key.u128(credit.packet.0);
                key.u32(credit.share);
            }
            Self::Own(TransferId(id)) | Self::Order(OrderId(id)) | Self::Refund(PacketId(id)) => key.u128(id),
            Self::Arrival(group, credit) => {
                key.u32(group.0);
                key.u128(credit.packet.0);
                key.u32(credit.share);
            }
            Self::Crossing(group, id) | Self::Bounce(group, id) | Self::Returned(group, id) => {
                key.u32(group.0);
                key.u128(id.0);
            }
        }
    }

    /// Appends what stands behind its kind.
    pub(crate) fn encode_body(self, out: &mut Writer) {
        let mut key = RowKey::new();
        self.body(&mut key);
        out.raw(key.as_slice());
    }

    /// Reads what stands behind `kind`.
    pub(crate) fn decode_body(kind: u8, input: &mut Reader) -> Result<Self, DecodeError> {
        let pair = |input: &mut Reader| Ok((GroupId(input.u32()?), TransferId::decode(input)?));
        match kind {
            0 => TransferId::decode(input).map(Self::Own),
            1 => OrderId::decode(input).map(Self::Order),
            2 => ShareId::decode(input).map(Self::Credit),
            3 => Ok(Self::Arrival(GroupId(input.u32()?), ShareId::decode(input)?)),
            4 => PacketId::decode(input).map(Self::Refund),
            5 => pair(input).map(|(group, id)| Self::Crossing(group, id)),
            6 => pair(input).map(|(group, id)| Self::Bounce(group, id)),
            7 => pair(input).map(|(group, id)| Self::Returned(group, id)),
            tag => Err(DecodeError::Unknown { what: "transfer key", tag }),
        }
    }
}

impl Layout for TransferKey {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.kind().saturating_add(1));
        self.encode_body(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let tag = input.u8()?;
        let kind = tag.checked_sub(1).ok_or(DecodeError::Unknown { what: "transfer key", tag })?;
        Self::decode_body(kind, input)
    }
}

/// The first half of the SHA-256 of a step: tells a repeat from the reuse of an id for something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// Of a step.
    pub(crate) fn of<T: Layout>(body: &T) -> Self {
        Self::of_record(&rows::bytes_of(body))
    }

    /// Of bytes.
    pub(crate) fn of_record(bytes: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
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

/// Whether a caller may use the word. Refuses: `CodeReserved`.
pub(crate) const fn check_code(code: u16) -> Result<(), Refusal> {
    if code > CODE_MAX { Err(Refusal::CodeReserved) } else { Ok(()) }
}

impl Book<'_> {
    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `CreditUnknown`, `CreditClosed`, `CurrencyMismatch`,
    /// `CeilingReached`, `BalanceLimit`.
    pub(crate) fn fund(&mut self, fund: &Wallet) -> Answer {
        let issue = AccountKey::Issue(fund.money.currency);
        self.move_own(
            Posting::of(TransferKey::Own(fund.id), issue, AccountKey::Customer(fund.account), fund.money),
            fund.memo,
        )
    }

    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `DebitUnknown`, `DebitClosed`, `DebitFrozen`,
    /// `CurrencyMismatch`, `InsufficientFunds`.
    pub(crate) fn withdraw(&mut self, withdraw: &Wallet) -> Answer {
        let (debit, issue) = (AccountKey::Customer(withdraw.account), AccountKey::Issue(withdraw.money.currency));
        self.move_own(Posting::of(TransferKey::Own(withdraw.id), debit, issue, withdraw.money), withdraw.memo)
    }

    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `SameAccount`, `DebitUnknown`, `CreditUnknown`, `DebitClosed`,
    /// `CreditClosed`, `DebitFrozen`, `CurrencyMismatch`, `InsufficientFunds`, `CeilingReached`, `CodeReserved`,
    /// `BalanceLimit`.
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
        debit.check_available(posting.money.amount)?;
        credit.check_ceiling(posting.money.amount)?;
        check_code(posting.code)?;
        self.post(&Posting { memo, ..posting }, debit, credit).map(Done::Booked)
    }
}
