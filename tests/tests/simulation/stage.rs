//! A cluster on stage: which of its nodes take part, what is done to them, how they are healed, and one member that is
//! replaced by a blank one in the middle of it all.
//!
//! Must never: start a node again that was sent away.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use machine::{GroupId, Machine};
use parking_lot::Mutex;
use rand::Rng as _;
use rand::rngs::StdRng;
use replica::simulation::{Mail, Plan, SimulatedCluster};
use replica::{MemberChange, MemberError};
use tokio::time::{Instant, timeout};

/// Who is there at first, and who may come in the place of one of them.
pub(crate) const MEMBERS: u64 = 3;
const SPARE: u64 = MEMBERS + 1;
/// Every node there ever is.
pub(crate) const NODES: std::ops::RangeInclusive<u64> = 1..=SPARE;
/// A write is synced, or has failed, within this.
const LAST_FAILURES: Duration = Duration::from_secs(1);
/// How long one request for a change of the members is waited for; it may happen later all the same.
const CHANGE: Duration = Duration::from_millis(800);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A cluster under weather.
pub(crate) struct Stage<M: Machine> {
    pub(crate) cluster: SimulatedCluster<M>,
    cast: Mutex<Cast>,
}

struct Cast {
    /// Nodes that may be started.
    nodes: BTreeSet<u64>,
    /// The member that [`SPARE`] replaces.
    leaving: Option<u64>,
    is_replaced: bool,
}

impl<M: Machine> Stage<M> {
    /// Three nodes and a spare one. Errors: a node does not start.
    pub(crate) async fn open(group: GroupId, seed: u64, mail: Arc<Mail>) -> Result<Self, String> {
        let plan = Plan { group, seed, members: MEMBERS, spares: 1, mail };
        let cluster = SimulatedCluster::start_as(plan).await.map_err(|error| error.to_string())?;
        let cast = Cast { nodes: (1..=MEMBERS).collect(), leaving: None, is_replaced: false };
        Ok(Self { cluster, cast: Mutex::new(cast) })
    }

    /// One of the nodes that take part.
    pub(crate) fn any(&self, dice: &mut StdRng) -> u64 {
        let cast = self.cast.lock();
        let place = dice.random_range(0..cast.nodes.len());
        cast.nodes.iter().nth(place).copied().unwrap_or(1)
    }

    /// Starts a dead node, on a disk that works. Errors are broken laws: nothing else may keep a node from starting.
    pub(crate) async fn restart(&self, node: u64) -> Result<(), String> {
        if !self.cast.lock().nodes.contains(&node) {
            return Ok(());
        }
        if self.cluster.group(node).is_none() {
            self.cluster.mend(node);
        }
        let started = self.cluster.restart(node).await;
        started.map_err(|error| format!("node {node} does not start again: {error}"))
    }

    /// A process that says it has failed ends.
    pub(crate) async fn bury(&self) {
        for node in NODES {
            if self.cluster.failed(node).is_some() {
                self.cluster.kill(node).await;
            }
        }
    }

    /// Ends every fault. Errors: a node does not start again.
    pub(crate) async fn heal(&self) -> Result<(), String> {
        let weather = self.cluster.weather();
        weather.heal();
        weather.change(2_000, 0);
        weather.change_disks(100..3_000);
        self.cluster.set_clocks();
        NODES.for_each(|node| self.cluster.mend(node));
        // A write that began on a broken disk fails yet.
        tokio::time::sleep(LAST_FAILURES).await;
        self.bury().await;
        for node in NODES {
            self.restart(node).await?;
        }
        Ok(())
    }

    /// One step of replacing a member by a blank node; `leaving` is whom, if nobody was chosen before. A step that is
    /// refused, or whose outcome is unknown, is taken again the next time.
    pub(crate) async fn replace(&self, leaving: u64) {
        let leaving = {
            let mut cast = self.cast.lock();
            if cast.is_replaced {
                return;
            }
            cast.nodes.insert(SPARE);
            *cast.leaving.get_or_insert(leaving)
        };
        // A blank node that cannot start shows when everything is healed.
        let _ = self.restart(SPARE).await;
        if matches!(timeout(CHANGE, self.step(leaving)).await, Ok(Ok(true))) {
            let mut cast = self.cast.lock();
            cast.nodes.remove(&leaving);
            cast.is_replaced = true;
        }
        if self.cast.lock().is_replaced {
            self.cluster.kill(leaving).await;
        }
    }

    /// Whether the replacement is done.
    async fn step(&self, leaving: u64) -> Result<bool, MemberError> {
        let leader = self.cluster.leader().ok_or(MemberError::NotLeader)?;
        let status = self.cluster.group(leader).ok_or(MemberError::NotLeader)?.status();
        let is_member = |node| status.members.iter().any(|(member, ..)| *member == node);
        let change = if status.voters.contains(&SPARE) {
            if !is_member(leaving) {
                return Ok(true);
            }
            if leader == leaving {
                // Refused if nobody else is there: the next step asks again.
                let _ = self.cluster.transfer_leader(leader).await;
                return Ok(false);
            }
            MemberChange::Remove { node: leaving }
        } else if is_member(SPARE) {
            MemberChange::Promote { node: SPARE }
        } else {
            MemberChange::Add { node: SPARE, address: SimulatedCluster::<M>::address(SPARE) }
        };
        self.cluster.change_member(change).await.map(|()| false)
    }

    /// Goes on with a replacement that was begun until it is done. Errors: it is not by `until`.
    pub(crate) async fn finish_replacement(&self, until: Instant) -> Result<(), String> {
        loop {
            let leaving = {
                let cast = self.cast.lock();
                cast.leaving.filter(|_| !cast.is_replaced)
            };
            let Some(leaving) = leaving else { return Ok(()) };
            if Instant::now() > until {
                return Err(format!("node {leaving} is not replaced after everything was healed"));
            }
            self.replace(leaving).await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until all replicas hold the same rows. Errors: they do not by `until`.
    pub(crate) async fn demand_equal_replicas(&self, until: Instant) -> Result<(), String> {
        loop {
            let hashes = self.cluster.state_hashes();
            let all = self.cast.lock().nodes.len();
            if hashes.len() == all && hashes.windows(2).all(|pair| pair[0] == pair[1]) {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("the replicas differ: {hashes:?}"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends every node.
    pub(crate) async fn close(&self) {
        for node in NODES {
            self.cluster.kill(node).await;
        }
    }
}
