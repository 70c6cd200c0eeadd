//! Ack, extend, release: what becomes of leases.
//!
//! Extend and release take one receipt in the machine, so a call that carries a request id holds one receipt: a repeat
//! could not tell which of several had been done.

use machine::RequestId;
use proto::limits::MESSAGES_PER_CALL_MAX;
use proto::queue::v1::{
    AckReply, AckRequest, ExtendReply, ExtendRequest, ReceiptResult, ReleaseReply, ReleaseRequest,
};
use queue_core::{Command, DeliveryNumber, Reply};
use tonic::Status;

use super::failure::{DoorRefusal, door_refused, machine_refused, propose_failed};
use super::service::locate;
use crate::doors::convert::{receipt_result, unexpected};
use crate::node::{Located, Node};

/// Ends leases for good.
pub(super) async fn ack(node: &Node, call: AckRequest) -> Result<AckReply, Status> {
    let (located, request) = locate(node, &call.queue, call.request.as_ref()).await?;
    let receipts = call.receipts.iter().map(|receipt| DeliveryNumber(*receipt)).collect();
    let command = Command::Ack { queue: located.queue, receipts };
    let applied = located.group.propose(request, &command).await.map_err(propose_failed)?;
    match applied.reply {
        Reply::Acked { results } => {
            let results = call.receipts.into_iter().zip(results);
            Ok(AckReply { results: results.map(|(receipt, result)| receipt_result(receipt, result, 0)).collect() })
        }
        Reply::Refused(refusal) => Err(machine_refused(refusal)),
        other => Err(unexpected(&other)),
    }
}

/// Prolongs leases, counted from now.
pub(super) async fn extend(node: &Node, call: ExtendRequest) -> Result<ExtendReply, Status> {
    let (located, request) = locate(node, &call.queue, call.request.as_ref()).await?;
    let (queue, lease_ms) = (located.queue, call.lease_ms);
    let command = |receipt| Command::Extend { queue, receipt, lease_ms };
    Ok(ExtendReply { results: each(&located, request, &call.receipts, command).await? })
}

/// Gives messages back before their leases end.
pub(super) async fn release(node: &Node, call: ReleaseRequest) -> Result<ReleaseReply, Status> {
    let (located, request) = locate(node, &call.queue, call.request.as_ref()).await?;
    let (queue, delay_ms, failed) = (located.queue, call.delay_ms, call.failed);
    let command = |receipt| Command::Release { queue, receipt, delay_ms, failed };
    Ok(ReleaseReply { results: each(&located, request, &call.receipts, command).await? })
}

/// One command per receipt.
async fn each(
    located: &Located,
    request: RequestId,
    receipts: &[u64],
    command: impl Fn(DeliveryNumber) -> Command,
) -> Result<Vec<ReceiptResult>, Status> {
    if !(1..=MESSAGES_PER_CALL_MAX).contains(&receipts.len()) {
        return Err(door_refused(DoorRefusal::BadBatch, "a call holds 1 to 128 receipts"));
    }
    if receipts.len() > 1 && request != RequestId::NONE {
        return Err(door_refused(DoorRefusal::BadBatch, "with a request id, this call holds one receipt"));
    }
    let mut results = Vec::with_capacity(receipts.len());
    for receipt in receipts {
        let applied =
            located.group.propose(request, &command(DeliveryNumber(*receipt))).await.map_err(propose_failed)?;
        results.push(match applied.reply {
            Reply::Done => receipt_result(*receipt, None, 0),
            Reply::Extended { deadline } => receipt_result(*receipt, None, deadline.0),
            Reply::Refused(refusal) => receipt_result(*receipt, Some(refusal), 0),
            other => return Err(unexpected(&other)),
        });
    }
    Ok(results)
}
