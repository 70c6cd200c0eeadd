//! A polled table of pending credits: the payer's debit and a row in "pending" are one local transaction; pollers ask the
//! table again and again and book what they find at the payees.
//!
//! ```text
//!  payers   UPDATE A, INSERT pending ─────> SELECT ... FOR UPDATE SKIP LOCKED ──┐            ┌─> DELETE pending
//!  payees                                                                      └─> book ────┘   (id makes it once)
//! ```
//!
//! Must never: delete a pending credit that is not booked.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_postgres::Client;

use crate::failure::Failure;
use crate::meter::Meter;
use crate::server::connect;
use crate::seven_steps::Credit;

/// Pollers at work.
pub(crate) const POLLERS: usize = 4;
/// Credits that a poller takes at a time.
const POLL_MAX: i64 = 100;
/// How long a poller waits that found nothing: the "frequent polling" of the case.
const POLL_EVERY: Duration = Duration::from_millis(20);
/// How long one waits before it dials a database that is gone.
const REST: Duration = Duration::from_millis(100);

const DEBIT: &str = "WITH paid AS (UPDATE account SET balance = balance - 1 WHERE id = $2::bigint RETURNING id), \
     booked AS (INSERT INTO entry SELECT $1::bigint, id, -1 FROM paid) \
     INSERT INTO pending SELECT $1::bigint, $3::bigint, 1 FROM paid";
const TAKE: &str = "SELECT id, payee, fen FROM pending ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED";
const LOCK: &str = "SELECT 1 FROM account WHERE id = ANY($1) ORDER BY id FOR UPDATE";
const BOOK: &str = "WITH new AS (INSERT INTO entry SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) \
     ON CONFLICT DO NOTHING RETURNING account, fen), \
     net AS (SELECT account, sum(fen)::bigint AS fen FROM new GROUP BY account) \
     UPDATE account SET balance = balance + net.fen FROM net WHERE id = net.account";

/// A client: debits until `until`; the credit is somebody else's.
pub(crate) async fn client(payers: u16, draw: impl Fn() -> Credit, meter: &Meter, until: Instant) {
    let mut open = None;
    while Instant::now() < until {
        let Some((client, debit)) = &open else {
            open = dial(payers).await;
            if open.is_none() {
                meter.failed();
                sleep(REST).await;
            }
            continue;
        };
        let Credit { id, payer, payee } = draw();
        let began = Instant::now();
        let debited = Client::execute(client, debit, &[&id, &payer, &payee]).await;
        match debited {
            Ok(_) => meter.done(began.elapsed()),
            Err(_) => {
                meter.failed();
                open = None;
            }
        }
    }
}

async fn dial(port: u16) -> Option<(Client, tokio_postgres::Statement)> {
    let client = connect(port).await.ok()?;
    let debit = client.prepare(DEBIT).await.ok()?;
    Some((client, debit))
}

/// What pollers have done.
#[derive(Debug, Default)]
pub(crate) struct Polled {
    /// Polls that failed.
    pub(crate) failed: AtomicU64,
    /// No client will add to the table.
    pub(crate) is_last: AtomicBool,
}

/// A poller: works until the table is empty and nothing will be added.
pub(crate) async fn poller(payers: u16, payees: u16, polled: &Polled) {
    let mut open = None;
    loop {
        let Some((from, to)) = &open else {
            open = match (connect(payers).await, connect(payees).await) {
                (Ok(from), Ok(to)) => Some((from, to)),
                _ => {
                    polled.failed.fetch_add(1, Ordering::Relaxed);
                    sleep(REST).await;
                    None
                }
            };
            continue;
        };
        let is_last = polled.is_last.load(Ordering::Relaxed);
        match poll(from, to).await {
            Ok(0) if is_last => return,
            Ok(0) => sleep(POLL_EVERY).await,
            Ok(_) => {}
            Err(_) => {
                polled.failed.fetch_add(1, Ordering::Relaxed);
                open = None;
            }
        }
    }
}

/// Books what one look finds.
async fn poll(from: &Client, to: &Client) -> Result<u64, Failure> {
    from.batch_execute("BEGIN").await?;
    let rows = from.query(TAKE, &[&POLL_MAX]).await?;
    if rows.is_empty() {
        from.batch_execute("COMMIT").await?;
        return Ok(0);
    }
    let column = |at: usize| rows.iter().map(|row| row.get::<_, i64>(at)).collect::<Vec<_>>();
    let (ids, payees, fen) = (column(0), column(1), column(2));
    to.batch_execute("BEGIN").await?;
    to.query(LOCK, &[&payees]).await?;
    to.execute(BOOK, &[&ids, &payees, &fen]).await?;
    to.batch_execute("COMMIT").await?;
    from.execute("DELETE FROM pending WHERE id = ANY($1)", &[&ids]).await?;
    from.batch_execute("COMMIT").await?;
    Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
}
