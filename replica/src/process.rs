//! A node's replication: one data folder, one log, several groups.
//!
//! ```text
//!  folder/IDENTITY      whose it is, and the latest format of anything in it
//!  folder/LOCK          held while the process runs
//!  folder/DRAINED       there while this node shall lead nothing
//!  folder/RESTORED      there once a backup was put in place
//!  folder/RECOVERING    there while a recovery is under way, or was broken off; RECOVERING.drawn once its lineage is kept
//!  folder/READONLY-1 …  there until the group of that number, which was recovered, has been found right
//!  folder/log/          the segments of the log of all groups; log.synced: how far it was synced
//!  folder/group-0/ …    the rows of each group
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use machine::{Delivery, Format, GroupId, Machine, System};
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::backup::{self, GroupBackup, Place};
use crate::clock::WallClock;
use crate::errors::StartError;
use crate::group::{Addressee, Group, GroupControl, GroupSetup, GroupStatus, MemberChange, MemberError, Role};
use crate::identity::{Identity, Knowledge};
use crate::lineage::Lineage;
use crate::log::{Fsync, FsyncGauge, GroupLog, LogEngine, SegmentLog};
use crate::net::{Carrier, CatchUp, GrpcTransport, ReplicationService, Seal, Switchboard, Transport};
use crate::scrub::{Scrub, ScrubPace, Scrubbed, Scrubber};
use crate::state::{RocksBudget, RocksRows};

pub(crate) const LOCK: &str = "LOCK";
pub(crate) const RECOVERING: &str = "RECOVERING";
pub(crate) const DRAINED: &str = "DRAINED";
const RESTORED: &str = "RESTORED";
const READ_ONLY: &str = "READONLY-";

/// A lead is handed over in a few milliseconds; after this nobody takes it.
const HAND_OVER_MAX: Duration = Duration::from_millis(250);
const HAND_OVER_LOOK_EVERY: Duration = Duration::from_millis(2);
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

/// Raft's timers. Units: milliseconds. A follower of a silent leader asks for votes after the leader's lease and one
/// election timeout; one whose leader's process is gone waits for neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Between two heartbeats of a leader.
    pub heartbeat_ms: u64,
    /// Shortest election timeout, and how long a vote may take: two fsyncs and the way.
    pub election_ms_min: u64,
    /// Longest election timeout, and the leader's lease.
    pub election_ms_max: u64,
}

impl Default for Timers {
    fn default() -> Self {
        // Together 800 ms of silence, so that a client sees less than a second of it. Neither a slow disk nor a busy CPU
        // keeps heartbeats back for so long. The range is small: pre-votes and ordered ids keep votes from being split.
        Self { heartbeat_ms: 50, election_ms_min: 390, election_ms_max: 410 }
    }
}

/// How a node replicates.
#[derive(Clone)]
pub struct ReplicaConfig {
    /// This node's id, never used again once its data is lost.
    pub node: u64,
    /// Where the data lies.
    pub folder: PathBuf,
    /// The first members of new groups: node id and address.
    pub members: BTreeMap<u64, String>,
    /// Raft's timers.
    pub timers: Timers,
    /// The node's wall clock.
    pub wall: WallClock,
    /// How nodes prove to each other who they are; none: they do not.
    pub seal: Option<Seal>,
    /// The latest format that this process knows: [`Format::LATEST`], or less to keep the way back to an older release.
    pub known: Format,
    /// How often and how fast the disk is looked through for damage.
    pub scrub: ScrubPace,
}

/// The log's last fsyncs.
#[derive(Clone, Debug)]
pub struct Fsyncs(Arc<FsyncGauge>);

impl Fsyncs {
    /// The fsync that made an entry durable on this node. `None`: it is not, or not remembered.
    #[must_use]
    pub fn of(&self, group: GroupId, index: u64) -> Option<Fsync> {
        self.0.of(group, index)
    }
}

/// The replication of one process.
pub struct Replica {
    config: ReplicaConfig,
    knowledge: Knowledge,
    transport: Arc<dyn Transport>,
    catch_up: Arc<CatchUp>,
    switchboard: Arc<Switchboard>,
    log: Arc<dyn LogEngine>,
    gauge: Arc<FsyncGauge>,
    budget: RocksBudget,
    groups: Arc<Groups>,
    failed: watch::Sender<Option<String>>,
    scrub: Scrub,
    _lock: File,
}

#[derive(Default)]
struct Groups(RwLock<BTreeMap<GroupId, Arc<dyn GroupControl>>>);

impl Groups {
    fn find(&self, id: GroupId) -> Result<Arc<dyn GroupControl>, String> {
        let found = self.0.read().get(&id).map(Arc::clone);
        found.ok_or_else(|| format!("group {} is not served here", id.0))
    }

    fn all(&self) -> Vec<Arc<dyn GroupControl>> {
        self.0.read().values().map(Arc::clone).collect()
    }
}

impl Addressee for Groups {
    fn deliver(&self, target: GroupId, deliver: System) -> BoxFuture<'_, Result<Delivery, String>> {
        Box::pin(async move { self.find(target)?.deliver(target, deliver).await })
    }
}

impl Replica {
    /// Locks the data folder and opens the log; within a runtime, for the scrub. Errors: [`StartError`].
    pub fn open(config: ReplicaConfig) -> Result<Self, StartError> {
        fs::create_dir_all(&config.folder)?;
        let lock = File::options().create(true).truncate(false).write(true).open(config.folder.join(LOCK))?;
        let lock = locked(lock)?;
        if config.folder.join(RECOVERING).exists() {
            return Err(StartError::HalfRecovered);
        }
        let identity = Identity::check(&config.folder, config.node, config.known)?;
        let gauge = Arc::new(FsyncGauge::default());
        let log = SegmentLog::open(&config.folder.join("log"), Arc::clone(&gauge)).map_err(StartError::log)?;
        let ancestry = Arc::new(identity.ancestry(log.is_blank()));
        let transport = GrpcTransport::of(config.seal.clone(), Arc::clone(&ancestry));
        config.members.iter().for_each(|(node, address)| transport.meet(*node, address));
        let (log, groups): (Arc<dyn LogEngine>, Arc<Groups>) = (Arc::new(log), Arc::default());
        let (found, wall) = (Arc::downgrade(&groups), Arc::clone(&config.wall));
        let all = move || found.upgrade().map_or_else(Vec::new, |groups| groups.all());
        let scrub =
            Scrub::start(Scrubber { log: Arc::downgrade(&log), groups: Box::new(all), pace: config.scrub, wall });
        Ok(Self {
            switchboard: Arc::new(Switchboard::of(Arc::clone(&ancestry))),
            knowledge: Knowledge { format: config.known, mark: identity.mark(), ancestry },
            config,
            transport: Arc::new(transport),
            catch_up: Arc::default(),
            log,
            gauge,
            budget: RocksBudget::default(),
            groups,
            failed: watch::Sender::new(None),
            scrub,
            _lock: lock,
        })
    }

    /// The service peers call: it must be listening before groups are added, or nodes that start wait for each other.
    #[must_use]
    pub fn service(&self) -> ReplicationService {
        Carrier::service(Arc::clone(&self.switchboard), self.config.seal.clone())
    }

    /// Opens a group and begins to take part in it. Errors: [`StartError`].
    pub async fn add_group<M: Machine>(&self, id: GroupId) -> Result<Group<M>, StartError> {
        let folder = self.config.folder.join(format!("group-{}", id.0));
        let damaged = |error| StartError::damaged(id, &error);
        let log = GroupLog::open(id, Arc::clone(&self.log)).map_err(damaged)?;
        let rows = RocksRows::open(&folder, self.budget.clone(), log.clone()).map_err(damaged)?;
        let setup = GroupSetup {
            id,
            node: self.config.node,
            members: self.config.members.clone(),
            timers: self.config.timers,
            log,
            rows: Arc::new(rows),
            transport: Arc::clone(&self.transport),
            catch_up: Arc::clone(&self.catch_up),
            switchboard: Arc::clone(&self.switchboard),
            addressee: Arc::clone(&self.groups) as Arc<dyn Addressee>,
            wall: Arc::clone(&self.config.wall),
            knowledge: self.knowledge.clone(),
            is_read_only: self.config.folder.join(read_only_mark(id)).exists(),
            failed: self.failed.clone(),
        };
        let group: Group<M> = setup.open().await?;
        GroupControl::drain(&group, self.is_drained());
        self.groups.0.write().insert(id, Arc::new(group.clone()));
        Ok(group)
    }

    /// Completes with the reason when the replica has failed for good: a write or an fsync of log or rows has failed, and
    /// what it covered may or may not be on disk. The process must end without another word; started again, it finds out.
    pub async fn failed(&self) -> String {
        let mut failed = self.failed.subscribe();
        let reason = failed.wait_for(Option::is_some).await;
        // The sender is here, so the wait ends with a reason.
        reason.map(|reason| reason.clone()).ok().flatten().unwrap_or_default()
    }

    /// This node's id.
    #[must_use]
    pub const fn node(&self) -> u64 {
        self.config.node
    }

    /// The latest format that this process knows.
    #[must_use]
    pub const fn known(&self) -> Format {
        self.config.known
    }

    /// Every group of this node.
    #[must_use]
    pub fn status(&self) -> Vec<GroupStatus> {
        self.groups.0.read().values().map(|group| group.status()).collect()
    }

    /// Upper bounds of the log's fsync times at p50 and p99, in microseconds, and the number of fsyncs.
    #[must_use]
    pub fn fsyncs(&self) -> (u64, u64, u64) {
        (self.gauge.quantile_us(0.5), self.gauge.quantile_us(0.99), self.gauge.count())
    }

    /// What was scrubbed since the process started.
    #[must_use]
    pub fn scrubbed(&self) -> Scrubbed {
        self.scrub.scrubbed()
    }

    /// From here on the log's last fsyncs are remembered, for whoever follows single entries to the disk.
    pub fn watch_fsyncs(&self) {
        self.gauge.watch();
    }

    /// The log's last fsyncs; without [`Self::watch_fsyncs`] none is remembered.
    #[must_use]
    pub fn recent_fsyncs(&self) -> Fsyncs {
        Fsyncs(Arc::clone(&self.gauge))
    }

    /// Bytes free, and bytes in all, of the disk the data lies on. 0 where the system does not say.
    #[must_use]
    pub fn disk(&self) -> (u64, u64) {
        let stat = rustix::fs::statvfs(&self.config.folder);
        stat.map_or((0, 0), |stat| (stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize))
    }

    /// The hash over all rows of a group, and the index it stands for. Errors: text.
    pub fn state_hash(&self, id: GroupId) -> Result<(u64, Bytes), String> {
        self.groups.find(id)?.state_hash()
    }

    /// Hands the lead of a group to `to`, or to the follower that is furthest. Errors: text.
    pub async fn transfer_leader(&self, id: GroupId, to: Option<u64>) -> Result<(), String> {
        self.groups.find(id)?.transfer_leader(to).await
    }

    /// Changes the members of a group that this node leads. Errors: [`MemberError`].
    pub async fn change_member(&self, id: GroupId, change: MemberChange) -> Result<(), MemberError> {
        let group = self.groups.find(id).map_err(MemberError::Limit)?;
        group.change_member(change).await
    }

    /// The cluster that this node belongs to, in words: which recovery it goes back to. `None`: to none.
    #[must_use]
    pub fn lineage(&self) -> Option<String> {
        let lineage = self.knowledge.ancestry.own();
        (lineage != Lineage::NONE).then(|| lineage.to_string())
    }

    /// Lets a group that was recovered take commands again, after restarts too: it has been found right. Errors: text.
    pub fn lift(&self, id: GroupId) -> Result<(), String> {
        let group = self.groups.find(id)?;
        keep_mark(&self.config.folder, &read_only_mark(id), false).map_err(|error| error.to_string())?;
        group.lift();
        Ok(())
    }

    /// Whether this node leads nothing, by an operator's wish.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.config.folder.join(DRAINED).exists()
    }

    /// Gives every lead away and takes none from now on, after restarts too; or may lead again. Errors: the wish cannot be
    /// kept on the disk, and nothing was changed.
    pub async fn drain(&self, is_drained: bool) -> Result<(), std::io::Error> {
        keep_mark(&self.config.folder, DRAINED, is_drained)?;
        let groups = self.groups.all();
        groups.iter().for_each(|group| group.drain(is_drained));
        if is_drained {
            join_all(groups.iter().map(|group| hand_over(&**group))).await;
        }
        Ok(())
    }

    /// Copies a group at one index. Errors: text.
    pub async fn backup(&self, id: GroupId) -> Result<GroupBackup, String> {
        self.groups.find(id)?.backup().await
    }

    /// Whether this node never ran and was never restored: it holds no group.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        let restored = self.config.folder.join(RESTORED).exists();
        !restored && !self.config.folder.join(format!("group-{}", GroupId::META.0)).exists()
    }

    /// Notes that all groups were restored.
    pub fn set_restored(&self) -> std::io::Result<()> {
        keep_mark(&self.config.folder, RESTORED, true)
    }

    /// Puts a backup's files of a group in place, before the group is added; it begins with this node's first members.
    ///
    /// Errors: the node holds data of the group, or its rows have another `hash` than they were taken with.
    pub async fn restore_group(&self, id: GroupId, source: &Path, hash: &[u8]) -> Result<(), StartError> {
        // From here on this node is blank no more.
        let admitted = self.knowledge.ancestry.admit(Lineage::NONE, true);
        admitted.map_err(|reason| StartError::Restore { group: id, reason })?;
        let folder = self.config.folder.join(format!("group-{}", id.0));
        let (log, budget) = (Arc::clone(&self.log), self.budget.clone());
        let place = Place { id, folder: &folder, members: &self.config.members, log, budget };
        backup::restore(place, source, hash).await
    }

    /// Flushes the rows of a group to disk and lets its log go, but for the newest `kept` entries: what happens by itself
    /// when enough was applied. A follower that needs older entries is sent the rows. Errors: text.
    pub async fn flush(&self, id: GroupId, kept: u64) -> Result<(), String> {
        self.groups.find(id)?.flush(kept).await
    }

    /// A clean stop: hands every lead to another node, then stops the groups. Takes a quarter of a second at most if
    /// nobody is there to take over (all nodes may be stopping), and a second more for a group that does not stop.
    pub async fn stop(&self) {
        self.scrub.stop().await;
        let groups = self.groups.all();
        join_all(groups.iter().map(|group| hand_over(&**group))).await;
        join_all(groups.iter().map(|group| async {
            if timeout(SHUTDOWN_MAX, group.shutdown()).await.is_err() {
                tracing::warn!("a group did not stop within {SHUTDOWN_MAX:?}");
            }
        }))
        .await;
        self.switchboard.close();
        self.groups.0.write().clear();
    }
}

/// Hands a lead over and waits until another node has it. Who takes over may be stopping, too: then nobody has it.
async fn hand_over(group: &dyn GroupControl) {
    let handed_over = async {
        if group.transfer_leader(None).await.is_ok() {
            loop {
                let status = group.status();
                if status.role != Role::Leader && status.leader.is_some() {
                    return;
                }
                sleep(HAND_OVER_LOOK_EVERY).await;
            }
        }
    };
    if timeout(HAND_OVER_MAX, handed_over).await.is_err() {
        tracing::info!("a lead is left to an election");
    }
}

/// Takes the lock of a data folder. Errors: another process has it.
pub(crate) fn locked(lock: File) -> Result<File, StartError> {
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The file that says that a group takes no command.
pub(crate) fn read_only_mark(id: GroupId) -> String {
    format!("{READ_ONLY}{}", id.0)
}

/// Makes or removes an empty file, durably.
pub(crate) fn keep_mark(folder: &Path, name: &str, is_set: bool) -> std::io::Result<()> {
    let path = folder.join(name);
    if is_set {
        File::create(&path)?.sync_all()?;
    } else if let Err(error) = fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error);
    }
    File::open(folder)?.sync_all()
}
