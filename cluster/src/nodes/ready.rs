//! Readiness: asks a node's /readyz until it says yes.
//!
//! Why by hand: one GET without a body needs no HTTP client.
//!
//! Must never: wait for a process that has ended.

use futures::future::try_join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use super::launch::tail;
use super::process::Process;
use crate::error::Error;
use crate::file::{ClusterFile, Folder, Kind, NodeEntry};
use crate::limits::{POLL_PAUSE, READY_MAX, STATUS_MAX};
use crate::link;

/// Waits until every node is ready. Errors: `NotReady`, for the first that ended or took too long.
pub(crate) async fn all_ready(folder: &Folder, cluster: &ClusterFile) -> Result<(), Error> {
    try_join_all(cluster.nodes().map(|(kind, entry)| is_ready(folder, kind, entry))).await?;
    Ok(())
}

/// A process that is not seen this often in a row has ended.
const MISSED_MAX: u32 = 3;

/// Waits until a node is ready. Errors: `NotReady`.
pub(crate) async fn is_ready(folder: &Folder, kind: Kind, entry: &NodeEntry) -> Result<(), Error> {
    let process = Process::of(folder, kind, entry);
    let until = Instant::now() + READY_MAX;
    let mut missed = 0;
    let failed =
        |what: String| Error::NotReady { node: entry.node.clone(), what, tail: tail(&folder.log(&entry.node)) };
    loop {
        if timeout(STATUS_MAX, says_yes(&entry.http)).await.unwrap_or(false) {
            return Ok(());
        }
        // It may pass from one to the other between two looks.
        let is_there = process.is_running() || process.is_starting();
        missed = if is_there { 0 } else { missed + 1 };
        if missed >= MISSED_MAX {
            return Err(failed("has ended".to_owned()));
        }
        if Instant::now() >= until {
            return Err(failed(format!("was not ready within {} s", READY_MAX.as_secs())));
        }
        sleep(POLL_PAUSE).await;
    }
}

/// Whether the node answers with 200.
async fn says_yes(address: &str) -> bool {
    let ask = async {
        let mut stream = link::http(address).await?;
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        Ok::<_, std::io::Error>(head)
    };
    ask.await.is_ok_and(|head| &head == b"HTTP/1.1 200")
}
