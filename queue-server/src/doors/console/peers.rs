//! The way to the other nodes, and to this one: the rpcs that every client uses, on one kept connection a node, signed by
//! the operator's key pair where this node has it.
//!
//! Must never: repeat a call that may have happened.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Instant;

use machine::GroupId;
use parking_lot::Mutex;
use proto::admin::v1::admin_client::AdminClient;
use proto::credentials::{Clock, Credentials, Signer};
use proto::limits::WIRE_BYTES_MAX;
use proto::outcome::{Hint, Outcome, not_applied, outcome_of, unknown};
use proto::queue::v1::history_client::HistoryClient;
use proto::queue::v1::queue_client::QueueClient;
use proto::queue::v1::topics_client::TopicsClient;
use queue_core::PlaceKind;
use tls::Way;
use tokio::time::{sleep, timeout_at};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::fault::Fault;
use super::limits::{CALL_MAX, LEADER_PAUSE, PEER_MAX};
use crate::node::{LocateError, Node};

/// Connections to nodes.
pub(super) struct Peers {
    first: BTreeMap<u64, String>,
    asker: Asker,
    peers: Mutex<BTreeMap<String, Peer>>,
}

/// Who asks, and how.
pub(super) struct Asker {
    pub(super) way: Way,
    pub(super) credentials: Option<Credentials>,
    pub(super) clock: Clock,
}

type Signed = InterceptedService<Channel, Signer>;

/// One connection, as the services see it.
#[derive(Clone)]
pub(super) struct Peer(Signed);

impl Peer {
    pub(super) fn admin(&self) -> AdminClient<Signed> {
        AdminClient::new(self.0.clone()).max_decoding_message_size(WIRE_BYTES_MAX)
    }

    pub(super) fn queue(&self) -> QueueClient<Signed> {
        QueueClient::new(self.0.clone()).max_decoding_message_size(WIRE_BYTES_MAX)
    }

    pub(super) fn history(&self) -> HistoryClient<Signed> {
        HistoryClient::new(self.0.clone()).max_decoding_message_size(WIRE_BYTES_MAX)
    }

    pub(super) fn topics(&self) -> TopicsClient<Signed> {
        TopicsClient::new(self.0.clone()).max_decoding_message_size(WIRE_BYTES_MAX)
    }
}

impl Peers {
    /// `first`: the members that this node was started with.
    pub(super) fn new(first: BTreeMap<u64, String>, asker: Asker) -> Self {
        Self { first, asker, peers: Mutex::default() }
    }

    /// The members as the directory's group has them; before it knows any, those of the start.
    pub(super) fn members(&self, node: &Node) -> BTreeMap<u64, String> {
        let directory = node.replica().status().into_iter().find(|status| status.group == GroupId::META);
        let members = directory.map(|status| status.members).unwrap_or_default();
        if members.is_empty() {
            return self.first.clone();
        }
        members.into_iter().map(|(node, address, _)| (node, address)).collect()
    }

    /// The node at an address. Errors: the address is none.
    pub(super) fn at(&self, address: &str) -> Result<Peer, Status> {
        let mut peers = self.peers.lock();
        if let Some(peer) = peers.get(address) {
            return Ok(peer.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| not_applied(&error.to_string(), Hint::default()))?;
        let Asker { way, credentials, clock } = &self.asker;
        let channel = way.channel(&endpoint.tcp_nodelay(true).connect_timeout(PEER_MAX));
        let signer = Signer::new(credentials.as_ref(), address, Clock::clone(clock));
        let peer = Peer(InterceptedService::new(channel, signer));
        peers.insert(address.to_owned(), peer.clone());
        Ok(peer)
    }

    /// A call to the leader of a queue's group; it goes on to the next one while there is certainly nothing done.
    /// Errors: the queue is missing, no leader took the call in time, or what the leader said.
    pub(super) async fn led<T, C>(
        &self,
        node: &Node,
        queue: &str,
        call: impl Fn(Peer) -> C + Send + Sync,
    ) -> Result<T, Fault>
    where
        T: Send,
        C: Future<Output = Result<Response<T>, Status>> + Send,
    {
        self.led_as(node, PlaceKind::Queue, queue, call).await
    }

    /// As [`Self::led`], of a topic or a queue.
    pub(super) async fn led_as<T, C>(
        &self,
        node: &Node,
        kind: PlaceKind,
        name: &str,
        call: impl Fn(Peer) -> C + Send + Sync,
    ) -> Result<T, Fault>
    where
        T: Send,
        C: Future<Output = Result<Response<T>, Status>> + Send,
    {
        let until = Instant::now() + CALL_MAX;
        let mut last = Fault::unavailable("no leader is known now");
        loop {
            if let Some(address) = leader_of(node, kind, name).await? {
                let answer = timeout_at(until.into(), call(self.at(&address)?)).await;
                match answer.unwrap_or_else(|_| Err(unknown("no answer in time", Hint::default()))) {
                    Ok(reply) => return Ok(reply.into_inner()),
                    Err(status) if is_worth_another(&status) => last = status.into(),
                    Err(status) => return Err(status.into()),
                }
            }
            if Instant::now() + LEADER_PAUSE >= until {
                return Err(last);
            }
            sleep(LEADER_PAUSE).await;
        }
    }
}

/// Certainly nothing was done, and another node may lead soon.
fn is_worth_another(status: &Status) -> bool {
    matches!(outcome_of(status), Outcome::NotApplied(_))
}

/// Where the leader of a queue's or a topic's group is. Errors: it does not exist, or the directory cannot be read.
async fn leader_of(node: &Node, kind: PlaceKind, name: &str) -> Result<Option<String>, Fault> {
    let place = match kind {
        PlaceKind::Queue => node.place(name).await,
        PlaceKind::Topic => node.place_of_topic(name).await,
    };
    match place {
        Ok(place) => Ok(node.group(place.group).and_then(|group| group.leader()).map(|leader| leader.address)),
        Err(LocateError::Unknown) => Err(Fault::missing(name)),
        Err(LocateError::Unavailable(reason)) => Err(Fault::unavailable(&reason)),
        Err(LocateError::NotHere(_)) => Ok(None),
    }
}
