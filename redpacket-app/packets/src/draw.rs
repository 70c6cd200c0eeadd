//! The draw: how many fen the next share of a lucky packet holds.
//!
//! Why at open and not when the packet is sent: the packet then is three numbers (shares left, fen left, cap), whatever
//! its size, and the mean of every draw is the mean of what is left.
//!
//! Must never: use any randomness but the seed of the entry, or leave a rest that the later shares cannot hold.

use crate::fen::Fen;
use crate::limits::{SHARE_FEN_MAX, SHARE_FEN_MIN};

/// Odd constant of the SplitMix64 generator.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finishing step of SplitMix64: every bit of `z` moves every bit of the result.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Numbers that follow from a seed alone.
struct Stream(u64);

impl Stream {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A uniform number of `0..=most`: numbers of just enough bits are drawn until one fits, so none is favoured.
    /// It ends: more than half of all numbers fit, and the generator meets every number.
    const fn up_to(&mut self, most: u64) -> u64 {
        let mask = match most.checked_ilog2() {
            Some(top) => u64::MAX >> 63_u32.saturating_sub(top),
            None => 0,
        };
        loop {
            let drawn = self.next() & mask;
            if drawn <= most {
                return drawn;
            }
        }
    }
}

/// The fen that the next of `shares` shares may hold when `left` are left: least and most, both possible.
///
/// Invariant: with `shares <= left <= shares * cap`, least <= most, and the same holds of every rest.
#[must_use]
pub fn bounds(left: Fen, shares: u16) -> (Fen, Fen) {
    let count = i64::from(shares).max(1);
    let others = count.saturating_sub(1);
    if others == 0 {
        return (left, left);
    }
    let least = left.0.saturating_sub(others.saturating_mul(SHARE_FEN_MAX)).max(SHARE_FEN_MIN);
    let twice_mean = left.0.saturating_mul(2).checked_div(count).unwrap_or(left.0);
    let most = twice_mean.min(left.0.saturating_sub(others.saturating_mul(SHARE_FEN_MIN))).min(SHARE_FEN_MAX);
    (Fen(least), Fen(most))
}

/// Draws the next of `shares` shares of a lucky packet with `left` fen: uniform within [`bounds`]; the last share takes
/// the rest.
#[must_use]
pub fn draw_lucky(left: Fen, shares: u16, seed: u64) -> Fen {
    let (least, most) = bounds(left, shares);
    let width = u64::try_from(most.minus(least).0);
    assert!(width.is_ok(), "what is left always holds a share of one fen each and none above the cap");
    let extra = i64::try_from(Stream(seed).up_to(width.unwrap_or(0)));
    least.plus(Fen(extra.unwrap_or(0)))
}

/// The next of `shares` shares of an equal packet with `left` fen. Invariant: `left` is a multiple of `shares`.
#[must_use]
pub fn draw_equal(left: Fen, shares: u16) -> Fen {
    Fen(left.0.checked_div(i64::from(shares)).unwrap_or(0))
}
