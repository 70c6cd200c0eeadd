//! The packet as its sender made it: who, for whom, how much, how divided. Written once, never changed.
//!
//! ```text
//!  packet row  version u8=1 | created_ms u64 | terms
//!  terms       order u128 | sender u128 | payer u128 | kind | total i64 | shares u16 | greeting str | cover str
//!              | password 0 or 1 + 32 bytes | life_ms u64
//!  kind        1 | recipient u128   or   2 or 3 | chat u128   or   4 | chat u128 | count u32 | count x user u128
//! ```
//!
//! Must never: hold what an open changes. That is [`crate::Progress`], a small row of its own, so that an open of a hot
//! packet does not rewrite the greeting.

use std::collections::BTreeSet;

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::fen::Fen;
use crate::ids::{AccountId, ChatId, OrderId, UserId};
use crate::limits::NAMES_DECODED_MAX;
use crate::rows::{ROW_VERSION, check_version};

/// For whom a packet is, and how its total is divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One share for one user.
    Direct {
        /// The user.
        recipient: UserId,
    },
    /// Equal shares for the members of a chat.
    GroupEqual {
        /// The chat.
        chat: ChatId,
    },
    /// Lucky shares for the members of a chat.
    GroupLucky {
        /// The chat.
        chat: ChatId,
    },
    /// One equal share for each named member of a chat.
    Exclusive {
        /// The chat, in which everybody sees the packet.
        chat: ChatId,
        /// The members who may open it.
        users: BTreeSet<UserId>,
    },
}

impl Kind {
    /// The chat that shows the packet.
    #[must_use]
    pub const fn chat(&self) -> Option<ChatId> {
        match self {
            Self::Direct { .. } => None,
            Self::GroupEqual { chat } | Self::GroupLucky { chat } | Self::Exclusive { chat, .. } => Some(*chat),
        }
    }

    /// Whether shares are drawn, so that one of them is the luckiest.
    #[must_use]
    pub const fn is_lucky(&self) -> bool {
        matches!(self, Self::GroupLucky { .. })
    }

    /// Whether `user` may open the packet; `is_member`: whether the user is in [`Kind::chat`].
    #[must_use]
    pub fn admits(&self, user: UserId, is_member: bool) -> bool {
        match self {
            Self::Direct { recipient } => *recipient == user,
            Self::GroupEqual { .. } | Self::GroupLucky { .. } => is_member,
            Self::Exclusive { users, .. } => is_member && users.contains(&user),
        }
    }
}

impl Layout for Kind {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Direct { recipient } => {
                out.u8(1);
                recipient.encode(out);
            }
            Self::GroupEqual { chat } => {
                out.u8(2);
                chat.encode(out);
            }
            Self::GroupLucky { chat } => {
                out.u8(3);
                chat.encode(out);
            }
            Self::Exclusive { chat, users } => {
                out.u8(4);
                chat.encode(out);
                out.len(users.len());
                for user in users {
                    user.encode(out);
                }
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Direct { recipient: UserId::decode(input)? }),
            2 => Ok(Self::GroupEqual { chat: ChatId::decode(input)? }),
            3 => Ok(Self::GroupLucky { chat: ChatId::decode(input)? }),
            4 => {
                let chat = ChatId::decode(input)?;
                let users = input.list::<UserId>(NAMES_DECODED_MAX)?.into_iter().collect();
                Ok(Self::Exclusive { chat, users })
            }
            tag => Err(DecodeError::Unknown { what: "kind of packet", tag }),
        }
    }
}

/// What the door makes of a password: a SHA-256 digest. Only compared here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordHash(pub [u8; 32]);

impl Layout for PasswordHash {
    fn encode(&self, out: &mut Writer) {
        out.raw(&self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let raw = input.raw(32)?;
        <[u8; 32]>::try_from(raw.as_ref()).map(Self).map_err(|_| DecodeError::Short)
    }
}

/// What a sender asks for; the body that a repeated create must repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The payment.
    pub order: OrderId,
    /// Who sends.
    pub sender: UserId,
    /// The account that paid, and that gets what is left.
    pub payer: AccountId,
    /// For whom.
    pub kind: Kind,
    /// Units: fen, 1 to 20,000 a share.
    pub total: Fen,
    /// Shares, 1 to 100.
    pub shares: u16,
    /// What the phone shows above the packet.
    pub greeting: String,
    /// Name of the cover's picture; empty for the plain one.
    pub cover: String,
    /// What must be given to open.
    pub password: Option<PasswordHash>,
    /// Units: milliseconds of machine time from creation to expiry.
    pub life_ms: u64,
}

impl Layout for Terms {
    fn encode(&self, out: &mut Writer) {
        self.order.encode(out);
        self.sender.encode(out);
        self.payer.encode(out);
        self.kind.encode(out);
        self.total.encode(out);
        out.u16(self.shares);
        out.str(&self.greeting);
        out.str(&self.cover);
        out.option(self.password.as_ref());
        out.u64(self.life_ms);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            order: OrderId::decode(input)?,
            sender: UserId::decode(input)?,
            payer: AccountId::decode(input)?,
            kind: Kind::decode(input)?,
            total: Fen::decode(input)?,
            shares: input.u16()?,
            greeting: input.str()?,
            cover: input.str()?,
            password: input.option()?,
            life_ms: input.u64()?,
        })
    }
}

/// A packet that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Machine time of its creation.
    pub created: TimestampMs,
    /// What its sender asked for.
    pub terms: Terms,
}

impl Packet {
    /// The first instant at which it cannot be opened any more.
    #[must_use]
    pub const fn expires(&self) -> TimestampMs {
        self.created.plus(self.terms.life_ms)
    }
}

impl Layout for Packet {
    fn encode(&self, out: &mut Writer) {
        out.u8(ROW_VERSION);
        self.created.encode(out);
        self.terms.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "packet row")?;
        Ok(Self { created: TimestampMs::decode(input)?, terms: Terms::decode(input)? })
    }
}
