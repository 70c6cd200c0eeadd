//! Refusals: every "no" of the queue machine, numbered.
//!
//! Must never: be renumbered or reordered. The order of the numbers is the precedence: a command that breaks two rules
//! is refused with the lower number.

use core::fmt::{Display, Formatter};

use machine::{DecodeError, Layout, Reader, Writer};

/// Why a command was not applied. It changed nothing.
///
/// Shape: u16 on disk and between machines. Invariant: the lowest number that applies is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Refusal {
    /// A batch is empty, or longer than the limit.
    CountOutOfRange = 1,
    /// The name of a queue, topic or subscription breaks the rules of names.
    NameInvalid = 2,
    /// The queue is not there, or was deleted.
    QueueMissing = 3,
    /// A queue of this name, whatever its letters' case, is there.
    QueueExists = 4,
    /// `max_messages` is out of its range.
    MaxMessagesOutOfRange = 5,
    /// `polling_wait_s` is out of its range.
    PollingWaitOutOfRange = 6,
    /// `visibility_timeout_s` is out of its range.
    VisibilityTimeoutOutOfRange = 7,
    /// `max_message_bytes` is out of its range.
    MaxMessageBytesOutOfRange = 8,
    /// `retention_s` is out of its range.
    RetentionOutOfRange = 9,
    /// `rewind_s` is longer than the retention.
    RewindOutOfRange = 10,
    /// The dead-letter policy's limit is out of its range.
    DeadLetterLimitOutOfRange = 11,
    /// A queue cannot be its own dead-letter queue.
    DeadLetterQueueIsItself = 12,
    /// The dead-letter queue is not there.
    DeadLetterQueueMissing = 13,
    /// The machine holds as many queues as it may.
    TooManyQueues = 14,
    /// A delay is longer than the limit.
    DelayOutOfRange = 15,
    /// A lease is shorter or longer than the limits.
    LeaseOutOfRange = 16,
    /// A message has no body.
    BodyEmpty = 17,
    /// A body is longer than the queue takes.
    BodyTooLarge = 18,
    /// A message has too many headers, or one that is too long or has no name.
    HeadersOutOfRange = 19,
    /// The messages of a send are too large together.
    SendTooLarge = 20,
    /// The queue holds as many messages as it may.
    QueueFull = 21,
    /// The queue holds as many delayed messages as it may.
    TooManyDelayed = 22,
    /// As many messages as may be are received and not settled.
    TooManyLeased = 23,
    /// The receipt is not that of the message's last delivery, or its lease has ended.
    StaleReceipt = 24,
    /// The numbers of queues, messages or deliveries are used up, or this group's number is too large for a message id.
    NumbersExhausted = 25,
    /// A priority is not one of 0 to 9.
    PriorityOutOfRange = 26,
    /// A tenant's name is longer than the limit.
    TenantOutOfRange = 27,
    /// An ordered group's name is longer than the limit.
    OrderedGroupOutOfRange = 28,
    /// A deduplication id is longer than the limit.
    DedupIdOutOfRange = 29,
    /// `dedup_window_s` is out of its range.
    DedupWindowOutOfRange = 30,
    /// The messages need more lanes (priorities, tenants, ordered groups) than the queue or the machine may hold.
    TooManyLanes = 31,
    /// The queue remembers as many deduplication ids as it may.
    TooManyDedupIds = 32,
    /// The transaction policy's first question or count of questions is out of its range.
    TransactionOutOfRange = 35,
    /// A queue of transactions takes no delayed messages.
    DelayInTransaction = 36,
    /// The queue has no transaction policy: it takes no half messages and asks about none.
    NotTransactional = 37,
    /// The queue, or the machine, holds as many half messages as it may.
    TooManyHalves = 38,
    /// No half message of this id was ever sent to this queue.
    HalfUnknown = 39,
    /// The message is no half message any more: it was decided otherwise, or was dropped.
    HalfSettled = 40,
    /// The queue keeps no acked messages (CMQ: 10670).
    RewindOff = 41,
    /// A place of a rewind has no message any more, or one of before its time: it must be looked up again.
    RewindPlaceMoved = 42,
    /// A group's number is that of the directory, or too large.
    GroupOutOfRange = 50,
    /// The topic is not there, or was deleted.
    TopicMissing = 51,
    /// A topic of this name, whatever its letters' case, is there.
    TopicExists = 52,
    /// The machine holds as many topics as it may.
    TooManyTopics = 53,
    /// A topic with subscriptions is not deleted.
    TopicHasSubscriptions = 54,
    /// The subscription is not there.
    SubscriptionMissing = 55,
    /// A subscription of this name, whatever its letters' case, is there.
    SubscriptionExists = 56,
    /// Tags are too many, or one is empty or too long.
    TagsOutOfRange = 57,
    /// Binding keys are too many, or one is empty, too long, or has too many dots.
    BindingKeysOutOfRange = 58,
    /// A routing key is too long, or has too many dots.
    RoutingKeyOutOfRange = 59,
    /// An endpoint is neither a web address nor a queue's name.
    EndpointInvalid = 60,
    /// The endpoint's queue is not there.
    EndpointQueueMissing = 61,
    /// The topic, or the machine, has as many subscriptions as it may.
    TooManySubscriptions = 62,
    /// Nobody subscribes to the topic.
    NoSubscription = 63,
    /// A message matches no subscription.
    NothingMatches = 64,
    /// A publish would write too much: its messages times the subscriptions they match.
    PublishTooLarge = 65,
    /// The queue is being redriven already.
    RedriveRunning = 70,
    /// Nothing redrives the queue.
    RedriveMissing = 71,
    /// A redrive's rate is out of its range.
    RateOutOfRange = 72,
    /// A queue cannot be redriven to itself.
    RedriveToItself = 73,
    /// The queue to redrive to is not there.
    RedriveTargetMissing = 74,
    /// A redrive cannot choose by what the filter names. A door says so; the machine has no such filter.
    FilterUnusable = 75,
    /// The queue has moved to another group: its place must be asked for again. Sure: nothing was done here.
    Moved = 80,
    /// The queue is being moved to another group, or is not whole yet where it was moved to.
    QueueMoving = 81,
    /// The queue is in that group already.
    MoveToItself = 82,
    /// The queue is not being moved.
    MoveMissing = 83,
    /// The other group decides about the queue already: the move goes on to its end.
    MoveIsCut = 84,
}

impl Refusal {
    /// All refusals in precedence.
    pub const ALL: [Self; 67] = [
        Self::CountOutOfRange,
        Self::NameInvalid,
        Self::QueueMissing,
        Self::QueueExists,
        Self::MaxMessagesOutOfRange,
        Self::PollingWaitOutOfRange,
        Self::VisibilityTimeoutOutOfRange,
        Self::MaxMessageBytesOutOfRange,
        Self::RetentionOutOfRange,
        Self::RewindOutOfRange,
        Self::DeadLetterLimitOutOfRange,
        Self::DeadLetterQueueIsItself,
        Self::DeadLetterQueueMissing,
        Self::TooManyQueues,
        Self::DelayOutOfRange,
        Self::LeaseOutOfRange,
        Self::BodyEmpty,
        Self::BodyTooLarge,
        Self::HeadersOutOfRange,
        Self::SendTooLarge,
        Self::QueueFull,
        Self::TooManyDelayed,
        Self::TooManyLeased,
        Self::StaleReceipt,
        Self::NumbersExhausted,
        Self::PriorityOutOfRange,
        Self::TenantOutOfRange,
        Self::OrderedGroupOutOfRange,
        Self::DedupIdOutOfRange,
        Self::DedupWindowOutOfRange,
        Self::TooManyLanes,
        Self::TooManyDedupIds,
        Self::TransactionOutOfRange,
        Self::DelayInTransaction,
        Self::NotTransactional,
        Self::TooManyHalves,
        Self::HalfUnknown,
        Self::HalfSettled,
        Self::RewindOff,
        Self::RewindPlaceMoved,
        Self::GroupOutOfRange,
        Self::TopicMissing,
        Self::TopicExists,
        Self::TooManyTopics,
        Self::TopicHasSubscriptions,
        Self::SubscriptionMissing,
        Self::SubscriptionExists,
        Self::TagsOutOfRange,
        Self::BindingKeysOutOfRange,
        Self::RoutingKeyOutOfRange,
        Self::EndpointInvalid,
        Self::EndpointQueueMissing,
        Self::TooManySubscriptions,
        Self::NoSubscription,
        Self::NothingMatches,
        Self::PublishTooLarge,
        Self::RedriveRunning,
        Self::RedriveMissing,
        Self::RateOutOfRange,
        Self::RedriveToItself,
        Self::RedriveTargetMissing,
        Self::FilterUnusable,
        Self::Moved,
        Self::QueueMoving,
        Self::MoveToItself,
        Self::MoveMissing,
        Self::MoveIsCut,
    ];

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// `Ok` if the rule holds, else this refusal.
    pub(crate) const fn unless(self, holds: bool) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(self) }
    }
}

impl Refusal {
    /// In words, of those that a move brings.
    const fn of_a_move(self) -> &'static str {
        match self {
            Self::Moved => "the queue has moved to another group",
            Self::QueueMoving => "the queue is being moved",
            Self::MoveToItself => "the queue is in that group already",
            Self::MoveMissing => "the queue is not on its way to another group",
            _ => "the other group decides about the queue already",
        }
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::CountOutOfRange => "the batch is empty or longer than the limit",
            Self::NameInvalid => "the name must be 1 to 64 letters, digits, '-' or '_', first a letter",
            Self::QueueMissing => "the queue is not there, or was deleted",
            Self::QueueExists => "a queue of this name is there already (letters' case does not count)",
            Self::MaxMessagesOutOfRange => "max_messages is out of range",
            Self::PollingWaitOutOfRange => "polling_wait_s is out of range",
            Self::VisibilityTimeoutOutOfRange => "visibility_timeout_s is out of range",
            Self::MaxMessageBytesOutOfRange => "max_message_bytes is out of range",
            Self::RetentionOutOfRange => "retention_s is out of range",
            Self::RewindOutOfRange => "rewind_s is longer than the retention",
            Self::DeadLetterLimitOutOfRange => "the dead-letter policy's limit is out of range",
            Self::DeadLetterQueueIsItself => "a queue cannot be its own dead-letter queue",
            Self::DeadLetterQueueMissing => "the dead-letter queue is not there",
            Self::TooManyQueues => "the number of queues has reached its limit",
            Self::DelayOutOfRange => "the delay is longer than the limit",
            Self::LeaseOutOfRange => "the lease is shorter or longer than the limits",
            Self::BodyEmpty => "the message has no body",
            Self::BodyTooLarge => "the body is longer than the queue takes",
            Self::HeadersOutOfRange => "the headers are too many or too long, or one has no name",
            Self::SendTooLarge => "the messages are too large together",
            Self::QueueFull => "the queue holds as many messages as it may",
            Self::TooManyDelayed => "the queue holds as many delayed messages as it may",
            Self::TooManyLeased => "too many messages are received and not settled",
            Self::StaleReceipt => "the receipt is not that of the last delivery, or its lease has ended",
            Self::NumbersExhausted => "the numbers of queues, messages or deliveries are used up",
            Self::PriorityOutOfRange => "the priority must be 0 to 9",
            Self::TenantOutOfRange => "the tenant's name is longer than the limit",
            Self::OrderedGroupOutOfRange => "the ordered group's name is longer than the limit",
            Self::DedupIdOutOfRange => "the deduplication id is longer than the limit",
            Self::DedupWindowOutOfRange => "dedup_window_s is out of range",
            Self::TooManyLanes => "too many priorities, tenants and ordered groups have messages",
            Self::TooManyDedupIds => "the queue remembers as many deduplication ids as it may",
            Self::TransactionOutOfRange => "the transaction policy is out of range",
            Self::DelayInTransaction => "a queue of transactions takes no delayed messages",
            Self::NotTransactional => "the queue has no transaction policy",
            Self::TooManyHalves => "too many half messages are undecided",
            Self::HalfUnknown => "no half message of this id was sent to this queue",
            Self::HalfSettled => "the message is no half message any more",
            Self::RewindOff => "the queue keeps no acked messages and cannot be rewound",
            Self::RewindPlaceMoved => "a place of the rewind is not there any more: look it up again",
            Self::GroupOutOfRange => "the group is not one that holds queues",
            Self::TopicMissing => "the topic is not there, or was deleted",
            Self::TopicExists => "a topic of this name is there already (letters' case does not count)",
            Self::TooManyTopics => "the number of topics has reached its limit",
            Self::TopicHasSubscriptions => "the topic has subscriptions; end them first",
            Self::SubscriptionMissing => "the subscription is not there",
            Self::SubscriptionExists => "a subscription of this name is there already (letters' case does not count)",
            Self::TagsOutOfRange => "the tags are too many, or one is empty or too long",
            Self::BindingKeysOutOfRange => {
                "the binding keys are too many, or one is empty, too long or has too many dots"
            }
            Self::RoutingKeyOutOfRange => "the routing key is too long or has too many dots",
            Self::EndpointInvalid => "the endpoint is neither an http address nor a queue's name",
            Self::EndpointQueueMissing => "the endpoint's queue is not there",
            Self::TooManySubscriptions => "the number of subscriptions has reached its limit",
            Self::NoSubscription => "the topic has no subscription",
            Self::NothingMatches => "no subscription matches the message's tags or routing key",
            Self::PublishTooLarge => "the messages are too large for so many subscriptions together",
            Self::RedriveRunning => "the queue is being redriven already",
            Self::RedriveMissing => "the queue is not being redriven",
            Self::RateOutOfRange => "the rate is out of range",
            Self::RedriveToItself => "a queue cannot be redriven to itself",
            Self::RedriveTargetMissing => "the queue to redrive to is not there",
            Self::FilterUnusable => "the redrive cannot choose by this",
            _ => self.of_a_move(),
        })
    }
}

impl Layout for Refusal {
    fn encode(&self, out: &mut Writer) {
        out.u16(self.number());
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let number = input.u16()?;
        let known = Self::ALL.into_iter().find(|refusal| refusal.number() == number);
        known.ok_or(DecodeError::Invalid("refusal"))
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;
    use machine::Layout;

    #[test]
    fn every_refusal_keeps_its_number_and_has_a_text_of_its_own() {
        let mut texts: Vec<String> = Vec::new();
        assert!(Refusal::ALL.is_sorted_by(|before, after| before < after), "in their precedence");
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_bytes(&refusal.to_bytes()), Ok(refusal));
            assert!(!texts.contains(&refusal.to_string()), "{refusal} is said twice");
            texts.push(refusal.to_string());
        }
    }
}
