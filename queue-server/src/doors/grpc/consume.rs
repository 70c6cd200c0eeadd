//! Consume: messages on one stream, as many as the client grants credits for.
//!
//! ```text
//!  client ──{queue, credits}──> server ── receive(min(credits, batch)) ──> messages ──> client
//!         ──{credits} ───────────^            one at a time, in slices of a second
//! ```
//!
//! Why slices: a receive that is dropped may have taken leases already. So none is ever dropped: when the client goes, the
//! one under way ends within a slice, and what it took is given back at once.
//!
//! Must never: have more messages under way than credits were granted, or hand one out to a key that was revoked meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use proto::limits::MESSAGES_PER_CALL_MAX;
use proto::queue::v1::{ConsumeReply, ConsumeRequest, Message, ReceiveRequest, ReleaseRequest};
use tonic::{Status, Streaming};

use super::entrance::Caller;
use super::failure::{DoorRefusal, door_refused};
use super::held::{Outbox, Unsent, outbox};
use super::service::locate;
use super::{receive, settle};
use crate::doors::budget::Budget;
use crate::node::Node;

/// Credits that may be open on one stream.
const CREDITS_MAX: u32 = 10_000;
/// How long one receive waits.
const SLICE_MS: u32 = 1_000;
/// Replies that wait for a client that does not read.
const REPLIES_WAITING_MAX: usize = 2;
/// Pause while so many answers wait for others that there is no room for these messages: twice as long each time, since
/// to find out they are leased, read and given back.
const ROOM_PAUSE: Duration = Duration::from_millis(100);
const ROOM_PAUSE_MAX: Duration = Duration::from_secs(2);

type Replies = Outbox<ConsumeReply>;

/// Opens the stream. Errors: the first request is missing or grants too much, or this node does not lead the queue's group.
pub(super) async fn consume(
    node: Arc<Node>,
    caller: Caller,
    answers: &Budget,
    mut requests: Streaming<ConsumeRequest>,
) -> Result<BoxStream<'static, Result<ConsumeReply, Status>>, Status> {
    let first = requests.message().await?.unwrap_or_default();
    caller.may(&first)?;
    locate(&node, &first.queue, None).await?;
    let mut grant = Grant { caller, queue: first.queue, lease_ms: first.lease_ms, credits: 0 };
    grant.add(first.credits)?;
    let (mut replies, stream) = outbox(answers, REPLIES_WAITING_MAX);
    tokio::spawn(async move {
        if let Err(status) = serve(&node, grant, requests, &mut replies).await {
            replies.end(status).await;
        }
    });
    Ok(stream)
}

/// What the first request chose, and what is granted now.
struct Grant {
    caller: Caller,
    queue: String,
    lease_ms: Option<u64>,
    credits: u32,
}

impl Grant {
    fn add(&mut self, credits: u32) -> Result<(), Status> {
        let sum = self.credits.saturating_add(credits);
        if sum > CREDITS_MAX {
            return Err(door_refused(DoorRefusal::TooManyCredits, "a stream has at most 10000 credits open"));
        }
        self.credits = sum;
        Ok(())
    }

    /// Refuses: the key was revoked, or has lost the right.
    fn ask(&self) -> Result<ReceiveRequest, Status> {
        let batch = u32::try_from(MESSAGES_PER_CALL_MAX).unwrap_or(u32::MAX);
        let ask = ReceiveRequest {
            request: None,
            queue: self.queue.clone(),
            messages_max: self.credits.min(batch),
            wait_ms: Some(SLICE_MS),
            lease_ms: self.lease_ms,
        };
        self.caller.may(&ask)?;
        Ok(ask)
    }
}

/// Serves until the client ends its side or goes. Errors: what ended the stream.
async fn serve(
    node: &Node,
    mut grant: Grant,
    mut requests: Streaming<ConsumeRequest>,
    replies: &mut Replies,
) -> Result<(), Status> {
    let mut pause = ROOM_PAUSE;
    loop {
        while grant.credits == 0 {
            match requests.message().await? {
                Some(more) => grant.add(more.credits)?,
                None => return Ok(()),
            }
        }
        let mut received = Box::pin(receive::receive(node, grant.ask()?));
        // How the client ended its side, once it has.
        let mut end = None;
        let messages = loop {
            tokio::select! {
                reply = &mut received => break reply?.messages,
                request = requests.message(), if end.is_none() => match request {
                    Ok(Some(more)) => end = grant.add(more.credits).err().map(Err),
                    Ok(None) | Err(_) => end = Some(Ok(())),
                },
            }
        };
        if let Some(end) = end {
            give_back(node, &grant.queue, &messages).await?;
            return end;
        }
        if let Err(refused) = grant.ask() {
            give_back(node, &grant.queue, &messages).await?;
            return Err(refused);
        }
        if replies.is_closed() {
            return give_back(node, &grant.queue, &messages).await;
        }
        if messages.is_empty() {
            continue;
        }
        let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        let bytes = messages.iter().map(|message| message.body.len()).sum();
        match replies.send(ConsumeReply { messages }, bytes).await {
            Ok(()) => {
                grant.credits = grant.credits.saturating_sub(count);
                pause = ROOM_PAUSE;
            }
            Err(Unsent::Gone(reply)) => return give_back(node, &grant.queue, &reply.messages).await,
            Err(Unsent::NoRoom(reply)) => {
                give_back(node, &grant.queue, &reply.messages).await?;
                // Others have them by now: bodies that waited here as well would be held many times.
                drop(reply);
                tokio::time::sleep(pause).await;
                pause = ROOM_PAUSE_MAX.min(pause * 2);
            }
        }
    }
}

/// Nobody has seen these messages: they are visible again at once, and no try has failed.
async fn give_back(node: &Node, queue: &str, messages: &[Message]) -> Result<(), Status> {
    if messages.is_empty() {
        return Ok(());
    }
    let receipts = messages.iter().map(|message| message.receipt).collect();
    let release = ReleaseRequest { request: None, queue: queue.to_owned(), receipts, delay_ms: 0, failed: false };
    settle::release(node, release).await.map(drop)
}
