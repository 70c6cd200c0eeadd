//! Facts: what one shard's journal says that another shard, or the packets machine, can confirm.
//!
//! Why: no shard can audit what lies beyond it; it can only say what it gave and what it got, in the order of the serials.
//!
//! Must never: be taken from anything but rows.

use std::collections::BTreeMap;

use machine::GroupId;

use crate::account::AccountKey;
use crate::fen::{Currency, Fen, Money};
use crate::ids::{PacketId, ShareId};
use crate::journal::JournalEntry;
use crate::state::Sums;
use crate::transfer::TransferKey;

/// What one shard gave, got and still holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Sums of balances, by currency.
    pub sums: BTreeMap<Currency, Sums>,
    /// Balances of the clearing accounts.
    pub clearing: BTreeMap<(GroupId, Currency), Fen>,
    /// Escrows that are not empty.
    pub escrows: BTreeMap<PacketId, Fen>,
    /// Refunds that were booked.
    pub refunds: BTreeMap<PacketId, Fen>,
    /// Credits paid out of escrows here, whether they landed here or were sent on.
    pub credits: BTreeMap<ShareId, Fen>,
    /// Credits sent to a group, by their serial (from 1).
    pub sent: BTreeMap<(GroupId, Currency), Vec<(ShareId, Fen)>>,
    /// Credits received from a group, by their serial (from 1).
    pub received: BTreeMap<(GroupId, Currency), Vec<(ShareId, Fen)>>,
    /// Credits that are parked here, with the group they came from.
    pub parked: BTreeMap<(GroupId, ShareId), Fen>,
}

impl Facts {
    /// Takes in a journal entry. False: its serial is not the next between its two shards.
    pub(crate) fn take(&mut self, entry: &JournalEntry) -> bool {
        let Money { amount, currency } = entry.money;
        let (share, pair) = match entry.key {
            TransferKey::Own(_) | TransferKey::Order(_) => return true,
            TransferKey::Refund(packet) => {
                self.refunds.insert(packet, amount);
                return true;
            }
            TransferKey::Credit(share) => {
                self.credits.insert(share, amount);
                let AccountKey::Clearing(target, _) = entry.credit else { return true };
                (share, self.sent.entry((target, currency)).or_default())
            }
            TransferKey::Arrival(source, share) => (share, self.received.entry((source, currency)).or_default()),
        };
        pair.push((share, amount));
        u128::try_from(pair.len()) == Ok(entry.memo)
    }
}
