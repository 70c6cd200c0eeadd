//! Replicas: whether the copies of each group hold the same, so that what was acknowledged outlives any one node.
//!
//! ```text
//!  state hash of every node ──same index?──> same hash, or an alarm
//!                             └─ none: asked again a few times, then only said
//! ```
//!
//! Must never: call copies different that were seen at different moments, or safe that nobody holds.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use proto::admin::v1::{AuditItem, GroupHash, StateHashRequest};
use tokio::time::timeout;

use crate::admin;
use crate::file::NodeEntry;
use crate::limits::AUDIT_MAX;

/// How often a group that goes on is asked again.
const TRIES: usize = 5;
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(300);
/// The invariant that this is about.
pub(crate) const NUMBER: u32 = 12;

/// One node's copies.
type Copies = (String, Result<Vec<GroupHash>, String>);

/// What the copies say, as a part of the audit's item.
pub(crate) async fn compare(nodes: &[NodeEntry]) -> AuditItem {
    let mut found = Found::default();
    for _ in 0..TRIES {
        let copies = join_all(nodes.iter().map(hashes)).await;
        found.take(&copies);
        if found.is_done() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    found.item()
}

async fn hashes(node: &NodeEntry) -> Copies {
    let asked = async {
        let mut client = admin::client(&node.grpc).map_err(|error| error.to_string())?;
        let reply = client.state_hash(StateHashRequest { groups: Vec::new() }).await;
        reply.map(|reply| reply.into_inner().hashes).map_err(|status| status.message().to_owned())
    };
    let answer = timeout(AUDIT_MAX, asked).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    (node.node.clone(), answer)
}

/// A node and the hash it told.
type Told<'a> = (&'a str, &'a [u8]);

/// What a group's copies have said so far.
#[derive(Debug, Default)]
struct Group {
    /// Most copies that were seen alike at one index.
    alike: usize,
    /// Copies that were there the last time.
    copies: usize,
    /// Two copies that differ at one index.
    differs: Option<String>,
}

#[derive(Debug, Default)]
struct Found {
    nodes: usize,
    down: Vec<String>,
    groups: BTreeMap<u32, Group>,
}

impl Found {
    fn take(&mut self, copies: &[Copies]) {
        self.nodes = copies.len();
        self.down = copies.iter().filter(|(_, answer)| answer.is_err()).map(|(node, _)| node.clone()).collect();
        let mut seen: BTreeMap<u32, BTreeMap<u64, Vec<Told<'_>>>> = BTreeMap::new();
        for (node, answer) in copies {
            for hash in answer.iter().flatten() {
                let of_group = seen.entry(hash.group).or_default();
                of_group.entry(hash.index).or_default().push((node, &hash.hash));
            }
        }
        for (group, indexes) in seen {
            let known = self.groups.entry(group).or_default();
            known.copies = indexes.values().map(Vec::len).sum();
            for (index, copies) in indexes {
                let Some(((first, hash), others)) = copies.split_first() else { continue };
                match others.iter().find(|(_, other)| other != hash) {
                    Some((other, _)) => {
                        known.differs = Some(format!("group {group}: {first} and {other} differ at index {index}"));
                    }
                    None => known.alike = known.alike.max(copies.len()),
                }
            }
        }
    }

    /// Whether another look cannot tell more.
    fn is_done(&self) -> bool {
        self.groups.values().all(|group| group.alike >= group.copies || group.differs.is_some())
    }

    fn item(&self) -> AuditItem {
        let majority = self.nodes / 2 + 1;
        let mut broken: Vec<String> = self.groups.values().filter_map(|group| group.differs.clone()).collect();
        let few = self.groups.iter().filter(|(_, group)| group.copies < majority);
        broken.extend(few.map(|(number, group)| format!("group {number}: {} copies answer", group.copies)));
        if self.groups.is_empty() {
            broken.push("no copy answers".to_owned());
        }
        let alike = self.groups.values().filter(|group| group.alike >= group.copies).count();
        let mut said = vec![format!("{alike} of {} groups alike on all copies at one index", self.groups.len())];
        if !self.down.is_empty() {
            said.push(format!("not seen: {}", self.down.join(", ")));
        }
        let ok = broken.is_empty();
        let detail = if ok { said.join("; ") } else { broken.join("; ") };
        AuditItem { number: NUMBER, name: "the copies of each group are alike".to_owned(), ok, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(node: &str, hashes: &[(u32, u64, u8)]) -> Copies {
        let hash = |(group, index, hash): &(u32, u64, u8)| GroupHash {
            group: *group,
            index: *index,
            hash: vec![*hash].into(),
        };
        (node.to_owned(), Ok(hashes.iter().map(hash).collect()))
    }

    fn down(node: &str) -> Copies {
        (node.to_owned(), Err("cannot be reached".to_owned()))
    }

    #[test]
    fn copies_that_differ_at_one_index_or_are_too_few_break_the_invariant() {
        let a = |hash| copy("a1", &[(1, 5, hash)]);
        let b = |index, hash| copy("a2", &[(1, index, hash)]);
        let table = [
            ("alike", vec![a(1), b(5, 1), copy("a3", &[(1, 5, 1)])], true, true),
            ("one is ahead", vec![a(1), b(6, 2), copy("a3", &[(1, 5, 1)])], true, false),
            ("one is down", vec![a(1), b(5, 1), down("a3")], true, true),
            ("one differs", vec![a(1), b(5, 2), copy("a3", &[(1, 5, 1)])], false, true),
            ("two are down", vec![a(1), down("a2"), down("a3")], false, true),
            ("all are down", vec![down("a1"), down("a2"), down("a3")], false, true),
        ];
        for (what, copies, ok, is_done) in table {
            let mut found = Found::default();
            found.take(&copies);
            assert_eq!((found.item().ok, found.is_done()), (ok, is_done), "{what}: {found:?}");
        }
    }

    #[test]
    fn a_copy_that_was_ahead_is_compared_at_the_next_look() {
        let mut found = Found::default();
        found.take(&[copy("a1", &[(1, 5, 1)]), copy("a2", &[(1, 6, 2)])]);
        assert!(!found.is_done());
        found.take(&[copy("a1", &[(1, 7, 3)]), copy("a2", &[(1, 7, 3)])]);
        assert!(found.is_done() && found.item().ok);
    }
}
