//! The world of a run: two ledger shards and a packet group, who lives where, and how far the run has come.
//!
//! Must never: let two runs share anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ledger::AccountId;
use machine::GroupId;
use packets::{ChatId, UserId};
use parking_lot::Mutex;
use replica::simulation::Mail;
use tokio::time::Instant;

use super::book::Book;
use super::machines::{Ledger, Packets};
use crate::stage::Stage;

/// The ledger's shards.
pub(crate) const LEDGERS: [GroupId; 2] = [GroupId(1), GroupId(2)];
const PACKETS: GroupId = GroupId(101);
/// Accounts of each shard.
pub(crate) const ACCOUNTS: u128 = 4;
/// What each of them begins with. Units: fen.
pub(crate) const FUND: i64 = 1_500;
/// People who send and open.
pub(crate) const USERS: u128 = 4;
/// Where they do it.
pub(crate) const CHAT: ChatId = ChatId(1);

/// Account `number` (from 1) of a shard.
pub(crate) fn account(group: GroupId, number: u128) -> AccountId {
    AccountId(u128::from(group.0) << 32 | number)
}

/// The shard of an account.
pub(crate) fn home(account: AccountId) -> GroupId {
    LEDGERS.into_iter().find(|group| account.0 >> 32 == u128::from(group.0)).unwrap_or(LEDGERS[0])
}

/// The account of a user: every other user lives in the other shard.
pub(crate) fn wallet(user: UserId) -> AccountId {
    let group = LEDGERS[usize::from(user.0.is_multiple_of(2))];
    account(group, user.0)
}

/// A run under way.
pub(crate) struct World {
    ledgers: [Stage<Ledger>; 2],
    pub(crate) packets: Stage<Packets>,
    pub(crate) mail: Arc<Mail>,
    pub(crate) book: Mutex<Book>,
    is_calm: AtomicBool,
    is_over: AtomicBool,
    /// When patience ends; set when everything is healed.
    until: Mutex<Option<Instant>>,
}

impl World {
    /// Boots all clusters. Errors: a node does not start.
    pub(crate) async fn open(seed: u64) -> Result<Self, String> {
        let mail = Arc::new(Mail::new(seed));
        let [one, other] = LEDGERS;
        Ok(Self {
            ledgers: [
                Stage::open(one, seed, Arc::clone(&mail)).await?,
                Stage::open(other, !seed, Arc::clone(&mail)).await?,
            ],
            packets: Stage::open(PACKETS, seed.rotate_left(32), Arc::clone(&mail)).await?,
            mail,
            book: Mutex::default(),
            is_calm: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            until: Mutex::default(),
        })
    }

    /// A shard of the ledger.
    pub(crate) fn ledger(&self, group: GroupId) -> &Stage<Ledger> {
        &self.ledgers[usize::from(group == LEDGERS[1])]
    }

    /// A law was broken.
    pub(crate) fn broke(&self, law: String) {
        let mut book = self.book.lock();
        if !book.broken.contains(&law) {
            book.broken.push(law);
        }
    }

    /// Takes note of a law that is broken if `kept` is an error.
    pub(crate) fn demand(&self, kept: Result<(), String>) {
        if let Err(broken) = kept {
            self.broke(broken);
        }
    }

    /// Whether the storm is over.
    pub(crate) fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    /// Whether every promise is kept, so that workers may go.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed) || self.is_too_late()
    }

    /// Lets the workers go.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// When patience ends.
    pub(crate) fn until(&self) -> Instant {
        self.until.lock().unwrap_or_else(Instant::now)
    }

    /// Whether patience is at its end.
    pub(crate) fn is_too_late(&self) -> bool {
        self.until.lock().is_some_and(|until| Instant::now() > until)
    }

    /// Ends every fault, and lets replacements that were begun be finished.
    pub(crate) async fn heal(&self, patience: Duration) {
        self.mail.change(0);
        for group in LEDGERS {
            self.demand(self.ledger(group).heal().await);
        }
        self.demand(self.packets.heal().await);
        let until = Instant::now() + patience;
        *self.until.lock() = Some(until);
        self.is_calm.store(true, Ordering::Relaxed);
        for group in LEDGERS {
            self.demand(self.ledger(group).finish_replacement(until).await);
        }
        self.demand(self.packets.finish_replacement(until).await);
    }

    /// Ends every node.
    pub(crate) async fn close(&self) {
        for group in LEDGERS {
            self.ledger(group).close().await;
        }
        self.packets.close().await;
    }
}
