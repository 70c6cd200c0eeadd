//! A node: opens its data, listens, joins its groups, works, and stops cleanly.
//!
//! ```text
//!  data ─> listen (replication answers) ─> groups ─> roles ─> workers ─> ... stop: hand over leads, end
//! ```
//!
//! Why listening comes first: nodes that start together elect their leaders through these doors.
//!
//! Must never: serve a call before its roles stand; until then the doors say "not applied".

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use machine::GroupId;
use proto::traces::{self, Settings};
use replica::{Replica, ReplicaConfig, ScrubPace, Seal, StartError, Timers, system_wall_clock, system_wall_nanos};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::app::App;
use crate::config::Config;
use crate::doors;
use crate::homes::Homes;
use crate::limits::PACKET_GROUPS_BASE;
use crate::seals::Seals;
use crate::shard::Shard;
use crate::tenpay::feed::Words;
use crate::workers;

/// How long workers may take to finish what they are at.
const FINISH: Duration = Duration::from_millis(300);

/// Where the doors find the roles, once they stand.
pub(crate) type Slot = Arc<OnceLock<Arc<App>>>;

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// What the node was told cannot be.
    #[error("{0}")]
    Config(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        error: io::Error,
    },
    /// The replicas do not start.
    #[error("the replicas do not start: {0}")]
    Replica(#[from] StartError),
    /// An address of the queue is none.
    #[error("the queue: {0}")]
    Queue(#[from] queue_client::Error),
    /// A door has closed by itself.
    #[error("a door has closed: {0}")]
    Door(String),
    /// A write or an fsync has failed. The process must end at once, without a clean stop.
    #[error("the replica has failed, and what it wrote last may not be on disk: {0}")]
    Failed(String),
}

impl NodeError {
    /// The exit code for it: 70 for a replica that has failed, so that whoever starts the node again looks first.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 70,
            Self::Config(_) | Self::Listen { .. } | Self::Replica(_) | Self::Queue(_) | Self::Door(_) => 1,
        }
    }
}

/// Runs a node until `stop` completes. Errors: it cannot start, or a door failed.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
    if let Some(fault) = config.fault() {
        return Err(NodeError::Config(fault));
    }
    let seals = Seals::new(&config).map_err(|error| NodeError::Config(error.to_string()))?;
    tokio::spawn(seals.identity.clone().watch());
    let replica = Arc::new(Replica::open(ReplicaConfig {
        node: config.node,
        folder: config.data.clone(),
        members: config.member_map(),
        timers: Timers::default(),
        wall: system_wall_clock(),
        seal: Seal::of(&seals.identity),
        known: config.known_format(),
        scrub: ScrubPace::default(),
    })?);
    if let Some(endpoint) = config.otlp.clone() {
        let (share, wall) = (config.otlp_share, Arc::new(system_wall_nanos));
        let settings = Settings { endpoint, share, service: "redpacket-app", node: config.node.to_string(), wall };
        traces::start(settings).map_err(|error| NodeError::Config(error.to_string()))?;
        replica.watch_fsyncs();
    }
    let slot = Slot::default();
    let grpc = listen(&config.grpc.to_string()).await?;
    let http = listen(&config.http.to_string()).await?;
    let mut grpc = tokio::spawn(doors::grpc::serve((grpc, seals.grpc.clone()), replica.service(), Arc::clone(&slot)));
    let mut http = tokio::spawn(doors::http::serve(http, seals.http.clone(), Arc::clone(&slot)));

    let homes = tokio::select! {
        joined = join(&config, &replica) => Arc::new(joined?),
        reason = replica.failed() => return Err(NodeError::Failed(reason)),
    };
    let judge = config.risk.as_deref().map(|address| doors::grpc::judge(address, &seals.identity.way()));
    let judge = judge.transpose().map_err(NodeError::Door)?;
    let app = Arc::new(App::new(&config, Arc::clone(&replica), homes, seals.clone(), judge)?);
    let (stopping, stopped) = watch::channel(false);
    let mut workers = workers::start(&app, &stopped);
    if let Some(topic) = &config.journal_topic {
        let words = (topic.as_str(), doors::grpc::journal_words as Words);
        workers::start_feeds(&mut workers, &app, words, &stopped);
    }
    workers.spawn(doors::grpc::lead::spread(replica.clone(), seals.identity.way(), stopped));
    // The slot was empty: it is filled here alone.
    let _ = slot.set(app);
    tracing::info!(node = config.node, grpc = %config.grpc, http = %config.http, "the node serves");

    let ended = tokio::select! {
        () = stop => Ok(()),
        end = &mut grpc => Err(door_end(end)),
        end = &mut http => Err(door_end(end)),
        reason = replica.failed() => return Err(NodeError::Failed(reason)),
    };
    stopping.send_replace(true);
    let finished = async { while workers.join_next().await.is_some() {} };
    if timeout(FINISH, finished).await.is_err() {
        tracing::info!("some work is left to the other nodes");
    }
    replica.stop().await;
    grpc.abort();
    http.abort();
    ended
}

async fn listen(address: &str) -> Result<TcpListener, NodeError> {
    let listening = TcpListener::bind(address).await;
    listening.map_err(|error| NodeError::Listen { address: address.to_owned(), error })
}

/// Opens this node's member of every group.
async fn join(config: &Config, replica: &Replica) -> Result<Homes, StartError> {
    let (mut ledger, mut packets) = (Vec::new(), Vec::new());
    for number in 1..=config.ledger_groups {
        ledger.push(Arc::new(Shard::new(replica.add_group(GroupId(number)).await?, replica.recent_fsyncs())));
    }
    for number in 1..=config.packet_groups {
        packets.push(Arc::new(Shard::new(
            replica.add_group(GroupId(PACKET_GROUPS_BASE + number)).await?,
            replica.recent_fsyncs(),
        )));
    }
    Ok(Homes::new(ledger, packets))
}

fn door_end(end: Result<Result<(), String>, tokio::task::JoinError>) -> NodeError {
    NodeError::Door(match end {
        Ok(Ok(())) => "it ended".to_owned(),
        Ok(Err(reason)) => reason,
        Err(error) => error.to_string(),
    })
}
