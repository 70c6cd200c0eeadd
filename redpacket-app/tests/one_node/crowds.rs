//! Clients that mean no good, at both doors: who drips, goes silent or never reads is closed in time; a crowd that only stands
//! there keeps nobody out; what is broken or giant is told so.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::http_door::id;
use crate::node::Node;

/// The slowest end of a connection, with much room for a machine under load.
const FATE_MAX: Duration = Duration::from_secs(120);
/// How often a client that drips lets go of a byte.
const DRIP_EVERY: Duration = Duration::from_secs(1);
/// Connections that only stand there.
const CROWD: usize = 2_000;

/// How somebody misuses a connection.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Says this, and nothing more.
    Halts(&'static [u8]),
    /// Says this, then one byte a second.
    Drips(&'static [u8]),
    /// Says this again and again, and reads nothing.
    Deaf(&'static [u8]),
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HALF_A_BODY: &[u8] =
    b"POST /api/grab HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";

/// What comes back until the node closes the connection.
async fn fate(address: String, manner: Manner) -> String {
    let mut stream = TcpStream::connect(&address).await.expect("the node listens");
    let mut back = Vec::new();
    let ended = timeout(FATE_MAX, async {
        match manner {
            Manner::Halts(said) => {
                // The node may close it before it has read everything.
                let _ = stream.write_all(said).await;
                let _ = stream.read_to_end(&mut back).await;
            }
            Manner::Drips(said) => {
                let (mut reader, mut writer) = stream.split();
                let drip = async {
                    let _ = writer.write_all(said).await;
                    loop {
                        tokio::time::sleep(DRIP_EVERY).await;
                        let _ = writer.write_all(b"x").await;
                    }
                };
                tokio::select! {
                    _ = reader.read_to_end(&mut back) => {}
                    () = drip => {}
                }
            }
            Manner::Deaf(question) => {
                let questions = question.repeat(1_000);
                while stream.write_all(&questions).await.is_ok() {}
            }
        }
    });
    assert!(ended.await.is_ok(), "stuck at {address}: {manner:?}");
    String::from_utf8_lossy(&back).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_drips_halts_or_never_reads_is_closed_in_time() {
    let node = tokio::task::spawn_blocking(|| Node::start(&["--open-registration"])).await.expect("it starts");
    let (http, grpc) = (node.http.clone(), node.grpc.clone());
    let table = [
        (&http, Manner::Halts(b""), ""),
        (&http, Manner::Halts(b"GET / HTTP/1.1\r\nhost: x\r\n"), ""),
        (&http, Manner::Drips(b"GET / HTTP/1.1\r\nhost: "), ""),
        (&http, Manner::Halts(HALF_A_BODY), "HTTP/1.1 503 "),
        (&http, Manner::Drips(HALF_A_BODY), "HTTP/1.1 503 "),
        (&http, Manner::Halts(PREFACE), ""),
        (&http, Manner::Deaf(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"), ""),
        (&grpc, Manner::Halts(b""), ""),
        (&grpc, Manner::Halts(b"PRI * HTTP"), ""),
        (&grpc, Manner::Drips(b"PRI"), ""),
        (&grpc, Manner::Halts(PREFACE), ""),
        (&grpc, Manner::Halts(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"), ""),
    ];
    let mut fates = JoinSet::new();
    for (address, manner, expected) in table {
        let address = address.clone();
        fates.spawn(async move {
            let said = fate(address, manner).await;
            assert!(said.starts_with(expected), "{manner:?}: {said}");
            if expected.contains("503") {
                assert!(said.contains("\"outcome\":\"not-applied\""), "{said}");
            }
        });
    }
    while let Some(fate) = fates.join_next().await {
        fate.expect("it is closed in time, with the right words");
    }
    tokio::task::spawn_blocking(move || node.register(1, 0)).await.expect("the node serves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_only_stands_there_keeps_nobody_out() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("what is granted may be used");
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let node = tokio::task::spawn_blocking(|| Node::start(&["--open-registration"])).await.expect("it starts");
    let mut crowd = Vec::new();
    for number in 0..CROWD.min(most / 4) {
        let address = if number % 8 == 0 { &node.grpc } else { &node.http };
        crowd.push(TcpStream::connect(address).await.expect("the node listens"));
    }
    // Another address of this machine is another caller.
    let socket = TcpSocket::new_v4().expect("a socket can be made");
    socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).expect("the address is this machine's");
    let mut other = socket.connect(node.http.parse().expect("an address")).await.expect("the node listens");
    other.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("it is asked");
    let mut said = String::new();
    timeout(FATE_MAX, other.read_to_string(&mut said)).await.expect("in time").expect("readable");
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    let node = tokio::task::spawn_blocking(move || {
        node.register(1, 0);
        node
    });
    let _node = node.await.expect("the node serves");
    drop(crowd);
}

#[test]
fn what_is_broken_or_giant_is_told_so_and_the_next_request_is_served() {
    let node = Node::start(&["--open-registration"]);
    let deep = "[".repeat(60_000);
    let long = json!({ "user": "0".repeat(1 << 20) }).to_string();
    let table = [
        ("no JSON", "{\"user\": ", 400, 20_020),
        ("too deep", deep.as_str(), 400, 20_020),
        ("not an object", "17", 400, 20_020),
        ("a number beyond all", "{\"user\": 1e999}", 400, 20_020),
        ("giant", long.as_str(), 413, 20_021),
    ];
    for (what, body, status, refusal) in table {
        let answer = node.ask("POST", "/api/grab", body, &[]);
        assert_eq!(answer.refusal(), (status, refusal), "{what}: {answer:?}");
    }
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    let giant = node.ask("POST", "/api/grab", &chunk.repeat(3), &[("transfer-encoding", "chunked")]);
    assert!([400, 413].contains(&giant.status), "a length and chunks at a time: {giant:?}");
    let headers = "x".repeat(64 * 1024);
    let giant = node.ask("GET", "/", "", &[("long", headers.as_str())]);
    assert_eq!(giant.status, 431, "{giant:?}");
    let named = json!({ "user": id(2), "name": "one", "fund_fen": 0 });
    assert_eq!(node.post("/api/register", &named, None).status, 200);
}
