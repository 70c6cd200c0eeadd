//! The cluster as the client knows it: nodes, which of them leads which group, and which gave no sign of life lately.
//!
//! ```text
//!  leader known ─────────────────────────────────────────> go there
//!  not known ─> wait for a turn, or for who finds it first ─> try the next node that is not suspected
//! ```
//!
//! Why turns: when a leader dies, every call that was under way with it looks for the next one. One of them finds it; all
//! together would keep the others from electing it.
//!
//! Must never: trust what it knows. A leader is a guess that the next answer confirms or corrects.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::config::ClientConfig;
use crate::error::Error;
use crate::limits::{NODES_MAX, SEARCH_EVERY, SUSPECT_FOR};
use crate::node::Node;

/// Nodes and leaders.
#[derive(Debug)]
pub(crate) struct Cluster {
    config: ClientConfig,
    known: Mutex<Known>,
    /// Told whenever a leader is found.
    found: Notify,
}

#[derive(Debug)]
struct Known {
    nodes: Vec<Arc<Node>>,
    leaders: BTreeMap<u32, Arc<Node>>,
    /// Nodes that gave no sign of life, by address, and until when they are passed over.
    suspects: BTreeMap<String, Instant>,
    /// When the next call may look for the leader of a group.
    searches: BTreeMap<u32, Instant>,
    turn: usize,
}

impl Cluster {
    /// The nodes of the configuration. Errors: `NotApplied`, an address is none, or there is none.
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, Error> {
        let dial = |address: &String| Node::new(address, config).map(Arc::new);
        let nodes = config.nodes.iter().take(NODES_MAX).map(dial).collect::<Result<Vec<_>, _>>()?;
        if nodes.is_empty() {
            return Err(Error::NotApplied { reason: "no node is configured".to_owned() });
        }
        let (leaders, suspects, searches) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let known = Known { nodes, leaders, suspects, searches, turn: 0 };
        Ok(Self { config: config.clone(), known: Mutex::new(known), found: Notify::new() })
    }

    /// How many nodes there are to try.
    pub(crate) fn size(&self) -> usize {
        self.known.lock().nodes.len()
    }

    /// The leader of `group` if one is known; else, when it is this call's turn, the next node that is not suspected.
    pub(crate) async fn pick(&self, group: Option<u32>) -> Arc<Node> {
        let Some(group) = group else { return self.known.lock().next() };
        let turn = {
            let mut known = self.known.lock();
            if let Some(leader) = known.leader(group) {
                return leader;
            }
            known.take_turn(group)
        };
        tokio::select! {
            () = sleep_until(turn) => {}
            () = self.finds(group) => {}
        }
        let mut known = self.known.lock();
        known.leader(group).unwrap_or_else(|| known.next())
    }

    /// Whether the leader of `group` is known.
    pub(crate) fn knows(&self, group: u32) -> bool {
        self.known.lock().leader(group).is_some()
    }

    /// Waits until the leader of `group` is known.
    pub(crate) async fn finds(&self, group: u32) {
        loop {
            let mut found = std::pin::pin!(self.found.notified());
            // From here on nothing is missed.
            found.as_mut().enable();
            if self.knows(group) {
                return;
            }
            found.await;
        }
    }

    /// `node` answered for `group`: it leads.
    pub(crate) fn leads(&self, group: u32, node: &Arc<Node>) {
        let mut known = self.known.lock();
        known.suspects.remove(node.address());
        if !known.leaders.get(&group).is_some_and(|leader| Arc::ptr_eq(leader, node)) {
            known.leaders.insert(group, Arc::clone(node));
            known.searches.remove(&group);
            drop(known);
            self.found.notify_waiters();
        }
    }

    /// `node` did not answer for `group`; `leader` is whom it named. False: it named one that is suspected.
    pub(crate) fn failed(&self, group: u32, node: &Arc<Node>, leader: Option<&str>) -> bool {
        let mut known = self.known.lock();
        let is_suspected = leader.is_some_and(|leader| known.is_suspected(leader));
        if let Some(leader) = leader.filter(|_| !is_suspected)
            && let Some(leader) = known.find(leader, &self.config)
        {
            known.leaders.insert(group, leader);
            known.searches.remove(&group);
            drop(known);
            self.found.notify_waiters();
        } else if known.leaders.get(&group).is_some_and(|leader| Arc::ptr_eq(leader, node)) {
            known.leaders.remove(&group);
        }
        !is_suspected
    }

    /// `node` gave no sign of life: it is passed over for a while, whoever names it.
    pub(crate) fn suspect(&self, node: &Node) {
        self.known.lock().suspects.insert(node.address().to_owned(), Instant::now() + SUSPECT_FOR);
    }
}

impl Known {
    fn leader(&self, group: u32) -> Option<Arc<Node>> {
        self.leaders.get(&group).filter(|leader| !self.is_suspected(leader.address())).map(Arc::clone)
    }

    fn is_suspected(&self, address: &str) -> bool {
        self.suspects.get(address).is_some_and(|until| Instant::now() < *until)
    }

    /// The next node in turn; a suspected one only if all are.
    fn next(&mut self) -> Arc<Node> {
        let count = self.nodes.len();
        let ahead = |step: &usize| !self.is_suspected(self.nodes[(self.turn + step) % count].address());
        let place = (self.turn + (0..count).find(ahead).unwrap_or(0)) % count;
        self.turn = place + 1;
        Arc::clone(&self.nodes[place])
    }

    /// When a call may look for the leader of `group`.
    fn take_turn(&mut self, group: u32) -> Instant {
        let now = Instant::now();
        let turn = self.searches.get(&group).map_or(now, |turn| now.max(*turn));
        self.searches.insert(group, turn + SEARCH_EVERY);
        turn
    }

    /// The node at `address`, a new one if there is room. `None`: the address is none, or too many nodes are known.
    fn find(&mut self, address: &str, config: &ClientConfig) -> Option<Arc<Node>> {
        if let Some(node) = self.nodes.iter().find(|node| node.address() == address) {
            return Some(Arc::clone(node));
        }
        if self.nodes.len() >= NODES_MAX {
            return None;
        }
        let node = Arc::new(Node::new(address, config).ok()?);
        self.nodes.push(Arc::clone(&node));
        Some(node)
    }
}
