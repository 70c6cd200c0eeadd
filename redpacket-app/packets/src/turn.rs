//! The turn: what one command sees and may change while it is decided.
//!
//! Must never: outlive its command.

use machine::{Context, Rows, TimestampMs};

use crate::counts::Counts;
use crate::ids::{ChatId, UserId};
use crate::refusal::Refusal;
use crate::rows;

/// One command's view of its group.
pub(crate) struct Turn<'a> {
    /// What the entry says.
    pub(crate) context: &'a Context,
    /// The group's memory.
    pub(crate) counts: &'a mut Counts,
    /// The rows that the command named, and its changes.
    pub(crate) rows: &'a mut Rows,
}

impl Turn<'_> {
    /// Machine time of the entry: the only time that decides.
    pub(crate) const fn now(&self) -> TimestampMs {
        self.context.now
    }

    /// Refuses: `UserUnknown`.
    pub(crate) fn check_user(&self, user: UserId) -> Result<(), Refusal> {
        if self.rows.get(&rows::user(user)).is_some() { Ok(()) } else { Err(Refusal::UserUnknown) }
    }

    /// Whether `user` is in `chat`.
    pub(crate) fn is_member(&self, chat: ChatId, user: UserId) -> bool {
        self.rows.get(&rows::member(chat, user)).is_some()
    }
}
