//! The console in a real Chromium: the cluster is drawn and followed, messages are looked at, dead letters sent home.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use queue_client::{
    Client, ClientConfig, DeadLetterCount, DeadLetterPolicy, NewMessage, QueueAttributes, Receive, Release,
};
use tests::chromium::Browser;
use tests::local::LocalCluster;

const DESK: (u32, u32) = (1280, 800);
const PHONE: (u32, u32) = (390, 844);
/// Every wait ends with this at the latest.
const DEADLINE: Duration = Duration::from_secs(30);
/// A death is promised to be seen within a second; the machine of a test may be busy with others.
const SEEN_MAX: Duration = Duration::from_secs(3);

/// The HTTP address of the first queue node.
fn http(cluster: &LocalCluster) -> String {
    cluster.file()["queue"][0]["http"].as_str().expect("the file has the address").to_owned()
}

fn up(node: u32, is_up: bool) -> String {
    format!("!!document.querySelector('[data-node=\"{node}\"][data-up=\"{is_up}\"]')")
}

fn verdict(word: &str) -> String {
    format!("document.getElementById('verdict').dataset.verdict === '{word}'")
}

/// Everything that can be used has a name that a screen reader says, and no picture is without words.
const NAMELESS: &str = "[...document.querySelectorAll('a, button, input, select, [role=img]')]
    .filter(one => one.checkVisibility() && !(one.textContent.trim() || one.getAttribute('aria-label')
        || one.labels?.length || one.placeholder))
    .map(one => one.outerHTML.slice(0, 120))";

async fn connect(cluster: &LocalCluster) -> Client {
    Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_is_seen_and_seen_again_when_it_is_back() {
    let cluster = LocalCluster::start(false);
    let mut page = Browser::open(&format!("http://{}/console", http(&cluster)), DESK);
    for node in 1..=3 {
        page.until(&up(node, true), DEADLINE);
    }
    page.until(&verdict("healthy"), DEADLINE);
    page.until("document.querySelectorAll('.picture .arc.leads').length >= 3", DEADLINE);
    cluster.must(&["kill", "3"]);
    let seen = page.until(&up(3, false), SEEN_MAX);
    page.shows("node 3 is down", SEEN_MAX);
    page.until("['degraded', 'unavailable'].includes(document.getElementById('verdict').dataset.verdict)", SEEN_MAX);
    cluster.must(&["start", "3"]);
    let back = page.until(&up(3, true), SEEN_MAX);
    page.until(&verdict("healthy"), DEADLINE);
    eprintln!("a death was seen {} ms after the kill, the return {} ms", seen.as_millis(), back.as_millis());
    cluster.must(&["kill", "1"]);
    page.until(&up(1, false), SEEN_MAX);
    page.until(&verdict("lost"), SEEN_MAX);
    cluster.must(&["start", "1"]);
    page.until(&verdict("healthy"), DEADLINE);
    page.until("document.getElementById('lost').hidden", DEADLINE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_looked_at_without_being_taken_and_its_story_is_told() {
    let cluster = LocalCluster::start(false);
    let client = connect(&cluster).await;
    let traced = QueueAttributes { trace: Some(true), ..QueueAttributes::default() };
    client.create_queue("looked-at", traced).await.expect("the queue is made");
    let body = Bytes::from_static(b"<script>document.title = 'taken over'</script>");
    let headers = [("colour".to_owned(), "red".to_owned())].into();
    let sent = vec![NewMessage { body, headers, ..NewMessage::default() }];
    let id = client.send("looked-at", sent).await.expect("it is sent").ids[0];

    let mut page = Browser::open(&format!("http://{}/console#/queues", http(&cluster)), PHONE);
    page.until("!!document.querySelector('main a')", DEADLINE);
    for (key, reached) in
        [("Tab", "document.activeElement.className === 'skip'"), ("Enter", "document.activeElement.id === 'main'")]
    {
        page.key(key);
        page.until(reached, DEADLINE);
    }
    assert_eq!(page.value("location.hash"), "#/queues", "the keyboard skips to the content and stays in the view");
    page.press("looked-at");
    page.shows("<script>document.title", DEADLINE);
    let counters = client.get_queue("looked-at").await.expect("the queue is there").counters.expect("it has counters");
    assert_eq!((counters.visible, counters.received), (1, 0), "a look takes nothing");
    page.press("Leased");
    page.shows("No such message.", DEADLINE);
    page.press("Visible");
    page.press(&id.to_string());
    page.shows("It can be received now.", DEADLINE);
    page.shows("colour", DEADLINE);
    page.until("document.querySelectorAll('.timeline li').length === 1", DEADLINE);
    let poll = Receive { messages_max: 1, wait: Duration::from_secs(30), ..Receive::default() };
    let taken = client.receive("looked-at", poll).await.expect("a receive is answered");
    page.shows("A consumer has it on lease", DEADLINE);
    client.ack("looked-at", &[taken[0].receipt]).await.expect("an ack is answered");
    page.shows("The queue does not hold it", DEADLINE);
    page.until("document.querySelector('.timeline li:last-child b').textContent === 'acked'", DEADLINE);
    assert_eq!(page.value(NAMELESS), serde_json::json!([]), "everything has a name");
    assert!(!page.value("document.title").to_string().contains("taken over"), "a body is no script");
    assert!(page.complaints().is_empty(), "{:?}", page.complaints());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_counted_then_sent_home() {
    let cluster = LocalCluster::start(false);
    let client = connect(&cluster).await;
    client.create_queue("dead", QueueAttributes::default()).await.expect("the dead-letter queue is made");
    let policy = DeadLetterPolicy { queue: "dead".into(), count: DeadLetterCount::Failed.into(), times_max: 1 };
    let attributes = QueueAttributes { dead_letter: Some(policy), ..QueueAttributes::default() };
    client.create_queue("work", attributes).await.expect("the queue is made");
    let message = NewMessage { body: Bytes::from_static(b"poison"), ..NewMessage::default() };
    client.send("work", vec![message]).await.expect("it is sent");
    let poll = Receive { messages_max: 1, wait: Duration::from_secs(30), ..Receive::default() };
    let taken = client.receive("work", poll).await.expect("a receive is answered");
    let failed = Release { failed: true, ..Release::default() };
    client.release("work", &[taken[0].receipt], failed).await.expect("it is released");

    let mut page = Browser::open(&format!("http://{}/console#/queue/dead", http(&cluster)), DESK);
    page.shows("work, failed too often", DEADLINE);
    page.press("Redrive …");
    page.press("Only count");
    page.shows("1 message matches. Nothing was moved.", DEADLINE);
    page.press("Redrive");
    page.shows("1 message moved.", DEADLINE);
    page.key("Escape");
    page.until("!document.querySelector('dialog')", DEADLINE);
    page.shows("No such message.", DEADLINE);
    let counters = client.get_queue("work").await.expect("the queue is there").counters.expect("it has counters");
    assert_eq!(counters.visible, 1, "it is home");

    page.value("location.hash = '#/queue/work'");
    page.shows("poison", DEADLINE);
    page.press("Purge …");
    assert_eq!(page.value("document.querySelector('dialog button.main').disabled"), true, "nobody purges by one click");
    page.value("{ const typed = document.querySelector('dialog input'); typed.value = 'work'; typed.dispatchEvent(new Event('input')); }");
    page.press("Purge");
    page.shows("1 message gone.", DEADLINE);
    page.key("Escape");
    page.value("location.hash = '#/audit'");
    page.press("Audit now");
    page.until("document.querySelectorAll('.badge.good').length === 3", DEADLINE);
    assert_eq!(page.value(NAMELESS), serde_json::json!([]), "everything has a name");
    assert!(page.complaints().is_empty(), "{:?}", page.complaints());
}

/// Sends a request as it stands; the answer's status.
fn status(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the node listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a time-out can be set");
    stream.write_all(request.as_bytes()).expect("the request is taken");
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("the request is answered");
    String::from_utf8_lossy(&head[9..]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_gets_nothing_and_does_nothing() {
    let cluster = LocalCluster::start(false);
    let client = connect(&cluster).await;
    client.create_queue("q", QueueAttributes::default()).await.expect("the queue is made");
    client.send("q", vec![NewMessage { body: Bytes::from_static(b"x"), ..NewMessage::default() }]).await.expect("sent");
    let address = http(&cluster);
    let get = |host: &str| format!("GET /console/api/cluster HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    assert_eq!(status(&address, &get(&address)), "200");
    assert_eq!(status(&address, &get("rebound.example.org")), "403");
    let order = "{\"queue\":\"q\",\"typed\":\"q\"}";
    let post = |origin: &str, content: &str| {
        let length = order.len();
        format!(
            "POST /console/api/purge HTTP/1.1\r\nhost: {address}\r\norigin: {origin}\r\ncontent-type: {content}\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{order}"
        )
    };
    assert_eq!(status(&address, &post("https://elsewhere.example", "application/json")), "403");
    assert_eq!(status(&address, &post(&format!("http://{address}"), "text/plain")), "403");
    let counters = client.get_queue("q").await.expect("the queue is there").counters.expect("it has counters");
    assert_eq!(counters.visible, 1, "nothing was purged");
    assert_eq!(status(&address, &post(&format!("http://{address}"), "application/json")), "200");
}
