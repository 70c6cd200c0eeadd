//! Topics: who gets what is published, how it gets there, and what becomes of what cannot.
//!
//! Must never: lose a copy that somebody waits for, or deliver one twice while its first way may yet succeed.

use bytes::Bytes;
use queue_core::{
    Attributes, Command, DeadLetterCount, Endpoint, FilterKind, NotifyFormat, Publication, QueueAddress, QueueId,
    Reply, RetryStrategy, Stall, SubscriptionAttributes, SubscriptionChanges, TopicAttributes, TopicChanges,
    TopicCommand, TopicId,
};

use crate::room::{GROUP, Room, START};

pub(crate) fn address(queue: &str) -> QueueAddress {
    QueueAddress { group: None, queue: queue.to_owned() }
}

pub(crate) fn to_queue(queue: &str) -> SubscriptionAttributes {
    SubscriptionAttributes { endpoint: Endpoint::Queue(address(queue)), ..pushed() }
}

pub(crate) fn pushed() -> SubscriptionAttributes {
    SubscriptionAttributes {
        endpoint: Endpoint::Http { url: "http://127.0.0.1:9/in".to_owned() },
        strategy: RetryStrategy::Backoff,
        format: NotifyFormat::Json,
        filters: Vec::new(),
        dead_letter: None,
    }
}

pub(crate) fn with_tags(tags: &[&str], attributes: SubscriptionAttributes) -> SubscriptionAttributes {
    SubscriptionAttributes { filters: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..attributes }
}

pub(crate) fn publication(body: &'static str, tags: &[&str]) -> Publication {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    Publication { body: Bytes::from_static(body.as_bytes()), headers: vec![], tags, routing_key: String::new() }
}

pub(crate) fn create_topic(room: &mut Room, name: &str, attributes: TopicAttributes) -> TopicId {
    let reply = room.topic(TopicCommand::Create { name: name.to_owned(), attributes });
    let Reply::TopicCreated { topic } = reply else { panic!("{name} is created, not {reply:?}") };
    topic
}

pub(crate) fn subscribe(room: &mut Room, topic: &str, name: &str, attributes: SubscriptionAttributes) -> QueueId {
    let command = TopicCommand::Subscribe { topic: topic.to_owned(), name: name.to_owned(), attributes };
    let reply = room.topic(command);
    let Reply::Subscribed { queue } = reply else { panic!("{name} subscribes, not {reply:?}") };
    queue
}

pub(crate) fn publish(room: &mut Room, topic: TopicId, messages: &[(&'static str, &[&str])]) -> Reply {
    let messages = messages.iter().map(|(body, tags)| publication(body, tags)).collect();
    room.topic(TopicCommand::Publish { topic, messages })
}

fn change(room: &mut Room, name: &str, changes: SubscriptionChanges) {
    let command = TopicCommand::SetSubscription { topic: "news".to_owned(), name: name.to_owned(), changes };
    assert_eq!(room.topic(command), Reply::Done);
}

fn with_topic() -> (Room, TopicId) {
    let mut room = Room::new();
    let topic = create_topic(&mut room, "News", TopicAttributes::default());
    (room, topic)
}

#[test]
fn each_subscription_gets_a_copy_of_what_it_matches() {
    let (mut room, topic) = with_topic();
    let all = subscribe(&mut room, "news", "all", pushed());
    let red = subscribe(&mut room, "NEWS", "red", with_tags(&["red", "pink"], pushed()));
    let reply = publish(&mut room, topic, &[("a", &[]), ("b", &["red"]), ("c", &["blue", "pink"])]);
    let Reply::Published { ids, copies, readied } = reply else { panic!("it is published, not {reply:?}") };
    assert_eq!((ids.len(), copies, readied), (3, 5, vec![all, red]));
    assert_eq!(room.take(all, 9, 1_000), ["a", "b", "c"]);
    let deliveries = room.receive(red, 9, 1_000);
    let row = room.machine().message(&room.store, red, deliveries[1].seq).expect("rows can be read");
    let row = row.expect("a leased message has a row");
    let published = row.published.expect("a copy knows what it was published as");
    assert_eq!((published.topic.as_str(), published.topic_id, published.id, row.sent), ("News", topic, ids[2], START));
    assert_eq!(published.tags, ["blue", "pink"]);
    assert_eq!((room.body(deliveries[0].id), room.body(deliveries[1].id)), ("b".to_owned(), "c".to_owned()));
}

#[test]
fn a_topic_that_routes_chooses_by_binding_keys() {
    let mut room = Room::new();
    let attributes = TopicAttributes { filter: FilterKind::Routing, ..TopicAttributes::default() };
    let topic = create_topic(&mut room, "news", attributes);
    let star = subscribe(&mut room, "news", "star", with_tags(&["a.*"], pushed()));
    let hash = subscribe(&mut room, "news", "hash", with_tags(&["x", "a.#"], pushed()));
    for (body, key) in [("1", "a"), ("2", "a.b"), ("3", "a.b.c"), ("4", "x")] {
        let message = Publication { routing_key: key.to_owned(), ..publication(body, &["a.b"]) };
        room.topic(TopicCommand::Publish { topic, messages: vec![message] });
    }
    assert_eq!(room.take(star, 9, 1_000), ["2"]);
    assert_eq!(room.take(hash, 9, 1_000), ["1", "2", "3", "4"]);
}

#[test]
fn ids_of_topics_queues_and_copies_never_meet() {
    let (mut room, topic) = with_topic();
    let queue = room.create("orders", Attributes::default());
    let copies = subscribe(&mut room, "news", "all", pushed());
    assert_eq!((topic, queue, copies), (TopicId(1), QueueId(2), QueueId(3)));
    let Reply::Published { ids, .. } = publish(&mut room, topic, &[("a", &[])]) else { panic!("it is published") };
    let sent = room.send(queue, &[("b", 0)]);
    let copy = room.receive(copies, 1, 1_000)[0].id;
    let group = u64::from(GROUP.0) << 56;
    assert_eq!([ids[0].0, sent[0].0, copy.0], [1, 2, 3].map(|id: u64| group | id << 36 | 1));
}

#[test]
fn a_forwarding_subscription_moves_its_copies_in_their_order() {
    let (mut room, topic) = with_topic();
    let orders = room.create("orders", Attributes::default());
    let copies = subscribe(&mut room, "news", "all", to_queue("orders"));
    publish(&mut room, topic, &[("a", &["t"]), ("b", &[]), ("c", &[])]);
    assert_eq!(room.machine().next_due(), Some(START), "what waits is due since it was published");
    assert_eq!(room.tick(), 3);
    let delivery = room.receive(orders, 1, 1_000)[0];
    let row = room.machine().message(&room.store, orders, delivery.seq).expect("rows can be read");
    let row = row.expect("a leased message has a row");
    assert_eq!((delivery.tries.received, row.origin.clone()), (1, None));
    assert_eq!(row.published.expect("it knows its topic").tags, ["t"]);
    assert_eq!(room.take(orders, 9, 1_000), ["b", "c"]);
    let (of_copies, of_orders) = (room.status(copies).totals, room.status(orders).totals);
    assert_eq!((of_copies.sent, of_copies.forwarded, of_orders.arrived), (3, 3, 3));
}

#[test]
fn a_queue_that_is_missing_or_full_holds_copies_back_and_they_arrive_in_order() {
    for is_full in [true, false] {
        let (mut room, topic) = with_topic();
        let small = Attributes { max_messages: 1, ..Attributes::default() };
        let orders = room.create("orders", small);
        let copies = subscribe(&mut room, "news", "all", to_queue("ORDERS"));
        if is_full {
            room.send(orders, &[("old", 0)]);
        } else {
            room.run(&Command::DeleteQueue { name: "orders".to_owned() });
        }
        publish(&mut room, topic, &[("a", &[]), ("b", &[])]);
        assert_eq!(room.tick(), 1, "the first finds no way and holds the other back");
        let status = room.machine().subscription_status(copies).expect("it is there");
        let stall = if is_full { Stall::QueueFull } else { Stall::QueueMissing };
        let failing = status.failing.expect("it fails");
        assert_eq!((failing.since, failing.times, failing.stall), (START, 1, Some(stall)));
        for wait_ms in [1_000, 2_000, 4_000] {
            room.pass(wait_ms - 1);
            assert_eq!(room.tick(), 0, "it is not tried again at once");
            room.pass(1);
            assert_eq!(room.tick(), 1);
        }
        if is_full {
            let receipt = room.receive(orders, 1, 60_000)[0].receipt;
            room.ack(orders, &[receipt]);
            let changes = queue_core::AttributeChanges { max_messages: Some(9), ..Default::default() };
            room.run(&Command::SetQueueAttributes { name: "orders".to_owned(), changes });
        } else {
            room.create("Orders", Attributes::default());
        }
        room.pass(8_000);
        room.tick();
        let orders = room.machine().queue_id("orders").expect("it is there");
        assert_eq!(room.take(orders, 9, 1_000), ["a", "b"]);
        assert_eq!(room.machine().subscription_status(copies).and_then(|status| status.failing), None);
    }
}

#[test]
fn a_copy_that_waits_too_long_expires_as_the_topic_says() {
    let (mut room, topic) = with_topic();
    room.create("orders", Attributes::default());
    let copies = subscribe(&mut room, "news", "all", to_queue("orders"));
    room.run(&Command::DeleteQueue { name: "orders".to_owned() });
    publish(&mut room, topic, &[("a", &[])]);
    let changes = TopicChanges { retention_s: Some(60), ..TopicChanges::default() };
    assert_eq!(room.topic(TopicCommand::Set { name: "news".to_owned(), changes }), Reply::Done);
    for _ in 0..60 {
        room.pass(1_000);
        room.tick();
    }
    assert_eq!((room.counts(copies), room.status(copies).totals.expired), ((0, 0, 0), 1));
}

#[test]
fn a_push_that_fails_for_good_is_a_dead_letter_or_is_dropped_and_counted() {
    for has_letters in [true, false] {
        let (mut room, topic) = with_topic();
        let dead = room.create("dead", Attributes::default());
        let dead_letter = has_letters.then(|| address("dead"));
        let copies = subscribe(&mut room, "news", "web", SubscriptionAttributes { dead_letter, ..pushed() });
        publish(&mut room, topic, &[("a", &[])]);
        for attempt in 1..=4_u32 {
            let delivery = room.receive(copies, 1, 15_000)[0];
            assert_eq!(delivery.tries.failed + 1, attempt);
            room.release(copies, delivery.receipt, 10_000, true);
            let failing = room.machine().subscription_status(copies).and_then(|status| status.failing);
            assert_eq!(failing.map(|failing| (failing.since, failing.times)), Some((START, attempt)));
            room.pass(10_000);
            room.tick();
        }
        let totals = room.status(copies).totals;
        assert_eq!(room.counts(copies), (0, 0, 0));
        if has_letters {
            assert_eq!((totals.dead_lettered, totals.given_up), (1, 0));
            let delivery = room.receive(dead, 1, 1_000)[0];
            let row = room.machine().message(&room.store, dead, delivery.seq).expect("rows can be read");
            let origin = row.and_then(|row| row.origin).expect("a dead letter tells its story");
            assert_eq!((origin.name.as_str(), origin.reason), ("News/web", Some(DeadLetterCount::Failed)));
            assert_eq!(origin.tries.failed, 4);
        } else {
            assert_eq!((totals.dead_lettered, totals.given_up, room.remains()), (0, 1, 0));
        }
    }
}

#[test]
fn a_push_that_succeeds_ends_the_failing() {
    let (mut room, topic) = with_topic();
    let copies = subscribe(&mut room, "news", "web", pushed());
    publish(&mut room, topic, &[("a", &[])]);
    room.receive(copies, 1, 1_000);
    room.pass(1_000);
    room.tick();
    let failing = |room: &Room| room.machine().subscription_status(copies).and_then(|status| status.failing);
    assert_eq!(failing(&room).map(|failing| failing.times), Some(1), "a lease that ran out is a push that failed");
    let receipt = room.receive(copies, 1, 1_000)[0].receipt;
    room.ack(copies, &[receipt]);
    assert_eq!((failing(&room), room.remains()), (None, 0));
}

#[test]
fn another_endpoint_takes_over_what_waits() {
    let (mut room, topic) = with_topic();
    let orders = room.create("orders", Attributes::default());
    let copies = subscribe(&mut room, "news", "all", with_tags(&["t"], pushed()));
    publish(&mut room, topic, &[("a", &["t"]), ("b", &["t"])]);
    let receipt = room.receive(copies, 1, 1_000)[0].receipt;
    let endpoint = Some(Endpoint::Queue(QueueAddress { group: Some(GROUP), queue: "orders".to_owned() }));
    change(&mut room, "ALL", SubscriptionChanges { endpoint, filters: Some(vec![]), ..SubscriptionChanges::default() });
    assert_eq!(room.machine().pushable(), []);
    room.tick();
    assert_eq!(room.take(orders, 9, 60_000), ["b"], "a message under a lease stays with its pusher");
    room.release(copies, receipt, 0, true);
    publish(&mut room, topic, &[("c", &[])]);
    room.tick();
    assert_eq!(room.take(orders, 9, 60_000), ["a", "c"], "without tags it matches everything");
}

#[test]
fn an_end_of_a_subscription_drops_what_waits_and_frees_the_topic() {
    let (mut room, topic) = with_topic();
    let copies = subscribe(&mut room, "news", "web", pushed());
    publish(&mut room, topic, &[("a", &[]), ("b", &[])]);
    room.receive(copies, 1, 60_000);
    let unsubscribe = TopicCommand::Unsubscribe { topic: "news".to_owned(), name: "Web".to_owned() };
    assert_eq!(room.topic(unsubscribe), Reply::Done);
    room.tick();
    assert_eq!((room.remains(), room.machine().status(copies)), (0, None));
    assert_eq!(room.topic(TopicCommand::Delete { name: "NEWS".to_owned() }), Reply::Done);
    let rows = room.store.rows().filter(|(key, _)| key.first().is_some_and(|kind| *kind > 0x10)).count();
    assert_eq!((rows, room.machine().topic_id("news")), (0, None), "nothing is left");
    assert!(create_topic(&mut room, "news", TopicAttributes::default()) > topic, "ids are not used twice");
}

#[test]
fn reads_show_topics_and_subscriptions() {
    let (mut room, topic) = with_topic();
    create_topic(&mut room, "weather", TopicAttributes::default());
    room.create("News", Attributes::default());
    let web = subscribe(&mut room, "news", "Web", pushed());
    let all = subscribe(&mut room, "news", "all", to_queue("news"));
    publish(&mut room, topic, &[("a", &[]), ("b", &[])]);
    let machine = room.machine();
    let topics = machine.topics("EW", 0, 9);
    assert_eq!((topics.total, topics.topics), (1, vec![(topic, "News".to_owned())]));
    assert_eq!((machine.topics("", 1, 9).total, machine.topics("", 1, 9).topics.len()), (2, 1));
    let list = machine.subscriptions(topic, "", 0, 9);
    assert_eq!((list.total, list.subscriptions), (2, vec![(all, "all".to_owned()), (web, "Web".to_owned())]));
    let status = machine.topic_status(topic).expect("it is there");
    assert_eq!((status.published, status.copies, status.waiting, status.subscriptions), (2, 4, 4, 2));
    let subscription = machine.subscription_status(web).expect("it is there");
    assert_eq!((subscription.topic, subscription.name.as_str(), subscription.counts.visible), (topic, "Web", 2));
    assert_eq!(machine.oldest_visible(&room.store, web), Ok(Some(START)));
    assert_eq!(machine.subscription_queue(topic, "WEB"), Some(web));
    let pushable = machine.pushable();
    assert_eq!(pushable.iter().map(|it| (it.queue, it.ready)).collect::<Vec<_>>(), [(web, 2)]);
    assert_eq!(machine.queues("", 0, 9).total, 1, "the queues of subscriptions have no names");
    assert_eq!(machine.queue_id("News/Web"), None);
}
