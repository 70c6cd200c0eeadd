//! Backups, for operators: a group's files as a stream.
//!
//! Must never: keep the files longer than somebody reads them.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use machine::GroupId;
use proto::admin::v1::backups_server::Backups;
use proto::admin::v1::{BackupPart, BackupRequest};
use proto::outcome::{Hint, not_applied};
use replica::GroupBackup;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::entrance::admitted;
use crate::node::Node;

/// Bytes of a part.
const PART_BYTES: usize = 1024 * 1024;
/// Parts that wait for the reader.
const PARTS_WAITING_MAX: usize = 4;

/// Answers operators.
pub(crate) struct BackupsDoor {
    node: Arc<Node>,
}

impl BackupsDoor {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

#[tonic::async_trait]
impl Backups for BackupsDoor {
    type BackupStream = BoxStream<'static, Result<BackupPart, Status>>;

    async fn backup(&self, request: Request<BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        let group = GroupId(admitted(request)?.group);
        let taken = self.node.replica().backup(group).await;
        let backup = taken.map_err(|reason| not_applied(&reason, Hint::default()))?;
        tracing::info!(group = group.0, index = backup.index, "an operator takes a backup");
        let (parts, receiver) = mpsc::channel(PARTS_WAITING_MAX);
        // Reads files: not on the threads that answer others.
        tokio::task::spawn_blocking(move || {
            if let Err(reason) = send(&backup, &parts) {
                // A reader that has left needs no reason.
                let _ = parts.blocking_send(Err(not_applied(&reason, Hint::default())));
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }
}

/// Sends every file, an empty one as one part, too; and a last part that has no file.
fn send(backup: &GroupBackup, parts: &mpsc::Sender<Result<BackupPart, Status>>) -> Result<(), String> {
    let part = |file: &str, offset, data| BackupPart {
        index: backup.index,
        hash: backup.hash.clone(),
        file: file.to_owned(),
        offset,
        data,
    };
    let gone = |_| "the reader has left".to_owned();
    for (file, bytes) in backup.files() {
        let mut offset = 0;
        loop {
            let data = backup.read(file, offset, PART_BYTES)?;
            let sent = data.len() as u64;
            parts.blocking_send(Ok(part(file, offset, data))).map_err(gone)?;
            offset += sent;
            if offset >= bytes || sent == 0 {
                break;
            }
        }
    }
    parts.blocking_send(Ok(part("", 0, bytes::Bytes::new()))).map_err(gone)
}
