//! The contract, played.
//!
//! Must never: answer a call that is on the script's list as a good node would.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use proto::outcome;
use proto::queue::v1::exchange_reply::Outcome as Reply;
use proto::queue::v1::exchange_request::Call;
use proto::queue::v1::queue_server::Queue;
use proto::queue::v1::*;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

use super::{Mind, Play, Seen};

/// The refusal of a stale receipt.
const STALE: u32 = 9;

pub(crate) struct Fake {
    pub(crate) mind: Arc<Mind>,
}

/// Why a call gets no answer.
enum Silence {
    Failed(Status),
    Broken,
}

impl Mind {
    fn see(&self, verb: &'static str, request: Option<RequestId>, numbers: Vec<u64>) -> Seen {
        Seen { verb, request: request.unwrap_or_default(), numbers, failed: false, delay_ms: 0 }
    }

    /// Writes the call down and plays what the script has for it.
    async fn act(&self, seen: Seen) -> Result<(), Silence> {
        let verb = seen.verb;
        let play = self.script.lock().get_mut(verb).and_then(std::collections::VecDeque::pop_front);
        if matches!(play, Some(Play::TakeAndHang)) {
            self.take(seen.request, usize::MAX);
        }
        self.seen.send_modify(|all| all.push(seen));
        match play {
            None => Ok(()),
            Some(Play::Fail(status)) => Err(Silence::Failed(status)),
            Some(Play::After(go)) => {
                go.notified().await;
                Ok(())
            }
            Some(Play::Break) => Err(Silence::Broken),
            Some(Play::Hang | Play::TakeAndHang) => std::future::pending().await,
        }
    }

    /// Messages for a request; the same ones when it is repeated.
    fn take(&self, request: RequestId, messages_max: usize) -> Vec<Message> {
        let mut received = self.received.lock();
        if let Some(former) = received.get(&(request.session, request.sequence)) {
            return former.clone();
        }
        let mut messages = self.messages.lock();
        let count = messages.len().min(messages_max);
        let taken: Vec<Message> = messages.drain(..count).collect();
        if !taken.is_empty() {
            received.insert((request.session, request.sequence), taken.clone());
        }
        taken
    }

    async fn receive(&self, call: ReceiveRequest) -> Result<ReceiveReply, Silence> {
        let request = call.request.unwrap_or_default();
        let mut seen = self.see("Receive", call.request, vec![call.messages_max.into()]);
        seen.delay_ms = call.wait_ms().into();
        self.act(seen).await?;
        let wait_until = Instant::now() + Duration::from_millis(call.wait_ms().into());
        loop {
            let arrived = self.arrived.notified();
            let messages = self.take(request, usize::try_from(call.messages_max).unwrap_or(usize::MAX));
            if !messages.is_empty() || timeout_at(wait_until, arrived).await.is_err() {
                return Ok(ReceiveReply { messages });
            }
        }
    }

    fn results(&self, receipts: &[u64]) -> Vec<ReceiptResult> {
        let lost = self.lost.lock();
        let result = |receipt: &u64| {
            let (refusal, text) = if lost.contains(receipt) { (STALE, "stale") } else { (0, "") };
            ReceiptResult { receipt: *receipt, refusal, text: text.to_owned(), lease_until_ms: 0 }
        };
        receipts.iter().map(result).collect()
    }

    async fn send(&self, call: SendRequest) -> Result<SendReply, Silence> {
        let request = call.request.unwrap_or_default();
        self.act(self.see("Send", call.request, vec![call.messages.len() as u64])).await?;
        if call.messages.len() > 1 && call.messages.iter().any(|message| message.body.is_empty()) || only_empty(&call) {
            return Err(Silence::Failed(outcome::refused(Code::InvalidArgument, 8, "a body is empty")));
        }
        let ids = (1..).map(|at| request.sequence * 1000 + at).take(call.messages.len()).collect();
        let durability = Some(Durability { group: request.group, term: 1, index: request.sequence, copies: 2 });
        Ok(SendReply { ids, durability, duplicates: Vec::new() })
    }

    async fn exchange(&self, call: Call) -> Result<Reply, Silence> {
        Ok(match call {
            Call::Send(call) => Reply::Send(self.send(call).await?),
            Call::Receive(call) => Reply::Receive(self.receive(call).await?),
            Call::Ack(call) => {
                self.act(self.see("Ack", call.request, call.receipts.clone())).await?;
                Reply::Ack(AckReply { results: self.results(&call.receipts) })
            }
            Call::Extend(call) => {
                self.act(self.see("Extend", call.request, call.receipts.clone())).await?;
                Reply::Extend(ExtendReply { results: self.results(&call.receipts) })
            }
            Call::Release(call) => {
                let mut seen = self.see("Release", call.request, call.receipts.clone());
                (seen.failed, seen.delay_ms) = (call.failed, call.delay_ms);
                self.act(seen).await?;
                Reply::Release(ReleaseReply { results: self.results(&call.receipts) })
            }
        })
    }
}

fn only_empty(call: &SendRequest) -> bool {
    call.messages.len() == 1 && call.messages.iter().all(|message| message.body.is_empty())
}

impl Fake {
    async fn told(&self, verb: &'static str, request: Option<RequestId>, number: u64) -> Result<(), Status> {
        self.mind.act(self.mind.see(verb, request, vec![number])).await.map_err(broken)
    }
}

/// A call outside the stream cannot be broken without its connection; a status without an outcome is the same to a client.
fn broken(silence: Silence) -> Status {
    match silence {
        Silence::Failed(status) => status,
        Silence::Broken => Status::unavailable("connection reset"),
    }
}

fn no_road<T>() -> Result<Response<T>, Status> {
    Err(Status::internal("the client sends this on the stream"))
}

#[tonic::async_trait]
impl Queue for Fake {
    async fn open_session(&self, call: Request<OpenSessionRequest>) -> Result<Response<OpenSessionReply>, Status> {
        let group = call.into_inner().group;
        self.told("OpenSession", None, group.into()).await?;
        let session = self.mind.seen.borrow().iter().filter(|seen| seen.verb == "OpenSession").count() as u64;
        Ok(Response::new(OpenSessionReply { session, group }))
    }

    async fn locate(&self, _: Request<LocateRequest>) -> Result<Response<LocateReply>, Status> {
        self.told("Locate", None, 0).await?;
        let group = *self.mind.group.lock();
        Ok(Response::new(LocateReply { group, epoch: group.into(), leader: String::new() }))
    }

    async fn create_queue(&self, call: Request<CreateQueueRequest>) -> Result<Response<CreateQueueReply>, Status> {
        self.told("CreateQueue", call.into_inner().request, 0).await?;
        Ok(Response::new(CreateQueueReply { queue_id: 1, group: *self.mind.group.lock() }))
    }

    async fn list_queues(&self, _: Request<ListQueuesRequest>) -> Result<Response<ListQueuesReply>, Status> {
        self.told("ListQueues", None, 0).await?;
        Ok(Response::new(ListQueuesReply::default()))
    }

    async fn get_queue(&self, call: Request<GetQueueRequest>) -> Result<Response<GetQueueReply>, Status> {
        self.told("GetQueue", None, 0).await?;
        Ok(Response::new(GetQueueReply { queue: call.into_inner().queue, ..GetQueueReply::default() }))
    }

    async fn set_queue_attributes(
        &self,
        call: Request<SetQueueAttributesRequest>,
    ) -> Result<Response<SetQueueAttributesReply>, Status> {
        let call = call.into_inner();
        self.told("SetQueueAttributes", call.request, 0).await?;
        Ok(Response::new(SetQueueAttributesReply { attributes: call.attributes }))
    }

    async fn delete_queue(&self, call: Request<DeleteQueueRequest>) -> Result<Response<DeleteQueueReply>, Status> {
        self.told("DeleteQueue", call.into_inner().request, 0).await?;
        Ok(Response::new(DeleteQueueReply {}))
    }

    async fn purge_queue(&self, call: Request<PurgeQueueRequest>) -> Result<Response<PurgeQueueReply>, Status> {
        self.told("PurgeQueue", call.into_inner().request, 0).await?;
        Ok(Response::new(PurgeQueueReply { purged: 7 }))
    }

    async fn send(&self, _: Request<SendRequest>) -> Result<Response<SendReply>, Status> {
        no_road()
    }

    async fn receive(&self, call: Request<ReceiveRequest>) -> Result<Response<ReceiveReply>, Status> {
        self.mind.receive(call.into_inner()).await.map(Response::new).map_err(broken)
    }

    async fn ack(&self, _: Request<AckRequest>) -> Result<Response<AckReply>, Status> {
        no_road()
    }

    async fn extend(&self, _: Request<ExtendRequest>) -> Result<Response<ExtendReply>, Status> {
        no_road()
    }

    async fn release(&self, _: Request<ReleaseRequest>) -> Result<Response<ReleaseReply>, Status> {
        no_road()
    }

    async fn peek(&self, _: Request<PeekRequest>) -> Result<Response<PeekReply>, Status> {
        self.told("Peek", None, 0).await?;
        Ok(Response::new(PeekReply::default()))
    }

    async fn confirm_half(&self, call: Request<ConfirmHalfRequest>) -> Result<Response<ConfirmHalfReply>, Status> {
        let call = call.into_inner();
        self.told("ConfirmHalf", call.request, call.commit.into()).await?;
        let done = |id| HalfResult { id, refusal: 0, text: String::new() };
        Ok(Response::new(ConfirmHalfReply { results: call.ids.into_iter().map(done).collect() }))
    }

    async fn query_half(&self, call: Request<QueryHalfRequest>) -> Result<Response<QueryHalfReply>, Status> {
        let call = call.into_inner();
        let (messages_max, wait_ms) = (call.messages_max, Some(call.wait_ms));
        let receive = ReceiveRequest { request: call.request, messages_max, wait_ms, ..ReceiveRequest::default() };
        let reply = self.mind.receive(receive).await.map_err(broken)?;
        Ok(Response::new(QueryHalfReply { messages: reply.messages }))
    }

    type ConsumeStream = Pin<Box<dyn Stream<Item = Result<ConsumeReply, Status>> + Send>>;

    async fn consume(&self, _: Request<Streaming<ConsumeRequest>>) -> Result<Response<Self::ConsumeStream>, Status> {
        Err(Status::unimplemented("the client does not consume by stream"))
    }

    type ExchangeStream = Pin<Box<dyn Stream<Item = Result<ExchangeReply, Status>> + Send>>;

    async fn exchange(
        &self,
        calls: Request<Streaming<ExchangeRequest>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let (replies, answers) = mpsc::channel(16);
        let (mut calls, mind) = (calls.into_inner(), Arc::clone(&self.mind));
        tokio::spawn(async move {
            while let Some(Ok(ExchangeRequest { correlation, call: Some(call), .. })) = calls.next().await {
                let (replies, mind) = (replies.clone(), Arc::clone(&mind));
                tokio::spawn(async move {
                    let reply = match mind.exchange(call).await {
                        Ok(reply) => Ok(reply),
                        Err(Silence::Failed(status)) => Ok(Reply::Failure(outcome::failure_of(&status))),
                        Err(Silence::Broken) => Err(Status::unavailable("connection reset")),
                    };
                    let reply = reply.map(|reply| ExchangeReply { correlation, outcome: Some(reply) });
                    // A client that has gone wants no reply.
                    let _ = replies.send(reply).await;
                });
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}
