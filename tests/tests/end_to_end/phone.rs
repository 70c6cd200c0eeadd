//! The phone's page in a real Chromium: people send, grab and open, also while the ledger's leader is dead.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tests::local::{LocalCluster, binary};

#[test]
fn people_play_the_evening_on_their_phones() {
    let cluster = LocalCluster::start(true);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("phone/drive.py");
    let mut drive = Command::new("python3");
    drive.arg(script).arg(binary("cluster")).arg(cluster.path());
    // For whoever wants to look at it, too.
    drive.args(std::env::var_os("TERCET_PICTURES"));
    let output = drive.output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let expected = json!({
        "sent, appeared, opened, booked": true,
        "refused in words": true,
        "by keyboard alone": true,
        "to one person": true,
        "lists, both languages": true,
        "topped up, taken out": true,
        "asked for the payment password": true,
        "over a broken line": true,
        "waiting, then arrived": true,
        "quiet console": true,
    });
    assert_eq!(seen, expected);
    cluster.must(&["audit"]);
}
