//! The simulated net: messages take a while, get lost, and do not pass where it is cut.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::net::{Answers, Lane, Parcel, Switchboard, Transport, TransportError};

/// How long a sender believes in a connection over which nothing comes any more.
const SILENCE: Duration = Duration::from_secs(1);

/// How often a node looks whether another one is gone, and a message whether it may go on.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The net between all nodes. Nodes are addressed by their number.
pub struct Weather(Mutex<Sky>);

struct Sky {
    dice: StdRng,
    nodes: BTreeMap<u64, Arc<Switchboard>>,
    /// Hosts that are down: they do not even say that nobody listens.
    silent: BTreeSet<u64>,
    cuts: BTreeSet<(u64, u64)>,
    /// Nodes that hang: what they say and what is said to them waits.
    hanging: BTreeSet<u64>,
    delay_us_max: u64,
    lost_in_thousand: u32,
    sync_us: Range<u64>,
}

enum Passage {
    After(Duration),
    Lost,
    NobodyThere,
}

impl Weather {
    pub(super) fn new(seed: u64) -> Self {
        let dice = StdRng::seed_from_u64(seed);
        let (nodes, silent, cuts, hanging) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let sync_us = 100..3_000;
        Self(Mutex::new(Sky { dice, nodes, silent, cuts, hanging, delay_us_max: 2_000, lost_in_thousand: 0, sync_us }))
    }

    /// Messages take up to `delay_us_max` microseconds, and `lost_in_thousand` of a thousand break their connection.
    pub fn change(&self, delay_us_max: u64, lost_in_thousand: u32) {
        let mut sky = self.0.lock();
        sky.delay_us_max = delay_us_max;
        sky.lost_in_thousand = lost_in_thousand;
    }

    /// A disk needs so long for a sync. Units: microseconds.
    pub fn change_disks(&self, sync_us: Range<u64>) {
        self.0.lock().sync_us = sync_us;
    }

    /// Lets nothing pass from `from` to `to`; the other way stays open.
    pub fn cut(&self, from: u64, to: u64) {
        self.0.lock().cuts.insert((from, to));
    }

    /// Holds everything back that `node` says and that is said to it, until [`Self::wake`] or [`Self::heal`]: then all of it
    /// arrives, late.
    pub fn hang(&self, node: u64) {
        self.0.lock().hanging.insert(node);
    }

    /// Ends [`Self::hang`].
    pub fn wake(&self, node: u64) {
        self.0.lock().hanging.remove(&node);
    }

    /// Opens all ways, and wakes who hangs.
    pub fn heal(&self) {
        let mut sky = self.0.lock();
        sky.cuts.clear();
        sky.hanging.clear();
    }

    fn is_held(&self, from: u64, to: u64) -> bool {
        let sky = self.0.lock();
        sky.hanging.contains(&from) || sky.hanging.contains(&to)
    }

    /// A time a disk needs for a sync.
    pub(super) fn sync_time(&self) -> Duration {
        let mut sky = self.0.lock();
        let range = sky.sync_us.clone();
        Duration::from_micros(sky.dice.random_range(range))
    }

    pub(super) fn connect(&self, node: u64, switchboard: Arc<Switchboard>) {
        let mut sky = self.0.lock();
        sky.silent.remove(&node);
        sky.nodes.insert(node, switchboard);
    }

    /// Takes a node off the net and ends the streams it serves.
    pub(super) fn disconnect(&self, node: u64, is_silent: bool) {
        let gone = {
            let mut sky = self.0.lock();
            if is_silent {
                sky.silent.insert(node);
            }
            sky.nodes.remove(&node)
        };
        if let Some(switchboard) = gone {
            switchboard.close();
        }
    }

    fn switchboard(&self, node: u64) -> Option<Arc<Switchboard>> {
        self.0.lock().nodes.get(&node).map(Arc::clone)
    }

    fn passage(&self, from: u64, to: u64) -> Passage {
        let mut sky = self.0.lock();
        if !sky.nodes.contains_key(&to) || !sky.nodes.contains_key(&from) {
            return Passage::NobodyThere;
        }
        let lost = sky.lost_in_thousand;
        if sky.cuts.contains(&(from, to)) || sky.dice.random_range(0..1_000) < lost {
            return Passage::Lost;
        }
        let most = sky.delay_us_max.max(1);
        Passage::After(Duration::from_micros(sky.dice.random_range(0..most)))
    }

    /// Whether `from` sees that `to` is gone: over a way that is cut nothing is seen.
    fn is_gone(&self, from: u64, to: u64) -> bool {
        let sky = self.0.lock();
        let is_down = !sky.nodes.contains_key(&to) && !sky.silent.contains(&to);
        is_down && !sky.cuts.contains(&(from, to)) && !sky.cuts.contains(&(to, from))
    }

    /// Carries a message over; false if it will never arrive.
    async fn carry(&self, from: u64, to: u64) -> bool {
        match self.passage(from, to) {
            Passage::After(delay) => {
                tokio::time::sleep(delay).await;
                while self.is_held(from, to) {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                true
            }
            Passage::Lost => {
                tokio::time::sleep(SILENCE).await;
                false
            }
            Passage::NobodyThere => false,
        }
    }
}

/// The net as one node sees it.
pub(super) struct WeatherTransport {
    pub node: u64,
    pub weather: Arc<Weather>,
}

impl WeatherTransport {
    fn target(&self, address: &str) -> Result<(u64, Arc<Switchboard>), TransportError> {
        let node = address.parse().ok();
        let found = node.and_then(|node| Some((node, self.weather.switchboard(node)?)));
        let unreachable =
            || TransportError::Unreachable { address: address.to_owned(), reason: "it is down".to_owned() };
        found.ok_or_else(unreachable)
    }
}

fn broken(address: &str) -> TransportError {
    TransportError::Broken { address: address.to_owned(), reason: "the message was lost".to_owned() }
}

impl Transport for WeatherTransport {
    fn call(&self, _: Lane, address: &str, request: Bytes) -> BoxFuture<'static, Result<Bytes, TransportError>> {
        let (weather, me, address) = (Arc::clone(&self.weather), self.node, address.to_owned());
        let target = self.target(&address);
        Box::pin(async move {
            let (peer, switchboard) = target?;
            if !weather.carry(me, peer).await {
                return Err(broken(&address));
            }
            let answer = switchboard.call(request).await;
            if weather.carry(peer, me).await { Ok(answer) } else { Err(broken(&address)) }
        })
    }

    fn stream(
        &self,
        _: Lane,
        address: &str,
        requests: BoxStream<'static, Parcel>,
    ) -> BoxFuture<'static, Result<Answers, TransportError>> {
        let (weather, me, address) = (Arc::clone(&self.weather), self.node, address.to_owned());
        let target = self.target(&address);
        Box::pin(async move {
            let (peer, switchboard) = target?;
            let there = Arc::clone(&weather);
            let arriving = requests
                .then(move |message| {
                    let there = Arc::clone(&there);
                    async move { there.carry(me, peer).await.then(|| message.join()) }
                })
                .take_while(|message| futures::future::ready(message.is_some()))
                .filter_map(futures::future::ready);
            let answers = switchboard.stream(arriving.boxed()).await;
            let returning = answers.then(move |answer| {
                let (back, address) = (Arc::clone(&weather), address.clone());
                async move { if back.carry(peer, me).await { Ok(answer) } else { Err(broken(&address)) } }
            });
            Ok(returning.boxed())
        })
    }

    fn gone(&self, address: &str) -> BoxFuture<'static, ()> {
        let (weather, me, peer) = (Arc::clone(&self.weather), self.node, address.parse());
        Box::pin(async move {
            let Ok(peer) = peer else { return std::future::pending().await };
            while !weather.is_gone(me, peer) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
    }
}
