//! What becomes of messages in time: half ones, acknowledged ones that come back, dead ones that are sent home, and the
//! story of each.

use std::time::Duration;

use bytes::Bytes;
use queue_client::{
    Client, ClientConfig, DeadLetterCount, DeadLetterPolicy, Error, Message, MessageFilter, MessageState, NewMessage,
    QueueAttributes, Receive, Release, SearchRequest, StartRedriveRequest, TransactionPolicy,
};
use tests::local::LocalCluster;

fn message(body: &str) -> NewMessage {
    NewMessage { body: Bytes::copy_from_slice(body.as_bytes()), ..NewMessage::default() }
}

fn bodies(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()).collect()
}

async fn take(client: &Client, queue: &str, wait: Duration) -> Vec<Message> {
    let poll = Receive { messages_max: 10, wait, ..Receive::default() };
    client.receive(queue, poll).await.expect("a receive is answered")
}

const SOON: Duration = Duration::from_secs(10);

async fn half_messages_wait_for_a_word(client: &Client) {
    let transaction = Some(TransactionPolicy { first_query_s: 1, queries_max: 3 });
    let attributes = QueueAttributes { transaction, ..QueueAttributes::default() };
    client.create_queue("halves", attributes).await.expect("the queue is made");
    let half = |body: &str| NewMessage { half: true, ..message(body) };
    let ids = client.send("halves", vec![half("yes"), half("no")]).await.expect("they are kept").ids;
    let [yes, no] = ids[..] else { panic!("two ids for two messages") };
    assert!(take(client, "halves", Duration::ZERO).await.is_empty(), "nobody sees half a message");
    let asked = client.query_half("halves", 10, SOON).await.expect("a query is answered");
    assert_eq!(asked.len(), 2, "both are asked after: {:?}", bodies(&asked));
    let committed = client.confirm_half("halves", &[yes], true).await.expect("a confirmation is answered");
    let dropped = client.confirm_half("halves", &[no], false).await.expect("a confirmation is answered");
    assert!(committed.iter().chain(&dropped).all(|result| result.refusal == 0), "{committed:?} {dropped:?}");
    assert_eq!(bodies(&take(client, "halves", SOON).await), ["yes"]);
}

async fn a_rewind_brings_back_what_was_acknowledged(client: &Client) {
    let attributes = QueueAttributes { rewind_s: Some(600), ..QueueAttributes::default() };
    client.create_queue("tape", attributes).await.expect("the queue is made");
    client.send("tape", vec![message("one"), message("two")]).await.expect("they are sent");
    let taken = take(client, "tape", SOON).await;
    let (start, receipts): (u64, Vec<u64>) =
        (taken[0].enqueued_ms, taken.iter().map(|message| message.receipt).collect());
    client.ack("tape", &receipts).await.expect("they are acknowledged");
    assert!(take(client, "tape", Duration::ZERO).await.is_empty(), "what is acknowledged is gone");
    assert_eq!(client.rewind("tape", start).await.expect("the tape is wound back"), 2);
    assert_eq!(bodies(&take(client, "tape", SOON).await), ["one", "two"]);
    client.create_queue("no-tape", QueueAttributes::default()).await.expect("the queue is made");
    let refused = client.rewind("no-tape", start).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "a queue that keeps nothing cannot be rewound: {refused:?}");
}

async fn a_dead_letter_is_found_and_sent_home(client: &Client) {
    client.create_queue("morgue", QueueAttributes::default()).await.expect("the queue is made");
    let policy = DeadLetterPolicy { queue: "morgue".into(), count: DeadLetterCount::Failed.into(), times_max: 1 };
    let attributes = QueueAttributes { dead_letter: Some(policy), trace: Some(true), ..QueueAttributes::default() };
    client.create_queue("ward", attributes).await.expect("the queue is made");
    let mut patient = message("patient");
    patient.headers.insert("cause".to_owned(), "price".to_owned());
    let id = client.send("ward", vec![patient, message("other")]).await.expect("they are sent").ids[0];
    let receipts: Vec<u64> = take(client, "ward", SOON).await.iter().map(|message| message.receipt).collect();
    let failed = Release { failed: true, ..Release::default() };
    client.release("ward", &receipts, failed).await.expect("they are released");
    assert_eq!(client.dead_letter_sources("morgue").await.expect("the sources are listed"), ["ward"]);

    let filter = MessageFilter { header_name: "cause".into(), header_value: "price".into(), ..Default::default() };
    let search = SearchRequest {
        queue: "morgue".into(),
        state: MessageState::Visible.into(),
        filter: Some(filter.clone()),
        ..SearchRequest::default()
    };
    let found = loop {
        let page = client.search(search.clone()).await.expect("a search is answered");
        if let Some(found) = page.messages.into_iter().next() {
            break found.message.expect("a message was found");
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(found.id, id);

    let redrive =
        StartRedriveRequest { queue: "morgue".into(), filter: Some(filter), ..StartRedriveRequest::default() };
    client.start_redrive(redrive).await.expect("the redrive begins");
    assert_eq!(bodies(&take(client, "ward", SOON).await), ["patient"], "the other one was not asked for");
    let progress = client.get_redrive("morgue").await.expect("a redrive tells how it goes");
    assert_eq!((progress.matched, progress.moved), (1, 1));

    let story = client.explain("ward", id).await.expect("a message has a story");
    let kinds: Vec<&str> = story.events.iter().map(|event| event.kind.as_str()).collect();
    for expected in ["sent", "received", "failed", "dead-lettered"] {
        assert!(kinds.contains(&expected), "{expected} is part of the story: {kinds:?}");
    }
    assert!(story.message.is_some(), "it is in the ward again");
}

#[tokio::test(flavor = "multi_thread")]
async fn halves_rewinds_redrives_and_stories_work_through_the_doors() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    half_messages_wait_for_a_word(&client).await;
    a_rewind_brings_back_what_was_acknowledged(&client).await;
    a_dead_letter_is_found_and_sent_home(&client).await;
}
