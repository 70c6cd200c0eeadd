//! Ack, extend, release: what becomes of leases.

use proto::queue::v1::{
    AckReply, AckRequest, ExtendReply, ExtendRequest, ReceiptResult, ReleaseReply, ReleaseRequest, RequestId,
};
use queue_core::{Command, DeliveryNumber, QueueId, Refusal, Reply};
use tonic::Status;

use super::failure::{machine_refused, propose_failed};
use super::service::locate;
use crate::doors::convert::{receipt_result, unexpected};
use crate::node::Node;
use crate::tally::Deed;

/// Ends leases for good.
pub(super) async fn ack(node: &Node, call: AckRequest) -> Result<AckReply, Status> {
    let settle = Settle { queue: &call.queue, request: call.request.as_ref(), receipts: &call.receipts };
    let results = settle.propose(node, |queue, receipts| Command::Ack { queue, receipts }).await?;
    Ok(AckReply { results })
}

/// Prolongs leases, counted from now; 0 = by the queue's own lease.
pub(super) async fn extend(node: &Node, call: ExtendRequest) -> Result<ExtendReply, Status> {
    let settle = Settle { queue: &call.queue, request: call.request.as_ref(), receipts: &call.receipts };
    let lease_ms = match call.lease_ms {
        0 => settle.queue_lease_ms(node).await?,
        lease_ms => lease_ms,
    };
    let results = settle.propose(node, |queue, receipts| Command::Extend { queue, receipts, lease_ms }).await?;
    Ok(ExtendReply { results })
}

/// Gives messages back before their leases end.
pub(super) async fn release(node: &Node, call: ReleaseRequest) -> Result<ReleaseReply, Status> {
    let settle = Settle { queue: &call.queue, request: call.request.as_ref(), receipts: &call.receipts };
    let (delay_ms, failed) = (call.delay_ms, call.failed);
    let results =
        settle.propose(node, |queue, receipts| Command::Release { queue, receipts, delay_ms, failed }).await?;
    Ok(ReleaseReply { results })
}

/// What the three calls share.
struct Settle<'a> {
    queue: &'a str,
    request: Option<&'a RequestId>,
    receipts: &'a [u64],
}

impl Settle<'_> {
    async fn propose(
        &self,
        node: &Node,
        command: impl FnOnce(QueueId, Vec<DeliveryNumber>) -> Command,
    ) -> Result<Vec<ReceiptResult>, Status> {
        let (located, request) = locate(node, self.queue, self.request).await?;
        let receipts = self.receipts.iter().map(|receipt| DeliveryNumber(*receipt)).collect();
        let command = command(located.queue, receipts);
        if matches!(command, Command::Ack { .. }) {
            node.tally().count(located.group.id(), located.queue.0, Deed::Delete);
        }
        match located.group.propose(request, &command).await.map_err(propose_failed)?.reply {
            Reply::Settled { results } => Ok(self.results(results, 0)),
            Reply::Extended { deadline, results } => Ok(self.results(results, deadline.0)),
            Reply::Refused(refusal) => Err(machine_refused(refusal)),
            other => Err(unexpected(&other)),
        }
    }

    fn results(&self, results: Vec<Option<Refusal>>, deadline_ms: u64) -> Vec<ReceiptResult> {
        let until = |result: &Option<Refusal>| if result.is_none() { deadline_ms } else { 0 };
        let pairs = self.receipts.iter().zip(results);
        pairs.map(|(receipt, result)| receipt_result(*receipt, result, until(&result))).collect()
    }

    async fn queue_lease_ms(&self, node: &Node) -> Result<u64, Status> {
        let (located, _) = locate(node, self.queue, self.request).await?;
        let status = located.group.read_stale(|view| view.machine.status(located.queue));
        let status = status.map_err(super::failure::read_failed)?.ok_or_else(super::failure::queue_missing)?;
        Ok(u64::from(status.attributes.visibility_timeout_s) * 1000)
    }
}
