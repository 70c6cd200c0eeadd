//! CMQ's TCP protocol against a real cluster, by a client made from the frame description alone.

use std::path::Path;
use std::process::Command;

use queue_client::{Client, ClientConfig, QueueAttributes, TransactionPolicy};
use serde_json::{Value, json};
use tests::local::LocalCluster;

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_transactions_pass_over_cmq_s_frames() {
    let cluster = LocalCluster::start(false);
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("the cluster serves");
    client.create_queue("plain", QueueAttributes::default()).await.expect("the queue is made");
    let transaction = Some(TransactionPolicy { first_query_s: 1, queries_max: 5 });
    let attributes = QueueAttributes { transaction, ..QueueAttributes::default() };
    client.create_queue("halves", attributes).await.expect("the queue is made");

    let file = cluster.file();
    let nodes = file["queue"].as_array().expect("the file lists the queue nodes");
    let addresses: Vec<&str> = nodes.iter().filter_map(|node| node["tcp"].as_str()).collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cmq/tcp.py");
    let output = Command::new("python3").arg(script).args([&addresses.join(","), "plain", "halves"]).output();
    let output = output.expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let expected = json!({
        "not logged in": true,
        "wrong key": true,
        "login": [0, 0],
        "pipelined": true,
        "deleted": true,
        "pulled": true,
        "empty": 10200,
        "invisible": 10200,
        "asked": true,
        "committed": "yes",
        "rolled back": 10200,
    });
    assert_eq!(said, expected);
}
