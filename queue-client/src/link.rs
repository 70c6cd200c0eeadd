//! The link: one Exchange stream to one node, with many calls under way.
//!
//! ```text
//!  call ──correlation──> calls ══ stream ══> node
//!   ^                                          │
//!   └── oneshot <── waiting[correlation] <═════┘  in any order
//! ```
//!
//! Why: a call of its own costs an HTTP/2 stream and its headers; on the link it costs one frame.
//!
//! Must never: say "not applied" of a call that was handed to the stream.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use proto::outcome::{self, Hint};
use proto::queue::v1::exchange_reply::Outcome as Reply;
use proto::queue::v1::exchange_request::Call;
use proto::queue::v1::queue_client::QueueClient;
use proto::queue::v1::{ExchangeReply, ExchangeRequest};
use proto::traces;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::limits::{CALL_BYTES_MAX, STREAM_BACKLOG};
use crate::node::Signed;

/// An open stream.
#[derive(Debug)]
pub(crate) struct Link {
    calls: mpsc::Sender<ExchangeRequest>,
    waiting: Arc<Waiting>,
}

impl Link {
    /// Opens the stream. Errors: the stream could not be opened; no call was handed to it.
    pub(crate) async fn open(mut client: QueueClient<Signed>) -> Result<Self, Status> {
        let (calls, backlog) = mpsc::channel(STREAM_BACKLOG);
        let replies = client.exchange(ReceiverStream::new(backlog)).await?.into_inner();
        let waiting = Arc::new(Waiting::default());
        tokio::spawn(read(replies, Arc::clone(&waiting)));
        Ok(Self { calls, waiting })
    }

    /// Whether the stream has ended.
    pub(crate) fn is_broken(&self) -> bool {
        self.waiting.0.lock().is_broken
    }

    /// Makes a call and waits for its answer, or until `until`.
    pub(crate) async fn call(&self, call: Call, until: Instant) -> Result<Reply, Status> {
        if call.encoded_len() > CALL_BYTES_MAX {
            return Err(outcome::refused(Code::OutOfRange, outcome::CALL_TOO_LARGE, "the call is too large"));
        }
        let Some((correlation, answer)) = self.waiting.register() else {
            return Err(outcome::not_applied("the stream has ended", Hint::default()));
        };
        let _registration = Registration { waiting: &self.waiting, correlation };
        // Messages that are sent say it themselves, each for itself.
        let traceparent = if matches!(call, Call::Send(_)) { String::new() } else { traces::line() };
        let request = ExchangeRequest { correlation, call: Some(call), traceparent };
        match timeout_at(until, self.calls.send(request)).await {
            Ok(Ok(())) => {}
            // What a channel does not take was not sent.
            Ok(Err(_)) => return Err(outcome::not_applied("the stream has ended", Hint::default())),
            Err(_) => return Err(outcome::not_applied("the stream is full", Hint::default())),
        }
        match timeout_at(until, answer).await {
            Ok(Ok(Ok(Reply::Failure(failure)))) => Err(outcome::status_of(&failure)),
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Err(outcome::unknown("the stream has ended", Hint::default())),
            Err(_) => Err(outcome::unknown("no answer in time", Hint::default())),
        }
    }
}

/// Calls that wait for their answers.
#[derive(Debug, Default)]
struct Waiting(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    last: u64,
    open: HashMap<u64, oneshot::Sender<Result<Reply, Status>>>,
    is_broken: bool,
}

impl Waiting {
    /// A place for an answer; `None` once the stream has ended.
    fn register(&self) -> Option<(u64, oneshot::Receiver<Result<Reply, Status>>)> {
        let mut calls = self.0.lock();
        if calls.is_broken {
            return None;
        }
        calls.last += 1;
        let correlation = calls.last;
        let (sender, receiver) = oneshot::channel();
        calls.open.insert(correlation, sender);
        Some((correlation, receiver))
    }

    fn answer(&self, reply: ExchangeReply) {
        let waiter = self.0.lock().open.remove(&reply.correlation);
        let (Some(waiter), Some(answer)) = (waiter, reply.outcome) else { return };
        // The caller may have given up; then nobody wants the answer.
        let _ = waiter.send(Ok(answer));
    }

    /// The stream has ended: what was handed to it may have happened.
    fn end(&self, reason: &str) {
        let open = {
            let mut calls = self.0.lock();
            calls.is_broken = true;
            std::mem::take(&mut calls.open)
        };
        for waiter in open.into_values() {
            let _ = waiter.send(Err(outcome::unknown(reason, Hint::default())));
        }
    }
}

/// Takes a call out of the waiting ones when its caller is gone.
struct Registration<'a> {
    waiting: &'a Waiting,
    correlation: u64,
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.waiting.0.lock().open.remove(&self.correlation);
    }
}

/// Hands out answers until the stream ends.
async fn read(mut replies: Streaming<ExchangeReply>, waiting: Arc<Waiting>) {
    loop {
        match replies.message().await {
            Ok(Some(reply)) => waiting.answer(reply),
            Ok(None) => return waiting.end("the node ended the stream"),
            Err(status) => return waiting.end(status.message()),
        }
    }
}
