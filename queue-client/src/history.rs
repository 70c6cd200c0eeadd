//! What a queue tells of its messages, and what moves them about: search, explain, events, rewind, redrive; and half
//! messages, which wait for a word of their producer.
//!
//! Must never: take a message.

use std::time::Duration;

use proto::limits::WAIT_MS_MAX;
use proto::queue::v1::{
    ConfirmHalfRequest, ExplainReply, ExplainRequest, GetRedriveReply, GetRedriveRequest, HalfResult,
    ListDeadLetterSourcesRequest, ListEventsReply, ListEventsRequest, Message, QueryHalfRequest, RewindRequest,
    SearchReply, SearchRequest, StartRedriveRequest, StopRedriveRequest,
};
use tokio::time::Instant;

use crate::client::Client;
use crate::error::Error;
use crate::journey::{Home, Journey};

impl Client {
    /// Commits half messages, or rolls them back. One result per id, in order.
    pub async fn confirm_half(&self, queue: &str, ids: &[u64], commit: bool) -> Result<Vec<HalfResult>, Error> {
        let verb = ConfirmHalfRequest { request: None, queue: queue.to_owned(), ids: ids.to_vec(), commit };
        Ok(self.run(verb, Home::Queue(queue)).await?.results)
    }

    /// Half messages that nobody has confirmed in time, each once an interval; none if the wait ended.
    pub async fn query_half(&self, queue: &str, messages_max: u32, wait: Duration) -> Result<Vec<Message>, Error> {
        let wait = wait.min(Duration::from_millis(u64::from(WAIT_MS_MAX)));
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(WAIT_MS_MAX);
        let verb = QueryHalfRequest { request: None, queue: queue.to_owned(), messages_max, wait_ms };
        let wait_until = Instant::now() + wait;
        Ok(Journey::new(self.road(), verb, Home::Queue(queue), self.terms(wait_until)).run().await?.messages)
    }

    /// A page of the messages that match. `request.after`: the cursor of the page before, empty for the first one.
    pub async fn search(&self, request: SearchRequest) -> Result<SearchReply, Error> {
        let queue = request.queue.clone();
        self.run(request, Home::Queue(&queue)).await
    }

    /// Where a message is, and what happened to it.
    pub async fn explain(&self, queue: &str, id: u64) -> Result<ExplainReply, Error> {
        self.run(ExplainRequest { queue: queue.to_owned(), id }, Home::Queue(queue)).await
    }

    /// A page of the events of a traced queue.
    pub async fn list_events(&self, request: ListEventsRequest) -> Result<ListEventsReply, Error> {
        let queue = request.queue.clone();
        self.run(request, Home::Queue(&queue)).await
    }

    /// Makes acknowledged messages visible again, from a time on; says how many.
    ///
    /// Units: milliseconds since the Unix epoch, in machine time.
    pub async fn rewind(&self, queue: &str, to_ms: u64) -> Result<u64, Error> {
        let verb = RewindRequest { request: None, queue: queue.to_owned(), to_ms };
        Ok(self.run(verb, Home::Queue(queue)).await?.messages)
    }

    /// Names of the queues whose dead letters come into `queue`.
    pub async fn dead_letter_sources(&self, queue: &str) -> Result<Vec<String>, Error> {
        let verb = ListDeadLetterSourcesRequest { queue: queue.to_owned() };
        Ok(self.run(verb, Home::Queue(queue)).await?.queues)
    }

    /// Starts to move messages out of a queue; the server goes on by itself.
    pub async fn start_redrive(&self, request: StartRedriveRequest) -> Result<(), Error> {
        let queue = request.queue.clone();
        self.run(request, Home::Queue(&queue)).await.map(drop)
    }

    /// Ends a redrive where it is.
    pub async fn stop_redrive(&self, queue: &str) -> Result<(), Error> {
        let verb = StopRedriveRequest { request: None, queue: queue.to_owned() };
        self.run(verb, Home::Queue(queue)).await.map(drop)
    }

    /// How the last redrive of a queue goes.
    pub async fn get_redrive(&self, queue: &str) -> Result<GetRedriveReply, Error> {
        self.run(GetRedriveRequest { queue: queue.to_owned() }, Home::Queue(queue)).await
    }
}
