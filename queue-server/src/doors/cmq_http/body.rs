//! Bodies of requests: read whole, within a time, a size, and a budget that all connections share.
//!
//! Must never: hold more bytes of requests than the budget, whoever sends them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::doors::cmq::{DRAIN_BYTES_MAX, ENCODED_BYTES_MAX, Said, no};

/// A body arrives within this.
const READ_MAX: Duration = Duration::from_secs(10);
/// Bytes of all bodies that are held at once.
const HELD_BYTES_MAX: usize = 256 * 1024 * 1024;

const _: () = assert!(ENCODED_BYTES_MAX * 16 < HELD_BYTES_MAX && HELD_BYTES_MAX < u32::MAX as usize);

/// The budget.
pub(super) struct Buffers {
    budget: Arc<Semaphore>,
    within: Duration,
}

/// A body that was read, and its part of the budget.
pub(super) struct Whole {
    pub(super) bytes: Bytes,
    pub(super) held: Option<OwnedSemaphorePermit>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { budget: Arc::new(Semaphore::new(HELD_BYTES_MAX)), within: READ_MAX }
    }
}

impl Buffers {
    /// Reads a body. Flaw: it is too large, too slow or broken off; the connection is of no use then.
    pub(super) async fn read(&self, body: Body) -> Said<Whole> {
        let whole = timeout(self.within, self.collect(body)).await;
        whole.ok().flatten().ok_or_else(|| no::UNREADABLE.about("request"))
    }

    async fn collect(&self, body: Body) -> Option<Whole> {
        let (mut bytes, mut held) = (BytesMut::new(), None::<OwnedSemaphorePermit>);
        let mut frames = body.into_data_stream();
        while let Some(frame) = frames.next().await {
            let frame = frame.ok()?;
            if bytes.len() + frame.len() > ENCODED_BYTES_MAX {
                drop((bytes, held));
                drain(frames).await;
                return None;
            }
            let permits = u32::try_from(frame.len()).ok()?;
            let more = Arc::clone(&self.budget).acquire_many_owned(permits).await.ok()?;
            match &mut held {
                Some(held) => held.merge(more),
                None => held = Some(more),
            }
            bytes.extend_from_slice(&frame);
        }
        Some(Whole { bytes: bytes.freeze(), held })
    }
}

/// Lets a client finish within reason, so that it reads the answer instead of a broken connection.
async fn drain(mut frames: axum::body::BodyDataStream) {
    let mut bytes = ENCODED_BYTES_MAX;
    while let Some(Ok(frame)) = frames.next().await {
        bytes += frame.len();
        if bytes > DRAIN_BYTES_MAX {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_whole_and_its_budget_given_back() {
        let buffers = Buffers::default();
        let whole = buffers.read(Body::from("a=1")).await.expect("it is small");
        assert_eq!((&whole.bytes[..], buffers.budget.available_permits()), (&b"a=1"[..], HELD_BYTES_MAX - 3));
        drop(whole);
        assert_eq!(buffers.budget.available_permits(), HELD_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused_and_holds_nothing() {
        let buffers = Buffers::default();
        let refused = buffers.read(Body::from(vec![b'x'; ENCODED_BYTES_MAX + 1])).await;
        assert_eq!(refused.err(), Some(no::UNREADABLE.about("request")));
        assert_eq!(buffers.budget.available_permits(), HELD_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let stream = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let buffers = Buffers { within: Duration::ZERO, ..Buffers::default() };
        let refused = buffers.read(Body::from_stream(stream)).await;
        assert_eq!(refused.err(), Some(no::UNREADABLE.about("request")));
    }
}
