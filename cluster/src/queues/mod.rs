//! Queues and topics by hand: create, edit, list, show, peek, purge, rewind, redrive, explain.
//!
//! Why by the client's own calls: what an operator may do, a program may do, by the same door and with the same answers.
//!
//! Must never: take a message, or print a body as anything but text that a terminal takes.

mod edit;
mod moves;
mod print;
mod topic;

use clap::{Subcommand, ValueEnum};
use proto::queue::v1::{GetQueueReply, MessageFilter, MessageState, StartRedriveRequest};
use queue_client::Client;

pub(crate) use self::topic::{Topic, topic};
use crate::error::Error;
use crate::file::Kind;
use crate::limits::{CALL_MAX, LIST_PAGE};
use crate::link;
use crate::reach::Reach;
use crate::screen;
use edit::Attributes;

/// What to do with a queue.
#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// Create a queue.
    Create {
        #[command(flatten)]
        reach: Reach,
        /// Its name.
        queue: String,
        #[command(flatten)]
        attributes: Attributes,
    },
    /// Change attributes of a queue.
    Edit {
        #[command(flatten)]
        reach: Reach,
        /// Its name.
        queue: String,
        #[command(flatten)]
        attributes: Attributes,
    },
    /// List queues whose names contain a text.
    List {
        #[command(flatten)]
        reach: Reach,
        /// The text; none = all queues.
        #[arg(default_value = "")]
        search: String,
    },
    /// Show what a queue is and holds.
    Show {
        #[command(flatten)]
        reach: Reach,
        /// Its name.
        queue: String,
    },
    /// Delete a queue with all its messages.
    Delete {
        #[command(flatten)]
        reach: Reach,
        /// Its name.
        queue: String,
        /// Its name once more: nothing brings the messages back.
        #[arg(long)]
        yes: String,
    },
    /// Look at messages without taking them.
    Peek {
        #[command(flatten)]
        reach: Reach,
        /// The queue's name.
        queue: String,
        /// Which messages.
        #[arg(long, value_enum, default_value_t)]
        state: State,
        /// Most messages.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=128))]
        limit: u32,
    },
    /// Drop all messages that are not leased.
    Purge {
        #[command(flatten)]
        reach: Reach,
        /// The queue's name.
        queue: String,
        /// Its name once more: nothing brings the messages back.
        #[arg(long)]
        yes: String,
    },
    /// Make acknowledged messages visible again.
    Rewind {
        #[command(flatten)]
        reach: Reach,
        /// The queue's name.
        queue: String,
        /// From when on, milliseconds of Unix time.
        #[arg(long, value_name = "MS")]
        to_ms: u64,
    },
    /// Move messages out of a queue, back to where they died or elsewhere; the cluster goes on by itself.
    Redrive {
        #[command(flatten)]
        reach: Reach,
        /// The queue that they leave.
        queue: String,
        /// The queue that they go to; without it, each back to its own.
        #[arg(long)]
        to: Option<String>,
        /// Only those that died in this queue.
        #[arg(long)]
        from: Option<String>,
        /// Most messages; 0 = all.
        #[arg(long, default_value_t = 0)]
        max: u64,
        /// Messages a second at most; 0 = as fast as it goes.
        #[arg(long, default_value_t = 0)]
        rate: u32,
        /// Count only.
        #[arg(long)]
        dry_run: bool,
        /// Say how the last redrive goes, and start none.
        #[arg(long, conflicts_with_all = ["to", "from", "dry_run", "stop"])]
        look: bool,
        /// Stop the one that runs.
        #[arg(long)]
        stop: bool,
    },
    /// Move a queue to another group while it is used; the cluster goes on by itself.
    Move {
        #[command(flatten)]
        reach: Reach,
        /// The queue's name.
        queue: String,
        /// The group that shall hold it.
        #[arg(long, value_name = "GROUP", required_unless_present_any = ["look", "cancel"])]
        to: Option<u32>,
        /// Say how the last move goes, and begin none.
        #[arg(long, conflicts_with_all = ["to", "cancel"])]
        look: bool,
        /// End the move before its cut: the queue stays.
        #[arg(long, conflicts_with = "to")]
        cancel: bool,
        /// Wait until all messages are there.
        #[arg(long)]
        wait: bool,
    },
    /// Where is this message, and what happened to it?
    Explain {
        #[command(flatten)]
        reach: Reach,
        /// The queue's name.
        queue: String,
        /// The message's id.
        message: u64,
    },
}

/// Messages in a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// Can be received.
    #[default]
    Visible,
    /// On loan.
    Leased,
    /// Not yet.
    Delayed,
    /// Not committed.
    Half,
    /// Acknowledged and kept.
    Rewindable,
}

impl From<State> for MessageState {
    fn from(state: State) -> Self {
        match state {
            State::Visible => Self::Visible,
            State::Leased => Self::Leased,
            State::Delayed => Self::Delayed,
            State::Half => Self::Half,
            State::Rewindable => Self::Rewindable,
        }
    }
}

/// A client of the cluster.
pub(crate) async fn client(reach: &Reach) -> Result<Client, Error> {
    let mut config = link::client_config(reach.cluster().await?.addresses(Kind::Queue));
    config.call_timeout = CALL_MAX;
    Client::new(config).map_err(Error::call("connecting"))
}

/// Does what was asked.
pub(crate) async fn queue(verb: Queue) -> Result<bool, Error> {
    match verb {
        Queue::Create { reach, queue, attributes } => {
            let made = client(&reach).await?.create_queue(&queue, attributes.into()).await;
            let made = made.map_err(failed("create"))?;
            screen::out(&format!("queue {queue} is in group {}", made.group));
        }
        Queue::Edit { reach, queue, attributes } => {
            let set = client(&reach).await?.set_queue_attributes(&queue, attributes.into()).await;
            screen::out(&print::attributes(&set.map_err(failed("edit"))?));
        }
        Queue::List { reach, search } => list(&reach, &search).await?,
        Queue::Show { reach, queue } => {
            let shown: GetQueueReply = client(&reach).await?.get_queue(&queue).await.map_err(failed("show"))?;
            screen::out(&print::queue(&shown));
        }
        Queue::Delete { reach, queue, yes } => {
            sure(&queue, &yes)?;
            client(&reach).await?.delete_queue(&queue).await.map_err(failed("delete"))?;
            screen::out(&format!("queue {queue} is deleted"));
        }
        Queue::Peek { reach, queue, state, limit } => {
            let page = client(&reach).await?.peek(&queue, state.into(), &[], limit).await.map_err(failed("peek"))?;
            page.messages.iter().for_each(|peeked| screen::out(&print::peeked(peeked)));
        }
        Queue::Purge { reach, queue, yes } => {
            sure(&queue, &yes)?;
            let purged = client(&reach).await?.purge_queue(&queue).await.map_err(failed("purge"))?;
            screen::out(&format!("{purged} messages dropped"));
        }
        Queue::Rewind { reach, queue, to_ms } => {
            let back = client(&reach).await?.rewind(&queue, to_ms).await.map_err(failed("rewind"))?;
            screen::out(&format!("{back} messages are visible again"));
        }
        Queue::Redrive { reach, queue, to, from, max, rate, dry_run, look, stop } => {
            let client = client(&reach).await?;
            if stop {
                client.stop_redrive(&queue).await.map_err(failed("redrive"))?;
            } else if !look {
                let origin_queue = from.unwrap_or_default();
                let request = StartRedriveRequest {
                    request: None,
                    queue: queue.clone(),
                    target: to.unwrap_or_default(),
                    filter: Some(MessageFilter { origin_queue, ..MessageFilter::default() }),
                    messages_max: max,
                    rate,
                    dry_run,
                };
                client.start_redrive(request).await.map_err(failed("redrive"))?;
            }
            let state = client.get_redrive(&queue).await.map_err(failed("redrive"))?;
            screen::out(&print::redrive(&state));
        }
        Queue::Move { reach, queue, to, look: _, cancel, wait } => {
            let client = client(&reach).await?;
            return moves::queue(&client, &queue, moves::Order { to, cancel, wait }).await;
        }
        Queue::Explain { reach, queue, message } => {
            let story = client(&reach).await?.explain(&queue, message).await.map_err(failed("explain"))?;
            screen::out(&print::story(message, &story));
            return Ok(story.message.is_some() || !story.events.is_empty());
        }
    }
    Ok(true)
}

async fn list(reach: &Reach, search: &str) -> Result<(), Error> {
    let client = client(reach).await?;
    let mut offset = 0;
    loop {
        let page = client.list_queues(search, offset, LIST_PAGE).await.map_err(Error::call("list"))?;
        page.queues.iter().for_each(|queue| screen::out(&format!("{}  group {}", queue.queue, queue.group)));
        offset += u32::try_from(page.queues.len()).unwrap_or(u32::MAX);
        if page.queues.is_empty() || offset >= page.total {
            return Ok(());
        }
    }
}

/// For `map_err`: a call of the client that failed.
fn failed(what: &'static str) -> impl FnOnce(queue_client::Error) -> Error {
    Error::call(what)
}

fn sure(name: &str, again: &str) -> Result<(), Error> {
    if name == again { Ok(()) } else { Err(Error::Impossible(format!("to be sure, say --yes {name}"))) }
}
