//! Tercet, by its own client: single messages by the producer, which batches what comes at the same time; batches of the
//! caller by Send; deliveries on a stream with credits; acknowledgements for what was delivered together.
//!
//! Must never: use what a user's program could not.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use queue_client::{
    Client, ClientConfig, Deliveries, Error as ClientError, Message, NewMessage, Producer, ProducerConfig,
    QueueAttributes,
};
use serde_json::Value;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Confirm, Intake, Site};
use crate::error::Error;
use crate::limits::{CONNECT_PAUSE, IDLE_PAUSE, POLL_PAUSE, READY_MAX};

/// How the cluster is asked who leads.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    /// The operators' command.
    pub(crate) command: PathBuf,
    /// The cluster's folder.
    pub(crate) folder: PathBuf,
}

fn connect(site: &Site) -> Result<Client, Error> {
    Client::new(ClientConfig::new(site.urls.iter().cloned())).map_err(Error::call("client"))
}

fn message(body: Bytes) -> NewMessage {
    NewMessage { body, ..NewMessage::default() }
}

/// Deletes the queue if there is one, and creates it.
pub(super) async fn create(site: &Site) -> Result<(), Error> {
    let client = connect(site)?;
    match client.delete_queue(&site.queue).await {
        // There may be none yet.
        Ok(()) | Err(ClientError::Refused { .. }) => {}
        Err(error) => return Err(Error::call("delete")(error)),
    }
    client.create_queue(&site.queue, QueueAttributes::default()).await.map_err(Error::call("create"))?;
    Ok(())
}

/// Asks the operators' command who leads the queue's group, until somebody does.
pub(super) async fn leader(site: &Site) -> Result<usize, Error> {
    let status = site.status.as_ref().ok_or_else(|| Error::call("leader")("there is no command to ask"))?;
    let group = connect(site)?.get_queue(&site.queue).await.map_err(Error::call("queue"))?.group;
    let found = async {
        loop {
            if let Some(leader) = ask(status, group).await? {
                return Ok(leader);
            }
            sleep(POLL_PAUSE).await;
        }
    };
    timeout(READY_MAX, found).await.unwrap_or_else(|_| Err(Error::call("leader")("the group has none")))
}

async fn ask(status: &Status, group: u32) -> Result<Option<usize>, Error> {
    let output = Command::new(&status.command)
        .args(["status", "-o", "json", "--dir"])
        .arg(&status.folder)
        .output()
        .await
        .map_err(Error::on(&status.command))?;
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(Error::call("status"))?;
    Ok(leader_in(&answer, group))
}

/// Which node a status names as the leader of a group: nodes are named from 1.
fn leader_in(status: &Value, group: u32) -> Option<usize> {
    let leads = |node: &&Value| {
        let groups = node["groups"].as_array();
        groups.is_some_and(|groups| {
            groups.iter().any(|each| each["group"].as_u64() == Some(u64::from(group)) && each["role"] == "leader")
        })
    };
    let node = status["nodes"].as_array()?.iter().find(leads)?;
    node["node"].as_str()?.parse::<usize>().ok()?.checked_sub(1)
}

/// A client with its producer.
pub(crate) struct Outlet {
    client: Client,
    producer: Producer,
    queue: Arc<str>,
}

impl Outlet {
    pub(super) fn open(site: &Site) -> Result<Self, Error> {
        let client = connect(site)?;
        let producer = Producer::new(&client, &site.queue, ProducerConfig::default());
        Ok(Self { client, producer, queue: Arc::from(site.queue.as_str()) })
    }

    pub(super) async fn start(&self, mut messages: Vec<Bytes>) -> Result<Confirm, Error> {
        if messages.len() > 1 {
            let (client, queue) = (self.client.clone(), Arc::clone(&self.queue));
            let batch = messages.into_iter().map(message).collect();
            let sent = async move { client.send(&queue, batch).await.map(drop).map_err(Error::call("send")) };
            return Ok(sent.boxed());
        }
        let body = messages.pop().unwrap_or_default();
        let ticket = self.producer.submit(message(body)).await.map_err(Error::call("submit"))?;
        Ok(async move { ticket.sent().await.map(drop).map_err(Error::call("send")) }.boxed())
    }
}

pub(super) async fn consume(site: &Site, intake: Intake) -> Result<(), Error> {
    let client = connect(site)?;
    let credits = u32::try_from(intake.prefetch).unwrap_or(u32::MAX);
    let mut acks = JoinSet::new();
    while !intake.tally.is_over() {
        let ended = match client.consume(&site.queue, credits, None).await {
            Ok(deliveries) => serve(&client, &site.queue, deliveries, &intake, &mut acks).await,
            Err(error) => Err(error),
        };
        // The lead has changed: the stream is opened anew where it is now.
        if let Err(error) = ended {
            intake.tally.fail(error);
            sleep(CONNECT_PAUSE).await;
        }
    }
    while acks.join_next().await.is_some() {}
    Ok(())
}

/// Takes from one stream until the tally is over and nothing comes.
async fn serve(
    client: &Client,
    queue: &str,
    mut deliveries: Deliveries,
    intake: &Intake,
    acks: &mut JoinSet<()>,
) -> Result<(), ClientError> {
    loop {
        let messages = match timeout(IDLE_PAUSE, deliveries.next()).await {
            Ok(messages) => messages?,
            Err(_) if intake.tally.is_over() => return Ok(()),
            Err(_) => continue,
        };
        let Some(messages) = messages else { return Ok(()) };
        let intended_ns = messages.iter().map(|each| intake.deliver(&each.body, each.times_received > 1)).collect();
        // Room for the next ones is granted with the acknowledgement, not after it.
        deliveries.grant(u32::try_from(messages.len()).unwrap_or(u32::MAX)).await?;
        acks.spawn(ack(client.clone(), queue.to_owned(), messages, intended_ns, intake.clone()));
        while acks.try_join_next().is_some() {}
    }
}

async fn ack(client: Client, queue: String, messages: Vec<Message>, intended_ns: Vec<u64>, intake: Intake) {
    let receipts: Vec<u64> = messages.iter().map(|message| message.receipt).collect();
    match client.ack(&queue, &receipts).await {
        Ok(results) => {
            let done: Vec<u64> =
                results.iter().zip(intended_ns).filter(|(result, _)| result.refusal == 0).map(|(_, at)| at).collect();
            if done.len() < receipts.len() {
                intake.tally.fail("ack: a lease had ended");
            }
            intake.tally.ack(&done);
        }
        Err(error) => intake.tally.fail(format!("ack: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_leader_of_a_group_is_the_node_that_says_so() {
        let status = json!({"nodes": [
            {"node": "1", "groups": [{"group": 1, "role": "leader"}, {"group": 2, "role": "follower"}]},
            {"node": "2", "groups": [{"group": 1, "role": "follower"}, {"group": 2, "role": "leader"}]},
        ]});
        for (group, expected) in [(1, Some(0)), (2, Some(1)), (3, None)] {
            assert_eq!(leader_in(&status, group), expected);
        }
        assert_eq!(leader_in(&json!({}), 1), None);
    }
}
