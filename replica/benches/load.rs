//! Load on three replicas in one process: how many proposals a second, how late, and how many bytes reach the disk.
//!
//! ```text
//!  cargo bench -p replica --bench load -- IN_FLIGHT BODY_BYTES SECONDS LIVE
//! ```
//! Each proposal keeps one body; the oldest of more than LIVE bodies is dropped (short-lived messages: a small LIVE; a
//! backlog: a large one). Prints proposals per second, p50 and p99 in microseconds, and the bytes written by the whole
//! process for each byte of body and replica (0 where the system does not count them).
//!
//! Must never: be compared across machines. Compare two builds by turns on one.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::join_all;
use machine::{
    BodyRef, Context, DecodeError, GroupId, Key, Layout, LoadError, Machine, Reader, RequestId, RowSource, Rows, Writer,
};
use replica::{Group, Replica, ReplicaConfig, ScrubPace, Timers, system_wall_clock};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

const GROUP: GroupId = GroupId(1);
const TOTAL: u8 = 0x10;
const LINE: u8 = 0x11;

type Failure = Box<dyn std::error::Error>;

/// A line of bodies: the newest `live` of them.
struct Line {
    total: u64,
}

/// Keeps a body, and lets the one `live` before it go.
struct Add {
    live: u64,
    body: Bytes,
}

/// The number of a body.
struct Added(u64);

fn key(number: u64) -> Key {
    let mut out = Writer::with_capacity(9);
    out.u8(LINE);
    out.u64(number);
    out.finish()
}

impl Machine for Line {
    type Command = Add;
    type Reply = Added;

    fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        let total = rows.get(&[TOTAL])?.map_or(Ok(0), |row| Reader::new(row).u64());
        Ok(Self { total: total.map_err(|error| LoadError::row(&[TOTAL], error))? })
    }

    fn keys(_: &Add, _: &mut Vec<Key>) {}

    fn apply(&mut self, context: &Context, add: Add, rows: &mut Rows) -> Added {
        self.total += 1;
        let mut row = Writer::with_capacity(64);
        row.u64(context.now.0);
        row.raw(&[7; 56]);
        rows.put(key(self.total), row.finish());
        rows.keep_body(BodyRef(self.total), add.body);
        if let Some(oldest) = self.total.checked_sub(add.live).filter(|oldest| *oldest > 0) {
            rows.delete(key(oldest));
            rows.drop_body(BodyRef(oldest));
        }
        Added(self.total)
    }

    fn seal(&mut self, rows: &mut Rows) {
        rows.put(Bytes::from_static(&[TOTAL]), Bytes::copy_from_slice(&self.total.to_be_bytes()));
    }
}

impl Layout for Add {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.live);
        out.bytes(&self.body);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { live: input.u64()?, body: input.bytes()? })
    }
}

impl Layout for Added {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(input.u64()?))
    }
}

struct Node {
    replica: Replica,
    group: Group<Line>,
}

async fn start(folder: &std::path::Path) -> Result<Vec<Node>, Failure> {
    let mut listeners = Vec::new();
    for _ in 0..3 {
        listeners.push(TcpListener::bind("127.0.0.1:0").await?);
    }
    let mut members = BTreeMap::new();
    for (node, listener) in (1_u64..).zip(&listeners) {
        members.insert(node, listener.local_addr()?.to_string());
    }
    let mut boots = Vec::new();
    for (node, listener) in (1_u64..).zip(listeners) {
        let folder = folder.join(node.to_string());
        let config = ReplicaConfig {
            node,
            folder,
            members: members.clone(),
            timers: Timers::default(),
            wall: system_wall_clock(),
            seal: None,
            known: machine::Format::LATEST,
            scrub: ScrubPace::default(),
        };
        let replica = Replica::open(config)?;
        let served = tonic::transport::Server::builder().add_service(replica.service());
        let incoming = TcpListenerStream::new(listener).inspect(|socket| {
            // A load without it would measure Nagle's algorithm.
            let _ = socket.as_ref().map(|socket| socket.set_nodelay(true));
        });
        tokio::spawn(served.serve_with_incoming(incoming));
        boots.push(async move {
            let group = replica.add_group::<Line>(GROUP).await?;
            Ok::<_, replica::StartError>(Node { replica, group })
        });
    }
    Ok(join_all(boots).await.into_iter().collect::<Result<_, _>>()?)
}

/// Bytes this process has caused to be written.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0)
}

async fn load(group: &Group<Line>, body: &Bytes, live: u64, until: Instant) -> Vec<u64> {
    let mut times = Vec::new();
    while Instant::now() < until {
        let started = Instant::now();
        if group.propose(RequestId::NONE, &Add { live, body: body.clone() }).await.is_ok() {
            times.push(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
    }
    times
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // cargo adds a word of its own.
    let words = std::env::args().skip(1).filter(|word| word != "--bench");
    let numbers: Vec<u64> = words.map(|word| word.parse()).collect::<Result<_, _>>()?;
    let [in_flight, bytes, seconds, live] = numbers[..] else { return Err("four numbers are needed".into()) };
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let nodes = start(folder.path()).await?;
    let leader = loop {
        match nodes.iter().find(|node| node.group.is_leader()) {
            Some(node) => break node,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let body = Bytes::from(vec![7; usize::try_from(bytes)?]);
    load(&leader.group, &body, live, Instant::now() + Duration::from_millis(300)).await;
    let (before, started) = (written(), Instant::now());
    let until = started + Duration::from_secs(seconds);
    let clients = (0..in_flight).map(|_| {
        let (group, body) = (leader.group.clone(), body.clone());
        tokio::spawn(async move { load(&group, &body, live, until).await })
    });
    let mut times = Vec::new();
    for client in join_all(clients).await {
        times.extend(client?);
    }
    let took = u64::try_from(started.elapsed().as_millis())?;
    let count = times.len() as u64;
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or(0);
    let per_s = count * 1000 / took.max(1);
    // Hundredths of a byte for each byte of body and replica.
    let share = (written() - before) * 100 / (count * bytes * 3).max(1);
    let (p50, p99) = (at(50), at(99));
    writeln!(
        std::io::stdout(),
        "{per_s} per s, p50 {p50} us, p99 {p99} us, written {}.{:02}",
        share / 100,
        share % 100
    )?;
    for node in &nodes {
        node.replica.stop().await;
    }
    Ok(())
}
