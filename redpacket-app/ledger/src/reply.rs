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

macro_rules! dones {
    (
        numbered { $($(#[$doc:meta])* $name:ident = $tag:literal;)+ }
        plain { $($(#[$plain_doc:meta])* $plain:ident = $plain_tag:literal;)+ }
    ) => {
        /// What a step did. The journal holds the rest, under the number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Done {
            $($(#[$doc])* $name(JournalNumber),)+
            $($(#[$plain_doc])* $plain,)+
        }

        impl Done {
            /// Its tag, and the number behind it.
            const fn parts(self) -> (u8, Option<JournalNumber>) {
                match self {
                    $(Self::$name(number) => ($tag, Some(number)),)+
                    $(Self::$plain => ($plain_tag, None),)+
                }
            }

            fn decode_tagged(tag: u8, input: &mut Reader) -> Result<Self, DecodeError> {
                match tag {
                    $($tag => packed::get(input).map(JournalNumber).map(Self::$name),)+
                    $($plain_tag => Ok(Self::$plain),)+
                    tag => Err(DecodeError::Unknown { what: "answer", tag }),
                }
            }
        }
    };
}

dones! {
    numbered {
        /// The money stands where it should.
        Booked = 1;
        /// The credit left its escrow and is under way to another group.
        Sent = 2;
        /// The credit's account cannot take it: the money is in suspense, and an operator was alarmed.
        Parked = 3;
        /// The payment from another group could not land, and is on its way back.
        Bounced = 12;
        /// Of a hold that was posted: by which entry. Never an answer: a repeat of the hold is told that it is held.
        Posted = 13;
    }
    plain {
        /// The money is held.
        Held = 4;
        /// The hold is gone; nothing was paid.
        Voided = 5;
        /// The order will never be debited.
        Cancelled = 6;
        /// The account is open; the order is placed.
        Opened = 7;
        /// The account, or the order, is closed.
        Closed = 8;
        /// The claim stands in the account's index.
        Announced = 9;
        /// The claim does not stand in the account's index.
        Forgotten = 10;
        /// The account has these bounds, or this verifier.
        Restricted = 11;
    }
}

impl Done {
    /// The journal entry that was booked under this very identity, if there is one.
    #[must_use]
    pub const fn journal_number(self) -> Option<JournalNumber> {
        match self {
            // A posted hold's entry bears the posting's identity.
            Self::Posted(_) => None,
            done => done.parts().1,
        }
    }
}

impl Layout for Done {
    fn encode(&self, out: &mut Writer) {
        let (tag, number) = self.parts();
        out.u8(tag);
        if let Some(number) = number {
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
