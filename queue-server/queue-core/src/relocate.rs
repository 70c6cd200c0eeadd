//! Relocate: a message leaves one queue and enters another. The one primitive behind dead letters, topics and redrive.
//!
//! ```text
//!  way(address) ──> Here(queue)    the row moves in the same entry; id and body stay as they are
//!              ├──> Away(parcel)   row and body go to the other group by courier, and the source forgets both
//!              ├──> Stall          the target is missing or full: the message stays where it is
//!              └──> None           it would go by courier, and nobody brought its body
//! ```
//!
//! Why the caller brings the body: `apply` reads no bodies, so whoever made the tick read it on the leader.
//!
//! Must never: lose or double a message. It leaves and enters in one entry, or it is in the courier's hands, whose affair
//! it is that it arrives exactly once.

use bytes::Bytes;
use machine::{Context, DecodeError, Destination, GroupId, Layout, Reader, Rows, TimestampMs, Track, Writer};

use crate::event::{EventKind, Step};
use crate::ids::QueueId;
use crate::limits::{GROUP_BITS, NAME_CHARS_MAX};
use crate::message::MessageRow;
use crate::names::{folded, is_queue_name};
use crate::queue_machine::QueueMachine;
use crate::refusal::Refusal;
use crate::tick::Moved;

/// Why a message cannot enter a queue now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    /// The queue is not there.
    QueueMissing,
    /// The queue is full.
    QueueFull,
}

/// A queue as its users call it, in this group or another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueAddress {
    /// The group that holds it; `None`: the group of whoever speaks.
    pub group: Option<GroupId>,
    /// Its name.
    pub queue: String,
}

/// Where a message is to go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal<'a> {
    /// `None`: this group.
    pub(crate) group: Option<GroupId>,
    /// Tried before the name, if it is not 0.
    pub(crate) id: QueueId,
    pub(crate) name: &'a str,
}

/// How a message gets there.
#[derive(Debug)]
pub(crate) enum Way {
    Here(QueueId),
    Away(Destination, Bytes),
}

impl Way {
    /// The queue of this machine where it ends; 0: in another group.
    pub(crate) fn target(&self) -> QueueId {
        match self {
            Self::Here(queue) => *queue,
            Self::Away(..) => QueueId::default(),
        }
    }
}

/// A message that has left its leases and the ready set, and still stands in its queue.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) queue: QueueId,
    pub(crate) seq: u64,
    pub(crate) row: MessageRow,
}

/// A message on its way to another group: a record of the courier.
///
/// Shape: `1 | queue id | name | row | body`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) id: QueueId,
    pub(crate) name: String,
    pub(crate) row: MessageRow,
    pub(crate) body: Bytes,
}

/// The courier's track of a queue, by its name: a queue that is missing or full holds up what is for it, not its
/// neighbours. Their number is bounded, so two queues in some ten thousands share one.
///
/// Source: FNV-1a (Fowler, Noll, Vo), 32 bits, folded to 16.
pub(crate) fn track(name: &str) -> Track {
    let hash =
        folded(name).bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [a, b, c, d] = hash.to_be_bytes();
    Track(u16::from_be_bytes([a ^ c, b ^ d]))
}

/// Whether `group` may hold queues: not the directory's, and its number fits a message id.
pub(crate) fn check_group(group: Option<GroupId>) -> Result<(), Refusal> {
    let fits = |group: GroupId| group != GroupId::META && group.0 >> GROUP_BITS == 0;
    Refusal::GroupOutOfRange.unless(group.is_none_or(fits))
}

impl QueueAddress {
    /// The same queue as its own group calls it.
    pub(crate) fn seen_from(self, home: GroupId) -> Self {
        Self { group: self.group.filter(|group| *group != home), ..self }
    }

    pub(crate) fn goal(&self) -> Goal<'_> {
        Goal { group: self.group, id: QueueId::default(), name: &self.queue }
    }
}

impl QueueMachine {
    /// The queue that a goal in this group means, if a message may enter it now.
    fn open_queue(&self, goal: &Goal, row: &MessageRow) -> Result<QueueId, Stall> {
        let by_id = self.live(goal.id).map(|queue| queue.id);
        let id = by_id.or_else(|| self.queue_id(goal.name)).ok_or(Stall::QueueMissing)?;
        let queue = self.live(id).ok_or(Stall::QueueMissing)?;
        let has_room = queue.count() < queue.definition.attributes.max_messages;
        let has_room = has_room && queue.has_lane_for(row, self.lane_room());
        if has_room { Ok(id) } else { Err(Stall::QueueFull) }
    }

    /// The goal, or where its queue went.
    fn follow<'a>(&self, goal: Goal<'a>) -> Goal<'a> {
        if goal.group.is_some() || self.live(goal.id).is_some() || self.queue_id(goal.name).is_some() {
            return goal;
        }
        self.sign(goal.name).map_or(goal, |sign| Goal { group: Some(sign.to), id: QueueId::default(), ..goal })
    }

    /// Whether a message for this goal goes by courier.
    pub(crate) fn is_far(&self, goal: Goal) -> bool {
        self.follow(goal).group.is_some()
    }

    /// How a message gets to its goal now. `Ok(None)`: by courier, and its body is not at hand.
    pub(crate) fn way(&self, goal: &Goal, row: &MessageRow, body: Option<&Bytes>) -> Result<Option<Way>, Stall> {
        let goal = &self.follow(*goal);
        let Some(group) = goal.group else { return self.open_queue(goal, row).map(Way::Here).map(Some) };
        let fits = |body: &&Bytes| u32::try_from(body.len()) == Ok(row.body_bytes);
        let pack = |body: &Bytes| {
            let (name, row) = (goal.name.to_owned(), row.clone());
            let to = Destination { group, track: track(&name) };
            Way::Away(to, Parcel { id: goal.id, name, row, body: body.clone() }.to_bytes())
        };
        Ok(body.filter(fits).map(pack))
    }

    /// Lets a message go its way.
    pub(crate) fn relocate(&mut self, now: TimestampMs, leaving: Leaving, way: Way, rows: &mut Rows) -> Moved {
        let Leaving { queue, seq, row } = leaving;
        match way {
            Way::Here(target) => {
                self.change(queue, |queue| queue.detach(seq, rows));
                self.arrive(now, (queue, target), row, rows);
                Moved::Readied(target)
            }
            Way::Away(to, record) => {
                self.change(queue, |queue| queue.erase(seq, rows));
                rows.post(to, record);
                Moved::Done
            }
        }
    }

    /// A message enters a queue. `source`: the queue of this machine that it left, or 0.
    fn arrive(&mut self, now: TimestampMs, (source, target): (QueueId, QueueId), row: MessageRow, rows: &mut Rows) {
        self.change(target, |queue| {
            let id = row.id;
            let seq = queue.place(&MessageRow { enqueued: now, ..row }, rows);
            queue.counters.totals.arrived = queue.counters.totals.arrived.saturating_add(1);
            queue.note(Step::new(now, id, EventKind::Arrived, seq).with(source), rows);
        });
    }

    /// Takes a parcel from another group. Errors: it does not decode, or the queue is missing or full; the text says which.
    pub(crate) fn unpack(&mut self, context: &Context, record: &Bytes, rows: &mut Rows) -> Result<(), String> {
        let parcel = Parcel::from_bytes(record).map_err(|error| error.to_string())?;
        let goal = Goal { group: None, id: parcel.id, name: &parcel.name };
        let is_here = self.live(goal.id).is_some() || self.queue_id(goal.name).is_some();
        if let Some(sign) = self.sign(goal.name).filter(|_| !is_here) {
            // Its number means another queue there.
            let to = Destination { group: sign.to, track: track(&parcel.name) };
            rows.post(to, Parcel { id: QueueId::default(), ..parcel }.to_bytes());
            return Ok(());
        }
        let arriving = self.arriving_id(goal.name).filter(|_| !is_here).ok_or(Stall::QueueMissing);
        let target = arriving.or_else(|_| self.open_queue(&goal, &parcel.row));
        let target = target.map_err(|stall| format!("queue {}: {stall}", parcel.name))?;
        rows.keep_body(parcel.row.id.body(), parcel.body);
        self.arrive(context.now, (QueueId::default(), target), parcel.row, rows);
        Ok(())
    }
}

impl core::fmt::Display for Stall {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::QueueMissing => "the queue does not exist",
            Self::QueueFull => "the queue is full",
        })
    }
}

/// Whether a name may stand in an address.
pub(crate) fn is_address(address: &QueueAddress) -> bool {
    address.queue.len() <= NAME_CHARS_MAX && is_queue_name(&address.queue)
}

/// Writes 0, or 1 and the group.
pub(crate) fn put_group(out: &mut Writer, group: Option<GroupId>) {
    out.bool(group.is_some());
    if let Some(group) = group {
        out.u32(group.0);
    }
}

/// Reads what [`put_group`] wrote.
pub(crate) fn read_group(input: &mut Reader) -> Result<Option<GroupId>, DecodeError> {
    if input.bool()? { input.u32().map(GroupId).map(Some) } else { Ok(None) }
}

impl Layout for Stall {
    fn encode(&self, out: &mut Writer) {
        out.u8(match self {
            Self::QueueMissing => 1,
            Self::QueueFull => 2,
        });
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::QueueMissing),
            2 => Ok(Self::QueueFull),
            tag => Err(DecodeError::Unknown { what: "stall", tag }),
        }
    }
}

impl Layout for QueueAddress {
    fn encode(&self, out: &mut Writer) {
        put_group(out, self.group);
        out.str(&self.queue);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { group: read_group(input)?, queue: input.str()? })
    }
}

impl Layout for Parcel {
    fn encode(&self, out: &mut Writer) {
        out.u8(1);
        self.id.encode(out);
        out.str(&self.name);
        self.row.encode(out);
        out.bytes(&self.body);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self {
                id: QueueId::decode(input)?,
                name: input.str()?,
                row: MessageRow::decode(input)?,
                body: input.bytes()?,
            }),
            tag => Err(DecodeError::Unknown { what: "courier record", tag }),
        }
    }
}
