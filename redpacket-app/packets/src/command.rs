//! Commands: everything that changes a group of packets, and the rows that each may read.
//!
//! ```text
//!  1 register user  user u128 | account u128 | name str        6 mark queued    packet u128 | share u16
//!  2 create chat    chat u128 | owner u128 | name str          7 mark credited  packet u128 | share u16
//!  3 join chat      chat u128 | user u128                      8 mark refunded  packet u128
//!  4 create packet  packet u128 | terms                        9 close expired  packet u128
//!  5 open           packet u128 | user u128 | chat 0 or 1 +   10 tick           count u32 | count x packet u128
//!                   u128 | password 0 or 1 + 32 bytes
//! ```
//!
//! Every command may be repeated: its names identify it, and a repeat gets the former reply (a Tick: only what it
//! closed itself).
//!
//! Must never: carry a time or a random number. Those are the entry's.

use machine::{DecodeError, Key, Layout, Reader, Writer};

use crate::ids::{AccountId, ChatId, PacketId, UserId};
use crate::limits::{NAMES_DECODED_MAX, SHARES_MAX, TICK_PACKETS_MAX};
use crate::packet::{Kind, PasswordHash, Terms};
use crate::rows;

/// An attempt to open a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// The packet.
    pub packet: PacketId,
    /// Who opens it.
    pub user: UserId,
    /// The chat in which the user found it (a grab tells), so that the command names the row of the membership.
    pub chat: Option<ChatId>,
    /// What the user gave, hashed by the door.
    pub password: Option<PasswordHash>,
}

/// What is proposed to a group of packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Makes a user known. Refuses: `AlreadyExists`, `BadName`.
    RegisterUser {
        /// The user.
        user: UserId,
        /// Where the user's credits go.
        account: AccountId,
        /// What others see.
        name: String,
    },
    /// Creates a chat with its owner in it. Refuses: `AlreadyExists`, `BadName`, `UserUnknown`.
    CreateChat {
        /// The chat.
        chat: ChatId,
        /// Its first member.
        owner: UserId,
        /// What its members see.
        name: String,
    },
    /// Lets a user into a chat. Refuses: `UserUnknown`, `ChatUnknown`, `ChatFull`.
    JoinChat {
        /// The chat.
        chat: ChatId,
        /// The user.
        user: UserId,
    },
    /// Creates a packet that is paid for. Refuses: `AlreadyExists`; `GreetingTooLong` to `SenderIsRecipient` for its
    /// terms; `UserUnknown`, `ChatUnknown`, `NotMember`.
    CreatePacket {
        /// The packet.
        packet: PacketId,
        /// What its sender asks for.
        terms: Box<Terms>,
    },
    /// Draws a share. Refuses: `PacketUnknown`, `UserUnknown`; then, to one who has no share yet, `NotYours`,
    /// `WrongPassword`, `SoldOut`, `Expired`.
    Open(Open),
    /// The credit of a share is in the queue. Refuses: `ClaimUnknown`.
    MarkQueued {
        /// The packet.
        packet: PacketId,
        /// Number of the share.
        share: u16,
    },
    /// The ledger has booked the credit of a share. Refuses: `ClaimUnknown`.
    MarkCredited {
        /// The packet.
        packet: PacketId,
        /// Number of the share.
        share: u16,
    },
    /// The ledger has booked the refund of a packet. Refuses: `PacketUnknown`, `NothingToRefund`.
    MarkRefunded {
        /// The packet.
        packet: PacketId,
    },
    /// Closes a packet whose time is over; the second trigger beside [`Command::Tick`]. Refuses: `PacketUnknown`,
    /// `NotDue`.
    CloseExpired {
        /// The packet.
        packet: PacketId,
    },
    /// Closes those of the packets whose time is over; the others, and those beyond [`TICK_PACKETS_MAX`], are passed
    /// by.
    Tick {
        /// The packets.
        packets: Vec<PacketId>,
    },
}

impl Command {
    /// Names the rows that the command may read.
    pub(crate) fn keys(&self, keys: &mut Vec<Key>) {
        match self {
            Self::RegisterUser { user, .. } => keys.push(rows::user(*user)),
            Self::CreateChat { chat, owner, .. } => keys.extend([rows::chat(*chat), rows::user(*owner)]),
            Self::JoinChat { chat, user } => {
                keys.extend([rows::chat(*chat), rows::user(*user), rows::member(*chat, *user)]);
            }
            Self::CreatePacket { packet, terms } => create_keys(*packet, terms, keys),
            Self::Open(open) => {
                keys.extend([rows::packet(open.packet), rows::progress(open.packet), rows::user(open.user)]);
                keys.push(rows::claim(open.packet, open.user));
                keys.extend(open.chat.map(|chat| rows::member(chat, open.user)));
            }
            Self::MarkQueued { packet, share } | Self::MarkCredited { packet, share } => {
                keys.push(rows::share(*packet, *share));
            }
            Self::MarkRefunded { packet } | Self::CloseExpired { packet } => {
                keys.extend([rows::packet(*packet), rows::progress(*packet)]);
            }
            Self::Tick { packets } => {
                for packet in packets.iter().take(TICK_PACKETS_MAX) {
                    keys.extend([rows::packet(*packet), rows::progress(*packet)]);
                }
            }
        }
    }
}

fn create_keys(packet: PacketId, terms: &Terms, keys: &mut Vec<Key>) {
    keys.extend([rows::packet(packet), rows::order(terms.order), rows::user(terms.sender)]);
    if let Some(chat) = terms.kind.chat() {
        keys.extend([rows::chat(chat), rows::member(chat, terms.sender)]);
    }
    match &terms.kind {
        Kind::Direct { recipient } => keys.push(rows::user(*recipient)),
        // A list that is too long is refused before anybody in it is looked up.
        Kind::Exclusive { chat, users } => {
            keys.extend(users.iter().take(usize::from(SHARES_MAX)).map(|user| rows::member(*chat, *user)));
        }
        Kind::GroupEqual { .. } | Kind::GroupLucky { .. } => {}
    }
}

impl Layout for Open {
    fn encode(&self, out: &mut Writer) {
        self.packet.encode(out);
        self.user.encode(out);
        out.option(self.chat.as_ref());
        out.option(self.password.as_ref());
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let (packet, user) = (PacketId::decode(input)?, UserId::decode(input)?);
        Ok(Self { packet, user, chat: input.option()?, password: input.option()? })
    }
}

impl Layout for Command {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::RegisterUser { user, account, name } => {
                out.u8(1);
                user.encode(out);
                account.encode(out);
                out.str(name);
            }
            Self::CreateChat { chat, owner, name } => {
                out.u8(2);
                chat.encode(out);
                owner.encode(out);
                out.str(name);
            }
            Self::JoinChat { chat, user } => {
                out.u8(3);
                chat.encode(out);
                user.encode(out);
            }
            Self::CreatePacket { packet, terms } => {
                out.u8(4);
                packet.encode(out);
                terms.encode(out);
            }
            Self::Open(open) => {
                out.u8(5);
                open.encode(out);
            }
            Self::MarkQueued { packet, share } => encode_share(6, *packet, *share, out),
            Self::MarkCredited { packet, share } => encode_share(7, *packet, *share, out),
            Self::MarkRefunded { packet } => {
                out.u8(8);
                packet.encode(out);
            }
            Self::CloseExpired { packet } => {
                out.u8(9);
                packet.encode(out);
            }
            Self::Tick { packets } => {
                out.u8(10);
                out.list(packets);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            1 => {
                let (user, account) = (UserId::decode(input)?, AccountId::decode(input)?);
                Self::RegisterUser { user, account, name: input.str()? }
            }
            2 => {
                let (chat, owner) = (ChatId::decode(input)?, UserId::decode(input)?);
                Self::CreateChat { chat, owner, name: input.str()? }
            }
            3 => Self::JoinChat { chat: ChatId::decode(input)?, user: UserId::decode(input)? },
            4 => Self::CreatePacket { packet: PacketId::decode(input)?, terms: Box::new(Terms::decode(input)?) },
            5 => Self::Open(Open::decode(input)?),
            6 => Self::MarkQueued { packet: PacketId::decode(input)?, share: input.u16()? },
            7 => Self::MarkCredited { packet: PacketId::decode(input)?, share: input.u16()? },
            8 => Self::MarkRefunded { packet: PacketId::decode(input)? },
            9 => Self::CloseExpired { packet: PacketId::decode(input)? },
            10 => Self::Tick { packets: input.list(NAMES_DECODED_MAX)? },
            tag => return Err(DecodeError::Unknown { what: "packets command", tag }),
        })
    }
}

fn encode_share(tag: u8, packet: PacketId, share: u16, out: &mut Writer) {
    out.u8(tag);
    packet.encode(out);
    out.u16(share);
}
