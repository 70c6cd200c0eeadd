//! The goals: what Tercet shall reach, as ratios to its peers within one run or as figures of its own.
//!
//! Must never: be softened to what was measured. A goal that is missed says by how much.

use crate::medians::Medians;
use crate::plan::{Point, System};
use crate::record::{CPU, GAP, LOST, Phase, RATE, RESIDENT, RESTART, WRITTEN};

/// Where the bound of a goal comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// So many times the peer's figure.
    Times(f64, System),
    /// So many times the figure of the better of the durable peers.
    TimesBetter(f64),
    /// So many times Tercet's own figure elsewhere.
    TimesOwn(f64, (Point, Phase)),
    /// A figure.
    Fixed(f64),
}

/// Whether more is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sense {
    AtLeast,
    AtMost,
}

/// One goal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Goal {
    pub(crate) point: Point,
    pub(crate) phase: Phase,
    pub(crate) figure: &'static str,
    pub(crate) sense: Sense,
    pub(crate) bound: Bound,
}

/// What became of a goal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Tercet's median.
    pub(crate) reached: f64,
    /// What it is held against.
    pub(crate) bound: f64,
    /// Whether it is met.
    pub(crate) is_met: bool,
}

impl Goal {
    const fn at_least(point: Point, phase: Phase, figure: &'static str, bound: Bound) -> Self {
        Self { point, phase, figure, sense: Sense::AtLeast, bound }
    }

    const fn at_most(point: Point, phase: Phase, figure: &'static str, bound: Bound) -> Self {
        Self { point, phase, figure, sense: Sense::AtMost, bound }
    }

    /// Tercet's figure and the bound. `None`: one of them was not measured.
    pub(crate) fn judge(&self, medians: &Medians) -> Option<Outcome> {
        let of = |system: System, (point, phase): (Point, Phase)| medians.get(system, point, phase, self.figure);
        let here = (self.point, self.phase);
        let (reached, bound) = match self.bound {
            Bound::Times(factor, peer) => (of(System::Tercet, here)?, factor * of(peer, here)?),
            Bound::TimesBetter(factor) => {
                let peers = System::DURABLE_PEERS.into_iter().filter_map(|peer| of(peer, here));
                let better = match self.sense {
                    Sense::AtLeast => peers.max_by(f64::total_cmp),
                    Sense::AtMost => peers.min_by(f64::total_cmp),
                };
                (of(System::Tercet, here)?, factor * better?)
            }
            Bound::TimesOwn(factor, elsewhere) => (of(System::Tercet, here)?, factor * of(System::Tercet, elsewhere)?),
            // Memory is judged by the worst phase of the point.
            Bound::Fixed(bound) if self.figure == RESIDENT => {
                (medians.largest(System::Tercet, RESIDENT, |point| point == self.point)?, bound)
            }
            Bound::Fixed(bound) => (of(System::Tercet, here)?, bound),
        };
        let is_met = match self.sense {
            Sense::AtLeast => reached >= bound,
            Sense::AtMost => reached <= bound,
        };
        Some(Outcome { reached, bound, is_met })
    }

    /// The bound in words.
    pub(crate) fn wish(&self) -> String {
        let sense = match self.sense {
            Sense::AtLeast => "≥",
            Sense::AtMost => "≤",
        };
        match self.bound {
            Bound::Times(factor, peer) => format!("{sense} {factor} × {}", peer.title()),
            Bound::TimesBetter(factor) => format!("{sense} {factor} × the better durable peer"),
            Bound::TimesOwn(factor, (_, phase)) => format!("{sense} {factor} × its own {}", phase.title()),
            Bound::Fixed(bound) => format!("{sense} {bound}"),
        }
    }
}

/// Latencies with one message in flight, and of the open loop.
const CONFIRM_P50: &str = "confirm_p50_ms";
const CONFIRM_P99: &str = "confirm_p99_ms";
const ACK_P50: &str = "ack_p50_ms";
const ACK_P99: &str = "ack_p99_ms";
/// Memory of a node, MiB.
const RESIDENT_MIB: Bound = Bound::Fixed(128.0);

/// All goals, in the order of the points.
pub(crate) const GOALS: [Goal; 28] = [
    Goal::at_most(Point::One, Phase::Send, CONFIRM_P50, Bound::Times(0.8, System::NatsAlways)),
    Goal::at_most(Point::One, Phase::Send, CONFIRM_P99, Bound::Times(1.0, System::NatsAlways)),
    Goal::at_least(Point::Many, Phase::Send, RATE, Bound::Times(8.0, System::Rabbit)),
    Goal::at_least(Point::Many, Phase::Send, RATE, Bound::Times(2.5, System::NatsAlways)),
    Goal::at_least(Point::Many, Phase::Send, RATE, Bound::Times(1.0, System::NatsDefault)),
    Goal::at_least(Point::Many, Phase::E2e, RATE, Bound::Times(8.0, System::Rabbit)),
    Goal::at_least(Point::Many, Phase::E2e, RATE, Bound::Times(5.0, System::NatsAlways)),
    Goal::at_most(Point::Many, Phase::Send, CPU, Bound::Times(0.5, System::NatsAlways)),
    Goal::at_most(Point::Many, Phase::E2e, WRITTEN, Bound::Fixed(1.2)),
    Goal::at_most(Point::Many, Phase::E2e, RESIDENT, RESIDENT_MIB),
    Goal::at_least(Point::Batch, Phase::Send, RATE, Bound::TimesBetter(3.0)),
    Goal::at_least(Point::Batch, Phase::E2e, RATE, Bound::TimesBetter(3.0)),
    Goal::at_most(Point::Batch, Phase::E2e, RESIDENT, RESIDENT_MIB),
    Goal::at_most(Point::Open, Phase::E2e, ACK_P50, Bound::TimesBetter(0.7)),
    Goal::at_most(Point::Open, Phase::E2e, ACK_P99, Bound::TimesBetter(0.7)),
    Goal::at_most(Point::Backlog, Phase::Fill, WRITTEN, Bound::Fixed(2.2)),
    Goal::at_least(Point::Backlog, Phase::DeepSend, RATE, Bound::TimesOwn(0.8, (Point::Backlog, Phase::Send))),
    Goal::at_least(Point::Backlog, Phase::DeepDrain, RATE, Bound::TimesOwn(0.75, (Point::Many, Phase::Drain))),
    Goal::at_most(Point::Backlog, Phase::Restart, RESTART, Bound::Fixed(5.0)),
    Goal::at_most(Point::Backlog, Phase::DeepDrain, RESIDENT, RESIDENT_MIB),
    Goal::at_most(Point::Kill, Phase::Fault, GAP, Bound::Fixed(200.0)),
    Goal::at_most(Point::Kill, Phase::Fault, LOST, Bound::Fixed(0.0)),
    Goal::at_most(Point::Hang, Phase::Fault, GAP, Bound::Fixed(1000.0)),
    Goal::at_most(Point::Hang, Phase::Fault, LOST, Bound::Fixed(0.0)),
    Goal::at_most(Point::Many, Phase::E2e, LOST, Bound::Fixed(0.0)),
    Goal::at_most(Point::Batch, Phase::E2e, LOST, Bound::Fixed(0.0)),
    Goal::at_most(Point::Open, Phase::E2e, LOST, Bound::Fixed(0.0)),
    Goal::at_most(Point::Backlog, Phase::DeepDrain, LOST, Bound::Fixed(0.0)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::medians::tests::record;

    fn judge(goal: &Goal, measured: &[(System, (Point, Phase), &str, f64)]) -> Option<(f64, bool)> {
        let records: Vec<_> =
            measured.iter().map(|(system, place, figure, value)| record(*system, *place, figure, *value)).collect();
        goal.judge(&Medians::of(&records)).map(|outcome| (outcome.bound, outcome.is_met))
    }

    #[test]
    fn a_goal_is_held_against_the_peer_that_it_names() {
        let goal = Goal::at_least(Point::Many, Phase::Send, RATE, Bound::Times(8.0, System::Rabbit));
        let here = (Point::Many, Phase::Send);
        let peer = (System::Rabbit, here, RATE, 10.0);
        assert_eq!(judge(&goal, &[peer, (System::Tercet, here, RATE, 80.0)]), Some((80.0, true)));
        assert_eq!(judge(&goal, &[peer, (System::Tercet, here, RATE, 79.0)]), Some((80.0, false)));
        assert_eq!(judge(&goal, &[peer]), None);
        assert_eq!(judge(&goal, &[(System::Tercet, here, RATE, 80.0)]), None);
    }

    #[test]
    fn the_better_peer_is_the_faster_or_the_cheaper_one_of_those_that_keep_what_they_confirm() {
        let here = (Point::Open, Phase::E2e);
        let peers = [
            (System::Rabbit, here, "x", 10.0),
            (System::NatsAlways, here, "x", 20.0),
            (System::NatsDefault, here, "x", 1000.0),
            (System::Tercet, here, "x", 15.0),
        ];
        let most = Goal::at_most(here.0, here.1, "x", Bound::TimesBetter(1.0));
        let least = Goal::at_least(here.0, here.1, "x", Bound::TimesBetter(1.0));
        assert_eq!((judge(&most, &peers), judge(&least, &peers)), (Some((10.0, false)), Some((20.0, false))));
    }

    #[test]
    fn memory_is_judged_by_the_worst_phase_of_its_point() {
        let goal = Goal::at_most(Point::Many, Phase::E2e, RESIDENT, RESIDENT_MIB);
        let figure = |phase, value| (System::Tercet, (Point::Many, phase), RESIDENT, value);
        assert_eq!(judge(&goal, &[figure(Phase::E2e, 10.0), figure(Phase::Drain, 129.0)]), Some((128.0, false)));
        assert_eq!(judge(&goal, &[figure(Phase::E2e, 10.0), figure(Phase::Drain, 128.0)]), Some((128.0, true)));
    }

    #[test]
    fn what_is_held_against_itself_needs_both_figures() {
        let elsewhere = (Point::Backlog, Phase::Send);
        let goal = Goal::at_least(Point::Backlog, Phase::DeepSend, RATE, Bound::TimesOwn(0.8, elsewhere));
        let deep = (System::Tercet, (Point::Backlog, Phase::DeepSend), RATE, 81.0);
        assert_eq!(judge(&goal, &[deep, (System::Tercet, elsewhere, RATE, 100.0)]), Some((80.0, true)));
        assert_eq!(judge(&goal, &[deep]), None);
    }
}
