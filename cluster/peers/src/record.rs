//! A record: the figures of one phase of one system at one point. A line of JSON each.
//!
//! Must never: hold a figure that was not measured. What is absent stays absent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::books::Spent;
use crate::limits::NODES;
use crate::plan::{Point, System};
use crate::tally::{Span, Tally};

/// Messages a second.
pub(crate) const RATE: &str = "rate_per_s";
/// Seconds that were measured.
pub(crate) const SECS: &str = "secs";
/// Messages that were counted.
pub(crate) const MESSAGES: &str = "messages";
/// Processor time of all three nodes for 1,000 messages. Units: seconds.
pub(crate) const CPU: &str = "cpu_s_per_1000";
/// Processor time of the clients for 1,000 messages. Units: seconds.
pub(crate) const CLIENT_CPU: &str = "client_cpu_s_per_1000";
/// Bytes that a node wrote for each byte of payload.
pub(crate) const WRITTEN: &str = "written_per_payload_byte";
/// Memory of the largest node, at its peak.
pub(crate) const RESIDENT: &str = "resident_mib";
/// The longest time without a confirmed send after a fault.
pub(crate) const GAP: &str = "gap_ms";
/// Messages that were confirmed and never delivered.
pub(crate) const LOST: &str = "lost";
/// Deliveries of what had been delivered already.
pub(crate) const DUPLICATES: &str = "duplicates";
/// Deliveries that the system itself calls repeated.
pub(crate) const REDELIVERED: &str = "redelivered";
/// From the start of stopped nodes to the first confirmed send.
pub(crate) const RESTART: &str = "restart_s";

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// Messages were sent and confirmed.
    Send,
    /// They were received and acknowledged.
    Drain,
    /// Both at the same time.
    E2e,
    /// The backlog was made.
    Fill,
    /// Messages were sent while the backlog waited.
    DeepSend,
    /// All nodes were stopped and started while it waited.
    Restart,
    /// It was received and acknowledged.
    DeepDrain,
    /// Messages were sent while the leader failed.
    Fault,
}

impl Phase {
    /// The name for people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Drain => "drain",
            Self::E2e => "send + receive + ack",
            Self::Fill => "fill",
            Self::DeepSend => "send, backlog waiting",
            Self::Restart => "restart, backlog waiting",
            Self::DeepDrain => "drain of the backlog",
            Self::Fault => "send through the fault",
        }
    }
}

/// The figures of one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Who.
    pub(crate) system: System,
    /// Where.
    pub(crate) point: Point,
    /// What.
    pub(crate) phase: Phase,
    /// The how-manieth time, from 1.
    pub(crate) repeat: u32,
    /// Figures by name.
    pub(crate) figures: BTreeMap<String, f64>,
    /// Calls that failed.
    #[serde(default)]
    pub(crate) errors: u64,
    /// What the last of them said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
}

/// Figures in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// How many messages in how long.
    pub(crate) fn rate(messages: u64, ns: u64) -> Self {
        let secs = ns as f64 / 1e9;
        let mut figures = Self::default();
        figures.put(MESSAGES, messages as f64);
        figures.put(SECS, secs);
        if ns > 0 {
            figures.put(RATE, messages as f64 / secs);
        }
        figures
    }

    /// Adds a figure.
    pub(crate) fn put(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            // Five digits are more than any measurement here is worth.
            self.0.insert(name.to_owned(), (value * 100_000.0).round() / 100_000.0);
        }
    }

    /// Adds what `messages` of `size` bytes cost.
    pub(crate) fn cost(&mut self, spent: Option<Spent>, messages: u64, size: u64) {
        let (Some(spent), true) = (spent, messages > 0) else { return };
        let thousands = messages as f64 / 1000.0;
        self.put(CPU, spent.cpu_s / thousands);
        self.put(CLIENT_CPU, spent.client_cpu_s / thousands);
        let payload = messages as f64 * size as f64 * NODES as f64;
        self.put(WRITTEN, spent.written_bytes as f64 / payload);
    }

    /// Adds the latencies of a tally.
    pub(crate) fn latencies(&mut self, tally: &Tally) {
        for span in Span::ALL {
            let Some(quantiles) = tally.quantiles_ms(span) else { continue };
            for (name, value) in ["p50", "p99", "p999"].into_iter().zip(quantiles) {
                self.put(&latency(span, name), value);
            }
        }
    }

    /// All of them.
    pub(crate) fn done(self) -> BTreeMap<String, f64> {
        self.0
    }
}

/// The name of a latency: `confirm_p99_ms`.
pub(crate) fn latency(span: Span, quantile: &str) -> String {
    format!("{}_{quantile}_ms", span.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let record = Record {
            system: System::NatsAlways,
            point: Point::Many,
            phase: Phase::DeepDrain,
            repeat: 2,
            figures: Figures::rate(3000, 1_500_000_000).done(),
            errors: 1,
            last_error: Some("late".to_owned()),
        };
        let line = serde_json::to_string(&record).expect("a record is JSON");
        let expected = r#"{"system":"nats-always","point":"1024","phase":"deep-drain","repeat":2,"figures":{"messages":3000.0,"rate_per_s":2000.0,"secs":1.5},"errors":1,"last_error":"late"}"#;
        assert_eq!(line, expected);
        assert_eq!(serde_json::from_str::<Record>(&line).expect("a record"), record);
    }

    #[test]
    fn costs_are_per_thousand_messages_and_per_replica() {
        let spent = Spent { cpu_s: 2.0, client_cpu_s: 1.0, written_bytes: 3 * 2 * 1024 * 1000 };
        let mut figures = Figures::default();
        figures.cost(Some(spent), 1000, 1024);
        let figures = figures.done();
        assert_eq!((figures[CPU], figures[CLIENT_CPU], figures[WRITTEN]), (2.0, 1.0, 2.0));
        let mut figures = Figures::default();
        figures.cost(Some(spent), 0, 1024);
        figures.cost(None, 10, 1024);
        assert!(figures.done().is_empty());
    }
}
