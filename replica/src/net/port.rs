//! The server side: messages from peers find their group and are answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use machine::GroupId;
use openraft::raft::AppendEntriesRequest;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::sleep;

use super::message::{AppendResult, Request, write_answer, write_append_result};
use super::speaker::Speaker;
use crate::lineage::{Ancestry, Lineage};
use crate::raft_types::Config;

/// A node of another cluster is answered after this.
const REFUSED_AFTER: Duration = Duration::from_millis(200);

/// A group as its peers see it, whatever its machine.
pub(crate) trait GroupPort: Send + Sync + 'static {
    /// Answers a request that is not an append, and may be `speaker`'s.
    fn answer(&self, speaker: Speaker, request: Request) -> BoxFuture<'_, Result<Bytes, String>>;

    /// Answers append requests in their order.
    fn append(
        &self,
        requests: BoxStream<'static, AppendEntriesRequest<Config>>,
    ) -> BoxStream<'static, Result<AppendResult, String>>;
}

/// Who sends a message: a node, of a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    pub speaker: Speaker,
    pub lineage: Lineage,
}

impl Sender {
    /// Somebody whom nobody vouches for.
    const ANYBODY: Self = Self { speaker: Speaker::Anybody, lineage: Lineage::NONE };
}

/// All groups of this process, by number.
#[derive(Default)]
pub(crate) struct Switchboard {
    groups: RwLock<BTreeMap<GroupId, Arc<dyn GroupPort>>>,
    closed: watch::Sender<bool>,
    ancestry: Arc<Ancestry>,
}

impl Switchboard {
    /// Of a node that belongs to a cluster.
    pub(crate) fn of(ancestry: Arc<Ancestry>) -> Self {
        Self { ancestry, ..Self::default() }
    }

    pub(crate) fn add(&self, group: GroupId, port: Arc<dyn GroupPort>) {
        self.groups.write().insert(group, port);
    }

    /// Lets every group go and ends all streams: from here on peers are told that nothing is served.
    pub(crate) fn close(&self) {
        self.groups.write().clear();
        self.closed.send_replace(true);
    }

    /// Completes when the groups are let go.
    pub(crate) fn left(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closed = self.closed.subscribe();
        async move {
            // The sender lives as long as the switchboard; its end is an end too.
            let _ = closed.wait_for(|closed| *closed).await;
        }
    }

    fn find(&self, group: GroupId) -> Result<Arc<dyn GroupPort>, String> {
        let found = self.groups.read().get(&group).map(Arc::clone);
        found.ok_or_else(|| format!("group {} is not served here", group.0))
    }

    /// Answers one message of somebody whom nobody vouches for.
    pub(crate) async fn call(&self, message: Bytes) -> Bytes {
        self.call_by(Sender::ANYBODY, message).await
    }

    /// Answers one message.
    pub(crate) async fn call_by(&self, sender: Sender, message: Bytes) -> Bytes {
        write_answer(self.answer(sender, message).await)
    }

    async fn answer(&self, sender: Sender, message: Bytes) -> Result<Bytes, String> {
        let (group, request) = Request::decode(message).map_err(|error| error.to_string())?;
        let port = self.find(group)?;
        self.lets(sender, &request).await?;
        port.answer(sender.speaker, request).await
    }

    /// Whether a message may be its sender's own, and is of this node's cluster. Who introduces himself may be of any.
    async fn lets(&self, sender: Sender, request: &Request) -> Result<(), String> {
        sender.speaker.may_say(request)?;
        if matches!(request, Request::Hello { .. }) {
            return Ok(());
        }
        // Only what leaves something here says to which cluster a blank node belongs.
        let is_vote = matches!(request, Request::Vote(_) | Request::PreVote(_));
        let is_offered = matches!(request, Request::SnapshotOffer { .. });
        let leaves_something = is_vote || is_offered || matches!(request, Request::Append(_));
        let admitted = self.ancestry.admit(sender.lineage, leaves_something);
        if admitted.is_err() {
            // Whoever is answered asks again at once.
            sleep(REFUSED_AFTER).await;
        }
        admitted
    }

    /// As [`Self::stream_by`], of somebody whom nobody vouches for.
    pub(crate) async fn stream(&self, messages: BoxStream<'static, Bytes>) -> BoxStream<'static, Bytes> {
        self.stream_by(Sender::ANYBODY, messages).await
    }

    /// Answers a stream of append messages; all of them belong to the group of the first.
    pub(crate) async fn stream_by(
        &self,
        sender: Sender,
        messages: BoxStream<'static, Bytes>,
    ) -> BoxStream<'static, Bytes> {
        let speaker = sender.speaker;
        let mut messages = messages.take_until(self.left().boxed());
        let Some(first) = messages.next().await else { return futures::stream::empty().boxed() };
        let opened = match Request::decode(first) {
            Ok((group, request)) => match self.find(group) {
                Ok(port) => self.lets(sender, &request).await.map(|()| (port, group, request)),
                Err(text) => Err(text),
            },
            Err(error) => Err(error.to_string()),
        };
        let (port, group, first) = match opened {
            Ok((port, group, Request::Append(first))) => (port, group, first),
            Ok(_) => return failure("a stream carries append requests only".to_owned()),
            Err(text) => return failure(text),
        };
        // A message that does not decode ends the stream: the leader opens a new one.
        let rest = messages.scan((), move |(), message| {
            futures::future::ready(match Request::decode(message) {
                Ok((of, request)) if of == group && speaker.may_say(&request).is_ok() => match request {
                    Request::Append(append) => Some(append),
                    _ => None,
                },
                _ => None,
            })
        });
        let requests = futures::stream::iter([first]).chain(rest).boxed();
        port.append(requests).map(|result| write_answer(result.map(|result| write_append_result(&result)))).boxed()
    }
}

fn failure(text: String) -> BoxStream<'static, Bytes> {
    async move { write_answer(Err(text)) }.into_stream().boxed()
}
