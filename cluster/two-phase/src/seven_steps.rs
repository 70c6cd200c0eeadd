//! The case's seven steps, all or nothing: read A, subtract, write A; read B, add, write B; commit both, in two phases.
//!
//! ```text
//!  payers   BEGIN, SELECT A FOR UPDATE, UPDATE A ──┐                    ┌─ PREPARE ─┐  both?  ┌─ COMMIT PREPARED
//!  payees   BEGIN, SELECT B FOR UPDATE, UPDATE B ──┴─ rows stay locked ─┴─ PREPARE ─┴─────────┴─ COMMIT PREPARED
//! ```
//!
//! The coordinator remembers what it decided and tells it to a database that comes back. It remembers in memory: one that
//! wrote its decisions to disk would be slower by an fsync, and one that dies forgets.
//!
//! Must never: commit at one database what may be rolled back at the other.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_postgres::{Client, Statement};

use crate::failure::Failure;
use crate::meter::Meter;
use crate::server::connect;

/// How long a client waits before it dials a database that is gone.
const REST: Duration = Duration::from_millis(100);

/// A credit: from a payer's account to a payee's, one fen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credit {
    pub(crate) id: i64,
    pub(crate) payer: i64,
    pub(crate) payee: i64,
}

/// What a database still has to be told: on this port, of this transaction, this.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Decision {
    port: u16,
    transaction: String,
    is_commit: bool,
}

/// What was decided and not told yet.
#[derive(Debug, Default)]
pub(crate) struct Coordinator(Mutex<Vec<Decision>>);

impl Coordinator {
    fn owes(&self, decision: Decision) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(decision);
    }

    /// Tells what is owed, as far as the databases answer; answers how much is still owed.
    pub(crate) async fn settle(&self) -> usize {
        let owed = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for decision in owed {
            // It stays in the list while it is told: whoever is interrupted forgets nothing.
            if told(&decision).await {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != decision);
            }
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

async fn told(decision: &Decision) -> bool {
    let Ok(client) = connect(decision.port).await else { return false };
    let verb = if decision.is_commit { "COMMIT" } else { "ROLLBACK" };
    match client.batch_execute(&format!("{verb} PREPARED '{}'", decision.transaction)).await {
        Ok(()) => true,
        // It never was prepared, or has been told before.
        Err(error) => error.code() == Some(&tokio_postgres::error::SqlState::UNDEFINED_OBJECT),
    }
}

/// One side of a client's work: a connection with its statements.
struct Side {
    port: u16,
    client: Client,
    read: Statement,
    write: Statement,
}

impl Side {
    async fn open(port: u16) -> Result<Self, Failure> {
        let client = connect(port).await?;
        let read = client.prepare("SELECT balance FROM account WHERE id = $1 FOR UPDATE").await?;
        let write =
            "WITH booked AS (INSERT INTO entry VALUES ($1, $2, $3)) UPDATE account SET balance = $4 WHERE id = $2";
        let write = client.prepare(write).await?;
        Ok(Self { port, client, read, write })
    }

    /// Reads, reckons, writes; the row stays locked.
    async fn book(&self, id: i64, account: i64, fen: i64) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("BEGIN").await?;
        let balance: i64 = self.client.query_one(&self.read, &[&account]).await?.get(0);
        self.client.execute(&self.write, &[&id, &account, &fen, &(balance + fen)]).await?;
        Ok(())
    }

    async fn say(&self, verb: &str, transaction: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(&format!("{verb} '{transaction}'")).await
    }
}

/// A client: it credits until `until`, and dials again whatever breaks.
pub(crate) async fn client(
    (payers, payees): (u16, u16),
    draw: impl Fn() -> Credit,
    (meter, coordinator): (&Meter, &Coordinator),
    until: Instant,
) {
    let mut sides: Option<(Side, Side)> = None;
    while Instant::now() < until {
        let Some((payer, payee)) = &sides else {
            sides = match (Side::open(payers).await, Side::open(payees).await) {
                (Ok(payer), Ok(payee)) => Some((payer, payee)),
                _ => {
                    meter.failed();
                    sleep(REST).await;
                    None
                }
            };
            continue;
        };
        let began = Instant::now();
        if credit(payer, payee, draw(), coordinator).await {
            meter.done(began.elapsed());
        } else {
            meter.failed();
            // Whatever is open on these connections is rolled back when they close.
            sides = None;
        }
    }
}

/// All steps of one credit. False: it is not done, or what was decided is owed.
async fn credit(payer: &Side, payee: &Side, credit: Credit, coordinator: &Coordinator) -> bool {
    let transaction = format!("credit-{}", credit.id);
    if payer.book(credit.id, credit.payer, -1).await.is_err() || payee.book(credit.id, credit.payee, 1).await.is_err() {
        return false;
    }
    let prepare = "PREPARE TRANSACTION";
    let (one, other) = tokio::join!(payer.say(prepare, &transaction), payee.say(prepare, &transaction));
    let is_commit = one.is_ok() && other.is_ok();
    let verb = if is_commit { "COMMIT PREPARED" } else { "ROLLBACK PREPARED" };
    let (one, other) = tokio::join!(payer.say(verb, &transaction), payee.say(verb, &transaction));
    for (said, side) in [(&one, payer), (&other, payee)] {
        if said.is_err() {
            coordinator.owes(Decision { port: side.port, transaction: transaction.clone(), is_commit });
        }
    }
    is_commit && one.is_ok() && other.is_ok()
}
