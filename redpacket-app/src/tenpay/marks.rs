//! Marks: tells a packet's group that a credit is booked, or that it is in the queue.
//!
//! Why apart from the booking: a phone is told *arrived* when the ledger says so. The mark follows within a moment; if it
//! gets lost, the sweep finds the claim, books again (nothing happens twice) and marks again.
//!
//! Must never: mark as credited what the ledger has not booked.

use std::sync::Arc;

use packets::{Command, Credit, Reply, Share, read};
use tokio::sync::{Semaphore, mpsc};

use crate::failure::{Failure, unexpected};
use crate::homes::Homes;
use crate::limits::{COMMAND_DEADLINE, MARKS_UNDER_WAY_MAX, MARKS_WAITING_MAX};

/// The way for marks that nobody waits for.
#[derive(Clone)]
pub(crate) struct Marks {
    homes: Arc<Homes>,
    waiting: mpsc::Sender<Credit>,
}

impl Marks {
    /// Starts the work on marks; it ends with the last clone.
    pub(crate) fn start(homes: Arc<Homes>) -> Self {
        let (waiting, marks) = mpsc::channel(MARKS_WAITING_MAX);
        tokio::spawn(work(Arc::clone(&homes), marks));
        Self { homes, waiting }
    }

    /// Whether this node knows that `credit` is marked as booked; such a mark is never taken back.
    pub(crate) fn is_known_credited(&self, credit: &Credit) -> Result<bool, Failure> {
        let view = self.homes.packet(credit.packet).stale(|seen| read::packet(seen.rows, credit.packet))??;
        let place = usize::from(credit.share).saturating_sub(1);
        Ok(view.is_some_and(|view| view.shares.get(place).is_some_and(Share::is_credited)))
    }

    /// Marks soon that `credit` is booked. Where too much waits, the sweep will find it.
    pub(crate) fn credited_soon(&self, credit: &Credit) {
        if self.waiting.try_send(*credit).is_err() {
            tracing::debug!("too many marks wait; the sweep will find the claim");
        }
    }

    /// Marks that `credit` is booked.
    pub(crate) async fn credited(&self, credit: &Credit) -> Result<(), Failure> {
        mark(&self.homes, credit, Command::MarkCredited { packet: credit.packet, share: credit.share }).await
    }

    /// Marks that `credit` is in the queue.
    pub(crate) async fn queued(&self, credit: &Credit) -> Result<(), Failure> {
        mark(&self.homes, credit, Command::MarkQueued { packet: credit.packet, share: credit.share }).await
    }
}

async fn work(homes: Arc<Homes>, mut marks: mpsc::Receiver<Credit>) {
    let under_way = Arc::new(Semaphore::new(MARKS_UNDER_WAY_MAX));
    while let Some(credit) = marks.recv().await {
        let Ok(place) = Arc::clone(&under_way).acquire_owned().await else { return };
        let homes = Arc::clone(&homes);
        tokio::spawn(async move {
            let command = Command::MarkCredited { packet: credit.packet, share: credit.share };
            if let Err(failure) = mark(&homes, &credit, command).await {
                tracing::debug!(%failure, "a mark is late; the sweep will find the claim");
            }
            drop(place);
        });
    }
}

async fn mark(homes: &Homes, credit: &Credit, command: Command) -> Result<(), Failure> {
    match homes.packet(credit.packet).command(&command, COMMAND_DEADLINE).await?.reply {
        Reply::Done => Ok(()),
        Reply::Refused(refusal) => Err(refusal.into()),
        other => Err(unexpected(&other)),
    }
}
