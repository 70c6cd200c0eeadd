//! Topics: what is published goes to the subscriptions that let it through, into queues of any group and to HTTP
//! endpoints, also to those that fail and recover.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::Bytes;
use queue_client::{
    Client, ClientConfig, ContentFormat, Endpoint, Error, FilterKind, Message, NewPublication, QueueAttributes,
    Receive, RetryStrategy, Subscription, TopicAttributes,
};
use tests::local::LocalCluster;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

fn publication(body: &str, tags: &[&str]) -> NewPublication {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    NewPublication { body: Bytes::copy_from_slice(body.as_bytes()), tags, ..NewPublication::default() }
}

async fn take(client: &Client, queue: &str, count: usize) -> Vec<Message> {
    let mut all = Vec::new();
    while all.len() < count {
        let poll = Receive { messages_max: count, wait: Duration::from_secs(30), ..Receive::default() };
        let messages = client.receive(queue, poll).await.expect("a receive is answered");
        assert!(!messages.is_empty(), "{queue} gets {count} messages, not {}", all.len());
        all.extend(messages);
    }
    all
}

fn bodies(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()).collect()
}

fn into_queue(queue: &str, filters: &[&str]) -> Subscription {
    Subscription {
        endpoint: Some(Endpoint::Queue(queue.to_owned())),
        filters: filters.iter().map(|filter| (*filter).to_owned()).collect(),
        ..Subscription::default()
    }
}

async fn tags_choose_the_queues(client: &Client) {
    client.create_topic("news", FilterKind::Tags, TopicAttributes::default()).await.expect("the topic is made");
    let lonely = client.publish("news", vec![publication("nobody", &[])]).await;
    assert!(matches!(lonely, Err(Error::Refused { .. })), "nobody is subscribed: {lonely:?}");
    // Several queues: those of a local cluster stand in more than one group.
    for queue in ["all", "sport", "chess", "go"] {
        client.create_queue(queue, QueueAttributes::default()).await.expect("the queue is made");
    }
    client.subscribe("news", "all", into_queue("all", &[])).await.expect("it is subscribed");
    for queue in ["sport", "chess", "go"] {
        client.subscribe("news", queue, into_queue(queue, &[queue])).await.expect("it is subscribed");
    }
    let both = client.publish("news", vec![publication("plain", &[]), publication("goal", &["sport", "go"])]).await;
    let ids = both.expect("it is published").ids;
    let all = take(client, "all", 2).await;
    assert_eq!(bodies(&all), ["plain", "goal"]);
    let published = all[1].published.as_ref().expect("it came by a topic");
    assert_eq!((published.topic.as_str(), published.id), ("news", ids[1]));
    assert_eq!(bodies(&take(client, "sport", 1).await), ["goal"]);
    assert_eq!(bodies(&take(client, "go", 1).await), ["goal"]);
    let poll = Receive { messages_max: 10, wait: Duration::ZERO, ..Receive::default() };
    assert!(client.receive("chess", poll).await.expect("a receive is answered").is_empty());
    assert!(client.delete_topic("news").await.is_err(), "a topic with subscriptions stays");
}

async fn routing_keys_choose_the_queues(client: &Client) {
    client.create_topic("routes", FilterKind::Routing, TopicAttributes::default()).await.expect("the topic is made");
    for queue in ["star", "hash"] {
        client.create_queue(queue, QueueAttributes::default()).await.expect("the queue is made");
    }
    client.subscribe("routes", "star", into_queue("star", &["1.*.0"])).await.expect("it is subscribed");
    client.subscribe("routes", "hash", into_queue("hash", &["1.#.0"])).await.expect("it is subscribed");
    let with = |body: &str, key: &str| NewPublication { routing_key: key.to_owned(), ..publication(body, &[]) };
    client.publish("routes", vec![with("near", "1.2.0"), with("far", "1.2.3.4.0")]).await.expect("it is published");
    assert_eq!(bodies(&take(client, "star", 1).await), ["near"]);
    assert_eq!(bodies(&take(client, "hash", 2).await), ["near", "far"]);
}

/// An HTTP endpoint that answers with a status that can be changed; 0 = it does not answer at all.
pub(crate) struct Endpoints {
    pub(crate) url: String,
    pub(crate) status: Arc<AtomicU16>,
    posts: mpsc::UnboundedReceiver<String>,
}

impl Endpoints {
    pub(crate) async fn listen(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}/inbox", listener.local_addr().expect("it has an address"));
        let status = Arc::new(AtomicU16::new(status));
        let (sender, posts) = mpsc::unbounded_channel();
        let answers = Arc::clone(&status);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&answers), sender.clone()));
            }
        });
        Self { url, status, posts }
    }

    /// The next post. A push whose end a dying leader took along comes again after its lease of 30 s.
    pub(crate) async fn next(&mut self) -> String {
        let post = tokio::time::timeout(Duration::from_secs(60), self.posts.recv()).await;
        post.expect("a post comes in time").expect("the endpoint listens")
    }
}

/// Reads one request and answers it.
async fn answer(mut stream: TcpStream, status: Arc<AtomicU16>, posts: mpsc::UnboundedSender<String>) {
    let mut read = Vec::new();
    let mut part = [0_u8; 4096];
    let text = loop {
        let Ok(count) = stream.read(&mut part).await else { return };
        if count == 0 {
            return;
        }
        read.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length:").and_then(|length| length.trim().parse::<usize>().ok())
        });
        if body.len() >= length.unwrap_or(0) {
            break text;
        }
    };
    // The test may be over.
    let _ = posts.send(text);
    match status.load(Ordering::Relaxed) {
        0 => std::future::pending().await,
        status => {
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    }
}

fn to_url(url: &str, format: ContentFormat) -> Subscription {
    Subscription {
        endpoint: Some(Endpoint::Url(url.to_owned())),
        strategy: RetryStrategy::ExponentialDecay.into(),
        format: format.into(),
        ..Subscription::default()
    }
}

async fn endpoints_get_posts_and_the_one_that_hangs_delays_no_other(client: &Client) {
    let (mut good, mut ill, hangs) =
        (Endpoints::listen(204).await, Endpoints::listen(500).await, Endpoints::listen(0).await);
    client.create_topic("push", FilterKind::Tags, TopicAttributes::default()).await.expect("the topic is made");
    let subscribe = |name: &'static str, url: String, format| async move {
        client.subscribe("push", name, to_url(&url, format)).await.expect("it is subscribed")
    };
    subscribe("hangs", hangs.url.clone(), ContentFormat::Json).await;
    subscribe("ill", ill.url.clone(), ContentFormat::Json).await;
    subscribe("good", good.url.clone(), ContentFormat::Simplified).await;
    let id = client.publish("push", vec![publication("hello", &["a", "b"])]).await.expect("it is published").ids[0];

    let post = good.next().await;
    assert!(post.starts_with("POST /inbox HTTP/1.1\r\n") && post.ends_with("\r\n\r\nhello"), "{post}");
    assert!(post.contains(&format!("x-cmq-message-id: {id}")) && post.contains("x-cmq-message-tag: a, b"), "{post}");

    let failed = ill.next().await;
    assert!(failed.contains(&format!("\"msgId\":\"{id}\"")) && failed.contains("\"msgBody\":\"hello\""), "{failed}");
    ill.status.store(200, Ordering::Relaxed);
    assert!(ill.next().await.contains("hello"), "what failed is tried again");
    loop {
        let waiting = client.get_subscription("push", "ill").await.expect("the subscription is there").waiting;
        if waiting == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let waiting = client.get_subscription("push", "hangs").await.expect("the subscription is there").waiting;
    assert_eq!(waiting, 1, "what was not taken is kept");
    client.unsubscribe("push", "hangs").await.expect("it is unsubscribed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_reaches_every_subscription_that_lets_it_through() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    tags_choose_the_queues(&client).await;
    routing_keys_choose_the_queues(&client).await;
    endpoints_get_posts_and_the_one_that_hangs_delays_no_other(&client).await;
}
