//! Receives that wait at an empty queue, for a send to take them along: the message is leased in the entry that brings it.
//!
//! ```text
//!  receive ──nothing is ready──> stands ──a send takes it──> [send, receive] in one entry ──> its answer
//!                                  └──its wait ends, or something became ready: withdrawn
//! ```
//! Why: else every receive that waits proposes an entry of its own once the send is applied, and all but one find nothing.
//!
//! Must never: answer a receive that was withdrawn, or withdraw one that was taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use machine::{GroupId, RequestId};
use parking_lot::Mutex;
use queue_core::{Command, QueueId, QueueMachine, Reply};
use replica::{Applied, Group, ProposeError, Rider, Riding};

/// Where it stands: by its queue, in the order they came.
type Place = (GroupId, QueueId, u64);

struct Waiting {
    rider: Rider,
    /// Messages that it takes at most.
    messages_max: usize,
}

/// All receives that stand on this node.
#[derive(Clone, Default)]
pub(crate) struct Standings(Arc<Mutex<Places>>);

#[derive(Default)]
struct Places {
    next: u64,
    waiting: BTreeMap<Place, Waiting>,
}

/// A receive that stands; withdrawn when dropped.
pub(crate) struct Standing {
    places: Standings,
    place: Place,
    riding: Riding<QueueMachine>,
}

impl Standings {
    /// Lets a receive of at most `messages_max` stand. Errors: `NotApplied`, too much waits.
    pub(crate) fn stand(
        &self,
        (group, queue): (&Group<QueueMachine>, QueueId),
        request: RequestId,
        (command, messages_max): (&Command, usize),
    ) -> Result<Standing, ProposeError> {
        let (rider, riding) = group.rider(request, command)?;
        let mut places = self.0.lock();
        places.next = places.next.wrapping_add(1);
        let place = (group.id(), queue, places.next);
        places.waiting.insert(place, Waiting { rider, messages_max });
        drop(places);
        Ok(Standing { places: self.clone(), place, riding })
    }

    /// Those whom a send of `messages` takes along: the first that came, until each message has one who takes it.
    pub(crate) fn take(&self, group: GroupId, queue: QueueId, messages: usize) -> Vec<Rider> {
        let (mut riders, mut left) = (Vec::new(), messages);
        let mut places = self.0.lock();
        while left > 0 {
            let of_queue = (group, queue, 0)..=(group, queue, u64::MAX);
            let Some(first) = places.waiting.range(of_queue).next().map(|(place, _)| *place) else { break };
            if let Some(Waiting { rider, messages_max }) = places.waiting.remove(&first)
                && !rider.is_forsaken()
            {
                left = left.saturating_sub(messages_max);
                riders.push(rider);
            }
        }
        riders
    }

    /// How many stand.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().waiting.len()
    }

    fn leave(&self, place: Place) -> bool {
        self.0.lock().waiting.remove(&place).is_some()
    }
}

impl Standing {
    /// What became of it once it was taken along; `None`: it was left behind, and may be made again.
    pub(crate) async fn done(&mut self) -> Option<Result<Applied<Reply>, ProposeError>> {
        self.riding.done().await
    }

    /// Withdraws it. `false`: it was taken along, and has an answer soon.
    pub(crate) fn withdraw(&self) -> bool {
        self.places.leave(self.place)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.places.leave(self.place);
    }
}
