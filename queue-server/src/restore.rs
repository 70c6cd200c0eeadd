//! Puts a backup in place of a blank node's data, before its groups are opened.
//!
//! Must never: touch a node that holds data, but to see that it was restored before.

use std::path::Path;

use machine::GroupId;
use replica::{Replica, StartError};
use serde::Deserialize;

/// What a manifest says it is.
const FORMAT: &str = "tercet-backup-1";

#[derive(Debug, Deserialize)]
struct Manifest {
    format: String,
    groups: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    group: u32,
    hash: String,
}

/// Restores every group of the backup in `folder`; does nothing on a node that was restored or has run before.
///
/// Errors: [`StartError`]; the node must not run on half a backup.
pub(crate) async fn restore(replica: &Replica, folder: &Path, groups: u32) -> Result<(), StartError> {
    if !replica.is_blank() {
        tracing::info!("this node holds data: nothing is restored");
        return Ok(());
    }
    let wrong = |what: String| StartError::Folder(std::io::Error::other(what));
    let path = folder.join("manifest.json");
    let text = std::fs::read(&path).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
    if manifest.format != FORMAT {
        return Err(StartError::WrongFormat(manifest.format));
    }
    let held = manifest.groups.iter().filter(|entry| entry.group > 0).count();
    if held != groups as usize {
        return Err(wrong(format!(
            "the backup holds {held} groups of queues, and this cluster is told to have {groups}"
        )));
    }
    for entry in &manifest.groups {
        let hash = bytes_of(&entry.hash).ok_or_else(|| wrong(format!("{:?} is no hash", entry.hash)))?;
        let source = folder.join(format!("group-{}", entry.group));
        replica.restore_group(GroupId(entry.group), &source, &hash).await?;
        tracing::info!(group = entry.group, "restored");
    }
    replica.set_restored().map_err(StartError::Folder)
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let pair = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    if digits.len().is_multiple_of(2) { (0..digits.len()).step_by(2).map(pair).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_pairs_of_digits() {
        assert_eq!(bytes_of("00ff"), Some(vec![0, 255]));
        for bad in ["0", "0g", "zz", "é"] {
            assert_eq!(bytes_of(bad), None, "{bad}");
        }
    }
}
