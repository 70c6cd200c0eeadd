//! Three real nodes in one process: RocksDB in a temporary folder, gRPC on free loopback ports, the real clock. Each node
//! has a runtime of its own, so that one can be killed with all its connections, or made to hang.
//!
//! Must never: reuse a port or folder of another test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use machine::{Format, GroupId, RequestId};
use replica::{Applied, Group, ProposeError, Replica, ReplicaConfig, ScrubPace, StartError, Timers, system_wall_clock};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;

use crate::register::{Command, Register, Written};

/// What every wait ends with at the latest.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Threads of a node's runtime.
const NODE_THREADS: usize = 2;

/// A node that runs.
pub(crate) struct Node {
    pub replica: Replica,
    pub groups: BTreeMap<GroupId, Group<Register>>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
    runtime: NodeRuntime,
}

/// A runtime that may be dropped anywhere; what it runs ends soon after.
struct NodeRuntime(Option<Runtime>);

impl NodeRuntime {
    fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(NODE_THREADS).enable_all().build();
        Self(Some(runtime.expect("a runtime starts")))
    }

    fn handle(&self) -> Handle {
        self.0.as_ref().map(|runtime| runtime.handle().clone()).expect("it is taken only when dropped")
    }
}

impl Drop for NodeRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A node that hangs goes on when this is dropped.
pub(crate) struct Hanging(#[expect(dead_code, reason = "held for its drop")] std::sync::mpsc::Sender<()>);

/// Three nodes, some of which may be down.
pub(crate) struct Loopback {
    folder: TempDir,
    /// The latest format that each node knows from its next start on; the latest of all where nothing is said.
    known: BTreeMap<u64, Format>,
    members: BTreeMap<u64, String>,
    /// How each node scrubs from its next start on.
    pub scrub: ScrubPace,
    pub groups: Vec<GroupId>,
    pub nodes: BTreeMap<u64, Node>,
}

/// Waits until `look` answers something.
pub(crate) async fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn write(client: u32, number: u64) -> Command {
    Command::Write { client, number, body: Bytes::new() }
}

/// Listens on a node's port. What is left of a node that was killed or refused lets go of it a moment later.
async fn bind_when_free(address: SocketAddr) -> TcpListener {
    let until = Instant::now() + DEADLINE;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            bound => return bound.expect("the node's port is free again"),
        }
    }
}

type Opened = (Replica, BTreeMap<GroupId, Group<Register>>, oneshot::Sender<()>, JoinHandle<()>);

async fn open(config: ReplicaConfig, ids: Vec<GroupId>, listener: std::net::TcpListener) -> Result<Opened, StartError> {
    let replica = Replica::open(config)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tonic::transport::Server::builder().add_service(replica.service());
    let until = async move {
        // A dropped sender means stop as well.
        let _ = stopped.await;
    };
    let listener = TcpListener::from_std(listener).expect("the listener is non-blocking");
    let incoming = TcpListenerStream::new(listener).inspect(|socket| {
        let is_set = socket.as_ref().map_or(Ok(()), |socket| socket.set_nodelay(true));
        is_set.expect("a socket takes TCP_NODELAY");
    });
    let served = served.serve_with_incoming_shutdown(incoming, until);
    let server = tokio::spawn(async move { served.await.expect("the server ends well") });
    let mut groups = BTreeMap::new();
    for id in ids {
        match replica.add_group::<Register>(id).await {
            Ok(group) => groups.insert(id, group),
            Err(error) => {
                replica.stop().await;
                return Err(error);
            }
        };
    }
    Ok((replica, groups, stop, server))
}

impl Loopback {
    /// Three nodes with `groups` groups, all running.
    pub(crate) async fn start(groups: u32) -> Self {
        Self::start_knowing(groups, Format::LATEST).await
    }

    /// The same, of a release that knows formats up to `known`.
    pub(crate) async fn start_knowing(groups: u32, known: Format) -> Self {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        // A second test in the same process finds it set already.
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
        let mut listeners = BTreeMap::new();
        for node in 1..=3 {
            listeners.insert(node, TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
        }
        let address = |listener: &TcpListener| listener.local_addr().expect("a bound address").to_string();
        let members = listeners.iter().map(|(node, listener)| (*node, address(listener))).collect();
        let groups = (1..=groups).map(GroupId).collect();
        let known = (1..=3).map(|node| (node, known)).collect();
        let mut cluster = Self { folder, known, members, scrub: ScrubPace::default(), groups, nodes: BTreeMap::new() };
        let boots = listeners.into_iter().map(|(node, listener)| cluster.boot(node, listener)).collect::<Vec<_>>();
        for (node, boot) in (1..).zip(futures::future::join_all(boots).await) {
            cluster.nodes.insert(node, boot.expect("a new node starts"));
        }
        cluster
    }

    fn boot(&self, node: u64, listener: TcpListener) -> impl Future<Output = Result<Node, StartError>> + use<> {
        let config = ReplicaConfig {
            node,
            folder: self.folder.path().join(node.to_string()),
            members: self.members.clone(),
            timers: Timers::default(),
            wall: system_wall_clock(),
            seal: None,
            known: self.known.get(&node).copied().unwrap_or(Format::LATEST),
            scrub: self.scrub,
        };
        let ids = self.groups.clone();
        let runtime = NodeRuntime::start();
        // The listener's readiness must be seen by the node's runtime, not by the test's.
        let listener = listener.into_std().expect("a listener can be handed over");
        async move {
            let boot = runtime.handle().spawn(open(config, ids, listener));
            let (replica, groups, stop, server) = boot.await.expect("a node's start does not panic")?;
            Ok(Node { replica, groups, stop, server, runtime })
        }
    }

    /// Kills a node: all its connections end, and nobody listens on its port. Its folder stays locked for a moment.
    pub(crate) fn kill(&mut self, node: u64) {
        self.nodes.remove(&node).expect("the node runs");
    }

    /// Makes a node hang as SIGSTOP does: its connections stay open, and nothing is answered.
    pub(crate) fn hang(&self, node: u64) -> Hanging {
        let (sender, receiver) = std::sync::mpsc::channel();
        let receiver = std::sync::Arc::new(parking_lot::Mutex::new(receiver));
        for _ in 0..2 * NODE_THREADS {
            let receiver = std::sync::Arc::clone(&receiver);
            self.nodes[&node].runtime.handle().spawn(async move {
                // Blocks its thread until the sender is gone; nothing is ever sent.
                let _ = receiver.lock().recv();
            });
        }
        Hanging(sender)
    }

    /// Stops a node as SIGTERM does, and waits until its folder is free again.
    pub(crate) async fn stop(&mut self, node: u64) {
        let Node { replica, groups, stop, server, runtime } = self.nodes.remove(&node).expect("the node runs");
        replica.stop().await;
        drop((stop, groups, replica));
        tokio::time::timeout(DEADLINE, server).await.expect("the server stops in time").expect("the server is well");
        drop(runtime);
    }

    /// Starts a node again on its folder and port.
    pub(crate) async fn restart(&mut self, node: u64) -> Result<(), StartError> {
        let address: SocketAddr = self.members[&node].parse().expect("an address");
        let listener = bind_when_free(address).await;
        let boot = self.boot(node, listener).await?;
        self.nodes.insert(node, boot);
        Ok(())
    }

    /// Stops a node and starts it again as a release that knows formats up to `known`.
    pub(crate) async fn replace_by(&mut self, node: u64, known: Format) -> Result<(), StartError> {
        if self.nodes.contains_key(&node) {
            self.stop(node).await;
        }
        self.known.insert(node, known);
        let until = Instant::now() + DEADLINE;
        loop {
            match self.restart(node).await {
                Err(StartError::InUse) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(5)).await,
                started => return started,
            }
        }
    }

    /// Starts a blank node that is no member yet, and knows of all the others.
    pub(crate) async fn start_spare(&mut self, node: u64) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        self.members.insert(node, listener.local_addr().expect("a bound address").to_string());
        let boot = self.boot(node, listener).await.expect("a blank node starts");
        self.nodes.insert(node, boot);
    }

    /// The address of a node.
    pub(crate) fn address(&self, node: u64) -> String {
        self.members[&node].clone()
    }

    /// Starts a killed node again, once what is left of it has let go of its folder.
    pub(crate) async fn restart_when_free(&mut self, node: u64) {
        let until = Instant::now() + DEADLINE;
        loop {
            match self.restart(node).await {
                Err(StartError::InUse) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(5)).await,
                started => return started.expect("the node starts on its data"),
            }
        }
    }

    /// The folder of a node's data.
    pub(crate) fn folder_of(&self, node: u64) -> std::path::PathBuf {
        self.folder.path().join(node.to_string())
    }

    pub(crate) fn group(&self, node: u64, id: GroupId) -> &Group<Register> {
        &self.nodes[&node].groups[&id]
    }

    /// Waits until a node leads `id` and all running nodes know it.
    pub(crate) async fn leader(&self, id: GroupId) -> u64 {
        wait_for("all nodes know one leader", || {
            let leaders: Vec<_> =
                self.nodes.values().map(|node| node.groups[&id].leader().map(|leader| leader.node)).collect();
            let leader = leaders[0]?;
            let is_known = leaders.iter().all(|known| *known == Some(leader));
            (is_known && self.nodes.get(&leader)?.groups[&id].is_leader()).then_some(leader)
        })
        .await
    }

    pub(crate) async fn follower(&self, id: GroupId) -> u64 {
        let leader = self.leader(id).await;
        *self.nodes.keys().find(|node| **node != leader).expect("a follower runs")
    }

    /// Proposes through any node that runs.
    pub(crate) async fn propose(&self, id: GroupId, command: &Command) -> Result<Applied<Written>, ProposeError> {
        let node = self.nodes.values().next().expect("a node runs");
        node.groups[&id].propose_anywhere(RequestId::NONE, command, DEADLINE).await
    }

    /// Waits until all running nodes have applied the same and hold the same rows.
    pub(crate) async fn converge(&self, id: GroupId) {
        wait_for("all replicas hold the same rows", || {
            let hashes: Vec<_> = self.nodes.values().map(|node| node.replica.state_hash(id).ok()).collect();
            (hashes[0].is_some() && hashes.iter().all(|hash| *hash == hashes[0])).then_some(())
        })
        .await;
    }

    pub(crate) async fn stop_all(mut self) {
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.stop(node).await;
        }
    }
}
