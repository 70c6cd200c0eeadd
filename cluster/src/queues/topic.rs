//! Topics by hand: create, list, show, delete.
//!
//! Must never: delete a topic that still has subscriptions; the cluster refuses it, too.

use clap::Subcommand;
use proto::queue::v1::{FilterKind, TopicAttributes};

use super::{client, failed};
use crate::error::Error;
use crate::limits::LIST_PAGE;
use crate::reach::Reach;
use crate::screen;

/// What to do with a topic.
#[derive(Debug, Subcommand)]
pub(crate) enum Topic {
    /// Create a topic.
    Create {
        #[command(flatten)]
        reach: Reach,
        /// Its name.
        topic: String,
        /// Let subscriptions choose by routing keys instead of tags.
        #[arg(long)]
        routing: bool,
    },
    /// List topics whose names contain a text.
    List {
        #[command(flatten)]
        reach: Reach,
        /// The text; none = all topics.
        #[arg(default_value = "")]
        search: String,
    },
    /// Show what a topic is and holds.
    Show {
        #[command(flatten)]
        reach: Reach,
        /// Its name.
        topic: String,
    },
    /// Delete a topic that has no subscriptions.
    Delete {
        #[command(flatten)]
        reach: Reach,
        /// Its name.
        topic: String,
    },
}

/// Does what was asked.
pub(crate) async fn topic(verb: Topic) -> Result<bool, Error> {
    match verb {
        Topic::Create { reach, topic, routing } => {
            let filter = if routing { FilterKind::Routing } else { FilterKind::Tags };
            let made = client(&reach).await?.create_topic(&topic, filter, TopicAttributes::default()).await;
            screen::out(&format!("topic {topic} is in group {}", made.map_err(failed("create"))?.group));
        }
        Topic::List { reach, search } => {
            let page = client(&reach).await?.list_topics(&search, 0, LIST_PAGE).await.map_err(failed("list"))?;
            page.topics.iter().for_each(|topic| screen::out(&format!("{}  group {}", topic.topic, topic.group)));
        }
        Topic::Show { reach, topic } => {
            let shown = client(&reach).await?.get_topic(&topic).await.map_err(failed("show"))?;
            screen::out(&format!(
                "topic {} in group {}\n  subscriptions {}\n  published     {}\n  waiting       {}",
                shown.topic, shown.group, shown.subscriptions, shown.published, shown.waiting
            ));
        }
        Topic::Delete { reach, topic } => {
            client(&reach).await?.delete_topic(&topic).await.map_err(failed("delete"))?;
            screen::out(&format!("topic {topic} is deleted"));
        }
    }
    Ok(true)
}
