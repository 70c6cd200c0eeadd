//! The machine of one group (SET) of packets: finds the verb of each command and keeps the counts.
//!
//! Must never: hold in memory what grows with packets, users or claims. Those are rows.

use machine::{Context, Key, Layout, LoadError, Machine, RowSource, Rows, StoreFailure, TimestampMs};

use crate::command::Command;
use crate::counts::Counts;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::turn::Turn;
use crate::{chat, create, credit, expire, open, rows, user};

/// One group of red packets.
///
/// Invariant: `sealed` is what the row of the counts holds; it equals `counts` between batches.
#[derive(Debug, PartialEq, Eq)]
pub struct PacketsMachine {
    counts: Counts,
    sealed: Counts,
}

impl PacketsMachine {
    /// How much the group holds.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Machine for PacketsMachine {
    type Command = Command;
    type Reply = Reply;

    fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        let counts = rows::read::<Counts>(rows, &rows::counts())?.unwrap_or_default();
        Ok(Self { counts, sealed: counts })
    }

    fn keys(command: &Command, keys: &mut Vec<Key>) {
        command.keys(keys);
    }

    fn apply(&mut self, context: &Context, command: Command, rows: &mut Rows) -> Reply {
        let turn = &mut Turn { context, counts: &mut self.counts, rows };
        decide(turn, command).unwrap_or_else(Reply::Refused)
    }

    fn seal(&mut self, rows: &mut Rows) {
        if self.counts != self.sealed {
            rows.put(rows::counts(), self.counts.to_bytes());
            self.sealed = self.counts;
        }
    }

    fn due(&self, rows: &dyn RowSource, now: TimestampMs) -> Result<Option<Command>, StoreFailure> {
        if self.counts.live == 0 {
            return Ok(None);
        }
        expire::due(rows, now)
    }
}

fn decide(turn: &mut Turn<'_>, command: Command) -> Result<Reply, Refusal> {
    match command {
        Command::RegisterUser { user, account, name } => user::register(turn, user, account, name),
        Command::CreateChat { chat, owner, name } => chat::create(turn, chat, owner, name),
        Command::JoinChat { chat, user } => chat::join(turn, chat, user),
        Command::CreatePacket { packet, terms } => create::create(turn, packet, *terms),
        Command::Open(command) => open::open(turn, &command),
        Command::MarkQueued { packet, share } => credit::mark_queued(turn, packet, share),
        Command::MarkCredited { packet, share } => credit::mark_credited(turn, packet, share),
        Command::MarkRefunded { packet } => expire::mark_refunded(turn, packet),
        Command::CloseExpired { packet } => expire::close_expired(turn, packet),
        Command::Tick { packets } => Ok(expire::tick(turn, &packets)),
    }
}
