//! Replies: what was done, or why not.
//!
//! ```text
//!  reply:  at_ms packed | first packed | said
//!  said:   1 answer | 2 count u32, answers | 3 ended u32 | 4 up to packed
//!  answer: 0 refusal u16 | done
//!  done:   1 booked | 2 sent | 3 parked | 4 held | 5 voided | 6 cancelled | 7 opened | 8 closed
//!          9 announced | 10 forgotten | 11 restricted | 12 bounced | 13 posted      (1, 2, 3, 12, 13: number packed)
//! ```
//!
//! Must never: change for a repeated identity; what is stored under it is what was answered first.

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::ids::JournalNumber;
use crate::limits::BATCH_STEPS_MAX;
use crate::packed;
use crate::refusal::Refusal;

/// What a step did. The journal holds the rest, under the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// The money stands where it should.
    Booked(JournalNumber),
    /// The credit left its escrow and is under way to another group.
    Sent(JournalNumber),
    /// The credit's account cannot take it: the money is in suspense, and an operator was alarmed.
    Parked(JournalNumber),
    /// The money is held.
    Held,
    /// The hold is gone; nothing was paid.
    Voided,
    /// The order will never be debited.
    Cancelled,
    /// The account is open; the order is placed.
    Opened,
    /// The account, or the order, is closed.
    Closed,
    /// The claim stands in the account's index.
    Announced,
    /// The claim does not stand in the account's index.
    Forgotten,
    /// The account has these bounds, or this verifier.
    Restricted,
    /// The payment from another group could not land, and is on its way back.
    Bounced(JournalNumber),
    /// Of a hold that was posted: by which entry. Never an answer: a repeat of the hold is told that it is held.
    Posted(JournalNumber),
}

impl Done {
    /// The journal entry that was booked under this very identity, if there is one.
    #[must_use]
    pub const fn journal_number(self) -> Option<JournalNumber> {
        match self {
            Self::Booked(number) | Self::Sent(number) | Self::Parked(number) | Self::Bounced(number) => Some(number),
            _ => None,
        }
    }

    const fn tag(self) -> u8 {
        match self {
            Self::Booked(_) => 1,
            Self::Sent(_) => 2,
            Self::Parked(_) => 3,
            Self::Held => 4,
            Self::Voided => 5,
            Self::Cancelled => 6,
            Self::Opened => 7,
            Self::Closed => 8,
            Self::Announced => 9,
            Self::Forgotten => 10,
            Self::Restricted => 11,
            Self::Bounced(_) => 12,
            Self::Posted(_) => 13,
        }
    }

    fn decode_tagged(tag: u8, input: &mut Reader) -> Result<Self, DecodeError> {
        let number = |input: &mut Reader| packed::get(input).map(JournalNumber);
        match tag {
            1 => number(input).map(Self::Booked),
            2 => number(input).map(Self::Sent),
            3 => number(input).map(Self::Parked),
            4 => Ok(Self::Held),
            5 => Ok(Self::Voided),
            6 => Ok(Self::Cancelled),
            7 => Ok(Self::Opened),
            8 => Ok(Self::Closed),
            9 => Ok(Self::Announced),
            10 => Ok(Self::Forgotten),
            11 => Ok(Self::Restricted),
            12 => number(input).map(Self::Bounced),
            13 => number(input).map(Self::Posted),
            tag => Err(DecodeError::Unknown { what: "answer", tag }),
        }
    }
}

impl Layout for Done {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.tag());
        if let Self::Posted(number) = self {
            packed::put(out, number.0);
        }
        if let Some(number) = self.journal_number() {
            packed::put(out, number.0);
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let tag = input.u8()?;
        Self::decode_tagged(tag, input)
    }
}

/// The outcome of one step.
pub type Answer = Result<Done, Refusal>;

fn encode_answer(answer: &Answer, out: &mut Writer) {
    match answer {
        Ok(done) => done.encode(out),
        Err(refusal) => {
            out.u8(0);
            refusal.encode(out);
        }
    }
}

fn decode_answer(input: &mut Reader) -> Result<Answer, DecodeError> {
    match input.u8()? {
        0 => Ok(Err(Refusal::decode(input)?)),
        tag => Ok(Ok(Done::decode_tagged(tag, input)?)),
    }
}

/// What comes back for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Machine time of the command.
    pub at: TimestampMs,
    /// What this command booked is numbered from here on; lower numbers were booked by an earlier one.
    pub first: JournalNumber,
    /// What it did.
    pub said: Said,
}

impl Reply {
    /// When `done` was booked, if this command booked it. A repeat's time stands in the journal.
    #[must_use]
    pub fn booked_at(&self, done: Done) -> Option<TimestampMs> {
        done.journal_number().filter(|number| *number >= self.first).map(|_| self.at)
    }
}

/// The part of a reply that depends on the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// To a single step; also to a batch that is refused as a whole.
    One(Answer),
    /// To a batch: one answer per step, in order.
    Batch(Vec<Answer>),
    /// To a tick: how many holds it ended.
    Ticked(u32),
    /// To a mark of what is published: up to where it is now.
    Published(JournalNumber),
}

impl Layout for Reply {
    fn encode(&self, out: &mut Writer) {
        packed::put_time(out, self.at);
        packed::put(out, self.first.0);
        match &self.said {
            Said::One(answer) => {
                out.u8(1);
                encode_answer(answer, out);
            }
            Said::Batch(answers) => {
                out.u8(2);
                out.len(answers.len());
                for answer in answers {
                    encode_answer(answer, out);
                }
            }
            Said::Ticked(ended) => {
                out.u8(3);
                out.u32(*ended);
            }
            Said::Published(number) => {
                out.u8(4);
                packed::put(out, number.0);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let (at, first) = (packed::get_time(input)?, JournalNumber(packed::get(input)?));
        let said = match input.u8()? {
            1 => Said::One(decode_answer(input)?),
            2 => {
                let count = input.count(BATCH_STEPS_MAX)?;
                Said::Batch((0..count).map(|_| decode_answer(input)).collect::<Result<_, _>>()?)
            }
            3 => Said::Ticked(input.u32()?),
            4 => Said::Published(JournalNumber(packed::get(input)?)),
            tag => return Err(DecodeError::Unknown { what: "reply", tag }),
        };
        Ok(Self { at, first, said })
    }
}
