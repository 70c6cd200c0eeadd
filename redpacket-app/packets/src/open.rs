//! Open: draws a share and records the claim. The one place where fen leave a packet for a user.
//!
//! ```text
//!  packet, progress, user, claim, membership ──> repeat? ──> former share
//!                                                  │ no
//!                                      NotYours, WrongPassword, SoldOut, Expired
//!                                                  │ none
//!                            draw ──> claim, share, uncredited, received, progress, totals
//! ```
//!
//! Must never: give a share that is not recorded as uncredited in the same batch; that mark is the promise to pay it.

use bytes::Bytes;
use machine::Layout;

use crate::calendar::year_of;
use crate::claim::{Claim, Credit, CreditState, Share};
use crate::command::Open;
use crate::draw::{draw_equal, draw_lucky};
use crate::fen::Fen;
use crate::ids::PacketId;
use crate::packet::{Packet, PasswordHash};
use crate::progress::{Phase, Progress};
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rows;
use crate::turn::Turn;
use crate::user::User;

/// Opens a packet for a user. Refuses: `PacketUnknown`, `UserUnknown`; then, to one who has no share yet, `NotYours`,
/// `WrongPassword`, `SoldOut`, `Expired`.
pub(crate) fn open(turn: &mut Turn<'_>, command: &Open) -> Result<Reply, Refusal> {
    let packet = rows::get::<Packet>(turn.rows, &rows::packet(command.packet)).ok_or(Refusal::PacketUnknown)?;
    let mut user = rows::get::<User>(turn.rows, &rows::user(command.user)).ok_or(Refusal::UserUnknown)?;
    if let Some(claim) = rows::get::<Claim>(turn.rows, &rows::claim(command.packet, command.user)) {
        return Ok(Reply::Opened(credit(command, &packet, &user, &claim)));
    }
    let chat = packet.terms.kind.chat().filter(|chat| command.chat == Some(*chat));
    let is_member = chat.is_some_and(|chat| turn.is_member(chat, command.user));
    if !packet.terms.kind.admits(command.user, is_member) {
        return Err(Refusal::NotYours);
    }
    check_password(&packet, command.password)?;
    let mut progress = read_progress(turn, command.packet)?;
    progress.available(&packet, turn.now())?;

    let fen = draw(&packet, &progress, turn.context.seed);
    let share = progress.take(&packet, command.user, fen, turn.now());
    let claim = Claim { share, fen, claimed: turn.now() };
    record_claim(turn, command, &claim);
    user.count_received(fen, turn.now());
    turn.rows.put(rows::user(command.user), user.to_bytes());
    turn.rows.put(rows::progress(command.packet), progress.to_bytes());
    if progress.phase == Phase::SoldOut {
        turn.counts.sell_out();
        end(turn, command.packet, &packet, &progress);
    }
    Ok(Reply::Opened(credit(command, &packet, &user, &claim)))
}

/// Refuses: `WrongPassword`, for a packet that has one.
pub(crate) fn check_password(packet: &Packet, given: Option<PasswordHash>) -> Result<(), Refusal> {
    let is_right = packet.terms.password.is_none() || packet.terms.password == given;
    if is_right { Ok(()) } else { Err(Refusal::WrongPassword) }
}

/// The progress of a packet that exists. Refuses: `PacketUnknown`.
pub(crate) fn read_progress(turn: &Turn<'_>, id: PacketId) -> Result<Progress, Refusal> {
    rows::get(turn.rows, &rows::progress(id)).ok_or(Refusal::PacketUnknown)
}

/// What follows when a packet has ended, sold out or closed: it leaves the index of expiries, and a lucky packet gets
/// its luckiest.
pub(crate) fn end(turn: &mut Turn<'_>, id: PacketId, packet: &Packet, progress: &Progress) {
    turn.rows.delete(rows::timed(rows::EXPIRY, packet.expires(), id));
    if let Some(luckiest) = progress.luckiest(packet) {
        turn.rows.put(rows::luckiest(luckiest, year_of(progress.ended), id), Bytes::new());
    }
}

fn draw(packet: &Packet, progress: &Progress, seed: u64) -> Fen {
    let shares = progress.shares_left(packet);
    if packet.terms.kind.is_lucky() {
        draw_lucky(progress.left, shares, seed)
    } else {
        draw_equal(progress.left, shares)
    }
}

fn record_claim(turn: &mut Turn<'_>, command: &Open, claim: &Claim) {
    let Claim { share, fen, claimed } = *claim;
    let (id, user) = (command.packet, command.user);
    let row = Share { user, fen, claimed, state: CreditState::Waiting, since: claimed };
    turn.rows.put(rows::claim(id, user), claim.to_bytes());
    turn.rows.put(rows::share(id, share), row.to_bytes());
    turn.rows.put(rows::uncredited(claimed, id, share), Bytes::new());
    turn.rows.put(rows::listed(rows::RECEIVED, user.0, claimed, id), Bytes::new());
    turn.counts.claim(fen);
}

fn credit(command: &Open, packet: &Packet, user: &User, claim: &Claim) -> Credit {
    Credit {
        packet: command.packet,
        share: claim.share,
        fen: claim.fen,
        claimed: claim.claimed,
        payer: packet.terms.payer,
        user: command.user,
        payee: user.account,
    }
}
