//! The audit: whether the replicas of every group are the same, letter by letter, and whether the money is right.
//!
//! Must never: call replicas equal that were not compared, or money safe because nobody answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use futures::future::{join, join_all};
use proto::admin::v1::{AuditReply, AuditRequest, GroupHash, StateHashRequest};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Console;
use super::convert::hex;
use super::fault::Fault;
use super::limits::{HASH_MAX, HASH_ROUNDS_MAX, MONEY_MAX};

/// What a comparison of a group's replicas says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    /// All replicas that answered stand at one entry and are equal.
    Agree,
    /// Two stand at one entry and differ.
    Differ,
    /// Not all stand at one entry, or not all answered.
    Unsure,
}

impl Finding {
    const fn word(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::Differ => "differ",
            Self::Unsure => "unsure",
        }
    }
}

/// Of one group, by node: the entry and the hash, or nothing.
type Hashes = BTreeMap<u64, Option<(u64, String)>>;

fn compare(hashes: &Hashes) -> Finding {
    let mut by_index: BTreeMap<u64, &str> = BTreeMap::new();
    for (index, hash) in hashes.values().flatten() {
        if *by_index.entry(*index).or_insert(hash) != hash {
            return Finding::Differ;
        }
    }
    let is_whole = by_index.len() == 1 && hashes.len() > 1 && hashes.values().all(Option::is_some);
    if is_whole { Finding::Agree } else { Finding::Unsure }
}

pub(super) async fn show(State(console): State<Arc<Console>>) -> Result<Json<Value>, Fault> {
    let _one = console.audit.try_lock().map_err(|_| Fault::unavailable("an audit is under way; ask again"))?;
    let (groups, money) = join(replicas(&console), money(&console)).await;
    let group = |(group, hashes): (&u32, &Hashes)| {
        let one = |(node, hash): (&u64, &Option<(u64, String)>)| {
            let (index, hash) = hash.clone().unwrap_or_default();
            json!({"node": node.to_string(), "index": index, "hash": hash})
        };
        let finding = compare(hashes).word();
        json!({"group": group, "finding": finding, "replicas": hashes.iter().map(one).collect::<Vec<_>>()})
    };
    Ok(Json(json!({
        "now_ms": super::cluster::now_ms(&console),
        "groups": groups.iter().map(group).collect::<Vec<_>>(),
        "money": money,
    })))
}

/// The hashes of all groups; asked again for those that did not stand at one entry.
async fn replicas(console: &Console) -> BTreeMap<u32, Hashes> {
    let mut found: BTreeMap<u32, Hashes> = BTreeMap::new();
    for round in 0..HASH_ROUNDS_MAX {
        // Who is dead does not answer another time either.
        let is_open =
            |(_, hashes): &(&u32, &Hashes)| compare(hashes) == Finding::Unsure && hashes.values().all(Option::is_some);
        let open: Vec<u32> = found.iter().filter(is_open).map(|(group, _)| *group).collect();
        if round > 0 && open.is_empty() {
            break;
        }
        for (group, hashes) in ask_all(console, &open).await {
            found.insert(group, hashes);
        }
    }
    found
}

async fn ask_all(console: &Console, groups: &[u32]) -> BTreeMap<u32, Hashes> {
    let members = console.peers.members(&console.node);
    let answers = join_all(members.iter().map(|(node, address)| async move {
        let call = StateHashRequest { groups: groups.to_vec() };
        let ask = async { console.peers.at(address)?.admin().state_hash(call).await };
        let answer = timeout(HASH_MAX, ask).await.ok().and_then(Result::ok);
        (*node, answer.map(|answer| answer.into_inner().hashes))
    }))
    .await;
    let mut found: BTreeMap<u32, Hashes> = groups.iter().map(|group| (*group, Hashes::new())).collect();
    let told = answers.iter().flat_map(|(_, hashes)| hashes.iter().flatten());
    for group in told.map(|one: &GroupHash| one.group) {
        found.entry(group).or_default();
    }
    for (node, hashes) in answers {
        for (group, by_node) in &mut found {
            let one = hashes.iter().flatten().find(|one| one.group == *group);
            by_node.insert(node, one.map(|one| (one.index, hex(&one.hash))));
        }
    }
    found
}

/// The audit of the first app node that gives one; null where no app node is known.
async fn money(console: &Console) -> Value {
    let mut last = Value::Null;
    for address in &console.apps {
        let ask = async { console.peers.at(address)?.admin().audit(AuditRequest {}).await };
        match timeout(MONEY_MAX, ask).await {
            Ok(Ok(reply)) => return money_shown(&reply.into_inner()),
            Ok(Err(status)) => last = json!({"why": status.message()}),
            Err(_) => last = json!({"why": format!("no answer within {} s", MONEY_MAX.as_secs())}),
        }
    }
    last
}

fn money_shown(reply: &AuditReply) -> Value {
    let items = reply
        .items
        .iter()
        .map(|item| json!({"number": item.number, "name": item.name, "is_ok": item.ok, "detail": item.detail}));
    json!({
        "is_ok": proto::verdict::holds(reply),
        "items": items.collect::<Vec<_>>(),
        "packets": reply.packets,
        "fen_in": reply.fen_in,
        "fen_out": reply.fen_out,
        "credits_now": reply.credits_now,
        "credits_queued": reply.credits_queued,
        "longest_wait_ms": reply.longest_wait_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_agree_only_if_all_were_compared() {
        let at = |index: u64, hash: &str| Some((index, hash.to_owned()));
        let table = [
            (vec![at(7, "a"), at(7, "a"), at(7, "a")], Finding::Agree),
            (vec![at(7, "a"), at(7, "b"), at(8, "c")], Finding::Differ),
            (vec![at(7, "a"), at(7, "a"), at(8, "c")], Finding::Unsure),
            (vec![at(7, "a"), at(7, "a"), None], Finding::Unsure),
            (vec![at(7, "a"), None, at(7, "b")], Finding::Differ),
            (vec![at(7, "a")], Finding::Unsure),
            (vec![], Finding::Unsure),
        ];
        for (hashes, expected) in table {
            let by_node: Hashes = (1..).zip(hashes).collect();
            assert_eq!(compare(&by_node), expected, "{by_node:?}");
        }
    }

    #[test]
    fn money_that_nobody_looked_at_is_not_right() {
        assert_eq!(money_shown(&AuditReply { ok: true, ..AuditReply::default() })["is_ok"], false);
    }
}
