//! What is there at the end: every shard's journal and balances, every packet, read from leaders that still lead.
//!
//! Must never: be read before every promise is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use ledger::{Account, AccountKey, JournalEntry, JournalNumber, LedgerView};
use machine::{GroupId, LoadError, Machine};
use packets::PacketId;
use packets::read::PacketView;
use replica::View;

use super::world::{LEDGERS, World};
use crate::stage::Stage;

const READ_MAX: Duration = Duration::from_secs(1);
const PAGE: usize = 1_000;

/// One shard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shard {
    pub(crate) journal: BTreeMap<JournalNumber, JournalEntry>,
    pub(crate) accounts: BTreeMap<AccountKey, Account>,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finals {
    pub(crate) shards: BTreeMap<GroupId, Shard>,
    pub(crate) packets: BTreeMap<PacketId, PacketView>,
    /// What the app's own audits say.
    pub(crate) audits: Vec<String>,
}

/// Reads from whoever leads. `None`: nobody does, or not in time.
pub(crate) async fn read<M: Machine, T>(stage: &Stage<M>, read: impl FnOnce(&View<'_, M>) -> T) -> Option<T> {
    let leader = stage.cluster.leader()?;
    tokio::time::timeout(READ_MAX, stage.cluster.read(leader, read)).await.ok()?.ok()
}

/// Whether every promise is kept: nothing is under way between shards or to the outside, nothing held, nobody uncredited.
pub(crate) async fn is_quiet(world: &World) -> bool {
    for group in LEDGERS {
        let stage = world.ledger(group);
        let holds = read(stage, |view| view.machine.shard().counts().holds).await;
        let leader = stage.cluster.leader().and_then(|leader| stage.cluster.group(leader));
        if holds != Some(0) || leader.is_none_or(|leader| !leader.courier_status().is_empty()) {
            return false;
        }
    }
    let counts = read(&world.packets, |view| *view.machine.group().counts()).await;
    counts.is_some_and(|counts| counts.live == 0 && counts.uncredited == 0 && counts.fen.refunding.0 == 0)
}

/// Reads everything. Errors: text.
pub(crate) async fn read_all(world: &World) -> Result<Finals, String> {
    let mut finals = Finals::default();
    for group in LEDGERS {
        let found = read(world.ledger(group), |view| shard(&LedgerView::over(view.rows))).await;
        let found = found.ok_or("progress: a shard cannot be read after everything was healed")?;
        let (shard, differences) = found.map_err(|error| error.to_string())?;
        finals.audits.extend(differences.into_iter().map(|what| format!("of shard {}: {what}", group.0)));
        finals.shards.insert(group, shard);
    }
    let found = read(&world.packets, |view| {
        let mut ids = Vec::new();
        let report = packets::audit(view.rows, &mut |facts| ids.push(facts.packet))?;
        let views = ids.into_iter().map(|id| packets::read::packet(view.rows, id)).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, LoadError>((report, views))
    });
    let found = found.await.ok_or("progress: the packets cannot be read after everything was healed")?;
    let (report, views) = found.map_err(|error| error.to_string())?;
    finals.audits.extend(report.findings.iter().map(|finding| format!("of the packets: {finding:?}")));
    finals.packets = views.into_iter().flatten().map(|view| (view.id, view)).collect();
    Ok(finals)
}

fn shard(view: &LedgerView<'_>) -> Result<(Shard, Vec<String>), LoadError> {
    let mut shard = Shard::default();
    let mut next = JournalNumber(1);
    loop {
        let page = view.journal(next, PAGE)?;
        let Some((last, _)) = page.entries.last() else { break };
        next = last.next();
        shard.journal.extend(page.entries);
    }
    let touched = shard.journal.values().flat_map(|entry| [entry.debit, entry.credit]);
    for key in touched {
        if !shard.accounts.contains_key(&key)
            && let Some(account) = view.account(key)?
        {
            shard.accounts.insert(key, account);
        }
    }
    let differences = view.audit()?.differences;
    Ok((shard, differences.iter().map(ToString::to_string).collect()))
}
