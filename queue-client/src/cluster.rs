//! The cluster as the client knows it: nodes, and which of them leads which group.
//!
//! Must never: trust what it knows. A leader is a guess that the next answer confirms or corrects.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::ClientConfig;
use crate::error::Error;
use crate::limits::NODES_MAX;
use crate::node::Node;

/// Nodes and leaders.
#[derive(Debug)]
pub(crate) struct Cluster {
    config: ClientConfig,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    nodes: Vec<Arc<Node>>,
    leaders: BTreeMap<u32, Arc<Node>>,
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
        let known = Known { nodes, leaders: BTreeMap::new(), turn: 0 };
        Ok(Self { config: config.clone(), known: Mutex::new(known) })
    }

    /// How many nodes there are to try.
    pub(crate) fn size(&self) -> usize {
        self.known.lock().nodes.len()
    }

    /// The leader of `group` if one is known, else the next node in turn.
    pub(crate) fn pick(&self, group: Option<u32>) -> Arc<Node> {
        let mut known = self.known.lock();
        if let Some(leader) = group.and_then(|group| known.leaders.get(&group)) {
            return Arc::clone(leader);
        }
        let turn = known.turn % known.nodes.len();
        known.turn = turn + 1;
        Arc::clone(&known.nodes[turn])
    }

    /// `node` answered for `group`: it leads.
    pub(crate) fn leads(&self, group: u32, node: &Arc<Node>) {
        let mut known = self.known.lock();
        if !known.leaders.get(&group).is_some_and(|leader| Arc::ptr_eq(leader, node)) {
            known.leaders.insert(group, Arc::clone(node));
        }
    }

    /// `node` did not answer for `group`; `leader` is whom it named.
    pub(crate) fn failed(&self, group: u32, node: &Arc<Node>, leader: Option<&str>) {
        let mut known = self.known.lock();
        if let Some(leader) = leader.and_then(|address| known.find(address, &self.config)) {
            known.leaders.insert(group, leader);
        } else if known.leaders.get(&group).is_some_and(|leader| Arc::ptr_eq(leader, node)) {
            known.leaders.remove(&group);
        }
    }
}

impl Known {
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
