//! Nodes: three of one system on loopback, with their data on the real disk, from start to end.
//!
//! Must never: end a process that it did not start, leave one behind, or listen on anything but loopback.

mod nats;
mod ports;
mod process;
mod rabbit;
mod tercet;

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use crate::args::Plan;
use crate::drivers::{Site, Status};
use crate::error::Error;
use crate::limits::{POLL_PAUSE, READY_MAX};
use crate::nodes::process::Processes;
use crate::plan::System;

pub(crate) use process::send_signal;

/// The queue of every phase.
const QUEUE: &str = "bench";

/// Three nodes.
#[derive(Debug)]
pub(crate) struct Fleet {
    system: System,
    plan: Plan,
    folder: PathBuf,
    base_port: u16,
    processes: Processes,
    /// Processes that serve, in the order of the nodes.
    pids: Vec<u32>,
    urls: Vec<String>,
}

impl Fleet {
    /// Starts three new nodes; returns when all are ready.
    pub(crate) async fn start(plan: &Plan, system: System) -> Result<Self, Error> {
        let folder = plan.dir.join("data").join(system.name());
        remove(&folder)?;
        fs::create_dir_all(&folder).map_err(Error::on(&folder))?;
        let base_port = ports::find(plan.base_port)?;
        let mut fleet = Self {
            system,
            plan: plan.clone(),
            folder,
            base_port,
            processes: Processes::default(),
            pids: Vec::new(),
            urls: Vec::new(),
        };
        match fleet.launch(true).await {
            Ok(()) => Ok(fleet),
            Err(error) => {
                fleet.stop().await;
                Err(error)
            }
        }
    }

    /// Starts stopped nodes again, on the same data and ports.
    pub(crate) async fn start_again(&mut self) -> Result<(), Error> {
        self.launch(false).await
    }

    async fn launch(&mut self, is_new: bool) -> Result<(), Error> {
        let (folder, base_port) = (self.folder.clone(), self.base_port);
        match self.system {
            System::Rabbit => {
                let nodes = rabbit::Nodes { scripts: &self.plan.rabbit, folder: &folder, base_port };
                self.pids = nodes.launch(&mut self.processes, is_new).await?;
                self.urls = nodes.urls();
            }
            System::NatsAlways | System::NatsDefault => {
                let is_synced = self.system == System::NatsAlways;
                let nodes = nats::Nodes { server: &self.plan.nats, folder: &folder, base_port, is_synced };
                self.pids = nodes.launch(&mut self.processes).await?;
                self.urls = nodes.urls();
            }
            System::Tercet => {
                let nodes = tercet::Nodes { binaries: &self.plan.tercet, folder: &folder, base_port, is_new };
                let (pids, urls) = nodes.launch().await?;
                self.processes.adopt(&pids);
                (self.pids, self.urls) = (pids, urls);
            }
        }
        Ok(())
    }

    /// Ends all processes: asks, waits, kills.
    pub(crate) async fn stop(&mut self) {
        self.processes.end().await;
    }

    /// Deletes what the nodes have written.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        remove(&self.folder)
    }

    /// Processes that serve, in the order of the nodes.
    pub(crate) fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Sends a signal to one node.
    pub(crate) fn signal(&self, node: usize, signal: Signal) -> Result<(), Error> {
        let pid = self.pids.get(node).ok_or_else(|| Error::Impossible(format!("there is no node {node}")))?;
        send_signal(*pid, signal);
        Ok(())
    }

    /// Where clients go.
    pub(crate) fn site(&self) -> Site {
        let status = Status { command: self.plan.tercet.join("cluster"), folder: self.folder.clone() };
        let status = (self.system == System::Tercet).then(|| Arc::new(status));
        Site { system: self.system, urls: self.urls.clone(), queue: QUEUE.to_owned(), status }
    }
}

fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::on(folder)(error)),
        _ => Ok(()),
    }
}

/// Waits until something listens at `port`.
async fn listens(port: u16, log: &Path) -> Result<(), Error> {
    let open = async {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            sleep(POLL_PAUSE).await;
        }
    };
    let late = |_| Error::NotReady { what: format!("port {port}"), log: log.to_owned() };
    timeout(READY_MAX, open).await.map_err(late)
}
