//! The courier's legs: carries the records of a group this node leads to the groups they are for.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use machine::{Answer, Command, Delivery, GroupId, Layout as _, Machine, RequestId, System};

use super::errors::ProposeError;
use super::handle::Group;
use crate::limits::COURIER_BYTES_MAX;

const DELIVER_TIMEOUT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Finds the group a record is for and proposes there, wherever it is led.
pub(crate) trait Addressee: Send + Sync + 'static {
    /// Proposes `deliver` to `target`. Errors: text; the records stay at their source.
    fn deliver(&self, target: GroupId, deliver: System) -> BoxFuture<'_, Result<Delivery, String>>;
}

/// Runs on every replica; carries while it leads.
pub(super) async fn carry<M: Machine>(group: Group<M>, addressee: Arc<dyn Addressee>) {
    let mut applied = group.applied_index();
    let mut closed = group.0.closed.subscribe();
    loop {
        tokio::select! {
            _ = closed.wait_for(|closed| *closed) => return,
            // A new entry may have posted; the pause catches what failed before.
            _ = tokio::time::timeout(LOOK_EVERY, applied.changed()) => {}
        }
        if !group.is_leader() {
            continue;
        }
        for status in group.courier_status() {
            if status.target != GroupId::OUTSIDE
                && let Err(reason) = carry_one(&group, &*addressee, status.target).await
            {
                tracing::debug!(source = group.0.id.0, target = status.target.0, reason, "records wait");
            }
        }
    }
}

async fn carry_one<M: Machine>(group: &Group<M>, addressee: &dyn Addressee, target: GroupId) -> Result<(), String> {
    let (records, epoch) = group
        .with_host(|host, rows| {
            host.courier_records(target, COURIER_BYTES_MAX, rows).map(|records| (records, host.epoch()))
        })
        .map_err(|error| error.to_string())?;
    let Some(first) = records.first().map(|record| record.sequence) else { return Ok(()) };
    let records: Vec<_> = records.into_iter().map(|record| record.bytes).collect();
    let deliver = System::Deliver { source: group.0.id, epoch, first, records };
    let delivery = addressee.deliver(target, deliver).await?;
    if delivery.applied >= first {
        let acknowledge = Command::System(System::Acknowledge { target, upto: delivery.applied });
        group.submit(RequestId::NONE, acknowledge).await.map_err(|error| error.to_string())?;
    }
    delivery.refused.map_or(Ok(()), Err)
}

/// Proposes a delivery to a group of this process, which forwards it to its leader.
pub(super) async fn deliver_to<M: Machine>(group: &Group<M>, deliver: System) -> Result<Delivery, String> {
    let text = |error: ProposeError| error.to_string();
    let answer = group.submit_anywhere(RequestId::NONE, Command::System(deliver), DELIVER_TIMEOUT).await;
    match answer.map_err(text)?.0 {
        Answer::Reply(reply) => Delivery::from_bytes(&reply).map_err(|error| error.to_string()),
        Answer::Refused(refusal) => Err(refusal.to_string()),
    }
}
