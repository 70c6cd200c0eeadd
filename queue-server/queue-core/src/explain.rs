//! Explain: where a message is now, whether or not anything was written down about it.
//!
//! Costs: memory holds ids as runs, so finding one looks at every run of the queues, its queue of birth first; runs grow
//! with how ragged a queue is, not with how long. A leased one costs a look at every lease of its queue. Delayed messages
//! are rows in the order of their times, so at most 1,000 of them are read.
//!
//! Must never: guess. What was not looked at to the end is said to be incomplete.

use machine::{RowSource, StoreFailure};

use crate::ids::{MessageId, QueueId};
use crate::keys;
use crate::limits::SEARCH_ROWS_MAX;
use crate::peek::{PeekState, Peeked, Seen, read_delayed_from, seen};
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::relocate::Stall;
use crate::tries::Tries;

/// What is known of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Where it is; `None`: in no queue of this machine, as far as was looked.
    pub found: Option<Explained>,
    /// Whether all was looked at; if not, it may be one of the later delayed messages.
    pub is_complete: bool,
}

/// Where a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The queue.
    pub queue: QueueId,
    /// Its state.
    pub state: PeekState,
    /// Its place; `None`: it has none yet.
    pub place: Option<u64>,
    /// The message, its tries, and when its state ends; its origin tells where it came from.
    pub message: Peeked,
    /// Why dead letters of its queue cannot move, if they cannot.
    pub stall: Option<Stall>,
}

impl QueueMachine {
    /// Where the message `id` is. Errors: the store failed, or a row is damaged.
    pub fn explain(&self, rows: &dyn RowSource, id: MessageId) -> Result<Explanation, StoreFailure> {
        let birth = id.birth_queue();
        let others = self.queues.keys().copied().filter(|queue| *queue != birth);
        for queue in std::iter::once(birth).chain(others).filter_map(|queue| self.live(queue)) {
            if let Some(found) = self.explain_in(rows, queue, id)? {
                return Ok(Explanation { found: Some(found), is_complete: true });
            }
        }
        let Some(queue) = self.live(birth) else { return Ok(Explanation { found: None, is_complete: true }) };
        let from = keys::delayed_epoch(queue.id, queue.counters.delay_epoch);
        let delayed = read_delayed_from(rows, queue, &from, SEARCH_ROWS_MAX)?;
        let is_complete = delayed.len() < SEARCH_ROWS_MAX;
        let found = delayed.into_iter().find(|delayed| delayed.message.id == id);
        let found = found.map(|message| explained(queue, PeekState::Delayed, None, message));
        Ok(Explanation { is_complete: is_complete || found.is_some(), found })
    }

    fn explain_in(
        &self,
        rows: &dyn RowSource,
        queue: &Queue,
        id: MessageId,
    ) -> Result<Option<Explained>, StoreFailure> {
        if let Some(half) = queue.halves.get(id) {
            let message = self.read_halves(rows, queue.id, &[(id, half.next)])?.pop();
            return Ok(message.map(|message| explained(queue, PeekState::Half, None, message)));
        }
        for seq in queue.places.places_of(id) {
            let Some((state, seen)) = standing(queue, seq) else { continue };
            let message = self.read_seen(rows, queue.id, vec![seen])?.pop();
            if let Some(message) = message {
                return Ok(Some(explained(queue, state, Some(seq), message)));
            }
        }
        Ok(None)
    }
}

fn explained(queue: &Queue, state: PeekState, place: Option<u64>, message: Peeked) -> Explained {
    Explained { queue: queue.id, state, place, message, stall: queue.counters.stall }
}

/// The state of the message at `seq`, if one is there.
fn standing(queue: &Queue, seq: u64) -> Option<(PeekState, Seen)> {
    if queue.is_visible(seq) {
        let tries = queue.tries(seq);
        return Some((PeekState::Visible, Seen { seq, tries, until: None }));
    }
    if queue.done.contains(seq) {
        return Some((PeekState::Rewindable, Seen { seq, tries: Tries::default(), until: None }));
    }
    let lease = queue.leases.iter().map(|(_, lease)| lease).find(|lease| lease.seq == seq)?;
    Some((if lease.is_parked { PeekState::Delayed } else { PeekState::Leased }, seen(lease)))
}
