//! What every service translates: ids, pages, and failures.
//!
//! Must never: let a failure pass without saying whether the call may have happened.

use std::time::Duration;

use bytes::Bytes;
use machine::{DecodeError, Layout, TimestampMs};
use packets::lists::Cursor;
use packets::{ChatId, PacketId, UserId};
use proto::outcome::{self, DOOR_REFUSALS, Hint};
use tonic::{Code, Request, Response, Status};

use crate::access::admission::Class;
use crate::access::entrance::Turn;
use crate::app::App;
use crate::failure::{DoorRefusal, Failure, Refusal};
use crate::limits::PAGE_DEFAULT;
use crate::packet::lists::PageAsked;

/// Refusals of the ledger that reach a phone are numbered from here.
const PAYMENT_REFUSALS: u16 = DOOR_REFUSALS + 1000;

/// The contract a failure is told in: the numbers below 10,000 are its own machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contract {
    /// `tercet.packet.v1`.
    Packets,
    /// `tercet.ledger.v1`.
    Ledger,
}

/// A failure, as `contract` tells it.
pub(super) fn status(failure: &Failure, contract: Contract) -> Status {
    match failure {
        Failure::Refused(refusal) => outcome::refused(code(*refusal), number(*refusal, contract), &refusal.to_string()),
        Failure::NotApplied(reason) => outcome::not_applied(reason, Hint::default()),
        Failure::Busy { after_ms } => {
            let hint = Hint { retry_after: Some(Duration::from_millis(*after_ms)), ..Hint::default() };
            outcome::not_applied(&failure.to_string(), hint)
        }
        Failure::Unknown(reason) => outcome::unknown(reason, Hint::default()),
    }
}

/// A failure of the red-packet service.
pub(in crate::doors) fn packet_status(failure: impl Into<Failure>) -> Status {
    status(&failure.into(), Contract::Packets)
}

/// A failure of the ledger's service.
pub(super) fn ledger_status(failure: impl Into<Failure>) -> Status {
    status(&failure.into(), Contract::Ledger)
}

/// What a door answers.
pub(super) type Reply<T> = Result<Response<T>, Status>;

/// What a role answered, or the status of its failure, as phones and merchants are told it.
pub(super) fn reply<T>(answer: Result<T, Failure>) -> Reply<T> {
    answer.map(Response::new).map_err(packet_status)
}

fn number(refusal: Refusal, contract: Contract) -> u16 {
    match (refusal, contract) {
        (Refusal::Packets(refusal), _) => refusal.number(),
        (Refusal::Ledger(refusal), Contract::Ledger) => refusal.number(),
        (Refusal::Ledger(refusal), Contract::Packets) => PAYMENT_REFUSALS + refusal.number(),
        (Refusal::Door(refusal), _) => DOOR_REFUSALS + refusal as u16,
    }
}

fn code(refusal: Refusal) -> Code {
    use ledger::Refusal as L;
    use packets::Refusal as P;
    match refusal {
        Refusal::Packets(P::PacketUnknown | P::ClaimUnknown | P::UserUnknown | P::ChatUnknown) => Code::NotFound,
        Refusal::Packets(P::AlreadyExists) => Code::AlreadyExists,
        Refusal::Packets(P::NotMember | P::NotYours | P::WrongPassword) => Code::PermissionDenied,
        Refusal::Packets(P::ChatFull) => Code::ResourceExhausted,
        Refusal::Packets(refusal) if refusal <= P::SenderIsRecipient => Code::InvalidArgument,
        Refusal::Ledger(
            L::PacketUnknown
            | L::HoldUnknown
            | L::ParkedUnknown
            | L::AccountUnknown
            | L::OrderUnknown
            | L::DebitUnknown
            | L::CreditUnknown,
        ) => Code::NotFound,
        Refusal::Ledger(L::IdReused | L::AlreadyRefunded | L::PacketExists | L::AccountDiffers) => Code::AlreadyExists,
        Refusal::Ledger(L::TooManyClaims | L::TooManyCurrencies) => Code::ResourceExhausted,
        Refusal::Ledger(refusal) if refusal < L::PacketUnknown => Code::InvalidArgument,
        Refusal::Door(
            DoorRefusal::BadToken
            | DoorRefusal::FundingClosed
            | DoorRefusal::LockedOut
            | DoorRefusal::PasswordWrong
            | DoorRefusal::PasswordNeeded
            | DoorRefusal::TooRisky,
        ) => Code::PermissionDenied,
        Refusal::Door(
            DoorRefusal::GroupUnknown
            | DoorRefusal::HoldUnknown
            | DoorRefusal::CallUnknown
            | DoorRefusal::RefundUnknown,
        ) => Code::NotFound,
        Refusal::Door(DoorRefusal::HoldEnded | DoorRefusal::PasswordMissing)
        | Refusal::Packets(_)
        | Refusal::Ledger(_) => Code::FailedPrecondition,
        Refusal::Door(_) => Code::InvalidArgument,
    }
}

/// An id of 16 bytes. Refuses: `BadId`.
pub(super) fn id(bytes: &Bytes) -> Result<u128, Failure> {
    <[u8; 16]>::try_from(bytes.as_ref()).map(u128::from_be_bytes).map_err(|_| DoorRefusal::BadId.into())
}

/// A user. Refuses: `BadId`.
pub(in crate::doors) fn user(bytes: &Bytes) -> Result<UserId, Failure> {
    id(bytes).map(UserId)
}

/// A packet. Refuses: `BadId`.
pub(in crate::doors) fn packet(bytes: &Bytes) -> Result<PacketId, Failure> {
    id(bytes).map(PacketId::new)
}

/// A chat. Refuses: `BadId`.
pub(in crate::doors) fn chat(bytes: &Bytes) -> Result<ChatId, Failure> {
    id(bytes).map(ChatId)
}

/// An id on the wire.
pub(in crate::doors) fn wire_id(id: u128) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

/// The length of a page. Refuses: `BadField`.
pub(super) fn limit(limit: u32, most: usize) -> Result<usize, Failure> {
    let asked = if limit == 0 { PAGE_DEFAULT } else { limit };
    usize::try_from(asked).ok().filter(|limit| *limit <= most).ok_or_else(|| DoorRefusal::BadField.into())
}

/// A page of a list. Refuses: `BadField`.
pub(in crate::doors) fn page(cursor: &Bytes, asked: u32) -> Result<PageAsked, Failure> {
    let limit = limit(asked, packets::limits::PAGE_ITEMS_MAX)?;
    let after = if cursor.is_empty() { None } else { Some(cursor_of(cursor).map_err(|_| DoorRefusal::BadField)?) };
    Ok(PageAsked { after, limit })
}

fn cursor_of(bytes: &Bytes) -> Result<Cursor, DecodeError> {
    let mut input = machine::Reader::new(bytes.clone());
    let cursor = Cursor { at: TimestampMs::decode(&mut input)?, packet: PacketId::decode(&mut input)? };
    input.end()?;
    Ok(cursor)
}

/// A place in a list on the wire; empty for none.
pub(in crate::doors) fn wire_cursor(cursor: Option<Cursor>) -> Bytes {
    cursor.map_or_else(Bytes::new, |cursor| {
        let mut out = machine::Writer::with_capacity(24);
        cursor.at.encode(&mut out);
        cursor.packet.encode(&mut out);
        out.finish()
    })
}

/// What a request shows as its right to be made.
pub(super) fn token<T>(request: &Request<T>) -> Option<&str> {
    let value = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer "))
}

/// Lets a phone's request in: checks its address and its session, then waits for its turn. Refuses: `BadToken`. Errors:
/// `Busy`.
pub(in crate::doors) async fn enter<T>(
    app: &App,
    request: &Request<T>,
    class: Class,
    user: UserId,
) -> Result<Turn, Failure> {
    // A request that came by HTTP has no address here; that door has looked.
    let met = request.extensions().get::<tls::Met>();
    if let Some(address) = met.and_then(|met| met.address) {
        app.entrance.pass(address.ip())?;
    }
    app.sessions.check(token(request), user, app.now()?)?;
    app.entrance.enter(class, user).await
}
