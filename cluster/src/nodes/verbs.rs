//! What an operator does with the nodes of a local cluster: up, kill, start, down.
//!
//! Must never: return before it is true. A node that was started is ready, one that was killed is gone.

use std::fmt::Write as _;
use std::str::FromStr;

use futures::future::join_all;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::launch::launch;
use super::ports;
use super::process::Process;
use super::ready::{all_ready, is_ready};
use crate::admin;
use crate::args::Shape;
use crate::error::Error;
use crate::file::{ClusterFile, Folder, Kind, NodeEntry};
use crate::limits::{END_MAX, FIRST_GROUP, KILLED_MAX, NODES_DEFAULT, POLL_PAUSE, READY_MAX};
use crate::screen;

/// Which node a signal is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The one of that name.
    Node(String),
    /// The leader of the first queue group.
    Leader,
    /// The leader of the first ledger group.
    LedgerLeader,
}

impl FromStr for Target {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "leader" => Self::Leader,
            "ledger-leader" => Self::LedgerLeader,
            node => Self::Node(node.to_owned()),
        })
    }
}

/// Starts a cluster: a new one, or the one that the folder holds and that is stopped. Returns when every node is ready;
/// if one does not get ready, all that were started are ended.
///
/// Errors: `Running`, `Impossible` (ports, another size, no binary), `NotReady`.
pub(crate) async fn up(folder: &Folder, shape: &Shape) -> Result<ClusterFile, Error> {
    let _lock = folder.lock()?;
    folder.settle()?;
    let mut cluster = folder.read()?.unwrap_or_default();
    if let Some((_, node)) = running(folder, &cluster).next() {
        return Err(Error::Running { dir: folder.path().to_owned(), node: node.node.clone(), pid: node.pid });
    }
    complete(&mut cluster, shape)?;
    let started = match launch_all(folder, &mut cluster) {
        Ok(()) => all_ready(folder, &cluster).await,
        Err(error) => Err(error),
    };
    if let Err(error) = started {
        end(folder, &cluster, Signal::KILL).await;
        return Err(error);
    }
    Ok(cluster)
}

/// Gives a cluster the nodes that it lacks.
fn complete(cluster: &mut ClusterFile, shape: &Shape) -> Result<(), Error> {
    let held = u64::try_from(cluster.queue.len()).unwrap_or(u64::MAX);
    let nodes = shape.nodes.unwrap_or(if held == 0 { NODES_DEFAULT } else { held });
    if held != 0 && nodes != held {
        return Err(Error::Impossible(format!("the folder holds a cluster of {held} nodes; its size cannot change")));
    }
    let (wants_queue, wants_app) = (held == 0, shape.app && cluster.app.is_empty());
    let count = usize::try_from(nodes).unwrap_or(usize::MAX);
    let ports_wanted = if wants_queue { 3 * count } else { 0 } + if wants_app { 2 * count } else { 0 };
    if let (Some(_), 0) = (shape.base_port, ports_wanted) {
        return Err(Error::Impossible("the folder holds a cluster; its ports cannot change".to_owned()));
    }
    let mut ports = ports::find(shape.base_port, ports_wanted)?.into_iter();
    let mut address = || ports.next().map(|port| format!("127.0.0.1:{port}")).unwrap_or_default();
    if wants_queue {
        let mut node = |number| NodeEntry {
            node: format!("{number}"),
            pid: 0,
            grpc: address(),
            http: address(),
            tcp: Some(address()),
        };
        cluster.queue = (1..=nodes).map(&mut node).collect();
    }
    if wants_app {
        let mut node =
            |number| NodeEntry { node: format!("a{number}"), pid: 0, grpc: address(), http: address(), tcp: None };
        cluster.app = (1..=nodes).map(&mut node).collect();
    }
    Ok(())
}

fn launch_all(folder: &Folder, cluster: &mut ClusterFile) -> Result<(), Error> {
    let nodes: Vec<(Kind, NodeEntry)> = cluster.nodes().map(|(kind, entry)| (kind, entry.clone())).collect();
    for (kind, entry) in nodes {
        let pid = launch(folder, cluster, kind, &entry)?;
        cluster.set_pid(&entry.node, pid);
    }
    folder.write(cluster)
}

/// Sends a signal to a node, or to whichever leads. SIGKILL returns when the process is gone.
///
/// Errors: `NoNode`, `NoLeader`, `Dead`.
pub(crate) async fn kill(folder: &Folder, target: &Target, signal: Signal) -> Result<bool, Error> {
    let node = kill_node(folder, target, signal).await?;
    screen::out(&format!("signal {} to node {node}", signal.as_raw()));
    Ok(true)
}

/// As [`kill`]; says which node it was.
pub(crate) async fn kill_node(folder: &Folder, target: &Target, signal: Signal) -> Result<String, Error> {
    let cluster = folder.cluster()?;
    let name = match target {
        Target::Node(name) => name.clone(),
        Target::Leader => leader(&cluster, Kind::Queue, "the first queue group").await?,
        Target::LedgerLeader => leader(&cluster, Kind::App, "the first ledger group").await?,
    };
    let (kind, entry) = cluster.find(&name)?;
    let process = Process::of(folder, kind, entry);
    process.signal(signal)?;
    if signal == Signal::KILL && !process.has_ended(KILLED_MAX).await {
        return Err(Error::Impossible(format!("node {name} was killed and is still there")));
    }
    Ok(name)
}

/// As [`kill_node`]; a group that is just electing is asked again.
pub(crate) async fn kill_when_led(folder: &Folder, target: &Target, signal: Signal) -> Result<String, Error> {
    let until = Instant::now() + READY_MAX;
    loop {
        match kill_node(folder, target, signal).await {
            Err(Error::NoLeader { .. }) if Instant::now() < until => sleep(POLL_PAUSE).await,
            ended => return ended,
        }
    }
}

async fn leader(cluster: &ClusterFile, kind: Kind, group: &'static str) -> Result<String, Error> {
    if cluster.of(kind).is_empty() {
        return Err(Error::NoApp);
    }
    let views = admin::look(cluster.of(kind)).await;
    admin::leader_of(&views, FIRST_GROUP).ok_or(Error::NoLeader { group })
}

/// Starts a node again, on its data and ports. Errors: `NoNode`, `Alive`, `NotReady`.
pub(crate) async fn start(folder: &Folder, name: &str) -> Result<bool, Error> {
    let entry = start_node(folder, name).await?;
    screen::out(&format!("node {name} is ready (pid {})", entry.pid));
    Ok(true)
}

/// As [`start`]; says what the node is now.
pub(crate) async fn start_node(folder: &Folder, name: &str) -> Result<NodeEntry, Error> {
    let (kind, entry) = {
        let _lock = folder.lock()?;
        let mut cluster = folder.cluster()?;
        let (kind, entry) = cluster.find(name).map(|(kind, entry)| (kind, entry.clone()))?;
        if Process::of(folder, kind, &entry).is_running() {
            return Err(Error::Alive { node: entry.node, pid: entry.pid });
        }
        // Killed a moment ago, it may still hold its data and ports.
        Process::of(folder, kind, &entry).has_ended(KILLED_MAX).await;
        let pid = launch(folder, &cluster, kind, &entry)?;
        cluster.set_pid(name, pid);
        folder.write(&cluster)?;
        (kind, NodeEntry { pid, ..entry })
    };
    is_ready(folder, kind, &entry).await?;
    Ok(entry)
}

/// Stops all nodes, the app first, because it uses the queue.
pub(crate) async fn down(folder: &Folder) -> Result<bool, Error> {
    let stopped = end_all(folder).await?;
    screen::out(&format!("{stopped} nodes stopped"));
    Ok(true)
}

/// As [`down`]; says how many nodes ran.
pub(crate) async fn end_all(folder: &Folder) -> Result<usize, Error> {
    let _lock = folder.lock()?;
    let cluster = folder.cluster()?;
    Ok(end(folder, &cluster, Signal::TERM).await)
}

/// Ends the nodes that run, with `signal` first and SIGKILL for who does not obey; says how many there were.
async fn end(folder: &Folder, cluster: &ClusterFile, signal: Signal) -> usize {
    let mut count = 0;
    for kind in [Kind::App, Kind::Queue] {
        let nodes = running(folder, cluster).filter(|(process, _)| process.1 == kind);
        let processes: Vec<Process> = nodes.map(|(process, _)| process.0).collect();
        count += processes.len();
        join_all(processes.iter().map(|process| async {
            // A process that has gone meanwhile needs no signal; one that is stopped must go on to obey.
            let _ = process.signal(signal);
            let _ = process.signal(Signal::CONT);
            if !process.has_ended(END_MAX).await {
                let _ = process.signal(Signal::KILL);
                process.has_ended(KILLED_MAX).await;
            }
        }))
        .await;
    }
    count
}

/// The names of the nodes of a kind whose processes run.
pub(crate) fn running_of(folder: &Folder, cluster: &ClusterFile, kind: Kind) -> Vec<String> {
    let of_kind = running(folder, cluster).filter(|(process, _)| process.1 == kind);
    of_kind.map(|(_, entry)| entry.node.clone()).collect()
}

/// The nodes whose processes run.
fn running<'a>(
    folder: &'a Folder,
    cluster: &'a ClusterFile,
) -> impl Iterator<Item = ((Process, Kind), &'a NodeEntry)> + 'a {
    let nodes = cluster.nodes().map(|(kind, entry)| ((Process::of(folder, kind, entry), kind), entry));
    nodes.filter(|((process, _), _)| process.is_running())
}

/// Where everything listens, for people.
pub(crate) fn describe(folder: &Folder, cluster: &ClusterFile) -> String {
    let mut text = format!("cluster of {} nodes in {}", cluster.nodes().count(), folder.path().display());
    for (kind, entry) in cluster.nodes() {
        let tcp = entry.tcp.as_ref().map(|tcp| format!("  tcp {tcp}")).unwrap_or_default();
        let scheme = if folder.authority().exists() { "https" } else { "http" };
        let page = match kind {
            Kind::Queue => "/console",
            Kind::App => "/",
        };
        let NodeEntry { node, pid, grpc, http, .. } = entry;
        // A String takes whatever is written to it.
        let _ = write!(text, "\n  {node:<3} pid {pid:<7} grpc {grpc}  {scheme}://{http}{page}{tcp}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::sample;

    #[test]
    fn a_new_cluster_gets_its_nodes_and_ports() {
        let mut cluster = ClusterFile::default();
        complete(&mut cluster, &Shape { app: true, ..Shape::default() }).expect("15 ports are free");
        let names: Vec<&str> = cluster.nodes().map(|(_, node)| node.node.as_str()).collect();
        assert_eq!(names, ["1", "2", "3", "a1", "a2", "a3"]);
        assert!(cluster.queue.iter().all(|node| node.tcp.is_some()));
        assert!(cluster.app.iter().all(|node| node.tcp.is_none() && node.http.starts_with("127.0.0.1:")));
    }

    #[test]
    fn a_cluster_that_is_there_keeps_its_nodes_and_ports() {
        let mut cluster = sample();
        complete(&mut cluster, &Shape::default()).expect("nothing is to be done");
        assert_eq!(cluster, sample());
        let other_size = Shape { nodes: Some(3), ..Shape::default() };
        assert!(matches!(complete(&mut cluster, &other_size), Err(Error::Impossible(_))));
        let other_ports = Shape { base_port: Some(7000), ..Shape::default() };
        assert!(matches!(complete(&mut cluster, &other_ports), Err(Error::Impossible(_))));
    }

    #[test]
    fn a_target_is_a_name_or_a_leader() {
        for (text, expected) in
            [("leader", Target::Leader), ("ledger-leader", Target::LedgerLeader), ("a1", Target::Node("a1".to_owned()))]
        {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }
}
