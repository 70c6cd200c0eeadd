//! What a failed call says: refused, surely not applied, or unknown.
//!
//! ```text
//!  gRPC status code, text
//!  trailers  tercet-outcome         refused | not-applied | unknown
//!            tercet-refusal         number of the refusal
//!            tercet-leader          host:port of the leader
//!            tercet-retry-after-ms  wait this long before the next try
//!            tercet-group           the group that holds the queue, if the request named another
//! ```
//!
//! Why: a caller must know one thing about a failure, whether the call may have happened. A status code does not say:
//! proxies, time-outs and broken connections make codes of their own.
//!
//! Must never: read a status without `tercet-outcome` as "not applied", unless its code says that no such call exists.

use std::str::FromStr;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::queue::v1::{Failure, FailureOutcome};

/// Trailer: `refused`, `not-applied` or `unknown`.
pub const OUTCOME: &str = "tercet-outcome";
/// Trailer: number of the refusal.
pub const REFUSAL: &str = "tercet-refusal";
/// Trailer: gRPC address of the leader.
pub const LEADER: &str = "tercet-leader";
/// Trailer: milliseconds to wait before the next try.
pub const RETRY_AFTER_MS: &str = "tercet-retry-after-ms";
/// Trailer: the group that holds the queue.
pub const GROUP: &str = "tercet-group";

/// Refusals below this number are the machine's own; its refusals of sessions follow from here.
pub const SESSION_REFUSALS: u16 = 10_000;
/// Refusals of the doors (limits, names, keys) follow from here.
pub const DOOR_REFUSALS: u16 = 20_000;
/// The call is larger than [`crate::limits::WIRE_BYTES_MAX`]. Clients say so themselves: sent, it would end the stream.
pub const CALL_TOO_LARGE: u16 = DOOR_REFUSALS + 1;
/// The request's session or its place in the window is gone: not applied now, perhaps applied before.
pub const REQUEST_TOO_OLD: u16 = SESSION_REFUSALS + 1;
/// The machine's refusal of what came to a queue that has moved to another group. Under a request id it is sure that no
/// attempt under this id was applied there.
pub const MOVED: u16 = 80;
/// The key pair is good, but has not the right that the call needs.
pub const NO_RIGHT: u16 = DOOR_REFUSALS + 31;
/// No session can be opened: all are in use.
pub const TOO_MANY_SESSIONS: u16 = SESSION_REFUSALS + 2;

/// Whether a call that failed may have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A "no", for good. The call changed nothing.
    Refused {
        /// The refusal's number.
        number: u16,
    },
    /// The call surely did not happen.
    NotApplied(Hint),
    /// The call may have happened.
    Unknown(Hint),
}

/// Where and when to try again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// gRPC address (host:port) of the leader, where another node leads.
    pub leader: Option<String>,
    /// Wait this long before the next try.
    pub retry_after: Option<Duration>,
    /// The group that holds the queue, where the request named another.
    pub group: Option<u32>,
}

/// A status for a refusal. `code` is the gRPC code that fits best, such as `NotFound`.
#[must_use]
pub fn refused(code: Code, number: u16, text: &str) -> Status {
    with_outcome(code, text, &Outcome::Refused { number })
}

/// A status for a call that surely did not happen.
#[must_use]
pub fn not_applied(text: &str, hint: Hint) -> Status {
    with_outcome(Code::Unavailable, text, &Outcome::NotApplied(hint))
}

/// A status for a call that may have happened.
#[must_use]
pub fn unknown(text: &str, hint: Hint) -> Status {
    with_outcome(Code::Unknown, text, &Outcome::Unknown(hint))
}

/// A status that says `outcome` in its trailers.
#[must_use]
pub fn with_outcome(code: Code, text: &str, outcome: &Outcome) -> Status {
    let mut trailers = MetadataMap::new();
    match outcome {
        Outcome::Refused { number } => {
            trailers.insert(OUTCOME, MetadataValue::from_static("refused"));
            trailers.insert(REFUSAL, MetadataValue::from(*number));
        }
        Outcome::NotApplied(hint) => {
            trailers.insert(OUTCOME, MetadataValue::from_static("not-applied"));
            hint.write(&mut trailers);
        }
        Outcome::Unknown(hint) => {
            trailers.insert(OUTCOME, MetadataValue::from_static("unknown"));
            hint.write(&mut trailers);
        }
    }
    Status::with_metadata(code, text, trailers)
}

impl Hint {
    fn write(&self, trailers: &mut MetadataMap) {
        // An address that is not ASCII cannot be dialled either; it is left out.
        if let Some(leader) = self.leader.as_deref().and_then(|leader| MetadataValue::try_from(leader).ok()) {
            trailers.insert(LEADER, leader);
        }
        if let Some(after) = self.retry_after {
            trailers.insert(RETRY_AFTER_MS, MetadataValue::from(millis(after)));
        }
        if let Some(group) = self.group {
            trailers.insert(GROUP, MetadataValue::from(group));
        }
    }

    fn read(trailers: &MetadataMap) -> Self {
        Self {
            leader: text(trailers, LEADER).map(str::to_owned),
            retry_after: number(trailers, RETRY_AFTER_MS).map(Duration::from_millis),
            group: number(trailers, GROUP),
        }
    }
}

/// What a status says. One without the trailers is unknown, except that an unimplemented call was not applied.
#[must_use]
pub fn outcome_of(status: &Status) -> Outcome {
    let trailers = status.metadata();
    match (text(trailers, OUTCOME), number(trailers, REFUSAL)) {
        (Some("refused"), Some(number)) => Outcome::Refused { number },
        (Some("not-applied"), _) => Outcome::NotApplied(Hint::read(trailers)),
        (None, _) if status.code() == Code::Unimplemented => Outcome::NotApplied(Hint::default()),
        _ => Outcome::Unknown(Hint::read(trailers)),
    }
}

/// The status of a call that travels on a stream.
#[must_use]
pub fn failure_of(status: &Status) -> Failure {
    let (outcome, refusal, hint) = match outcome_of(status) {
        Outcome::Refused { number } => (FailureOutcome::Refused, number, Hint::default()),
        Outcome::NotApplied(hint) => (FailureOutcome::NotApplied, 0, hint),
        Outcome::Unknown(hint) => (FailureOutcome::Unknown, 0, hint),
    };
    Failure {
        code: u32::from(code_number(status.code())),
        text: status.message().to_owned(),
        outcome: outcome.into(),
        refusal: u32::from(refusal),
        leader: hint.leader.unwrap_or_default(),
        retry_after_ms: hint.retry_after.map_or(0, millis),
        group: hint.group,
    }
}

/// The status a failure on a stream stands for.
#[must_use]
pub fn status_of(failure: &Failure) -> Status {
    let hint = Hint {
        leader: Some(failure.leader.clone()).filter(|leader| !leader.is_empty()),
        retry_after: Some(failure.retry_after_ms).filter(|ms| *ms > 0).map(Duration::from_millis),
        group: failure.group,
    };
    let outcome = match (failure.outcome(), u16::try_from(failure.refusal)) {
        (FailureOutcome::Refused, Ok(number)) => Outcome::Refused { number },
        (FailureOutcome::NotApplied, _) => Outcome::NotApplied(hint),
        _ => Outcome::Unknown(hint),
    };
    let code = i32::try_from(failure.code).map_or(Code::Unknown, Code::from_i32);
    with_outcome(code, &failure.text, &outcome)
}

fn text<'a>(trailers: &'a MetadataMap, name: &str) -> Option<&'a str> {
    trailers.get(name).and_then(|value: &MetadataValue<Ascii>| value.to_str().ok())
}

fn number<N: FromStr>(trailers: &MetadataMap, name: &str) -> Option<N> {
    text(trailers, name).and_then(|digits| digits.parse().ok())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// gRPC numbers its codes from 0 to 16.
fn code_number(code: Code) -> u8 {
    u8::try_from(code as i32).unwrap_or(2)
}
