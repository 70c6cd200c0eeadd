//! Faults: leaders are killed in the middle of the evening and started again, and the outage is measured.
//!
//! Must never: kill what is not the demo's own.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep, sleep_until};

use super::probe::Pulse;
use crate::error::Error;
use crate::file::Folder;
use crate::nodes::{self, Target};

/// How long a killed node stays away.
const AWAY: Duration = Duration::from_secs(3);

/// A node that was killed.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// Its name.
    pub(crate) node: String,
    /// What it led.
    pub(crate) led: &'static str,
    /// The longest time without a success that its clients saw.
    pub(crate) failover: Duration,
}

/// Kills the target with SIGKILL at `when`, starts it again, and says what its clients saw.
pub(crate) async fn strike(
    folder: &Folder,
    target: Target,
    when: Instant,
    pulse: &Pulse,
    note: impl Fn(&str),
) -> Result<Fault, Error> {
    sleep_until(when).await;
    let led = match &target {
        Target::Leader => "queue",
        Target::LedgerLeader => "ledger",
        Target::Node(_) => "nothing",
    };
    let begin = Instant::now();
    let node = nodes::kill_when_led(folder, &target, Signal::KILL).await?;
    note(&format!("node {node}, the {led} leader, is killed"));
    sleep(AWAY).await;
    nodes::start_node(folder, &node).await?;
    let failover = pulse.longest_outage(begin, Instant::now());
    note(&format!("node {node} is back; its clients waited {} ms", failover.as_millis()));
    Ok(Fault { node, led, failover })
}
