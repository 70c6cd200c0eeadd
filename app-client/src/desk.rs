//! The desk: single transfers of callers who ask at the same time share a call.
//!
//! ```text
//!  callers ──transfer──> waiting ──what came while some calls were under way──> Batch ──> each caller's result
//!                     one that was refused, or whose shared call failed: a call of its own ─^
//! ```
//!
//! Why: a call costs both sides several times what the booking of a transfer costs. No timer: a lone transfer goes at once.
//! Why a refused one asks again: alone it is preceded by what is on its way to the payer, and its refusal comes in words.
//!
//! Must never: let the transfer of one caller decide over that of another; they are not linked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::booking::{Booked, Results, Transfer, book, book_batch};
use crate::doors::{Doors, Miss};
use crate::limits::{ATTEMPT_MAX, CALLS_UNDER_WAY_MAX, OWN_CALLS_MAX, TRANSFERS_PER_CALL_MAX, TRANSFERS_WAITING_MAX};

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
    let clerk = Arc::new(Clerk { doors, within, own_calls: Semaphore::new(OWN_CALLS_MAX) });
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
            tokio::spawn(Arc::clone(&clerk).call(batch, place));
        }
    }
}

/// Who makes the calls of a desk.
struct Clerk {
    doors: Arc<Doors>,
    within: Duration,
    own_calls: Semaphore,
}

impl Clerk {
    /// One call for all of `batch`. Who is refused, or shares a call that failed, is asked for by a call of his own.
    async fn call(self: Arc<Self>, batch: Vec<Asked>, place: OwnedSemaphorePermit) {
        let attempt = self.within.min(ATTEMPT_MAX);
        let results = book_batch(&self.doors, attempt, batch.iter().map(|asked| &asked.transfer)).await;
        drop(place);
        let (each, may_have_happened): (Vec<Option<Booked>>, bool) = match results {
            Ok(Results { each, may_have_happened }) => (each.into_iter().map(Result::ok).collect(), may_have_happened),
            // One group without a leader makes the whole call unknown: it shall not decide over the others.
            Err(_) => (vec![None; batch.len()], true),
        };
        for (asked, booked) in batch.into_iter().zip(each) {
            if let Some(booked) = booked {
                // A caller that went away needs no answer.
                let _ = asked.answer.send(Ok(booked));
            } else {
                tokio::spawn(Arc::clone(&self).call_alone(asked, may_have_happened));
            }
        }
    }

    async fn call_alone(self: Arc<Self>, asked: Asked, may_have_happened: bool) {
        let Asked { transfer, mut answer } = asked;
        let booking = async {
            let _place = self.own_calls.acquire().await;
            book(&self.doors, self.within, &transfer).await
        };
        let told = tokio::select! {
            () = answer.closed() => return,
            told = booking => told,
        };
        let told = told.map_err(|miss| match miss {
            Miss::Refused { number, text, may_have_happened: may } => {
                Miss::Refused { number, text, may_have_happened: may || may_have_happened }
            }
            miss @ Miss::Unknown { .. } => miss,
        });
        let _ = answer.send(told);
    }
}
