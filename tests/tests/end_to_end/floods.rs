//! Clients that use HTTP/2 against the node: calls given up by the hundred, headers without end, answers that nobody takes.
//! Its memory stays bounded, and it serves others.
//!
//! Frames are made by hand here, since no library sends what these clients send.
//!
//! Must never: read on the connection of a client that is said not to read.

use std::time::Duration;

use bytes::Bytes;
use proto::queue::v1::queue_client::QueueClient;
use proto::queue::v1::{ConsumeRequest, MessageState, PeekRequest};
use queue_client::{Client, ClientConfig, NewMessage, QueueAttributes, Receive};
use tests::lone::LoneNode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::transport::Endpoint;

/// A connection that abuses the node ends within this, with room for a machine under load.
const FATE_MAX: Duration = Duration::from_secs(60);
/// More memory than this no client may cost: what answers may hold, what is read to make them, and what the allocator has
/// not given back yet.
const MEMORY_MAX: u64 = 768 * 1024 * 1024;
/// Calls of one connection, see the door's limits.
const STREAMS: u32 = 512;
const BODY_BYTES: usize = 60_000;
/// More than answers may hold together.
const BODIES: usize = 1_280;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is small").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The preface and settings of a client that opens no window for its answers.
fn hello() -> Vec<u8> {
    let no_window = [0, 4, 0, 0, 0, 0];
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &no_window)].concat()
}

/// The header block of a gRPC call: names of the static table, values as they are.
fn call(path: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("it is short")], text.as_bytes()].concat();
    let named = |name: &str, value: &str| [&[0_u8][..], &text(name), &text(value)].concat();
    let mut block = vec![0x83, 0x86];
    block.extend([&[0x04][..], &text(path), &[0x01], &text("node")].concat());
    block.extend([named("content-type", "application/grpc"), named("te", "trailers")].concat());
    block
}

fn message(message: &impl prost::Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    let length = u32::try_from(bytes.len()).expect("it is small").to_be_bytes();
    [&[0][..], &length, &bytes].concat()
}

fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| number * 2 + 1)
}

async fn connect(address: &str, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the node listens");
    stream.write_all(first).await.expect("it reads");
    stream
}

/// The node serves, and holds no more memory than it may.
async fn serves(node: &LoneNode, before: u64) {
    let client = Client::connect(ClientConfig::new([&node.grpc])).await.expect("the node serves");
    // An earlier look has made it.
    let _ = client.create_queue("fine", QueueAttributes::default()).await;
    let message = NewMessage { body: Bytes::from_static(b"x"), ..NewMessage::default() };
    client.send("fine", vec![message]).await.expect("it is sent");
    let taken = client.receive("fine", Receive::default()).await.expect("it is received");
    client.ack("fine", &[taken[0].receipt]).await.expect("it is acknowledged");
    let held = node.resident_bytes();
    eprintln!("{} MiB are held, and {} MiB were", held >> 20, before >> 20);
    assert!(held < before + MEMORY_MAX, "the node holds {held} bytes, and held {before}");
}

/// Fills the queue "deep" with more than answers may hold together.
async fn fill(node: &LoneNode) {
    let client = Client::connect(ClientConfig::new([&node.grpc])).await.expect("the node serves");
    client.create_queue("deep", QueueAttributes::default()).await.expect("it is made");
    let body = Bytes::from(vec![7; BODY_BYTES]);
    for _ in 0..BODIES / 64 {
        let message = NewMessage { body: body.clone(), ..NewMessage::default() };
        client.send("deep", vec![message; 64]).await.expect("it is sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_all_calls_at_once_keeps_the_connection_and_who_goes_on_so_does_not() {
    let node = LoneNode::keyless(&[]).ready();
    let before = node.resident_bytes();
    serves(&node, before).await;
    // As a client does whose calls end by one deadline while the node was slow: all of them come in one piece.
    let given_up = |from: u32, count: u32| -> Vec<u8> {
        let block = call("/tercet.queue.v1.Queue/Receive");
        let of =
            |stream| [frame(HEADERS, END_HEADERS, stream, &block), frame(RESET, 0, stream, &[0, 0, 0, 8])].concat();
        streams(from + count).skip(from as usize).flat_map(of).collect()
    };
    let sign = frame(PING, 0, 0, b"12345678");
    let mut stream = connect(&node.grpc, &[hello(), given_up(0, 300), sign].concat()).await;
    let mut back = Vec::new();
    let answered = timeout(FATE_MAX, async {
        let mut some = [0; 4096];
        while !back.windows(8).any(|part| part == b"12345678") {
            let count = stream.read(&mut some).await.expect("the connection stays");
            assert!(count > 0, "the connection stays");
            back.extend_from_slice(&some[..count]);
        }
    });
    answered.await.expect("the sign of life is answered");
    drop(stream);

    let mut floods = JoinSet::new();
    let endless = |first: Vec<u8>, more: Vec<u8>| (first, more.repeat(1 + 65_536 / more.len()));
    let half = frame(HEADERS, 0, 1, &call("/tercet.queue.v1.Queue/Send"));
    let wide =
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &[&[0, 1, b'x', 127, 0xff, 0xff, 1][..], &[b'y'; 9_000]].concat());
    let table = [
        ("headers without end", endless(half, frame(CONTINUATION, 0, 1, &[0; 64]))),
        ("empty frames without end", endless(frame(HEADERS, 0, 1, &[0x83]), frame(CONTINUATION, 0, 1, &[]))),
        ("headers that are no code", endless(wide, frame(DATA, 0, 1, &[0; 64]))),
        ("data of no call", endless(Vec::new(), frame(DATA, 0, 1, &[0; 64]))),
        ("settings without end, and no answer read", endless(Vec::new(), frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]))),
        ("signs of life without end, and no answer read", endless(Vec::new(), frame(PING, 0, 0, b"12345678"))),
    ];
    for (what, (first, more)) in table {
        let mut stream = connect(&node.grpc, &[hello(), first].concat()).await;
        floods.spawn(async move {
            let ended = timeout(FATE_MAX, async { while stream.write_all(&more).await.is_ok() {} }).await;
            assert!(ended.is_ok(), "{what}: the connection goes on");
        });
    }
    for round in 0..8 {
        let address = node.grpc.clone();
        let flood: Vec<u8> = given_up(0, 20_000);
        floods.spawn(async move {
            let mut stream = connect(&address, &hello()).await;
            // It may be closed before all is read.
            let _ = timeout(FATE_MAX, stream.write_all(&flood)).await;
            drop((round, stream));
        });
    }
    while let Some(fate) = floods.join_next().await {
        fate.expect("it ended in time");
    }
    serves(&node, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_takes_hold_bounded_memory_and_come_back() {
    let node = LoneNode::keyless(&[]).ready();
    let before = node.resident_bytes();
    serves(&node, before).await;
    fill(&node).await;
    // Ten connections that ask for gigabytes, live, and take nothing.
    let peek = PeekRequest {
        queue: "deep".to_owned(),
        state: MessageState::Visible.into(),
        limit: 128,
        ..PeekRequest::default()
    };
    let consume = ConsumeRequest { queue: "deep".to_owned(), credits: 10_000, lease_ms: Some(5_000) };
    let asked = [
        ("/tercet.queue.v1.Queue/Peek", message(&peek), END_STREAM),
        ("/tercet.queue.v1.Queue/Consume", message(&consume), 0),
    ];
    let mut deaf = Vec::new();
    for (path, body, end) in asked.iter().cycle().take(10) {
        let block = call(path);
        let ask = |stream| [frame(HEADERS, END_HEADERS, stream, &block), frame(DATA, *end, stream, body)].concat();
        let asks: Vec<u8> = streams(STREAMS / 4).flat_map(ask).collect();
        deaf.push(connect(&node.grpc, &[hello(), asks].concat()).await);
    }
    let mut most = 0;
    for _ in 0..40 {
        most = most.max(node.resident_bytes());
        sleep(Duration::from_millis(200)).await;
    }
    eprintln!("at most {} MiB were held, {} MiB before", most >> 20, before >> 20);
    assert!(most < before + MEMORY_MAX, "the node held {most} bytes, and {before} before");
    // Beside them others are served: small answers need no room.
    serves(&node, before).await;
    drop(deaf);
    // What was leased to those who did not read comes back to who does.
    let endpoint = Endpoint::from_shared(format!("http://{}", node.grpc)).expect("it is an address");
    let channel = endpoint.connect().await.expect("the node listens");
    let mut client = QueueClient::new(channel).max_decoding_message_size(32 * 1024 * 1024);
    let request = ConsumeRequest { lease_ms: Some(60_000), ..consume };
    let (_open, requests) = (tokio::sync::mpsc::channel::<()>(1), tokio_stream::once(request));
    let requests = tokio_stream::StreamExt::chain(requests, tokio_stream::pending());
    let mut replies = client.consume(requests).await.expect("it begins").into_inner();
    let all = timeout(FATE_MAX, async {
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < BODIES {
            let reply = replies.message().await.expect("the stream goes on").expect("there is more");
            seen.extend(reply.messages.into_iter().map(|message| message.id));
        }
    });
    all.await.expect("every message comes");
    serves(&node, before).await;
}
