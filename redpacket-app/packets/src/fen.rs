//! Money: whole fen, a hundredth of a yuan.
//!
//! Must never: hold a fraction, or lose a fen to a silent overflow.

use machine::{DecodeError, Layout, Reader, Writer};

/// An amount. Units: fen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fen(pub i64);

impl Fen {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// This amount and `other`. Invariant: the sum fits 63 bits; the limits of a packet leave room for 10^12 packets.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = self.0.checked_add(other.0);
        assert!(sum.is_some(), "a sum of fen fits 63 bits by the limits");
        Self(sum.unwrap_or(i64::MAX))
    }

    /// This amount without `other`. Invariant: the difference fits 63 bits.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        let difference = self.0.checked_sub(other.0);
        assert!(difference.is_some(), "a difference of fen fits 63 bits by the limits");
        Self(difference.unwrap_or(i64::MIN))
    }
}

impl core::iter::Sum for Fen {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

impl core::fmt::Display for Fen {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} fen", self.0)
    }
}

impl Layout for Fen {
    fn encode(&self, out: &mut Writer) {
        out.i64(self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(input.i64()?))
    }
}
