//! The workers that keep promises: paid packets are made, late credits booked, refunds returned.
//!
//! Why two of them: after a lead has changed two nodes may believe for a while that it is theirs.
//!
//! Must never: let go of a promise before it is kept.

use std::sync::Arc;

use ledger::{CourierRecord, Done, Money, RefundPacket, Verb};
use machine::{GroupId, Layout as _};
use packets::{Command, PacketId, Refund, Reply, Terms, sweep};

use super::ask::Asker;
use super::evening::{make, refused, settle};
use super::world::{LEDGERS, World, home};

/// A claim that is uncredited for so long is looked after.
const LATE_MS: u64 = 400;
const BATCH: usize = 16;

/// Works until every promise is kept.
pub(crate) async fn work(world: Arc<World>, mut asker: Asker) {
    while !world.is_over() {
        for group in LEDGERS {
            carry_out(&world, &mut asker, group).await;
        }
        credit(&world, &mut asker).await;
        refund(&world, &mut asker).await;
        asker.rest(30..120).await;
    }
}

/// Makes the packets that a shard says are paid.
async fn carry_out(world: &World, asker: &mut Asker, group: GroupId) {
    let cluster = &world.ledger(group).cluster;
    let Some(leader) = cluster.leader().and_then(|leader| cluster.group(leader)) else { return };
    let Ok(records) = leader.outside_records() else { return };
    for record in records {
        let Ok(CourierRecord::PacketPaid { packet, details, .. }) = CourierRecord::from_bytes(&record.bytes) else {
            return world.broke("packet: a record for the outside cannot be read".to_owned());
        };
        let Ok(terms) = Terms::from_bytes(&details) else {
            return world.broke("packet: its terms cannot be read".to_owned());
        };
        if !make(world, asker, PacketId::new(packet.0), terms).await {
            return;
        }
        // One that does not lead any more is not heard; whoever leads does it again.
        let _ = leader.acknowledge_outside(record.sequence).await;
    }
}

/// Books what is late.
async fn credit(world: &World, asker: &mut Asker) {
    let cluster = &world.packets.cluster;
    let Some(leader) = cluster.leader().and_then(|leader| cluster.group(leader)) else { return };
    let late = leader.read_stale(|view| sweep::uncredited(view.rows, view.now.minus(LATE_MS), BATCH));
    for credit in late.ok().and_then(Result::ok).unwrap_or_default() {
        settle(world, asker, &credit).await;
    }
}

/// Returns what was left.
async fn refund(world: &World, asker: &mut Asker) {
    let cluster = &world.packets.cluster;
    let Some(leader) = cluster.leader().and_then(|leader| cluster.group(leader)) else { return };
    let pending = leader.read_stale(|view| sweep::pending_refunds(view.rows, None, BATCH));
    for Refund { packet, payer, fen, .. } in pending.ok().and_then(Result::ok).unwrap_or_default() {
        let payer = ledger::AccountId(payer.0);
        let back = RefundPacket { packet: ledger::PacketId(packet.bits()), payer, money: Money::cny(fen.0) };
        match asker.book(world, home(payer), Verb::Refund(back)).await {
            Some(Ok(Done::Booked(_))) => {}
            Some(answer) => return world.broke(refused("refund", answer)),
            None => return,
        }
        match asker.ask(world, &world.packets, &Command::MarkRefunded { packet }).await.map(|told| told.reply) {
            Some(Reply::Done) | None => {}
            Some(other) => world.broke(format!("refund: a mark was answered with {other:?}")),
        }
    }
}
