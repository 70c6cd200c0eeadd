//! Orders: what became of a payment.
//!
//! Must never: call a payment absent that may have gone through, it asks the payer's own shard, freshly; or tell of somebody
//! else's.

use std::sync::Arc;

use ledger::{AccountId, AccountKey, Done, LedgerView, TransferKey};
use machine::{LoadError, RowSource, TimestampMs};
use packets::{OrderId, PacketId, UserId, read};

use crate::failure::Failure;
use crate::homes::Homes;
use crate::tenpay::accounts::wallet;

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrderStage {
    /// Nothing came under it.
    Absent,
    /// Paid; the packet is being made.
    Paid,
    /// The packet is, or was, there to be opened.
    Sent,
    /// Cancelled before money moved.
    Cancelled,
    /// What was left is back.
    Refunded,
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrderStanding {
    /// How far it has come.
    pub(crate) stage: OrderStage,
    /// The packet, once paid.
    pub(crate) packet: Option<PacketId>,
    /// Fen paid.
    pub(crate) total: i64,
    /// Fen that came back.
    pub(crate) refunded: i64,
    /// When it was paid.
    pub(crate) paid: TimestampMs,
}

const NOTHING: OrderStanding =
    OrderStanding { stage: OrderStage::Absent, packet: None, total: 0, refunded: 0, paid: TimestampMs(0) };

/// What became of `order`, which `sender` pays.
pub(crate) async fn look_up(homes: &Arc<Homes>, order: OrderId, sender: UserId) -> Result<OrderStanding, Failure> {
    let shard = homes.ledger(wallet(sender));
    let mut standing = shard.fresh(|seen| in_ledger(seen.rows, order, wallet(sender))).await??;
    if let (OrderStage::Paid, Some(packet)) = (standing.stage, standing.packet) {
        let shard = homes.packet(packet);
        let is_made = shard.stale(|seen| read::packet(seen.rows, packet).map(|view| view.is_some()))??;
        if is_made || shard.fresh(|seen| read::packet(seen.rows, packet).map(|view| view.is_some())).await?? {
            standing.stage = OrderStage::Sent;
        }
    }
    Ok(standing)
}

fn in_ledger(rows: &dyn RowSource, order: OrderId, payer: AccountId) -> Result<OrderStanding, LoadError> {
    let view = LedgerView::over(rows);
    let number = match view.transfer(TransferKey::Order(ledger::OrderId(order.0)))?.map(|stored| stored.done) {
        Some(Done::Booked(number)) => number,
        Some(_) => return Ok(OrderStanding { stage: OrderStage::Cancelled, ..NOTHING }),
        None => return Ok(NOTHING),
    };
    let Some(entry) = view.journal_entry(number)? else { return Ok(NOTHING) };
    let (AccountKey::Customer(by), AccountKey::Escrow(packet)) = (entry.debit, entry.credit) else {
        return Ok(NOTHING);
    };
    if by != payer {
        return Ok(NOTHING);
    }
    let refund = view.transfer(TransferKey::Refund(packet))?.and_then(|stored| stored.done.journal_number());
    let refund = refund.map(|number| view.journal_entry(number)).transpose()?.flatten();
    Ok(OrderStanding {
        stage: if refund.is_some() { OrderStage::Refunded } else { OrderStage::Paid },
        packet: Some(PacketId::new(packet.0)),
        total: entry.money.amount.0,
        refunded: refund.map_or(0, |refund| refund.money.amount.0),
        paid: entry.at,
    })
}
