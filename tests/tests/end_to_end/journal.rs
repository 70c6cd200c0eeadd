//! The journal of a ledger shard, published to a topic: all of it, in order, also when the shard's leader is killed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proto::Message as _;
use proto::ledger::v1::{JournalReply, Posting};
use queue_client::{Client, ClientConfig, Endpoint, QueueAttributes, Receive, Subscription};
use tests::local::LocalCluster;

const TOPIC: &str = "journal";
const QUEUE: &str = "books";
const DEADLINE: Duration = Duration::from_secs(60);

/// Subscribes to the first shard's journal once its topic is made.
async fn subscribe(client: &Client) {
    client.create_queue(QUEUE, QueueAttributes::default()).await.expect("the queue is made");
    let subscription = Subscription {
        endpoint: Some(Endpoint::Queue(QUEUE.to_owned())),
        filters: vec!["journal.1".to_owned()],
        ..Subscription::default()
    };
    let until = Instant::now() + DEADLINE;
    while let Err(error) = client.subscribe(TOPIC, QUEUE, subscription.clone()).await {
        assert!(Instant::now() < until, "the topic is made in time: {error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Accounts that each load opens and funds in the first shard.
const ACCOUNTS: u64 = 16;

/// Makes load for a moment, whoever leads. How much gets through is the bench's affair.
fn transfer(cluster: &LocalCluster) {
    let accounts = ACCOUNTS.to_string();
    drop(cluster.run(&[
        "bench",
        "ledger",
        "--accounts",
        &accounts,
        "--producers",
        "1",
        "--window",
        "16",
        "--secs",
        "1",
    ]));
}

fn app_pids(cluster: &LocalCluster) -> BTreeMap<String, u64> {
    let file = cluster.file();
    let nodes = file["app"].as_array().expect("the file lists the app nodes").clone();
    let pid = |node: serde_json::Value| Some((node["node"].as_str()?.to_owned(), node["pid"].as_u64()?));
    nodes.into_iter().filter_map(pid).collect()
}

/// Kills the leader of the first shard and says who it was.
fn kill_leader(cluster: &LocalCluster) -> String {
    let nodes = app_pids(cluster);
    cluster.must(&["kill", "ledger-leader", "--signal", "9"]);
    let until = Instant::now() + DEADLINE;
    loop {
        let dead = nodes.iter().find(|(_, pid)| !std::path::Path::new(&format!("/proc/{pid}")).exists());
        if let Some((node, _)) = dead {
            return node.clone();
        }
        assert!(Instant::now() < until, "the killed process ends");
        std::thread::yield_now();
    }
}

/// Takes what was published until the journal's last posting has come.
async fn drain(client: &Client) -> BTreeMap<u64, Posting> {
    let (mut postings, mut next, mut last) = (BTreeMap::<u64, Posting>::new(), 1, 1);
    let until = Instant::now() + DEADLINE;
    loop {
        let poll = Receive { messages_max: 64, wait: Duration::from_secs(3), ..Receive::default() };
        let messages = client.receive(QUEUE, poll).await.expect("a receive is answered");
        if messages.is_empty() && next > last {
            return postings;
        }
        assert!(Instant::now() < until, "the journal ends in time");
        for message in &messages {
            let page = JournalReply::decode(message.body.clone()).expect("a message is a page of the journal");
            last = last.max(page.last);
            for posting in page.postings {
                assert!(posting.number <= next, "{} comes before {next}", posting.number);
                next = next.max(posting.number + 1);
                let link = posting.link.clone();
                let before = postings.insert(posting.number, posting.clone());
                // A link is told where its page of the journal ends within the message.
                let is_same = |before: Posting| Posting { link, ..before } == posting;
                assert!(before.is_none_or(is_same), "a number names one posting, however often it comes");
            }
        }
        let receipts: Vec<u64> = messages.iter().map(|message| message.receipt).collect();
        client.ack(QUEUE, &receipts).await.expect("an ack is answered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_journal_has_no_gap_although_its_leader_is_killed() {
    let cluster = LocalCluster::start(true);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    // What was booked before anybody was subscribed comes too.
    transfer(&cluster);
    subscribe(&client).await;
    transfer(&cluster);
    let victim = kill_leader(&cluster);
    transfer(&cluster);
    cluster.must(&["start", &victim]);
    transfer(&cluster);
    let postings = drain(&client).await;
    let numbers: Vec<u64> = postings.keys().copied().collect();
    let last = u64::try_from(numbers.len()).expect("a small number");
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "no gap");
    // At least the three loads beside the kill have funded their accounts, and moved money between them.
    assert!(last > 3 * ACCOUNTS, "{last} postings");
    let links = postings.values().filter(|posting| !posting.link.is_empty()).count();
    assert!(links > 0, "the chain of links is told");
    let audit = cluster.run(&["audit", "-o", "json"]);
    let text = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(audit.status.success(), "{text}");
    let audit: serde_json::Value = serde_json::from_str(&text).expect("the audit is JSON");
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(12), "{audit}");
    cluster.must(&["parked", "list"]);
}
