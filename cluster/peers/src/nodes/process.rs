//! Processes of nodes: started, watched, ended by their numbers.
//!
//! Must never: signal a number that is not that of a process started here.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::error::Error;
use crate::limits::{END_MAX, POLL_PAUSE};

/// All processes of a fleet, also those that only carry others.
#[derive(Debug, Default)]
pub(super) struct Processes {
    children: Vec<Child>,
    adopted: Vec<u32>,
}

impl Processes {
    /// Starts a process whose words go to `log`; says its number.
    pub(super) fn spawn(&mut self, command: &mut Command, log: &Path) -> Result<u32, Error> {
        let open = || File::options().create(true).append(true).open(log).map_err(Error::on(log));
        let program = Path::new(command.get_program()).to_owned();
        let child =
            command.stdin(Stdio::null()).stdout(open()?).stderr(open()?).spawn().map_err(Error::on(&program))?;
        let pid = child.id();
        self.children.push(child);
        Ok(pid)
    }

    /// Takes over processes that a child of ours has started.
    pub(super) fn adopt(&mut self, pids: &[u32]) {
        self.adopted.extend(pids);
    }

    /// Asks all to end, those that hang too; kills who has not after a while. Adopted ones first: they serve.
    pub(super) async fn end(&mut self) {
        let adopted = self.adopted.clone();
        end_all(&adopted, || {}).await;
        let pids: Vec<u32> = self.children.iter().map(Child::id).collect();
        end_all(&pids, || self.children.iter_mut().for_each(reap)).await;
        // Forgotten only now: a run that breaks off before kills who is left.
        self.adopted.clear();
        self.children.clear();
    }
}

impl Drop for Processes {
    /// Whoever is still there when a run breaks off is killed.
    fn drop(&mut self) {
        let pids = self.adopted.iter().copied().chain(self.children.iter().map(Child::id));
        for pid in pids.filter(|pid| is_alive(*pid)) {
            send_signal(pid, Signal::KILL);
        }
        self.children.iter_mut().for_each(reap);
    }
}

/// Takes note of a child's end, so that it is gone.
fn reap(child: &mut Child) {
    // One that still runs has no end to note.
    let _ = child.try_wait();
}

async fn end_all(pids: &[u32], mut look: impl FnMut()) {
    for pid in pids.iter().filter(|pid| is_alive(**pid)) {
        send_signal(*pid, Signal::TERM);
        send_signal(*pid, Signal::CONT);
    }
    let deadline = Instant::now() + END_MAX;
    loop {
        look();
        if !pids.iter().any(|pid| is_alive(*pid)) {
            return;
        }
        if Instant::now() > deadline {
            break;
        }
        sleep(POLL_PAUSE).await;
    }
    for pid in pids.iter().filter(|pid| is_alive(**pid)) {
        send_signal(*pid, Signal::KILL);
    }
    while pids.iter().any(|pid| is_alive(*pid)) {
        look();
        sleep(POLL_PAUSE).await;
    }
}

/// Sends a signal; a process that is gone does not mind.
pub(crate) fn send_signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Whether a process runs: one that has ended and waits to be noted does not.
fn is_alive(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let state = state.as_deref().and_then(|stat| stat.rsplit(')').next()?.trim_start().chars().next());
    state.is_some_and(|state| state != 'Z')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn processes_end_also_those_that_hang() {
        let folder = std::env::temp_dir().join(format!("peers-processes-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        let mut processes = Processes::default();
        let pid = processes.spawn(Command::new("sleep").arg("60"), &folder.join("log")).expect("sleep starts");
        assert!(is_alive(pid));
        send_signal(pid, Signal::STOP);
        processes.end().await;
        assert!(!is_alive(pid));
        fs::remove_dir_all(&folder).expect("the folder is ours");
    }
}
