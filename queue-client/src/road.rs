//! What all calls of a client share: the cluster, the sessions, and where queues and topics live.
//!
//! Must never: keep a group once a node has said that it is another one.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use proto::queue::v1::{LocateRequest, OpenSessionRequest};
use tokio::time::{Instant, timeout_at};

use crate::cluster::Cluster;
use crate::config::ClientConfig;
use crate::error::Error;
use crate::journey::{Home, Journey, Terms};
use crate::session::{Lane, Permit, Session, Sessions};

/// The shared part of a client.
#[derive(Debug)]
pub(crate) struct Road {
    pub(crate) config: ClientConfig,
    pub(crate) cluster: Cluster,
    sessions: Sessions,
    routes: Mutex<BTreeMap<(Named, String), u32>>,
}

/// What a name names: queues and topics have names of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Named {
    /// A queue.
    Queue,
    /// A topic.
    Topic,
}

impl Road {
    pub(crate) fn new(config: ClientConfig) -> Result<Self, Error> {
        let cluster = Cluster::new(&config)?;
        Ok(Self { config, cluster, sessions: Sessions::default(), routes: Mutex::default() })
    }

    /// The group of what is called `name`, asked for where it is not known.
    pub(crate) async fn group_of(&self, named: Named, name: &str, deadline: Instant) -> Result<u32, Error> {
        let route = (named, name.to_owned());
        if let Some(group) = self.routes.lock().get(&route).copied() {
            return Ok(group);
        }
        let group = self.locate(named, name, deadline).await?;
        self.routes.lock().insert(route, group);
        Ok(group)
    }

    /// Forgets where `name` lives.
    pub(crate) fn forget(&self, named: Named, name: &str) {
        self.routes.lock().remove(&(named, name.to_owned()));
    }

    /// A new request id in `group`. Errors: no session could be opened, or no number was free by the deadline.
    pub(crate) async fn permit(&self, group: u32, lane: Lane, deadline: Instant) -> Result<Permit, Error> {
        let lane_permit = async {
            let sessions = self.sessions.of(group);
            let session = match (sessions.take(lane), lane) {
                (Some(session), _) => session,
                (None, Lane::Poll) => self.open_session(group, deadline).await?,
                (None, Lane::Shared) => {
                    let _opening = sessions.opening.lock().await;
                    match sessions.take(lane) {
                        Some(session) => session,
                        None => {
                            let session = self.open_session(group, deadline).await?;
                            sessions.share(&session);
                            session
                        }
                    }
                }
            };
            Ok(sessions.permit(lane, session).await)
        };
        timeout_at(deadline, lane_permit)
            .await
            .unwrap_or_else(|_| Err(Error::NotApplied { reason: "no request id was free in time".to_owned() }))
    }

    // Both are boxed: a journey may need them, and they are journeys.

    fn locate<'a>(&'a self, named: Named, name: &'a str, deadline: Instant) -> BoxFuture<'a, Result<u32, Error>> {
        async move {
            let verb = match named {
                Named::Queue => LocateRequest { queue: name.to_owned(), topic: String::new() },
                Named::Topic => LocateRequest { queue: String::new(), topic: name.to_owned() },
            };
            let reply = Journey::new(self, verb, Home::Anywhere, Terms::until(deadline)).run().await?;
            Ok(reply.group)
        }
        .boxed()
    }

    fn open_session(&self, group: u32, deadline: Instant) -> BoxFuture<'_, Result<Arc<Session>, Error>> {
        async move {
            let verb = OpenSessionRequest { group };
            let reply = Journey::new(self, verb, Home::Group(group), Terms::until(deadline)).run().await?;
            Ok(Arc::new(Session::new(group, reply.session)))
        }
        .boxed()
    }
}
