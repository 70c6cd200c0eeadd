//! The rounds of a rewind: places from which messages come back are found, then proposed to be brought back.
//!
//! Why rounds: a place whose message has gone for good between the two is looked for anew, and a queue with very many lanes
//! takes several commands.
//!
//! Must never: go round for ever.

use machine::{RequestId, StoreFailure, TimestampMs};
use queue_core::{Command, QueueId, QueueMachine, Refusal, Reply};
use replica::{Group, ProposeError, ReadError};
use tokio::time::Instant;

/// Each round brings back what up to 1024 lanes hold.
const ROUNDS_MAX: usize = 128;

/// Why a rewind ended early. What the rounds before it brought back stays visible.
#[derive(Debug)]
pub(crate) enum RewindError {
    /// A round was not proposed, or its outcome is not known.
    Propose(ProposeError),
    /// The group cannot be read.
    Read(ReadError),
    /// Its rows cannot be read.
    Store(StoreFailure),
    /// The machine gave another reply: a refusal, or one that is a fault of this release.
    Reply(Reply),
}

/// Makes visible again what was produced since `to`. Answers: how many messages.
///
/// The first round carries the request's id; a repeat is answered from it.
pub(crate) async fn rewind(
    group: &Group<QueueMachine>,
    queue: QueueId,
    to: TimestampMs,
    request: RequestId,
    until: Instant,
) -> Result<u64, RewindError> {
    let left = || until.saturating_duration_since(Instant::now());
    let mut sum = 0_u64;
    for round in 0..ROUNDS_MAX {
        let places = group.read_anywhere(left(), |view| view.machine.rewind_places(view.rows, queue, to)).await;
        let places = places.map_err(RewindError::Read)?.map_err(RewindError::Store)?;
        if places.is_empty() && round > 0 {
            break;
        }
        let command = Command::Rewind { queue, to, places };
        let id = if round == 0 { request } else { RequestId::NONE };
        match group.propose_anywhere(id, &command, left()).await.map_err(RewindError::Propose)?.reply {
            Reply::Rewound { messages: 0 } => break,
            Reply::Rewound { messages } => sum = sum.saturating_add(messages),
            Reply::Refused(Refusal::RewindPlaceMoved) => {}
            other => return Err(RewindError::Reply(other)),
        }
    }
    Ok(sum)
}
