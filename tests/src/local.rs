//! A real cluster of processes for one test, driven by the operators' own command, ended with the test.
//!
//! Must never: leave a process or a folder behind, or end a process by its name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A local cluster in a folder of its own on the real disk.
pub struct LocalCluster {
    folder: TempDir,
}

impl LocalCluster {
    /// Starts three queue nodes, and three app nodes if asked to; returns when they serve.
    #[must_use]
    pub fn start(with_app: bool) -> Self {
        let cluster = Self::blank();
        let up = if with_app { cluster.run(&["up", "--app"]) } else { cluster.run(&["up"]) };
        assert!(up.status.success(), "the cluster starts: {}", text(&up));
        cluster
    }

    /// A folder in which no cluster was started yet.
    #[must_use]
    pub fn blank() -> Self {
        // The system's temporary folder may be memory; an fsync there means nothing.
        let folder = tempfile::Builder::new().prefix("tercet-test-").tempdir_in("/var/tmp");
        Self { folder: folder.expect("a temporary folder can be made") }
    }

    /// Runs a verb of `cluster` on this cluster.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(binary("cluster"));
        command.args(words).arg("--dir").arg(self.path()).output().expect("the cluster command runs")
    }

    /// Runs a verb that must succeed, with a variable in the environment that the nodes it starts inherit.
    pub fn must_with(&self, words: &[&str], name: &str, value: &str) {
        let mut command = Command::new(binary("cluster"));
        let output = command.args(words).arg("--dir").arg(self.path()).env(name, value).output();
        let output = output.expect("the cluster command runs");
        assert!(output.status.success(), "cluster {words:?}: {}", text(&output));
    }

    /// Runs a verb that must succeed.
    pub fn must(&self, words: &[&str]) {
        let output = self.run(words);
        assert!(output.status.success(), "cluster {words:?}: {}", text(&output));
    }

    /// The cluster's folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `cluster.json` as it is now.
    #[must_use]
    pub fn file(&self) -> serde_json::Value {
        let file = fs::read(self.path().join("cluster.json")).expect("a started cluster has a file");
        serde_json::from_slice(&file).expect("the cluster's file is JSON")
    }

    /// Kills the leader of the first queue group, and says who it was once its process has ended.
    #[must_use]
    pub fn kill_leader(&self) -> String {
        let before = self.pids();
        self.must(&["kill", "leader", "--signal", "9"]);
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let dead = before.iter().find(|(_, pid)| !Path::new(&format!("/proc/{pid}")).exists());
            if let Some((node, _)) = dead {
                return node.clone();
            }
            assert!(Instant::now() < until, "the killed process ends");
            std::thread::yield_now();
        }
    }

    fn pids(&self) -> Vec<(String, u64)> {
        let file = self.file();
        let nodes = file["queue"].as_array().expect("the file lists the queue nodes");
        let pid =
            |node: &serde_json::Value| Some((node["node"].as_str()?.to_owned(), node["pid"].as_u64().unwrap_or(0)));
        nodes.iter().filter_map(pid).collect()
    }

    /// The gRPC addresses of the queue nodes.
    #[must_use]
    pub fn queue_addresses(&self) -> Vec<String> {
        let file = self.file();
        let nodes = file["queue"].as_array().expect("the file lists the queue nodes");
        nodes.iter().filter_map(|node| node["grpc"].as_str().map(str::to_owned)).collect()
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        let down = self.run(&["down"]);
        if !down.status.success() {
            eprintln!("the cluster did not stop: {}", text(&down));
        }
    }
}

/// A binary of this workspace, built beside the running test.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.ancestors().nth(2).expect("a test lies in release/deps");
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built: run ./tests/run", path.display());
    path
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
