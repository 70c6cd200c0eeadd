//! Replies: what was done, or why not.
//!
//! ```text
//!  reply:  1 answer | 2 count u32, answers | 3 ended u32
//!  answer: 0 refusal u16 | done
//!  done:   1 booked u64 | 2 sent u64 | 3 parked u64 | 4 held | 5 voided | 6 cancelled | 7 opened | 8 closed
//!          9 announced | 10 forgotten
//! ```
//!
//! Must never: change for a repeated identity; what is stored under it is what was answered first.

use machine::{DecodeError, Layout, Reader, Writer};

use crate::ids::JournalNumber;
use crate::limits::BATCH_STEPS_MAX;
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
    /// The account is open.
    Opened,
    /// The account is closed.
    Closed,
    /// The claim stands in the account's index.
    Announced,
    /// The claim does not stand in the account's index.
    Forgotten,
}

impl Done {
    /// The journal entry it made, if it made one.
    #[must_use]
    pub const fn journal_number(self) -> Option<JournalNumber> {
        match self {
            Self::Booked(number) | Self::Sent(number) | Self::Parked(number) => Some(number),
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
        }
    }

    fn decode_tagged(tag: u8, input: &mut Reader) -> Result<Self, DecodeError> {
        match tag {
            1 => Ok(Self::Booked(JournalNumber::decode(input)?)),
            2 => Ok(Self::Sent(JournalNumber::decode(input)?)),
            3 => Ok(Self::Parked(JournalNumber::decode(input)?)),
            4 => Ok(Self::Held),
            5 => Ok(Self::Voided),
            6 => Ok(Self::Cancelled),
            7 => Ok(Self::Opened),
            8 => Ok(Self::Closed),
            9 => Ok(Self::Announced),
            10 => Ok(Self::Forgotten),
            tag => Err(DecodeError::Unknown { what: "answer", tag }),
        }
    }
}

impl Layout for Done {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.tag());
        if let Some(number) = self.journal_number() {
            number.encode(out);
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
pub enum Reply {
    /// To a single step; also to a batch that is refused as a whole.
    One(Answer),
    /// To a batch: one answer per step, in order.
    Batch(Vec<Answer>),
    /// To a tick: how many holds it ended.
    Ticked(u32),
}

impl Layout for Reply {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::One(answer) => {
                out.u8(1);
                encode_answer(answer, out);
            }
            Self::Batch(answers) => {
                out.u8(2);
                out.len(answers.len());
                for answer in answers {
                    encode_answer(answer, out);
                }
            }
            Self::Ticked(ended) => {
                out.u8(3);
                out.u32(*ended);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::One(decode_answer(input)?)),
            2 => {
                let count = input.count(BATCH_STEPS_MAX)?;
                let answers = (0..count).map(|_| decode_answer(input)).collect::<Result<_, _>>()?;
                Ok(Self::Batch(answers))
            }
            3 => Ok(Self::Ticked(input.u32()?)),
            tag => Err(DecodeError::Unknown { what: "reply", tag }),
        }
    }
}
