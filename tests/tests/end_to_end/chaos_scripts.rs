//! The testers' faults: each script says how it is used, undoes what it did, and loses nothing beside a checked load.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tests::local::{LocalCluster, binary};

const SCRIPTS: [&str; 11] =
    ["kill", "pause", "net", "disk", "fsync", "damage", "delay", "flood", "behind", "replace", "table"];

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/chaos").join(name)
}

fn run(cluster: &LocalCluster, name: &str, words: &[&str]) -> Output {
    let mut command = Command::new(script(name));
    command.args(words).arg("--dir").arg(cluster.path()).env("TERCET_CLUSTER", binary("cluster"));
    command.output().expect("the script runs")
}

#[test]
fn every_script_says_how_it_is_used_and_refuses_what_it_cannot_do() {
    for name in SCRIPTS {
        let help = Command::new(script(name)).arg("--help").output().expect("the script runs");
        assert!(help.status.success() && help.stdout.starts_with(b"usage:"), "{name}: {help:?}");
    }
    let nowhere = Command::new(script("kill")).args(["--dir", "/nowhere"]).output().expect("the script runs");
    assert_eq!(nowhere.status.code(), Some(2), "{nowhere:?}");
}

#[test]
fn nothing_is_lost_beside_kills_and_pauses_and_every_node_runs_afterwards() {
    let cluster = LocalCluster::start(false);
    let mut load = Command::new(binary("cluster"));
    load.args(["chaos", "work", "--secs", "600", "-o", "json", "--dir"]).arg(cluster.path());
    let load = load.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the load starts");
    let faults: [(&str, &[&str]); 3] = [
        ("kill", &["--target", "leader", "--times", "2"]),
        ("pause", &["--target", "any", "--times", "1", "--secs", "2"]),
        ("kill", &["--target", "majority", "--times", "1"]),
    ];
    for (name, words) in faults {
        let done = run(&cluster, name, words);
        assert!(done.status.success(), "{name} {words:?}: {done:?}");
    }
    let pid = i32::try_from(load.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("the load is told to end");
    let load = load.wait_with_output().expect("the load ends");
    let account: serde_json::Value = serde_json::from_slice(&load.stdout).expect("the account is JSON");
    assert!(load.status.success(), "{account}");
    assert!(account["acknowledged"].as_u64().is_some_and(|count| count > 1_000), "{account}");
    for breach in ["lost", "doubled", "returned"] {
        assert_eq!(account[breach], 0, "{account}");
    }
    cluster.must(&["health"]);
}

#[test]
fn what_nodes_send_each_other_is_delayed_and_the_cluster_is_healthy_afterwards() {
    let cluster = LocalCluster::start(false);
    let adopted = run(&cluster, "net", &["adopt"]);
    if adopted.status.code() == Some(2) {
        let said = String::from_utf8_lossy(&adopted.stderr).into_owned();
        assert!(said.contains("root, and a kernel with nftables, are needed"), "{adopted:?}");
        eprintln!("{said}; nothing is delayed here");
        return;
    }
    assert!(adopted.status.success(), "{adopted:?}");
    let delayed = run(&cluster, "delay", &["--ms", "30", "--secs", "3"]);
    let said: serde_json::Value = serde_json::from_slice(&delayed.stdout).expect("it says what it did");
    assert!(delayed.status.success(), "{delayed:?}");
    assert!(said["pieces"].as_u64().is_some_and(|pieces| pieces > 20), "heartbeats pass the proxies: {said}");
    let left = run(&cluster, "net", &["leave"]);
    assert!(left.status.success(), "{left:?}");
    let nowhere = run(&cluster, "net", &["ring"]);
    assert!(
        nowhere.status.code() == Some(2) && nowhere.stderr.starts_with(b"error: the nodes are not adopted"),
        "{nowhere:?}"
    );
}
