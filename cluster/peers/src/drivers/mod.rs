//! Drivers: how each system's own client sends, confirms, receives and acknowledges.
//!
//! ```text
//!  Site ── create ──> an empty queue, and who leads it
//!       ── outlet ──> start(messages) ──> a future that ends with the confirm
//!       ── consume ─> deliveries and acknowledgements into the tally, until it is over and nothing comes
//! ```
//!
//! Must never: confirm before the system has; or help one client with what another one has to do itself.

mod nats;
mod rabbit;
mod tercet;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::sleep;

use crate::error::Error;
use crate::limits::SETTLE;
use crate::load::head_of;
use crate::plan::System;
use crate::tally::Tally;

/// Ends when the messages are kept.
pub(crate) type Confirm = BoxFuture<'static, Result<(), Error>>;

/// A running system and the queue in it.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Whose.
    pub(crate) system: System,
    /// Where its nodes listen for clients.
    pub(crate) urls: Vec<String>,
    /// The queue's name.
    pub(crate) queue: String,
    /// The operators' command and the cluster's folder, where the leader is asked for by it.
    pub(crate) status: Option<Arc<tercet::Status>>,
}

pub(crate) use tercet::Status;

impl System {
    /// Whether its client finds the next leader itself and repeats what is in doubt under the same id.
    pub(crate) const fn heals_itself(self) -> bool {
        matches!(self, Self::Tercet)
    }
}

impl Site {
    /// Makes the queue anew, empty; says which node leads it. `batches`: whether calls of many messages will come.
    pub(crate) async fn create(&self, batches: bool) -> Result<usize, Error> {
        match self.system {
            System::Rabbit => rabbit::create(self).await?,
            System::NatsAlways | System::NatsDefault => nats::create(self, batches).await?,
            System::Tercet => tercet::create(self).await?,
        }
        sleep(SETTLE).await;
        self.leader().await
    }

    /// Which node leads the queue.
    pub(crate) async fn leader(&self) -> Result<usize, Error> {
        match self.system {
            // A queue is led by the node at which it was declared.
            System::Rabbit => Ok(0),
            System::NatsAlways | System::NatsDefault => nats::leader(self).await,
            System::Tercet => tercet::leader(self).await,
        }
    }

    /// A producer's way out, connected to a node.
    pub(crate) async fn outlet(&self, node: usize) -> Result<Outlet, Error> {
        let url = self.url(node);
        Ok(match self.system {
            System::Rabbit => Outlet::Rabbit(rabbit::Outlet::open(url, &self.queue).await?),
            System::NatsAlways | System::NatsDefault => Outlet::Nats(nats::Outlet::open(url, &self.queue).await?),
            System::Tercet => Outlet::Tercet(tercet::Outlet::open(self)?),
        })
    }

    /// Receives and acknowledges, until the tally is over and nothing comes any more.
    pub(crate) async fn consume(&self, node: usize, intake: Intake) -> Result<(), Error> {
        let url = self.url(node);
        match self.system {
            System::Rabbit => rabbit::consume(url, &self.queue, intake).await,
            System::NatsAlways | System::NatsDefault => nats::consume(url, &self.queue, intake).await,
            System::Tercet => tercet::consume(self, intake).await,
        }
    }

    fn url(&self, node: usize) -> &str {
        self.urls.get(node % self.urls.len().max(1)).map_or("", String::as_str)
    }
}

/// A producer's way out.
pub(crate) enum Outlet {
    Rabbit(rabbit::Outlet),
    Nats(nats::Outlet),
    Tercet(tercet::Outlet),
}

impl Outlet {
    /// Hands messages to the client, in order; the future that comes back is their confirm.
    pub(crate) async fn start(&self, messages: Vec<Bytes>) -> Result<Confirm, Error> {
        match self {
            Self::Rabbit(outlet) => outlet.start(messages).await,
            Self::Nats(outlet) => outlet.start(messages).await,
            Self::Tercet(outlet) => outlet.start(messages).await,
        }
    }
}

/// Where a consumer counts, and how much it may hold.
#[derive(Clone, Debug)]
pub(crate) struct Intake {
    pub(crate) tally: Arc<Tally>,
    /// Messages that are delivered and not acknowledged.
    pub(crate) prefetch: usize,
    /// Messages that one acknowledgement may cover.
    pub(crate) batch: usize,
}

impl Intake {
    /// Counts a delivery; says when the message should have been sent.
    fn deliver(&self, body: &[u8], is_again: bool) -> u64 {
        let (intended_ns, id) = head_of(body).unwrap_or_default();
        self.tally.deliver(intended_ns, id, is_again);
        intended_ns
    }
}
