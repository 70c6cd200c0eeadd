//! The evening: two leaders die in the middle, and every fen is where it belongs.

use std::process::Command;

use tests::local::binary;

#[test]
fn the_demo_ends_with_a_clean_audit_though_two_leaders_were_killed() {
    let folder = tempfile::Builder::new().prefix("tercet-demo-").tempdir_in("/var/tmp").expect("a temporary folder");
    let file = folder.path().join("demo.json");
    let output = Command::new(binary("cluster"))
        .args(["demo", "--secs", "12", "--json"])
        .arg(&file)
        .output()
        .expect("the cluster command runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the demo succeeds: {text}");
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("the demo writes its summary")).expect("it is JSON");
    assert_eq!(summary["audit_ok"], true, "{summary}");
    assert_eq!(summary["killed"].as_array().map(Vec::len), Some(2), "{summary}");
    assert_eq!(summary["fen_in"], summary["fen_out"], "every fen was claimed or went back: {summary}");
    assert!(summary["packets"].as_u64() > Some(0), "{summary}");
}
