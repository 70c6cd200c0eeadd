//! Opens a group: log, rows, machine, the damage check, then Raft and the tasks around it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use machine::{GroupId, Layout as _, Machine};
use openraft::impls::BasicNode;
use openraft::{Config as RaftConfig, Raft, SnapshotPolicy};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, watch};

use super::courier::{Addressee, HeldTracks, carry};
use super::handle::{Group, Inner};
use super::leading::lead;
use super::peer_port::PeerPort;
use super::raising::raise;
use super::repair::repair;
use super::road::Road;
use super::standing::Standing;
use super::succession::succeed;
use super::usher::Post;
use crate::clock::{MachineClock, WallClock};
use crate::errors::StartError;
use crate::identity::Knowledge;
use crate::limits::{PROPOSALS_WAITING_BYTES_MAX, PROPOSALS_WAITING_MAX};
use crate::lineage::Lineage;
use crate::log::GroupLog;
use crate::net::{CatchUp, Hello, Lane, Peers, Request, Switchboard, Transport, call};
use crate::process::Timers;
use crate::state::{Applied, Driver, RowEngine};

const HELLO_TIMEOUT: Duration = Duration::from_millis(500);
const BOOTSTRAP_EVERY: Duration = Duration::from_millis(100);

/// Everything a group is made from.
pub(crate) struct GroupSetup {
    pub id: GroupId,
    pub node: u64,
    /// The first members of a group that does not exist yet.
    pub members: BTreeMap<u64, String>,
    pub timers: Timers,
    pub log: GroupLog,
    pub rows: Arc<dyn RowEngine>,
    pub transport: Arc<dyn Transport>,
    pub catch_up: Arc<CatchUp>,
    pub switchboard: Arc<Switchboard>,
    pub addressee: Arc<dyn Addressee>,
    pub wall: WallClock,
    pub knowledge: Knowledge,
    /// The group was recovered, and takes no command until it is found right.
    pub is_read_only: bool,
    /// Told why, when the replica fails for good.
    pub failed: watch::Sender<Option<String>>,
}

impl GroupSetup {
    /// Opens the group. Errors: damage of log or rows; a log that ends before what peers know to be acknowledged.
    pub(crate) async fn open<M: Machine>(self) -> Result<Group<M>, StartError> {
        let log = self.log.clone();
        let found = log.found();
        let state = Applied::<M>::load(self.id, Arc::clone(&self.rows), self.knowledge.clone())
            .map_err(|error| StartError::load(self.id, &error))?;
        // Rows that a backup or a snapshot brought know it better than the folder.
        (self.knowledge.mark)(state.format())?;
        state.settled.store(found.purged.as_ref().map_or(0, |id| id.index), Ordering::Relaxed);
        let state = Arc::new(state);
        let last = found.last.as_ref().map(|id| id.index);
        self.refuse_if_lost(last, found.last.is_none() && found.vote.is_none()).await?;

        let (transport, catch_up) = (Arc::clone(&self.transport), Arc::clone(&self.catch_up));
        let peers = Peers { group: self.id, transport, tip: log.tip(), catch_up };
        let driver = Driver::new(Arc::clone(&state), log.clone());
        let raft = Raft::new(self.node, Arc::new(self.raft_config()?), peers, log.clone(), driver)
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
        let clock = Arc::new(MachineClock::new(Arc::clone(&self.wall)));
        let (proposals, waiting) = mpsc::channel(PROPOSALS_WAITING_MAX);
        let standing = Arc::new(Standing::new(self.id, self.node, self.timers, self.failed.clone()));
        standing.set_read_only(self.is_read_only);
        let post = Post::default();
        let road = Road {
            raft: raft.clone(),
            clock: Arc::clone(&clock),
            standing: Arc::clone(&standing),
            proposals: waiting,
            post: post.clone(),
        };
        let group = Group(Arc::new(Inner {
            id: self.id,
            node: self.node,
            raft,
            state,
            log,
            clock,
            standing,
            transport: Arc::clone(&self.transport),
            proposals,
            post,
            room: Arc::new(Semaphore::new(PROPOSALS_WAITING_BYTES_MAX)),
            closed: watch::Sender::new(false),
            held: HeldTracks::default(),
            tasks: Mutex::default(),
        }));
        self.switchboard.add(self.id, Arc::new(PeerPort::new(group.clone())));
        let mut tasks = vec![
            tokio::spawn(road.walk(group.0.closed.subscribe())),
            tokio::spawn(lead(group.clone())),
            tokio::spawn(succeed(group.clone())),
            tokio::spawn(repair(group.clone())),
            tokio::spawn(raise(group.clone())),
            tokio::spawn(carry(group.clone(), Arc::clone(&self.addressee))),
        ];
        if found.last.is_none() && found.vote.is_none() && self.members.keys().next() == Some(&self.node) {
            tasks.push(tokio::spawn(self.bootstrap(group.clone())));
        }
        *group.0.tasks.lock() = tasks;
        Ok(group)
    }

    fn raft_config(&self) -> Result<RaftConfig, StartError> {
        let config = RaftConfig {
            cluster_name: format!("group-{}", self.id.0),
            heartbeat_interval: self.timers.heartbeat_ms,
            election_timeout_min: self.timers.election_ms_min,
            election_timeout_max: self.timers.election_ms_max,
            install_snapshot_timeout: 10_000,
            max_payload_entries: 1024,
            // Only a follower whose entries are purged needs a snapshot, however far behind it is.
            replication_lag_threshold: u64::MAX / 2,
            snapshot_policy: SnapshotPolicy::Never,
            // What may be purged is decided in `keeping`, by bytes too.
            max_in_snapshot_log_to_keep: u64::MAX,
            // Followers are sent an entry while the leader's own fsync begins. Batches are made on the road, not by waiting.
            broadcast_submitted_on_append: Some(true),
            enable_pre_vote: Some(true),
            // A restarted leader must win an election: its lease may have passed to another node while it was away.
            enable_leader_restore: Some(false),
            ..Default::default()
        };
        config.validate().map_err(|error| StartError::Raft(error.to_string()))
    }

    /// A replica that lost what it once acknowledged must not vote or acknowledge under its old node id. The leader
    /// remembers what it acknowledged; any peer knows that a voter of the group cannot be blank. What was left behind by a
    /// recovery must not begin at all; who was left behind knows nothing of this node.
    async fn refuse_if_lost(&self, last: Option<u64>, is_blank: bool) -> Result<(), StartError> {
        let ancestry = &self.knowledge.ancestry;
        let others = self.members.iter().filter(|(node, _)| **node != self.node);
        for (hello, (_, address)) in self.ask_peers().await.into_iter().zip(others) {
            let Some(hello) = hello else { continue };
            if ancestry.is_left_behind_by(hello.lineage) {
                return Err(StartError::LeftBehind { address: address.clone() });
            }
            if hello.lineage.is_before(ancestry.own()) {
                continue;
            }
            let acknowledged = hello.acknowledged.unwrap_or(0);
            if last.unwrap_or(0) < acknowledged || (is_blank && hello.is_voter) {
                return Err(StartError::Lost { group: self.id, last: last.unwrap_or(0), acknowledged });
            }
        }
        Ok(())
    }

    async fn ask_peers(&self) -> Vec<Option<Hello>> {
        let others = self.members.iter().filter(|(node, _)| **node != self.node);
        join_all(others.map(|(_, address)| async move {
            let hello = Request::Hello { node: self.node }.encode(self.id);
            let body = call(&*self.transport, Lane::Control, address, hello, HELLO_TIMEOUT).await.ok()?;
            Hello::from_bytes(&body).ok()
        }))
        .await
    }

    /// Gives a new group its first members: the lowest of them does it, once all the others answer that they are blank
    /// too. A member that was there before answers otherwise, and the group is left alone.
    async fn bootstrap<M: Machine>(self, group: Group<M>) {
        loop {
            tokio::time::sleep(BOOTSTRAP_EVERY).await;
            if !group.status().members.is_empty() || group.0.proposals.is_closed() {
                return;
            }
            let answers = self.ask_peers().await;
            if answers.iter().flatten().any(|hello| hello.is_initialized) {
                return;
            }
            if answers.iter().any(Option::is_none) {
                continue;
            }
            let members: BTreeMap<u64, BasicNode> =
                self.members.iter().map(|(node, at)| (*node, BasicNode { addr: at.clone() })).collect();
            // From here on this node is blank no more.
            if let Err(reason) = self.knowledge.ancestry.admit(Lineage::NONE, true) {
                tracing::warn!(group = self.id.0, reason, "the group is not made anew");
                return;
            }
            match group.0.raft.initialize(members).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(group = self.id.0, %error, "the group could not be initialized yet"),
            }
        }
    }
}
