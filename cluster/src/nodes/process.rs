//! One process: is it still our node, signal it, wait for its end.
//!
//! Why the command line is compared: a pid is given out anew after its process is gone. A process that runs our binary
//! on the node's own data folder is the node; no other process does.
//!
//! Must never: send a signal to a process that has not just been found to be the node.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::error::Error;
use crate::file::{Folder, Kind, NodeEntry};
use crate::limits::POLL_PAUSE;

/// Bytes of a process' name that Linux keeps.
const NAME_BYTES_MAX: usize = 15;
/// Where the number of threads stands in `/proc/PID/stat`, behind the name.
const STAT_THREADS: usize = 17;

/// The process of a node.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    node: String,
    pid: u32,
    binary: &'static str,
    data: PathBuf,
}

impl Process {
    /// The process that the cluster's file names for a node.
    pub(crate) fn of(folder: &Folder, kind: Kind, entry: &NodeEntry) -> Self {
        let data = folder.data(&entry.node);
        Self { node: entry.node.clone(), pid: entry.pid, binary: kind.binary(), data }
    }

    /// Whether it runs, and is the node.
    pub(crate) fn is_running(&self) -> bool {
        // A process that ended and was not yet waited for has an empty command line.
        fs::read(format!("/proc/{}/cmdline", self.pid)).is_ok_and(|line| is_node(&line, self.binary, &self.data))
    }

    /// Whether it is being started: its program may have to come from the disk before there is a command line of it.
    pub(crate) fn is_starting(&self) -> bool {
        self.is_without_words(|stat| named_and_alive(stat).is_some())
    }

    /// Whether it has been killed and still holds its files: its command line goes first, its locks and ports later.
    fn is_leaving(&self) -> bool {
        self.is_without_words(|stat| holds_files(stat, self.binary))
    }

    /// Whether it has no command line, and its `stat` is as asked.
    fn is_without_words(&self, is_so: impl FnOnce(&str) -> bool) -> bool {
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.pid));
        read("cmdline").is_ok_and(|line| line.is_empty()) && read("stat").is_ok_and(|stat| is_so(&stat))
    }

    /// Sends a signal. Errors: `Dead`.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Error> {
        let dead = || Error::Dead { node: self.node.clone() };
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).ok_or_else(dead)?;
        if !self.is_running() {
            return Err(dead());
        }
        kill_process(pid, signal).map_err(|errno| match errno {
            rustix::io::Errno::SRCH => dead(),
            errno => {
                Error::Io { what: format!("signal to node {} (pid {})", self.node, self.pid), source: errno.into() }
            }
        })
    }

    /// Waits until it is gone, with all that it held; `false` if it is still there after `within`.
    pub(crate) async fn has_ended(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        while self.is_running() || self.is_leaving() {
            if Instant::now() >= until {
                return false;
            }
            sleep(POLL_PAUSE).await;
        }
        true
    }
}

/// Whether a command line (arguments ended by NUL) is that of `binary` with `data` as its folder.
fn is_node(line: &[u8], binary: &str, data: &Path) -> bool {
    let mut words = line.split(|byte| *byte == 0).map(OsStr::from_bytes);
    let is_binary = words.next().is_some_and(|program| Path::new(program).file_name() == Some(OsStr::new(binary)));
    is_binary
        && words.skip_while(|word| *word != OsStr::new("--data")).nth(1).is_some_and(|word| Path::new(word) == data)
}

/// Whether a line of `/proc/PID/stat` is of a process of `binary` that is more than a zombie.
fn holds_files(stat: &str, binary: &str) -> bool {
    // The system cuts names.
    let name = binary.get(..NAME_BYTES_MAX).unwrap_or(binary);
    named_and_alive(stat) == Some(name)
}

/// The name in a line of `/proc/PID/stat` (`pid (name) state ...`). `None`: it is a zombie's without threads, or no such line.
/// A first thread that is a zombie says nothing of the others: they may still be in the disk, and hold files and ports.
fn named_and_alive(stat: &str) -> Option<&str> {
    let (head, tail) = stat.rsplit_once(") ")?;
    let (_, name) = head.split_once(" (")?;
    let threads = tail.split(' ').nth(STAT_THREADS).and_then(|count| count.parse::<u32>().ok());
    let is_gone = tail.starts_with(['Z', 'X']) && threads.unwrap_or(0) < 2;
    (!is_gone).then_some(name)
}

/// A signal by its number or its name, with or without SIG.
pub(crate) fn parse_signal(text: &str) -> Result<Signal, String> {
    let named = match text.trim_start_matches("SIG") {
        "HUP" => Some(Signal::HUP),
        "INT" => Some(Signal::INT),
        "QUIT" => Some(Signal::QUIT),
        "KILL" => Some(Signal::KILL),
        "TERM" => Some(Signal::TERM),
        "CONT" => Some(Signal::CONT),
        "STOP" => Some(Signal::STOP),
        number => number.parse().ok().and_then(Signal::from_named_raw),
    };
    named.ok_or_else(|| format!("{text:?} is no signal; say 9, 15, 19, KILL, TERM, STOP or CONT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_binary_on_its_own_data_is_the_node() {
        let table: [(&str, bool); 7] = [
            ("/x/release/queue-server\0--node\x001\0--data\0/c/1\0--grpc\0h:1\0", true),
            ("queue-server\0--data\0/c/1", true),
            ("", false),
            ("/x/redpacket-app\0--data\0/c/1\0", false),
            ("/x/queue-server\0--data\0/c/11\0", false),
            ("/x/queue-server\0--data\0", false),
            ("vim\0queue-server\0--data\0/c/1\0", false),
        ];
        for (line, expected) in table {
            assert_eq!(is_node(line.as_bytes(), "queue-server", Path::new("/c/1")), expected, "{line:?}");
        }
    }

    #[test]
    fn a_killed_process_holds_its_files_until_it_is_a_zombie() {
        let table = [
            ("7 (queue-server) R 1 7 7 0", true),
            ("7 (queue-server) D 1 7 7 0", true),
            ("7 (queue-server) Z 1 7 7 0", false),
            ("7 (queue-server) X 1 7 7 0", false),
            ("7 (queue-server) Z 1 7 7 0 -1 4 0 0 0 0 5 6 0 0 25 5 3 0", true),
            ("7 (queue-server) Z 1 7 7 0 -1 4 0 0 0 0 5 6 0 0 25 5 1 0", false),
            ("7 (kworker/0:1) I 2 0 0 0", false),
            ("", false),
        ];
        for (stat, expected) in table {
            assert_eq!(holds_files(stat, "queue-server"), expected, "{stat:?}");
        }
        assert!(holds_files("7 (a-name-that-is-) S 1", "a-name-that-is-cut"));
        // Until its program is there, a new process bears the name of whoever starts it.
        assert_eq!(named_and_alive("7 (tokio-rt-worker) D 1"), Some("tokio-rt-worker"));
    }

    #[test]
    fn a_pid_of_somebody_else_is_not_running_and_gets_no_signal() {
        let process =
            Process { node: "1".to_owned(), pid: std::process::id(), binary: "queue-server", data: "/c/1".into() };
        assert!(!process.is_running());
        assert!(matches!(process.signal(Signal::KILL), Err(Error::Dead { .. })));
    }

    #[test]
    fn a_signal_is_known_by_number_and_by_name() {
        for (text, signal) in
            [("9", Signal::KILL), ("KILL", Signal::KILL), ("SIGSTOP", Signal::STOP), ("15", Signal::TERM)]
        {
            assert_eq!(parse_signal(text), Ok(signal), "{text}");
        }
        for text in ["", "0", "99", "-9", "KILLED"] {
            assert!(parse_signal(text).is_err(), "{text}");
        }
    }
}
