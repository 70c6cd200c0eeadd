//! News: pushes to a phone how everything stands for its user, whenever that has changed.
//!
//! ```text
//!  id: 5be1…   event: news   data: {"balance": …, "received": […], "sent": […], "offered": […], "chats": […]}
//! ```
//!
//! Why the whole state under its digest: a phone that reconnects says by `Last-Event-ID` what it knows, and is told if
//! that is not true any more. Nothing is queued for it meanwhile: the next state is read when the last one is written.
//!
//! Must never: say "arrived" of a claim that is not marked as credited.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use packets::UserId;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use super::api::{Asked, with_token};
use super::convert_json::{self as words, Failed, digits, id};
use super::form::Asking;
use crate::access::admission::Class;
use crate::access::listeners::Listener;
use crate::app::App;
use crate::doors::grpc::{Door, convert, convert_packet};
use crate::failure::Failure;
use crate::limits::NEWS_LIFE;
use crate::packet::news::{self, News};

/// Bytes of a digest that name a state.
const DIGEST_BYTES: usize = 12;

/// What one stream remembers.
struct Told {
    app: Arc<App>,
    listener: Listener,
    user: UserId,
    until: Instant,
    /// Digest of the state that the phone knows.
    digest: String,
    /// The pulse at which that was so; `None`: nothing was looked at.
    pulse: Option<u64>,
}

/// States of the user, each once it differs from the one before.
pub(super) async fn listen(
    State(door): State<Door>,
    headers: HeaderMap,
    Asking(asked): Asking<Asked>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failed> {
    let (app, failed) = (door.app()?, convert::packet_status);
    let user = convert::user(&id(&asked.user)).map_err(failed)?;
    // It is the question what became of a credit. Its place is for the asking: who only listens takes nobody's turn.
    drop(convert::enter(app, &with_token(&headers, ()), Class::Money, user).await.map_err(failed)?);
    let listener = app.listeners.admit(user).map_err(failed)?;
    let known = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let told = Told {
        app: Arc::clone(app),
        listener,
        user,
        until: Instant::now() + NEWS_LIFE,
        digest: known.to_owned(),
        pulse: None,
    };
    let events = futures::stream::unfold(told, |mut told| async move {
        let event = told.next().await?;
        Some((Ok(event), told))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

impl Told {
    /// The next state that differs; `None`: the stream ends, and the phone opens another.
    async fn next(&mut self) -> Option<Event> {
        while Instant::now() < self.until {
            let pulse = news::pulse(&self.app.homes, self.user);
            if self.pulse.replace(pulse) != Some(pulse) {
                // A group that stands still here is served elsewhere: the phone asks another node.
                let state = self.look().ok()?.to_string();
                let digest = digest(&state);
                if digest != self.digest {
                    self.digest.clone_from(&digest);
                    return Some(Event::default().event("news").id(digest).data(state));
                }
            }
            sleep(self.listener.rest()).await;
        }
        None
    }

    fn look(&self) -> Result<Value, Failure> {
        news::news(&self.app.homes, &self.app.accounts, self.user).map(|news| state(&news))
    }
}

/// A digest of a state, which names it.
fn digest(state: &str) -> String {
    let hash = Sha256::digest(state.as_bytes());
    digits(hash.get(..DIGEST_BYTES).unwrap_or_default())
}

fn state(news: &News) -> Value {
    let packet = |at: packets::lists::Cursor, (item, name): &(packets::lists::PacketItem, String)| {
        words::packet(&convert_packet::item(at.packet, item, name))
    };
    let packets = |items: &[(packets::lists::Cursor, (packets::lists::PacketItem, String))]| {
        items.iter().map(|(at, named)| packet(*at, named)).collect::<Vec<_>>()
    };
    let received = news
        .received
        .iter()
        .map(|(at, (item, name))| words::received(&convert_packet::received(at.packet, item, name)));
    let chats = news.chats.iter().map(|(id, chat, newest)| {
        let newest = newest.as_ref().map(|(at, named)| packet(*at, named));
        json!({ "chat": digits(&id.0.to_be_bytes()), "name": chat.name, "members": chat.members, "newest": newest })
    });
    json!({
        "balance": news.balance.map(|balance| json!({
            "balance_fen": balance.booked, "held_fen": balance.held, "pending_fen": balance.pending,
            "pending_credits": balance.pending_credits,
        })),
        "received": received.collect::<Vec<_>>(),
        "sent": packets(&news.sent),
        "offered": packets(&news.offered),
        "chats": chats.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_named_by_what_it_says() {
        let one = digest(r#"{"balance":1}"#);
        assert_eq!(one.len(), 2 * DIGEST_BYTES);
        assert_eq!(one, digest(r#"{"balance":1}"#));
        assert_ne!(one, digest(r#"{"balance":2}"#));
    }

    #[test]
    fn no_news_have_every_field() {
        let news = News { balance: None, received: vec![], sent: vec![], offered: vec![], chats: vec![] };
        let empty = json!({ "balance": null, "received": [], "sent": [], "offered": [], "chats": [] });
        assert_eq!(state(&news), empty);
    }
}
