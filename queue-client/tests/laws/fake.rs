//! A node that plays a script: it answers calls as a good node would, unless a test has put something else on its list.
//!
//! Why: what a client does when nodes fail must be shown with failures that come when they are asked for.
//!
//! Must never: sleep. A test waits for what a node has seen.

mod service;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proto::limits::WIRE_BYTES_MAX;
use proto::queue::v1::queue_server::QueueServer;
use proto::queue::v1::{Message, NewMessage, RequestId};
use queue_client::{Client, ClientConfig, Error};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::transport::Server;

use service::Fake;

/// Nothing a test waits for takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The group that holds every queue until a test says otherwise.
pub(crate) const GROUP: u32 = 1;

/// What a node does instead of answering as a good node would.
pub(crate) enum Play {
    /// Fails the call.
    Fail(Status),
    /// Never answers.
    Hang,
    /// Answers once the test has notified.
    After(Arc<Notify>),
    /// Ends the stream, or the connection of a call outside it, without an answer.
    Break,
    /// Takes the messages under leases for the request, and never answers.
    TakeAndHang,
}

/// A call as the node saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    /// The verb, in the contract's spelling.
    pub(crate) verb: &'static str,
    /// The id it came under.
    pub(crate) request: RequestId,
    /// Receipts of ack, extend and release; number of messages of send; messages_max of receive; group of a session.
    pub(crate) numbers: Vec<u64>,
    /// Of a release.
    pub(crate) failed: bool,
    /// Of a release, and the wait of a receive.
    pub(crate) delay_ms: u64,
}

/// What a node knows; outlives the node's process.
pub(crate) struct Mind {
    pub(crate) seen: watch::Sender<Vec<Seen>>,
    pub(crate) script: Mutex<HashMap<&'static str, VecDeque<Play>>>,
    pub(crate) messages: Mutex<VecDeque<Message>>,
    pub(crate) received: Mutex<BTreeMap<(u64, u64), Vec<Message>>>,
    pub(crate) arrived: Notify,
    pub(crate) group: Mutex<u32>,
    pub(crate) lost: Mutex<Vec<u64>>,
}

/// A running node.
pub(crate) struct Node {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// What it knows.
    pub(crate) mind: Arc<Mind>,
    runtime: Option<Runtime>,
}

impl Node {
    /// Starts a node on a free port.
    pub(crate) fn start() -> Self {
        let mind = Mind {
            seen: watch::Sender::new(Vec::new()),
            script: Mutex::default(),
            messages: Mutex::default(),
            received: Mutex::default(),
            arrived: Notify::new(),
            group: Mutex::new(GROUP),
            lost: Mutex::default(),
        };
        let mut node = Self { address: ([127, 0, 0, 1], 0).into(), mind: Arc::new(mind), runtime: None };
        node.restart();
        node
    }

    /// Starts the node again where it was, with what it knows.
    pub(crate) fn restart(&mut self) {
        let listener = std::net::TcpListener::bind(self.address).expect("the port is free");
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        self.address = listener.local_addr().expect("a bound listener has an address");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime starts");
        let fake = Fake { mind: Arc::clone(&self.mind) };
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("the listener is non-blocking");
            let incoming = TcpListenerStream::new(listener);
            let service = QueueServer::new(fake).max_decoding_message_size(WIRE_BYTES_MAX);
            Server::builder().add_service(service).serve_with_incoming(incoming).await
        });
        self.runtime = Some(runtime);
    }

    /// Ends the node with all its connections.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A test's own thread must not wait for the end of a runtime.
            let end = std::thread::spawn(move || runtime.shutdown_timeout(PATIENCE));
            end.join().expect("a runtime ends");
        }
    }

    /// Puts something on the list of `verb`.
    pub(crate) fn play(&self, verb: &'static str, play: Play) {
        self.mind.script.lock().entry(verb).or_default().push_back(play);
    }

    /// Puts a message into the queue; its id is its receipt.
    pub(crate) fn put(&self, receipt: u64, times_failed: u32) {
        self.mind.messages.lock().push_back(Message { id: receipt, receipt, times_failed, ..Message::default() });
        self.mind.arrived.notify_waiters();
    }

    /// The calls of `verb` so far.
    pub(crate) fn calls(&self, verb: &str) -> Vec<Seen> {
        self.mind.seen.borrow().iter().filter(|seen| seen.verb == verb).cloned().collect()
    }

    /// Waits until `verb` was called `count` times.
    pub(crate) async fn until(&self, verb: &str, count: usize) -> Vec<Seen> {
        let mut seen = self.mind.seen.subscribe();
        let enough = |seen: &Vec<Seen>| seen.iter().filter(|seen| seen.verb == verb).count() >= count;
        timeout(PATIENCE, seen.wait_for(enough)).await.expect("the calls come in time").expect("the node lives");
        self.calls(verb)
    }

    /// The address as text.
    pub(crate) fn name(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client of these nodes, quick to give up a silent one.
pub(crate) fn client(nodes: &[&Node]) -> Client {
    let mut config = ClientConfig::new(nodes.iter().map(|node| node.name()));
    config.call_timeout = PATIENCE;
    config.attempt_timeout = PATIENCE;
    Client::new(config).expect("the addresses are good")
}

/// A message with a body of this size.
pub(crate) fn message(bytes: usize) -> NewMessage {
    NewMessage { body: vec![b'x'; bytes].into(), ..NewMessage::default() }
}

/// Waits for a result.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("the work ends in time")
}

/// The id in an error that must be unknown.
pub(crate) fn unknown(error: Error) -> RequestId {
    match error {
        Error::Unknown { request, .. } => request,
        other => unreachable!("{other} must be unknown"),
    }
}
