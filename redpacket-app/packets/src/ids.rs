//! Names: users, chats, orders, accounts, packets, and what is derived from a packet's name.
//!
//! ```text
//!  packet id    120 bits of its own | 00
//!  credit id    the same 120 bits   | 01 .. 64 (hex), the number of the share
//!  refund id    the same 120 bits   | ff
//! ```
//!
//! Why: a credit or refund is retried by processes that know only the packet and the share, and the ledger books an id
//! once. Ids that are computed, not drawn, make every retry the same transfer.
//!
//! Must never: change. Ids are kept for ever in the ledger.

use machine::{DecodeError, GroupId, Layout, Reader, Writer};

use crate::draw::mix;

/// Declares a 128-bit name whose layout is its 16 bytes.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub u128);

        impl Layout for $name {
            fn encode(&self, out: &mut Writer) {
                out.u128(self.0);
            }

            fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
                Ok(Self(input.u128()?))
            }
        }
    };
}

name! {
    /// A person with a phone.
    UserId
}
name! {
    /// A chat group.
    ChatId
}
name! {
    /// The payment that a packet was bought with.
    OrderId
}
name! {
    /// An account of the ledger.
    AccountId
}
name! {
    /// A transfer of the ledger that pays a share out or a rest back.
    TransferId
}

const FAMILY: u128 = 0xff;

/// A red packet. Invariant: the lowest byte is zero, so that the packet's transfers have ids beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PacketId(u128);

impl PacketId {
    /// The packet that `bits` belong to: a packet's id, or that of one of its transfers.
    #[must_use]
    pub const fn new(bits: u128) -> Self {
        Self(bits & !FAMILY)
    }

    /// The packet bought with `order`. Orders that agree in their upper 120 bits would share a packet; the second one
    /// is refused then.
    #[must_use]
    pub const fn of_order(order: OrderId) -> Self {
        Self::new(order.0)
    }

    /// The id as a number.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl Layout for PacketId {
    fn encode(&self, out: &mut Writer) {
        out.u128(self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self::new(input.u128()?))
    }
}

/// The transfer that credits share number `share` (from 1) of `packet`.
#[must_use]
pub fn credit_id(packet: PacketId, share: u16) -> TransferId {
    TransferId(packet.0 | (u128::from(share) & FAMILY))
}

/// The transfer that returns the rest of `packet` to its payer.
#[must_use]
pub const fn refund_id(packet: PacketId) -> TransferId {
    TransferId(packet.0 | FAMILY)
}

/// The group that holds `packet`: the one with the highest weight for it (rendezvous hashing), whatever the order of
/// `groups`; a group more takes over only its own part.
///
/// Invariant: `groups` is not empty.
/// Source: Thaler, Ravishankar, "A name-based mapping scheme for rendezvous", 1996.
#[must_use]
pub fn home(packet: PacketId, groups: &[GroupId]) -> GroupId {
    let best = groups.iter().copied().max_by_key(|group| (weight(packet, *group), *group));
    assert!(best.is_some(), "a packet has a home only among groups");
    best.unwrap_or(GroupId::META)
}

fn weight(packet: PacketId, group: GroupId) -> u64 {
    let mut weight = mix(u64::from(group.0));
    for part in packet.0.to_be_bytes().as_chunks::<8>().0 {
        weight = mix(weight ^ u64::from_be_bytes(*part));
    }
    weight
}
