//! A packet as a phone shows it: who has opened it, and who was luckiest.
//!
//! Must never: show a packet to somebody it is not for.

use std::sync::Arc;

use machine::{LoadError, RowSource};
use packets::read::{self, PacketView};
use packets::{PacketId, Refusal, UserId};

use crate::failure::Failure;
use crate::homes::Homes;
use crate::pay::send::is_member;

/// A packet with the names of those it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The packet and its claims.
    pub(crate) view: PacketView,
    /// The sender's name.
    pub(crate) sender: String,
    /// The names of those who have a share, in the order of the shares.
    pub(crate) names: Vec<String>,
}

/// Shows `packet` to `user`, freshly. Refuses: `PacketUnknown`, `NotYours`.
pub(crate) async fn show(homes: &Arc<Homes>, packet: PacketId, user: UserId) -> Result<Shown, Failure> {
    let shown = homes.packet(packet).fresh(|seen| look(seen.rows, packet, user)).await??;
    Ok(shown?)
}

fn look(rows: &dyn RowSource, packet: PacketId, user: UserId) -> Result<Result<Shown, Refusal>, LoadError> {
    let Some(view) = read::packet(rows, packet)? else { return Ok(Err(Refusal::PacketUnknown)) };
    let terms = &view.packet.terms;
    let is_in_chat = match terms.kind.chat() {
        Some(chat) => is_member(rows, chat, user)?,
        None => false,
    };
    if !(is_in_chat || terms.sender == user || terms.kind.admits(user, is_in_chat)) {
        return Ok(Err(Refusal::NotYours));
    }
    let mut people = vec![terms.sender];
    people.extend(view.holders());
    let mut names = read::users(rows, &people)?.into_iter().map(|user| user.map(|user| user.name).unwrap_or_default());
    let sender = names.next().unwrap_or_default();
    Ok(Ok(Shown { sender, names: names.collect(), view }))
}
