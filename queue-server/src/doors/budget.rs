//! A budget of bytes: of what calls under way have brought, streams not counted; and of what their answers hold.
//!
//! Why: a call is decoded when it is whole. Without a budget, many large calls that never become whole would fill memory.
//!
//! Must never: make a call wait for room. One that finds none was surely not applied, and its caller comes back.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use proto::outcome::{Hint, not_applied};
use tonic::Status;

/// A caller that found no room comes back after this.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Bytes that are held, of at most so many.
#[derive(Clone)]
pub(crate) struct Budget {
    held: Arc<AtomicUsize>,
    most: usize,
}

/// A part of a budget; given back when dropped.
pub(crate) struct Holding {
    budget: Budget,
    bytes: usize,
}

/// A call's body, and its part of the budget; given back when the call has been decoded or dropped.
pub(crate) struct Metered {
    body: Body,
    budget: Budget,
    held: usize,
}

impl Budget {
    pub(crate) fn new(most: usize) -> Self {
        Self { held: Arc::default(), most }
    }

    /// A part of it. `None`: so much is not left.
    pub(crate) fn hold(&self, bytes: usize) -> Option<Holding> {
        self.take(bytes).then(|| Holding { budget: self.clone(), bytes })
    }

    /// A part of it for an answer that is to be made. Errors: not applied, with a time to come back after.
    pub(super) fn room(&self, bytes: usize) -> Result<Holding, Status> {
        let hint = Hint { retry_after: Some(RETRY_AFTER), ..Hint::default() };
        let refused = || not_applied("too many answers wait for their callers; come back later", hint);
        self.hold(bytes).ok_or_else(refused)
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.most);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.budget.give(self.bytes);
    }
}

impl Metered {
    pub(crate) fn new(body: Body, budget: &Budget) -> Self {
        Self { body, budget: budget.clone(), held: 0 }
    }
}

impl hyper::body::Body for Metered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(Status::from_error(error.into())))),
            None => return Poll::Ready(None),
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        if !self.budget.take(bytes) {
            let hint = Hint { retry_after: Some(RETRY_AFTER), ..Hint::default() };
            return Poll::Ready(Some(Err(not_applied("too much is under way; come back later", hint))));
        }
        self.held += bytes;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.budget.give(self.held);
    }
}

#[cfg(test)]
mod tests {
    use crate::doors::limits::GRPC_HELD_BYTES_MAX;
    use futures::StreamExt as _;
    use proto::outcome::{Outcome, outcome_of};

    use super::*;

    async fn read(body: &mut axum::body::BodyDataStream) -> Option<Result<usize, Outcome>> {
        let frame = body.next().await?;
        Some(frame.map(|frame| frame.len()).map_err(|error| outcome_of(&Status::from_error(error.into()))))
    }

    #[tokio::test]
    async fn bytes_are_held_while_the_call_is_and_beyond_the_budget_it_is_sent_away() {
        let budget = Budget::new(GRPC_HELD_BYTES_MAX);
        let metered = |bytes: usize| Body::new(Metered::new(Body::from(vec![0; bytes]), &budget)).into_data_stream();
        let mut one = metered(10);
        assert_eq!(read(&mut one).await, Some(Ok(10)));
        assert_eq!(budget.held(), 10);
        assert!(budget.take(GRPC_HELD_BYTES_MAX - 10));
        let sent_away = read(&mut metered(1)).await;
        assert!(matches!(sent_away, Some(Err(Outcome::NotApplied(_)))), "{sent_away:?}");
        drop(one);
        assert_eq!(read(&mut metered(1)).await, Some(Ok(1)));
    }

    #[test]
    fn a_call_is_not_begun_without_room_for_its_answer() {
        let budget = Budget::new(100);
        let held = budget.hold(60);
        assert!(budget.room(40).is_ok());
        let Err(refused) = budget.room(41) else { panic!("there is no room") };
        assert!(matches!(outcome_of(&refused), Outcome::NotApplied(Hint { retry_after: Some(_), .. })), "{refused:?}");
        drop(held);
        assert!(budget.room(100).is_ok());
    }
}
