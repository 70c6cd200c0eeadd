//! Answers that wait for callers who do not take them: so many bytes of them all, and each for so long.
//!
//! ```text
//!  unary   answer ─encode─> keep ──> caller             stream   reply ─> Outbox ──> caller
//!                            └ budget, time                                 └ budget, time
//! ```
//! Why: HTTP/2 lets a client ask for much, say that it lives, and open no window for what it asked for. What was read for
//! it would lie in memory for as long as it likes.
//!
//! Must never: hold an answer back from who takes it, or let who takes nothing have more than his time.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use hyper::body::{Body as _, Frame};
use parking_lot::Mutex;
use proto::outcome::{Hint, unknown};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tonic::Status;

use crate::doors::budget::{Budget, Holding};
use crate::doors::limits::{GRPC_ANSWER_BYTES_COUNTED, STALL_MAX};

/// Something that waits, with its part of the budget; whoever comes first takes it: its caller, or the end of its time.
struct Kept<T>(Arc<Mutex<Option<(T, Holding)>>>);

impl<T> Kept<T> {
    fn new(value: T, holding: Holding) -> Self {
        Self(Arc::new(Mutex::new(Some((value, holding)))))
    }

    fn take(&self) -> Option<(T, Holding)> {
        self.0.lock().take()
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

fn too_late() -> Status {
    unknown("the answer was not taken in time", Hint::default())
}

/// Counts the answer of a call that is no stream, and lets it wait no longer than it may. A large one for which there is no
/// room becomes `unknown`: the call may have been done.
pub(super) async fn keep(response: Response, answers: &Budget) -> Response {
    let (parts, mut rest) = response.into_parts();
    // What is to be said is encoded here, to be counted.
    let first = match std::future::poll_fn(|context| Pin::new(&mut rest).poll_frame(context)).await {
        Some(Ok(first)) => first,
        Some(Err(error)) => return Status::from_error(error.into()).into_http(),
        None => return Response::from_parts(parts, Body::empty()),
    };
    let bytes = first.data_ref().map_or(0, Bytes::len);
    let counted = if bytes < GRPC_ANSWER_BYTES_COUNTED { 0 } else { bytes };
    let Some(holding) = answers.hold(counted) else {
        return unknown("too many answers wait for their callers", Hint::default()).into_http();
    };
    let kept = Kept::new(first, holding);
    let end = (counted > 0).then(|| {
        let kept = kept.clone();
        let end = tokio::spawn(async move {
            sleep(STALL_MAX).await;
            drop(kept.take());
        });
        end.abort_handle()
    });
    Response::from_parts(parts, Body::new(Waiting { first: Some(kept), held: None, rest, end }))
}

/// The body of an answer that waits.
struct Waiting {
    first: Option<Kept<Frame<Bytes>>>,
    /// The part of what is on its way.
    held: Option<Holding>,
    rest: Body,
    end: Option<AbortHandle>,
}

impl hyper::body::Body for Waiting {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(first) = self.first.take() {
            let taken = first.take();
            return Poll::Ready(Some(match taken {
                Some((frame, holding)) => {
                    self.held = Some(holding);
                    Ok(frame)
                }
                None => Err(axum::Error::new(too_late())),
            }));
        }
        // Whoever asks for more has taken what was there.
        self.held = None;
        Pin::new(&mut self.rest).poll_frame(context)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.first.take().and_then(|first| first.take()));
        if let Some(end) = &self.end {
            end.abort();
        }
    }
}

/// A reply that was not sent.
pub(super) enum Unsent<T> {
    /// The client is gone, or takes nothing.
    Gone(T),
    /// Too many answers wait.
    NoRoom(T),
}

/// Where the replies of one stream are put.
pub(super) struct Outbox<T> {
    slots: mpsc::Sender<Result<Kept<T>, Status>>,
    /// The newest ones, to be taken back from who takes nothing.
    newest: VecDeque<Kept<T>>,
    most: usize,
    answers: Budget,
}

/// A stream of which at most `most` replies wait.
pub(super) fn outbox<T: Send + 'static>(
    answers: &Budget,
    most: usize,
) -> (Outbox<T>, BoxStream<'static, Result<T, Status>>) {
    let (slots, receiver) = mpsc::channel(most);
    let stream = futures::stream::unfold((receiver, None::<Holding>), |(mut receiver, held)| async move {
        // Whoever asks for more has taken what was there.
        drop(held);
        let slot: Result<Kept<T>, Status> = receiver.recv().await?;
        Some(match slot.map(|kept| kept.take()) {
            Ok(Some((reply, holding))) => (Ok(reply), (receiver, Some(holding))),
            Ok(None) => (Err(too_late()), (receiver, None)),
            Err(status) => (Err(status), (receiver, None)),
        })
    });
    (Outbox { slots, newest: VecDeque::new(), most, answers: answers.clone() }, stream.boxed())
}

impl<T> Outbox<T> {
    /// Puts a reply of about `bytes` into the stream. What its client has not taken after its time is dropped, all of it.
    pub(super) async fn send(&mut self, reply: T, bytes: usize) -> Result<(), Unsent<T>> {
        let Some(holding) = self.answers.hold(bytes) else { return Err(Unsent::NoRoom(reply)) };
        let slot = match timeout(STALL_MAX, self.slots.reserve()).await {
            Ok(Ok(slot)) => slot,
            Ok(Err(_)) => return Err(Unsent::Gone(reply)),
            Err(_) => {
                self.newest.drain(..).for_each(|kept| drop(kept.take()));
                return Err(Unsent::Gone(reply));
            }
        };
        let kept = Kept::new(reply, holding);
        slot.send(Ok(kept.clone()));
        self.newest.push_back(kept);
        if self.newest.len() > self.most {
            self.newest.pop_front();
        }
        Ok(())
    }

    /// Ends the stream. A client that is gone does not want to know why.
    pub(super) async fn end(&self, status: Status) {
        let _ = timeout(STALL_MAX, self.slots.send(Err(status))).await;
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.slots.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use proto::outcome::{Outcome, outcome_of};

    use super::*;

    fn answer(bytes: usize) -> Response {
        Response::new(Body::from(vec![7; bytes]))
    }

    async fn read(body: &mut axum::body::BodyDataStream) -> Option<usize> {
        body.next().await.and_then(Result::ok).map(|data| data.len())
    }

    #[tokio::test]
    async fn an_answer_is_counted_until_it_was_taken_and_beyond_the_budget_not_given() {
        let budget = Budget::new(10_000);
        let mut large = keep(answer(6_000), &budget).await.into_body().into_data_stream();
        assert_eq!(budget.held(), 6_000);
        let refused = keep(answer(5_000), &budget).await;
        let status = Status::from_header_map(refused.headers()).expect("it says why");
        assert!(matches!(outcome_of(&status), Outcome::Unknown(_)), "{status:?}");
        let mut small = keep(answer(100), &budget).await.into_body().into_data_stream();
        assert_eq!((read(&mut small).await, read(&mut small).await), (Some(100), None));
        assert_eq!(read(&mut large).await, Some(6_000));
        assert_eq!(budget.held(), 6_000, "it is on its way");
        assert_eq!((read(&mut large).await, budget.held()), (None, 0));
        drop(keep(answer(6_000), &budget).await);
        assert_eq!(budget.held(), 0, "its caller is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_is_dropped_after_its_time() {
        let budget = Budget::new(10_000);
        let mut body = keep(answer(6_000), &budget).await.into_body().into_data_stream();
        sleep(STALL_MAX * 2).await;
        assert_eq!(budget.held(), 0);
        assert!(body.next().await.is_some_and(|taken| taken.is_err()), "and its caller is told so");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_nobody_reads_holds_little_and_ends() {
        let budget = Budget::new(10_000);
        let (mut replies, mut stream) = outbox::<u8>(&budget, 2);
        assert!(replies.send(1, 3_000).await.is_ok());
        assert_eq!(stream.next().await.map(Result::ok), Some(Some(1)));
        assert_eq!(budget.held(), 3_000, "it is on its way");
        assert!(replies.send(2, 3_000).await.is_ok());
        assert!(matches!(replies.send(3, 5_000).await, Err(Unsent::NoRoom(3))));
        assert!(replies.send(4, 1_000).await.is_ok());
        assert!(matches!(replies.send(5, 1_000).await, Err(Unsent::Gone(5))), "two wait, and nobody reads");
        assert_eq!(budget.held(), 3_000, "what waited is dropped");
        assert!(stream.next().await.is_some_and(|reply| reply.is_err()), "and the client is told so");
        assert_eq!(budget.held(), 0);
    }
}
