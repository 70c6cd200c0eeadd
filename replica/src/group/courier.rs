//! The courier's legs: carries the records of a group this node leads to the groups they are for.
//!
//! Why a pause for each track: a receiver that is full is asked seldom and with one record, so that a stuck track costs
//! the target's log next to nothing, and the tracks beside it do not wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use machine::{
    Answer, Command, CourierStatus, Delivery, Destination, GroupId, Layout as _, Machine, RequestId, System,
};
use tokio::time::Instant;

use super::errors::ProposeError;
use super::handle::Group;
use crate::limits::{COURIER_BYTES_MAX, COURIER_TRACKS_AT_ONCE};

const DELIVER_TIMEOUT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The longest pause between two offers of a record that its target does not take.
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// Finds the group a record is for and proposes there, wherever it is led.
pub(crate) trait Addressee: Send + Sync + 'static {
    /// Proposes `deliver` to `target`. Errors: text; the records stay at their source.
    fn deliver(&self, target: GroupId, deliver: System) -> BoxFuture<'_, Result<Delivery, String>>;
}

/// A track whose first record was not taken the last time.
#[derive(Debug)]
pub(super) struct Held {
    reason: String,
    pause: Duration,
    until: Instant,
}

impl Held {
    /// `before`: the pause of the time before, if it was held then.
    fn again(before: Option<Duration>, reason: String) -> Self {
        let pause = before.map_or(LOOK_EVERY, |before| (before * 2).min(PAUSE_MAX));
        Self { reason, pause, until: Instant::now() + pause }
    }
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
        if group.is_at_work() {
            carry_all(&group, &*addressee).await;
        } else {
            group.0.held.lock().clear();
        }
    }
}

/// Offers every track what waits for it, some of them at once.
async fn carry_all<M: Machine>(group: &Group<M>, addressee: &dyn Addressee) {
    let tracks: Vec<_> = group.courier_status().into_iter().map(|status| status.target).collect();
    let now = Instant::now();
    let offers: Vec<_> = {
        let mut held = group.0.held.lock();
        held.retain(|track, _| tracks.binary_search(track).is_ok());
        let due = |target: &Destination| held.get(target).is_none_or(|held| held.until <= now);
        let due = tracks.into_iter().filter(|target| target.group != GroupId::OUTSIDE).filter(due);
        due.map(|target| (target, held.get(&target).map(|held| held.pause))).collect()
    };
    let carry = |(target, before): (Destination, Option<Duration>)| async move {
        match carry_one(group, addressee, target, before.is_some()).await {
            Ok(()) => {
                group.0.held.lock().remove(&target);
            }
            Err(reason) => {
                tracing::debug!(source = group.0.id.0, target = target.group.0, reason, "records wait");
                group.0.held.lock().insert(target, Held::again(before, reason));
            }
        }
    };
    futures::stream::iter(offers).for_each_concurrent(COURIER_TRACKS_AT_ONCE, carry).await;
}

/// Errors: why the first record that waits now was not taken.
async fn carry_one<M: Machine>(
    group: &Group<M>,
    addressee: &dyn Addressee,
    target: Destination,
    was_held: bool,
) -> Result<(), String> {
    let bytes_max = if was_held { 0 } else { COURIER_BYTES_MAX };
    let (records, epoch) = group
        .with_host(|host, rows| host.courier_records(target, bytes_max, rows).map(|records| (records, host.epoch())))
        .map_err(|error| error.to_string())?;
    let Some(first) = records.first().map(|record| record.sequence) else { return Ok(()) };
    let records: Vec<_> = records.into_iter().map(|record| record.bytes).collect();
    let deliver = System::Deliver { source: group.0.id, track: target.track, epoch, first, records };
    let delivery = addressee.deliver(target.group, deliver).await?;
    if delivery.applied >= first {
        let acknowledge = Command::System(System::Acknowledge { target, upto: delivery.applied });
        group.submit(RequestId::NONE, acknowledge).await.map_err(|error| error.to_string())?;
    }
    delivery.refused.map_or(Ok(()), Err)
}

/// Proposes a delivery to a group of this process, which forwards it to its leader.
pub(super) async fn deliver_to<M: Machine>(group: &Group<M>, deliver: System) -> Result<Delivery, String> {
    let text = |error: ProposeError| error.to_string();
    let answer = group.submit_anywhere(0, RequestId::NONE, Command::System(deliver), DELIVER_TIMEOUT).await;
    match answer.map_err(text)?.0 {
        Answer::Reply(reply) => Delivery::from_bytes(&reply).map_err(|error| error.to_string()),
        Answer::Refused(refusal) => Err(refusal.to_string()),
    }
}

/// What waits on one track, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The track, how many records wait, and the first of them.
    pub status: CourierStatus,
    /// Why the target did not take the first one the last time. Known where the group is led.
    pub refused: Option<String>,
}

impl<M: Machine> Group<M> {
    /// The courier's tracks that have records waiting.
    #[must_use]
    pub fn courier_waiting(&self) -> Vec<Waiting> {
        let held = self.0.held.lock();
        let reason = |status: &CourierStatus| held.get(&status.target).map(|held| held.reason.clone());
        let waiting = |status| Waiting { refused: reason(&status), status };
        self.courier_status().into_iter().map(waiting).collect()
    }
}

/// What `carry` remembers of the tracks that do not move.
pub(super) type HeldTracks = parking_lot::Mutex<BTreeMap<Destination, Held>>;
