//! The desk: single transfers of callers who ask at the same time share a call.
//!
//! ```text
//!  callers ──transfer──> waiting ──what came while some calls were under way──> Batch ──> each caller's result
//!                                        one that was refused: a call of its own ─────────^
//! ```
//!
//! Why: a call costs both sides several times what the booking of a transfer costs. No timer: a lone transfer goes at once.
//! Why a refused one asks again: alone it is preceded by what is on its way to the payer, and its refusal comes in words.
//!
//! Must never: let the transfer of one caller decide over that of another; they are not linked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::booking::{Booked, Transfer, book, book_batch};
use crate::doors::{Doors, Miss};
use crate::limits::{CALLS_UNDER_WAY_MAX, TRANSFERS_PER_CALL_MAX, TRANSFERS_WAITING_MAX};

/// A transfer on its way.
struct Asked {
    transfer: Transfer,
    answer: oneshot::Sender<Result<Booked, Miss>>,
}

/// The way in for single transfers; clones share it, and it ends with the last.
#[derive(Clone, Debug)]
pub struct Desk {
    waiting: mpsc::Sender<Asked>,
}

impl Desk {
    /// Opens a desk before `doors`. Each call of it may take `within`, its repeats included. Needs a tokio runtime.
    #[must_use]
    pub fn open(doors: Arc<Doors>, within: Duration) -> Self {
        let (waiting, asked) = mpsc::channel(TRANSFERS_WAITING_MAX);
        tokio::spawn(gather(doors, within, asked));
        Self { waiting }
    }

    /// Has a transfer booked. Errors: [`Miss`]; after `Unknown` it may be booked yet: ask again under the same id.
    pub async fn transfer(&self, transfer: Transfer) -> Result<Booked, Miss> {
        let (answer, told) = oneshot::channel();
        let ended = || Miss::Unknown { reason: "the desk has ended".to_owned() };
        self.waiting.send(Asked { transfer, answer }).await.map_err(|_| ended())?;
        told.await.unwrap_or_else(|_| Err(ended()))
    }
}

async fn gather(doors: Arc<Doors>, within: Duration, mut asked: mpsc::Receiver<Asked>) {
    let under_way = Arc::new(Semaphore::new(CALLS_UNDER_WAY_MAX));
    while let Some(first) = asked.recv().await {
        let Ok(place) = Arc::clone(&under_way).acquire_owned().await else { return };
        let mut batch = vec![first];
        while batch.len() < TRANSFERS_PER_CALL_MAX
            && let Ok(more) = asked.try_recv()
        {
            batch.push(more);
        }
        // Who has given up before anything happened is not asked for.
        batch.retain(|asked| !asked.answer.is_closed());
        if !batch.is_empty() {
            tokio::spawn(call(Arc::clone(&doors), within, batch, place));
        }
    }
}

async fn call(doors: Arc<Doors>, within: Duration, batch: Vec<Asked>, place: OwnedSemaphorePermit) {
    let results = book_batch(&doors, within, batch.iter().map(|asked| &asked.transfer)).await;
    drop(place);
    let results = match results {
        Ok(results) => results,
        Err(miss) => {
            // A caller that went away needs no answer, here and below.
            batch.into_iter().for_each(|asked| drop(asked.answer.send(Err(miss.clone()))));
            return;
        }
    };
    for (asked, result) in batch.into_iter().zip(results) {
        let doors = Arc::clone(&doors);
        match result {
            Ok(booked) => drop(asked.answer.send(Ok(booked))),
            Err(_) => drop(tokio::spawn(async move {
                let told = book(&doors, within, &asked.transfer).await;
                drop(asked.answer.send(told));
            })),
        }
    }
}
