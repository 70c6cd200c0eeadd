//! Refusals of topics and redrives: each verb's ladder. Each row breaks one rule less than the one before.
//!
//! Must never: let a refused command change anything: what the machine holds is compared after each.

use bytes::Bytes;
use machine::GroupId;
use queue_core::limits::{
    BATCH_MAX, MESSAGE_BITS, PUBLISH_BYTES_MAX, QUEUE_ID_MAX, REDRIVE_RATE_MAX, SUBSCRIPTIONS_PER_TOPIC_MAX, TOPICS_MAX,
};
use queue_core::{
    Attributes, Command, DeadLetterCount, DeadLetterPolicy, Endpoint, FilterKind, Header, Publication, QueueAddress,
    QueueId, RedriveFilter, RedriveOrder, Refusal, SubscriptionAttributes, SubscriptionChanges, TopicAttributes,
    TopicChanges, TopicCommand, TopicId,
};

use crate::room::{Room, message};
use crate::topics::{address, create_topic, publication, pushed, subscribe, with_tags};

fn refused(room: &mut Room, command: TopicCommand, expected: Refusal) {
    let before = room.machine().clone();
    let command = Command::Topic(command);
    assert_eq!(room.run(&command), queue_core::Reply::Refused(expected), "{command:?}");
    assert_eq!(room.machine(), &before, "a refused command changes nothing");
}

fn name(text: &str) -> String {
    text.to_owned()
}

fn meta(queue: &str) -> QueueAddress {
    QueueAddress { group: Some(GroupId::META), queue: name(queue) }
}

fn use_up_ids(room: &mut Room) {
    room.plant([(vec![0x10], [vec![1], QUEUE_ID_MAX.to_be_bytes().to_vec()].concat())]);
}

#[test]
fn create_topic_is_refused_in_precedence() {
    let mut room = Room::new();
    create_topic(&mut room, "news", TopicAttributes::default());
    let bad = TopicAttributes { max_message_bytes: 1_023, retention_s: 86_401, ..TopicAttributes::default() };
    let less = TopicAttributes { max_message_bytes: 1_048_576, ..bad };
    let good = TopicAttributes { retention_s: 86_400, ..less };
    let create = |text: &str, attributes| TopicCommand::Create { name: name(text), attributes };
    refused(&mut room, create("1", bad), Refusal::NameInvalid);
    refused(&mut room, create("News", bad), Refusal::MaxMessageBytesOutOfRange);
    refused(&mut room, create("News", less), Refusal::RetentionOutOfRange);
    refused(&mut room, create("News", good), Refusal::TopicExists);
    for number in 1..TOPICS_MAX {
        room.run_fast(&Command::Topic(create(&format!("t{number}"), good)));
    }
    refused(&mut room, create("News", good), Refusal::TopicExists);
    refused(&mut room, create("more", good), Refusal::TooManyTopics);
    use_up_ids(&mut room);
    refused(&mut room, create("News", good), Refusal::NumbersExhausted);
}

#[test]
fn set_and_delete_topic_are_refused_in_precedence() {
    let mut room = Room::new();
    create_topic(&mut room, "news", TopicAttributes::default());
    subscribe(&mut room, "news", "s", pushed());
    let set = |text: &str, max_message_bytes, retention_s| TopicCommand::Set {
        name: name(text),
        changes: TopicChanges {
            max_message_bytes: Some(max_message_bytes),
            retention_s: Some(retention_s),
            trace: None,
        },
    };
    refused(&mut room, set("", 0, 0), Refusal::NameInvalid);
    refused(&mut room, set("nobody", 0, 0), Refusal::MaxMessageBytesOutOfRange);
    refused(&mut room, set("nobody", 1_024, 59), Refusal::RetentionOutOfRange);
    refused(&mut room, set("nobody", 1_024, 60), Refusal::TopicMissing);
    refused(&mut room, TopicCommand::Delete { name: name("") }, Refusal::NameInvalid);
    refused(&mut room, TopicCommand::Delete { name: name("nobody") }, Refusal::TopicMissing);
    refused(&mut room, TopicCommand::Delete { name: name("NEWS") }, Refusal::TopicHasSubscriptions);
}

/// Attributes of a subscription that break every rule, mended step by step.
fn ladder(filter: FilterKind) -> Vec<(SubscriptionAttributes, Refusal)> {
    let (bad_filter, refusal) = match filter {
        FilterKind::Tags => ("x".repeat(17), Refusal::TagsOutOfRange),
        FilterKind::Routing => (".".repeat(16), Refusal::BindingKeysOutOfRange),
    };
    let worst = SubscriptionAttributes {
        endpoint: Endpoint::Queue(meta("not a name")),
        filters: vec![bad_filter],
        dead_letter: Some(address("nobody")),
        ..pushed()
    };
    let letters = SubscriptionAttributes { dead_letter: Some(meta("dead")), ..worst.clone() };
    let groups = SubscriptionAttributes {
        endpoint: Endpoint::Queue(address("not a name")),
        dead_letter: Some(address("dead")),
        ..letters.clone()
    };
    let filters = SubscriptionAttributes { filters: vec![name("x")], ..groups.clone() };
    let url = |url: &str| SubscriptionAttributes { endpoint: Endpoint::Http { url: name(url) }, ..filters.clone() };
    let endpoint = SubscriptionAttributes { endpoint: Endpoint::Queue(address("nobody")), ..filters.clone() };
    vec![
        (worst, Refusal::DeadLetterQueueMissing),
        (letters, Refusal::GroupOutOfRange),
        (groups, refusal),
        (filters.clone(), Refusal::EndpointInvalid),
        (url("http://"), Refusal::EndpointInvalid),
        (url("ftp://host"), Refusal::EndpointInvalid),
        (url("http://ho st"), Refusal::EndpointInvalid),
        (url(&format!("http://{}", "h".repeat(2_042))), Refusal::EndpointInvalid),
        (endpoint, Refusal::EndpointQueueMissing),
    ]
}

#[test]
fn subscribe_is_refused_in_precedence() {
    for filter in [FilterKind::Tags, FilterKind::Routing] {
        let mut room = Room::new();
        room.create("dead", Attributes::default());
        create_topic(&mut room, "news", TopicAttributes { filter, ..TopicAttributes::default() });
        subscribe(&mut room, "news", "first", pushed());
        let make = |topic: &str, text: &str, attributes: &SubscriptionAttributes| TopicCommand::Subscribe {
            topic: name(topic),
            name: name(text),
            attributes: attributes.clone(),
        };
        let ladder = ladder(filter);
        let (worst, groups, good_groups) = (&ladder[0].0, &ladder[1].0, &ladder[2].0);
        refused(&mut room, make("1", "s", worst), Refusal::NameInvalid);
        refused(&mut room, make("nobody", "1", worst), Refusal::NameInvalid);
        refused(&mut room, make("nobody", "s", worst), Refusal::DeadLetterQueueMissing);
        refused(&mut room, make("nobody", "s", groups), Refusal::GroupOutOfRange);
        refused(&mut room, make("nobody", "s", good_groups), Refusal::TopicMissing);
        refused(&mut room, make("news", "First", good_groups), Refusal::SubscriptionExists);
        for (attributes, refusal) in &ladder {
            refused(&mut room, make("news", "s", attributes), *refusal);
        }
        for number in 1..SUBSCRIPTIONS_PER_TOPIC_MAX {
            room.run_fast(&Command::Topic(make("news", &format!("s{number}"), &pushed())));
        }
        refused(&mut room, make("news", "s", &ladder[8].0), Refusal::EndpointQueueMissing);
        refused(&mut room, make("news", "s", &pushed()), Refusal::TooManySubscriptions);
        use_up_ids(&mut room);
        refused(&mut room, make("news", "s", groups), Refusal::NumbersExhausted);
    }
}

#[test]
fn set_subscription_and_unsubscribe_are_refused_in_precedence() {
    let mut room = Room::new();
    room.create("dead", Attributes::default());
    create_topic(&mut room, "news", TopicAttributes::default());
    subscribe(&mut room, "news", "s", pushed());
    let set = |topic: &str, text: &str, attributes: &SubscriptionAttributes| TopicCommand::SetSubscription {
        topic: name(topic),
        name: name(text),
        changes: SubscriptionChanges {
            endpoint: Some(attributes.endpoint.clone()),
            filters: Some(attributes.filters.clone()),
            dead_letter: Some(attributes.dead_letter.clone()),
            ..SubscriptionChanges::default()
        },
    };
    let ladder = ladder(FilterKind::Tags);
    refused(&mut room, set("", "s", &ladder[0].0), Refusal::NameInvalid);
    refused(&mut room, set("nobody", "s", &ladder[0].0), Refusal::DeadLetterQueueMissing);
    refused(&mut room, set("nobody", "s", &ladder[1].0), Refusal::GroupOutOfRange);
    refused(&mut room, set("nobody", "s", &ladder[2].0), Refusal::TopicMissing);
    refused(&mut room, set("news", "x", &ladder[2].0), Refusal::SubscriptionMissing);
    for (attributes, refusal) in &ladder {
        refused(&mut room, set("news", "S", attributes), *refusal);
    }
    let end = |topic: &str, text: &str| TopicCommand::Unsubscribe { topic: name(topic), name: name(text) };
    refused(&mut room, end("news", ""), Refusal::NameInvalid);
    refused(&mut room, end("nobody", "s"), Refusal::TopicMissing);
    refused(&mut room, end("news", "x"), Refusal::SubscriptionMissing);
}

#[test]
fn publish_is_refused_in_precedence() {
    let mut room = Room::new();
    let small = TopicAttributes { max_message_bytes: 1_024, ..TopicAttributes::default() };
    let topic = create_topic(&mut room, "news", small);
    let nowhere = TopicId(99);
    let make = |topic, messages: Vec<Publication>| TopicCommand::Publish { topic, messages };
    let bad_headers = vec![Header { name: String::new(), value: String::new() }];
    let worst = Publication {
        body: Bytes::new(),
        headers: bad_headers,
        tags: vec![String::new()],
        routing_key: ".".repeat(16),
    };
    let large = Publication { body: Bytes::from(vec![b'x'; 1_025]), ..worst.clone() };
    let headers = Publication { body: Bytes::from_static(b"x"), ..worst.clone() };
    let tags = Publication { headers: vec![], ..headers.clone() };
    let key = Publication { tags: vec![name("t")], ..tags.clone() };
    let good = publication("x", &["t"]);
    refused(&mut room, make(nowhere, vec![]), Refusal::CountOutOfRange);
    refused(&mut room, make(nowhere, vec![worst.clone(); BATCH_MAX + 1]), Refusal::CountOutOfRange);
    refused(&mut room, make(nowhere, vec![large.clone(), worst]), Refusal::BodyEmpty);
    refused(&mut room, make(topic, vec![headers.clone(), large]), Refusal::BodyTooLarge);
    refused(&mut room, make(nowhere, vec![tags.clone(), headers]), Refusal::HeadersOutOfRange);
    refused(&mut room, make(nowhere, vec![key.clone(), tags.clone()]), Refusal::TopicMissing);
    refused(&mut room, make(topic, vec![key.clone(), tags]), Refusal::TagsOutOfRange);
    refused(&mut room, make(topic, vec![good.clone(), key]), Refusal::RoutingKeyOutOfRange);
    refused(&mut room, make(topic, vec![good.clone()]), Refusal::NoSubscription);
    subscribe(&mut room, "news", "s", with_tags(&["t"], pushed()));
    refused(&mut room, make(topic, vec![good.clone(), publication("x", &["u"])]), Refusal::NothingMatches);
    let row = [vec![0x2b], topic.0.to_be_bytes().to_vec()].concat();
    let counters = |next: u64| [vec![1], next.to_be_bytes().to_vec(), vec![0; 8]].concat();
    room.plant([(row, counters(1 << MESSAGE_BITS))]);
    refused(&mut room, make(topic, vec![publication("x", &[&"t".repeat(17)])]), Refusal::NumbersExhausted);
}

#[test]
fn a_publish_that_would_write_too_much_is_refused() {
    let mut room = Room::new();
    let attributes = TopicAttributes { max_message_bytes: 1_048_576, ..TopicAttributes::default() };
    let topic = create_topic(&mut room, "news", attributes);
    let large = Publication { body: Bytes::from(vec![b'x'; 1_048_576]), ..publication("", &[]) };
    let publish = |count| TopicCommand::Publish { topic, messages: vec![large.clone(); count] };
    let copies_max = PUBLISH_BYTES_MAX / 1_048_576;
    for number in 0..16 {
        subscribe(&mut room, "news", &format!("s{number}"), pushed());
    }
    refused(&mut room, publish(17), Refusal::SendTooLarge);
    refused(&mut room, publish(copies_max / 16 + 1), Refusal::PublishTooLarge);
    let small = TopicCommand::Publish { topic, messages: vec![publication("x", &[]); BATCH_MAX] };
    for number in 16..129 {
        subscribe(&mut room, "news", &format!("s{number}"), pushed());
    }
    refused(&mut room, small, Refusal::PublishTooLarge);
}

#[test]
fn nobody_sends_into_the_queue_of_a_subscription() {
    let mut room = Room::new();
    create_topic(&mut room, "news", TopicAttributes::default());
    let queue = subscribe(&mut room, "news", "s", pushed());
    let reply = room.run(&Command::Send { queue, messages: vec![message("x", 0)] });
    assert_eq!(reply, queue_core::Reply::Refused(Refusal::QueueMissing));
    let delete = Command::DeleteQueue { name: name("news/s") };
    assert_eq!(room.run(&delete), queue_core::Reply::Refused(Refusal::NameInvalid));
}

#[test]
fn redrive_and_stop_are_refused_in_precedence() {
    let mut room = Room::new();
    let queue = room.create("orders", Attributes::default());
    let header = |text: &str| Some(Header { name: name(text), value: String::new() });
    let order = |header, to: QueueAddress, rate| RedriveOrder {
        to: Some(to),
        filter: RedriveFilter { header, ..RedriveFilter::default() },
        messages_max: None,
        rate: Some(rate),
        is_dry: false,
    };
    let redrive = |queue, order| TopicCommand::Redrive { queue, order };
    let stop = |queue| TopicCommand::StopRedrive { queue };
    refused(&mut room, redrive(QueueId(99), order(header(""), meta("orders"), 0)), Refusal::QueueMissing);
    refused(&mut room, redrive(queue, order(header(""), meta("orders"), 0)), Refusal::HeadersOutOfRange);
    refused(&mut room, redrive(queue, order(header("h"), meta("orders"), 0)), Refusal::GroupOutOfRange);
    refused(&mut room, redrive(queue, order(None, address("ORDERS"), 0)), Refusal::RateOutOfRange);
    let too_fast = order(None, address("ORDERS"), REDRIVE_RATE_MAX + 1);
    refused(&mut room, redrive(queue, too_fast), Refusal::RateOutOfRange);
    let none = RedriveOrder { messages_max: Some(0), ..order(None, address("ORDERS"), 1) };
    refused(&mut room, redrive(queue, none), Refusal::RateOutOfRange);
    refused(&mut room, redrive(queue, order(None, address("ORDERS"), REDRIVE_RATE_MAX)), Refusal::RedriveToItself);
    refused(&mut room, redrive(queue, order(None, address("nobody"), 1)), Refusal::RedriveTargetMissing);
    let far = QueueAddress { group: Some(GroupId(3)), queue: name("not a name") };
    refused(&mut room, redrive(queue, order(None, far, 1)), Refusal::RedriveTargetMissing);
    refused(&mut room, stop(QueueId(99)), Refusal::QueueMissing);
    refused(&mut room, stop(queue), Refusal::RedriveMissing);
    room.create("other", Attributes::default());
    room.topic(redrive(queue, order(None, address("other"), 1)));
    refused(&mut room, redrive(queue, order(None, address("nobody"), 0)), Refusal::RedriveRunning);
}

#[test]
fn a_policy_for_another_group_must_name_one_that_holds_queues() {
    let mut room = Room::new();
    let with = |group, queue: &str| Attributes {
        dead_letter: Some(DeadLetterPolicy {
            group: Some(GroupId(group)),
            queue: name(queue),
            count: DeadLetterCount::Failed,
            limit: 1,
        }),
        ..Attributes::default()
    };
    let table = [
        (with(0, "dead"), Some(Refusal::GroupOutOfRange)),
        (with(256, "dead"), Some(Refusal::GroupOutOfRange)),
        (with(0, "not a name"), Some(Refusal::DeadLetterQueueMissing)),
        (with(7, "dead"), Some(Refusal::DeadLetterQueueMissing)),
        (with(7, "orders"), Some(Refusal::DeadLetterQueueIsItself)),
        (with(255, "orders"), None),
    ];
    for (attributes, refusal) in table {
        let reply = room.run(&Command::CreateQueue { name: name("orders"), attributes });
        match refusal {
            Some(refusal) => assert_eq!(reply, queue_core::Reply::Refused(refusal)),
            None => assert!(matches!(reply, queue_core::Reply::Created { .. })),
        }
    }
}
