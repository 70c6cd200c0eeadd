//! The laws of the audit: what must agree within a packet, between a packet and the lists, and within the group.
//!
//! Must never: take a stored sum for true; each is added up again from the rows below it.

use machine::{DecodeError, Key, Layout, LoadError, RowSource, prefix_end};

use crate::audit::{AuditReport, Law};
use crate::calendar::year_of;
use crate::chat::Chat;
use crate::claim::{Claim, Share};
use crate::create::Bought;
use crate::fen::Fen;
use crate::limits::{SHARE_FEN_MAX, SHARE_FEN_MIN, SHARES_MAX, YEARS_MAX};
use crate::packet::Kind;
use crate::progress::{Best, Phase};
use crate::read::{PacketView, from_slice};
use crate::rows::{self, Order};
use crate::user::User;

/// The laws within a packet's own rows.
pub(crate) fn packet(report: &mut AuditReport, view: &PacketView) {
    let (terms, progress, id) = (&view.packet.terms, &view.progress, Some(view.id));
    let claimed: Fen = view.shares.iter().map(|share| share.fen).sum();
    let sum = claimed.plus(progress.left).plus(progress.refund);
    report.demand(id, sum == terms.total, (Law::Sums, "claimed, left and refund are not the total"));
    report.demand(
        id,
        view.shares.len() == usize::from(progress.taken),
        (Law::Sums, "the claims are not the shares taken"),
    );
    report.demand(id, progress.taken <= terms.shares, (Law::Sums, "more claims than shares"));
    let fits = |share: &Share| (SHARE_FEN_MIN..=SHARE_FEN_MAX).contains(&share.fen.0);
    report.demand(id, view.shares.iter().all(fits), (Law::Sums, "a share is below one fen or above the limit"));
    let first = view.shares.first().map(|share| share.fen);
    let is_even = terms.kind.is_lucky() || view.shares.iter().all(|share| Some(share.fen) == first);
    report.demand(id, is_even, (Law::Sums, "equal shares differ"));
    report.demand(
        id,
        progress.best == best_of(&view.shares),
        (Law::Luckiest, "the best share is not the first of the largest"),
    );
    let agrees = match progress.phase {
        Phase::Live => progress.left > Fen::ZERO && progress.refund == Fen::ZERO && progress.taken < terms.shares,
        Phase::SoldOut => progress.left == Fen::ZERO && progress.refund == Fen::ZERO && progress.taken == terms.shares,
        Phase::RefundPending | Phase::Refunded => progress.left == Fen::ZERO && progress.refund > Fen::ZERO,
    };
    report.demand(id, agrees, (Law::Sums, "the phase does not agree with what is left"));
    let in_time = view.shares.iter().all(|share| share.claimed < view.packet.expires());
    report.demand(id, in_time, (Law::Sums, "a share was opened after the expiry"));
}

/// The first of the largest.
fn best_of(shares: &[Share]) -> Option<Best> {
    let mut best: Option<Best> = None;
    for (share, row) in (1_u16..).zip(shares) {
        if best.is_none_or(|best| row.fen > best.fen) {
            best = Some(Best { share, fen: row.fen, user: row.user });
        }
    }
    best
}

/// The claim rows of a packet are its share rows, asked by user.
pub(crate) fn claims(report: &mut AuditReport, source: &dyn RowSource, view: &PacketView) -> Result<(), LoadError> {
    let keys: Vec<Key> = view.shares.iter().map(|share| rows::claim(view.id, share.user)).collect();
    let mut agrees = true;
    for ((number, share), value) in (1_u16..).zip(&view.shares).zip(source.get_many(&keys)?) {
        let claim = Claim { share: number, fen: share.fen, claimed: share.claimed };
        agrees = agrees && value == Some(claim.to_bytes());
    }
    report.demand(Some(view.id), agrees, (Law::Sums, "a share and its user's claim differ"));
    let prefix = rows::under(rows::CLAIM, view.id.bits());
    let limit = usize::from(SHARES_MAX).saturating_add(1);
    let claims = rows::collect(source, (&prefix, &prefix_end(&prefix)), Order::Rising, limit, |_, _| Ok(()))?;
    report.demand(Some(view.id), claims.len() == view.shares.len(), (Law::Sums, "not one claim for each share"));
    Ok(())
}

/// Every list and index names the packet and its claims exactly when it must.
pub(crate) fn places(report: &mut AuditReport, source: &dyn RowSource, view: &PacketView) -> Result<(), LoadError> {
    let (id, created, terms) = (view.id, view.packet.created, &view.packet.terms);
    let (progress, phase) = (&view.progress, view.progress.phase);
    let (tag, owner) = match &terms.kind {
        Kind::Direct { recipient } => (rows::OFFERED, recipient.0),
        Kind::GroupEqual { chat } | Kind::GroupLucky { chat } | Kind::Exclusive { chat, .. } => (rows::SHOWN, chat.0),
    };
    let mut wanted = vec![
        (rows::timed(rows::EXPIRY, view.packet.expires(), id), phase == Phase::Live),
        (rows::timed(rows::REFUND, progress.ended, id), phase == Phase::RefundPending),
        (rows::listed(rows::SENT, terms.sender.0, created, id), true),
        (rows::listed(tag, owner, created, id), true),
    ];
    if let Some(user) = view.luckiest() {
        wanted.push((rows::luckiest(user, year_of(progress.ended), id), true));
    }
    for (number, share) in (1_u16..).zip(&view.shares) {
        wanted.push((rows::listed(rows::RECEIVED, share.user.0, share.claimed, id), true));
        wanted.push((rows::uncredited(share.since, id, number), !share.is_credited()));
    }
    let (keys, must): (Vec<Key>, Vec<bool>) = wanted.into_iter().unzip();
    let found = source.get_many(&keys)?;
    let agrees = found.iter().zip(must).all(|(row, must)| row.is_some() == must);
    report.demand(Some(id), agrees, (Law::Lists, "a list or an index does not name the packet or a claim as it must"));
    let order = source.get(&rows::order(terms.order))?;
    report.demand(Some(id), order == Some(Bought(id).to_bytes()), (Law::Lists, "the order does not name the packet"));
    Ok(())
}

/// The totals of users are the sums over packets and claims; chats count their members.
pub(crate) fn people(report: &mut AuditReport, source: &dyn RowSource) -> Result<(), LoadError> {
    let (mut sent, mut received) = ((0_u64, Fen::ZERO), (0_u64, Fen::ZERO));
    let mut is_complete = true;
    let users = each(source, rows::USER, from_slice::<User>, &mut |user| {
        // The oldest years may have gone.
        is_complete = is_complete && user.years.len() < YEARS_MAX;
        for year in user.years.values() {
            sent = (sent.0.saturating_add(year.sent), sent.1.plus(year.sent_fen));
            received = (received.0.saturating_add(year.received), received.1.plus(year.received_fen));
        }
    })?;
    let mut members = 0_u64;
    let chats = each(source, rows::CHAT, from_slice::<Chat>, &mut |chat| {
        members = members.saturating_add(u64::from(chat.members));
    })?;
    report.counts.users = users;
    report.counts.chats = chats;
    let counts = report.counts;
    let agrees = sent == (counts.packets, counts.fen.sent) && received == (counts.claims, counts.fen.claimed);
    report.demand(
        None,
        agrees || !is_complete,
        (Law::Sums, "the users' totals are not the sums over packets and claims"),
    );
    report.demand(None, size(source, rows::MEMBER)? == members, (Law::Lists, "a chat does not count its members"));
    report.demand(
        None,
        size(source, rows::CHAT_OF)? == members,
        (Law::Lists, "members and their lists of chats differ"),
    );
    Ok(())
}

/// No list or index names more than the packets and claims that were found, given that it names all of these.
pub(crate) fn sizes(report: &mut AuditReport, source: &dyn RowSource, luckiest: u64) -> Result<(), LoadError> {
    let counts = report.counts;
    let table = [
        (rows::ORDER, counts.packets, "an order names no packet"),
        (rows::PROGRESS, counts.packets, "a progress has no packet"),
        (rows::CLAIM, counts.claims, "a claim has no share"),
        (rows::SHARE, counts.claims, "a share has no packet"),
        (rows::EXPIRY, counts.live, "the index of expiries names what does not live"),
        (rows::UNCREDITED, counts.uncredited, "the index of uncredited claims names another"),
        (rows::REFUND, counts.refunds, "the index of refunds names what is not pending"),
        (rows::SENT, counts.packets, "a list of packets sent names another"),
        (rows::RECEIVED, counts.claims, "a list of shares received names another"),
        (rows::LUCKIEST, luckiest, "a list of the luckiest names another"),
    ];
    for (tag, count, what) in table {
        let law = if tag == rows::LUCKIEST { Law::Luckiest } else { Law::Lists };
        report.demand(None, size(source, tag)? == count, (law, what));
    }
    let shown = size(source, rows::OFFERED)?.saturating_add(size(source, rows::SHOWN)?);
    report.demand(None, shown == counts.packets, (Law::Lists, "a list of packets shown names another"));
    Ok(())
}

/// Visits every value under `tag`; answers how many there are.
fn each<T>(
    source: &dyn RowSource,
    tag: u8,
    parse: fn(&[u8]) -> Result<T, DecodeError>,
    visit: &mut dyn FnMut(T),
) -> Result<u64, LoadError> {
    let (mut count, mut broken) = (0_u64, None);
    source.scan(&[tag], &prefix_end(&[tag]), &mut |key, value| {
        match parse(value) {
            Ok(value) => visit(value),
            Err(error) => broken = Some(LoadError::row(key, error)),
        }
        count = count.saturating_add(1);
        broken.is_none()
    })?;
    broken.map_or(Ok(count), Err)
}

fn size(source: &dyn RowSource, tag: u8) -> Result<u64, LoadError> {
    each(source, tag, |_| Ok(()), &mut |()| {})
}
