//! Arrivals: pushes to a phone that shows *waiting* the moment at which its credit is booked.
//!
//! Must never: say "arrived" of a claim that is not marked as credited.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use packets::{PacketId, UserId, read};
use tokio::time::{Instant, timeout_at};

use super::api::{Asked, with_token};
use super::convert_json::{Failed, id};
use crate::access::admission::Class;
use crate::doors::grpc::{Door, convert};
use crate::failure::Failure;
use crate::homes::PacketsShard;

/// A phone that is not told within this asks again.
const WATCH: Duration = Duration::from_secs(60);

/// One event, "arrived" or "ask-again", then the end.
pub(super) async fn watch(
    State(door): State<Door>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failed> {
    let (app, failed) = (door.app()?, convert::packet_status);
    let user = convert::user(&id(&asked.user)).map_err(failed)?;
    let packet = convert::packet(&id(&asked.packet)).map_err(failed)?;
    // The place is for the asking; a phone that only waits takes nobody's turn.
    drop(convert::enter(app, &with_token(&headers, ()), Class::List, user).await.map_err(failed)?);
    let shard = Arc::clone(app.homes.packet(packet));
    let event = futures::stream::once(async move {
        let name = if has_arrived(&shard, packet, user).await { "arrived" } else { "ask-again" };
        Ok(Event::default().event(name).data(""))
    });
    Ok(Sse::new(event).keep_alive(KeepAlive::default()))
}

async fn has_arrived(shard: &PacketsShard, packet: PacketId, user: UserId) -> bool {
    let until = Instant::now() + WATCH;
    let mut applied = shard.group.applied_index();
    loop {
        applied.mark_unchanged();
        match is_credited(shard, packet, user) {
            Ok(true) => return true,
            Ok(false) => {}
            Err(_) => return false,
        }
        if !matches!(timeout_at(until, applied.changed()).await, Ok(Ok(()))) {
            return false;
        }
    }
}

fn is_credited(shard: &PacketsShard, packet: PacketId, user: UserId) -> Result<bool, Failure> {
    let view = shard.stale(|seen| read::packet(seen.rows, packet))??;
    Ok(view.is_some_and(|view| view.shares.iter().any(|share| share.user == user && share.is_credited())))
}
