//! The buffer between whoever ends a span and the exporter; and whether there are traces at all.
//!
//! Why one for the process, as the log is: a span is ended by whoever drops it, and he cannot be told where to.
//!
//! Must never: wait. Where there is no room a span is dropped, and counted.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tonic::transport::Endpoint;

use super::export::{Exporter, export};
use super::span::Deed;
use crate::credentials::Clock;
use crate::limits::SPANS_WAITING_MAX;

static TRACES: OnceLock<Traces> = OnceLock::new();

struct Traces {
    spans: mpsc::Sender<Box<Deed>>,
    /// Of 2^64 calls that bring no trace, so many begin one.
    chosen: u128,
    tally: Tally,
}

#[derive(Default)]
pub(super) struct Tally {
    ended: AtomicU64,
    pub(super) exported: AtomicU64,
    pub(super) dropped: AtomicU64,
}

/// What a process is told of its traces.
#[derive(Clone)]
pub struct Settings {
    /// Where the collector is: `http://HOST:PORT`.
    pub endpoint: String,
    /// Of the calls that bring no trace this part begins one, 0 to 1.
    pub share: f64,
    /// What the process is: `queue-server`.
    pub service: &'static str,
    /// Which one it is.
    pub node: String,
    /// Nanoseconds since the Unix epoch.
    pub wall: Clock,
}

/// Spans of this process since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// That have ended.
    pub ended: u64,
    /// That a collector has taken.
    pub exported: u64,
    /// That were dropped: no room, or no collector that took them.
    pub dropped: u64,
}

/// Why there are no traces.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The endpoint is none.
    #[error("--otlp {endpoint}: {what}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// Why not.
        what: String,
    },
    /// The share is no part of one.
    #[error("--otlp-share {0}: write a number from 0 to 1")]
    Share(String),
    /// They began before.
    #[error("traces have begun already")]
    Begun,
}

/// Begins to record. Within a runtime, once in a process. Nothing is connected before there is a span.
pub fn start(settings: Settings) -> Result<(), StartError> {
    let Settings { endpoint, share, service, node, wall } = settings;
    let bad = |what: String| StartError::Endpoint { endpoint: endpoint.clone(), what };
    if !endpoint.starts_with("http://") {
        return Err(bad("write http://HOST:PORT; a collector beside the node needs no TLS".to_owned()));
    }
    let channel = Endpoint::from_shared(endpoint.clone()).map_err(|error| bad(error.to_string()))?;
    if !(0.0..=1.0).contains(&share) {
        return Err(StartError::Share(share.to_string()));
    }
    let (spans, ended) = mpsc::channel(SPANS_WAITING_MAX);
    TRACES.set(Traces { spans, chosen: chosen_of(share), tally: Tally::default() }).map_err(|_| StartError::Begun)?;
    let exporter = Exporter::new(&channel, (service, node), wall);
    if let Some(traces) = TRACES.get() {
        tokio::spawn(export(exporter, ended, &traces.tally));
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of 2^64, which 52 bits say well enough"
)]
fn chosen_of(share: f64) -> u128 {
    (share * (1u128 << 64) as f64) as u128
}

/// Whether anything is recorded.
#[must_use]
pub fn is_on() -> bool {
    TRACES.get().is_some()
}

/// Whether a call begins a trace, by a number that chance gave it.
pub(super) fn is_chosen(chance: u64) -> bool {
    TRACES.get().is_some_and(|traces| u128::from(chance) < traces.chosen)
}

/// Spans so far; `None`: nothing is recorded.
#[must_use]
pub fn counts() -> Option<Counts> {
    let tally = &TRACES.get()?.tally;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Some(Counts { ended: read(&tally.ended), exported: read(&tally.exported), dropped: read(&tally.dropped) })
}

/// Keeps a span that has ended, if there is room.
pub(super) fn keep(deed: Box<Deed>) {
    let Some(traces) = TRACES.get() else { return };
    traces.tally.ended.fetch_add(1, Ordering::Relaxed);
    if traces.spans.try_send(deed).is_err() {
        traces.tally.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_part_of_all_chances() {
        for (share, lowest, highest) in [(0.0, false, false), (0.5, true, false), (1.0, true, true)] {
            let chosen = chosen_of(share);
            assert_eq!((0 < chosen, u128::from(u64::MAX) < chosen), (lowest, highest), "{share}");
        }
    }

    #[tokio::test]
    async fn what_is_no_endpoint_or_no_share_is_refused() {
        let settings = |endpoint: &str, share| Settings {
            endpoint: endpoint.to_owned(),
            share,
            service: "test",
            node: String::new(),
            wall: std::sync::Arc::new(|| 0),
        };
        for (endpoint, share) in [
            ("127.0.0.1:4317", 1.0),
            ("https://c:4317", 1.0),
            ("http://", 1.0),
            ("http://c:1", 1.1),
            ("http://c:1", f64::NAN),
        ] {
            assert!(start(settings(endpoint, share)).is_err(), "{endpoint} {share}");
            assert!(!is_on());
        }
    }
}
