//! The plan: how many machines, groups and disks a peak needs, if each action costs what was measured.
//!
//! ```text
//!  costs of one action ──> a cell: three machines with three copies of its groups ──> so many cells that in the peak minute
//!  rates of the peak  ──>                                                           none sheds a send or an open
//! ```
//!
//! Must never: round in favour of the plan, or use a cost that was not measured.

use serde_json::{Value, json};

use super::costs::{Costs, KindCost, mix};
use super::model::{Cell, KINDS, Outcome};

/// Machines that hold the copies of a group.
const COPIES: f64 = 3.0;
/// How long the peak is modelled. Seconds.
const PEAK_S: f64 = 20.0;
/// Cells that are modelled in its place: they share nothing, so a sample shows the worst of them.
const SAMPLE: u64 = 4;
/// An action waits no longer than this on the mean: beyond it the admission calls a node overloaded. Milliseconds.
const WAIT_MS_MAX: f64 = 20.0;
/// More cells than this are no plan.
const CELLS_MAX: u64 = 1 << 24;

/// What is to be borne.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peak {
    /// Send, open, grab, lists, a second.
    pub(crate) rates: [f64; KINDS],
    /// Processors of a machine.
    pub(crate) cores: f64,
    /// Actions of the whole evening, in the usual mix.
    pub(crate) actions: f64,
    /// Of the chance.
    pub(crate) seed: u64,
}

/// How well the model foretells what the mix reached on the measured machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    /// Actions a second that the model gives.
    pub(crate) modelled: f64,
    /// Actions a second that were measured.
    pub(crate) measured: f64,
}

impl Check {
    /// What the model says too much, as a part of what was measured.
    pub(crate) fn error(&self) -> f64 {
        if self.measured > 0.0 { self.modelled / self.measured - 1.0 } else { f64::NAN }
    }
}

/// Models the measured machine: its processors without what others used, and the generator's work among the costs, because
/// it ran beside. Errors: a kind was not measured.
pub(crate) fn check(costs: &Costs, seed: u64) -> Result<Check, String> {
    let cost_us = costs.each(|kind| kind.server_us() + kind.generator_us)?;
    let cores = (costs.cores as f64 - costs.mix.cores.others - costs.idle_cores).max(0.01);
    let modelled = Cell { cores, cost_us }.capacity(mix(), 5.0, seed);
    Ok(Check { modelled, measured: costs.mix.per_s })
}

/// What a peak needs.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Cells of three machines each.
    pub(crate) cells: u64,
    /// What the worst modelled cell came to.
    pub(crate) worst: Outcome,
    /// Ledger groups and packet groups, each with three copies.
    pub(crate) groups: (f64, f64),
    /// Bytes that a machine writes a second at the peak.
    pub(crate) disk_bytes_per_s: f64,
    /// Fsyncs of a machine a second at the peak, if batches stay as large as they were measured.
    pub(crate) fsyncs_per_s: f64,
    /// Processor time of the whole evening. Hours.
    pub(crate) core_hours: f64,
    /// Bytes that all disks write in the evening, all copies counted.
    pub(crate) written_bytes: f64,
}

impl Plan {
    /// Machines.
    pub(crate) fn machines(&self) -> f64 {
        self.cells as f64 * COPIES
    }
}

/// The smallest number of cells that bears the peak. Errors: a kind was not measured, or no number does.
pub(crate) fn plan(costs: &Costs, peak: &Peak) -> Result<Plan, String> {
    let cost_us = costs.each(KindCost::server_us)?;
    // What a cluster uses while it is idle, it uses in each cell.
    let cell = Cell { cores: (peak.cores * COPIES - costs.idle_cores).max(0.01), cost_us };
    let worst = |cells: u64| {
        let rates = peak.rates.map(|rate| rate / cells as f64);
        let outcomes = (0..SAMPLE).map(|number| cell.run(rates, PEAK_S, peak.seed.wrapping_add(number)));
        outcomes.max_by(|one, other| one.wait_ms.total_cmp(&other.wait_ms)).unwrap_or_default()
    };
    let bears = |outcome: &Outcome| outcome.shed.iter().all(|shed| *shed <= 0.0) && outcome.wait_ms <= WAIT_MS_MAX;
    let needed: f64 = peak.rates.iter().zip(cost_us).map(|(rate, us)| rate * us / 1e6).sum();
    // Below what the work alone takes nothing needs to be tried.
    let mut low = whole(needed / cell.cores).max(1) - 1;
    let mut high = low + 1;
    while !bears(&worst(high)) {
        low = high;
        high = high + high / 8 + 1;
        if high > CELLS_MAX {
            return Err("no number of machines bears this".to_owned());
        }
    }
    while high - low > (high / 200).max(1) {
        let middle = u64::midpoint(low, high);
        if bears(&worst(middle)) { high = middle } else { low = middle }
    }
    let machines = high as f64 * COPIES;
    let sum = |of: [f64; KINDS], rates: [f64; KINDS]| of.iter().zip(rates).map(|(one, rate)| one * rate).sum::<f64>();
    let (bytes, fsyncs) = (costs.each(|kind| kind.written_bytes)?, costs.each(|kind| kind.fsyncs)?);
    let evening = mix().map(|part| part * peak.actions);
    Ok(Plan {
        cells: high,
        worst: worst(high),
        groups: groups(costs, peak)?,
        disk_bytes_per_s: sum(bytes, peak.rates) / machines,
        fsyncs_per_s: sum(fsyncs, peak.rates) / machines,
        core_hours: sum(cost_us, evening) / 1e6 / 3600.0,
        written_bytes: sum(bytes, evening),
    })
}

/// Groups of the ledger and of packets: as many as do what one group did, both when sends and when opens were measured.
fn groups(costs: &Costs, peak: &Peak) -> Result<(f64, f64), String> {
    let [sends, opens, ..] = costs.each(KindCost::per_s)?;
    let one = |rate: f64| (rate / f64::from(costs.groups.max(1))).max(f64::MIN_POSITIVE);
    let all = (peak.rates[0] / one(sends) + peak.rates[1] / one(opens)).ceil();
    Ok((all, all))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within a u64")]
fn whole(count: f64) -> u64 {
    count.ceil().clamp(0.0, 1e15) as u64
}

/// For people.
pub(crate) fn text(check: &Check, peak: &Peak, plan: &Plan) -> String {
    let [sends, opens, grabs, lists] = peak.rates;
    format!(
        "model: {:.0} actions a second on the measured machine; measured: {:.0}; error {:+.0} %\n\
         peak: {sends:.0} sends, {opens:.0} opens, {grabs:.0} grabs, {lists:.0} lists a second\n\
         machines of {:.0} processors: {:.0} ({} cells of three), {:.0} % busy, mean wait {:.1} ms\n\
         groups: {:.0} of the ledger, {:.0} of packets, three copies each\n\
         disks: {:.1} MB and {:.0} fsyncs a second on each machine\n\
         an evening of {:.2e} actions: {:.0} processor hours, {:.2} TB written by all copies",
        check.modelled,
        check.measured,
        check.error() * 100.0,
        peak.cores,
        plan.machines(),
        plan.cells,
        plan.worst.busy * 100.0,
        plan.worst.wait_ms,
        plan.groups.0,
        plan.groups.1,
        plan.disk_bytes_per_s / 1e6,
        plan.fsyncs_per_s,
        peak.actions,
        plan.core_hours,
        plan.written_bytes / 1e12,
    )
}

/// For programs.
pub(crate) fn json(check: &Check, peak: &Peak, plan: &Plan) -> Value {
    let [sends, opens, grabs, lists] = peak.rates;
    json!({
        "check": { "modelled_per_s": check.modelled, "measured_per_s": check.measured, "error": check.error() },
        "peak": { "send": sends, "open": opens, "grab": grabs, "lists": lists, "cores_per_machine": peak.cores },
        "machines": plan.machines(), "cells": plan.cells, "busy": plan.worst.busy, "wait_ms": plan.worst.wait_ms,
        "ledger_groups": plan.groups.0, "packet_groups": plan.groups.1,
        "disk_bytes_per_s_per_machine": plan.disk_bytes_per_s, "fsyncs_per_s_per_machine": plan.fsyncs_per_s,
        "evening": { "actions": peak.actions, "core_hours": plan.core_hours, "written_bytes": plan.written_bytes },
    })
}

#[cfg(test)]
mod tests {
    use super::super::costs::tests::sample;
    use super::*;
    use crate::evening::books::Cores;

    fn peak(times: f64) -> Peak {
        Peak { rates: [100.0, 300.0, 6000.0, 3000.0].map(|rate| rate * times), cores: 4.0, actions: 1e9, seed: 1 }
    }

    #[test]
    fn a_plan_bears_its_peak_with_little_to_spare() {
        let costs = sample();
        // 0.1 + 0.15 + 0.3 + 0.3 = 0.85 processors.
        let small = plan(&costs, &peak(1000.0)).expect("every kind was measured");
        let least = 850.0 / (4.0 * 3.0 - 0.1);
        assert!(small.cells as f64 >= least && small.cells as f64 <= least * 1.4, "{} of {least}", small.cells);
        assert!(small.worst.shed.iter().sum::<f64>() <= 0.0 && small.worst.wait_ms <= WAIT_MS_MAX);
        // 1,500 sends or 3,000 opens a second on two groups.
        assert_eq!(small.groups, (334.0, 334.0));
    }

    #[test]
    fn the_check_takes_away_what_others_used_and_counts_the_generator() {
        let mut costs = sample();
        costs.mix.cores = Cores { others: 0.4, ..Cores::default() };
        let each: f64 = mix().iter().zip([1050.0, 550.0, 100.0, 150.0]).map(|(part, us)| part * us).sum();
        costs.mix.per_s = 1.5e6 / each;
        let check = check(&costs, 1).expect("every kind was measured");
        assert!(check.error().abs() < 0.15, "{check:?}");
    }

    #[test]
    fn what_was_not_measured_is_not_planned_with() {
        let costs = Costs { kinds: Vec::new(), ..sample() };
        assert!(plan(&costs, &peak(1.0)).is_err() && check(&costs, 1).is_err());
    }
}
