//! Settling: what a phone is told of the credit of its share.
//!
//! ```text
//!  ledger books in time ─────────────> arrived
//!        │ not in time
//!  queue keeps the credit ───────────> waiting      (kept first, told second)
//!        │ does not say that it does
//!        └───────────────────────────> unknown      (the phone asks again; the sweep finds the claim in any case)
//! ```
//!
//! Must never: say *waiting* of a credit that no queue has kept, or *arrived* of one that is not booked.

use packets::Credit;

/// How the credit of a share stands, as a phone is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Booked: it can be spent.
    Arrived,
    /// In the queue: it will be booked.
    Waiting,
    /// Nobody could say.
    Unknown,
}

/// Where a credit is booked.
pub(crate) trait Book {
    /// Whether it has landed, by a short deadline.
    fn has_landed(&self, credit: &Credit) -> impl Future<Output = bool> + Send;
}

/// Where a credit waits.
pub(crate) trait Keep {
    /// Whether it is kept, in three copies.
    fn is_kept(&self, credit: &Credit) -> impl Future<Output = bool> + Send;
}

/// Settles a fresh claim.
pub(crate) async fn settle(credit: &Credit, ledger: &impl Book, queue: &impl Keep) -> Standing {
    if ledger.has_landed(credit).await {
        Standing::Arrived
    } else if queue.is_kept(credit).await {
        Standing::Waiting
    } else {
        Standing::Unknown
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use machine::TimestampMs;
    use packets::{AccountId, Fen, PacketId, UserId};

    use super::*;

    struct Fake {
        answer: bool,
        asked: AtomicU32,
    }

    impl Fake {
        fn new(answer: bool) -> Self {
            Self { answer, asked: AtomicU32::new(0) }
        }

        fn ask(&self) -> bool {
            self.asked.fetch_add(1, Ordering::Relaxed);
            self.answer
        }
    }

    impl Book for Fake {
        async fn has_landed(&self, _: &Credit) -> bool {
            self.ask()
        }
    }

    impl Keep for Fake {
        async fn is_kept(&self, _: &Credit) -> bool {
            self.ask()
        }
    }

    #[tokio::test]
    async fn waiting_is_told_only_of_what_the_queue_has_kept() {
        let credit = Credit {
            packet: PacketId::new(0x100),
            share: 1,
            fen: Fen(5),
            claimed: TimestampMs(1),
            payer: AccountId(1),
            user: UserId(2),
            payee: AccountId(2),
        };
        let table = [
            // ledger books, queue keeps, told, queue asked
            (true, true, Standing::Arrived, 0),
            (true, false, Standing::Arrived, 0),
            (false, true, Standing::Waiting, 1),
            (false, false, Standing::Unknown, 1),
        ];
        for (books, keeps, told, asked) in table {
            let (ledger, queue) = (Fake::new(books), Fake::new(keeps));
            assert_eq!(settle(&credit, &ledger, &queue).await, told, "{books} {keeps}");
            assert_eq!(queue.asked.load(Ordering::Relaxed), asked, "{books} {keeps}");
        }
    }
}
