//! The names of accounts, packets, orders, transfers and journal entries; and which shard is an account's home.
//!
//! Why: names of different things must not mix, and every door must find the same shard without asking.
//!
//! Must never: change how [`home`] counts: it says where money lies.

use machine::{DecodeError, GroupId, Layout, Reader, Writer};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $int:ty, $method:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl Layout for $name {
            fn encode(&self, out: &mut Writer) {
                out.$method(self.0);
            }

            fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
                Ok(Self(input.$method()?))
            }
        }
    };
}

id!(
    /// A customer's account. Chosen by the caller; any number.
    AccountId, u128, u128
);
id!(
    /// A red packet. Chosen by the caller; names the packet's escrow account too.
    PacketId, u128, u128
);
id!(
    /// An order of the pay role: the identity of the debit that pays for a packet, or the name of a merchant's order.
    OrderId, u128, u128
);
id!(
    /// The identity of a transfer, made by its caller and kept for ever.
    TransferId, u128, u128
);
id!(
    /// The place of an entry in a shard's journal: from 1, without gaps.
    JournalNumber, u64, u64
);

impl JournalNumber {
    /// The number behind this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One share of a packet: the identity of the credit that pays it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareId {
    /// The packet.
    pub packet: PacketId,
    /// The share's number within the packet.
    pub share: u32,
}

impl Layout for ShareId {
    fn encode(&self, out: &mut Writer) {
        self.packet.encode(out);
        out.u32(self.share);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { packet: PacketId::decode(input)?, share: input.u32()? })
    }
}

/// The group that holds `account`, out of the ledger's `groups` in any order; the meta group if there is none.
///
/// Invariant: the same on every machine and in every release; with one group more, only the accounts that move to the
/// new group change their home. Source: rendezvous hashing (Thaler, Ravishankar 1996).
#[must_use]
pub fn home(account: AccountId, groups: &[GroupId]) -> GroupId {
    let bytes = account.0.to_be_bytes();
    let (high, low) = bytes.split_at(8);
    let folded = fold(low).wrapping_add(mix(fold(high)));
    let weight = |group: &GroupId| (mix(folded ^ mix(u64::from(group.0).wrapping_add(1))), *group);
    groups.iter().map(weight).max().map_or(GroupId::META, |(_, group)| group)
}

fn fold(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_shl(8) | u64::from(*byte))
}

/// The finishing step of SplitMix64 (Steele, Lea, Flood 2014).
const fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
