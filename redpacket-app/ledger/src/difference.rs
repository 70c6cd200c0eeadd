//! What an audit can find: each invariant of the money has its own way to fail.
//!
//! Must never: be reported for what is merely under way.

use machine::GroupId;

use crate::account::AccountKey;
use crate::fen::{Currency, Fen};
use crate::ids::{AccountId, JournalNumber, OrderId, PacketId, ShareId, TransferId};
use crate::transfer::TransferKey;

/// Something that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The journal's numbers leave something out.
    JournalGap {
        /// The number that should have come.
        expected: JournalNumber,
        /// The one that came.
        found: JournalNumber,
    },
    /// The links do not seal the journal as it stands.
    ChainBroken {
        /// The last entry under the link.
        last: JournalNumber,
    },
    /// An entry that moves nothing, or moves it backwards.
    AmountNotPositive {
        /// The entry.
        number: JournalNumber,
    },
    /// A balance in the journal is not the fold of the entries up to it.
    BalanceNotFolded {
        /// Whose balance.
        account: AccountKey,
        /// At which entry.
        number: JournalNumber,
    },
    /// An account's balance is not the fold of its entries.
    BalanceDiffers {
        /// The account.
        account: AccountKey,
        /// What its row says.
        stored: Fen,
        /// What its entries add up to.
        folded: i128,
    },
    /// What the journal says of all accounts together is not what their rows say; an audit by parts names which.
    MarksDiffer {
        /// Balances, bills or transfers.
        what: &'static str,
    },
    /// Entries touch an account that is not there.
    AccountMissing {
        /// The account.
        account: AccountKey,
    },
    /// An account that must not be is below zero, holds counted.
    BelowZero {
        /// The account.
        account: AccountKey,
        /// What is available.
        available: Fen,
    },
    /// A closed account holds, or waits for, something.
    ClosedNotEmpty {
        /// The account.
        account: AccountId,
    },
    /// Debits and credits do not cancel out.
    SumNotZero {
        /// Of this currency.
        currency: Currency,
        /// What they add up to.
        sum: i128,
    },
    /// Suspense is not the sum of what is parked.
    SuspenseDiffers {
        /// Of this currency.
        currency: Currency,
        /// What lies in suspense.
        stored: i128,
        /// What is parked.
        counted: i128,
    },
    /// What an account's row counts is not there.
    AccountCountDiffers {
        /// The account.
        account: AccountId,
        /// What is counted.
        what: &'static str,
        /// By its row.
        stored: i128,
        /// By the rows around it.
        counted: i128,
    },
    /// A count of the shard is not what its rows say.
    CountDiffers {
        /// What is counted.
        what: &'static str,
        /// As remembered.
        stored: u64,
        /// As there is.
        counted: u64,
    },
    /// The sums that memory holds are not what the rows say.
    SumsDiffer {
        /// Of this currency.
        currency: Currency,
    },
    /// A transfer's answer names an entry that is not its own.
    TransferUnbooked {
        /// The transfer.
        key: TransferKey,
    },
    /// An entry whose transfer's answer is not there: its id could be booked again.
    TransferLost {
        /// The transfer.
        key: TransferKey,
        /// The entry.
        number: JournalNumber,
    },
    /// A hold that no tick will ever find.
    HoldWithoutDeadline {
        /// The hold.
        hold: TransferId,
    },
    /// A payment between shards whose serial leaves something out.
    SerialGap {
        /// The entry.
        number: JournalNumber,
    },
    /// A clearing account is not what was sent less what was received.
    ClearingDiffers {
        /// The shard.
        group: GroupId,
        /// The other one.
        peer: GroupId,
        /// Of this currency.
        currency: Currency,
    },
    /// An order's row does not say what the journal says was paid for it and went back.
    OrderDiffers {
        /// The order.
        order: OrderId,
    },
    /// Two shards remember a payment between them differently.
    CourierDiffers {
        /// Who sent it.
        source: GroupId,
        /// Who received it.
        target: GroupId,
        /// The payment's number between the two.
        serial: u64,
    },
}

/// Ids as callers write them, in hexadecimal.
struct Words<T>(T);

impl core::fmt::Display for Words<AccountKey> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            AccountKey::Customer(AccountId(id)) => write!(f, "account {id:x}"),
            AccountKey::Escrow(PacketId(id)) => write!(f, "the escrow of packet {id:x}"),
            AccountKey::Clearing(group, currency) => write!(f, "clearing with group {} in {}", group.0, currency.0),
            AccountKey::Issue(currency) => write!(f, "the issue of currency {}", currency.0),
            AccountKey::Suspense(currency) => write!(f, "suspense in currency {}", currency.0),
        }
    }
}

impl core::fmt::Display for Words<TransferKey> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            TransferKey::Own(TransferId(id)) => write!(f, "transfer {id:x}"),
            TransferKey::Order(OrderId(id)) => write!(f, "order {id:x}"),
            TransferKey::Credit(ShareId { packet, share }) => {
                write!(f, "the credit of share {share} of packet {:x}", packet.0)
            }
            TransferKey::Arrival(group, ShareId { packet, share }) => {
                write!(f, "the arrival from group {} of share {share} of packet {:x}", group.0, packet.0)
            }
            TransferKey::Refund(PacketId(id)) => write!(f, "the refund of packet {id:x}"),
            TransferKey::Crossing(group, TransferId(id)) => write!(f, "transfer {id:x} from group {}", group.0),
            TransferKey::Bounce(group, TransferId(id)) => write!(f, "transfer {id:x}, sent back to group {}", group.0),
            TransferKey::Returned(group, TransferId(id)) => {
                write!(f, "transfer {id:x}, come back from group {}", group.0)
            }
        }
    }
}

impl core::fmt::Display for Difference {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::JournalGap { expected, found } => {
                write!(f, "journal entry {} is followed by {}", expected.0, found.0)
            }
            Self::ChainBroken { last } => write!(f, "the chain is broken at journal entry {}", last.0),
            Self::AmountNotPositive { number } => write!(f, "journal entry {} moves nothing", number.0),
            Self::BalanceNotFolded { account, number } => {
                write!(f, "the balance of {} at journal entry {} is not the fold", Words(*account), number.0)
            }
            Self::BalanceDiffers { account, stored, folded } => {
                write!(f, "{} holds {stored}, its entries add up to {folded}", Words(*account))
            }
            Self::MarksDiffer { what } => write!(f, "the {what} are not what the journal says"),
            Self::AccountMissing { account } => write!(f, "{} has entries and no row", Words(*account)),
            Self::BelowZero { account, available } => write!(f, "{} is below zero: {available}", Words(*account)),
            Self::ClosedNotEmpty { account } => write!(f, "account {:x} is closed and not empty", account.0),
            Self::SumNotZero { currency, sum } => {
                write!(f, "currency {}: debits and credits differ by {sum}", currency.0)
            }
            Self::SuspenseDiffers { currency, stored, counted } => {
                write!(f, "currency {}: {stored} in suspense, {counted} parked", currency.0)
            }
            Self::AccountCountDiffers { account, what, stored, counted } => {
                write!(f, "account {:x}: {what} {stored} by its row, {counted} by count", account.0)
            }
            Self::CountDiffers { what, stored, counted } => write!(f, "{what}: {stored} remembered, {counted} counted"),
            Self::SumsDiffer { currency } => write!(f, "currency {}: the sums in memory differ", currency.0),
            Self::TransferUnbooked { key } => write!(f, "{} names a journal entry that is not its own", Words(*key)),
            Self::TransferLost { key, number } => {
                write!(f, "{} is lost: journal entry {} has no transfer", Words(*key), number.0)
            }
            Self::HoldWithoutDeadline { hold } => write!(f, "hold {:x} has no deadline", hold.0),
            Self::SerialGap { number } => write!(f, "the serial of journal entry {} is not the next", number.0),
            Self::ClearingDiffers { group, peer, currency } => {
                write!(f, "group {}: clearing with {} in currency {} differs", group.0, peer.0, currency.0)
            }
            Self::OrderDiffers { order } => write!(f, "order {:x} is not what the journal says", order.0),
            Self::CourierDiffers { source, target, serial } => {
                write!(f, "payment {serial} from group {} to {} is not the same on both sides", source.0, target.0)
            }
        }
    }
}
