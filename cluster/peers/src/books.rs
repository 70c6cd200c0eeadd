//! What servers and clients spend: processor time, bytes written, memory; read from the system's own books.
//!
//! Must never: guess. A node whose books cannot be read (gone, or another system) leaves the phase without a figure.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::limits::MEMORY_LOOK;

/// Ticks of processor time in a second, as Linux counts them in `/proc` on every architecture that it runs Rust on.
const TICKS_PER_S: f64 = 100.0;

/// The books of all nodes and of this process at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Books {
    ticks: u64,
    written_bytes: u64,
    client_ticks: u64,
}

/// What was spent between two looks. Units: seconds of processor time, bytes of all nodes together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spent {
    pub(crate) cpu_s: f64,
    pub(crate) client_cpu_s: f64,
    pub(crate) written_bytes: u64,
}

impl Books {
    /// Reads the books of `pids`. A node that cannot be read gives nothing, and so `since` gives nothing.
    pub(crate) fn of(pids: &[u32]) -> Option<Self> {
        let mut sum = Self::default();
        for pid in pids {
            let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
            sum.ticks += ticks(&read("stat")?)?;
            sum.written_bytes += field(&read("io")?, "write_bytes:")?;
        }
        sum.client_ticks = ticks(&fs::read_to_string("/proc/self/stat").ok()?)?;
        Some(sum)
    }

    /// What was spent since `before`. `None`: a node was started anew in between.
    pub(crate) fn since(&self, before: &Self) -> Option<Spent> {
        let seconds = |now: u64, then: u64| Some(now.checked_sub(then)? as f64 / TICKS_PER_S);
        Some(Spent {
            cpu_s: seconds(self.ticks, before.ticks)?,
            client_cpu_s: seconds(self.client_ticks, before.client_ticks)?,
            written_bytes: self.written_bytes.checked_sub(before.written_bytes)?,
        })
    }
}

/// User and system time in a process' `stat`: fields 14 and 15, counted behind the name, which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// The number behind `name` in a file of lines `name number`.
fn field(file: &str, name: &str) -> Option<u64> {
    file.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// Bytes of memory that the largest of `pids` holds.
fn resident_bytes(pids: &[u32]) -> u64 {
    let of = |pid: &u32| field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:");
    pids.iter().filter_map(of).max().unwrap_or(0) * 1024
}

/// Watches the nodes' memory until dropped.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    most: Arc<AtomicU64>,
    looking: JoinHandle<()>,
}

impl MemoryWatch {
    /// Looks from now on.
    pub(crate) fn begin(pids: &[u32]) -> Self {
        let (most, pids) = (Arc::new(AtomicU64::new(resident_bytes(pids))), pids.to_vec());
        let seen = Arc::clone(&most);
        let looking = tokio::spawn(async move {
            loop {
                sleep(MEMORY_LOOK).await;
                seen.fetch_max(resident_bytes(&pids), Ordering::Relaxed);
            }
        });
        Self { most, looking }
    }

    /// The most that one node has held so far.
    pub(crate) fn most_bytes(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_that_holds_anything() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 100 0 0 0 7 5 0 0 20 0 1 0 9 1 1";
        assert_eq!((ticks(stat), ticks("42 (x")), (Some(12), None));
    }

    #[test]
    fn a_field_is_the_number_behind_its_name() {
        assert_eq!(field("VmSize:  9 kB\nVmRSS:\t  1234 kB\n", "VmRSS:"), Some(1234));
        assert_eq!(field("VmSize:  9 kB\n", "VmRSS:"), None);
    }

    #[test]
    fn the_books_of_this_process_can_be_read() {
        let own = [std::process::id()];
        assert!(Books::of(&own).is_some() && resident_bytes(&own) > 0);
        assert!(Books::of(&[u32::MAX]).is_none());
    }

    #[test]
    fn a_node_that_was_started_anew_has_no_figure() {
        let books = |ticks| Books { ticks, ..Books::default() };
        assert_eq!(books(300).since(&books(200)).map(|spent| spent.cpu_s), Some(1.0));
        assert_eq!(books(1).since(&books(200)), None);
    }
}
