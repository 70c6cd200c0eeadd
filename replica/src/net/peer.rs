//! The client side: openraft's requests to one peer, as messages on a transport.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use machine::{DecodeError, GroupId};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::BasicNode;
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use tokio::time::{Instant, sleep_until};

use super::message::{Request, read_answer, read_append_result, read_vote_response};
use super::pace::{CatchUp, Load, Pace};
use super::snapshot::send_snapshot;
use super::transport::{Lane, Transport, TransportError};
use crate::codec;
use crate::raft_types::{Config, Snapshot, Vote};
use crate::state::SnapshotData;

/// Between two attempts to reach a dead peer: short, so that one that comes back catches up soon.
const BACK_OFF: Duration = Duration::from_millis(100);

/// A heartbeat that has not arrived after this tells nothing any more.
const HEARTBEAT_MAX: Duration = Duration::from_millis(500);

/// Makes a [`Peer`] for each member of a group.
pub(crate) struct Peers {
    pub group: GroupId,
    pub transport: Arc<dyn Transport>,
    /// The last entry of this node's own log of the group.
    pub tip: Arc<AtomicU64>,
    pub catch_up: Arc<CatchUp>,
}

impl Peers {
    fn peer(&self, lane: Lane, target: u64, node: &BasicNode) -> Peer {
        self.transport.meet(target, &node.addr);
        let (tip, catch_up) = (Arc::clone(&self.tip), Arc::clone(&self.catch_up));
        let (transport, address) = (Arc::clone(&self.transport), node.addr.clone());
        Peer { group: self.group, lane, address, transport, tip, catch_up }
    }
}

impl RaftNetworkFactory<Config> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        self.peer(Lane::Log, target, node)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        self.peer(Lane::Control, target, node)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        self.peer(Lane::Snapshot, target, node)
    }
}

/// One peer, for one group and one lane.
pub(crate) struct Peer {
    pub(super) group: GroupId,
    lane: Lane,
    pub(super) address: String,
    pub(super) transport: Arc<dyn Transport>,
    tip: Arc<AtomicU64>,
    catch_up: Arc<CatchUp>,
}

/// Sends a request and waits at most `deadline` for the body of its answer.
pub(crate) async fn call(
    transport: &dyn Transport,
    lane: Lane,
    address: &str,
    request: Bytes,
    deadline: Duration,
) -> Result<Bytes, TransportError> {
    let broken = |reason: String| TransportError::Broken { address: address.to_owned(), reason };
    match tokio::time::timeout(deadline, transport.call(lane, address, request)).await {
        Ok(answer) => read_answer(answer?).map_err(broken),
        Err(_) => Err(broken(format!("no answer within {} ms", deadline.as_millis()))),
    }
}

impl Peer {
    async fn ask(&self, request: &Request, option: &RPCOption) -> Result<Bytes, RPCError<Config>> {
        // Votes and transfers must not queue behind entries.
        let answer =
            call(&*self.transport, Lane::Control, &self.address, request.encode(self.group), option.hard_ttl()).await;
        answer.map_err(|error| rpc_error(&error))
    }

    /// Sends a heartbeat on its way. openraft gives one up after an interval, long before a peer without CPU has looked at
    /// it, and what it drops would not arrive: so the message travels in a task of its own.
    async fn heartbeat(
        &self,
        heartbeat: AppendEntriesRequest<Config>,
    ) -> Result<StreamAppendResult<Config>, RPCError<Config>> {
        let message = Request::Append(heartbeat).encode(self.group);
        let (transport, address) = (Arc::clone(&self.transport), self.address.clone());
        let sent =
            tokio::spawn(async move { call(&*transport, Lane::Control, &address, message, HEARTBEAT_MAX).await });
        let body = sent.await.map_err(|error| network_error(error.to_string()))?.map_err(|error| rpc_error(&error))?;
        read_append_result(body).map_err(bad_answer)
    }
}

fn load(append: &AppendEntriesRequest<Config>, tip: u64) -> Load {
    let bytes = append.entries.iter().map(|entry| codec::payload_bytes(entry) as u64).sum();
    let committed = append.leader_commit.as_ref().map_or(0, |id| id.index);
    let last = append.entries.last().map_or(committed, |entry| entry.log_id.index);
    Load { bytes, entries: append.entries.len() as u64, last, committed, tip }
}

impl RaftNetworkV2<Config> for Peer {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Config>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Config>, RPCError<Config>> {
        let input = futures::stream::iter([rpc]);
        let mut answers = self.stream_append(input, option).await?;
        let lost = || RPCError::Network(NetworkError::from_string("the append stream ended without an answer"));
        answers.next().await.ok_or_else(lost)?.map(AppendEntriesResponse::from)
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<StreamAppendResult<Config>, RPCError<Config>>>, RPCError<Config>>>
    where
        S: Stream<Item = AppendEntriesRequest<Config>> + OptionalSend + Unpin + 'static,
    {
        let (group, tip, pace) = (self.group, Arc::clone(&self.tip), Pace::new(Arc::clone(&self.catch_up)));
        Box::pin(async move {
            // openraft waits out its back-off inside the input: a stream opened before its first request would try a dead
            // peer again at once, thousands of times a second.
            // It may end before its first request, and must not be polled after that.
            let mut input = input.fuse();
            let first = input.next().await;
            if let (Lane::Control, Some(heartbeat)) = (self.lane, &first) {
                let answer = self.heartbeat(heartbeat.clone()).await?;
                return Ok(futures::stream::iter([Ok(answer)]).boxed());
            }
            let requests = futures::stream::iter(first).chain(input);
            let paced = requests.scan(pace, move |pace, append| {
                let due = pace.due(load(&append, tip.load(Ordering::Relaxed)), Instant::now());
                async move {
                    // Most are due at once, and a timer has its price.
                    if due > Instant::now() {
                        sleep_until(due).await;
                    }
                    Some(append)
                }
            });
            let messages = paced.map(move |append| Request::Append(append).pack(group)).boxed();
            let opened = self.transport.stream(self.lane, &self.address, messages);
            let answers = opened.await.map_err(|error| rpc_error(&error))?;
            let read = |answer: Result<Bytes, TransportError>| {
                let body = read_answer(answer.map_err(|error| rpc_error(&error))?).map_err(network_error)?;
                read_append_result(body).map_err(bad_answer)
            };
            Ok(answers.map(read).boxed())
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Config>,
        option: RPCOption,
    ) -> Result<VoteResponse<Config>, RPCError<Config>> {
        read_vote_response(self.ask(&Request::Vote(rpc), &option).await?).map_err(bad_answer)
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Config>,
        option: RPCOption,
    ) -> Result<VoteResponse<Config>, RPCError<Config>> {
        read_vote_response(self.ask(&Request::PreVote(rpc), &option).await?).map_err(bad_answer)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Config>, StreamingError<Config>> {
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = send_snapshot(self, vote, snapshot, option.hard_ttl()) => sent,
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(BACK_OFF)))
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<Config>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Config>, RPCError<Config>> {
        self.ask(&Request::TransferLeader(req), &option).await.map(|_| Ok(()))
    }
}

/// Unreachable peers are backed off from; a broken connection is tried again at once.
pub(super) fn rpc_error(error: &TransportError) -> RPCError<Config> {
    match error {
        TransportError::Unreachable { .. } => RPCError::Unreachable(Unreachable::new(error)),
        TransportError::Broken { .. } => RPCError::Network(NetworkError::new(error)),
    }
}

fn network_error(text: String) -> RPCError<Config> {
    RPCError::Network(NetworkError::from_string(text))
}

fn bad_answer(error: DecodeError) -> RPCError<Config> {
    RPCError::Network(NetworkError::from_string(format!("the peer's answer does not decode: {error}")))
}
