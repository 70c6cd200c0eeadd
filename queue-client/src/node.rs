//! A node: one connection that is made when first needed and made again when lost, and the link on it.
//!
//! Must never: take a connection that was refused for a call that may have happened, nor the other way round.

use std::error::Error as _;
use std::sync::Arc;

use proto::limits::{FRAME_BYTES_MAX, WIRE_BYTES_MAX};
use proto::outcome::{self, Hint};
use proto::queue::v1::exchange_reply::Outcome as Reply;
use proto::queue::v1::exchange_request::Call;
use proto::queue::v1::history_client::HistoryClient;
use proto::queue::v1::moves_client::MovesClient;
use proto::queue::v1::queue_client::QueueClient;
use proto::queue::v1::topics_client::TopicsClient;
use tls::Way;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{ConnectError, Request, Response, Status};

use crate::config::ClientConfig;
use crate::credentials::{Signer, signer};
use crate::error::Error;
use crate::limits::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES};
use crate::link::Link;

/// A connection whose calls are signed, where there is a key pair.
pub(crate) type Signed = InterceptedService<Channel, Signer>;

/// One node of the cluster.
#[derive(Debug)]
pub(crate) struct Node {
    address: String,
    queues: QueueClient<Signed>,
    topics: TopicsClient<Signed>,
    history: HistoryClient<Signed>,
    moves: MovesClient<Signed>,
    link: Mutex<Option<Arc<Link>>>,
}

impl Node {
    /// A node at `address`; nothing is connected yet. Errors: `NotApplied`, the address is none, or asks for TLS where there
    /// is none to be had.
    pub(crate) fn new(address: &str, config: &ClientConfig) -> Result<Self, Error> {
        let (scheme, host) = address.split_once("://").unwrap_or(("", address));
        if scheme == "https" && config.tls.is_none() {
            return Err(Error::NotApplied {
                reason: format!("{address} asks for TLS, and no authority is configured"),
            });
        }
        // How the connection is made says the way, not the address.
        let endpoint = Endpoint::from_shared(format!("http://{host}"))
            .map_err(|error| Error::NotApplied { reason: format!("{address} is no address: {error}") })?
            .connect_timeout(config.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(config.keepalive_interval)
            .keep_alive_timeout(config.keepalive_timeout)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX);
        let signer = signer(config.credentials.as_ref(), address);
        let channel = Way::new(config.tls.clone()).channel(&endpoint);
        let channel = InterceptedService::new(channel, signer);
        let queues = QueueClient::new(channel.clone())
            .max_decoding_message_size(WIRE_BYTES_MAX)
            .max_encoding_message_size(WIRE_BYTES_MAX);
        let topics = TopicsClient::new(channel.clone()).max_encoding_message_size(WIRE_BYTES_MAX);
        let moves = MovesClient::new(channel.clone());
        let history = HistoryClient::new(channel).max_decoding_message_size(WIRE_BYTES_MAX);
        Ok(Self { address: address.to_owned(), queues, topics, history, moves, link: Mutex::new(None) })
    }

    /// The address it was given or named by.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The queues' contract, for calls outside the link.
    pub(crate) fn queues(&self) -> QueueClient<Signed> {
        self.queues.clone()
    }

    /// The topics' contract.
    pub(crate) fn topics(&self) -> TopicsClient<Signed> {
        self.topics.clone()
    }

    /// The contract of what became of messages.
    pub(crate) fn history(&self) -> HistoryClient<Signed> {
        self.history.clone()
    }

    /// The contract of moves between groups.
    pub(crate) fn moves(&self) -> MovesClient<Signed> {
        self.moves.clone()
    }

    /// Makes a call on the link, opening it if need be.
    pub(crate) async fn exchange(&self, call: Call, until: Instant) -> Result<Reply, Status> {
        let link = timeout_at(until, self.link())
            .await
            .unwrap_or_else(|_| Err(outcome::not_applied("no stream in time", Hint::default())))?;
        link.call(call, until).await
    }

    async fn link(&self) -> Result<Arc<Link>, Status> {
        let mut slot = self.link.lock().await;
        if let Some(link) = slot.as_ref().filter(|link| !link.is_broken()) {
            return Ok(Arc::clone(link));
        }
        // Whatever went wrong, no call was on the stream yet.
        let link = Link::open(self.queues()).await.map_err(|status| match outcome::outcome_of(&status) {
            outcome::Outcome::Unknown(hint) => outcome::not_applied(status.message(), hint),
            _ => status,
        })?;
        let link = Arc::new(link);
        *slot = Some(Arc::clone(&link));
        Ok(link)
    }
}

/// A request that the server, too, drops at `until`.
pub(crate) fn until_request<T>(message: T, until: Instant) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(until.saturating_duration_since(Instant::now()));
    request
}

/// The answer of a call outside the link, or its failure with an outcome.
pub(crate) async fn until_answer<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
    until: Instant,
) -> Result<T, Status> {
    match timeout_at(until, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) if is_unsent(&status) => Err(outcome::not_applied(status.message(), Hint::default())),
        Ok(Err(status)) => Err(status),
        Err(_) => Err(outcome::unknown("no answer in time", Hint::default())),
    }
}

/// Whether the connection was never made, so that the call never left.
fn is_unsent(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
