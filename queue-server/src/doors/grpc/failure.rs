//! Failures as gRPC statuses: refused, surely not applied, or unknown; never anything in between.

use std::time::Duration;

use proto::outcome::{
    DOOR_REFUSALS, Hint, MOVED, NO_RIGHT, REQUEST_TOO_OLD, TOO_MANY_SESSIONS, not_applied, refused, unknown,
};
use queue_core::{QueueMachine, Refusal};
use replica::{Group, Leader, ProposeError, ReadError};
use tonic::{Code, Status};

use machine::{Machine, SessionRefusal};

use super::super::convert::refusal_code;
use crate::node::LocateError;

/// A caller comes back after this when no leader is known: a dead one is succeeded within tens of milliseconds.
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// A field of the request breaks a rule of the door. Numbers from `DOOR_REFUSALS` on; never renumbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum DoorRefusal {
    /// The directory or the group, asked before anything was proposed, knows no such queue or topic.
    QueueNotFound = 2,
    /// A wait is longer than 30 s.
    WaitTooLong = 3,
    /// An enumeration holds no value, or one that is not known.
    EnumMissing = 4,
    /// A page is larger than it may be, or its cursor is not one of ours.
    BadPage = 5,
    /// This node keeps no money: ask an app node.
    NoMoneyHere = 6,
    /// No group of that number here.
    NoSuchGroup = 8,
    /// The directory takes no more names.
    DirectoryFull = 9,
    /// A stream has more credits open than it may.
    TooManyCredits = 10,
    /// A key's id, its secret or a grant breaks its rule.
    KeyInvalid = 20,
    /// A key of this id is there.
    KeyExists = 21,
    /// No key has this id.
    KeyMissing = 22,
    /// There are as many keys as may be.
    TooManyKeys = 23,
    /// The call carries no proof of a key pair.
    KeyNeeded = 25,
    /// What it carries is no proof.
    ProofMalformed = 26,
    /// The key is not known, or has not signed this call.
    SignatureWrong = 27,
    /// It was signed for another node.
    OtherHost = 28,
    /// It was signed too long ago, or by a clock that is ahead.
    ProofStale = 29,
    /// The very same proof was used before.
    ProofUsed = 30,
    /// The key is good, but has not the right.
    NoRight = 31,
    /// The members of a group stay as they are: too few copies or no majority would be left, or an id is used.
    MembersKept = 32,
}

const _: () = assert!(Refusal::Moved.number() == MOVED);
const _: () = assert!(DOOR_REFUSALS + DoorRefusal::NoRight as u16 == NO_RIGHT);

pub(crate) fn door_refused(refusal: DoorRefusal, text: &str) -> Status {
    refused(Code::InvalidArgument, DOOR_REFUSALS + refusal as u16, text)
}

/// Who calls is not known, or may not do what is asked.
pub(super) fn not_admitted(refusal: DoorRefusal, text: &str) -> Status {
    let code = if refusal == DoorRefusal::NoRight { Code::PermissionDenied } else { Code::Unauthenticated };
    refused(code, DOOR_REFUSALS + refusal as u16, text)
}

pub(crate) fn machine_refused(refusal: Refusal) -> Status {
    refused(refusal_code(refusal), refusal.number(), &refusal.to_string())
}

/// No such queue, found before anything was proposed: a repeated request learns nothing of its earlier attempts from it.
pub(crate) fn queue_missing() -> Status {
    let text = Refusal::QueueMissing.to_string();
    refused(Code::NotFound, DOOR_REFUSALS + DoorRefusal::QueueNotFound as u16, &text)
}

/// No such topic, found before anything was proposed.
pub(crate) fn topic_missing() -> Status {
    let text = Refusal::TopicMissing.to_string();
    refused(Code::NotFound, DOOR_REFUSALS + DoorRefusal::QueueNotFound as u16, &text)
}

fn hint(leader: Option<Leader>) -> Hint {
    Hint {
        retry_after: leader.is_none().then_some(RETRY_AFTER),
        leader: leader.map(|leader| leader.address),
        group: None,
    }
}

/// The disk of this node has no room for what is sent.
pub(crate) fn no_room(reason: String) -> Status {
    propose_failed(ProposeError::NotApplied(reason))
}

pub(crate) fn propose_failed(error: ProposeError) -> Status {
    match error {
        ProposeError::Refused(SessionRefusal::RequestTooOld) => {
            refused(Code::FailedPrecondition, REQUEST_TOO_OLD, &SessionRefusal::RequestTooOld.to_string())
        }
        ProposeError::Refused(SessionRefusal::TooManySessions) => {
            refused(Code::ResourceExhausted, TOO_MANY_SESSIONS, &SessionRefusal::TooManySessions.to_string())
        }
        ProposeError::NotLeader { leader } => not_applied("another node leads the group, or none does", hint(leader)),
        ProposeError::TurnedAway { .. } => not_applied("too much is asked at the moment", hint(None)),
        ProposeError::NotApplied(reason) => not_applied(&reason, hint(None)),
        ProposeError::Unknown(reason) => unknown(&reason, Hint { retry_after: Some(RETRY_AFTER), ..Hint::default() }),
    }
}

pub(crate) fn read_failed(error: ReadError) -> Status {
    match error {
        ReadError::NotLeader { leader } => not_applied("another node leads the group, or none does", hint(leader)),
        ReadError::Stopped(reason) => not_applied(&reason, hint(None)),
    }
}

pub(crate) fn not_here<M: Machine>(group: &Group<M>) -> Status {
    not_applied("another node leads the group, or none does", hint(group.leader()))
}

pub(crate) fn locate_failed(error: LocateError) -> Status {
    match error {
        LocateError::Unknown => queue_missing(),
        LocateError::Unavailable(reason) => not_applied(&reason, hint(None)),
        LocateError::NotHere(group) => not_here::<QueueMachine>(&group),
    }
}

/// A request id that belongs to another group than the one that holds the queue.
pub(crate) fn other_group(group: u32) -> Status {
    not_applied("the request id belongs to another group", Hint { group: Some(group), ..Hint::default() })
}
