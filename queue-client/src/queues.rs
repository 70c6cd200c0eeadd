//! The queues themselves: created, listed, shown, changed, emptied, deleted.
//!
//! Must never: keep what it was told; another client may change a queue at any time.

use proto::queue::v1::{
    CancelMoveRequest, CreateQueueReply, CreateQueueRequest, DeleteQueueRequest, GetMoveReply, GetMoveRequest,
    GetQueueReply, GetQueueRequest, ListQueuesReply, ListQueuesRequest, MoveQueueRequest, PurgeQueueRequest,
    QueueAttributes, SetQueueAttributesRequest,
};

use crate::client::Client;
use crate::error::Error;
use crate::journey::Home;

/// The group of the directory.
pub(crate) const DIRECTORY: Home<'static> = Home::Group(0);

impl Client {
    /// Creates a queue; attributes that are absent get their defaults.
    pub async fn create_queue(&self, queue: &str, attributes: QueueAttributes) -> Result<CreateQueueReply, Error> {
        let verb = CreateQueueRequest { request: None, queue: queue.to_owned(), attributes: Some(attributes) };
        self.run(verb, DIRECTORY).await
    }

    /// Lists queues whose names contain `search`, in the order of their names.
    pub async fn list_queues(&self, search: &str, offset: u32, limit: u32) -> Result<ListQueuesReply, Error> {
        self.run(ListQueuesRequest { search: search.to_owned(), offset, limit }, DIRECTORY).await
    }

    /// Shows the attributes and counters of a queue.
    pub async fn get_queue(&self, queue: &str) -> Result<GetQueueReply, Error> {
        self.run(GetQueueRequest { queue: queue.to_owned() }, Home::Queue(queue)).await
    }

    /// Changes the attributes that are present; all of them come back.
    pub async fn set_queue_attributes(
        &self,
        queue: &str,
        attributes: QueueAttributes,
    ) -> Result<QueueAttributes, Error> {
        let verb = SetQueueAttributesRequest { request: None, queue: queue.to_owned(), attributes: Some(attributes) };
        Ok(self.run(verb, Home::Queue(queue)).await?.attributes.unwrap_or_default())
    }

    /// Deletes a queue with all its messages.
    pub async fn delete_queue(&self, queue: &str) -> Result<(), Error> {
        self.run(DeleteQueueRequest { request: None, queue: queue.to_owned() }, DIRECTORY).await?;
        Ok(())
    }

    /// Begins to move a queue to another group; the cluster goes on by itself.
    pub async fn move_queue(&self, queue: &str, group: u32) -> Result<(), Error> {
        let verb = MoveQueueRequest { request: None, queue: queue.to_owned(), group };
        self.run(verb, Home::Queue(queue)).await.map(drop)
    }

    /// Ends a move before its cut.
    pub async fn cancel_move(&self, queue: &str) -> Result<(), Error> {
        let verb = CancelMoveRequest { request: None, queue: queue.to_owned() };
        self.run(verb, Home::Queue(queue)).await.map(drop)
    }

    /// How the last move of a queue goes.
    pub async fn get_move(&self, queue: &str) -> Result<GetMoveReply, Error> {
        self.run(GetMoveRequest { queue: queue.to_owned() }, Home::Anywhere).await
    }

    /// Drops all messages that are not leased; says how many.
    pub async fn purge_queue(&self, queue: &str) -> Result<u64, Error> {
        let verb = PurgeQueueRequest { request: None, queue: queue.to_owned() };
        Ok(self.run(verb, Home::Queue(queue)).await?.purged)
    }
}
