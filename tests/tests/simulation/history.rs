//! What the clients were answered, in the words of the laws.
//!
//! ```text
//!  Sent       this number became this message            at i
//!  Delivered  this message came with this receipt        at i, stamp s, until deadline d
//!  Ended      this receipt was acked / released          at i, or perhaps (the client was never told)
//!  Extended   this receipt's deadline is d now           at i, or perhaps
//! ```
//!
//! Must never: hold what no client could know.

use machine::TimestampMs;
use queue_core::{DeliveryNumber, MessageId};

/// Where in the log something happened. A reply that came to the first attempt says so exactly; one that came to a repeat is the
/// former reply, and its entry lies somewhere between the last one that was answered before the call, and the repeat's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Span {
    /// Whether this surely comes before `later`.
    pub(crate) const fn is_before(self, later: Self) -> bool {
        self.to < later.from
    }

    /// Whether the entry is known.
    pub(crate) const fn is_exact(self) -> bool {
        self.from == self.to
    }
}

/// What a producer calls a message: its own number in the high half, and how many it sent before.
pub(crate) type Number = u64;

/// The queues of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line {
    /// Delays, deduplication, and a dead-letter policy.
    Plain,
    /// Ordered groups.
    Orders,
    /// The dead letters of `Plain`.
    Dead,
}

impl Line {
    /// All of them; the dead-letter queue is made first.
    pub(crate) const ALL: [Self; 3] = [Self::Dead, Self::Plain, Self::Orders];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Orders => "orders",
            Self::Dead => "dead",
        }
    }
}

/// A message that was acknowledged to its producer.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) number: Number,
    pub(crate) id: MessageId,
    pub(crate) at: Span,
    pub(crate) delay_ms: u64,
    /// Its ordered group, if it has one.
    pub(crate) group: Option<u64>,
}

/// A message that came to a consumer.
#[derive(Clone, Debug)]
pub(crate) struct Delivered {
    pub(crate) line: Line,
    pub(crate) id: MessageId,
    /// What its body says; `None`: nobody could read it in time.
    pub(crate) number: Option<Number>,
    pub(crate) receipt: DeliveryNumber,
    pub(crate) at: Span,
    /// Machine time of the entry.
    pub(crate) stamp: TimestampMs,
    pub(crate) deadline: TimestampMs,
}

/// How a lease was ended by its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The message is consumed.
    Ack,
    /// It is given back, invisible for so long. Units: milliseconds.
    Release { delay_ms: u64 },
}

/// A settling. `at` is `None` if its outcome is unknown.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) id: MessageId,
    pub(crate) receipt: DeliveryNumber,
    pub(crate) end: End,
    pub(crate) at: Option<Span>,
}

/// A longer lease. `at` is `None` if its outcome is unknown.
#[derive(Clone, Debug)]
pub(crate) struct Extended {
    pub(crate) receipt: DeliveryNumber,
    pub(crate) at: Option<(Span, TimestampMs)>,
}

/// Everything the clients of one run saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) sent: Vec<Sent>,
    pub(crate) delivered: Vec<Delivered>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) extended: Vec<Extended>,
    /// Entries by which machine time had come so far, as replies told.
    pub(crate) stamps: Vec<(u64, TimestampMs)>,
    /// Laws that were broken while clients looked.
    pub(crate) broken: Vec<String>,
    /// Calls whose outcome nobody ever learned.
    pub(crate) unknown: u64,
}
