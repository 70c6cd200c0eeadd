//! What is carried between two shards: the name of a payment, as both of them call it.
//!
//! ```text
//!  1 share packet u128 share u32 | 2 transfer u128 | 3 return u128
//! ```
//!
//! Must never: be the same for two payments between the same two shards.

use machine::{DecodeError, GroupId, Layout, Reader, Writer};

use crate::ids::{ShareId, TransferId};
use crate::transfer::TransferKey;

/// A payment between two shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carried {
    /// A share of a red packet.
    Share(ShareId),
    /// A customer's transfer.
    Transfer(TransferId),
    /// A customer's transfer that could not land, on its way back.
    Return(TransferId),
}

impl Carried {
    /// Its identity where it arrives from `source`.
    #[must_use]
    pub const fn arrival(self, source: GroupId) -> TransferKey {
        match self {
            Self::Share(share) => TransferKey::Arrival(source, share),
            Self::Transfer(id) => TransferKey::Crossing(source, id),
            Self::Return(id) => TransferKey::Returned(source, id),
        }
    }
}

impl Layout for Carried {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Share(share) => {
                out.u8(1);
                share.encode(out);
            }
            Self::Transfer(id) => {
                out.u8(2);
                id.encode(out);
            }
            Self::Return(id) => {
                out.u8(3);
                id.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => ShareId::decode(input).map(Self::Share),
            2 => TransferId::decode(input).map(Self::Transfer),
            3 => TransferId::decode(input).map(Self::Return),
            tag => Err(DecodeError::Unknown { what: "payment between shards", tag }),
        }
    }
}
