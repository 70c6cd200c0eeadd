//! Replies: what a command comes back with.
//!
//! ```text
//!  0 refused  number u16          3 opened   credit
//!  1 done                         4 closed   count u32 | count x refund
//!  2 created  created_ms u64 | expires_ms u64
//! ```
//!
//! Must never: tell a repeat from the first time. Who retries gets the same bytes.

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::claim::{Credit, Refund};
use crate::limits::TICK_PACKETS_MAX;
use crate::refusal::Refusal;

/// The machine's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing was changed.
    Refused(Refusal),
    /// It is so, now or already before.
    Done,
    /// The packet exists.
    Created {
        /// Since when.
        created: TimestampMs,
        /// Until when it can be opened.
        expires: TimestampMs,
    },
    /// The user has this share.
    Opened(Credit),
    /// These packets are closed; to book are the refunds of more than 0 fen.
    Closed(Vec<Refund>),
}

impl Layout for Reply {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Refused(refusal) => {
                out.u8(0);
                refusal.encode(out);
            }
            Self::Done => out.u8(1),
            Self::Created { created, expires } => {
                out.u8(2);
                created.encode(out);
                expires.encode(out);
            }
            Self::Opened(credit) => {
                out.u8(3);
                credit.encode(out);
            }
            Self::Closed(refunds) => {
                out.u8(4);
                out.list(refunds);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Refused(Refusal::decode(input)?),
            1 => Self::Done,
            2 => Self::Created { created: TimestampMs::decode(input)?, expires: TimestampMs::decode(input)? },
            3 => Self::Opened(Credit::decode(input)?),
            4 => Self::Closed(input.list(TICK_PACKETS_MAX)?),
            tag => return Err(DecodeError::Unknown { what: "packets reply", tag }),
        })
    }
}
