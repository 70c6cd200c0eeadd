//! Chance: which action comes next, and whom it concerns. All from one seed.
//!
//! Must never: draw from anything but the generator it is given.

use proto::packet::v1::PacketKind;
use rand::Rng;

/// What a user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// Asks whether a share is left.
    Grab,
    /// Looks at a packet, or at the own list.
    View,
    /// Takes a share.
    Open,
    /// Sends a packet.
    Send,
}

/// How often each action comes: grab : view : open = 20 : 10 : 1, and three opens a send.
/// Source: the published mix of WeChat's New Year's Eves.
const MIX: [(Action, u32); 4] = [(Action::Grab, 60), (Action::View, 30), (Action::Open, 3), (Action::Send, 1)];

/// The next action.
pub(crate) fn action(rng: &mut impl Rng) -> Action {
    let mut place = rng.random_range(0..MIX.iter().map(|(_, weight)| weight).sum());
    for (action, weight) in MIX {
        if place < weight {
            return action;
        }
        place -= weight;
    }
    Action::Grab
}

/// An action's part of the mix.
pub(crate) fn part(action: Action) -> f64 {
    let all: u32 = MIX.iter().map(|(_, weight)| weight).sum();
    MIX.iter().filter(|(each, _)| *each == action).map(|(_, weight)| f64::from(*weight) / f64::from(all)).sum()
}

/// For whom the next packet is.
pub(crate) fn kind(rng: &mut impl Rng) -> PacketKind {
    match rng.random_range(0..10) {
        0 => PacketKind::Direct,
        1 => PacketKind::Exclusive,
        2 | 3 => PacketKind::GroupEqual,
        _ => PacketKind::GroupLucky,
    }
}

/// Ranks from 0, each drawn with a weight of 1 / (rank + 1): a few hot ones, a long tail.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    cumulated: Vec<f64>,
}

impl Zipf {
    /// Ranks up to `ranks`.
    pub(crate) fn new(ranks: u32) -> Self {
        let mut sum = 0.0;
        let cumulated = (1..=ranks.max(1)).map(|rank| {
            sum += 1.0 / f64::from(rank);
            sum
        });
        Self { cumulated: cumulated.collect() }
    }

    /// A rank below `ranks`, or below the most there are.
    pub(crate) fn rank(&self, rng: &mut impl Rng, ranks: usize) -> usize {
        let ranks = ranks.clamp(1, self.cumulated.len());
        let place = rng.random_range(0.0..self.cumulated[ranks - 1]);
        self.cumulated.partition_point(|sum| *sum <= place).min(ranks - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn actions_come_in_the_published_mix() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut counts: BTreeMap<Action, u32> = BTreeMap::new();
        for _ in 0..94_000 {
            *counts.entry(action(&mut rng)).or_default() += 1;
        }
        for (action, weight) in MIX {
            let (expected, found) = (weight * 1000, counts[&action]);
            assert!(found.abs_diff(expected) < expected / 8 + 100, "{action:?}: {found}, not about {expected}");
        }
    }

    #[test]
    fn low_ranks_are_hot_and_none_is_out_of_range() {
        let (mut rng, zipf) = (StdRng::seed_from_u64(1), Zipf::new(100));
        for ranks in [0, 1, 10, 100, 1000] {
            let mut counts = [0_u32; 100];
            for _ in 0..10_000 {
                counts[zipf.rank(&mut rng, ranks)] += 1;
            }
            let used = ranks.clamp(1, 100);
            assert!(counts[used..].iter().all(|count| *count == 0));
            // The first rank is drawn about 1 / (1 + 1/2 + ... + 1/ranks) of the time.
            let harmonic: f64 = (1..=used).map(|rank| 1.0 / f64::from(u32::try_from(rank).unwrap_or(1))).sum();
            assert!((f64::from(counts[0]) - 10_000.0 / harmonic).abs() < 400.0, "{ranks} ranks: {}", counts[0]);
        }
    }

    #[test]
    fn one_seed_makes_one_evening() {
        let draw = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (0..50).map(|_| (action(&mut rng), kind(&mut rng))).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
