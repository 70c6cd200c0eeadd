//! What decides which message comes next: priority, ordered groups, tenants; and what is not kept twice.

use std::time::Duration;

use bytes::Bytes;
use queue_client::{Client, ClientConfig, Message, NewMessage, QueueAttributes, Receive};
use tests::local::LocalCluster;

async fn take(client: &Client, queue: &str, messages_max: usize) -> Vec<Message> {
    let poll = Receive { messages_max, wait: Duration::from_secs(5), ..Receive::default() };
    client.receive(queue, poll).await.expect("a receive is answered")
}

fn bodies(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()).collect()
}

fn message(body: &str) -> NewMessage {
    NewMessage { body: Bytes::copy_from_slice(body.as_bytes()), ..NewMessage::default() }
}

async fn send(client: &Client, queue: &str, messages: Vec<NewMessage>) -> Vec<u64> {
    client.send(queue, messages).await.expect("it is sent").ids
}

async fn the_more_urgent_comes_first(client: &Client) {
    client.create_queue("urgent", QueueAttributes::default()).await.expect("the queue is made");
    let with = |body: &str, priority| NewMessage { priority: Some(priority), ..message(body) };
    send(client, "urgent", vec![with("low", 1), message("plain"), with("high", 9), with("high too", 9)]).await;
    assert_eq!(bodies(&take(client, "urgent", 4).await), ["high", "high too", "plain", "low"]);
}

async fn a_group_comes_one_after_another(client: &Client) {
    client.create_queue("ordered", QueueAttributes::default()).await.expect("the queue is made");
    let of = |body: &str, group: &str| NewMessage { group: group.to_owned(), ..message(body) };
    send(client, "ordered", vec![of("a1", "a"), of("a2", "a"), of("b1", "b")]).await;
    let first = take(client, "ordered", 10).await;
    assert_eq!(bodies(&first).len(), 2, "one message of each group");
    assert!(bodies(&first).contains(&"a1".to_owned()) && bodies(&first).contains(&"b1".to_owned()));
    let poll = Receive { messages_max: 10, wait: Duration::ZERO, ..Receive::default() };
    let none = client.receive("ordered", poll).await.expect("a receive is answered");
    assert!(none.is_empty(), "a2 waits for a1: {:?}", bodies(&none));
    let a1 = first.iter().find(|message| &message.body[..] == b"a1").expect("a1 is among them").receipt;
    client.ack("ordered", &[a1]).await.expect("it is acknowledged");
    assert_eq!(bodies(&take(client, "ordered", 10).await), ["a2"]);
}

async fn tenants_take_turns(client: &Client) {
    client.create_queue("shared", QueueAttributes::default()).await.expect("the queue is made");
    let of = |body: &str, tenant: &str| NewMessage { tenant: tenant.to_owned(), ..message(body) };
    let crowd = (0..100).map(|number| of(&format!("crowd {number}"), "crowd")).collect();
    send(client, "shared", crowd).await;
    send(client, "shared", vec![of("guest", "guest")]).await;
    let first = bodies(&take(client, "shared", 2).await);
    assert!(first.contains(&"guest".to_owned()), "one of a hundred and one does not wait for the hundred: {first:?}");
}

async fn an_id_is_kept_once_within_the_window(client: &Client) {
    let attributes = QueueAttributes { dedup_window_s: Some(3600), ..QueueAttributes::default() };
    client.create_queue("once", attributes).await.expect("the queue is made");
    let with = |body: &str, id: &str| NewMessage { dedup_id: id.to_owned(), ..message(body) };
    let first = send(client, "once", vec![with("first", "order-1")]).await;
    let again = client.send("once", vec![with("again", "order-1"), with("other", "order-2")]).await;
    let again = again.expect("a repeat is no fault");
    assert_eq!((again.ids.first(), &again.duplicates[..]), (first.first(), &[0_u32][..]));
    assert_eq!(bodies(&take(client, "once", 10).await), ["first", "other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn urgency_groups_tenants_and_ids_decide_what_comes_next() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    the_more_urgent_comes_first(&client).await;
    a_group_comes_one_after_another(&client).await;
    tenants_take_turns(&client).await;
    an_id_is_kept_once_within_the_window(&client).await;
}
