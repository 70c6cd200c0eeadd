//! The tally of one phase: what was sent, confirmed, delivered and acknowledged, and how long it took.
//!
//! Must never: lose a slow one. A latency beyond the scale is counted at its end; what is older than the phase is not
//! measured, but counted.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;
use tokio::sync::Semaphore;

use crate::clock::now_ns;
use crate::error::Error;
use crate::limits::{LATENCY_DIGITS, LATENCY_US_MAX};

/// Which way a latency was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// From the intended send to its confirm.
    Confirmed,
    /// To the delivery.
    Delivered,
    /// To the acknowledgement: confirmed where the system confirms it, sent where it does not.
    Acked,
}

impl Span {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Confirmed, Self::Delivered, Self::Acked];

    /// Its word in the names of figures.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Confirmed => "confirm",
            Self::Delivered => "deliver",
            Self::Acked => "ack",
        }
    }
}

/// Counts while a phase runs. Producers and consumers share one.
#[derive(Debug)]
pub(crate) struct Tally {
    is_over: AtomicBool,
    is_measured: AtomicBool,
    started: AtomicU64,
    confirmed: AtomicU64,
    acked: AtomicU64,
    redelivered: AtomicU64,
    errors: AtomicU64,
    last_ack_ns: AtomicU64,
    last_error: Mutex<Option<String>>,
    latencies: [Mutex<Histogram<u64>>; 3],
    /// Ids of all deliveries.
    seen: Mutex<Vec<u64>>,
    /// Time and id of all confirms, if they are kept.
    confirms: Option<Mutex<Vec<(u64, u64)>>>,
    /// What may be sent and not be acknowledged yet, in a closed loop from end to end.
    places: Option<Semaphore>,
    /// Messages to send; 0 = no end.
    limit: u64,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A task that panicked has left whole numbers behind.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tally {
    /// A tally that counts and does not measure yet. Errors: none that a valid scale can cause.
    pub(crate) fn new() -> Result<Self, Error> {
        let scale = || Histogram::new_with_bounds(1, LATENCY_US_MAX, LATENCY_DIGITS).map_err(Error::call("histogram"));
        Ok(Self {
            is_over: AtomicBool::new(false),
            is_measured: AtomicBool::new(false),
            started: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
            acked: AtomicU64::new(0),
            redelivered: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            last_ack_ns: AtomicU64::new(0),
            last_error: Mutex::default(),
            latencies: [Mutex::new(scale()?), Mutex::new(scale()?), Mutex::new(scale()?)],
            seen: Mutex::default(),
            confirms: None,
            places: None,
            limit: 0,
        })
    }

    /// The same, in which at most `places` messages are sent and not acknowledged.
    pub(crate) fn with_places(self, places: usize) -> Self {
        Self { places: Some(Semaphore::new(places)), ..self }
    }

    /// The same, that ends the producers after `limit` messages.
    pub(crate) fn with_limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    /// The same, that keeps when each message was confirmed.
    pub(crate) fn with_confirms(self) -> Self {
        Self { confirms: Some(Mutex::default()), ..self }
    }

    pub(crate) fn measure(&self, is_measured: bool) {
        self.is_measured.store(is_measured, Ordering::Relaxed);
    }

    /// Producers stop; consumers stop once nothing comes any more.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(places) = &self.places {
            places.close();
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Whether confirms are kept: a fault is to be seen.
    pub(crate) fn keeps_confirms(&self) -> bool {
        self.confirms.is_some()
    }

    /// Waits for room for `count` messages. False: the phase is over, or all is sent.
    pub(crate) async fn may_start(&self, count: u64) -> bool {
        if let Some(places) = &self.places {
            match places.acquire_many(u32::try_from(count).unwrap_or(u32::MAX)).await {
                Ok(taken) => taken.forget(),
                Err(_) => return false,
            }
        }
        let before = self.started.fetch_add(count, Ordering::Relaxed);
        !self.is_over() && (self.limit == 0 || before < self.limit)
    }

    /// Messages that should have been sent at `intended_ns` were confirmed.
    pub(crate) fn confirm(&self, intended_ns: u64, ids: &[u64]) {
        let now = now_ns();
        let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        self.confirmed.fetch_add(count, Ordering::Relaxed);
        self.record(Span::Confirmed, intended_ns, now, count);
        if let Some(confirms) = &self.confirms {
            held(confirms).extend(ids.iter().map(|id| (now, *id)));
        }
    }

    /// A message was delivered.
    pub(crate) fn deliver(&self, intended_ns: u64, id: u64, is_again: bool) {
        held(&self.seen).push(id);
        self.redelivered.fetch_add(u64::from(is_again), Ordering::Relaxed);
        self.record(Span::Delivered, intended_ns, now_ns(), 1);
    }

    /// Messages were acknowledged; what was intended when, for each.
    pub(crate) fn ack(&self, intended_ns: &[u64]) {
        let now = now_ns();
        self.acked.fetch_add(u64::try_from(intended_ns.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.last_ack_ns.store(now, Ordering::Relaxed);
        for intended in intended_ns {
            self.record(Span::Acked, *intended, now, 1);
        }
        if let Some(places) = &self.places {
            places.add_permits(intended_ns.len());
        }
    }

    /// A call failed.
    pub(crate) fn fail(&self, reason: impl Display) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        *held(&self.last_error) = Some(reason.to_string());
    }

    fn record(&self, span: Span, from_ns: u64, to_ns: u64, count: u64) {
        if self.is_measured.load(Ordering::Relaxed) && from_ns <= to_ns {
            let us = ((to_ns - from_ns) / 1000).max(1);
            held(&self.latencies[span as usize]).saturating_record_n(us, count);
        }
    }

    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Relaxed)
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    pub(crate) fn redelivered(&self) -> u64 {
        self.redelivered.load(Ordering::Relaxed)
    }

    /// When the last acknowledgement came; 0: none has.
    pub(crate) fn last_ack_ns(&self) -> u64 {
        self.last_ack_ns.load(Ordering::Relaxed)
    }

    /// How many calls failed, and what the last of them said.
    pub(crate) fn errors(&self) -> (u64, Option<String>) {
        (self.errors.load(Ordering::Relaxed), held(&self.last_error).clone())
    }

    /// Of 1,000 latencies 500, 990 and 999 were shorter. Units: milliseconds. `None`: nothing was measured.
    pub(crate) fn quantiles_ms(&self, span: Span) -> Option<[f64; 3]> {
        let latencies = held(&self.latencies[span as usize]);
        let ms = |quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0;
        (!latencies.is_empty()).then(|| [0.5, 0.99, 0.999].map(ms))
    }

    /// Ids of all deliveries, in their order.
    pub(crate) fn seen(&self) -> Vec<u64> {
        held(&self.seen).clone()
    }

    /// Time and id of all confirms, in the order of time.
    pub(crate) fn confirms(&self) -> Vec<(u64, u64)> {
        let mut confirms = self.confirms.as_ref().map(|confirms| held(confirms).clone()).unwrap_or_default();
        confirms.sort_unstable();
        confirms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_measured_before_the_measurement_and_all_is_counted() {
        let tally = Tally::new().expect("the scale is valid");
        tally.confirm(0, &[1, 2]);
        assert_eq!((tally.confirmed(), tally.quantiles_ms(Span::Confirmed)), (2, None));
        tally.measure(true);
        tally.confirm(0, &[3]);
        assert_eq!(tally.confirmed(), 3);
        assert!(tally.quantiles_ms(Span::Confirmed).is_some());
    }

    #[tokio::test]
    async fn places_come_back_with_acks_and_the_end_wakes_whoever_waits() {
        let tally = Tally::new().expect("the scale is valid").with_places(2);
        assert!(tally.may_start(2).await);
        tally.ack(&[0, 0]);
        assert!(tally.may_start(2).await);
        tally.end();
        assert!(!tally.may_start(1).await);
    }

    #[tokio::test]
    async fn a_limit_ends_the_producers() {
        let tally = Tally::new().expect("the scale is valid").with_limit(3);
        let mut started = Vec::new();
        for _ in 0..3 {
            started.push(tally.may_start(2).await);
        }
        assert_eq!(started, [true, true, false]);
    }

    #[test]
    fn confirms_are_kept_where_they_are_asked_for() {
        let tally = Tally::new().expect("the scale is valid");
        tally.confirm(0, &[1]);
        assert!(tally.confirms().is_empty());
        let tally = Tally::new().expect("the scale is valid").with_confirms();
        tally.confirm(0, &[9, 4]);
        assert_eq!(tally.confirms().iter().map(|(_, id)| *id).collect::<Vec<_>>(), [4, 9]);
    }
}
