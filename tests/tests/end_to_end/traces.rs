//! Traces: from a phone's tap to the credit that was booked, through the queue, one trace in all systems; and a collector
//! that is gone disturbs nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use proto::traces::otlp::trace_service_server::{TraceService, TraceServiceServer};
use proto::traces::otlp::{ExportTraceServiceRequest, ExportTraceServiceResponse, Span, any_value};
use queue_client::{Client, ClientConfig, NewMessage, QueueAttributes, Receive};
use serde_json::{Value, json};
use tests::local::LocalCluster;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const DEADLINE: Duration = Duration::from_secs(60);
/// The trace of the tap, and of the message that no app sends.
const TAP: &str = "0af7651916cd43dd8448eb211c80319c";
const LONE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// The phone's own span.
const PHONE: &str = "b7ad6b7169203331";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A span as it came, with who made it.
#[derive(Clone, Debug)]
struct Seen {
    service: String,
    span: Span,
}

/// A collector on this machine.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Seen>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for process in request.into_inner().resource_spans {
            let attributes = process.resource.unwrap_or_default().attributes;
            let named = attributes.into_iter().find(|one| one.key == "service.name");
            let service = match named.and_then(|one| one.value?.value) {
                Some(any_value::Value::StringValue(name)) => name,
                _ => String::new(),
            };
            let spans = process.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.0.lock().extend(spans.map(|span| Seen { service: service.clone(), span }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector that serves.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Ends it, its connections too.
    async fn end(self) {
        drop(self.stop);
        self.task.await.expect("it ends");
    }
}

impl Collector {
    async fn start() -> (Self, String, Running) {
        let (stop, told) = oneshot::channel();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port can be had");
        let address = listener.local_addr().expect("it has an address");
        let collector = Self::default();
        let service = TraceServiceServer::new(collector.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        let task = tokio::spawn(async move {
            let told = async { drop(told.await) };
            let served = server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), told).await;
            served.expect("the collector listens");
        });
        (collector, format!("http://{address}"), Running { stop, task })
    }

    /// The spans of a trace, once all of these names are among them, and none hangs in the air.
    async fn whole(&self, trace: &str, names: &[&str]) -> Vec<Seen> {
        let until = Instant::now() + DEADLINE;
        loop {
            let seen: Vec<Seen> =
                self.0.lock().iter().filter(|seen| hex(&seen.span.trace_id) == trace).cloned().collect();
            let found: BTreeSet<&str> = seen.iter().map(|seen| seen.span.name.as_str()).collect();
            let loose = loose(&seen);
            if names.iter().all(|name| found.contains(name)) && loose.is_empty() {
                return seen;
            }
            assert!(Instant::now() < until, "{names:?} come in time; there are {found:?}, without a parent {loose:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Names of spans whose parents are neither among the others nor the phone's.
fn loose(seen: &[Seen]) -> Vec<&str> {
    let ids: BTreeSet<String> = seen.iter().map(|seen| hex(&seen.span.span_id)).collect();
    let parent = |seen: &Seen| hex(&seen.span.parent_span_id);
    let loose = seen.iter().filter(|seen| parent(seen) != PHONE && !ids.contains(&parent(seen)));
    loose.map(|seen| seen.span.name.as_str()).collect()
}

fn post(http: &str, path: &str, body: &Value, trace: &str) -> Value {
    let mut stream = TcpStream::connect(http).expect("the node listens");
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: phone\r\nconnection: close\r\ncontent-type: application/json\r\n");
    let body = body.to_string();
    let trace = if trace.is_empty() { String::new() } else { format!("traceparent: 00-{trace}-{PHONE}-01\r\n") };
    let request = format!("{head}{trace}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).expect("the node reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("the node answers");
    let (head, text) = said.split_once("\r\n\r\n").expect("an answer has a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {said}");
    serde_json::from_str(text).expect("JSON")
}

fn page(http: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(http).expect("the node listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("the node reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("the node answers");
    said
}

fn id(number: u128) -> String {
    format!("{number:032x}")
}

/// A packet's id is a part of its order's: orders differ in every word.
const SPREAD: u128 = 0x1_0000_0001_0000_0001_0000_0001;

/// User 1 sends user 2 a packet, and user 2 opens it in this trace.
fn tap(http: &str, order: u128, trace: &str) {
    let packet = json!({
        "user": id(1), "order": id(order * SPREAD), "kind": "direct", "recipients": [id(2)], "total_fen": 100, "shares": 1,
    });
    let sent = post(http, "/api/send", &packet, "");
    let opened = post(http, "/api/open", &json!({ "user": id(2), "packet": sent["packet"] }), trace);
    assert_ne!(opened["claim"]["fen"], 0, "{opened}");
}

/// A message that brings its trace is followed by the queue alone.
async fn a_message_is_followed(cluster: &LocalCluster, collector: &Collector) {
    let client = Client::connect(ClientConfig::new(cluster.queue_addresses())).await.expect("a node answers");
    client.create_queue("orders", QueueAttributes::default()).await.expect("the queue is made");
    let headers = BTreeMap::from([("traceparent".to_owned(), format!("00-{LONE}-{PHONE}-01"))]);
    let message = NewMessage { body: Bytes::from_static(b"x"), headers: headers.clone(), ..NewMessage::default() };
    client.send("orders", vec![message, NewMessage::default()]).await.expect_err("an empty body is refused");
    let message = NewMessage { body: Bytes::from_static(b"x"), headers: headers.clone(), ..NewMessage::default() };
    client.send("orders", vec![message]).await.expect("it is sent");
    let taken = client.receive("orders", Receive { wait: DEADLINE, ..Receive::default() }).await;
    assert_eq!(taken.expect("it is received")[0].headers, headers, "the message is as it was sent");
    let seen = collector.whole(LONE, &["queue.send", "propose", "fsync", "queue.receive"]).await;
    assert!(seen.iter().all(|seen| seen.span.start_time_unix_nano <= seen.span.end_time_unix_nano));
    assert!(seen.iter().all(|seen| seen.service == "queue-server"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_tap_to_the_credit_and_a_dead_collector_disturbs_nobody() {
    let (collector, endpoint, running) = Collector::start().await;
    let cluster = LocalCluster::blank();
    cluster.must_with(&["up", "--app"], "TERCET_OTLP", &endpoint);
    let file = cluster.file();
    let http = file["app"][0]["http"].as_str().expect("a node has an address").to_owned();
    for user in [1, 2] {
        post(&http, "/api/register", &json!({ "user": id(user), "name": "one", "fund_fen": 100_000 }), "");
    }
    cluster.must(&["switch", "credits", "queued"]);
    // Nodes read their switches each second.
    let until = Instant::now() + DEADLINE;
    for order in 0x500.. {
        let trace = format!("{TAP:.24}{order:08x}");
        tap(&http, order, &trace);
        let seen = collector.whole(&trace, &["POST /api/open", "access.enter", "packet.open", "propose"]).await;
        if seen.iter().any(|seen| seen.span.name == "send") {
            break;
        }
        assert!(Instant::now() < until, "credits go by the queue");
    }
    tap(&http, 0x900, TAP);
    let names = [
        "POST /api/open",
        "access.enter",
        "packet.open",
        "propose",
        "fsync",
        "send",
        "queue.send",
        "queue.receive",
        "process",
        "tenpay.book",
        "queue.ack",
    ];
    let seen = collector.whole(TAP, &names).await;
    let services: BTreeSet<&str> = seen.iter().map(|seen| seen.service.as_str()).collect();
    assert_eq!(services, BTreeSet::from(["queue-server", "redpacket-app"]));
    let of = |name: &str| seen.iter().find(|seen| seen.span.name == name).expect("it is there");
    assert_eq!(of("process").span.parent_span_id, of("send").span.span_id, "the worker goes on from the sender");
    assert_eq!(of("tenpay.book").span.parent_span_id, of("process").span.span_id);
    assert!(of("tenpay.book").span.status.is_none(), "the credit is booked");
    a_message_is_followed(&cluster, &collector).await;

    running.end().await;
    let until = Instant::now() + DEADLINE;
    for order in 0xa00.. {
        let began = Instant::now();
        tap(&http, order, TAP);
        assert!(began.elapsed() < Duration::from_secs(20), "nobody waits for the collector");
        let metrics = page(&http, "/metrics");
        let dropped = metrics.lines().find_map(|line| line.strip_prefix("tercet_app_trace_dropped "));
        if dropped.is_some_and(|dropped| dropped != "0") {
            break;
        }
        assert!(Instant::now() < until, "what is dropped is counted: {metrics}");
    }
}
