//! A group's rows and bodies as a set of files: taken from a replica that runs, put in place on a node that is blank.
//!
//! ```text
//!  replica ─ checkpoint and hash at one index ─> files ─ … ─> blank node: install, compare the hash, renew the courier,
//!                                                             stand at that index with the members it is told
//! ```
//!
//! Why the courier is renewed: the groups of a backup were not cut in one instant. Under a new epoch every record that waits
//! is delivered again from the first: at least once, where the old numbers would have been skipped.
//!
//! Must never: be put on a node that holds anything, or count as restored with another hash than it was taken with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use machine::GroupId;
use openraft::impls::{BasicNode, leader_id_adv::LeaderId};
use openraft::storage::RaftLogStorage as _;
use openraft::{LogId as RaftLogId, Membership};

use crate::errors::StartError;
use crate::group::hash_rows;
use crate::log::{GroupLog, LogEngine};
use crate::raft_types::{LogId, StoredMembership};
use crate::state::{Position, RocksBudget, RocksRows, RowEngine, SnapshotData};

/// A copy of a group at one index. Its files go with it.
pub struct GroupBackup {
    /// The group.
    pub group: GroupId,
    /// The last entry in it.
    pub index: u64,
    /// The hash over its rows: [`crate::Replica::state_hash`] at that index.
    pub hash: Bytes,
    data: SnapshotData,
}

impl GroupBackup {
    pub(crate) fn take(group: GroupId, rows: &dyn RowEngine, log: &GroupLog) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        // Bodies that lie in the log still are added from there.
        let _held = log.held();
        let (position, data) = rows.checkpoint().map_err(|error| text(&error))?;
        let hash = hash_rows(rows).map_err(|error| text(&error))?;
        let data = data.complete().map_err(|error| text(&error))?;
        Ok(Self { group, index: position.applied.as_ref().map_or(0, |id| id.index), hash, data })
    }

    /// Its files: names and bytes.
    pub fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        self.data.files.iter().map(|file| (file.name.as_str(), file.bytes))
    }

    /// Up to `count` bytes of a file from `offset` on. Errors: text.
    pub fn read(&self, name: &str, offset: u64, count: usize) -> Result<Bytes, String> {
        self.data.read(name, offset, count).map_err(|error| error.to_string())
    }
}

/// Where a group is put.
pub(crate) struct Place<'a> {
    pub id: GroupId,
    pub folder: &'a Path,
    pub members: &'a BTreeMap<u64, String>,
    pub log: Arc<dyn LogEngine>,
    pub budget: RocksBudget,
}

/// Puts the files in `source` in place, on a node that holds nothing of the group. Errors: it does, or the hash differs.
pub(crate) async fn restore(place: Place<'_>, source: &Path, hash: &[u8]) -> Result<(), StartError> {
    let id = place.id;
    let no = |reason: &dyn std::fmt::Display| StartError::Restore { group: id, reason: reason.to_string() };
    let mut log = GroupLog::open(id, place.log).map_err(|error| no(&error))?;
    let rows = RocksRows::open(place.folder, place.budget, log.clone()).map_err(|error| no(&error))?;
    let position = rows.position().map_err(|error| no(&error))?;
    if log.found().last.is_some() || log.found().vote.is_some() || position.applied.is_some() {
        return Err(no(&"the node holds data of it already"));
    }
    // The copy is consumed; the backup stays.
    let copy = place.folder.join("incoming-0");
    copy_files(source, &copy)?;
    rows.install(&SnapshotData::of_folder(copy)?).map_err(|error| no(&error))?;
    if hash_rows(&rows).map_err(|error| no(&error))? != hash {
        return Err(no(&"its rows have another hash than they were taken with"));
    }
    let index = rows.position().map_err(|error| no(&error))?.applied.map_or(0, |id| id.index);
    let stands_at: LogId = RaftLogId::new(LeaderId { term: 0, node_id: 0 }, index);
    let renewed = machine::renewed_courier(&rows).map_err(|error| no(&error))?;
    let position = Position { applied: Some(stands_at), membership: members(place.members, stands_at, &no)? };
    rows.commit(Some(&renewed), &[], &position).map_err(|error| no(&error))?;
    // Rows have no log of their own: a checkpoint makes them durable before the log says that they are there.
    rows.checkpoint().map_err(|error| no(&error))?;
    log.purge(stands_at).await?;
    Ok(())
}

fn members(
    members: &BTreeMap<u64, String>,
    at: LogId,
    no: &dyn Fn(&dyn std::fmt::Display) -> StartError,
) -> Result<StoredMembership, StartError> {
    let nodes: BTreeMap<u64, BasicNode> =
        members.iter().map(|(node, address)| (*node, BasicNode { addr: address.clone() })).collect();
    let voters: BTreeSet<u64> = members.keys().copied().collect();
    let membership = Membership::new(vec![voters], nodes).map_err(|error| no(&error))?;
    Ok(StoredMembership::new(Some(at), membership))
}

fn copy_files(source: &Path, target: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(target)?;
    for item in std::fs::read_dir(source)? {
        let item = item?;
        std::fs::copy(item.path(), target.join(item.file_name()))?;
    }
    Ok(())
}
