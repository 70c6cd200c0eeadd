//! The group as its peers reach it: votes, appends, snapshots, forwarded proposals, introductions.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use machine::{Command, Layout as _, Machine, System, Writer};
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest};
use parking_lot::Mutex;

use super::errors::ProposeError;
use super::handle::Group;
use crate::codec;
use crate::net::{
    AppendResult, GroupPort, Hello, Incoming, ProposeAnswer, Request, Slot, Speaker, write_append_result,
    write_vote_response,
};
use crate::raft_types::{Config, Snapshot, SnapshotMeta, Vote};
use crate::state::SnapshotFile;

pub(super) struct PeerPort<M: Machine> {
    group: Group<M>,
    incoming: Mutex<Option<Incoming>>,
}

impl<M: Machine> PeerPort<M> {
    pub(super) fn new(group: Group<M>) -> Self {
        Self { group, incoming: Mutex::new(None) }
    }

    async fn answer_request(&self, speaker: Speaker, request: Request) -> Result<Bytes, String> {
        let raft = &self.group.0.raft;
        match request {
            Request::Vote(vote) => raft.vote(vote).await.map(|vote| write_vote_response(&vote)).map_err(text),
            Request::PreVote(vote) => raft.pre_vote(vote).await.map(|vote| write_vote_response(&vote)).map_err(text),
            Request::TransferLeader(transfer) if self.takes(&transfer) => {
                raft.handle_transfer_leader(transfer).await.map_err(text)?.map(|()| Bytes::new()).map_err(text)
            }
            Request::TransferLeader(_) => Err("this node is drained".to_owned()),
            Request::SnapshotOffer { id, files } => self.offer(speaker, id, files),
            Request::SnapshotChunk { id, name, offset, chunk } => self.chunk((speaker, id), &name, offset, &chunk),
            Request::SnapshotInstall { id, vote, meta } => self.install((speaker, id), vote, meta).await,
            Request::Propose { request, note, is_system, command } => {
                let command = if is_system {
                    Command::System(System::from_bytes(&command).map_err(text)?)
                } else {
                    Command::Machine(command)
                };
                let answer = self.group.submit_noted(note, request, command).await;
                Ok(propose_answer(answer, self.group.0.post.word()).to_bytes())
            }
            Request::Hello { node } => Ok(self.hello(node).to_bytes()),
            Request::ReadIndex => {
                let mut out = Writer::default();
                out.u64(self.group.read_index().await.map_err(text)?);
                Ok(out.finish())
            }
            Request::Body { body } => {
                // Who is damaged too has none to give.
                let bytes = self.group.0.state.rows.body(body).ok().flatten();
                let mut out = Writer::default();
                out.bool(bytes.is_some());
                if let Some(bytes) = bytes {
                    out.bytes(&bytes);
                }
                Ok(out.finish())
            }
            Request::Append(heartbeat) => {
                let mut answers = raft.stream_append(futures::stream::iter([heartbeat])).boxed();
                let answer = answers.next().await.ok_or("the heartbeat was not answered")?;
                answer.map(|result| write_append_result(&result)).map_err(text)
            }
        }
    }

    /// A drained node takes no lead; of one that passes to another it must hear all the same.
    fn takes(&self, transfer: &TransferLeaderRequest<Config>) -> bool {
        *transfer.to_node_id() != self.group.0.node || !self.group.0.standing.is_drained()
    }

    /// One snapshot at a time, and each in a place of its sender's: no node's bytes get among another's.
    fn offer(&self, from: Speaker, id: u64, files: Vec<SnapshotFile>) -> Result<Bytes, String> {
        let leader = self.group.leader().map(|leader| leader.node);
        let mut incoming = self.incoming.lock();
        if let Some(known) = incoming.as_ref()
            && Slot::of(known.whose(), (from, id), leader)? == Slot::GoesOn
        {
            return Ok(known.progress());
        }
        let writer = self.group.0.state.rows.receive(from.number(), id).map_err(text)?;
        let new = Incoming { from, id, files, writer };
        let progress = new.progress();
        *incoming = Some(new);
        Ok(progress)
    }

    fn chunk(&self, whose: (Speaker, u64), name: &str, offset: u64, chunk: &Bytes) -> Result<Bytes, String> {
        let mut incoming = self.incoming.lock();
        let Some(known) = incoming.as_mut().filter(|known| known.whose() == whose) else {
            return Err("no such snapshot is under way".to_owned());
        };
        if !known.files.iter().any(|file| file.name == name && offset + chunk.len() as u64 <= file.bytes) {
            return Err("the chunk lies outside the offered files".to_owned());
        }
        known.writer.write(name, offset, chunk).map_err(text)?;
        Ok(Bytes::new())
    }

    async fn install(&self, whose: (Speaker, u64), vote: Vote, meta: SnapshotMeta) -> Result<Bytes, String> {
        let taken = self.incoming.lock().take_if(|known| known.whose() == whose);
        let Incoming { files, writer, .. } = taken.ok_or("no such snapshot is under way")?;
        let data = writer.finish(&files).map_err(text)?;
        let snapshot = Snapshot { meta, snapshot: data };
        let response = self.group.0.raft.install_full_snapshot(vote, snapshot).await.map_err(text)?;
        let mut out = Writer::default();
        codec::write_vote(&mut out, &response.vote);
        Ok(out.finish())
    }

    fn hello(&self, node: u64) -> Hello {
        let metrics = self.group.0.raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let matched = metrics.replication.as_ref().and_then(|replication| replication.get(&node));
        Hello {
            is_initialized: membership.nodes().next().is_some(),
            is_voter: membership.voter_ids().any(|voter| voter == node),
            acknowledged: matched.and_then(|id| id.as_ref().map(|id| id.index)),
            wall_ms: self.group.0.clock.wall_ms(),
            known: self.group.0.state.knowledge.format,
            lineage: self.group.0.state.knowledge.ancestry.own(),
        }
    }
}

impl<M: Machine> GroupPort for PeerPort<M> {
    fn answer(&self, speaker: Speaker, request: Request) -> BoxFuture<'_, Result<Bytes, String>> {
        Box::pin(self.answer_request(speaker, request))
    }

    fn append(
        &self,
        requests: BoxStream<'static, AppendEntriesRequest<Config>>,
    ) -> BoxStream<'static, Result<AppendResult, String>> {
        // openraft's stream panics if it is polled after its end, and what carries it may do so.
        self.group.0.raft.stream_append(requests).map(|result| result.map_err(text)).fuse().boxed()
    }
}

fn propose_answer(
    result: Result<(machine::Answer, crate::raft_types::LogId), ProposeError>,
    word: u64,
) -> ProposeAnswer {
    match result {
        Ok((answer, log_id)) => ProposeAnswer::Applied { answer, log_id, word },
        Err(ProposeError::TurnedAway { word }) => ProposeAnswer::TurnedAway { word },
        Err(ProposeError::Unknown(reason)) => ProposeAnswer::Unknown(reason),
        Err(other) => ProposeAnswer::NotApplied(other.to_string()),
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
