//! The red-packet service in JSON: ids are 32 hexadecimal digits, amounts fen, times milliseconds.
//!
//! Must never: mean something else than the service of the same name on gRPC.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use packets::ChatId;
use proto::outcome::{DOOR_REFUSALS, Outcome, outcome_of};
use proto::packet::v1::{
    BillLine, BillReply, Claim, CreditState, GetPacketReply, GrabReply, OrderReply, Packet, PacketKind, PacketState,
    Received, YearTotals,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::failure::DoorRefusal;

/// A call that failed: what it says, and whether it may have happened.
pub(super) struct Failed(pub(super) Status);

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        Self(status)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let (outcome, refusal, pause) = match outcome_of(&self.0) {
            Outcome::Refused { number } => ("refused", Some(number), None),
            Outcome::NotApplied(hint) => ("not-applied", None, hint.retry_after),
            Outcome::Unknown(hint) => ("unknown", None, hint.retry_after),
        };
        let status = match outcome {
            "refused" => refused_status(refusal.unwrap_or_default(), self.0.code()),
            "not-applied" if pause.is_some() => StatusCode::TOO_MANY_REQUESTS,
            "not-applied" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::GATEWAY_TIMEOUT,
        };
        let after_ms = pause.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        let said = json!({
            "outcome": outcome, "refusal": refusal, "text": self.0.message(), "retry_after_ms": after_ms,
        });
        let mut response = (status, Json(said)).into_response();
        // The header counts whole seconds.
        let seconds = after_ms.map(|ms| HeaderValue::from(ms.div_ceil(1000)));
        response.headers_mut().extend(seconds.map(|seconds| (header::RETRY_AFTER, seconds)));
        response
    }
}

/// The status of HTTP that says a refusal best.
fn refused_status(number: u16, code: Code) -> StatusCode {
    let door = |refusal: DoorRefusal| DOOR_REFUSALS + refusal as u16;
    if number == door(DoorRefusal::BadToken) {
        return StatusCode::UNAUTHORIZED;
    }
    if number == door(DoorRefusal::BodyTooLarge) {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    match code {
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        _ => StatusCode::CONFLICT,
    }
}

/// 16 bytes from 32 digits; what is none is left empty, and refused by the service.
pub(super) fn id(digits: &str) -> Bytes {
    match u128::from_str_radix(digits, 16) {
        Ok(id) if digits.len() == 32 => Bytes::copy_from_slice(&id.to_be_bytes()),
        _ => Bytes::new(),
    }
}

/// A number of 128 bits as digits.
pub(super) fn number(id: u128) -> String {
    digits(&id.to_be_bytes())
}

/// Bytes as digits.
pub(super) fn digits(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes of any length from digits: a cursor. Refuses nothing; what is no cursor is refused by the service.
pub(super) fn bytes_of(digits: &str) -> Bytes {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap_or_default()).collect()
}

/// A kind of packet by its name.
pub(super) fn kind(name: &str) -> PacketKind {
    match name {
        "direct" => PacketKind::Direct,
        "equal" => PacketKind::GroupEqual,
        "lucky" => PacketKind::GroupLucky,
        "exclusive" => PacketKind::Exclusive,
        _ => PacketKind::Unspecified,
    }
}

const fn kind_name(kind: PacketKind) -> &'static str {
    match kind {
        PacketKind::Direct => "direct",
        PacketKind::GroupEqual => "equal",
        PacketKind::GroupLucky => "lucky",
        PacketKind::Exclusive => "exclusive",
        PacketKind::Unspecified => "",
    }
}

/// A share.
pub(super) fn claim(claim: &Claim) -> Value {
    let credit = match claim.credit() {
        CreditState::Arrived => "arrived",
        CreditState::Waiting => "waiting",
        CreditState::Unknown => "unknown",
        CreditState::Unspecified => "",
    };
    json!({
        "user": digits(&claim.user), "name": claim.name, "share": claim.share, "fen": claim.fen,
        "claimed_ms": claim.claimed_ms, "credit": credit, "credit_id": digits(&claim.credit_id),
    })
}

/// A packet.
pub(super) fn packet(packet: &Packet) -> Value {
    let state = match packet.state() {
        PacketState::Live => "live",
        PacketState::SoldOut => "sold-out",
        PacketState::Expired => "expired",
        PacketState::Refunded => "refunded",
        PacketState::Unspecified => "",
    };
    json!({
        "packet": digits(&packet.packet), "order": digits(&packet.order), "sender": digits(&packet.sender),
        "sender_name": packet.sender_name, "kind": kind_name(packet.kind()), "chat": digits(&packet.chat),
        "total_fen": packet.total_fen, "left_fen": packet.left_fen, "shares": packet.shares,
        "shares_left": packet.shares_left, "greeting": packet.greeting, "cover": packet.cover,
        "has_password": packet.has_password, "state": state, "created_ms": packet.created_ms,
        "expires_ms": packet.expires_ms,
    })
}

/// A packet with its shares.
pub(super) fn shown(reply: &GetPacketReply) -> Value {
    json!({
        "packet": reply.packet.as_ref().map(packet),
        "claims": reply.claims.iter().map(claim).collect::<Vec<_>>(),
        "luckiest_share": reply.luckiest_share,
    })
}

/// What became of a payment.
pub(super) fn order(order: &OrderReply) -> Value {
    let state = order.state().as_str_name().trim_start_matches("ORDER_STATE_").to_ascii_lowercase();
    json!({
        "state": state, "packet": digits(&order.packet), "total_fen": order.total_fen,
        "refunded_fen": order.refunded_fen, "paid_ms": order.paid_ms,
    })
}

/// The answer to a grab.
pub(super) fn grabbed(reply: &GrabReply) -> Value {
    let claim = reply.claim.as_ref().map(claim);
    json!({ "shares_left": reply.shares_left, "claim": claim, "has_password": reply.has_password })
}

/// A share of a list.
pub(super) fn received(received: &Received) -> Value {
    json!({
        "packet": digits(&received.packet), "sender": digits(&received.sender), "sender_name": received.sender_name,
        "kind": kind_name(received.kind()), "claim": received.claim.as_ref().map(claim),
        "is_luckiest": received.is_luckiest,
    })
}

/// What a year came to.
pub(super) fn year(year: &YearTotals) -> Value {
    json!({ "year": year.year, "count": year.count, "fen": year.fen, "luckiest": year.luckiest })
}

/// A page of a bill.
pub(super) fn bill(reply: &BillReply) -> Value {
    json!({ "lines": reply.lines.iter().map(bill_line).collect::<Vec<_>>(), "next": reply.next })
}

fn bill_line(line: &BillLine) -> Value {
    let kind = line.kind().as_str_name().trim_start_matches("BILL_KIND_").to_ascii_lowercase();
    json!({
        "number": line.number, "kind": kind, "amount_fen": line.amount_fen, "balance_fen": line.balance_fen,
        "transfer": digits(&line.transfer), "packet": digits(&line.packet), "booked_ms": line.booked_ms,
    })
}

/// A chat of a user.
pub(super) fn chat((id, chat): &(ChatId, packets::Chat)) -> Value {
    json!({ "chat": format!("{:032x}", id.0), "name": chat.name, "members": chat.members })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_32_digits_or_is_refused_by_the_service() {
        let digits_of_one = "00000000000000000000000000000001";
        assert_eq!(digits(&id(digits_of_one)), digits_of_one);
        for none in ["", "1", "g0000000000000000000000000000001", "000000000000000000000000000000001"] {
            assert!(id(none).is_empty(), "{none}");
        }
        assert_eq!(bytes_of("00ff10"), Bytes::from_static(&[0, 255, 16]));
    }
}
