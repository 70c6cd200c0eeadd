//! Load on red packets: packets are sent to a chat, then its members open their shares.
//!
//! Must never: open a share twice and count it twice; each member opens each packet once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use proto::packet::v1::PacketKind;
use tokio::sync::Mutex;

use super::Plan;
use super::load::{Pace, drive, watch};
use super::meter::{Meter, Phase};
use crate::error::Error;
use crate::file::{ClusterFile, Kind};
use crate::phone::{Id, Offer, Phone};

/// Members of the chat, and shares of each packet.
const MEMBERS: usize = 10;
/// Fen in each packet.
const TOTAL_FEN: i64 = 1_000;
/// Fen of each member's wallet.
const FUND_FEN: i64 = 1_000_000_000;

/// Runs the phases. Errors: `NoApp`, or the members could not be registered.
pub(crate) async fn run(cluster: &ClusterFile, plan: &Plan) -> Result<Vec<Phase>, Error> {
    let desk = Phone::new(cluster.addresses(Kind::App))?;
    let members: Arc<Vec<Id>> = Arc::new((0..MEMBERS).map(|_| rand::random()).collect());
    let chat: Id = rand::random();
    gather(&desk, chat, &members).await.map_err(Error::call("gather the chat"))?;
    let phones = (0..plan.producers).map(|number| desk.beside(usize::try_from(number).unwrap_or(0)).map(Arc::new));
    let phones = phones.collect::<Result<Vec<_>, _>>()?;

    let sent: Arc<Mutex<Vec<Id>>> = Arc::default();
    let meter = Arc::new(Meter::start("send")?);
    let pace = Pace::of(plan);
    let senders = phones.iter().map(|phone| {
        let (phone, meter, members, sent) =
            (Arc::clone(phone), Arc::clone(&meter), Arc::clone(&members), Arc::clone(&sent));
        drive(pace, move |intended| {
            let (phone, meter, members, sent) =
                (Arc::clone(&phone), Arc::clone(&meter), Arc::clone(&members), Arc::clone(&sent));
            async move {
                let order: Id = rand::random();
                let sender = members[usize::from(order[0]) % members.len()];
                match phone.send(&offer(order, sender, chat)).await {
                    Ok(packet) => {
                        meter.done(intended.elapsed(), 1);
                        sent.lock().await.push(packet);
                    }
                    Err(miss) => meter.failed(miss.to_string()),
                }
            }
        })
    });
    watch(&meter, plan.duration(), join_all(senders)).await;
    let packets = std::mem::take(&mut *sent.lock().await);
    Ok(vec![meter.phase(), open(plan, &phones, &members, packets).await?])
}

fn offer(order: Id, sender: Id, chat: Id) -> Offer {
    Offer {
        order,
        sender,
        kind: PacketKind::GroupLucky,
        chat: Some(chat),
        recipients: Vec::new(),
        total_fen: TOTAL_FEN,
        shares: u32::try_from(MEMBERS).unwrap_or(u32::MAX),
        life_ms: 0,
    }
}

async fn gather(phone: &Phone, chat: Id, members: &[Id]) -> Result<(), crate::doors::Miss> {
    for member in members {
        phone.register(*member, "bench", FUND_FEN).await?;
    }
    if let Some(owner) = members.first() {
        phone.create_chat(chat, "bench", *owner).await?;
    }
    for member in members {
        phone.join_chat(chat, *member).await?;
    }
    Ok(())
}

/// Opens every share of the packets, packet by packet, until all are taken or the phase ends.
async fn open(plan: &Plan, phones: &[Arc<Phone>], members: &Arc<Vec<Id>>, packets: Vec<Id>) -> Result<Phase, Error> {
    let meter = Arc::new(Meter::start("open")?);
    let (packets, next, pace) = (Arc::new(packets), Arc::new(AtomicUsize::new(0)), Pace::of(plan));
    let openers = phones.iter().map(|phone| {
        let (phone, meter, members) = (Arc::clone(phone), Arc::clone(&meter), Arc::clone(members));
        let (packets, next) = (Arc::clone(&packets), Arc::clone(&next));
        drive(pace, move |intended| {
            let (phone, meter, turn) = (Arc::clone(&phone), Arc::clone(&meter), next.fetch_add(1, Ordering::Relaxed));
            let share = packets.get(turn / MEMBERS).map(|packet| (members[turn % MEMBERS], *packet));
            async move {
                let Some((member, packet)) = share else {
                    // Everything is open; the rest of the phase is idle.
                    tokio::time::sleep_until(pace.until).await;
                    return;
                };
                match phone.open(member, packet).await {
                    Ok(_) => meter.done(intended.elapsed(), 1),
                    Err(miss) => meter.failed(miss.to_string()),
                }
            }
        })
    });
    watch(&meter, plan.duration(), join_all(openers)).await;
    Ok(meter.phase())
}
