//! gRPC as the carrier: a transport of lazily opened channels, and the service that hands messages to the switchboard.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use tls::{Identity, Keeper, Met, Name, Way};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{ConnectError, Request, Response, Status, Streaming};

use super::frames::append;
use super::parcel::Parcel;
use super::port::{Sender, Switchboard};
use super::speaker::Speaker;
use super::transport::{Answers, Lane, Transport, TransportError};
use super::wire::Frame;
use super::wire::replication_client::ReplicationClient;
use super::wire::replication_server::{Replication, ReplicationServer};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::lineage::{Ancestry, Lineage};

/// Time for a connection to open. Peers stand near each other; a dead one must not hold up an election.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(400);
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Between two looks at a peer whose connection ended and that still listens, or cannot be reached.
const STAY_AGAIN_AFTER: Duration = Duration::from_millis(50);
const WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// How nodes prove to each other who they are.
#[derive(Clone, Debug)]
pub struct Seal {
    /// This node's papers.
    pub keeper: Arc<Keeper>,
    /// What the nodes are nodes of, as it stands in their certificates.
    pub house: &'static str,
}

impl Seal {
    /// The seal of a node. `None`: it has no certificates, and neither have its peers.
    #[must_use]
    pub fn of(identity: &Identity) -> Option<Self> {
        identity.keeper().map(|keeper| Self { keeper, house: identity.house() })
    }

    /// The node that a certificate was shown of. `None`: none of these nodes.
    fn node(&self, met: &Met) -> Option<u64> {
        met.names.iter().find_map(|name| match name {
            Name::Node { house, number } if house == self.house => Some(*number),
            Name::Node { .. } | Name::Client(_) => None,
        })
    }
}

/// Carries messages over gRPC.
pub struct GrpcTransport {
    seal: Option<Seal>,
    /// The cluster in whose name this node speaks.
    ancestry: Arc<Ancestry>,
    /// Which node is at an address.
    nodes: Mutex<BTreeMap<String, u64>>,
    channels: Mutex<BTreeMap<(Lane, String), Channel>>,
}

impl GrpcTransport {
    /// A transport that believes whom it calls by the seal, if there is one.
    #[must_use]
    pub fn new(seal: Option<Seal>) -> Self {
        Self::of(seal, Arc::default())
    }

    /// As [`Self::new`], of a node that belongs to a cluster.
    pub(crate) fn of(seal: Option<Seal>, ancestry: Arc<Ancestry>) -> Self {
        Self { seal, ancestry, nodes: Mutex::default(), channels: Mutex::default() }
    }

    /// The way to whoever must be at an address. Errors: no node is known there.
    fn way(&self, address: &str) -> Result<Way, TransportError> {
        let Some(seal) = &self.seal else { return Ok(Way::default()) };
        let node = self.nodes.lock().get(address).copied();
        let node = node.ok_or_else(|| TransportError::Unreachable {
            address: address.to_owned(),
            reason: "no node is known to be there".to_owned(),
        })?;
        Ok(Way::new(Some(Arc::clone(&seal.keeper))).to(Name::node(seal.house, node)))
    }

    fn channel(&self, lane: Lane, address: &str) -> Result<Channel, TransportError> {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(&(lane, address.to_owned())) {
            return Ok(channel.clone());
        }
        let unreachable = |error: tonic::transport::Error| TransportError::Unreachable {
            address: address.to_owned(),
            reason: error.to_string(),
        };
        let way = self.way(address)?;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(unreachable)?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(2 * WINDOW_BYTES);
        let channel = way.channel(&endpoint);
        channels.insert((lane, address.to_owned()), channel.clone());
        Ok(channel)
    }

    fn client(&self, lane: Lane, address: &str) -> Result<ReplicationClient<Channel>, TransportError> {
        Ok(ReplicationClient::new(self.channel(lane, address)?)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX))
    }
}

impl Transport for GrpcTransport {
    fn call(&self, lane: Lane, address: &str, request: Bytes) -> BoxFuture<'static, Result<Bytes, TransportError>> {
        let client = self.client(lane, address);
        let (address, lineage) = (address.to_owned(), self.ancestry.own().number());
        Box::pin(async move {
            let answer = client?.call(Frame { data: request, lineage }).await;
            answer.map(|frame| frame.into_inner().data).map_err(|status| transport_error(address, &status))
        })
    }

    fn stream(
        &self,
        lane: Lane,
        address: &str,
        requests: BoxStream<'static, Parcel>,
    ) -> BoxFuture<'static, Result<Answers, TransportError>> {
        let lineage = self.ancestry.own().number();
        Box::pin(open_stream(self.channel(lane, address), address.to_owned(), requests, lineage))
    }

    fn meet(&self, node: u64, address: &str) {
        let before = self.nodes.lock().insert(address.to_owned(), node);
        // Another node is there now: the channels to the one before it would not believe it.
        if self.seal.is_some() && before.is_some_and(|before| before != node) {
            self.channels.lock().retain(|(_, at), _| at != address);
        }
    }

    fn gone(&self, address: &str) -> BoxFuture<'static, ()> {
        let client = self.client(Lane::Control, address);
        let address = address.to_owned();
        Box::pin(async move {
            // Who has no address was never there.
            let Ok(mut client) = client else { return std::future::pending().await };
            while client.stay(Frame::default()).await.is_err() && !is_refused(&address).await {
                sleep(STAY_AGAIN_AFTER).await;
            }
        })
    }
}

/// Whether the host answers that nobody listens there. Of a host that does not answer nothing is known.
async fn is_refused(address: &str) -> bool {
    match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Err(error)) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        Ok(Ok(_)) | Err(_) => false,
    }
}

async fn open_stream(
    channel: Result<Channel, TransportError>,
    address: String,
    requests: BoxStream<'static, Parcel>,
    lineage: u64,
) -> Result<Answers, TransportError> {
    let opened = append(channel?, requests, lineage).await;
    let answers = opened.map_err(|status| transport_error(address.clone(), &status))?;
    let read = move |frame: Result<Frame, Status>| {
        frame.map(|frame| frame.data).map_err(|status| transport_error(address.clone(), &status))
    };
    Ok(answers.map(read).boxed())
}

fn transport_error(address: String, status: &Status) -> TransportError {
    let reason = status.message().to_owned();
    // A connection that could not be opened: the request has not left. One that breaks later has another cause.
    let mut cause = status.source();
    while let Some(error) = cause
        && !error.is::<ConnectError>()
    {
        cause = error.source();
    }
    if cause.is_some() {
        TransportError::Unreachable { address, reason }
    } else {
        TransportError::Broken { address, reason }
    }
}

/// The service peers call. Add it to the server that listens on the node's address.
pub type ReplicationService = ReplicationServer<Carrier>;

/// Hands messages to the groups of this process.
pub struct Carrier {
    switchboard: Arc<Switchboard>,
    seal: Option<Seal>,
}

impl Carrier {
    pub(crate) fn service(switchboard: Arc<Switchboard>, seal: Option<Seal>) -> ReplicationService {
        ReplicationServer::new(Self { switchboard, seal })
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Who sends a request. Errors: nodes prove who they are, and this one has not.
    fn speaker<T>(&self, request: &Request<T>) -> Result<Speaker, Status> {
        let Some(seal) = &self.seal else { return Ok(Speaker::Anybody) };
        let met = request.extensions().get::<Met>().cloned().unwrap_or_default();
        seal.node(&met).map(Speaker::Node).ok_or_else(|| {
            let address = met.address.map_or_else(String::new, |address| address.to_string());
            // No warning: a stranger would fill the log.
            tracing::debug!(address, names = ?met.names, "only nodes of this cluster replicate, by their certificates");
            Status::permission_denied("only nodes of this cluster replicate, by their certificates")
        })
    }
}

#[tonic::async_trait]
impl Replication for Carrier {
    async fn call(&self, request: Request<Frame>) -> Result<Response<Frame>, Status> {
        let speaker = self.speaker(&request)?;
        let Frame { data, lineage } = request.into_inner();
        let data = self.switchboard.call_by(Sender { speaker, lineage: Lineage::of(lineage) }, data).await;
        Ok(Response::new(Frame { data, lineage: 0 }))
    }

    async fn stay(&self, request: Request<Frame>) -> Result<Response<Frame>, Status> {
        self.speaker(&request)?;
        self.switchboard.left().await;
        Ok(Response::new(Frame::default()))
    }

    type AppendStream = BoxStream<'static, Result<Frame, Status>>;

    async fn append(&self, request: Request<Streaming<Frame>>) -> Result<Response<Self::AppendStream>, Status> {
        let speaker = self.speaker(&request)?;
        // A broken connection ends the input like a close does; the leader opens a new stream.
        let mut frames = request.into_inner().scan((), |(), frame| futures::future::ready(frame.ok()));
        let Some(first) = frames.next().await else { return Ok(Response::new(futures::stream::empty().boxed())) };
        // The same in all of them: who sends entries is not blank, and his lineage changes no more.
        let sender = Sender { speaker, lineage: Lineage::of(first.lineage) };
        let messages = futures::stream::iter([first]).chain(frames).map(|frame| frame.data);
        let answers = self.switchboard.stream_by(sender, messages.boxed()).await;
        Ok(Response::new(answers.map(|data| Ok(Frame { data, lineage: 0 })).boxed()))
    }
}
