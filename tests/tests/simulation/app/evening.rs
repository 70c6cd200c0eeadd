//! People who send packets, and people who open them.
//!
//! Must never: open for a user what the user did not ask for.

use std::sync::Arc;

use ledger::{Answer, CreditShare, Done, LedgerView, Money, OrderId, PayPacket, Said, ShareId, TransferKey, Verb};
use machine::Layout as _;
use packets::{Command, Credit, Fen, Kind, Open, PacketId, Reply, Terms, UserId};
use rand::Rng as _;

use super::ask::Asker;
use super::book::Bought;
use super::world::{CHAT, USERS, World, home, wallet};

/// Openers go for the newest packets.
const NEWEST: usize = 6;

/// Sends packets until the storm is over.
pub(crate) async fn send(world: Arc<World>, me: u64, mut asker: Asker) {
    let mut count = 0_u64;
    while !world.is_calm() {
        count += 1;
        let order = packets::OrderId(u128::from(me) << 64 | u128::from(count) << 8);
        let terms = terms(&mut asker, order);
        let packet = PacketId::of_order(order);
        let pay = PayPacket {
            order: OrderId(order.0),
            packet: ledger::PacketId(packet.bits()),
            payer: ledger::AccountId(terms.payer.0),
            money: Money::cny(terms.total.0),
            details: terms.to_bytes(),
        };
        let group = home(pay.payer);
        let bought = Bought { group, total: terms.total.0, shares: terms.shares, is_cancelled: false };
        world.book.lock().bought.insert(packet, bought);
        let verb = Verb::Pay(pay);
        match asker.book(&world, group, verb.clone()).await {
            Some(Ok(Done::Booked(_))) if asker.dice.random_range(0..2) == 0 => {
                make(&world, &mut asker, packet, terms).await;
            }
            None if asker.dice.random_range(0..2) == 0 => cancel(&world, &mut asker, packet, &verb).await,
            _ => {}
        }
        asker.rest(50..500).await;
    }
}

fn terms(asker: &mut Asker, order: packets::OrderId) -> Terms {
    let dice = &mut asker.dice;
    let sender = UserId(dice.random_range(1..=USERS));
    let shares = dice.random_range(1..=4_u16);
    Terms {
        order,
        sender,
        payer: packets::AccountId(wallet(sender).0),
        kind: Kind::GroupLucky { chat: CHAT },
        total: Fen(i64::from(shares) * dice.random_range(1..60)),
        shares,
        greeting: String::new(),
        cover: String::new(),
        password: None,
        life_ms: dice.random_range(500..5_000),
    }
}

/// Makes a packet that is paid. `false`: nobody knows whether it is made.
pub(crate) async fn make(world: &World, asker: &mut Asker, packet: PacketId, terms: Terms) -> bool {
    let command = Command::CreatePacket { packet, terms: Box::new(terms) };
    match asker.ask(world, &world.packets, &command).await.map(|told| told.reply) {
        Some(Reply::Created { .. }) => true,
        None => false,
        Some(other) => {
            world.broke(format!("packet: one that was paid was answered with {other:?}"));
            false
        }
    }
}

/// Asks what became of a payment, or sees to it that it never happens.
async fn cancel(world: &World, asker: &mut Asker, packet: PacketId, pay: &Verb) {
    let Some(TransferKey::Order(order)) = pay.transfer_key() else { return };
    let group = world.book.lock().bought.get(&packet).map(|bought| bought.group);
    let Some(group) = group else { return };
    let command = ledger::Command::One(Verb::SettleOrCancel(order));
    let Some(told) = asker.ask(world, world.ledger(group), &command).await else { return };
    let mut book = world.book.lock();
    match told.reply.said {
        Said::One(Ok(Done::Cancelled)) => {
            if let Some(bought) = book.bought.get_mut(&packet) {
                bought.is_cancelled = true;
            }
        }
        Said::One(Ok(done)) => book.tell(group, pay, Ok(done), false),
        other => book.broken.push(format!("a cancel was answered with {other:?}")),
    }
}

/// Opens packets until the storm is over.
pub(crate) async fn open(world: Arc<World>, mut asker: Asker) {
    while !world.is_calm() {
        asker.rest(10..150).await;
        let newest: Vec<PacketId> = world.book.lock().bought.keys().rev().take(NEWEST).copied().collect();
        if newest.is_empty() {
            continue;
        }
        let packet = newest[asker.dice.random_range(0..newest.len())];
        let user = UserId(asker.dice.random_range(1..=USERS));
        let command = Command::Open(Open { packet, user, chat: Some(CHAT), password: None });
        match asker.ask(&world, &world.packets, &command).await.map(|told| told.reply) {
            Some(Reply::Opened(credit)) => {
                world.book.lock().opened.entry((packet, user)).or_default().push(credit);
                if asker.dice.random_range(0..2) == 0 {
                    settle(&world, &mut asker, &credit).await;
                }
            }
            // Not made yet, sold out, expired: nothing of it is certain but that no share was drawn.
            Some(Reply::Refused(_)) | None => {}
            Some(other) => world.broke(format!("an open was answered with {other:?}")),
        }
    }
}

/// Books the credit of a share, and marks it once it has landed.
pub(crate) async fn settle(world: &World, asker: &mut Asker, credit: &Credit) {
    let (payer, account) = (ledger::AccountId(credit.payer.0), ledger::AccountId(credit.payee.0));
    let share = ShareId { packet: ledger::PacketId(credit.packet.bits()), share: u32::from(credit.share) };
    let (from, to) = (home(payer), home(account));
    let verb = Verb::Credit(CreditShare { share, payer, account, to_group: to, money: Money::cny(credit.fen.0) });
    let has_landed = match asker.book(world, from, verb).await {
        Some(Ok(Done::Booked(_))) => true,
        Some(Ok(Done::Sent(_))) => has_arrived(world, asker, TransferKey::Arrival(from, share), account),
        Some(answer) => return world.broke(refused("credit", answer)),
        None => false,
    };
    if has_landed {
        let mark = Command::MarkCredited { packet: credit.packet, share: credit.share };
        match asker.ask(world, &world.packets, &mark).await.map(|told| told.reply) {
            Some(Reply::Done) | None => {}
            Some(other) => world.broke(format!("credit: a mark was answered with {other:?}")),
        }
    }
}

/// A promise that the ledger will not keep.
pub(crate) fn refused(law: &str, answer: Answer) -> String {
    format!("{law}: what was promised was answered with {answer:?}")
}

/// Whether a payment has arrived in the shard of `account`, as far as some replica there has come.
fn has_arrived(world: &World, asker: &mut Asker, key: TransferKey, account: ledger::AccountId) -> bool {
    let cluster = &world.ledger(home(account)).cluster;
    let running = cluster.running();
    if running.is_empty() {
        return false;
    }
    let replica = cluster.group(running[asker.dice.random_range(0..running.len())]);
    let found = replica.and_then(|replica| replica.read_stale(|view| LedgerView::over(view.rows).transfer(key)).ok());
    matches!(found, Some(Ok(Some(_))))
}
