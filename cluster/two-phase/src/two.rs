//! The two databases of an evening: payers in the one, payees in the other; their money, and what is stuck.
//!
//! Must never: count money twice; what is pending has left its payer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::sleep;
use tokio_postgres::Client;

use crate::failure::Failure;
use crate::server::{Server, connect};
use crate::seven_steps::Credit;

/// Accounts on each side.
pub(crate) const ACCOUNTS: u64 = 10_000;
/// Fen on each payer's account.
const FUND_FEN: i64 = 1_000_000_000;

const SCHEMA: &str = "
    CREATE TABLE account(id bigint PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0)) WITH (fillfactor = 70);
    CREATE TABLE entry(id bigint PRIMARY KEY, account bigint NOT NULL, fen bigint NOT NULL);
    CREATE TABLE pending(id bigint PRIMARY KEY, payee bigint NOT NULL, fen bigint NOT NULL);";

/// The databases.
pub(crate) struct Two {
    pub(crate) payers: Server,
    pub(crate) payees: Server,
    pub(crate) ids: Arc<Ids>,
}

/// Where credits come from: each has an id of its own.
pub(crate) struct Ids(AtomicU64);

impl Ids {
    /// A credit between accounts that are drawn by its id; hot: account 0 is paid.
    pub(crate) fn draw(&self, is_hot: bool) -> Credit {
        let id = self.0.fetch_add(1, Ordering::Relaxed);
        let spread = |salt: u64| i64::try_from((id.wrapping_mul(salt) >> 17) % ACCOUNTS).unwrap_or_default();
        let payee = if is_hot { 0 } else { spread(0x9e37_79b9_7f4a_7c15) };
        Credit { id: i64::try_from(id).unwrap_or_default(), payer: spread(0xd1b5_4a32_d192_ed03), payee }
    }
}

impl Two {
    /// Makes and fills them.
    pub(crate) async fn create(folder: &Path) -> Result<Self, Failure> {
        let payers = Server::create(&folder.join("payers")).await?;
        let payees = Server::create(&folder.join("payees")).await?;
        for (server, fen) in [(&payers, FUND_FEN), (&payees, 0)] {
            let client = server.connect().await?;
            client.batch_execute(SCHEMA).await?;
            let fill = format!("INSERT INTO account SELECT g, {fen} FROM generate_series(0, {}) g", ACCOUNTS - 1);
            client.batch_execute(&fill).await?;
            // Together they would be a transaction, which neither may be part of.
            client.batch_execute("VACUUM ANALYZE account").await?;
            client.batch_execute("CHECKPOINT").await?;
        }
        Ok(Self { payers, payees, ids: Arc::new(Ids(AtomicU64::new(1))) })
    }

    /// Whether every fen is there: on accounts, or pending.
    pub(crate) async fn is_conserved(&self) -> Result<bool, Failure> {
        let sum =
            "SELECT (SELECT sum(balance) FROM account)::bigint + (SELECT coalesce(sum(fen), 0) FROM pending)::bigint";
        let mut all = 0;
        for server in [&self.payers, &self.payees] {
            all += server.connect().await?.query_one(sum, &[]).await?.get::<_, i64>(0);
        }
        Ok(all == FUND_FEN * i64::try_from(ACCOUNTS).unwrap_or(i64::MAX))
    }

    /// Prepared transactions of both that nobody has decided.
    pub(crate) async fn prepared(&self) -> Result<i64, Failure> {
        let mut all = 0;
        for server in [&self.payers, &self.payees] {
            all += count_prepared(&server.connect().await?, 0).await?;
        }
        Ok(all)
    }

    /// What an operator does who does not know what was decided: rolls back whatever is still prepared.
    pub(crate) async fn roll_back_all(&self) -> Result<(), Failure> {
        for server in [&self.payers, &self.payees] {
            let client = server.connect().await?;
            for row in client.query("SELECT gid FROM pg_prepared_xacts", &[]).await? {
                client.batch_execute(&format!("ROLLBACK PREPARED '{}'", row.get::<_, String>(0))).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn stop(mut self) {
        self.payers.stop().await;
        self.payees.stop().await;
    }
}

async fn count_prepared(client: &Client, older_s: i32) -> Result<i64, Failure> {
    let count = "SELECT count(*) FROM pg_prepared_xacts WHERE prepared <= now() - make_interval(secs => $1)";
    Ok(client.query_one(count, &[&f64::from(older_s)]).await?.get(0))
}

/// Looks, several times a second, how many prepared transactions are older than a second; keeps the most.
#[derive(Clone, Default)]
pub(crate) struct Lookout {
    most: Arc<AtomicI64>,
    is_over: Arc<AtomicBool>,
}

impl Lookout {
    /// Begins to look.
    pub(crate) fn start(two: &Two) -> Self {
        let lookout = Self::default();
        let (seen, ports) = (lookout.clone(), [two.payers.port, two.payees.port]);
        tokio::spawn(async move {
            let mut clients: [Option<Client>; 2] = [None, None];
            while !seen.is_over.load(Ordering::Relaxed) {
                let mut all = 0;
                for (port, client) in ports.into_iter().zip(&mut clients) {
                    if client.is_none() {
                        *client = connect(port).await.ok();
                    }
                    let Some(open) = client.as_ref() else { continue };
                    match count_prepared(open, 1).await {
                        Ok(count) => all += count,
                        Err(_) => *client = None,
                    }
                }
                seen.most.fetch_max(all, Ordering::Relaxed);
                sleep(Duration::from_millis(200)).await;
            }
        });
        lookout
    }

    /// Stops looking; answers the most that was seen.
    pub(crate) fn end(&self) -> i64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.most.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_have_ids_of_their_own_and_spread_over_all_accounts() {
        let ids = Ids(AtomicU64::new(1));
        let credits: Vec<Credit> = (0..50_000).map(|_| ids.draw(false)).collect();
        let distinct = |of: fn(&Credit) -> i64| credits.iter().map(of).collect::<std::collections::BTreeSet<_>>().len();
        assert_eq!(distinct(|credit| credit.id), credits.len());
        assert!(distinct(|credit| credit.payer) > 9_000 && distinct(|credit| credit.payee) > 9_000);
        assert!((0..10).all(|_| ids.draw(true).payee == 0));
    }
}
