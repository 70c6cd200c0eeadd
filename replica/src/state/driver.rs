//! The apply loop: committed entries through the machine, one row batch per chunk, then the answers.
//!
//! ```text
//!  committed entries ─ ready chunk ─> Host::apply ─> RowEngine::commit ─> answers, then `applied` moves
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use machine::{Host, LogIndex, Machine};
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use parking_lot::Mutex;

use super::engine::Position;
use super::shared::Applied;
use super::snapshot::SnapshotData;
use crate::codec;
use crate::log::GroupLog;
use crate::raft_types::{Answers, Config, Entry, LogId, Snapshot, SnapshotMeta, StoredMembership};

/// Entries applied with one row batch.
const CHUNK: usize = 256;

/// Applies a group's entries. Built once per group and handed to openraft.
pub(crate) struct Driver<M: Machine> {
    state: Arc<Applied<M>>,
    log: GroupLog,
    current: Arc<Mutex<Option<Snapshot<SnapshotData>>>>,
}

impl<M: Machine> Driver<M> {
    pub(crate) fn new(state: Arc<Applied<M>>, log: GroupLog) -> Self {
        Self { state, log, current: Arc::new(Mutex::new(None)) }
    }

    /// Applies entries of which nobody waits for the answers. False: the group is parked at one of them.
    pub(crate) fn replay(&self, entries: Vec<Entry>) -> io::Result<bool> {
        let count = entries.len();
        Ok(self.apply_chunk(entries)?.len() == count)
    }

    fn builder(&self) -> Builder<M> {
        Builder { state: Arc::clone(&self.state), log: self.log.clone(), current: Arc::clone(&self.current) }
    }

    /// Applies a chunk and commits it. Returns what to answer, entry by entry; fewer answers than entries mean that the
    /// group is parked at the first entry without one.
    fn apply_chunk(&self, chunk: Vec<Entry>) -> io::Result<Vec<Answers>> {
        let commands: Vec<(LogIndex, Bytes)> = chunk.iter().filter_map(command_of).collect();
        let mut host = self.state.host.write();
        let outcome = match commands.is_empty() {
            true => None,
            false => Some(host.apply(&commands, &*self.state.rows).map_err(io::Error::other)?),
        };
        self.state.note_format(host.format())?;
        let parked = outcome.as_ref().and_then(|outcome| outcome.parked.clone());
        let (rows, answers) = outcome.map_or((None, Vec::new()), |outcome| (Some(outcome.rows), outcome.answers));
        let (mut position, mut bytes) = (self.state.position.lock().clone(), 0);
        let (mut replies, mut answers) = (Vec::with_capacity(chunk.len()), answers.into_iter());
        for entry in chunk {
            if parked.as_ref().is_some_and(|parked| entry.log_id.index >= parked.index.0) {
                break;
            }
            bytes += codec::payload_bytes(&entry) as u64;
            position.applied = Some(entry.log_id);
            replies.push(match entry.payload {
                EntryPayload::Normal(_) => Answers(answers.next().unwrap_or_default()),
                EntryPayload::Blank => Answers::default(),
                EntryPayload::Membership(membership) => {
                    position.membership = StoredMembership::new(Some(entry.log_id), membership);
                    Answers::default()
                }
            });
        }
        if !replies.is_empty() {
            self.state.rows.commit(rows.as_ref(), &commands, &position).map_err(io::Error::other)?;
        }
        if let Some(parked) = parked {
            tracing::error!(group = self.state.group.0, index = parked.index.0, error = %parked.error,
                "the group is parked: a committed entry cannot be applied by this release");
            *self.state.parked.lock() = Some(parked);
        }
        self.state.unflushed_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.state.index.send_replace(position.applied.as_ref().map_or(0, |id| id.index));
        *self.state.position.lock() = position;
        Ok(replies)
    }
}

fn command_of(entry: &Entry) -> Option<(LogIndex, Bytes)> {
    let EntryPayload::Normal(payload) = &entry.payload else { return None };
    Some((LogIndex(entry.log_id.index), payload.0.clone()))
}

impl<M: Machine> RaftStateMachine<Config> for Driver<M> {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder<M>;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let position = self.state.position.lock().clone();
        Ok((position.applied, position.membership))
    }

    async fn apply<S>(&mut self, entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Config>, io::Error>> + Unpin + OptionalSend,
    {
        let mut chunks = entries.ready_chunks(CHUNK);
        while let Some(chunk) = chunks.next().await {
            let mut entries = Vec::with_capacity(chunk.len());
            let mut responders: Vec<Option<ApplyResponder<Config>>> = Vec::with_capacity(chunk.len());
            for item in chunk {
                let (entry, responder) = item?;
                entries.push(entry);
                responders.push(responder);
            }
            // Rows name bodies in this replica's own log: what they name must outlive a power cut as they do.
            if let Some(last) = entries.last() {
                self.log.durable(last.log_id.index).await?;
            }
            let answers = self.apply_chunk(entries)?;
            let is_parked = answers.len() < responders.len();
            for (responder, answer) in responders.into_iter().zip(answers) {
                if let Some(responder) = responder {
                    responder.send(answer);
                }
            }
            if is_parked {
                // Nothing is applied or answered from here on, and the replica stays up to say so.
                return std::future::pending().await;
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.builder()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotData) -> Result<(), io::Error> {
        let mut host = self.state.host.write();
        self.state.rows.install(&snapshot).map_err(io::Error::other)?;
        let known = self.state.knowledge.format;
        *host = Host::load(self.state.group, &*self.state.rows, known).map_err(io::Error::other)?;
        self.state.note_format(host.format())?;
        let position = Position { applied: meta.last_log_id, membership: meta.last_membership.clone() };
        *self.state.position.lock() = position;
        self.state.settled.fetch_max(meta.last_log_id.as_ref().map_or(0, |id| id.index), Ordering::Relaxed);
        self.state.index.send_replace(meta.last_log_id.as_ref().map_or(0, |id| id.index));
        *self.current.lock() = Some(Snapshot { meta: meta.clone(), snapshot });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<SnapshotData>>, io::Error> {
        let held = self.current.lock().clone().filter(|held| !held.snapshot.has_failed());
        let nothing_applied = self.state.position.lock().applied.is_none();
        if held.is_some() || nothing_applied {
            return Ok(held);
        }
        // It is asked for at a start, and by a follower that waits: what lies in the log is left there.
        self.builder().build(0).await.map(Some)
    }
}

/// Flushes the rows and keeps a copy of them: what lets the log be purged, and what a follower far behind is sent.
pub(crate) struct Builder<M: Machine> {
    state: Arc<Applied<M>>,
    log: GroupLog,
    current: Arc<Mutex<Option<Snapshot<SnapshotData>>>>,
}

impl<M: Machine> RaftSnapshotBuilder<Config> for Builder<M> {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<Snapshot<SnapshotData>, io::Error> {
        let applied = self.state.position.lock().applied.as_ref().map_or(0, |id| id.index);
        let keep = self.state.keep.load(Ordering::Relaxed);
        let behind = if self.state.is_to_settle(&self.log) { self.state.kept_behind(&self.log) } else { 0 };
        let snapshot = self.build(behind.min(applied).max(applied.saturating_sub(keep))).await?;
        // Another wish that came meanwhile stands.
        let _ = self.state.keep.compare_exchange(keep, u64::MAX, Ordering::Relaxed, Ordering::Relaxed);
        Ok(snapshot)
    }
}

impl<M: Machine> Builder<M> {
    /// Flushes the rows, when the bodies of entries up to `upto` have been moved out of the log.
    async fn build(&self, upto: u64) -> Result<Snapshot<SnapshotData>, io::Error> {
        let rows = Arc::clone(&self.state.rows);
        self.state.unflushed_bytes.store(0, Ordering::Relaxed);
        let settled = self.state.settled.load(Ordering::Relaxed);
        let flush = move || {
            if upto > settled {
                rows.settle(upto)?;
            }
            rows.checkpoint()
        };
        let flushed = tokio::task::spawn_blocking(flush).await.map_err(io::Error::other)?;
        let (position, data) = flushed.map_err(io::Error::other)?;
        self.state.settled.fetch_max(upto, Ordering::Relaxed);
        let snapshot = Snapshot { meta: position.meta(), snapshot: data };
        *self.current.lock() = Some(snapshot.clone());
        Ok(snapshot)
    }
}
