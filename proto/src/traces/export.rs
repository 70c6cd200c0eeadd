//! The exporter: spans that have ended, many at once, to a collector.
//!
//! Must never: keep what a collector did not take. It would grow, and its news would be old.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};

use super::buffer::Tally;
use super::otlp::trace_service_client::TraceServiceClient;
use super::otlp::{
    AnyValue, ExportTraceServiceRequest, InstrumentationScope, KeyValue, Resource, ResourceSpans, ScopeSpans, Span,
    Status, StatusCode, any_value,
};
use super::span::{Deed, Value};
use crate::credentials::Clock;
use crate::limits::SPANS_PER_EXPORT_MAX;

/// A collector answers within this.
const EXPORT_MAX: Duration = Duration::from_secs(5);
/// What ends within this after an export shares the next one.
const GATHER: Duration = Duration::from_millis(200);
/// A collector that did not answer is left alone for this long.
const REST: Duration = Duration::from_secs(2);

/// The way to the collector.
pub(super) struct Exporter {
    client: TraceServiceClient<Channel>,
    resource: Resource,
    wall: Clock,
}

impl Exporter {
    pub(super) fn new(endpoint: &Endpoint, (service, node): (&str, String), wall: Clock) -> Self {
        let channel = endpoint.clone().connect_timeout(EXPORT_MAX).connect_lazy();
        let attributes = vec![
            text("service.name", service.to_owned()),
            text("service.namespace", "tercet".to_owned()),
            text("service.instance.id", node),
            text("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        Self { client: TraceServiceClient::new(channel), resource: Resource { attributes }, wall }
    }

    /// The spans as they travel. Ends and beginnings are monotonic times: the wall clock is read once for all.
    fn request(&self, deeds: &[Box<Deed>]) -> ExportTraceServiceRequest {
        let (now, wall_ns) = (Instant::now(), (self.wall)());
        let wall_of = |at: Instant| {
            let ago = u64::try_from(now.saturating_duration_since(at).as_nanos()).unwrap_or(u64::MAX);
            wall_ns.saturating_sub(ago)
        };
        let spans = deeds.iter().map(|deed| span(deed, wall_of)).collect();
        let scope = InstrumentationScope { name: "tercet".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
        let resource = Some(self.resource.clone());
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans }] }
    }
}

fn span(deed: &Deed, wall_of: impl Fn(Instant) -> u64) -> Span {
    let particular = |(key, value): &(&'static str, Value)| match value {
        Value::Text(value) => text(key, value.clone()),
        Value::Number(value) => number(key, *value),
    };
    let parent = if deed.parent == 0 { Vec::new() } else { deed.parent.to_be_bytes().to_vec() };
    let status = deed.has_failed.then(|| Status { message: String::new(), code: StatusCode::Error.into() });
    Span {
        trace_id: deed.context.trace.to_be_bytes().to_vec().into(),
        span_id: deed.context.span.to_be_bytes().to_vec().into(),
        parent_span_id: parent.into(),
        name: deed.name.clone().into_owned(),
        kind: deed.kind.wire().into(),
        start_time_unix_nano: wall_of(deed.began),
        end_time_unix_nano: wall_of(deed.ended.unwrap_or(deed.began)),
        attributes: deed.attributes.iter().map(particular).collect(),
        status,
    }
}

fn text(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value)) });
    KeyValue { key: key.to_owned(), value }
}

fn number(key: &str, value: u64) -> KeyValue {
    let value = any_value::Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX));
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

/// Exports for as long as the process lives.
pub(super) async fn export(mut exporter: Exporter, mut ended: mpsc::Receiver<Box<Deed>>, tally: &'static Tally) {
    let mut deeds = Vec::with_capacity(SPANS_PER_EXPORT_MAX);
    while ended.recv_many(&mut deeds, SPANS_PER_EXPORT_MAX).await > 0 {
        let request = exporter.request(&deeds);
        let count = u64::try_from(deeds.len()).unwrap_or(u64::MAX);
        deeds.clear();
        let refused = match timeout(EXPORT_MAX, exporter.client.export(request)).await {
            Ok(Ok(reply)) => {
                let partly = reply.into_inner().partial_success.map_or(0, |partly| partly.rejected_spans);
                u64::try_from(partly).unwrap_or(0).min(count)
            }
            Ok(Err(status)) => {
                tracing::debug!(%status, "the collector of traces did not take spans");
                count
            }
            Err(_) => count,
        };
        tally.exported.fetch_add(count - refused, Ordering::Relaxed);
        tally.dropped.fetch_add(refused, Ordering::Relaxed);
        sleep(if refused == count { REST } else { GATHER }).await;
    }
}
