//! Tencent's own Python SDK, unmodified, against a real cluster: every action through every node, and a killed leader.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::local::LocalCluster;

/// Whether a leader is found again within this, with room for a machine under load.
const FAILOVER: Duration = Duration::from_secs(20);

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cmq").join(name)
}

/// The Python that has the SDK; `tests/run` has made it already.
fn python() -> String {
    let output = Command::new(file("venv")).output().expect("the script runs");
    assert!(output.status.success(), "the SDK is installed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn urls(cluster: &LocalCluster) -> String {
    let file = cluster.file();
    let nodes = file["queue"].as_array().expect("the file lists the queue nodes");
    let urls: Vec<String> =
        nodes.iter().filter_map(|node| node["http"].as_str().map(|http| format!("http://{http}"))).collect();
    urls.join(",")
}

/// Runs a verb of `cluster keys` that must succeed, and gives back what it printed.
fn keys(cluster: &LocalCluster, words: &[&str]) -> String {
    let output = cluster.run(&[&["keys"], words].concat());
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Asks every node what a key may do with the queue, until the answer is the same as `expected`: a node learns of a
/// change a moment after the others.
fn must_become(cluster: &LocalCluster, key: (&str, &str), expected: [&str; 3]) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let child = begin_with(cluster, &["rights", &urls(cluster), "orders", key.0, key.1]);
        let said = end(child);
        if said == json!([expected, expected, expected]) {
            return;
        }
        assert!(Instant::now() < until, "{expected:?} becomes the answer of all, not {said}");
    }
}

/// Begins a scenario. The SDK writes a log into its folder: the cluster's own.
fn begin(cluster: &LocalCluster, scenario: &str, queue: &str) -> Child {
    begin_with(cluster, &[scenario, &urls(cluster), queue])
}

fn begin_with(cluster: &LocalCluster, words: &[&str]) -> Child {
    Command::new(python())
        .arg(file("drive.py"))
        .args(words)
        .current_dir(cluster.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python runs")
}

/// Ends a scenario's input and waits for what it says.
fn end(mut child: Child) -> Value {
    drop(child.stdin.take());
    let output = child.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "the scenario ends well: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

#[test]
fn every_action_of_the_sdk_is_served_by_every_node() {
    let cluster = LocalCluster::start(false);
    let said = end(begin(&cluster, "every", "orders"));
    let ok = json!("ok");
    let missing = "4440 (10100)queue is not existed, or deleted";
    let table = [
        ("create", ok.clone()),
        ("create again", json!("4460 (4460)queue is already existed, case insensitive")),
        ("create misnamed", json!("4000 (10020)queue name format error")),
        ("list", json!([1, ["orders"], ""])),
        ("list ids", json!(["str"])),
        ("get", json!([100_000_000, 0, 30, 65_536, 3_600, 0, 0, 0, 0, 0, 0])),
        ("times", json!(true)),
        ("set", ok.clone()),
        ("get after set", json!(20)),
        ("set out of range", json!("4000 (10350)parameter visibilityTimeout value or length is out of range")),
        ("receive nothing", json!("7000 (10200)no message")),
        ("ids", json!(true)),
        ("send too large", json!("4400 (10230)exceed maximum message size")),
        ("send empty", json!("4000 (10120)message body can't be empty")),
        ("send far too large", json!("4000 (10420)cannot parse msgBody, or request size is more than 1MB")),
        ("bodies", json!(true)),
        ("same ids", json!(true)),
        ("message", json!(["str", 1, true, true])),
        ("delete", json!(["ok", "ok", "ok", "ok"])),
        ("delete again", json!("4430 (10260)receipt handle is invalid")),
        ("delete nonsense", json!("4000 (10470)receiptHandle error")),
        ("batch send", json!(16)),
        ("batch send 17", json!("4000 (10370)msgBody parameter batch size is out of range")),
        ("batch receive", json!(true)),
        ("batch delete", ok.clone()),
        ("batch delete a part", json!([6010, [4430]])),
        ("batch delete none", json!("6020 (10290)batch delete message failed")),
        ("batch delete the rest", ok.clone()),
        ("left", json!([0, 0])),
        ("poll", json!(vec![json!(["7000 (10200)no message", true]); 3])),
        ("wake", json!(vec![json!(["wake", true]); 3])),
        ("delayed", json!(1)),
        ("not yet", json!("7000 (10200)no message")),
        ("late", json!("late")),
        ("sha256", json!(1)),
        ("GET", ok.clone()),
        ("by GET", json!("by GET @+&")),
        ("wrong key", json!("4100 (10030)authentication failed")),
        ("wrong id", json!("4100 (10270)secret id is not existed")),
        ("no id", json!("4000 (10450)secret id dosen't begin with AKID")),
        ("create dead", json!(0)),
        ("create work", json!(0)),
        ("rule", json!(["orders-dead", 0, 1, 0])),
        ("sources", json!([1, ["orders-work"]])),
        ("dead letter", json!("poison")),
        ("unbind", json!(0)),
        ("unbound", json!(false)),
        ("clear", json!(0)),
        ("cleared", json!("7000 (10200)no message")),
        ("route", json!(3)),
        ("rewind", json!("6050 (10670)your queue cannot be rewinded")),
        ("rewindable", json!(2)),
        ("empty before", json!("7000 (10200)no message")),
        ("wind back", ok.clone()),
        ("again and gone", json!([["one", "two"], "ok"])),
        ("unknown action", json!("(10430)action name Dance is not existed")),
        ("delete queues", json!(["ok", "ok", "ok"])),
        ("deleted", json!(missing)),
        ("send to deleted", json!(missing)),
    ];
    for (step, expected) in &table {
        assert_eq!(&said[*step], expected, "{step}: {said}");
    }
}

#[test]
fn topics_deliver_to_the_sdk_s_queues() {
    let cluster = LocalCluster::start(false);
    let said = end(begin(&cluster, "topics", "news"));
    let steps = said.as_object().expect("it prints an object");
    let is = |value: &Value, beginning: &str| value.as_str().is_some_and(|text| text.starts_with(beginning));
    for (step, value) in steps {
        match step.as_str() {
            "publish to nobody" => assert!(is(value, "6030 (10650)"), "{said}"),
            "delete too early" => assert!(is(value, "4000 (10540)"), "{said}"),
            "arrived" => assert_eq!(*value, json!(["ok", "ok", "ok"]), "{said}"),
            _ => assert_eq!(*value, "ok", "{step}: {said}"),
        }
    }
}

#[test]
fn what_the_sdk_was_told_holds_though_a_leader_was_killed() {
    let cluster = LocalCluster::start(false);
    let urls = urls(&cluster);
    let node = urls.split(',').next().expect("there is a node").to_owned();
    let made = create(&cluster, &node);
    assert_eq!(made["code"], 0, "{made}");

    let producer = begin(&cluster, "produce", "orders");
    std::thread::sleep(Duration::from_secs(2));
    cluster.must(&["kill", "leader"]);
    let begun = Instant::now();
    // The survivors get through again: the law of the test needs messages from after the kill.
    std::thread::sleep(Duration::from_secs(6));
    let found = end(producer);
    assert!(begun.elapsed() < FAILOVER, "no call hangs");
    let drained = end(begin(&cluster, "drain", "orders"));

    let set = |value: &Value| -> BTreeSet<u64> {
        value.as_array().expect("it lists numbers").iter().filter_map(Value::as_u64).collect()
    };
    let (sent, refused, unknown) = (set(&found["sent"]), set(&found["refused"]), set(&found["unknown"]));
    let drained_set = set(&drained);
    assert!(sent.len() > 100, "the producers got through: {}", sent.len());
    let lost: Vec<_> = sent.difference(&drained_set).collect();
    assert!(lost.is_empty(), "what was acknowledged is there: {lost:?}");
    let lied: Vec<_> = refused.intersection(&drained_set).collect();
    assert!(lied.is_empty(), "what was refused was not applied: {lied:?}");
    let strange: Vec<_> =
        drained_set.iter().filter(|number| !sent.contains(number) && !unknown.contains(number)).collect();
    assert!(strange.is_empty(), "nothing comes out that was not sent: {strange:?}");
}

#[test]
fn a_key_has_its_rights_on_every_node_until_it_is_revoked() {
    let cluster = LocalCluster::start(false);
    let urls = urls(&cluster);
    create(&cluster, urls.split(',').next().expect("there is a node"));
    let made = keys(&cluster, &["create", "--grant", "ord*=send"]);
    let (id, secret) = made.split_once(' ').expect("id and secret");
    let (no_right, wrong) = ("4000 (10461)no cam authentication", "4100 (10030)authentication failed");
    must_become(&cluster, (id, secret), ["ok", no_right, no_right]);

    let rotated = keys(&cluster, &["rotate", id, "--overlap-s", "600"]);
    must_become(&cluster, (id, &rotated), ["ok", no_right, no_right]);
    must_become(&cluster, (id, secret), ["ok", no_right, no_right]);
    let again = keys(&cluster, &["rotate", id]);
    must_become(&cluster, (id, &rotated), [wrong; 3]);

    keys(&cluster, &["grant", id, "--grant", "orders=receive"]);
    must_become(&cluster, (id, &again), [no_right, "ok", no_right]);
    let list = keys(&cluster, &["list"]);
    assert!(list.contains(id) && list.contains("orders=receive") && !list.contains(&again), "{list}");
    keys(&cluster, &["revoke", id]);
    must_become(&cluster, (id, &again), ["4100 (10270)secret id is not existed"; 3]);
}

/// Makes the queue, with the SDK too.
fn create(cluster: &LocalCluster, node: &str) -> Value {
    let program = "import sys, json; from drive import account, raw; \
                   print(json.dumps(raw(account(sys.argv[1]).get_client(), 'CreateQueue', {'queueName': 'orders'})))";
    let output = Command::new(python())
        .args(["-c", program, node])
        .env("PYTHONPATH", file(""))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(cluster.path())
        .output()
        .expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}
