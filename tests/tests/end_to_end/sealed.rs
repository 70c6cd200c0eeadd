//! A cluster under mutual TLS: it serves and fails over, takes new certificates as it runs, and gives strangers a reason and
//! nothing else. Who asks without a key pair, where keys are asked for, gets as little.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use bytes::Bytes;
use parking_lot::Mutex;
use queue_client::{Client, ClientConfig, Credentials, Keeper, NewMessage, QueueAttributes, Receive};
use tests::local::{LocalCluster, binary};
use tests::raw::Raw;
use tls::{Protocol, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

const DEADLINE: Duration = Duration::from_secs(60);
const QUEUE: &str = "sealed";

/// The operator of a cluster that asks for certificates and keys.
struct Operator {
    folder: PathBuf,
    nodes: Vec<String>,
    credentials: Credentials,
}

impl Operator {
    fn of(cluster: &LocalCluster) -> Self {
        let credentials = Credentials::read(&cluster.path().join("operator.key")).expect("the pair was drawn");
        Self { folder: cluster.path().to_owned(), nodes: cluster.queue_addresses(), credentials }
    }

    fn papers(&self, of: &str) -> Arc<Keeper> {
        Keeper::open(&self.folder.join("certs").join(of), None).expect("the papers are good")
    }

    fn config(&self, papers: Option<Arc<Keeper>>) -> ClientConfig {
        ClientConfig { tls: papers, credentials: Some(self.credentials.clone()), ..ClientConfig::new(&self.nodes) }
    }

    /// Issues a certificate into `out`, over what is there.
    fn issue(&self, authority: &Path, out: &Path, whose: [&str; 2]) {
        let mut command = Command::new(binary("cluster"));
        command.args(["certs", "issue", "--host", "127.0.0.1"]).args(whose);
        let issued = command.arg("--ca").arg(authority).arg("--out").arg(out).output().expect("the command runs");
        assert!(issued.status.success(), "{}", String::from_utf8_lossy(&issued.stderr));
    }

    fn authority(&self) -> PathBuf {
        self.folder.join("certs/authority")
    }
}

/// Somebody who sends without a pause; what was answered is what must be there in the end.
struct Sender {
    sent: Arc<Mutex<BTreeSet<u64>>>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Sender {
    fn start(client: &Client) -> Self {
        let (sent, stop) = (Arc::<Mutex<BTreeSet<u64>>>::default(), Arc::<AtomicBool>::default());
        let (client, to, end) = (client.clone(), Arc::clone(&sent), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            for number in 0.. {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let message = NewMessage { body: Bytes::from(number.to_string()), ..NewMessage::default() };
                client.send(QUEUE, vec![message]).await.expect("within half a minute some leader answers");
                to.lock().insert(number);
            }
        });
        Self { sent, stop, task }
    }

    async fn flows(&self) {
        let (from, until) = (self.sent.lock().len(), Instant::now() + DEADLINE);
        while self.sent.lock().len() < from + 50 {
            assert!(Instant::now() < until, "the sends go on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn end(self) -> BTreeSet<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the sender ends well");
        std::mem::take(&mut self.sent.lock())
    }
}

async fn drain(client: &Client) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    loop {
        let messages = client.receive(QUEUE, Receive::default()).await.expect("a receive is answered");
        if messages.is_empty() {
            return found;
        }
        found
            .extend(messages.iter().filter_map(|message| std::str::from_utf8(&message.body).ok()?.parse::<u64>().ok()));
        let receipts: Vec<u64> = messages.iter().map(|message| message.receipt).collect();
        client.ack(QUEUE, &receipts).await.expect("an ack is answered");
    }
}

/// Why a client that is configured so does not get in.
async fn refusal(config: ClientConfig) -> String {
    let config = ClientConfig { call_timeout: Duration::from_secs(3), ..config };
    Client::connect(config).await.err().map_or_else(|| "it got in".to_owned(), |error| error.to_string())
}

fn said(cluster: &LocalCluster, words: &[&str]) -> String {
    let output = cluster.run(words);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn under_mutual_tls_a_cluster_fails_over_takes_new_certificates_and_loses_nothing() {
    let cluster = LocalCluster::blank();
    cluster.must(&["up", "--tls", "--keys", "--app"]);
    let operator = Operator::of(&cluster);
    let client = Client::connect(operator.config(Some(operator.papers("operator")))).await.expect("it is believed");
    client.create_queue(QUEUE, QueueAttributes::default()).await.expect("the queue is made");
    let sender = Sender::start(&client);
    sender.flows().await;
    cluster.must(&["kill", "leader"]);
    sender.flows().await;
    for node in ["1", "2", "3"] {
        // The one that was killed.
        if !cluster.run(&["kill", node, "--signal", "CONT"]).status.success() {
            cluster.must(&["start", node]);
        }
    }

    // Every node and the operator get new certificates, while the sends go on.
    for node in ["1", "2", "3"] {
        operator.issue(&operator.authority(), &cluster.path().join("certs").join(node), ["--node", node]);
    }
    operator.issue(&operator.authority(), &cluster.path().join("certs/operator"), ["--client", "operator"]);
    let until = Instant::now() + DEADLINE;
    loop {
        let status: serde_json::Value =
            serde_json::from_str(&said(&cluster, &["status", "-o", "json"])).expect("the status is JSON");
        let nodes = status["nodes"].as_array().expect("it lists the nodes");
        assert!(nodes.iter().all(|node| node["certificate_trouble"] == ""), "{status}");
        assert!(nodes.iter().all(|node| node["certificate_days_left"].as_u64() > Some(300)), "{status}");
        let queue = nodes.iter().filter(|node| !node["node"].as_str().is_some_and(|name| name.starts_with('a')));
        if queue.filter(|node| node["certificate_renewed"].as_u64() > Some(0)).count() == 3 {
            break;
        }
        assert!(Instant::now() < until, "the new certificates are taken: {status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    sender.flows().await;
    cluster.must(&["transfer", "1"]);
    sender.flows().await;
    let (sent, late) = (sender.end().await, operator.config(Some(operator.papers("operator"))));
    let found = drain(&Client::connect(late).await.expect("the new certificate is believed")).await;
    let lost: Vec<_> = sent.difference(&found).take(10).collect();
    assert!(lost.is_empty(), "lost: {lost:?} of {}", sent.len());
    cluster.must(&["verify"]);
    cluster.must(&["audit"]);

    strangers_get_a_reason_and_nothing_else(&cluster, &operator).await;
}

async fn strangers_get_a_reason_and_nothing_else(cluster: &LocalCluster, operator: &Operator) {
    let elsewhere = cluster.path().join("elsewhere");
    let made = Command::new(binary("cluster")).args(["certs", "init", "--out"]).arg(&elsewhere).output();
    assert!(made.expect("the command runs").status.success());
    let folder = |name: &str| cluster.path().join("certs").join(name);
    // One that knows our authority and has no certificate; one of another authority; one that believes both.
    std::fs::create_dir(folder("bare")).expect("the folder can be made");
    std::fs::copy(operator.authority().join("ca.crt"), folder("bare/ca.crt")).expect("it is copied");
    operator.issue(&elsewhere, &folder("foreign"), ["--client", "operator"]);
    operator.issue(&elsewhere, &folder("mixed"), ["--client", "operator"]);
    let both = [operator.authority(), elsewhere].map(|one| std::fs::read_to_string(one.join("ca.crt")).expect("PEM"));
    std::fs::write(folder("mixed/ca.crt"), both.concat()).expect("the file can be written");
    for (who, expected) in [
        ("bare", "asks for a certificate"),
        ("foreign", "from another authority"),
        ("mixed", "does not take the certificate"),
    ] {
        let reason = refusal(operator.config(Some(operator.papers(who)))).await;
        assert!(reason.contains(expected) && reason.starts_with("not applied"), "{who}: {reason}");
    }
    // A key pair alone is not enough, and neither is speaking in the clear.
    let plain = refusal(operator.config(None)).await;
    assert!(!plain.contains("it got in"), "{plain}");
    let logs: String = ["1", "2", "3"]
        .iter()
        .map(|node| std::fs::read_to_string(cluster.path().join(format!("{node}.log"))).expect("a node logs"))
        .collect();
    for line in ["it speaks without TLS", "it shows no certificate"] {
        assert!(logs.contains(line), "no node has logged: {line}");
    }

    // A client's certificate and the operator's key do not make a node.
    let way = Way::new(Some(operator.papers("operator")));
    let mut raw = Raw::connect_by(&way, &operator.nodes[0], Some(&operator.credentials)).await;
    let answer = raw.call("/tercet.replica.v1.Replication/Call", Bytes::new()).await;
    let refused = answer.expect_err("only nodes replicate");
    assert!(refused.message().contains("only nodes of this cluster"), "{refused}");
    // Nor does node 2's certificate make node 3.
    let mut command = Command::new(binary("queue-server"));
    command.args(["--node", "3", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--tcp", "127.0.0.1:0"]);
    command.args(["--member", "3=127.0.0.1:1", "--data"]).arg(cluster.path().join("false")).arg("--tls");
    let output = command.arg(folder("2")).output().expect("the server runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && text.contains("it is for: queue node 2"), "{text}");
    // The other doors ask, too.
    let file = cluster.file();
    for (door, protocol) in [("http", Protocol::Http), ("tcp", Protocol::Own)] {
        let address = file["queue"][0][door].as_str().expect("an address");
        let mut stream = Way::new(Some(operator.papers("bare"))).stream(address, protocol).await.expect("it listens");
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let _ = stream.flush().await;
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer).await;
        assert!(ended.is_err() && answer.is_empty(), "{door}: {ended:?} {answer:?}");
    }
    let address = file["queue"][0]["http"].as_str().expect("an address");
    let page = page(&way, address, "/metrics", "").await;
    assert!(
        page.contains("tercet_tls_certificate_expires_seconds{of=\"authority\"} ")
            && page.contains("tercet_tls_refused_total{door=\"http\"} ")
    );
}

/// What a node's HTTP address answers.
async fn page(way: &Way, address: &str, path: &str, headers: &str) -> String {
    let mut stream = way.stream(address, Protocol::Http).await.expect("it is believed");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it is asked");
    stream.flush().await.expect("it is asked");
    let mut page = String::new();
    stream.read_to_string(&mut page).await.expect("it answers");
    page
}

/// Verbs that ask nodes, in an order in which each can be done.
const VERBS: [&[&str]; 21] = [
    &["status"],
    &["health"],
    &["queue", "create", "orders"],
    &["queue", "edit", "orders", "--retention-s", "600"],
    &["queue", "list"],
    &["queue", "show", "orders"],
    &["queue", "peek", "orders"],
    &["queue", "purge", "orders", "--yes", "orders"],
    &["topic", "create", "news"],
    &["topic", "list"],
    &["topic", "show", "news"],
    &["topic", "delete", "news"],
    &["keys", "create", "--grant", "orders*=send"],
    &["keys", "list"],
    &["transfer", "1"],
    &["rebalance"],
    &["safe-to-stop", "2", "--wait", "30"],
    &["drain", "3"],
    &["revive", "3"],
    &["verify"],
    &["queue", "delete", "orders", "--yes", "orders"],
];

#[tokio::test(flavor = "multi_thread")]
async fn where_keys_are_asked_for_every_verb_signs_and_unsigned_none_is_done() {
    let cluster = LocalCluster::blank();
    cluster.must(&["up", "--keys"]);
    let file = cluster.file();
    let at = file["queue"][0]["grpc"].as_str().expect("an address");
    let key = cluster.path().join("operator.key");
    let run = |words: &[&str], key: Option<&Path>| {
        let mut command = Command::new(binary("cluster"));
        command.args(words).args(["--at", at]).env_remove("TERCET_KEY");
        if let Some(key) = key {
            command.arg("--key").arg(key);
        }
        let output = command.output().expect("the command runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    };
    for words in VERBS {
        let (done, text) = run(words, None);
        assert!(!done && text.contains("key pair"), "{words:?} unsigned: {text}");
        let (done, text) = run(words, Some(&key));
        assert!(done, "{words:?} signed: {text}");
    }
    for (verb, out) in [("backup", "copy"), ("bundle", "bundle.json")] {
        let out = cluster.path().join(out);
        let words = [verb, "--out", out.to_str().expect("UTF-8")];
        assert!(!run(&words, None).0, "{verb} unsigned");
        let (done, text) = run(&words, Some(&key));
        assert!(done, "{verb}: {text}");
    }
    // By its folder the operator needs to say nothing; a node that joins is asked, and asks, in the same way.
    cluster.must(&["add"]);
    cluster.must(&["remove", "4"]);
    // The console of each node asks its peers, with the operator's rights: so it asks for a key, too.
    let pair = std::fs::read_to_string(&key).expect("the operator's key");
    let pair: Vec<&str> = pair.split_whitespace().collect();
    let basic = base64::engine::general_purpose::STANDARD.encode(pair.join(":"));
    let signed = format!("Authorization: Basic {basic}\r\n");
    let until = Instant::now() + DEADLINE;
    for node in file["queue"].as_array().expect("nodes") {
        let address = node["http"].as_str().expect("an address");
        let unsigned = page(&Way::default(), address, "/console/api/cluster", "").await;
        assert!(unsigned.starts_with("HTTP/1.1 401"), "{unsigned}");
        loop {
            let shown = page(&Way::default(), address, "/console/api/cluster", &signed).await;
            if shown.contains("\"healthy\"") {
                break;
            }
            assert!(!shown.contains("key pair") && Instant::now() < until, "{shown}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
