//! Arrivals: what the crowd wants is drawn tick by tick, and each phone acts by itself.
//!
//! Must never: slow down because answers are late. A tick that comes late is made up for, and its lateness is written down.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::crowd::Crowd;
use super::series::{End, Series};
use super::tide::Meter;
use crate::limits::PHONES_WAITING_MAX;

/// Arrivals are drawn this often.
const TICK: Duration = Duration::from_millis(10);

/// Draws what the crowd wants at `rate`, and lets it act; returns when the last action has ended.
pub(crate) async fn arrivals(
    crowd: &Arc<Crowd>,
    series: &Arc<Series>,
    rate: impl Fn(Duration) -> f64,
    length: Duration,
    rng: &mut StdRng,
) {
    let places = Arc::new(Semaphore::new(PHONES_WAITING_MAX));
    each(rate, length, series, |at, acts| {
        let deed = crowd.draw(rng);
        let action = deed.action();
        series.wanted(action, at);
        if !crowd.is_at_the_door(&deed) {
            series.ended(action, at, End::Held);
        } else if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let (crowd, series) = (Arc::clone(crowd), Arc::clone(series));
            acts.spawn(async move {
                crowd.act(deed, at, &series).await;
                drop(place);
            });
        } else {
            crowd.gives_up(&deed);
            series.ended(action, at, End::Failed);
        }
    })
    .await;
}

/// Calls `act` so often in a second, with the moment at which that was wanted; returns when what it spawned has ended.
pub(crate) async fn each(
    rate: impl Fn(Duration) -> f64,
    length: Duration,
    series: &Series,
    mut act: impl FnMut(Duration, &mut JoinSet<()>),
) {
    let (mut meter, mut acts) = (Meter::default(), JoinSet::new());
    let (begun, mut at) = (Instant::now(), Duration::ZERO);
    while at < length {
        sleep_until(begun + at).await;
        series.late(at, begun.elapsed().saturating_sub(at));
        for _ in 0..meter.tick(rate(at), TICK) {
            act(at, &mut acts);
        }
        while acts.try_join_next().is_some() {}
        at += TICK;
    }
    while acts.join_next().await.is_some() {}
}
