//! Facts: what one shard's journal says that another shard, or the packets machine, can confirm.
//!
//! Why: no shard can audit what lies beyond it; it can only say what it gave and what it got, in the order of the serials.
//!
//! Must never: be taken from anything but rows.

use std::collections::BTreeMap;

use machine::GroupId;

use crate::account::AccountKey;
use crate::audit::Part;
use crate::carried::Carried;
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
    /// Payments sent to a group.
    pub sent: BTreeMap<(GroupId, Currency), Trail>,
    /// Payments received from a group.
    pub received: BTreeMap<(GroupId, Currency), Trail>,
    /// Credits that are parked here, with the group they came from.
    pub parked: BTreeMap<(GroupId, Carried), Fen>,
}

/// Payments of one currency from one shard to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// How many there were: the last one's serial.
    pub count: u64,
    /// What they add up to. Units: fen.
    pub sum: i128,
    /// Those whose serial is in the part that was asked for, by serial (from 1).
    pub payments: BTreeMap<u64, (Carried, Fen)>,
}

impl Trail {
    fn add(&mut self, what: Carried, amount: Fen, part: Part) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(i128::from(amount.0));
        if part.has(u128::from(self.count)) {
            self.payments.insert(self.count, (what, amount));
        }
    }
}

impl Facts {
    /// Takes in a journal entry. False: its serial is not the next between its two shards.
    ///
    /// What is not in `part` is counted only.
    pub(crate) fn take(&mut self, entry: &JournalEntry, part: Part) -> bool {
        let Money { amount, currency } = entry.money;
        match entry.key {
            TransferKey::Refund(packet) if part.has(packet.0) => drop(self.refunds.insert(packet, amount)),
            TransferKey::Credit(share) if part.has(share.packet.0) => drop(self.credits.insert(share, amount)),
            _ => {}
        }
        let (what, trail) = match carried(entry) {
            Some((what, Crossing::Out(target))) => (what, self.sent.entry((target, currency)).or_default()),
            Some((what, Crossing::In(source))) => (what, self.received.entry((source, currency)).or_default()),
            None => return entry.serial == 0,
        };
        trail.add(what, amount, part);
        trail.count == entry.serial
    }
}

/// Which way a payment crosses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crossing {
    /// To that group.
    Out(GroupId),
    /// From that group.
    In(GroupId),
}

/// What crosses between shards by an entry, if anything does.
pub(crate) const fn carried(entry: &JournalEntry) -> Option<(Carried, Crossing)> {
    match (entry.key, entry.debit, entry.credit) {
        (TransferKey::Credit(share), _, AccountKey::Clearing(target, _)) => {
            Some((Carried::Share(share), Crossing::Out(target)))
        }
        (TransferKey::Own(id), _, AccountKey::Clearing(target, _)) => {
            Some((Carried::Transfer(id), Crossing::Out(target)))
        }
        (TransferKey::Bounce(_, id), _, AccountKey::Clearing(target, _)) => {
            Some((Carried::Return(id), Crossing::Out(target)))
        }
        (TransferKey::Arrival(source, share), ..) => Some((Carried::Share(share), Crossing::In(source))),
        (TransferKey::Crossing(source, id), ..) => Some((Carried::Transfer(id), Crossing::In(source))),
        (TransferKey::Returned(source, id), ..) => Some((Carried::Return(id), Crossing::In(source))),
        _ => None,
    }
}
