//! NATS servers: three with JetStream, routes between them.
//!
//! Must never: differ but in `sync_interval` between the two ways that are measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::listens;
use super::ports::NATS_OFFSET;
use super::process::Processes;
use crate::error::Error;
use crate::limits::NODES;

/// Three servers.
pub(super) struct Nodes<'a> {
    pub(super) server: &'a Path,
    pub(super) folder: &'a Path,
    pub(super) base_port: u16,
    pub(super) is_synced: bool,
}

impl Nodes<'_> {
    fn client_port(&self, node: usize) -> u16 {
        self.base_port + NATS_OFFSET + u16::try_from(node).unwrap_or(0)
    }

    fn route_port(&self, node: usize) -> u16 {
        self.client_port(node) + 3
    }

    fn log(&self, node: usize) -> PathBuf {
        self.folder.join(format!("n{}.log", node + 1))
    }

    pub(super) fn urls(&self) -> Vec<String> {
        (0..NODES).map(|node| format!("nats://127.0.0.1:{}", self.client_port(node))).collect()
    }

    pub(super) async fn launch(&self, processes: &mut Processes) -> Result<Vec<u32>, Error> {
        let mut pids = Vec::new();
        for node in 0..NODES {
            let config = self.folder.join(format!("n{}.conf", node + 1));
            fs::write(&config, self.config(node)).map_err(Error::on(&config))?;
            pids.push(processes.spawn(Command::new(self.server).arg("-c").arg(&config), &self.log(node))?);
        }
        for node in 0..NODES {
            listens(self.client_port(node), &self.log(node)).await?;
        }
        Ok(pids)
    }

    fn config(&self, node: usize) -> String {
        let name = format!("n{}", node + 1);
        let store = self.folder.join(&name);
        let sync = if self.is_synced { "  sync_interval: always\n" } else { "" };
        let route = |node| format!("\"nats://127.0.0.1:{}\"", self.route_port(node));
        let routes = (0..NODES).map(route).collect::<Vec<_>>().join(", ");
        format!(
            "server_name: {name}\nhost: 127.0.0.1\nport: {}\njetstream {{\n  store_dir: \"{}\"\n  max_file_store: 100GB\n  \
             max_memory_store: 1GB\n{sync}}}\ncluster {{\n  name: q\n  host: 127.0.0.1\n  port: {}\n  no_advertise: true\n  \
             routes: [{routes}]\n}}\n",
            self.client_port(node),
            store.display(),
            self.route_port(node),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_ways_differ_in_their_sync_alone() {
        let config = |is_synced| {
            let (server, folder) = (Path::new("nats-server"), Path::new("/data"));
            Nodes { server, folder, base_port: 21_000, is_synced }.config(1)
        };
        let expected = "server_name: n2\nhost: 127.0.0.1\nport: 21021\njetstream {\n  store_dir: \"/data/n2\"\n  \
            max_file_store: 100GB\n  max_memory_store: 1GB\n  sync_interval: always\n}\ncluster {\n  name: q\n  \
            host: 127.0.0.1\n  port: 21024\n  no_advertise: true\n  routes: [\"nats://127.0.0.1:21023\", \
            \"nats://127.0.0.1:21024\", \"nats://127.0.0.1:21025\"]\n}\n";
        assert_eq!(config(true), expected);
        assert_eq!(config(false), expected.replace("  sync_interval: always\n", ""));
    }
}
