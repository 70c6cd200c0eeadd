//! Expiry by message: the second trigger beside the machine's own Tick.
//!
//! Why: whichever comes first closes the packet, in the order of its group's log; the other finds it closed.
//!
//! Must never: close by a clock of its own. The entry's stamp decides.

use std::sync::Arc;

use machine::Layout as _;
use packets::{Command, PacketId, Reply};
use queue_client::Delivery;

use crate::failure::{Failure, unexpected};
use crate::homes::Homes;
use crate::limits::COMMAND_DEADLINE;
use crate::tenpay::refunds::Refunds;

/// Works on reminders of expiry.
pub(crate) struct ExpiryWorker {
    pub(crate) homes: Arc<Homes>,
    pub(crate) refunds: Refunds,
}

impl ExpiryWorker {
    /// Closes one packet and returns what is left. Errors: the reminder is given back, and comes again.
    pub(crate) async fn work(self: Arc<Self>, delivery: Delivery) -> Result<(), Failure> {
        let packet = PacketId::from_bytes(&delivery.message.body)
            .map_err(|_| Failure::NotApplied("the message names no packet".to_owned()))?;
        let shard = self.homes.packet(packet);
        match shard.command(&Command::CloseExpired { packet }, COMMAND_DEADLINE).await?.reply {
            Reply::Closed(refunds) => {
                for refund in refunds {
                    self.refunds.settle(shard, &refund).await?;
                }
                Ok(())
            }
            Reply::Refused(refusal) => Err(refusal.into()),
            other => Err(unexpected(&other)),
        }
    }
}
