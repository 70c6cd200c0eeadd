//! The evening at scale, small: a paused leader, an overload, a hot packet; and what an action costs.
//!
//! Goals that depend on how fast a machine is are not asserted here: the command judges them itself, and its exit code must
//! say what its verdicts say. What must hold on any machine is: money is not shed, the hot packet is decided correctly, and
//! the audit holds.

use serde_json::Value;
use tests::local::LocalCluster;

#[test]
fn an_evening_with_a_paused_leader_and_a_hot_packet_ends_with_the_money_right() {
    let cluster = LocalCluster::start(true);
    let page = cluster.path().join("evening.html");
    let page_word = page.to_string_lossy().into_owned();
    let words =
        "evening --phones 150 --secs 20 --capacity 120 --overload 10 --fault=pause-ledger --grabbers 300 --listeners 5";
    let words: Vec<&str> = words.split(' ').chain(["--seed", "1", "-o", "json", "--report", &page_word]).collect();
    let output = cluster.run(&words);
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(told["audit_ok"], true, "{told}");
    assert_eq!(told["shed_by_app"][0], 0, "a question about money was shed: {told}");
    assert_eq!(told["hot"]["wrong"], serde_json::json!([]), "{told}");
    assert_eq!(told["struck"][0]["fault"], "pause-ledger", "{told}");
    assert!(told["streams"]["news"].as_u64() > Some(0), "phones heard nothing: {told}");
    let verdicts = told["verdicts"].as_array().cloned().unwrap_or_default();
    assert!(verdicts.len() >= 5, "{told}");
    let is_met = verdicts.iter().all(|verdict| verdict["met"] == true);
    assert_eq!(output.status.code(), Some(i32::from(!is_met)), "the exit code says what the verdicts say: {told}");
    let page = std::fs::read_to_string(page).expect("the report is written");
    assert!(page.contains("<svg") && !page.contains("http"), "the report needs nothing but itself");
}
