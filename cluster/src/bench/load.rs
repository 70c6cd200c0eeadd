//! The load itself: calls in a closed loop (a window of them, each followed by the next) or in an open one (at a rate,
//! whatever the answers take).
//!
//! Must never: measure an open loop from the moment a call could be made. It is measured from the moment it should have
//! been, or a stalled server would look fast.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::Plan;
use super::meter::Meter;
use crate::limits::OPEN_LOOP_WINDOW;
use crate::screen::{Progress, bar};

/// How one producer makes its calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// When the phase ends.
    pub(crate) until: Instant,
    /// Calls under way in a closed loop.
    window: u64,
    /// Time between calls of an open loop; `None`: closed.
    interval: Option<Duration>,
}

impl Pace {
    /// The pace of each of the plan's producers.
    pub(crate) fn of(plan: &Plan) -> Self {
        let interval = (plan.rate > 0).then(|| interval_of(plan.rate, plan.producers));
        Self { until: Instant::now() + plan.duration(), window: plan.window, interval }
    }
}

/// Time between two calls of one of `producers` that make `rate` calls a second together.
fn interval_of(rate: u64, producers: u64) -> Duration {
    let ns = 1_000_000_000_u64.saturating_mul(producers) / rate;
    Duration::from_nanos(ns.max(1))
}

/// The moments at which calls of an open loop should begin.
fn moments(begin: Instant, interval: Duration, until: Instant) -> impl Iterator<Item = Instant> + Send {
    std::iter::successors(Some(begin), move |moment| Some(*moment + interval)).take_while(move |moment| *moment < until)
}

/// Makes calls until the phase ends, and waits for the last answers. `call` is given the moment from which it counts.
pub(crate) async fn drive<C, F>(pace: Pace, call: C)
where
    C: Fn(Instant) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut calls = JoinSet::new();
    match pace.interval {
        None => {
            for _ in 0..pace.window {
                let call = call.clone();
                calls.spawn(async move {
                    while Instant::now() < pace.until {
                        call(Instant::now()).await;
                    }
                });
            }
        }
        Some(interval) => {
            let places = Arc::new(Semaphore::new(OPEN_LOOP_WINDOW));
            for intended in moments(Instant::now(), interval, pace.until) {
                sleep_until(intended).await;
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
                let answer = call(intended);
                calls.spawn(async move {
                    answer.await;
                    drop(place);
                });
                while calls.try_join_next().is_some() {}
            }
        }
    }
    while calls.join_next().await.is_some() {}
}

/// Shows a meter's progress until `work` is done.
pub(crate) async fn watch<W: Future>(meter: &Meter, planned: Duration, work: W) -> W::Output {
    let mut progress = Progress::new();
    let mut ticks = interval(Duration::from_millis(200));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut before = (Instant::now(), 0);
    tokio::pin!(work);
    loop {
        tokio::select! {
            output = &mut work => return output,
            now = ticks.tick() => {
                let operations = meter.operations();
                let ms = u64::try_from((now - before.0).as_millis()).unwrap_or(u64::MAX).max(1);
                let rate = (operations - before.1) * 1000 / ms;
                before = (now, operations);
                let whole = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                let bar = bar(whole(meter.elapsed()), whole(planned), 30);
                progress.show(&format!("{:<6} {bar} {operations} done, {rate}/s", meter.name()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn an_open_loop_divides_its_rate_among_the_producers() {
        for (rate, producers, expected_us) in [(1000, 1, 1000), (1000, 4, 4000), (1, 1, 1_000_000)] {
            assert_eq!(interval_of(rate, producers), Duration::from_micros(expected_us));
        }
        assert_eq!(interval_of(u64::MAX, 1), Duration::from_nanos(1));
    }

    #[test]
    fn the_moments_of_an_open_loop_depend_on_the_rate_alone() {
        let (begin, ms) = (Instant::now(), Duration::from_millis);
        let found: Vec<Duration> =
            moments(begin, ms(10), begin + ms(35)).map(|moment| moment.duration_since(begin)).collect();
        assert_eq!(found, [0, 10, 20, 30].map(ms));
    }

    #[tokio::test]
    async fn a_closed_loop_keeps_its_window_under_way() {
        let pace = Pace { until: Instant::now() + Duration::from_millis(20), window: 3, interval: None };
        let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let seen = (Arc::clone(&now), Arc::clone(&most));
        drive(pace, move |_| {
            let (now, most) = (Arc::clone(&seen.0), Arc::clone(&seen.1));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::Relaxed);
            }
        })
        .await;
        assert_eq!((now.load(Ordering::Relaxed), most.load(Ordering::Relaxed)), (0, 3));
    }
}
