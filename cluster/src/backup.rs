//! Backups: every group of the queue, copied from a replica that does not lead it, with the hash of each file and of all rows.
//!
//! ```text
//!  OUT/manifest.json     format, groups, indexes, hashes of rows
//!  OUT/group-N/…         the files of a group
//! ```
//!
//! Must never: name a backup complete before every file is on the disk; the manifest is written last.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use proto::admin::v1::backups_client::BackupsClient;
use proto::admin::v1::{BackupPart, BackupRequest, Role};
use serde_json::{Value, json};

use crate::admin::{self, View};
use crate::error::Error;
use crate::file::{Kind, NodeEntry};
use crate::link;
use crate::reach::Reach;
use crate::screen::{self, Progress};

/// What the manifest says it is.
const FORMAT: &str = "tercet-backup-1";
/// Most bytes of a message of the stream.
const PART_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Writes a backup into a folder that is not there yet.
pub(crate) async fn backup(reach: &Reach, out: &Path) -> Result<bool, Error> {
    if out.exists() {
        return Err(Error::Impossible(format!("{} is there already", out.display())));
    }
    let cluster = reach.cluster().await?;
    let nodes = cluster.of(Kind::Queue);
    let views = admin::look(nodes).await;
    let mut groups: Vec<u32> = replicas(&views).map(|(_, group, _)| group).collect();
    groups.sort_unstable();
    groups.dedup();
    if groups.is_empty() {
        return Err(Error::Impossible("no node answers".to_owned()));
    }
    let mut progress = Progress::new();
    let mut written: Vec<Value> = Vec::new();
    for group in groups {
        let entry = source(nodes, &views, group)?;
        written.push(copy(entry, group, &out.join(format!("group-{group}")), &mut progress).await?);
    }
    drop(progress);
    let manifest = out.join("manifest.json");
    let text = format!("{:#}\n", json!({"format": FORMAT, "groups": written}));
    let mut file = File::create(&manifest).map_err(Error::on(&manifest))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::on(&manifest))?;
    screen::out(&format!("{}: {} groups", out.display(), written.len()));
    Ok(true)
}

/// Every replica: node, group, role.
fn replicas(views: &[View]) -> impl Iterator<Item = (&str, u32, Role)> {
    let up = views.iter().filter_map(|view| Some((view.node.as_str(), view.answer.as_ref().ok()?)));
    up.flat_map(|(node, status)| status.groups.iter().map(move |group| (node, group.group, group.role())))
}

/// Whom to ask: a follower, for taking a copy holds up whoever applies; else the leader.
fn source<'a>(nodes: &'a [NodeEntry], views: &[View], group: u32) -> Result<&'a NodeEntry, Error> {
    let of = |wanted: Role| replicas(views).find(|(_, id, role)| *id == group && *role == wanted);
    let found = of(Role::Follower).or_else(|| of(Role::Leader)).map(|(node, _, _)| node);
    let entry = found.and_then(|name| nodes.iter().find(|entry| entry.node == name));
    entry.ok_or_else(|| Error::Impossible(format!("group {group}: no replica of it is up")))
}

/// Copies a group's files; what the manifest shall say of it.
async fn copy(entry: &NodeEntry, group: u32, folder: &Path, progress: &mut Progress) -> Result<Value, Error> {
    fs::create_dir_all(folder).map_err(Error::on(folder))?;
    let failed = |status: tonic::Status| Error::call::<&str>(&format!("group {group}"))(status.message());
    let client = BackupsClient::new(link::signed(&entry.grpc)?);
    let mut client = client.max_decoding_message_size(PART_BYTES_MAX);
    let mut parts = client.backup(BackupRequest { group }).await.map_err(failed)?.into_inner();
    let mut bytes = 0;
    while let Some(part) = parts.message().await.map_err(failed)? {
        if part.file.is_empty() {
            let hash: String = part.hash.iter().map(|byte| format!("{byte:02x}")).collect();
            progress.note(&format!("group {group}: {bytes} bytes at index {} from node {}", part.index, entry.node));
            return Ok(json!({"group": group, "index": part.index, "hash": hash, "node": entry.node}));
        }
        bytes += part.data.len() as u64;
        write(folder, &part)?;
        progress.show(&format!("group {group}: {bytes} bytes"));
    }
    Err(Error::Impossible(format!("group {group}: node {} ended before its last file", entry.node)))
}

fn write(folder: &Path, part: &BackupPart) -> Result<(), Error> {
    if part.file.contains(['/', '\\']) || part.file.starts_with('.') {
        return Err(Error::Impossible(format!("the node names a file {:?}", part.file)));
    }
    let path = folder.join(&part.file);
    let mut file = File::options().create(true).append(true).open(&path).map_err(Error::on(&path))?;
    let length = file.metadata().map_err(Error::on(&path))?.len();
    if length != part.offset {
        return Err(Error::Impossible(format!("{}: a part is missing at {length}", path.display())));
    }
    file.write_all(&part.data).and_then(|()| file.sync_data()).map_err(Error::on(&path))
}
