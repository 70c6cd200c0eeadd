//! Measured costs: what one action of each kind takes, on the machine where it was measured.
//!
//! Must never: hold a figure that no run gave. There are no defaults here.

use serde::{Deserialize, Serialize};

use crate::draw::{self, Action};
use crate::evening::books::Cores;

/// What one kind of action costs; the cluster's share is that of all its copies together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct KindCost {
    /// send, open, grab or lists.
    pub(crate) kind: String,
    /// How many were measured, and over how long.
    pub(crate) actions: u64,
    /// Seconds.
    pub(crate) secs: f64,
    /// Processor time of the app's nodes for one. Microseconds.
    pub(crate) app_us: f64,
    /// Processor time of the queue's nodes for one. Microseconds.
    pub(crate) queue_us: f64,
    /// Processor time of the load generator for one. Microseconds.
    pub(crate) generator_us: f64,
    /// Bytes that all nodes handed to their disks for one.
    pub(crate) written_bytes: f64,
    /// Fsyncs of all nodes for one.
    pub(crate) fsyncs: f64,
    /// Half of the answers took less. Microseconds.
    pub(crate) p50_us: u32,
    /// 99 of 100 did.
    pub(crate) p99_us: u32,
}

impl KindCost {
    /// How many were answered in a second.
    pub(crate) fn per_s(&self) -> f64 {
        if self.secs > 0.0 { self.actions as f64 / self.secs } else { 0.0 }
    }

    /// Processor time of the cluster for one. Microseconds.
    pub(crate) fn server_us(&self) -> f64 {
        self.app_us + self.queue_us
    }
}

/// What the mix of all kinds reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MixMeasured {
    /// Actions a second that were answered at most.
    pub(crate) per_s: f64,
    /// Who used the processors meanwhile.
    pub(crate) cores: Cores,
}

/// Everything that was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Costs {
    /// Processors of the machine.
    pub(crate) cores: usize,
    /// Groups of the ledger, and of packets.
    pub(crate) groups: u32,
    /// Processors that the cluster uses while nobody asks anything.
    pub(crate) idle_cores: f64,
    /// Median of an fsync, of the slowest node. Microseconds.
    pub(crate) fsync_p50_us: u64,
    /// Send, open, grab, lists.
    pub(crate) kinds: Vec<KindCost>,
    /// The mix.
    pub(crate) mix: MixMeasured,
}

/// The kinds in the order of the classes that they are admitted by.
pub(crate) const KINDS: [(&str, Action); 4] =
    [("send", Action::Send), ("open", Action::Open), ("grab", Action::Grab), ("lists", Action::View)];

impl Costs {
    /// One kind's. `None`: it was not measured.
    pub(crate) fn of(&self, kind: &str) -> Option<&KindCost> {
        self.kinds.iter().find(|cost| cost.kind == kind)
    }

    /// One figure of all kinds in their order. Errors: a kind was not measured.
    pub(crate) fn each(&self, figure: impl Fn(&KindCost) -> f64) -> Result<[f64; 4], String> {
        let mut all = [0.0; 4];
        for (value, (kind, _)) in all.iter_mut().zip(KINDS) {
            *value = figure(self.of(kind).ok_or_else(|| format!("{kind} was not measured"))?);
        }
        Ok(all)
    }
}

/// The part of each kind in the mix of an evening.
pub(crate) fn mix() -> [f64; 4] {
    KINDS.map(|(_, action)| draw::part(action))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Round costs: a send 1000 µs, an open 500, a grab 50, a look 100; the generator 50 each.
    pub(crate) fn sample() -> Costs {
        let kind = |kind: &str, app_us: f64, per_s: u64| KindCost {
            kind: kind.to_owned(),
            actions: per_s * 10,
            secs: 10.0,
            app_us: app_us * 0.8,
            queue_us: app_us * 0.2,
            generator_us: 50.0,
            written_bytes: app_us * 3.0,
            fsyncs: 0.1,
            p50_us: 1,
            p99_us: 2,
        };
        let kinds = vec![
            kind("send", 1000.0, 1_500),
            kind("open", 500.0, 3_000),
            kind("grab", 50.0, 10_000),
            kind("lists", 100.0, 8_000),
        ];
        Costs { cores: 2, groups: 2, idle_cores: 0.1, fsync_p50_us: 500, kinds, mix: MixMeasured::default() }
    }

    #[test]
    fn costs_read_back_as_they_were_written() {
        let text = serde_json::to_string(&sample()).expect("costs can be written");
        assert_eq!(serde_json::from_str::<Costs>(&text).expect("costs can be read"), sample());
    }

    #[test]
    fn a_kind_that_was_not_measured_has_no_cost() {
        let mut costs = sample();
        assert_eq!(costs.each(KindCost::server_us), Ok([1000.0, 500.0, 50.0, 100.0]));
        costs.kinds.retain(|cost| cost.kind != "grab");
        assert_eq!(costs.each(KindCost::server_us), Err("grab was not measured".to_owned()));
        assert!((mix().iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
