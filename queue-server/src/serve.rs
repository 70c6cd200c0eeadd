//! Starts a node: listens first, then opens its groups, and stops cleanly on a signal.

use std::sync::Arc;
use std::time::Duration;

use proto::traces::{self, Settings};
use replica::{Replica, ReplicaConfig, ScrubPace, Seal, StartError, Timers, system_wall_clock, system_wall_nanos};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::doors::{
    CmqHttp, Console, Entrance, KeyRing, NodeBroker, http_router, read_operator, serve_grpc, serve_http, serve_tcp,
};
use crate::node::Node;
use crate::push;
use crate::restore::restore;
use crate::seals::Seals;

/// Time that calls under way get at a stop.
const STOP_GRACE: Duration = Duration::from_millis(200);

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// What the node was told cannot be.
    #[error("{0}")]
    Config(String),
    /// The replica does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// An address cannot be listened on, or a signal not be waited for.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A server ended by itself.
    #[error("the gRPC server ended: {0}")]
    Server(String),
    /// A write or an fsync has failed. The process must end at once, without a clean stop.
    #[error("the replica has failed, and what it wrote last may not be on disk: {0}")]
    Failed(String),
}

impl RunError {
    /// The exit code for it: 70 for a replica that has failed, so that whoever starts the node again looks first.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 70,
            Self::Config(_) | Self::Start(_) | Self::Io { .. } | Self::Server(_) => 1,
        }
    }
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> RunError {
    let what = what.into();
    move |error| RunError::Io { what, error }
}

/// Runs a node until SIGTERM or SIGINT.
pub async fn run(config: Config) -> Result<(), RunError> {
    if let Some(fault) = config.fault() {
        return Err(RunError::Config(fault));
    }
    let operator = config.operator_key.as_deref().map(read_operator).transpose().map_err(RunError::Config)?;
    let seals = Arc::new(Seals::new(&config).map_err(|error| RunError::Config(error.to_string()))?);
    let trust = push::Trust::new(&config.push_ca).map_err(RunError::Config)?;
    tracing::debug!(descriptors = tls::descriptors(), "files and connections this process may have");
    let grpc = TcpListener::bind(config.grpc).await.map_err(io(format!("listening on {}", config.grpc)))?;
    let http = TcpListener::bind(config.http).await.map_err(io(format!("listening on {}", config.http)))?;
    let tcp = TcpListener::bind(config.tcp).await.map_err(io(format!("listening on {}", config.tcp)))?;
    let replica = Arc::new(Replica::open(ReplicaConfig {
        node: config.node,
        folder: config.data.clone(),
        members: config.members(),
        timers: Timers::default(),
        wall: system_wall_clock(),
        seal: Seal::of(&seals.identity),
        known: config.known_format(),
        scrub: ScrubPace::default(),
    })?);
    if let Some(backup) = &config.restore {
        restore(&replica, backup, config.groups).await?;
    }
    if let Some(endpoint) = config.otlp.clone() {
        let (share, wall) = (config.otlp_share, Arc::new(system_wall_nanos));
        let settings = Settings { endpoint, share, service: "queue-server", node: config.name(), wall };
        traces::start(settings).map_err(|error| RunError::Config(error.to_string()))?;
        replica.watch_fsyncs();
    }
    let node = Arc::new(Node::new(&config, Arc::clone(&replica), Arc::clone(&seals)));
    tokio::spawn(seals.identity.clone().watch());
    let (stop, stopped) = watch::channel(false);
    let keys = Arc::new(KeyRing::new(Arc::clone(&node), operator, config.local_key));
    let entrance = Entrance::new(Arc::clone(&keys), config.hosts(), system_wall_clock(), config.keyless);
    let server = tokio::spawn(serve_grpc(Arc::clone(&node), entrance, grpc, stopped.clone()));
    let broker = Arc::new(NodeBroker::new(Arc::clone(&node), config.tcp_routes()));
    let cmq = CmqHttp::new(Arc::clone(&broker) as _, Arc::clone(&keys)).router();
    let console = Console::new(Arc::clone(&node), Arc::clone(&keys), &config).map_err(RunError::Config)?.router();
    tokio::spawn(serve_tcp(tcp, seals.tcp.clone(), broker, keys));
    let pages = http_router(Arc::clone(&node)).merge(cmq).merge(console);
    tokio::spawn(serve_http(http, seals.http.clone(), pages));
    let serve = async {
        node.open_groups(config.groups).await?;
        tokio::spawn(push::run(Arc::clone(&node), config.push_reach(), trust, stopped));
        tracing::info!(node = config.node, grpc = %config.grpc, http = %config.http, tcp = %config.tcp, "serving");
        wait_for_signal().await.map_err(io("waiting for a signal"))
    };
    tokio::select! {
        served = serve => served?,
        reason = replica.failed() => return Err(RunError::Failed(reason)),
    }
    tracing::info!("stopping: handing over what this node leads");
    replica.stop().await;
    stop.send_replace(true);
    match tokio::time::timeout(STOP_GRACE, server).await {
        Ok(Ok(result)) => result.map_err(RunError::Server),
        // Streams that clients keep open end with the process.
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

async fn wait_for_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
