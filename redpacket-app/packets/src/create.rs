//! Create: a packet that is paid for comes into being.
//!
//! Why here and not before the payment: the money is in the packet's escrow when this command arrives (by queue, at
//! least once), so creation is a repeatable step forward and never undone. What is refused here must be refunded by the
//! payer's side; doors therefore check the same terms with [`check_terms`] before they take the money.
//!
//! Must never: make two packets of one order.

use bytes::Bytes;
use machine::{DecodeError, Layout, Reader, Writer};

use crate::fen::Fen;
use crate::ids::PacketId;
use crate::limits::{
    COVER_BYTES_MAX, GREETING_BYTES_MAX, LIFE_MS_MAX, LIFE_MS_MIN, SHARE_FEN_MAX, SHARE_FEN_MIN, SHARES_MAX,
};
use crate::packet::{Kind, Packet, Terms};
use crate::progress::Progress;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rows::{self, ROW_VERSION, check_version};
use crate::turn::Turn;
use crate::user::User;

/// The row of an order: `version u8=1 | packet u128`.
pub(crate) struct Bought(pub(crate) PacketId);

impl Layout for Bought {
    fn encode(&self, out: &mut Writer) {
        out.u8(ROW_VERSION);
        self.0.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "order row")?;
        Ok(Self(PacketId::decode(input)?))
    }
}

/// Whether a packet may have these terms, whoever sends it.
///
/// Refuses, in this order: `GreetingTooLong`, `CoverTooLong`, `BadShares`, `TooManyShares`, `ShareBelowOneFen`,
/// `ShareAboveLimit`, `BadTotal`, `BadLife`, `SenderIsRecipient`.
pub fn check_terms(terms: &Terms) -> Result<(), Refusal> {
    if terms.greeting.len() > GREETING_BYTES_MAX {
        return Err(Refusal::GreetingTooLong);
    }
    if terms.cover.len() > COVER_BYTES_MAX {
        return Err(Refusal::CoverTooLong);
    }
    let fits_kind = match &terms.kind {
        Kind::Direct { .. } => terms.shares == 1,
        Kind::Exclusive { users, .. } => terms.shares >= 1 && users.len() == usize::from(terms.shares),
        Kind::GroupEqual { .. } | Kind::GroupLucky { .. } => terms.shares >= 1,
    };
    if !fits_kind {
        return Err(Refusal::BadShares);
    }
    if terms.shares > SHARES_MAX {
        return Err(Refusal::TooManyShares);
    }
    check_total(terms.total, terms.shares, terms.kind.is_lucky())?;
    if !(LIFE_MS_MIN..=LIFE_MS_MAX).contains(&terms.life_ms) {
        return Err(Refusal::BadLife);
    }
    if terms.kind == (Kind::Direct { recipient: terms.sender }) {
        return Err(Refusal::SenderIsRecipient);
    }
    Ok(())
}

fn check_total(total: Fen, shares: u16, is_lucky: bool) -> Result<(), Refusal> {
    let count = i64::from(shares);
    if total.0 < count.saturating_mul(SHARE_FEN_MIN) {
        return Err(Refusal::ShareBelowOneFen);
    }
    if total.0 > count.saturating_mul(SHARE_FEN_MAX) {
        return Err(Refusal::ShareAboveLimit);
    }
    if !is_lucky && total.0.checked_rem(count) != Some(0) {
        return Err(Refusal::BadTotal);
    }
    Ok(())
}

/// Creates a packet. Refuses: `AlreadyExists`, then as [`check_terms`], then `UserUnknown`, `ChatUnknown`, `NotMember`.
pub(crate) fn create(turn: &mut Turn<'_>, id: PacketId, terms: Terms) -> Result<Reply, Refusal> {
    if let Some(known) = rows::get::<Packet>(turn.rows, &rows::packet(id)) {
        return if known.terms == terms { Ok(created(&known)) } else { Err(Refusal::AlreadyExists) };
    }
    let order = rows::order(terms.order);
    if turn.rows.get(&order).is_some() {
        return Err(Refusal::AlreadyExists);
    }
    check_terms(&terms)?;
    let mut sender = rows::get::<User>(turn.rows, &rows::user(terms.sender)).ok_or(Refusal::UserUnknown)?;
    check_audience(turn, &terms)?;

    let packet = Packet { created: turn.now(), terms };
    let terms = &packet.terms;
    sender.count_sent(terms.total, turn.now());
    turn.counts.create(terms.total);
    turn.rows.put(rows::user(terms.sender), sender.to_bytes());
    turn.rows.put(order, Bought(id).to_bytes());
    turn.rows.put(rows::packet(id), packet.to_bytes());
    turn.rows.put(rows::progress(id), Progress::fresh(terms.total).to_bytes());
    turn.rows.put(rows::timed(rows::EXPIRY, packet.expires(), id), Bytes::new());
    turn.rows.put(rows::listed(rows::SENT, terms.sender.0, packet.created, id), Bytes::new());
    let (tag, owner) = match &terms.kind {
        Kind::Direct { recipient } => (rows::OFFERED, recipient.0),
        Kind::GroupEqual { chat } | Kind::GroupLucky { chat } | Kind::Exclusive { chat, .. } => (rows::SHOWN, chat.0),
    };
    turn.rows.put(rows::listed(tag, owner, packet.created, id), Bytes::new());
    Ok(created(&packet))
}

/// Refuses: `UserUnknown` (the recipient), `ChatUnknown`, `NotMember` (the sender, or one that is named).
fn check_audience(turn: &Turn<'_>, terms: &Terms) -> Result<(), Refusal> {
    if let Kind::Direct { recipient } = terms.kind {
        turn.check_user(recipient)?;
    }
    let Some(chat) = terms.kind.chat() else { return Ok(()) };
    if turn.rows.get(&rows::chat(chat)).is_none() {
        return Err(Refusal::ChatUnknown);
    }
    let is_named_in = match &terms.kind {
        Kind::Exclusive { users, .. } => users.iter().all(|user| turn.is_member(chat, *user)),
        _ => true,
    };
    if is_named_in && turn.is_member(chat, terms.sender) { Ok(()) } else { Err(Refusal::NotMember) }
}

const fn created(packet: &Packet) -> Reply {
    Reply::Created { created: packet.created, expires: packet.expires() }
}
