//! Money: integer fen and the currency they are counted in.
//!
//! Why: a balance must never be confused with a count, rounded, or wrapped; yuan exist only where people read them.
//!
//! Layouts: amounts and currencies are packed numbers (`packed.rs`), amounts signed.
//!
//! Must never: turn into a floating number.

use machine::{DecodeError, Layout, Reader, Writer};

use crate::limits::{AMOUNT_FEN_MAX, BALANCE_FEN_MAX};
use crate::packed;
use crate::refusal::Refusal;

/// An amount or a balance. Units: fen, the hundredth part of a yuan (or of the currency at hand).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fen(pub i64);

impl Fen {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum, if it lies within the limit of a balance.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self).filter(|sum| sum.is_balance())
    }

    /// The difference, if it lies within the limit of a balance.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self).filter(|difference| difference.is_balance())
    }

    const fn is_balance(self) -> bool {
        self.0 <= BALANCE_FEN_MAX && self.0 >= -BALANCE_FEN_MAX
    }

    /// Whether one entry may move this much.
    ///
    /// Refuses: `AmountNotPositive`, `AmountTooLarge`.
    pub const fn check_amount(self) -> Result<(), Refusal> {
        if self.0 <= 0 {
            Err(Refusal::AmountNotPositive)
        } else if self.0 > AMOUNT_FEN_MAX {
            Err(Refusal::AmountTooLarge)
        } else {
            Ok(())
        }
    }
}

impl core::fmt::Display for Fen {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} fen", self.0)
    }
}

impl Layout for Fen {
    fn encode(&self, out: &mut Writer) {
        packed::put_signed(out, self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        packed::get_signed(input).map(Self)
    }
}

/// A currency. Units: the numeric code. Source: ISO 4217.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(pub u16);

impl Currency {
    /// Renminbi yuan.
    pub const CNY: Self = Self(156);
}

impl Layout for Currency {
    fn encode(&self, out: &mut Writer) {
        packed::put(out, u64::from(self.0));
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let number = u16::try_from(packed::get(input)?);
        number.map(Self).map_err(|_| DecodeError::Invalid("currency"))
    }
}

/// An amount in a currency: what every entry moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// How much.
    pub amount: Fen,
    /// Of what.
    pub currency: Currency,
}

impl Money {
    /// Yuan's fen, the usual case.
    #[must_use]
    pub const fn cny(fen: i64) -> Self {
        Self { amount: Fen(fen), currency: Currency::CNY }
    }
}

impl Layout for Money {
    fn encode(&self, out: &mut Writer) {
        self.amount.encode(out);
        self.currency.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { amount: Fen::decode(input)?, currency: Currency::decode(input)? })
    }
}
