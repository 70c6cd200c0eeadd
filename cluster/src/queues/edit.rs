//! Attributes of a queue as an operator writes them.
//!
//! Must never: set what was not named.

use proto::queue::v1::{DeadLetterCount, DeadLetterPolicy, QueueAttributes};

/// What can be set on a queue; what is not given keeps its value, or gets the default of a new queue.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Attributes {
    /// Most messages that the queue holds.
    #[arg(long, value_name = "MESSAGES")]
    messages_max: Option<u64>,
    /// How long a receive waits for the first message, 0 to 30.
    #[arg(long, value_name = "SECONDS")]
    poll_wait_s: Option<u32>,
    /// Length of a lease, 1 to 43200.
    #[arg(long, value_name = "SECONDS")]
    lease_s: Option<u32>,
    /// Most bytes of a body.
    #[arg(long, value_name = "BYTES")]
    message_bytes_max: Option<u32>,
    /// A message older than this is dropped.
    #[arg(long, value_name = "SECONDS")]
    retention_s: Option<u32>,
    /// Acknowledged messages are kept for a rewind this long; 0 = not at all.
    #[arg(long, value_name = "SECONDS")]
    rewind_s: Option<u32>,
    /// How long the queue knows a message's deduplication id; 0 = not at all.
    #[arg(long, value_name = "SECONDS")]
    dedup_window_s: Option<u32>,
    /// Keep the timeline of each message: true or false.
    #[arg(long, value_name = "BOOL")]
    trace: Option<bool>,
    /// Queue for messages that failed too often.
    #[arg(long, value_name = "QUEUE", requires = "dead_letter_after")]
    dead_letter: Option<String>,
    /// Failures after which a message goes there.
    #[arg(long, value_name = "FAILURES", requires = "dead_letter")]
    dead_letter_after: Option<u32>,
}

impl From<Attributes> for QueueAttributes {
    fn from(given: Attributes) -> Self {
        let dead_letter = given.dead_letter.zip(given.dead_letter_after).map(|(queue, times_max)| DeadLetterPolicy {
            queue,
            count: DeadLetterCount::Failed.into(),
            times_max,
        });
        Self {
            messages_max: given.messages_max,
            poll_wait_s: given.poll_wait_s,
            lease_s: given.lease_s,
            message_bytes_max: given.message_bytes_max,
            retention_s: given.retention_s,
            rewind_s: given.rewind_s,
            dead_letter,
            dedup_window_s: given.dedup_window_s,
            transaction: None,
            trace: given.trace,
        }
    }
}
