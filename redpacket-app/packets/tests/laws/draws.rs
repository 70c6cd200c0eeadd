//! The draw: within its bounds, always feasible, fair on the mean, the same on every replay.

use packets::limits::{SHARE_FEN_MAX, SHARES_MAX};
use packets::{Fen, bounds, draw_equal, draw_lucky};
use proptest::prelude::*;

/// All shares of a packet, drawn one after the other.
fn draw_all(total: i64, shares: u16, seed: u64) -> Vec<i64> {
    let mut left = Fen(total);
    let mut drawn = Vec::new();
    for rest in (1..=shares).rev() {
        let fen = draw_lucky(left, rest, seed.wrapping_mul(31).wrapping_add(u64::from(rest)));
        let (least, most) = bounds(left, rest);
        assert!(least <= fen && fen <= most, "{fen} of {left} for {rest}");
        left = left.minus(fen);
        drawn.push(fen.0);
    }
    assert_eq!(left, Fen::ZERO, "the last share takes the rest");
    drawn
}

proptest! {
    #[test]
    fn every_share_holds_one_fen_at_least_and_the_cap_at_most(
        shares in 1..=SHARES_MAX,
        part in 0_i64..=1_000_000,
        seed: u64,
    ) {
        let (least, most) = (i64::from(shares), i64::from(shares) * SHARE_FEN_MAX);
        let total = least + (most - least) * part / 1_000_000;
        let drawn = draw_all(total, shares, seed);
        prop_assert_eq!(drawn.iter().sum::<i64>(), total);
        prop_assert!(drawn.iter().all(|fen| (1..=SHARE_FEN_MAX).contains(fen)));
        prop_assert_eq!(drawn, draw_all(total, shares, seed));
    }
}

#[test]
fn bounds_leave_a_rest_that_the_others_can_hold() {
    let table = [
        // left, shares, least, most
        (100, 10, 1, 20),
        (10, 10, 1, 1),
        (11, 10, 1, 2),
        (7, 1, 7, 7),
        (40_000, 2, 20_000, 20_000),
        (39_999, 2, 19_999, 20_000),
        (30_000, 2, 10_000, 20_000),
        (2_000_000, 100, 20_000, 20_000),
        (1_990_000, 100, 10_000, 20_000),
    ];
    for (left, shares, least, most) in table {
        assert_eq!(bounds(Fen(left), shares), (Fen(least), Fen(most)), "{left} fen in {shares} shares");
    }
}

#[test]
fn a_draw_is_uniform_within_its_bounds() {
    // 100 fen in 10 shares: 1..=20, each of the 20 amounts 10,000 times in 200,000 draws.
    let mut seen = [0_u32; 21];
    for seed in 0..200_000_u64 {
        let fen = draw_lucky(Fen(100), 10, seed);
        seen[usize::try_from(fen.0).expect("a draw is positive")] += 1;
    }
    assert_eq!(seen[0], 0);
    let expected = 10_000.0;
    let chi_squared: f64 = seen[1..].iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    // 19 degrees of freedom: above 43.8 once in a thousand fair generators.
    assert!(chi_squared < 43.8, "chi squared {chi_squared}");
}

#[test]
fn the_mean_of_every_share_is_the_mean_of_the_packet() {
    const ROUNDS: u64 = 20_000;
    for (total, shares) in [(10_000, 10_u16), (2_000, 4), (100_000, 100)] {
        let mut sums = vec![0_i64; usize::from(shares)];
        for seed in 0..ROUNDS {
            for (sum, fen) in sums.iter_mut().zip(draw_all(total, shares, seed)) {
                *sum += fen;
            }
        }
        let mean = total / i64::from(shares);
        for (place, sum) in sums.iter().enumerate() {
            let share_mean = sum / i64::try_from(ROUNDS).expect("few rounds");
            let off = (share_mean - mean).abs();
            assert!(off * 100 <= mean * 6, "share {place} of {shares}: {share_mean}, not {mean}");
        }
    }
}

#[test]
fn equal_shares_are_equal() {
    let mut left = Fen(700);
    for rest in (1..=7).rev() {
        assert_eq!(draw_equal(left, rest), Fen(100));
        left = left.minus(Fen(100));
    }
    assert_eq!(left, Fen::ZERO);
}
