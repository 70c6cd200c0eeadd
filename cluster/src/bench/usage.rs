//! What the servers spend on a phase: processor time, bytes written, memory; read from the system's own books.
//!
//! Must never: guess. A node whose books cannot be read (gone, or another system) leaves the phase without a figure.

use std::fs;

use crate::file::NodeEntry;

/// Ticks of processor time in a second, as Linux counts them in `/proc` on every architecture that it runs Rust on.
pub(crate) const TICKS_PER_S: u64 = 100;

/// The books of all nodes at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    ticks: u64,
    written_bytes: u64,
    /// The largest of the nodes.
    resident_bytes: u64,
    nodes: u64,
}

/// What a phase cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time of all nodes. Units: milliseconds.
    pub(crate) cpu_ms: u64,
    /// Bytes that all nodes handed to their disks.
    pub(crate) written_bytes: u64,
    /// Memory of the largest node before the phase.
    pub(crate) resident_bytes_before: u64,
    /// Memory of the largest node at its end.
    pub(crate) resident_bytes: u64,
    /// Nodes.
    pub(crate) nodes: u64,
}

impl Books {
    /// Reads the books of `nodes`. `None`: one of them cannot be read.
    pub(crate) fn of(nodes: &[NodeEntry]) -> Option<Self> {
        let mut sum = Self::default();
        for node in nodes {
            let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", node.pid)).ok();
            sum.ticks += ticks(&read("stat")?)?;
            sum.written_bytes += field(&read("io")?, "write_bytes:")?;
            sum.resident_bytes = sum.resident_bytes.max(field(&read("status")?, "VmRSS:")? * 1024);
            sum.nodes += 1;
        }
        Some(sum)
    }

    /// What was spent since `before`. `None`: a node was started anew in between.
    pub(crate) fn since(self, before: Self) -> Option<Usage> {
        Some(Usage {
            cpu_ms: self.ticks.checked_sub(before.ticks)? * 1000 / TICKS_PER_S,
            written_bytes: self.written_bytes.checked_sub(before.written_bytes)?,
            resident_bytes_before: before.resident_bytes,
            resident_bytes: self.resident_bytes,
            nodes: self.nodes,
        })
    }
}

/// Processor time that a process has used. Units: ticks. `None`: it cannot be read.
pub(crate) fn ticks_of(pid: u32) -> Option<u64> {
    ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_that_holds_anything() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 100 0 0 0 7 5 0 0 20 0 1 0 9 1 1";
        assert_eq!(ticks(stat), Some(12));
        assert_eq!(ticks("42 (x"), None);
    }

    #[test]
    fn a_field_is_the_number_behind_its_name() {
        assert_eq!(field("VmSize:  9 kB\nVmRSS:\t  1234 kB\n", "VmRSS:"), Some(1234));
        assert_eq!(field("VmSize:  9 kB\n", "VmRSS:"), None);
    }

    #[test]
    fn the_books_of_this_process_can_be_read() {
        let mut node = crate::file::tests::sample().queue.remove(0);
        node.pid = std::process::id();
        let books = Books::of(&[node]).expect("a process can read its own books");
        assert!(books.resident_bytes > 0 && books.nodes == 1);
    }

    #[test]
    fn a_node_that_was_started_anew_has_no_figure() {
        let books = |ticks| Books { ticks, written_bytes: 1, resident_bytes: 1, nodes: 1 };
        assert_eq!(books(300).since(books(200)).map(|usage| usage.cpu_ms), Some(1000));
        assert_eq!(books(1).since(books(200)), None);
    }
}
