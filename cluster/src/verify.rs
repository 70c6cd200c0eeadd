//! Are the copies equal? The hash over all rows of every replica, compared at one index.
//!
//! Why repeat: replicas apply at their own pace; two hashes say something only if they stand for the same index.
//!
//! Must never: call copies equal that were not compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use futures::future::join_all;
use proto::admin::v1::StateHashRequest;
use tokio::time::{Instant, sleep};

use crate::admin;
use crate::error::Error;
use crate::file::{Kind, NodeEntry};
use crate::limits::{POLL_PAUSE, VERIFY_MAX};
use crate::reach::Reach;
use crate::screen;

/// Hashes of one group: by index, by node.
type Found = BTreeMap<u64, BTreeMap<String, Bytes>>;

/// Compares all replicas of the queue's nodes; `true` if they are equal.
pub(crate) async fn verify(reach: &Reach) -> Result<bool, Error> {
    let cluster = reach.cluster().await?;
    let nodes = cluster.of(Kind::Queue);
    let mut found: BTreeMap<u32, Found> = BTreeMap::new();
    let until = Instant::now() + VERIFY_MAX;
    loop {
        ask(nodes, &mut found).await?;
        let missing = found.values().any(|hashes| at_one_index(hashes, nodes.len()).is_none());
        if !missing || Instant::now() >= until {
            break;
        }
        sleep(POLL_PAUSE).await;
    }
    let (text, equal) = judge(&found, nodes.len());
    screen::out(&text);
    Ok(equal)
}

async fn ask(nodes: &[NodeEntry], found: &mut BTreeMap<u32, Found>) -> Result<(), Error> {
    let asked = join_all(nodes.iter().map(|entry| async move {
        let reply = admin::client(&entry.grpc)?.state_hash(StateHashRequest::default()).await;
        let reply = reply.map_err(|status| Error::call::<&str>(&format!("node {}", entry.node))(status.message()))?;
        Ok::<_, Error>((entry.node.clone(), reply.into_inner().hashes))
    }));
    for answer in asked.await {
        let (node, hashes) = answer?;
        for hash in hashes {
            found.entry(hash.group).or_default().entry(hash.index).or_default().insert(node.clone(), hash.hash);
        }
    }
    Ok(())
}

/// The highest index at which all nodes were seen.
fn at_one_index(found: &Found, nodes: usize) -> Option<(u64, &BTreeMap<String, Bytes>)> {
    found.iter().rev().find(|(_, hashes)| hashes.len() == nodes).map(|(index, hashes)| (*index, hashes))
}

/// What is to be said, and whether all copies are equal.
fn judge(found: &BTreeMap<u32, Found>, nodes: usize) -> (String, bool) {
    let (mut text, mut equal) = (String::new(), !found.is_empty());
    for (group, hashes) in found {
        let line = match at_one_index(hashes, nodes) {
            None => {
                equal = false;
                "not compared: the replicas were never seen at one index; try again when less is sent".to_owned()
            }
            Some((index, hashes)) => {
                let first = hashes.values().next();
                if hashes.values().all(|hash| Some(hash) == first) {
                    let hash = first.map(|hash| hex(hash)).unwrap_or_default();
                    format!("{nodes} copies are equal at index {index} ({})", hash.get(..16).unwrap_or(&hash))
                } else {
                    equal = false;
                    let each = hashes.iter().map(|(node, hash)| format!("\n    node {node}: {}", hex(hash)));
                    format!("COPIES DIFFER at index {index}{}", each.collect::<String>())
                }
            }
        };
        // A String takes whatever is written to it.
        let _ = writeln!(text, "group {group}: {line}");
    }
    (text.trim_end().to_owned(), equal)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hashes: &[(u64, &str, u8)], equal: bool, says: &str) {
        let mut found = Found::new();
        for (index, node, hash) in hashes {
            found.entry(*index).or_default().insert((*node).to_owned(), Bytes::from(vec![*hash; 32]));
        }
        let (text, is_equal) = judge(&BTreeMap::from([(1, found)]), 2);
        assert_eq!(is_equal, equal, "{text}");
        assert!(text.contains(says), "{text}");
    }

    #[test]
    fn copies_are_equal_only_if_compared_at_one_index() {
        check(&[(5, "1", 7), (5, "2", 7)], true, "equal at index 5");
        check(&[(5, "1", 7), (5, "2", 8)], false, "DIFFER at index 5");
        check(&[(5, "1", 7), (6, "2", 7)], false, "not compared");
        check(&[(5, "1", 7), (6, "2", 7), (6, "1", 9)], false, "DIFFER at index 6");
        assert!(!judge(&BTreeMap::new(), 3).1, "nothing compared is nothing equal");
    }
}
