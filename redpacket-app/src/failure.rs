//! Why a call has no answer, sorted by the one question that matters: may it have happened?
//!
//! Must never: turn an unknown outcome into one that is known.

use machine::LoadError;
use replica::{ProposeError, ReadError};

/// Why the doors said no before anything was proposed. Numbered, never renumbered; precedence as numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u16)]
pub(crate) enum DoorRefusal {
    /// An id is not 16 bytes.
    #[error("an id has 16 bytes")]
    BadId = 1,
    /// A field that must be given is missing, or out of its range.
    #[error("a field is missing or out of range")]
    BadField = 2,
    /// The kind of packet does not go with its chat and recipients.
    #[error("the kind of packet does not fit its chat and recipients")]
    BadKind = 3,
    /// The session token is missing, expired, or another user's.
    #[error("the session token is not this user's")]
    BadToken = 4,
    /// Wallets are not funded here.
    #[error("this cluster funds no wallets")]
    FundingClosed = 5,
    /// More than a wallet is funded with.
    #[error("a wallet is not funded with that much")]
    FundTooLarge = 6,
    /// No such group of the asked kind.
    #[error("no such group")]
    GroupUnknown = 7,
    /// No such hold in any group.
    #[error("no such hold")]
    HoldUnknown = 8,
    /// The hold has ended.
    #[error("the hold has ended")]
    HoldEnded = 9,
    /// The request is not of the form that the call takes.
    #[error("the request is not of the form that this call takes")]
    BadForm = 20,
    /// The request's body is larger than any call takes.
    #[error("the request is too large")]
    BodyTooLarge = 21,
    /// There is no such call.
    #[error("there is no such call")]
    CallUnknown = 22,
    /// Too many wrong passwords were tried.
    #[error("too many wrong passwords: wait a while")]
    LockedOut = 23,
    /// The user has no payment password yet.
    #[error("there is no payment password yet")]
    PasswordMissing = 24,
    /// The payment password is not the user's.
    #[error("the payment password is wrong")]
    PasswordWrong = 25,
    /// A payment password has six digits.
    #[error("a payment password has six digits")]
    PasswordWeak = 26,
    /// The rules against fraud, or the risk system, will not have the payment.
    #[error("the payment was stopped for its risk")]
    TooRisky = 27,
    /// The user has a payment password, and none was given.
    #[error("the payment password is asked for")]
    PasswordNeeded = 29,
    /// The order has no refund of that number.
    #[error("no such refund")]
    RefundUnknown = 28,
    /// The members stay as they are.
    #[error("the members stay as they are")]
    MembersKept = 32,
}

/// A "no" for good. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// By a packet group.
    Packets(packets::Refusal),
    /// By the ledger.
    Ledger(ledger::Refusal),
    /// By the doors.
    Door(DoorRefusal),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Packets(refusal) => refusal.fmt(f),
            Self::Ledger(refusal) => refusal.fmt(f),
            Self::Door(refusal) => refusal.fmt(f),
        }
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// No, for good.
    #[error("{0}")]
    Refused(Refusal),
    /// It surely did not happen.
    #[error("not applied: {0}")]
    NotApplied(String),
    /// It surely did not happen: too much is asked at the moment.
    #[error("too much is asked at the moment")]
    Busy {
        /// Come back after this. Milliseconds.
        after_ms: u64,
    },
    /// It may have happened: ask again with the same ids.
    #[error("unknown: {0}")]
    Unknown(String),
}

impl From<packets::Refusal> for Failure {
    fn from(refusal: packets::Refusal) -> Self {
        Self::Refused(Refusal::Packets(refusal))
    }
}

impl From<ledger::Refusal> for Failure {
    fn from(refusal: ledger::Refusal) -> Self {
        Self::Refused(Refusal::Ledger(refusal))
    }
}

impl From<DoorRefusal> for Failure {
    fn from(refusal: DoorRefusal) -> Self {
        Self::Refused(Refusal::Door(refusal))
    }
}

impl From<ProposeError> for Failure {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::Unknown(reason) => Self::Unknown(reason),
            ProposeError::TurnedAway { .. } => Self::Busy { after_ms: 1000 },
            other => Self::NotApplied(other.to_string()),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::NotApplied(error.to_string())
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        tracing::error!(%error, "rows could not be read");
        Self::NotApplied(format!("rows could not be read: {error}"))
    }
}

/// A reply that the command cannot have: a bug, and its outcome is not known.
pub(crate) fn unexpected(reply: &impl std::fmt::Debug) -> Failure {
    tracing::error!(?reply, "a machine gave a reply that its command does not have");
    Failure::Unknown("the reply does not fit the command".to_owned())
}

/// Of what follows a step that was done, or may have been: that it failed does not undo the step.
pub(crate) fn after_done(failure: Failure) -> Failure {
    match failure {
        Failure::NotApplied(reason) => Failure::Unknown(reason),
        Failure::Busy { .. } => Failure::Unknown("too much is under way to see what became of it".to_owned()),
        other => other,
    }
}
