//! Tenpay in the same minutes: a local cluster of its own, driven by the operators' command that everybody uses.
//!
//! Must never: look into the cluster but by its doors.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Command;
use tokio::time::sleep;

use crate::failure::Failure;

/// Where a measurement's cluster lives within its folder.
const FOLDER: &str = "tenpay";

/// A local cluster.
pub(crate) struct Tenpay {
    cluster: PathBuf,
    folder: PathBuf,
}

/// A phase of `cluster bench ledger`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Phase {
    pub(crate) operations: u64,
    pub(crate) secs: f64,
    pub(crate) per_s: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) errors: u64,
    /// Bytes written for one transfer and replica.
    pub(crate) written_bytes: f64,
    /// Memory of the largest node, before and after. Bytes.
    pub(crate) resident_bytes: (f64, f64),
}

impl Tenpay {
    /// Starts it.
    pub(crate) async fn start(cluster: &Path, folder: &Path) -> Result<Self, Failure> {
        let tenpay = Self { cluster: cluster.to_owned(), folder: folder.join(FOLDER) };
        tenpay.run(&["up", "--app"]).await?;
        Ok(tenpay)
    }

    async fn run(&self, words: &[&str]) -> Result<String, Failure> {
        let output = Command::new(&self.cluster).args(words).arg("--dir").arg(&self.folder).output().await?;
        if !output.status.success() {
            let text = [output.stdout, output.stderr].concat();
            return Err(Failure::program("cluster", format!("{words:?}: {}", String::from_utf8_lossy(&text))));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `cluster bench ledger`: its two phases, all alike and one hot account.
    pub(crate) async fn bench(&self, load: &[&str], secs: u64) -> Result<(Phase, Phase), Failure> {
        let secs = secs.to_string();
        let words = [&["bench", "ledger", "--secs", &secs, "-o", "json"], load].concat();
        phases(&self.run(&words).await?).ok_or_else(|| Failure::program("cluster", "its bench cannot be read"))
    }

    /// Kills the leader of the payers' shard after `after`, and starts it again `rest` later.
    pub(crate) async fn kill_leader(&self, after: Duration, rest: Duration) -> Result<(), Failure> {
        sleep(after).await;
        let before = self.pids()?;
        self.run(&["kill", "ledger-leader"]).await?;
        sleep(rest).await;
        let is_dead = |pid: &u64| !Path::new(&format!("/proc/{pid}")).exists();
        for (node, _) in before.iter().filter(|(_, pid)| is_dead(pid)) {
            self.run(&["start", node]).await?;
        }
        Ok(())
    }

    /// Kills the first node and starts it again; answers how long it took from the start until it was ready. Seconds.
    pub(crate) async fn restart(&self) -> Result<f64, Failure> {
        let nodes = self.pids()?;
        let (node, _) = nodes.first().ok_or_else(|| Failure::program("cluster", "it has no app nodes"))?;
        self.run(&["kill", node]).await?;
        let began = Instant::now();
        self.run(&["start", node]).await?;
        Ok(began.elapsed().as_secs_f64())
    }

    fn pids(&self) -> Result<Vec<(String, u64)>, Failure> {
        let file = std::fs::read(self.folder.join("cluster.json"))?;
        let file: Value = serde_json::from_slice(&file).unwrap_or_default();
        let nodes = file["app"].as_array().cloned().unwrap_or_default();
        Ok(nodes.iter().filter_map(|node| Some((node["node"].as_str()?.to_owned(), node["pid"].as_u64()?))).collect())
    }

    /// Whether the audit holds.
    pub(crate) async fn is_conserved(&self) -> bool {
        self.run(&["audit"]).await.is_ok()
    }

    /// Stops what an interrupted measurement left running in `folder`, if anything.
    pub(crate) async fn tidy(cluster: &Path, folder: &Path) {
        let tenpay = Self { cluster: cluster.to_owned(), folder: folder.join(FOLDER) };
        if tenpay.folder.join("cluster.json").exists() {
            // The nodes may have been stopped before.
            let _ = tenpay.run(&["down"]).await;
        }
    }

    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.run(&["down"]).await.map(drop)
    }
}

/// The words for so many calls under way, from few connections.
pub(crate) fn clients(count: u32) -> [String; 4] {
    let producers = count.min(4);
    ["--producers".to_owned(), producers.to_string(), "--window".to_owned(), (count / producers).to_string()]
}

fn phases(text: &str) -> Option<(Phase, Phase)> {
    let json: Value = serde_json::from_str(text).ok()?;
    let phase = |at: usize| {
        let phase = json["phases"].get(at)?;
        let resident = |name: &str| phase[name].as_f64().unwrap_or_default();
        Some(Phase {
            operations: phase["operations"].as_u64()?,
            secs: phase["secs"].as_f64()?,
            per_s: phase["throughput_per_s"].as_f64()?,
            p50_us: phase["p50_us"].as_u64()?,
            p99_us: phase["p99_us"].as_u64()?,
            errors: phase["errors"].as_u64()?,
            written_bytes: phase["written_bytes_per_operation"].as_f64().unwrap_or_default(),
            resident_bytes: (resident("resident_bytes_before"), resident("resident_bytes")),
        })
    };
    Some((phase(0)?, phase(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_share_four_connections() {
        for (count, expected) in [(1, ("1", "1")), (16, ("4", "4")), (64, ("4", "16"))] {
            let words = clients(count);
            assert_eq!((words[1].as_str(), words[3].as_str()), expected, "{count}");
        }
    }

    #[test]
    fn a_bench_without_its_phases_is_no_bench() {
        let phase = r#"{"operations":8,"secs":2.0,"throughput_per_s":4.0,"p50_us":1,"p99_us":2,"errors":0,
            "written_bytes_per_operation":300.0}"#;
        let (one, other) = phases(&format!(r#"{{"phases":[{phase},{phase}]}}"#)).expect("two phases");
        assert_eq!((one.operations, one.written_bytes, other.p99_us), (8, 300.0, 2));
        for text in ["", "{}", &format!(r#"{{"phases":[{phase}]}}"#)] {
            assert!(phases(text).is_none(), "{text}");
        }
    }
}
