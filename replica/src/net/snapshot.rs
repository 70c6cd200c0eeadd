//! Snapshots between nodes: offered, sent in chunks from where the last attempt ended, installed.

use std::time::Duration;

use bytes::Bytes;
use machine::{Layout as _, Reader, Writer};
use openraft::errors::{NetworkError, RPCError, StreamingError};
use openraft::raft::SnapshotResponse;

use super::message::Request;
use super::peer::{Peer, call, rpc_error};
use super::speaker::Speaker;
use super::transport::Lane;
use crate::codec;
use crate::limits::SNAPSHOT_CHUNK_BYTES;
use crate::raft_types::{Config, Snapshot, Vote};
use crate::state::{Position, SnapshotData, SnapshotFile, SnapshotWriter};

/// A snapshot that is arriving.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// Who sends it; nobody else may add to it.
    pub from: Speaker,
    pub id: u64,
    pub files: Vec<SnapshotFile>,
    pub writer: SnapshotWriter,
}

/// What becomes of a snapshot that is offered while another one is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// It is the one that is under way, and goes on.
    GoesOn,
    /// It takes the other's place.
    Takes,
}

impl Slot {
    /// Errors: text; what the leader sends is not pushed aside by another node's.
    pub(crate) fn of(known: (Speaker, u64), offered: (Speaker, u64), leader: Option<u64>) -> Result<Self, String> {
        if known == offered {
            return Ok(Self::GoesOn);
        }
        let is_leaders = leader.is_some_and(|leader| known.0 == Speaker::Node(leader));
        if known.0 != offered.0 && is_leaders {
            return Err("a snapshot of the leader is under way".to_owned());
        }
        Ok(Self::Takes)
    }
}

impl Incoming {
    /// Who sends it, and under which id: parts of anybody else are none of it.
    pub(crate) const fn whose(&self) -> (Speaker, u64) {
        (self.from, self.id)
    }

    /// What the sender may skip: the bytes already here, file by file.
    pub(crate) fn progress(&self) -> Bytes {
        let mut out = Writer::default();
        for file in &self.files {
            out.u64(self.writer.received(&file.name));
        }
        out.finish()
    }
}

pub(super) async fn send_snapshot(
    peer: &Peer,
    vote: Vote,
    snapshot: Snapshot<SnapshotData>,
    deadline: Duration,
) -> Result<SnapshotResponse<Config>, StreamingError<Config>> {
    let Snapshot { meta, snapshot } = snapshot;
    let whole = tokio::task::spawn_blocking(move || snapshot.complete()).await.map_err(failed)?.map_err(failed)?;
    let snapshot = Snapshot { meta, snapshot: whole };
    let files = snapshot.snapshot.files.clone();
    let id = snapshot_id(&snapshot);
    let progress = ask(peer, &Request::SnapshotOffer { id, files: files.clone() }, deadline).await?;
    let mut progress = Reader::new(progress);
    for file in &files {
        let mut offset = progress.u64().map_err(failed)?;
        while offset < file.bytes {
            let chunk = snapshot.snapshot.read(&file.name, offset, SNAPSHOT_CHUNK_BYTES).map_err(failed)?;
            let sent = chunk.len() as u64;
            let name = file.name.clone();
            ask(peer, &Request::SnapshotChunk { id, name, offset, chunk }, deadline).await?;
            offset += sent;
        }
    }
    // Installing opens a database and loads a machine: it may take longer than a chunk.
    let install = Request::SnapshotInstall { id, vote, meta: snapshot.meta };
    let answer = ask(peer, &install, deadline.max(Duration::from_secs(60))).await?;
    let vote = codec::read_vote(&mut Reader::new(answer)).map_err(failed)?;
    Ok(SnapshotResponse::new(vote))
}

async fn ask(peer: &Peer, request: &Request, deadline: Duration) -> Result<Bytes, StreamingError<Config>> {
    let message = request.encode(peer.group);
    let answer = call(&*peer.transport, Lane::Snapshot, &peer.address, message, deadline).await;
    answer.map_err(|error| match rpc_error(&error) {
        RPCError::Unreachable(error) => StreamingError::Unreachable(error),
        RPCError::Network(error) => StreamingError::Network(error),
        other => StreamingError::Network(NetworkError::from_string(other.to_string())),
    })
}

/// Names a snapshot by what it holds, so that a transfer resumes only with the same files.
fn snapshot_id(snapshot: &Snapshot<SnapshotData>) -> u64 {
    let position = Position { applied: snapshot.meta.last_log_id, membership: snapshot.meta.last_membership.clone() };
    let mut out = Writer::default();
    position.encode(&mut out);
    for file in &snapshot.snapshot.files {
        out.str(&file.name);
        out.u64(file.bytes);
    }
    let bytes = out.finish();
    u64::from(crc32fast::hash(&bytes)) << 32 | (bytes.len() as u64 & 0xffff_ffff)
}

fn failed(error: impl std::fmt::Display) -> StreamingError<Config> {
    StreamingError::Network(NetworkError::from_string(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_its_senders_and_the_leaders_is_not_pushed_aside() {
        let (one, two, anybody) = (Speaker::Node(1), Speaker::Node(2), Speaker::Anybody);
        let table = [
            // under way, offered, leader, outcome
            ((one, 7), (one, 7), Some(1), Some(Slot::GoesOn)),
            ((one, 7), (one, 8), Some(1), Some(Slot::Takes)),
            ((one, 7), (two, 7), Some(1), None),
            ((one, 7), (two, 8), Some(1), None),
            ((one, 7), (two, 7), Some(2), Some(Slot::Takes)),
            ((one, 7), (two, 7), None, Some(Slot::Takes)),
            ((two, 7), (one, 7), Some(1), Some(Slot::Takes)),
            ((anybody, 7), (anybody, 7), Some(1), Some(Slot::GoesOn)),
            ((anybody, 7), (anybody, 8), Some(1), Some(Slot::Takes)),
        ];
        for (known, offered, leader, expected) in table {
            assert_eq!(Slot::of(known, offered, leader).ok(), expected, "{known:?} {offered:?} {leader:?}");
        }
    }
}
