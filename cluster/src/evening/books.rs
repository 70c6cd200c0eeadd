//! Who uses the processors, second by second: the app, the queue, this program that makes the load, and everybody else.
//!
//! Why: the load generator must not be what limits the evening, and on one machine only these books can show it.
//!
//! Must never: guess. What cannot be read (another system, a node that is gone) counts for nothing and nobody.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::bench::usage::{TICKS_PER_S, ticks_of};
use crate::file::{ClusterFile, Kind};

/// Processors in use, on the mean over a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cores {
    /// By this program.
    pub(crate) generator: f64,
    /// By the app's nodes.
    pub(crate) app: f64,
    /// By the queue's nodes.
    pub(crate) queue: f64,
    /// By whatever else runs on the machine.
    pub(crate) others: f64,
}

impl Cores {
    /// By the cluster.
    pub(crate) fn servers(self) -> f64 {
        self.app + self.queue
    }

    /// This program's part of what it and the cluster use together.
    pub(crate) fn generator_share(self) -> f64 {
        let both = self.generator + self.servers();
        if both > 0.0 { self.generator / both } else { 0.0 }
    }
}

/// The mean of some.
pub(crate) fn mean(all: &[Cores]) -> Cores {
    let count = all.len().max(1) as f64;
    let of = |part: fn(&Cores) -> f64| all.iter().map(part).sum::<f64>() / count;
    Cores {
        generator: of(|cores| cores.generator),
        app: of(|cores| cores.app),
        queue: of(|cores| cores.queue),
        others: of(|cores| cores.others),
    }
}

/// Processor time at one moment, in ticks.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    at: Instant,
    own: u64,
    nodes: BTreeMap<u32, (Kind, u64)>,
    machine: u64,
}

impl Books {
    /// Reads them.
    pub(crate) fn read(cluster: &ClusterFile) -> Self {
        let nodes = cluster.nodes().filter_map(|(kind, node)| Some((node.pid, (kind, ticks_of(node.pid)?))));
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self {
            at: Instant::now(),
            own: ticks_of(std::process::id()).unwrap_or(0),
            nodes: nodes.collect(),
            machine: busy(&stat).unwrap_or(0),
        }
    }

    /// What was used since `before`. A process that is new has used all it has.
    pub(crate) fn since(&self, before: &Self) -> Cores {
        let ticks = self.at.duration_since(before.at).as_secs_f64().max(0.001) * TICKS_PER_S as f64;
        let of = |kind: Kind| {
            let used = self
                .nodes
                .iter()
                .filter(|(_, (each, _))| *each == kind)
                .map(|(pid, (_, now))| now.saturating_sub(before.nodes.get(pid).map_or(0, |(_, then)| *then)));
            used.sum::<u64>() as f64 / ticks
        };
        let generator = self.own.saturating_sub(before.own) as f64 / ticks;
        let (app, queue) = (of(Kind::App), of(Kind::Queue));
        let machine = self.machine.saturating_sub(before.machine) as f64 / ticks;
        Cores { generator, app, queue, others: (machine - generator - app - queue).max(0.0) }
    }
}

/// Ticks that the machine was busy: the first line of `/proc/stat`, but for idling (4th) and waiting for a disk (5th).
fn busy(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).take(8).collect();
    Some(fields.iter().enumerate().filter(|(place, _)| !matches!(place, 3 | 4)).map(|(_, ticks)| ticks).sum())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn idling_and_waiting_for_a_disk_are_not_work() {
        assert_eq!(busy("cpu  1 2 4 1000 2000 8 16 32 64 0\ncpu0 9 9"), Some(63));
        assert_eq!(busy("intr 5"), None);
    }

    #[test]
    fn the_rest_of_the_machine_is_others_and_a_new_process_has_used_all_it_has() {
        let at = Instant::now();
        let before = Books {
            at,
            own: 100,
            nodes: BTreeMap::from([(7, (Kind::App, 500)), (8, (Kind::Queue, 10))]),
            machine: 1000,
        };
        let now = Books {
            at: at + Duration::from_secs(2),
            own: 150,
            nodes: BTreeMap::from([(9, (Kind::App, 40)), (8, (Kind::Queue, 30))]),
            machine: 1200,
        };
        let cores = now.since(&before);
        assert_eq!((cores.generator, cores.app, cores.queue), (0.25, 0.2, 0.1));
        assert!((cores.others - 0.45).abs() < 1e-9);
        assert!((cores.generator_share() - 0.25 / 0.55).abs() < 1e-9);
    }
}
