//! Traces: what one tap of a phone causes in all systems, as OpenTelemetry shows it.
//!
//! ```text
//!  traceparent ─> door ─> Span ─ within ─> current() ─┬─> child spans
//!  or sampling                                        ├─> traceparent of calls to other nodes
//!                                                     └─> header of messages ─> queue ─> whoever works on them
//!  a span ends ─> buffer (bounded, never waits) ─> exporter ─> OTLP over gRPC ─> a collector
//! ```
//!
//! Why in this room: the context travels on the same wires as the contracts, and both ends must read it alike. Why not a
//! crate of OpenTelemetry: see `docs/decisions/0050-traces.md`.
//!
//! Must never: wait, fail a request, or reach a machine's decision; or hold a body, a token, a password or a key.

mod buffer;
mod context;
mod export;
mod span;

pub use buffer::{Counts, Settings, StartError, counts, is_on, start};
pub use context::{Context, Given, TRACEPARENT};
pub use span::{Kind, Span, arrive, child, current, door, follow, line, mark, under};

/// OTLP, as far as spans need it.
#[expect(clippy::allow_attributes, reason = "generated code")]
pub mod otlp {
    tonic::include_proto!("opentelemetry.proto.collector.trace.v1");
}
