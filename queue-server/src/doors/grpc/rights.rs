//! What each call needs: the right, and the queue or topic it is on. One table for all services that take keys.
//!
//! | right | calls |
//! |---|---|
//! | send | put messages in, publish, decide about one's half messages |
//! | receive | take messages out and settle them |
//! | manage | all else; what concerns every queue at once, keys and nodes too, is managed under the name "" |
//!
//! Who lets messages flow into another queue (dead letters, a subscription, a redrive) needs the right to send there.
//!
//! Must never: leave a call out. One without a line here does not compile.

use proto::admin::v1::*;
use proto::queue::v1::subscription::Endpoint;
use proto::queue::v1::*;
use queue_core::{KeyPair, Right};

use Right::{Manage, Receive, Send};

/// What concerns everything at once.
const ALL: &str = "";

/// What a call needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Need<'a> {
    /// A key pair that is good, whatever its rights.
    Key,
    /// Some right on a name.
    Some(&'a str),
    /// One right.
    One(Right, &'a str),
    /// Several, all of them.
    All(Vec<(Right, &'a str)>),
}

impl Need<'_> {
    pub(super) fn is_met_by(&self, pair: &KeyPair) -> bool {
        match self {
            Self::Key => true,
            Self::Some(on) => [Send, Receive, Manage].into_iter().any(|right| pair.allows(right, on)),
            Self::One(right, on) => pair.allows(*right, on),
            Self::All(rights) => rights.iter().all(|(right, on)| pair.allows(*right, on)),
        }
    }
}

/// A call that needs something.
pub(super) trait Asks {
    /// What it needs.
    fn need(&self) -> Need<'_>;
}

macro_rules! asks {
    ($($call:ident: $right:ident on $($name:ident)?;)*) => {$(
        impl Asks for $call {
            fn need(&self) -> Need<'_> {
                Need::One($right, on!(self $($name)?))
            }
        }
    )*};
}

macro_rules! on {
    ($call:ident) => {{
        let _ = $call;
        ALL
    }};
    ($call:ident $name:ident) => {
        &$call.$name
    };
}

asks! {
    DeleteQueueRequest: Manage on queue;
    GetQueueRequest: Manage on queue;
    ListQueuesRequest: Manage on;
    PurgeQueueRequest: Manage on queue;
    SendRequest: Send on queue;
    ReceiveRequest: Receive on queue;
    ConsumeRequest: Receive on queue;
    AckRequest: Receive on queue;
    ExtendRequest: Receive on queue;
    ReleaseRequest: Receive on queue;
    PeekRequest: Manage on queue;
    ConfirmHalfRequest: Send on queue;
    QueryHalfRequest: Send on queue;

    CreateTopicRequest: Manage on topic;
    ListTopicsRequest: Manage on;
    GetTopicRequest: Manage on topic;
    SetTopicAttributesRequest: Manage on topic;
    DeleteTopicRequest: Manage on topic;
    ListSubscriptionsRequest: Manage on topic;
    GetSubscriptionRequest: Manage on topic;
    UnsubscribeRequest: Manage on topic;
    PublishRequest: Send on topic;

    SearchRequest: Manage on queue;
    ExplainRequest: Manage on queue;
    ListEventsRequest: Manage on queue;
    RewindRequest: Manage on queue;
    ListDeadLetterSourcesRequest: Manage on queue;
    StopRedriveRequest: Manage on queue;
    GetRedriveRequest: Manage on queue;

    MoveQueueRequest: Manage on queue;
    CancelMoveRequest: Manage on queue;
    GetMoveRequest: Manage on queue;

    CreateKeyRequest: Manage on;
    ListKeysRequest: Manage on;
    RotateKeyRequest: Manage on;
    GrantKeyRequest: Manage on;
    RevokeKeyRequest: Manage on;

    TransferLeaderRequest: Manage on;
    AuditRequest: Manage on;
    StateHashRequest: Manage on;
    CourierStatusRequest: Manage on;
    QueuesRequest: Manage on;

    AddMemberRequest: Manage on;
    PromoteMemberRequest: Manage on;
    RemoveMemberRequest: Manage on;
    DrainRequest: Manage on;
    BackupRequest: Manage on;
}

/// How a node stands is no secret among those who have a key pair: a pod asks whether it may be stopped, and shall hold no key
/// that may do more.
impl Asks for StatusRequest {
    fn need(&self) -> Need<'_> {
        Need::Key
    }
}

/// A session holds nothing but numbers.
impl Asks for OpenSessionRequest {
    fn need(&self) -> Need<'_> {
        Need::Key
    }
}

/// Each call on the stream is looked at by itself.
impl Asks for ExchangeRequest {
    fn need(&self) -> Need<'_> {
        Need::Key
    }
}

/// Whoever may do anything with a name must find it.
impl Asks for LocateRequest {
    fn need(&self) -> Need<'_> {
        Need::Some(if self.topic.is_empty() { &self.queue } else { &self.topic })
    }
}

impl Asks for CreateQueueRequest {
    fn need(&self) -> Need<'_> {
        managing(&self.queue, [self.attributes.as_ref().map(dead_letters)])
    }
}

impl Asks for SetQueueAttributesRequest {
    fn need(&self) -> Need<'_> {
        managing(&self.queue, [self.attributes.as_ref().map(dead_letters)])
    }
}

impl Asks for SubscribeRequest {
    fn need(&self) -> Need<'_> {
        managing(&self.topic, self.subscription.as_ref().map_or([None; 2], targets))
    }
}

impl Asks for SetSubscriptionRequest {
    fn need(&self) -> Need<'_> {
        managing(&self.topic, self.subscription.as_ref().map_or([None; 2], targets))
    }
}

/// Without a target messages go back to where they died.
impl Asks for StartRedriveRequest {
    fn need(&self) -> Need<'_> {
        managing(&self.queue, [Some(self.target.as_str())])
    }
}

/// The right to manage `name`, and to send to each target; an empty name is none.
fn managing<'a, const N: usize>(name: &'a str, targets: [Option<&'a str>; N]) -> Need<'a> {
    let targets = targets.into_iter().flatten().filter(|target| !target.is_empty());
    Need::All(std::iter::once((Manage, name)).chain(targets.map(|target| (Send, target))).collect())
}

fn dead_letters(attributes: &QueueAttributes) -> &str {
    attributes.dead_letter.as_ref().map_or("", |policy| policy.queue.as_str())
}

fn targets(subscription: &Subscription) -> [Option<&str>; 2] {
    let into = match &subscription.endpoint {
        Some(Endpoint::Queue(queue)) => Some(queue.as_str()),
        Some(Endpoint::Url(_)) | None => None,
    };
    [into, Some(subscription.dead_letter_queue.as_str())]
}

#[cfg(test)]
mod tests {
    use queue_core::Grant;

    use super::*;
    use crate::doors::keys::pair;

    #[test]
    fn who_lets_messages_flow_elsewhere_needs_the_right_to_send_there() {
        let policy = |queue: &str| DeadLetterPolicy { queue: queue.to_owned(), ..DeadLetterPolicy::default() };
        let attributes =
            |queue: &str| QueueAttributes { dead_letter: Some(policy(queue)), ..QueueAttributes::default() };
        let create = |attributes| CreateQueueRequest { queue: "a".to_owned(), attributes, request: None };
        let subscribe = |endpoint, dead: &str| {
            let wanted = Subscription { endpoint, dead_letter_queue: dead.to_owned(), ..Subscription::default() };
            SubscribeRequest { topic: "a".to_owned(), subscription: Some(wanted), ..SubscribeRequest::default() }
        };
        let redrive = |target: &str| StartRedriveRequest {
            queue: "a".to_owned(),
            target: target.to_owned(),
            ..StartRedriveRequest::default()
        };
        let one = Need::All(vec![(Manage, "a")]);
        let both = Need::All(vec![(Manage, "a"), (Send, "b")]);
        let (url, queue) = (Endpoint::Url("http://h".to_owned()), Endpoint::Queue("b".to_owned()));
        assert_eq!(create(None).need(), one);
        assert_eq!(create(Some(attributes(""))).need(), one);
        assert_eq!(create(Some(attributes("b"))).need(), both);
        assert_eq!(subscribe(Some(url.clone()), "").need(), one);
        assert_eq!(subscribe(Some(url), "b").need(), both);
        assert_eq!(subscribe(Some(queue), "").need(), both);
        assert_eq!(redrive("").need(), one);
        assert_eq!(redrive("b").need(), both);
        let grant = |pattern: &str, rights| Grant { pattern: pattern.to_owned(), rights };
        for (grants, expected) in [
            (vec![grant("a", 4)], false),
            (vec![grant("b", 1)], false),
            (vec![grant("a", 4), grant("b", 2)], false),
            (vec![grant("a", 4), grant("b", 1)], true),
        ] {
            assert_eq!(both.is_met_by(&pair("AKIDx", "s", grants.clone())), expected, "{grants:?}");
        }
    }

    #[test]
    fn a_name_is_found_by_whoever_may_do_anything_with_it() {
        for (rights, expected) in [(1, true), (2, true), (4, true)] {
            let key = pair("AKIDx", "s", vec![Grant { pattern: "a".to_owned(), rights }]);
            assert_eq!(Need::Some("a").is_met_by(&key), expected, "{rights}");
            assert!(!Need::Some("b").is_met_by(&key), "{rights}");
        }
    }
}
