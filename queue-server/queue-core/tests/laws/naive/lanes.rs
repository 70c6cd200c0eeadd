//! Lanes of the naive model: what messages of one priority, tenant and ordered group have in common, and whose turn it is.
//!
//! Must never: know which messages stand in a lane. Whoever closes lanes says which are in use.

use std::collections::{BTreeMap, BTreeSet};

/// Priority, tenant, ordered group.
pub(crate) type Order = (u8, String, String);

/// The order of a message that has none.
pub(crate) fn plain() -> Order {
    (4, String::new(), String::new())
}

#[derive(Clone, Debug)]
struct Lane {
    number: u64,
    placed: u64,
    turn: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    lanes: BTreeMap<Order, Lane>,
    tenants: BTreeMap<(u8, String), u64>,
    /// The largest number of all lanes that are closed.
    fresh: u64,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        Self {
            lanes: BTreeMap::from([(plain(), Lane { number: 0, placed: 0, turn: 0 })]),
            tenants: BTreeMap::from([((4, String::new()), 0)]),
            fresh: 0,
        }
    }

    /// Opens a lane behind all who wait.
    pub(crate) fn open(&mut self, order: &Order, turn: u64) {
        self.tenants.entry((order.0, order.1.clone())).or_insert(turn);
        if !self.lanes.contains_key(order) {
            let number = (1..).find(|number| self.lanes.values().all(|lane| lane.number != *number));
            let number = number.expect("numbers do not end");
            self.lanes.insert(order.clone(), Lane { number, placed: self.fresh, turn });
        }
    }

    /// Closes all lanes but the plain one and those in use.
    pub(crate) fn close_unused(&mut self, used: &BTreeSet<Order>) {
        let is_kept = |order: &Order| *order == plain() || used.contains(order);
        for lane in self.lanes.iter().filter(|(order, _)| !is_kept(order)).map(|(_, lane)| lane) {
            self.fresh = self.fresh.max(lane.placed);
        }
        self.lanes.retain(|order, _| is_kept(order));
        self.tenants.retain(|tenant, _| self.lanes.keys().any(|order| (order.0, order.1.clone()) == *tenant));
    }

    /// The next place of an open lane.
    pub(crate) fn next_seq(&mut self, order: &Order) -> u64 {
        let lane = self.lanes.get_mut(order).expect("it was opened");
        lane.placed += 1;
        lane.number << 40 | lane.placed
    }

    /// Who comes first: the least goes first.
    pub(crate) fn turn(&self, order: &Order) -> impl Ord + use<> {
        let (priority, tenant, _) = order;
        let tenant_turn = self.tenants[&(*priority, tenant.clone())];
        let lane = &self.lanes[order];
        (9 - priority, tenant_turn, tenant.clone(), lane.turn, lane.number)
    }

    /// A message of a lane was delivered.
    pub(crate) fn serve(&mut self, order: &Order, turn: u64) {
        self.lanes.get_mut(order).expect("a message has a lane").turn = turn;
        self.tenants.insert((order.0, order.1.clone()), turn);
    }
}
