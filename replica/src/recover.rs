//! One node goes on alone: what a lost majority left in its folder becomes a cluster of one member.
//!
//! ```text
//!  look (changes nothing):   log, rows ─> what each group holds, whose it was, what may be lost
//!  do it:   mark ─> new lineage ─> each group: every entry of the log applied, its bodies moved out of it,
//!           its courier renewed, this node its only member, the log purged ─> mark gone
//! ```
//! Why all entries count: one that is in this log may have been answered, and one that was not may be answered yet. Why the
//! log goes: what the rows hold beyond it, a member that is added later must be sent as rows. Why the courier is renewed:
//! groups end at different moments, and a number that its source gives out again would be passed over.
//!
//! Must never: open a folder that a process uses, or leave one that opens half recovered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use machine::{Format, GroupId, Machine};
use openraft::impls::BasicNode;
use openraft::storage::RaftLogStorage as _;
use openraft::{EntryPayload, Membership};
use rand::TryRngCore as _;

use crate::errors::StartError;
use crate::identity::{Identity, Knowledge, Said};
use crate::lineage::{Ancestry, Lineage};
use crate::log::{GroupLog, LogEngine, SegmentLog};
use crate::process::{DRAINED, LOCK, RECOVERING, keep_mark, locked, read_only_mark};
use crate::raft_types::{Entry, LogId, StoredMembership};
use crate::state::{Applied, Driver, Position, RocksBudget, RocksRows, RowEngine as _, look_at_rows};

/// There while a recovery is under way whose lineage was drawn.
const DRAWN: &str = "RECOVERING.drawn";

/// What the folder of a node that does not run holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Whose it is.
    pub node: u64,
    /// The recovery that it goes back to; `none` in words.
    pub lineage: String,
    /// Its groups, by number.
    pub groups: Vec<GroupSurvey>,
    /// A recovery was begun and did not end.
    pub is_half_recovered: bool,
}

/// What it holds of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSurvey {
    /// The group.
    pub group: GroupId,
    /// Term and index of the last entry.
    pub last: (u64, u64),
    /// The last entry known here to be committed: a hint, which may lag.
    pub committed: u64,
    /// The last entry in the rows, as far as they were flushed. Those behind it lie in the log.
    pub applied: u64,
    /// The members, by node: address, and whether they vote. None: the group was never founded.
    pub members: BTreeMap<u64, (String, bool)>,
    /// Whom this node voted for or followed last.
    pub followed: Option<u64>,
}

impl Survey {
    /// Looks into a folder, and changes no byte of it.
    ///
    /// Errors: `InUse`; the folder is none of a node's, is of a later format, or damaged.
    pub fn take(folder: &Path, known: Format) -> Result<Self, StartError> {
        let _lock = lock(folder)?;
        Self::look(folder, known)
    }

    fn look(folder: &Path, known: Format) -> Result<Self, StartError> {
        let said = Said::read(folder)?;
        let said = said.ok_or_else(|| StartError::Recover(format!("{} is no node's folder", folder.display())))?;
        said.is_known(known)?;
        let log: Arc<dyn LogEngine> = Arc::new(SegmentLog::look(&folder.join("log")).map_err(StartError::log)?);
        let mut groups = Vec::new();
        for group in groups_in(folder)? {
            let survey = GroupSurvey::look(group, &folder_of(folder, group), Arc::clone(&log));
            groups.push(survey.map_err(|error| StartError::damaged(group, &error))?);
        }
        let is_half_recovered = folder.join(RECOVERING).exists();
        Ok(Self { node: said.node, lineage: said.lineage.to_string(), groups, is_half_recovered })
    }

    /// Why there is nothing to recover, or it cannot be. `None`: it can.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let is_alone = |of: &GroupSurvey| of.members.len() == 1 && of.members.contains_key(&self.node);
        let strange = |of: &&GroupSurvey| !of.members.contains_key(&self.node);
        if self.groups.is_empty() {
            Some("the folder holds no group".to_owned())
        } else if let Some(of) = self.groups.iter().find(|of| of.members.is_empty()) {
            Some(format!("group {} was never founded", of.group.0))
        } else if let Some(of) = self.groups.iter().find(strange) {
            Some(format!("node {} is no member of group {}", self.node, of.group.0))
        } else if self.groups.iter().all(is_alone) && !self.is_half_recovered {
            Some(format!("node {} is the only member of every group: start it", self.node))
        } else {
            None
        }
    }
}

impl GroupSurvey {
    fn look(group: GroupId, folder: &Path, log: Arc<dyn LogEngine>) -> io::Result<Self> {
        let log = GroupLog::open(group, log)?;
        let position = look_at_rows(folder)?.unwrap_or_default();
        let (found, applied) = (log.found(), position.applied.as_ref().map_or(0, |id| id.index));
        let mut membership = position.membership;
        let mut next = position.applied.as_ref().map_or(0, |id| id.index + 1);
        loop {
            let entries = log.entries(next)?;
            let Some(last) = entries.last() else { break };
            if let Some(missing) = gap(&entries, next, position.applied.is_some() || found.purged.is_some()) {
                return Err(io::Error::other(missing));
            }
            next = last.log_id.index + 1;
            for entry in entries {
                if let EntryPayload::Membership(members) = entry.payload {
                    membership = StoredMembership::new(Some(entry.log_id), members);
                }
            }
        }
        let members = membership.membership();
        let voters: BTreeSet<u64> = members.voter_ids().collect();
        let last = found.last.max(position.applied);
        Ok(Self {
            group,
            last: last.as_ref().map_or((0, 0), |id| (id.leader_id.term, id.index)),
            committed: found.committed.as_ref().map_or(0, |id| id.index).max(applied),
            applied,
            members: members.nodes().map(|(node, at)| (*node, (at.addr.clone(), voters.contains(node)))).collect(),
            followed: found.vote.as_ref().map(|vote| vote.leader_id.node_id),
        })
    }
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "folder of node {}, lineage {}", self.node, self.lineage)?;
        if self.is_half_recovered {
            write!(f, "; a recovery was broken off, and goes on when it is given again")?;
        }
        for of in &self.groups {
            let ((term, last), unsure) = (of.last, of.last.1.saturating_sub(of.committed));
            let name = |(node, (_, is_voter)): (&u64, &(String, bool))| {
                if *is_voter { node.to_string() } else { format!("{node} (copies)") }
            };
            let members: Vec<String> = of.members.iter().map(name).collect();
            write!(
                f,
                "\ngroup {}: last entry {last} (term {term}), committed up to {} at least, ",
                of.group.0, of.committed
            )?;
            write!(f, "flushed up to {}; members {}", of.applied, members.join(", "))?;
            write!(f, "\n  kept: every entry up to {last}")?;
            if unsure > 0 {
                write!(f, ", the last {unsure} too, of which nobody here knows whether they were answered")?;
            }
            match of.followed {
                Some(node) if node == self.node => {
                    write!(f, "\n  may be lost: what others answered after this node, which led last, was gone")?;
                }
                Some(node) => {
                    write!(
                        f,
                        "\n  may be lost: what node {node}, which led last as far as it is known here, and its followers "
                    )?;
                    write!(f, "answered behind entry {last}; nobody here knows how much")?;
                }
                None => write!(f, "\n  may be lost: whatever others answered behind entry {last}")?,
            }
        }
        Ok(())
    }
}

/// A recovery under way. Dropped before its end it goes on when it is begun again; until then the folder does not open.
pub struct Recovery {
    folder: PathBuf,
    survey: Survey,
    lineage: Lineage,
    knowledge: Knowledge,
    log: Arc<dyn LogEngine>,
    budget: RocksBudget,
    _lock: File,
}

impl Recovery {
    /// Begins: from here on the folder is of a cluster of its own. Errors: as [`Survey::take`], and its refusal.
    pub fn begin(folder: &Path, known: Format) -> Result<Self, StartError> {
        let lock = lock(folder)?;
        let survey = Survey::look(folder, known)?;
        if let Some(refusal) = survey.refusal() {
            return Err(StartError::Recover(refusal));
        }
        let identity = Identity::check(folder, survey.node, known)?;
        let mut lineage = Said::read(folder)?.map_or(Lineage::NONE, |said| said.lineage);
        // Given again, a recovery that was broken off goes on under the lineage that it has: two that begin at one point
        // have the same number, however often either was given.
        if !(survey.is_half_recovered && folder.join(DRAWN).exists()) {
            keep_mark(folder, RECOVERING, true)?;
            lineage = lineage.next(rand::rngs::OsRng.try_next_u64().map_err(io::Error::other)?);
            identity.set_lineage(lineage)?;
            keep_mark(folder, DRAWN, true)?;
        }
        let log = SegmentLog::open(&folder.join("log"), Arc::default()).map_err(StartError::log)?;
        let ancestry = Arc::new(Ancestry::new(Some(lineage), |_| Ok(())));
        Ok(Self {
            folder: folder.to_owned(),
            survey,
            lineage,
            knowledge: Knowledge { format: known, mark: identity.mark(), ancestry },
            log: Arc::new(log),
            budget: RocksBudget::default(),
            _lock: lock,
        })
    }

    /// The groups that are to be recovered, all of them.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> + use<> {
        let groups: Vec<GroupId> = self.survey.groups.iter().map(|of| of.group).collect();
        groups.into_iter()
    }

    /// Makes this node the only member of a group, which takes no command at first if it is to be found right before.
    /// Returns how many bodies are damaged, which no member can bring any more. Errors: `BrokenOff`.
    pub async fn recover<M: Machine>(&self, id: GroupId, is_read_only: bool) -> Result<usize, StartError> {
        let done = self.recover_group::<M>(id, is_read_only).await;
        done.map_err(|error| StartError::BrokenOff { group: id, reason: error.to_string() })
    }

    async fn recover_group<M: Machine>(&self, id: GroupId, is_read_only: bool) -> Result<usize, StartError> {
        let damaged = |error: &dyn fmt::Display| StartError::damaged(id, error);
        if is_read_only {
            keep_mark(&self.folder, &read_only_mark(id), true)?;
        }
        let mut log = GroupLog::open(id, Arc::clone(&self.log)).map_err(|error| damaged(&error))?;
        let rows = RocksRows::open(&folder_of(&self.folder, id), self.budget.clone(), log.clone());
        let rows = Arc::new(rows.map_err(|error| damaged(&error))?);
        let stands_at = self.apply_all::<M>(id, &log, Arc::clone(&rows))?;
        rows.settle(stands_at.index).map_err(|error| damaged(&error))?;
        let renewed = machine::renewed_courier(&*rows).map_err(|error| StartError::load(id, &error))?;
        let position = Position { applied: Some(stands_at), membership: self.alone(id, stands_at)? };
        rows.commit(Some(&renewed), &[], &position).map_err(|error| damaged(&error))?;
        // Rows have no log of their own: a checkpoint makes them durable before the log is let go.
        rows.checkpoint().map_err(|error| damaged(&error))?;
        log.purge(stands_at).await?;
        let lost = rows.quarantine();
        for (body, reason) in &lost {
            tracing::warn!(group = id.0, body = body.0, reason, "a body is damaged, and nobody is left to bring it");
        }
        Ok(lost.len())
    }

    /// Applies what of the log the rows lack, and says where they stand then.
    fn apply_all<M: Machine>(&self, id: GroupId, log: &GroupLog, rows: Arc<RocksRows>) -> Result<LogId, StartError> {
        let damaged = |error: &dyn fmt::Display| StartError::damaged(id, error);
        let state = Applied::<M>::load(id, rows, self.knowledge.clone());
        let state = Arc::new(state.map_err(|error| StartError::load(id, &error))?);
        state.note_format(state.format())?;
        let driver = Driver::new(Arc::clone(&state), log.clone());
        loop {
            let applied = state.position.lock().applied;
            let next = applied.as_ref().map_or(0, |id| id.index + 1);
            let entries = log.entries(next).map_err(|error| damaged(&error))?;
            if entries.is_empty() {
                return applied.ok_or_else(|| StartError::Recover(format!("group {} is empty", id.0)));
            }
            if let Some(missing) = gap(&entries, next, applied.is_some() || log.found().purged.is_some()) {
                return Err(damaged(&missing));
            }
            if !driver.replay(entries).map_err(|error| damaged(&error))? {
                let why = "this release cannot apply one of its entries: recover it with the newer one";
                return Err(StartError::Recover(format!("group {}: {why}", id.0)));
            }
        }
    }

    /// This node as the only member.
    fn alone(&self, id: GroupId, at: LogId) -> Result<StoredMembership, StartError> {
        let node = self.survey.node;
        let known = self.survey.groups.iter().find(|of| of.group == id).and_then(|of| of.members.get(&node));
        let (address, _) = known.ok_or_else(|| StartError::Recover(format!("no address of node {node} is known")))?;
        let nodes = BTreeMap::from([(node, BasicNode { addr: address.clone() })]);
        let membership = Membership::new(vec![BTreeSet::from([node])], nodes);
        let membership = membership.map_err(|error| StartError::Raft(error.to_string()))?;
        Ok(StoredMembership::new(Some(at), membership))
    }

    /// Ends: the node may be started. Returns the new lineage. Errors: the disk; it is to be given again.
    pub fn end(self) -> Result<String, StartError> {
        // Who leads nothing cannot be alone.
        keep_mark(&self.folder, DRAINED, false)?;
        keep_mark(&self.folder, DRAWN, false)?;
        keep_mark(&self.folder, RECOVERING, false)?;
        Ok(self.lineage.to_string())
    }
}

/// What is missing before these entries, of which `next` should be the first. A log need not begin at index 0, unless
/// something was taken from it (`is_begun`).
fn gap(entries: &[Entry], next: u64, is_begun: bool) -> Option<String> {
    let first = entries.first().map_or(next, |entry| entry.log_id.index);
    (is_begun && first != next).then(|| format!("entry {next} is missing"))
}

/// Locks a folder that is there, and changes no byte of it. Errors: `InUse`; nobody ever used it.
fn lock(folder: &Path) -> Result<File, StartError> {
    let found = File::open(folder.join(LOCK));
    let missing = || StartError::Recover(format!("{} is no node's folder", folder.display()));
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
        lock => locked(lock?),
    }
}

fn folder_of(folder: &Path, group: GroupId) -> PathBuf {
    folder.join(format!("group-{}", group.0))
}

/// The groups that a folder holds, by number.
fn groups_in(folder: &Path) -> io::Result<BTreeSet<GroupId>> {
    let names = fs::read_dir(folder)?.map(|item| Ok(item?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<io::Result<_>>()?;
    Ok(names.iter().filter_map(|name| name.strip_prefix("group-")?.parse().ok()).map(GroupId).collect())
}
