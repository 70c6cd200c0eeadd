//! Probes: one send to the queue and one transfer in the ledger after the other, to see when they stop succeeding.
//!
//! Why apart from the players: a player's call crosses both systems; an outage must be seen by itself.
//!
//! Must never: retry on and on within one probe. A retry that waits would be measured as the outage.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::ledger::v1::ledger_client::LedgerClient;
use proto::ledger::v1::{AccountKind, FundRequest, OpenAccountRequest, TransferRequest};
use queue_client::{Client, NewMessage, QueueAttributes};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::outage;
use crate::doors::{Doors, Miss, doors};
use crate::error::Error;
use crate::file::{ClusterFile, Kind};
use crate::limits::{CALL_MAX, FIRST_GROUP};
use crate::link;
use crate::phone::{Id, bytes};

/// Pause between two probes.
const PAUSE: Duration = Duration::from_millis(5);
/// A probe of the queue that is not answered within this gives way to the next.
const PROBE_MAX: Duration = Duration::from_millis(300);
/// Names tried until one lies in the first group.
const NAMES_MAX: u32 = 64;

/// When probes succeeded.
#[derive(Debug)]
pub(crate) struct Pulse {
    started: Instant,
    beats: Mutex<Vec<Duration>>,
}

impl Pulse {
    fn new() -> Self {
        Self { started: Instant::now(), beats: Mutex::default() }
    }

    fn beat(&self) {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner).push(self.started.elapsed());
    }

    /// The longest time without a success that reaches into the time from `begin` to `end`.
    pub(crate) fn longest_outage(&self, begin: Instant, end: Instant) -> Duration {
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |moment: Instant| moment.saturating_duration_since(self.started);
        outage::longest(&beats, since(begin), since(end))
    }
}

/// Sends to a queue of the first group, again and again.
#[derive(Debug)]
pub(crate) struct QueueProbe {
    client: Client,
    queue: String,
    pub(crate) pulse: Arc<Pulse>,
}

impl QueueProbe {
    /// Makes a queue in the first group. Errors: none could be made there.
    pub(crate) async fn new(cluster: &ClusterFile) -> Result<Self, Error> {
        let config = link::client_config(cluster.addresses(Kind::Queue));
        let client = Client::new(config).map_err(Error::call("queue"))?;
        for number in 0..NAMES_MAX {
            let queue = format!("probe-{number}");
            let made = client.create_queue(&queue, QueueAttributes::default()).await;
            if made.map_err(Error::call("create queue"))?.group == FIRST_GROUP {
                return Ok(Self { client, queue, pulse: Arc::new(Pulse::new()) });
            }
            client.delete_queue(&queue).await.map_err(Error::call("delete queue"))?;
        }
        Err(Error::Impossible(format!("no queue was placed in group {FIRST_GROUP}")))
    }

    /// Sends until `stop` is true, then deletes the queue.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) {
        let sender = self.client.with_timeout(PROBE_MAX);
        while !*stop.borrow() {
            let message = NewMessage { body: b"probe".to_vec().into(), ..NewMessage::default() };
            if sender.send(&self.queue, vec![message]).await.is_ok() {
                self.pulse.beat();
            }
            sleep(PAUSE).await;
        }
        if let Err(error) = self.client.delete_queue(&self.queue).await {
            tracing::warn!(%error, queue = self.queue, "the probe's queue was left behind");
        }
    }
}

/// Transfers a fen between two accounts of the first group, again and again.
#[derive(Debug)]
pub(crate) struct LedgerProbe {
    doors: Doors,
    accounts: [Id; 2],
    pub(crate) pulse: Arc<Pulse>,
}

impl LedgerProbe {
    /// Opens two accounts in the first group. Errors: it did not get two.
    pub(crate) async fn new(cluster: &ClusterFile) -> Result<Self, Error> {
        let doors = doors(cluster.addresses(Kind::App), 0)?;
        let first = Self::open(&doors).await.map_err(Error::call("open account"))?;
        let second = Self::open(&doors).await.map_err(Error::call("open account"))?;
        let fund = doors.call(CALL_MAX, |channel| async move {
            // The account's own id names its funding: both are kept for ever, in tables of their own.
            let request = FundRequest { id: bytes(first), account: bytes(first), amount_fen: 1 };
            LedgerClient::new(channel).fund(request).await
        });
        fund.await.map_err(Error::call("fund account"))?;
        Ok(Self { doors, accounts: [first, second], pulse: Arc::new(Pulse::new()) })
    }

    async fn open(doors: &Doors) -> Result<Id, Miss> {
        for _ in 0..NAMES_MAX {
            let account: Id = rand::random();
            let opened = doors.call(CALL_MAX, |channel| async move {
                let kind = AccountKind::User.into();
                let request = OpenAccountRequest { account: bytes(account), kind, currency: 0 };
                LedgerClient::new(channel).open_account(request).await
            });
            if opened.await?.group == FIRST_GROUP {
                return Ok(account);
            }
        }
        Err(Miss::Unknown { reason: format!("no account was placed in group {FIRST_GROUP}") })
    }

    /// Transfers until `stop` is true. A transfer that is not answered is asked again under its id, so that the fen is
    /// never lost sight of.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) {
        let [mut debit, mut credit] = self.accounts;
        while !*stop.borrow() {
            let id: Id = rand::random();
            let moved = self.doors.call(CALL_MAX, |channel| async move {
                let (debit, credit) = (bytes(debit), bytes(credit));
                let request =
                    TransferRequest { id: bytes(id), debit, credit, amount_fen: 1, ..TransferRequest::default() };
                LedgerClient::new(channel).transfer(request).await
            });
            match moved.await {
                Ok(_) => {
                    self.pulse.beat();
                    std::mem::swap(&mut debit, &mut credit);
                }
                Err(miss) => tracing::warn!(%miss, "a probe of the ledger found no answer"),
            }
            sleep(PAUSE).await;
        }
    }
}
