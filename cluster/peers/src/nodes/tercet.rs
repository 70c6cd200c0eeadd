//! Tercet's nodes, started by the operators' command with the number of groups that it uses for everybody.
//!
//! Must never: start them with settings that `cluster up` does not have.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::ports::TERCET_OFFSET;
use crate::error::Error;

/// Three nodes.
pub(super) struct Nodes<'a> {
    pub(super) binaries: &'a Path,
    pub(super) folder: &'a Path,
    pub(super) base_port: u16,
    pub(super) is_new: bool,
}

impl Nodes<'_> {
    /// Starts them; returns their processes and addresses once they serve.
    pub(super) async fn launch(&self) -> Result<(Vec<u32>, Vec<String>), Error> {
        let program = self.binaries.join("cluster");
        let mut up = Command::new(&program);
        up.arg("up").arg("--dir").arg(self.folder).stdin(Stdio::null()).stdout(Stdio::null());
        if self.is_new {
            up.arg("--base-port").arg((self.base_port + TERCET_OFFSET).to_string());
        }
        let status = up.status().await.map_err(Error::on(&program))?;
        if !status.success() {
            return Err(Error::NotReady { what: "cluster up".to_owned(), log: self.folder.to_owned() });
        }
        let path = self.folder.join("cluster.json");
        let file = fs::read(&path).map_err(Error::on(&path))?;
        let cluster: Value = serde_json::from_slice(&file).map_err(Error::call("cluster.json"))?;
        nodes_in(&cluster).ok_or_else(|| Error::call("cluster.json")("it names no queue nodes"))
    }
}

/// Processes and gRPC addresses of the queue's nodes.
fn nodes_in(cluster: &Value) -> Option<(Vec<u32>, Vec<String>)> {
    let node = |node: &Value| {
        let pid = u32::try_from(node["pid"].as_u64()?).ok()?;
        Some((pid, node["grpc"].as_str()?.to_owned()))
    };
    cluster["queue"].as_array().filter(|nodes| !nodes.is_empty())?.iter().map(node).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_clusters_file_names_processes_and_addresses() {
        let cluster = json!({"queue": [{"pid": 7, "grpc": "127.0.0.1:1"}, {"pid": 8, "grpc": "127.0.0.1:2"}]});
        let expected = (vec![7, 8], vec!["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()]);
        assert_eq!(nodes_in(&cluster), Some(expected));
        for broken in [json!({}), json!({"queue": []}), json!({"queue": [{"pid": 7}]})] {
            assert_eq!(nodes_in(&broken), None, "{broken}");
        }
    }
}
