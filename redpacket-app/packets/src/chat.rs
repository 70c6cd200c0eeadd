//! Chat groups: who sees a packet and may open it.
//!
//! Why in every group of packets: as for users; a door creates and joins in all of them, and a repeat changes nothing.
//!
//! ```text
//!  chat row    version u8=1 | owner u128 | created_ms u64 | members u32 | name str
//!  member row  version u8=1 | joined_ms u64
//! ```
//!
//! Must never: let a member go. A member who left with a packet open would make its answer depend on the moment.

use bytes::Bytes;
use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::ids::{ChatId, UserId};
use crate::limits::CHAT_MEMBERS_MAX;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rows::{self, ROW_VERSION, check_version};
use crate::turn::Turn;
use crate::user::check_name;

/// A chat group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// Who created it; its first member.
    pub owner: UserId,
    /// Machine time of its creation.
    pub created: TimestampMs,
    /// How many are in it.
    pub members: u32,
    /// What its members see.
    pub name: String,
}

impl Layout for Chat {
    fn encode(&self, out: &mut Writer) {
        out.u8(ROW_VERSION);
        self.owner.encode(out);
        self.created.encode(out);
        out.u32(self.members);
        out.str(&self.name);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "chat row")?;
        let (owner, created) = (UserId::decode(input)?, TimestampMs::decode(input)?);
        Ok(Self { owner, created, members: input.u32()?, name: input.str()? })
    }
}

/// That a user is in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Since when.
    pub joined: TimestampMs,
}

impl Layout for Member {
    fn encode(&self, out: &mut Writer) {
        out.u8(ROW_VERSION);
        self.joined.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "member row")?;
        Ok(Self { joined: TimestampMs::decode(input)? })
    }
}

/// Creates a chat with its owner in it. Refuses: `AlreadyExists` (with another owner or name), `BadName`,
/// `UserUnknown`.
pub(crate) fn create(turn: &mut Turn<'_>, id: ChatId, owner: UserId, name: String) -> Result<Reply, Refusal> {
    let key = rows::chat(id);
    if let Some(known) = rows::get::<Chat>(turn.rows, &key) {
        let is_same = known.owner == owner && known.name == name;
        return if is_same { Ok(Reply::Done) } else { Err(Refusal::AlreadyExists) };
    }
    check_name(&name)?;
    turn.check_user(owner)?;
    turn.rows.put(key, Chat { owner, created: turn.now(), members: 1, name }.to_bytes());
    enter(turn, id, owner);
    turn.counts.chats = turn.counts.chats.saturating_add(1);
    Ok(Reply::Done)
}

/// Lets a user into a chat; one who is in it stays. Refuses: `UserUnknown`, `ChatUnknown`, `ChatFull`.
pub(crate) fn join(turn: &mut Turn<'_>, id: ChatId, user: UserId) -> Result<Reply, Refusal> {
    turn.check_user(user)?;
    let key = rows::chat(id);
    let mut chat = rows::get::<Chat>(turn.rows, &key).ok_or(Refusal::ChatUnknown)?;
    if turn.is_member(id, user) {
        return Ok(Reply::Done);
    }
    if chat.members >= CHAT_MEMBERS_MAX {
        return Err(Refusal::ChatFull);
    }
    chat.members = chat.members.saturating_add(1);
    turn.rows.put(key, chat.to_bytes());
    enter(turn, id, user);
    Ok(Reply::Done)
}

fn enter(turn: &mut Turn<'_>, chat: ChatId, user: UserId) {
    turn.rows.put(rows::member(chat, user), Member { joined: turn.now() }.to_bytes());
    turn.rows.put(rows::chat_of(user, chat), Bytes::new());
}
