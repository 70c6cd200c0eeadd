//! The workers of the queue "credits": pull a credit, book it, mark it, acknowledge it.
//!
//! ```text
//!  credits ──> marked already? ──> ack
//!     └──────> book ──landed──> mark credited ──> ack
//!                └── not now ──> announce to the user's shard, release with a growing pause
//! ```
//!
//! Why: the account system pulls what it can bear; a credit waits for as long as it takes.
//!
//! Must never: acknowledge a credit that is not both booked and marked.

use std::sync::Arc;

use machine::Layout as _;
use packets::Credit;
use queue_client::Delivery;

use crate::failure::Failure;
use crate::limits::WORKER_BOOKING;
use crate::tenpay::booking::{Booked, Booking};
use crate::tenpay::marks::Marks;
use crate::tenpay::pending::Pending;

/// What a worker needs.
pub(crate) struct CreditWorker {
    pub(crate) booking: Booking,
    pub(crate) marks: Marks,
    pub(crate) pending: Pending,
}

impl CreditWorker {
    /// Works on one message. Errors: it is given back, and comes again.
    pub(crate) async fn work(self: Arc<Self>, delivery: Delivery) -> Result<(), Failure> {
        let Ok(credit) = Credit::from_bytes(&delivery.message.body) else {
            // Of a newer release, perhaps: it stays until a node comes that can read it.
            return Err(Failure::NotApplied("the message is no credit that this release can read".to_owned()));
        };
        if self.marks.is_known_credited(&credit)? {
            return Ok(());
        }
        match self.booking.credit(&credit, WORKER_BOOKING).await {
            Ok(Booked::Landed) => self.marks.credited(&credit).await,
            Ok(Booked::UnderWay) => {
                self.pending.announce(&credit).await;
                Err(Failure::NotApplied("the credit is on its way to another shard".to_owned()))
            }
            Err(failure) => {
                if matches!(failure, Failure::Refused(_)) {
                    tracing::error!(packet = credit.packet.bits(), share = credit.share, %failure, "a credit cannot be booked");
                }
                self.pending.announce(&credit).await;
                Err(failure)
            }
        }
    }
}
