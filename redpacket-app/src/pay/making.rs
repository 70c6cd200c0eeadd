//! Making: a packet that is paid comes into being, by the door that took the payment or by whoever pulls its record.
//!
//! Why two ways: the door is quick, the record in the queue "packet-paid" is sure. The order names the packet, so the
//! second one to come finds it there.
//!
//! Must never: return a payment while the packet may still be made. Only terms that no packet may ever have are refunded.

use std::sync::Arc;
use std::time::Duration;

use ledger::CourierRecord;
use machine::{Layout as _, TimestampMs};
use packets::{Command, PacketId, Refund, Reply, Terms, check_terms, read};
use queue_client::Delivery;

use crate::failure::{Failure, unexpected};
use crate::homes::Homes;
use crate::limits::COMMAND_DEADLINE;
use crate::queues::Queues;
use crate::tenpay::booking::Booking;

/// Makes packets.
#[derive(Clone)]
pub(crate) struct Making {
    pub(crate) homes: Arc<Homes>,
    pub(crate) booking: Booking,
    pub(crate) queues: Queues,
}

impl Making {
    /// Makes the packet of an order, or finds it made; answers since when and until when it can be opened.
    pub(crate) async fn make(
        &self,
        packet: PacketId,
        terms: Terms,
        deadline: Duration,
    ) -> Result<(TimestampMs, TimestampMs), Failure> {
        let shard = self.homes.packet(packet);
        // The one that comes second finds the packet in the rows of its own node, most of the time.
        let made = shard.stale(|seen| read::packet(seen.rows, packet))??.map(|view| view.packet);
        if let Some(made) = made.filter(|made| made.terms == terms) {
            return Ok((made.created, made.expires()));
        }
        let command = Command::CreatePacket { packet, terms: Box::new(terms) };
        match shard.command(&command, deadline).await?.reply {
            Reply::Created { created, expires } => Ok((created, expires)),
            Reply::Refused(refusal) => Err(refusal.into()),
            other => Err(unexpected(&other)),
        }
    }

    /// Works on a record "packet paid". Errors: it is given back, and comes again.
    pub(crate) async fn work(self: Arc<Self>, delivery: Delivery) -> Result<(), Failure> {
        let unreadable = || Failure::NotApplied("the record is none that this release can read".to_owned());
        let record = CourierRecord::from_bytes(&delivery.message.body).map_err(|_| unreadable())?;
        let CourierRecord::PacketPaid { packet, payer, money, paid, details, .. } = record else {
            return Err(unreadable());
        };
        let packet = PacketId::new(packet.0);
        let terms = Terms::from_bytes(&details).map_err(|_| unreadable())?;
        if check_terms(&terms).is_err() {
            // No release has ever made such a packet, nor will one: the payment goes back.
            let payer = packets::AccountId(payer.0);
            let refund = Refund { packet, payer, fen: packets::Fen(money.amount.0), ended: paid };
            return self.booking.refund(&refund, COMMAND_DEADLINE).await;
        }
        let made = self.make(packet, terms, COMMAND_DEADLINE).await;
        let (created, expires) = made.inspect_err(|failure| {
            if matches!(failure, Failure::Refused(_)) {
                tracing::error!(packet = packet.bits(), %failure, "a paid packet cannot be made");
            }
        })?;
        let reminded = self.queues.remind_of_expiry(packet, expires.since(created)).await;
        reminded.map_err(|error| Failure::NotApplied(error.to_string()))
    }
}
