//! A cluster of simulated nodes with one group, the faults that can be done to it, and the changes of its members.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use machine::{GroupId, Machine, RequestId};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::broken::{BreakableLog, BreakableRows};
use super::mail::Mail;
use super::weather::{Weather, WeatherTransport};
use crate::clock::WallClock;
use crate::errors::StartError;
use crate::group::{
    Addressee, Applied, Group, GroupControl as _, GroupSetup, MemberChange, MemberError, ProposeError, ReadError, View,
};
use crate::identity::Knowledge;
use crate::log::{GroupLog, MemoryDisk, MemoryLog};
use crate::net::Switchboard;
use crate::process::Timers;
use crate::state::MemoryRows;

/// What the nodes' clocks show at the start of a run.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// What a cluster is made from.
pub struct Plan {
    /// Its group.
    pub group: GroupId,
    /// What its weather draws from.
    pub seed: u64,
    /// Nodes 1 to this are its first members.
    pub members: u64,
    /// So many blank nodes stand beside them, off, until they are started and made members.
    pub spares: u64,
    /// The ways to and from other clusters.
    pub mail: Arc<Mail>,
}

/// Nodes 1 to 3 (or as many as are asked for), each with a disk and a clock that outlive its boots.
pub struct SimulatedCluster<M: Machine> {
    group: GroupId,
    members: u64,
    mail: Arc<Mail>,
    weather: Arc<Weather>,
    nodes: BTreeMap<u64, Node<M>>,
    started: Instant,
}

struct Node<M: Machine> {
    disk: Arc<MemoryDisk>,
    is_log_broken: Arc<AtomicBool>,
    are_rows_broken: Arc<AtomicBool>,
    failed: watch::Sender<Option<String>>,
    clock_ms: Arc<AtomicI64>,
    running: Mutex<Option<Group<M>>>,
}

impl<M: Machine> SimulatedCluster<M> {
    /// A cluster of `count` nodes with group 1, alone in the world. Errors: a node does not start.
    pub async fn start(seed: u64, count: u64) -> Result<Self, StartError> {
        let mail = Arc::new(Mail::new(seed));
        Self::start_as(Plan { group: GroupId(1), seed, members: count, spares: 0, mail }).await
    }

    /// Boots the first members and waits until one of them leads. Errors: a node does not start.
    pub async fn start_as(plan: Plan) -> Result<Self, StartError> {
        let node = || Node {
            disk: Arc::default(),
            is_log_broken: Arc::default(),
            are_rows_broken: Arc::default(),
            failed: watch::Sender::new(None),
            clock_ms: Arc::default(),
            running: Mutex::new(None),
        };
        let cluster = Self {
            group: plan.group,
            members: plan.members,
            mail: plan.mail,
            weather: Arc::new(Weather::new(plan.seed)),
            nodes: (1..=plan.members + plan.spares).map(|id| (id, node())).collect(),
            started: Instant::now(),
        };
        futures::future::try_join_all((1..=plan.members).map(|node| cluster.restart(node))).await?;
        while cluster.leader().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(cluster)
    }

    /// The net, to be made worse or better.
    #[must_use]
    pub fn weather(&self) -> &Weather {
        &self.weather
    }

    /// Milliseconds since the epoch as a clock shows them that is never wrong.
    #[must_use]
    pub fn true_time_ms(&self) -> u64 {
        shown(self.started, 0)
    }

    /// Sets a node's wall clock forward or back.
    pub fn jump_clock(&self, node: u64, by_ms: i64) {
        if let Some(node) = self.nodes.get(&node) {
            node.clock_ms.fetch_add(by_ms, Ordering::Relaxed);
        }
    }

    /// Sets all wall clocks right.
    pub fn set_clocks(&self) {
        for node in self.nodes.values() {
            node.clock_ms.store(0, Ordering::Relaxed);
        }
    }

    /// Kills a node's process, and what it has not synced is gone. Nothing it does from here on is seen; a client that
    /// waits for it gets no answer. Its host lives and says that nobody listens there any more.
    pub async fn kill(&self, node: u64) {
        self.end(node, false, MemoryDisk::cut_power).await;
    }

    /// As [`Self::kill`], in the middle of a write of the log: of the changes under way the first `kept_in_hundred` of a
    /// hundred are on the disk.
    pub async fn tear(&self, node: u64, kept_in_hundred: usize) {
        self.end(node, false, |disk| disk.tear(kept_in_hundred)).await;
    }

    /// As [`Self::kill`], of the whole host: nobody says anything.
    pub async fn lose(&self, node: u64) {
        self.end(node, true, MemoryDisk::cut_power).await;
    }

    async fn end(&self, node: u64, is_silent: bool, cut_power: impl FnOnce(&MemoryDisk)) {
        let Some(at) = self.nodes.get(&node) else { return };
        let Some(group) = at.running.lock().take() else { return };
        cut_power(&at.disk);
        self.mail.move_out(self.group, node);
        self.weather.disconnect(node, is_silent);
        group.shutdown().await;
    }

    /// Breaks a node's disk: every fsync of its log fails from here on.
    pub fn break_log(&self, node: u64) {
        if let Some(node) = self.nodes.get(&node) {
            node.is_log_broken.store(true, Ordering::Relaxed);
        }
    }

    /// Breaks a node's disk: every commit of rows fails from here on.
    pub fn break_rows(&self, node: u64) {
        if let Some(node) = self.nodes.get(&node) {
            node.are_rows_broken.store(true, Ordering::Relaxed);
        }
    }

    /// Makes a node's disk work again, with what was synced: space was made, a cable was put back. What has failed on it
    /// stays failed until the node is killed and started again.
    pub fn mend(&self, node: u64) {
        if let Some(node) = self.nodes.get(&node) {
            node.is_log_broken.store(false, Ordering::Relaxed);
            node.are_rows_broken.store(false, Ordering::Relaxed);
        }
    }

    /// Why a node's process must end, if it must.
    #[must_use]
    pub fn failed(&self, node: u64) -> Option<String> {
        self.nodes.get(&node).and_then(|node| node.failed.borrow().clone())
    }

    /// Makes a dead node's disk lose its newest `entries` synced entries: a fault that no cluster survives if a majority
    /// has it, by which an oracle shows that it can see.
    pub fn forget(&self, node: u64, entries: usize) {
        if let Some(node) = self.nodes.get(&node) {
            node.disk.forget(entries);
        }
    }

    /// Boots a dead node from its disk. Errors: [`StartError`]; a node that runs is left alone.
    pub async fn restart(&self, node: u64) -> Result<(), StartError> {
        let Some(at) = self.nodes.get(&node).filter(|at| at.running.lock().is_none()) else { return Ok(()) };
        at.failed.send_replace(None);
        let switchboard = Arc::new(Switchboard::default());
        self.weather.connect(node, Arc::clone(&switchboard));
        let weather = Arc::clone(&self.weather);
        let (started, clock_ms) = (self.started, Arc::clone(&at.clock_ms));
        let wall: WallClock = Arc::new(move || shown(started, clock_ms.load(Ordering::Relaxed)));
        let inner = MemoryLog::open(Arc::clone(&at.disk), move || weather.sync_time());
        let engine = Arc::new(BreakableLog { inner, is_broken: Arc::clone(&at.is_log_broken) });
        let log = GroupLog::open(self.group, engine).map_err(|error| StartError::damaged(self.group, &error))?;
        let setup = GroupSetup {
            id: self.group,
            node,
            members: (1..=self.members).map(|node| (node, node.to_string())).collect(),
            timers: Timers::default(),
            log,
            rows: Arc::new(BreakableRows { inner: MemoryRows::default(), is_broken: Arc::clone(&at.are_rows_broken) }),
            transport: Arc::new(WeatherTransport { node, weather: Arc::clone(&self.weather) }),
            catch_up: Arc::default(),
            switchboard,
            addressee: Arc::clone(&self.mail) as Arc<dyn Addressee>,
            wall,
            knowledge: Knowledge::latest(),
            is_read_only: false,
            failed: at.failed.clone(),
        };
        match setup.open().await {
            Ok(group) => {
                self.mail.move_in(self.group, node, Arc::new(group.clone()));
                *at.running.lock() = Some(group);
                Ok(())
            }
            Err(error) => {
                self.weather.disconnect(node, false);
                Err(error)
            }
        }
    }

    /// The nodes that run.
    #[must_use]
    pub fn running(&self) -> Vec<u64> {
        self.nodes.iter().filter(|(_, at)| at.running.lock().is_some()).map(|(node, _)| *node).collect()
    }

    /// The group on a node, if the node runs.
    #[must_use]
    pub fn group(&self, node: u64) -> Option<Group<M>> {
        self.nodes.get(&node).and_then(|at| at.running.lock().clone())
    }

    /// A node that believes to lead.
    #[must_use]
    pub fn leader(&self) -> Option<u64> {
        self.nodes.keys().copied().find(|node| self.group(*node).is_some_and(|group| group.is_leader()))
    }

    /// Asks the leader of a node to hand over its lead. Errors: text.
    pub async fn transfer_leader(&self, node: u64) -> Result<(), String> {
        self.group(node).ok_or("the node is down")?.transfer_leader(None).await
    }

    /// Asks whoever leads for a change of the members. Errors: [`MemberError`].
    pub async fn change_member(&self, change: MemberChange) -> Result<(), MemberError> {
        let leader = self.leader().and_then(|leader| self.group(leader));
        leader.ok_or(MemberError::NotLeader)?.change_member(change).await
    }

    /// The address of a node, for [`Self::change_member`].
    #[must_use]
    pub fn address(node: u64) -> String {
        node.to_string()
    }

    /// Proposes through `node` to whichever node leads. Errors: [`ProposeError`]; `NotApplied` if the node is down.
    pub async fn propose(
        &self,
        node: u64,
        request: RequestId,
        command: &M::Command,
        deadline: Duration,
    ) -> Result<Applied<M::Reply>, ProposeError> {
        let group = self.group(node).ok_or_else(|| ProposeError::NotApplied("the node is down".to_owned()))?;
        group.propose_anywhere(request, command, deadline).await
    }

    /// Reads linearizably from `node`, which must lead. Errors: [`ReadError`].
    pub async fn read<T>(&self, node: u64, read: impl FnOnce(&View<'_, M>) -> T) -> Result<T, ReadError> {
        let group = self.group(node).ok_or_else(|| ReadError::Stopped("the node is down".to_owned()))?;
        group.read(read).await
    }

    /// The state hash and index of every running node.
    #[must_use]
    pub fn state_hashes(&self) -> Vec<(u64, Bytes)> {
        let groups = self.nodes.keys().filter_map(|node| self.group(*node));
        groups.filter_map(|group| Group::state_hash(&group).ok()).collect()
    }
}

fn shown(started: Instant, offset_ms: i64) -> u64 {
    let elapsed = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    u64::try_from(EPOCH_MS.saturating_add(elapsed).saturating_add(offset_ms)).unwrap_or(0)
}
