//! `redpacket-app recover`: looks at the folder of a node that is stopped, and makes it a cluster of its own.
//!
//! Must never: change anything unless it was told to.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Parser;
use ledger::LedgerMachine;
use machine::{Format, GroupId};
use packets::PacketsMachine;
use replica::{Recovery, StartError, Survey};

use crate::limits::PACKET_GROUPS_BASE;

/// Make one surviving node a cluster of its own, after a majority was lost for good. Without --yes it only looks, and changes
/// nothing.
#[derive(Clone, Debug, Parser)]
#[command(name = "redpacket-app recover", version)]
pub struct Recover {
    /// Folder of the node's data. The node must be stopped.
    #[arg(long)]
    pub data: PathBuf,
    /// Do it. What only the lost nodes held is given up.
    #[arg(long)]
    pub yes: bool,
}

impl Recover {
    /// What the command line asks for, if it asks for this.
    #[must_use]
    pub fn asked() -> Option<Self> {
        let is_asked = std::env::args_os().nth(1).is_some_and(|word| word == "recover");
        is_asked.then(|| Self::parse_from(std::env::args_os().skip(1)))
    }
}

/// Looks, or recovers, and says what there is to say. Returns the exit code: 0 it can be, or was done; 1 it cannot, and
/// nothing was changed unless it had begun.
pub async fn recover(asked: &Recover) -> u8 {
    let (code, text) = match judge(asked).await {
        Ok((is_good, text)) => (u8::from(!is_good), text),
        Err(error) => (1, error.to_string()),
    };
    // The reader may have left; there is nobody to tell.
    let _ = if code == 0 { writeln!(std::io::stdout(), "{text}") } else { writeln!(std::io::stderr(), "{text}") };
    code
}

async fn judge(asked: &Recover) -> Result<(bool, String), StartError> {
    let survey = Survey::take(&asked.data, Format::LATEST)?;
    if survey.groups.iter().any(|of| of.group == GroupId::META) {
        return Err(StartError::Recover("this is no app node's folder".to_owned()));
    }
    if !asked.yes {
        return Ok(match survey.refusal() {
            Some(refusal) => (false, format!("{survey}\nnothing to recover: {refusal}")),
            None => (true, format!("{survey}\nnothing was changed; --yes makes this node a cluster of its own")),
        });
    }
    let recovery = Recovery::begin(&asked.data, Format::LATEST)?;
    let mut damaged = 0;
    for id in recovery.groups() {
        // A claim is a promise of money: it waits, too, until both sides are known to agree.
        damaged += match id {
            id if id.0 > PACKET_GROUPS_BASE => recovery.recover::<PacketsMachine>(id, true).await?,
            id => recovery.recover::<LedgerMachine>(id, true).await?,
        };
    }
    let lineage = recovery.end()?;
    let damaged = match damaged {
        0 => String::new(),
        count => format!("; {count} bodies are damaged, and nobody is left to bring them"),
    };
    let done = format!("recovered: node {} is the only member of every group, lineage {lineage}{damaged}", survey.node);
    let next = "every group is read-only until an audit of the money holds: start the node, then `cluster lift`";
    Ok((true, format!("{survey}\n{done}\n{next}")))
}
