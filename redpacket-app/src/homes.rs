//! Homes: which shard holds an account, and which a packet.
//!
//! Why: names alone say where things live, so no node asks another.
//!
//! Must never: change how a home is found while data lives there.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::LedgerMachine;
use machine::GroupId;
use packets::PacketsMachine;

use crate::shard::Shard;

/// A shard of the ledger.
pub(crate) type LedgerShard = Shard<LedgerMachine>;
/// A group (SET) of packets.
pub(crate) type PacketsShard = Shard<PacketsMachine>;

/// All shards of this node. Invariant: at least one of each kind.
pub(crate) struct Homes {
    ledger: BTreeMap<GroupId, Arc<LedgerShard>>,
    ledger_groups: Vec<GroupId>,
    packets: BTreeMap<GroupId, Arc<PacketsShard>>,
    packet_groups: Vec<GroupId>,
}

impl Homes {
    pub(crate) fn new(ledger: Vec<Arc<LedgerShard>>, packets: Vec<Arc<PacketsShard>>) -> Self {
        assert!(!ledger.is_empty() && !packets.is_empty(), "there is at least one shard of each kind");
        let ledger: BTreeMap<_, _> = ledger.into_iter().map(|shard| (shard.group.id(), shard)).collect();
        let packets: BTreeMap<_, _> = packets.into_iter().map(|shard| (shard.group.id(), shard)).collect();
        let ledger_groups = ledger.keys().copied().collect();
        let packet_groups = packets.keys().copied().collect();
        Self { ledger, ledger_groups, packets, packet_groups }
    }

    /// The group of the ledger in which `account` lives.
    pub(crate) fn ledger_group(&self, account: ledger::AccountId) -> GroupId {
        ledger::home(account, &self.ledger_groups)
    }

    /// The shard in which `account` lives.
    pub(crate) fn ledger(&self, account: ledger::AccountId) -> &Arc<LedgerShard> {
        &self.ledger[&self.ledger_group(account)]
    }

    /// A shard of the ledger by its number.
    pub(crate) fn ledger_shard(&self, group: GroupId) -> Option<&Arc<LedgerShard>> {
        self.ledger.get(&group)
    }

    /// The shard in which `packet` lives.
    pub(crate) fn packet(&self, packet: packets::PacketId) -> &Arc<PacketsShard> {
        &self.packets[&packets::home(packet, &self.packet_groups)]
    }

    /// All shards of the ledger, by number.
    pub(crate) fn ledgers(&self) -> impl Iterator<Item = &Arc<LedgerShard>> {
        self.ledger.values()
    }

    /// All packet groups, by number.
    pub(crate) fn packet_shards(&self) -> impl Iterator<Item = &Arc<PacketsShard>> {
        self.packets.values()
    }
}
