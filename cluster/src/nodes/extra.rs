//! A node more, and a node less, of a local cluster that runs.
//!
//! Must never: give a node the number of one that was there before; its data may still be in the folder.

use std::fs;

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::launch::{launch, tail};
use super::ports;
use super::process::Process;
use crate::admin;
use crate::error::Error;
use crate::file::{Folder, Kind, NodeEntry};
use crate::limits::{END_MAX, GROUPS, KILLED_MAX, POLL_PAUSE, READY_MAX};

/// Starts a blank node beside those that run; returns when it has opened its groups, of which it is no member yet.
pub(crate) async fn start_extra(folder: &Folder, kind: Kind) -> Result<NodeEntry, Error> {
    let entry = {
        let _lock = folder.lock()?;
        let mut cluster = folder.cluster()?;
        let before = if kind == Kind::App { "a" } else { "" };
        let used = cluster.of(kind).iter().map(|node| node.node.clone()).chain(former(folder)?);
        let last = used.filter_map(|name| name.strip_prefix(before)?.parse::<u64>().ok()).max().unwrap_or(0);
        let mut ports = ports::find(None, 3)?.into_iter().map(|port| format!("127.0.0.1:{port}"));
        let mut address = || ports.next().unwrap_or_default();
        let (grpc, http, tcp) = (address(), address(), (kind == Kind::Queue).then(address));
        let mut entry = NodeEntry { node: format!("{before}{}", last + 1), pid: 0, grpc, http, tcp };
        cluster.of_mut(kind).push(entry.clone());
        entry.pid = launch(folder, &cluster, kind, &entry)?;
        cluster.set_pid(&entry.node, entry.pid);
        folder.write(&cluster)?;
        entry
    };
    is_open(folder, &entry).await?;
    Ok(entry)
}

/// Names of data folders.
fn former(folder: &Folder) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder.path()).map_err(Error::on(folder.path()))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

/// Waits until a node has opened its groups. A node that is no member has no leader, and is not ready.
async fn is_open(folder: &Folder, entry: &NodeEntry) -> Result<(), Error> {
    let until = Instant::now() + READY_MAX;
    loop {
        let views = admin::look(std::slice::from_ref(entry)).await;
        let is_open = views.iter().filter_map(|view| view.answer.as_ref().ok()).any(|status| {
            // The directory is a group, too.
            status.groups.len() > GROUPS as usize
        });
        if is_open {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Error::NotReady {
                node: entry.node.clone(),
                what: format!("has not opened its groups within {} s", READY_MAX.as_secs()),
                tail: tail(&folder.log(&entry.node)),
            });
        }
        sleep(POLL_PAUSE).await;
    }
}

/// Ends a node that is in no group any more, and forgets it. Its data stays where it is.
pub(crate) async fn forget(folder: &Folder, name: &str) -> Result<(), Error> {
    let _lock = folder.lock()?;
    let mut cluster = folder.cluster()?;
    let (kind, entry) = cluster.find(name).map(|(kind, entry)| (kind, entry.clone()))?;
    let process = Process::of(folder, kind, &entry);
    // One that has gone already needs no signal; one that is stopped must go on to obey.
    if process.signal(Signal::TERM).is_ok() && process.signal(Signal::CONT).is_ok() && !process.has_ended(END_MAX).await
    {
        process.signal(Signal::KILL)?;
        process.has_ended(KILLED_MAX).await;
    }
    cluster.of_mut(kind).retain(|node| node.node != name);
    folder.write(&cluster)
}
