//! Settling: what was unclear is cleared, what waits arrives, and every fen is compared with the book.
//!
//! Must never: end early with a yes. What is not settled by the deadline is a dispute.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _};
use proto::packet::v1::{CreditState, OrderState};
use tokio::time::{Duration, Instant, sleep};

use super::book::{Book, PacketPage, hex};
use crate::doors::Miss;
use crate::limits::{SETTLE_CALLS, SETTLE_MAX};
use crate::phone::{Id, Phone, id};
use crate::screen::Progress;

/// Pause between looks at what is under way.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Settles the book; what does not fit ends among its disputes.
pub(crate) async fn settle(phone: &Phone, book: &mut Book) {
    let until = Instant::now() + SETTLE_MAX;
    clear_sends(phone, book).await;
    clear_opens(phone, book).await;
    await_packets(phone, book, until).await;
    await_balances(phone, book, until).await;
}

/// Asks again, under the same order, what became of a send.
async fn clear_sends(phone: &Phone, book: &mut Book) {
    for offer in std::mem::take(&mut book.unclear_sends) {
        match phone.send(&offer).await {
            Ok(packet) => book.sent(packet, &offer),
            // The "no" may be to the repeat; the order itself knows.
            Err(Miss::Refused { .. }) => match phone.order(offer.order, offer.sender).await {
                Ok(order) if matches!(order.state(), OrderState::Absent | OrderState::Cancelled) => {}
                Ok(order) => match id(&order.packet) {
                    Ok(packet) => book.sent(packet, &offer),
                    Err(miss) => book.disputes.push(format!("order {}: {miss}", hex(offer.order))),
                },
                Err(miss) => book.disputes.push(format!("order {}: {miss}", hex(offer.order))),
            },
            Err(miss) => book.disputes.push(format!("order {}: {miss}", hex(offer.order))),
        }
    }
}

/// Asks again for a share that may have been taken.
async fn clear_opens(phone: &Phone, book: &mut Book) {
    for (user, packet) in std::mem::take(&mut book.unclear_opens) {
        match phone.open(user, packet).await {
            Ok(claim) => book.opened(packet, user, claim.fen),
            // Whoever holds a share gets it again, whatever became of the packet: a "no" means there is none.
            Err(Miss::Refused { .. }) => {}
            Err(miss) => book.disputes.push(format!("open of {} by {}: {miss}", hex(packet), hex(user))),
        }
    }
}

/// What a packet shows once nothing of it is under way.
struct Rest {
    claims: BTreeMap<Id, i64>,
    left_fen: i64,
    refunded_fen: i64,
}

/// Waits until every credit of every packet has arrived, and what nobody claimed has gone back.
async fn await_packets(phone: &Phone, book: &mut Book, until: Instant) {
    let mut progress = Progress::new();
    let mut open: BTreeMap<Id, PacketPage> = book.packets.clone();
    while !open.is_empty() {
        progress.show(&format!("settling: {} packets under way", open.len()));
        let looks =
            stream::iter(open.iter()).map(|(packet, page)| async { (*packet, look(phone, *packet, page).await) });
        let seen: Vec<_> = looks.buffer_unordered(SETTLE_CALLS).collect().await;
        for (packet, rest) in seen {
            match rest {
                Ok(rest) => {
                    open.remove(&packet);
                    book.refunded(packet, rest.refunded_fen);
                    book.compare(packet, &rest.claims, rest.left_fen);
                }
                Err(reason) if Instant::now() >= until => {
                    open.remove(&packet);
                    book.disputes.push(format!("packet {}: {reason}", hex(packet)));
                }
                Err(_) => {}
            }
        }
        if !open.is_empty() {
            sleep(LOOK_PAUSE).await;
        }
    }
}

/// Looks at a packet. Errors: what of it is still under way.
async fn look(phone: &Phone, packet: Id, page: &PacketPage) -> Result<Rest, String> {
    let sender = page.offer.sender;
    let reply = phone.packet(sender, packet).await.map_err(|miss| miss.to_string())?;
    let shown = reply.packet.ok_or("shows nothing")?;
    if let Some(claim) = reply.claims.iter().find(|claim| claim.credit() != CreditState::Arrived) {
        return Err(format!("a credit of {} fen has not arrived", claim.fen));
    }
    let claims = reply.claims.iter().map(|claim| Ok((id(&claim.user)?, claim.fen)));
    let claims: BTreeMap<Id, i64> = claims.collect::<Result<_, Miss>>().map_err(|miss| miss.to_string())?;
    let claimed: i64 = claims.values().sum();
    let (mut left_fen, mut refunded_fen) = (shown.left_fen, 0);
    if claimed < page.offer.total_fen {
        let order = phone.order(page.offer.order, sender).await.map_err(|miss| miss.to_string())?;
        if order.state() != OrderState::Refunded {
            return Err("what was left has not gone back".to_owned());
        }
        (left_fen, refunded_fen) = (0, order.refunded_fen);
    }
    Ok(Rest { claims, left_fen, refunded_fen })
}

/// Waits until every wallet holds what the book says, with nothing pending or held.
async fn await_balances(phone: &Phone, book: &mut Book, until: Instant) {
    let mut open = book.balances();
    while !open.is_empty() {
        let looks =
            stream::iter(open.iter()).map(|(user, expected)| async { (*user, *expected, phone.balance(*user).await) });
        let seen: Vec<_> = looks.buffer_unordered(SETTLE_CALLS).collect().await;
        for (user, expected, reply) in seen {
            let dispute = match reply {
                Ok(found) if (found.balance_fen, found.pending_fen, found.held_fen) == (expected, 0, 0) => None,
                Ok(found) => Some(format!(
                    "wallet {}: {} fen (pending {}, held {}), the book says {expected}",
                    hex(user),
                    found.balance_fen,
                    found.pending_fen,
                    found.held_fen
                )),
                Err(miss) => Some(format!("wallet {}: {miss}", hex(user))),
            };
            match dispute {
                None => {
                    open.remove(&user);
                }
                Some(dispute) if Instant::now() >= until => {
                    open.remove(&user);
                    book.disputes.push(dispute);
                }
                Some(_) => {}
            }
        }
        if !open.is_empty() {
            sleep(LOOK_PAUSE).await;
        }
    }
}
