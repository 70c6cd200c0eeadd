//! One run: three clusters, people and workers, a storm, then calm in which every promise must be kept, then the laws.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use ledger::{Currency, CustomerKind, OpenAccount, Verb};
use packets::{Command, Reply, UserId};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

use super::ask::Asker;
use super::world::{ACCOUNTS, CHAT, LEDGERS, USERS, World, account, wallet};
use super::{evening, finals, laws, payers, workers};
use crate::stage::MEMBERS;
use crate::storm::{STILL, STORM, fault};

const PAYERS: u64 = 3;
const OPENERS: u64 = 2;
const WORKERS: u64 = 2;
/// Whom the sender of packets is, beside the payers.
const SENDER: u64 = 100;

/// What a run that kept every law did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) postings: u64,
    pub(crate) packets: u64,
    pub(crate) claims: u64,
    pub(crate) unknown: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.postings += other.postings;
        self.packets += other.packets;
        self.claims += other.claims;
        self.unknown += other.unknown;
    }
}

/// A storm over all three clusters.
pub(crate) async fn of_faults(world: &World, dice: &mut StdRng) {
    let until = Instant::now() + STORM;
    let wrong_clock = dice.random_range(1..=MEMBERS);
    world.mail.change(dice.random_range(0..200));
    while Instant::now() < until {
        let pause = if dice.random_range(0..8) == 0 { 1_500 } else { dice.random_range(20..300) };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let kept = match dice.random_range(0..LEDGERS.len() + 1) {
            place if place < LEDGERS.len() => fault(world.ledger(LEDGERS[place]), dice, wrong_clock).await,
            _ => fault(&world.packets, dice, wrong_clock).await,
        };
        world.demand(kept);
    }
}

/// Still air, for a flaw that needs no fault to be seen.
pub(crate) async fn of_nothing(_: &World, _: &mut StdRng) {
    tokio::time::sleep(STILL).await;
}

/// Plays `seed`: what must come after the storm comes within `patience`. Errors: every law that was broken.
pub(crate) async fn play(
    seed: u64,
    patience: Duration,
    storm: impl AsyncFnOnce(&World, &mut StdRng),
) -> Result<Tally, String> {
    let world = Arc::new(World::open(seed).await?);
    let asker = |number: u64, may_give_up| {
        let dice = StdRng::seed_from_u64(seed ^ (number << 40));
        Asker { dice, may_give_up }
    };
    prepare(&world, asker(1, false)).await;
    let mut people = Vec::new();
    for me in 1..=PAYERS {
        people.push(tokio::spawn(payers::pay(Arc::clone(&world), me, asker(10 + me, true))));
    }
    people.push(tokio::spawn(payers::look(Arc::clone(&world), asker(2, false))));
    people.push(tokio::spawn(evening::send(Arc::clone(&world), SENDER, asker(3, true))));
    for me in 1..=OPENERS {
        people.push(tokio::spawn(evening::open(Arc::clone(&world), asker(20 + me, true))));
    }
    let work = |me| tokio::spawn(workers::work(Arc::clone(&world), asker(30 + me, false)));
    let work: Vec<_> = (1..=WORKERS).map(work).collect();
    storm(&world, &mut StdRng::seed_from_u64(seed)).await;
    world.heal(patience).await;
    let fell = |error| format!("somebody fell: {error}");
    for person in people {
        person.await.map_err(fell)?;
    }
    while !finals::is_quiet(&world).await && !world.is_too_late() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if world.is_too_late() {
        world.broke("progress: not every promise is kept after everything was healed".to_owned());
    }
    world.end();
    for worker in work {
        worker.await.map_err(fell)?;
    }
    // What came last may have left something behind.
    for group in LEDGERS {
        world.demand(world.ledger(group).demand_equal_replicas(world.until()).await);
    }
    world.demand(world.packets.demand_equal_replicas(world.until()).await);
    let finals = finals::read_all(&world).await;
    world.close().await;
    let mut book = std::mem::take(&mut *world.book.lock());
    let finals = finals.unwrap_or_else(|error| {
        book.broken.push(error);
        finals::Finals::default()
    });
    laws::judge(&book, &finals)
}

/// Opens accounts, puts money into them, and makes people known.
async fn prepare(world: &World, mut asker: Asker) {
    for group in LEDGERS {
        for account in (1..=ACCOUNTS).map(|number| account(group, number)) {
            let open = OpenAccount { account, kind: CustomerKind::User, currency: Currency::CNY };
            for verb in [Verb::Open(open), payers::first_money(account)] {
                let answer = asker.book(world, group, verb.clone()).await;
                if !matches!(answer, Some(Ok(_))) {
                    world.broke(format!("{verb:?} was answered with {answer:?}"));
                }
            }
        }
    }
    let users = (1..=USERS).map(UserId);
    let register = |user| Command::RegisterUser {
        user,
        account: packets::AccountId(wallet(user).0),
        name: format!("user {}", user.0),
    };
    let mut commands: Vec<Command> = users.clone().map(register).collect();
    commands.push(Command::CreateChat { chat: CHAT, owner: UserId(1), name: "all".to_owned() });
    commands.extend(users.map(|user| Command::JoinChat { chat: CHAT, user }));
    for command in commands {
        let reply = asker.ask(world, &world.packets, &command).await.map(|told| told.reply);
        if reply != Some(Reply::Done) {
            world.broke(format!("{command:?} was answered with {reply:?}"));
        }
    }
}
