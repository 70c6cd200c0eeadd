//! Strangers and broken clients at every door: the contract's error or a closed connection, never a stuck one; the node
//! still serves others, and its memory stays bounded.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use hmac::Mac as _;
use prost::Message as _;
use proto::queue::v1::SendRequest;
use queue_client::{Client, ClientConfig, NewMessage, QueueAttributes, Receive};
use tests::lone::LoneNode;
use tests::raw::Raw;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The slowest end of a connection: its time for headers, and room for a machine under load.
const FATE_MAX: Duration = Duration::from_secs(60);
/// More memory than this no crowd may cost.
const MEMORY_MAX: u64 = 512 * 1024 * 1024;
/// Connections of one address that a door holds, see the doors' limits.
const PER_ADDRESS: usize = 1_024;

/// What becomes of a connection on which these bytes are sent and nothing more: all that came back until it was closed.
async fn fate(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the node listens");
    // The node may close it before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut back = Vec::new();
    let ended = timeout(FATE_MAX, stream.read_to_end(&mut back)).await;
    assert!(ended.is_ok(), "stuck after {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)]));
    String::from_utf8_lossy(&back).into_owned()
}

/// One answer of CMQ's API to a body, on a connection that ends with it.
async fn cmq(address: &str, body: &[u8]) -> String {
    let head =
        format!("POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    fate(address, &[head.as_bytes(), body].concat()).await
}

/// A request that the local cluster's key pair has signed; its values hold nothing that is decoded differently.
fn signed(host: &str, pairs: &str) -> String {
    let pairs = format!("{pairs}&SecretId=AKIDlocal&SignatureMethod=HmacSHA256&Timestamp=1&Nonce=7");
    let mut sorted: Vec<&str> = pairs.split('&').collect();
    sorted.sort_by_key(|pair| pair.split('=').next());
    let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(b"local").expect("a key of any length");
    let mac = mac.chain_update(format!("POST{host}/?{}", sorted.join("&")));
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    format!("{pairs}&Signature={}", signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"))
}

/// The node serves on every door, and holds no more memory than it may.
async fn serves(node: &LoneNode, before: u64) {
    let client = Client::connect(ClientConfig::new([&node.grpc])).await.expect("the node serves");
    // An earlier look has made it.
    let _ = client.create_queue("fine", QueueAttributes::default()).await;
    let message = NewMessage { body: Bytes::from_static(b"x"), ..NewMessage::default() };
    client.send("fine", vec![message]).await.expect("it is sent");
    let taken = client.receive("fine", Receive::default()).await.expect("it is received");
    client.ack("fine", &[taken[0].receipt]).await.expect("it is acknowledged");
    let answer = cmq(&node.http, signed(&node.http, "Action=ListQueue").as_bytes()).await;
    assert!(answer.contains("\"code\":0"), "{answer}");
    let held = node.resident_bytes();
    assert!(held < before + MEMORY_MAX, "the node holds {held} bytes, and held {before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_gets_the_contracts_error_or_a_closed_connection() {
    let node = LoneNode::keyless(&[]).ready();
    let before = node.resident_bytes();
    serves(&node, before).await;
    let good = |pairs: &str| signed(&node.http, pairs).into_bytes();
    let many = (0..300).map(|number| format!("a{number}=1&")).collect::<String>();
    let body = "x".repeat(70_000);
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() - 3);
        bytes
    };
    let table: [(&str, Vec<u8>, &str); 14] = [
        ("nothing", Vec::new(), "(10280)"),
        ("no pairs", b"hello".to_vec(), "(10280)"),
        ("not UTF-8", b"Action=%ff%fe".to_vec(), "(10420)"),
        ("half a percent sign", good("Action=ListQueue&x=%"), "\"code\":"),
        ("zero bytes", b"Action=\0\0\0".to_vec(), "(10430)"),
        ("a name too long", format!("{}=1", "n".repeat(200)).into_bytes(), "(10420)"),
        ("too many names", many.into_bytes(), "(10420)"),
        ("too large", vec![b'x'; 4_000_000], "(10420)"),
        ("a wrong signature", cut(good("Action=ListQueue")), "\"code\":4"),
        ("a subscript left out", good("Action=BatchSendMessage&queueName=fine&msgBody.1=a&msgBody.3=b"), "(10380)"),
        ("a subscript of another kind", good("Action=BatchSendMessage&queueName=fine&msgBody.-1=a"), "(10310)"),
        (
            "a subscript beyond all",
            good("Action=BatchSendMessage&queueName=fine&msgBody.99999999999999999999=a"),
            "\"code\":4000",
        ),
        ("a body beyond the queue's", good(&format!("Action=SendMessage&queueName=fine&msgBody={body}")), "(10230)"),
        ("a number beyond all", good("Action=ReceiveMessage&queueName=fine&pollingWaitSeconds=1e99"), "(10360)"),
    ];
    for (what, body, expected) in table {
        let answer = cmq(&node.http, &body).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(expected), "{what}: {answer}");
    }
    let again = good("Action=SendMessage&queueName=fine&msgBody=twice");
    for _ in 0..2 {
        assert!(cmq(&node.http, &again).await.contains("\"code\":0"), "a small nonce names nothing: it is sent twice");
    }
    raw_grpc(&node).await;
    serves(&node, before).await;
}

/// Messages that no client of ours would send.
async fn raw_grpc(node: &LoneNode) {
    let mut raw = Raw::connect(&node.grpc, None).await;
    let long = SendRequest { queue: "q".repeat(1_000_000), ..SendRequest::default() }.encode_to_vec();
    let table = [
        ("no message of the contract", "/tercet.queue.v1.Queue/Send", Bytes::from_static(&[0xff; 64])),
        ("a name beyond all", "/tercet.queue.v1.Queue/Send", Bytes::from(long)),
        ("a call beyond the wire", "/tercet.queue.v1.Queue/Send", Bytes::from(vec![0; 32 * 1024 * 1024])),
        ("no such call", "/tercet.queue.v1.Queue/Dance", Bytes::new()),
        ("no such service", "/tercet.queue.v9.Queue/Send", Bytes::new()),
    ];
    for (what, rpc, message) in table {
        let answered = timeout(FATE_MAX, raw.call(rpc, message)).await.expect("it is answered");
        assert!(answered.is_err(), "{what}: {answered:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_half_a_request_or_never_reads_is_closed_in_time() {
    let node = LoneNode::keyless(&[]).ready();
    let before = node.resident_bytes();
    let (http, tcp, grpc) = (node.http.clone(), node.tcp.clone(), node.grpc.clone());
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let settings = [&preface[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    // A frame that names a length beyond all, and one that never comes whole.
    let login = [&[0_u8, 0][..], &70_u32.to_le_bytes(), &[8, 1]].concat();
    let huge = [&[0_u8, 0][..], &u32::MAX.to_le_bytes(), &[8, 1]].concat();
    let headers = format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {}", "x".repeat(400_000)).into_bytes();
    let table = [
        ("http: nothing", &http, Vec::new()),
        ("http: half a line", &http, b"POST / HT".to_vec()),
        ("http: half of the headers", &http, b"POST / HTTP/1.1\r\nhost: x\r\n".to_vec()),
        ("http: headers beyond all", &http, headers),
        ("http: half a body", &http, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\nAction=".to_vec()),
        (
            "http: half a chunk",
            &http,
            b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nff\r\nAc".to_vec(),
        ),
        ("http: another protocol", &http, settings.clone()),
        ("http: noise", &http, vec![0xfe; 3_000]),
        ("tcp: nothing", &tcp, Vec::new()),
        ("tcp: half a head", &tcp, vec![0, 0, 9]),
        ("tcp: half a frame", &tcp, login),
        ("tcp: a length beyond all", &tcp, huge),
        ("tcp: noise", &tcp, vec![0xfe; 3_000]),
        ("tcp: another protocol", &tcp, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("grpc: nothing", &grpc, Vec::new()),
        ("grpc: half a preface", &grpc, preface[..9].to_vec()),
        ("grpc: a preface and no settings", &grpc, preface),
        ("grpc: no sign of life", &grpc, settings.clone()),
        ("grpc: another protocol", &grpc, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec()),
        ("grpc: noise", &grpc, vec![0xfe; 3_000]),
        ("grpc: a frame beyond all", &grpc, [&settings[..], &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat()),
    ];
    let mut fates = JoinSet::new();
    for (_, address, bytes) in table {
        let address = address.clone();
        fates.spawn(async move { fate(&address, &bytes).await });
    }
    let address = http.clone();
    fates.spawn(async move { deaf(&address, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await });
    while let Some(fate) = fates.join_next().await {
        fate.expect("it was closed in time");
    }
    serves(&node, before).await;
}

/// Asks as long as the node takes questions, and reads no answer, until the node ends the connection.
async fn deaf(address: &str, question: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the node listens");
    let questions = question.repeat(1_000);
    let asked = timeout(FATE_MAX, async { while stream.write_all(&questions).await.is_ok() {} }).await;
    assert!(asked.is_ok(), "a client that never reads is stuck");
    String::new()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_connections_and_a_flood_of_requests_leave_room_for_others() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, all).expect("a process may use what it is granted");
    let node = LoneNode::keyless(&[]).ready();
    let before = node.resident_bytes();
    drop(crowd(&node.tcp).await);
    let (http, grpc) = (crowd(&node.http).await, crowd(&node.grpc).await);
    // Somebody from another address is served while the crowd stands at the doors.
    let other = page_from("127.0.0.2", &node.http).await;
    assert!(other.contains("ready"), "{other}");
    let held = node.resident_bytes();
    assert!(held < before + MEMORY_MAX, "the node holds {held} bytes, and held {before}");
    drop((http, grpc));
    let mut flood = JoinSet::new();
    for number in 0..64_u32 {
        let (http, strange) = (node.http.clone(), format!("Action=ListQueue&SecretId=AKID{number}&Signature=x"));
        flood.spawn(async move {
            for _ in 0..50 {
                // The crowd is still leaving: who comes too early is closed at once, and comes again.
                let answer = loop {
                    match cmq(&http, strange.as_bytes()).await {
                        closed if closed.is_empty() => {}
                        answer => break answer,
                    }
                };
                assert!(answer.contains("\"code\":4100"), "{answer}");
            }
        });
    }
    while let Some(done) = flood.join_next().await {
        done.expect("every request is answered");
    }
    serves(&node, before).await;
}

/// As many connections as an address may have and more; those that are too many are closed at once.
async fn crowd(address: &str) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..PER_ADDRESS + 100 {
        crowd.push(TcpStream::connect(address).await.expect("the node listens"));
    }
    let mut closed = 0;
    for stream in crowd.iter_mut().rev().take(90) {
        let mut byte = [0];
        let ended = timeout(Duration::from_secs(30), stream.read(&mut byte)).await;
        closed += usize::from(matches!(ended, Ok(Ok(0) | Err(_))));
    }
    assert_eq!(closed, 90, "the last ones of {address} are closed at once");
    crowd
}

/// The readiness page, asked for from another address of this machine.
async fn page_from(from: &str, address: &str) -> String {
    let socket = TcpSocket::new_v4().expect("a socket can be made");
    socket.bind(SocketAddr::new(from.parse().expect("an address"), 0)).expect("the address is this machine's");
    let mut stream = socket.connect(address.parse().expect("an address")).await.expect("the node listens");
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("it reads");
    let mut page = String::new();
    timeout(FATE_MAX, stream.read_to_string(&mut page)).await.expect("it answers").expect("it is text");
    page
}
