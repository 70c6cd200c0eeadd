//! The key pairs that a door checks its callers against: those of the directory, the operator's, and the pair of a local
//! cluster.
//!
//! Must never: say more of a key than that it is there, or keep a pair that was revoked.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use machine::TimestampMs;
use queue_core::{Grant, KeyPair, Secret};

use crate::node::Node;

/// The pair that local clusters know: source, the SDKs' own samples against a local endpoint.
const LOCAL: (&str, &str) = ("AKIDlocal", "local");

/// Characters of an operator's secret: 16 that were drawn cannot be guessed.
const SECRET_CHARS_MIN: usize = 16;

/// Where pairs are looked up.
pub(crate) struct KeyRing {
    directory: Option<Arc<Node>>,
    fixed: Vec<KeyPair>,
}

impl KeyRing {
    /// The directory's pairs, the operator's, and the local one if this is a local cluster.
    pub(crate) fn new(node: Arc<Node>, operator: Option<KeyPair>, has_local: bool) -> Self {
        let local = has_local.then(|| pair(LOCAL.0, LOCAL.1, vec![Grant::everything()]));
        Self { directory: Some(node), fixed: operator.into_iter().chain(local).collect() }
    }

    /// The pair of this id, and the instant by which its secrets are good or not.
    pub(crate) fn find(&self, id: &str) -> Option<(KeyPair, TimestampMs)> {
        if let Some(pair) = self.fixed.iter().find(|pair| pair.id == id) {
            return Some((pair.clone(), TimestampMs(0)));
        }
        let directory = self.directory.as_ref()?.directory()?;
        let read = directory.read_stale(|view| view.machine.key_pair(id).map(|pair| (pair.clone(), view.now)));
        read.ok().flatten()
    }

    /// These pairs and no others.
    #[cfg(test)]
    pub(crate) fn of(fixed: Vec<KeyPair>) -> Self {
        Self { directory: None, fixed }
    }
}

/// The operator's pair: its id and its secret, parted by blanks. It may do everything, and makes the first of the others.
///
/// Errors: text; the file cannot be read, may be read by others, or holds something else.
pub(crate) fn read_operator(file: &Path) -> Result<KeyPair, String> {
    let failed = |what: String| format!("the operator's key {}: {what}", file.display());
    let mode = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(failed(format!("others than its owner may read it (mode {:o}); chmod 600 it", mode & 0o777)));
    }
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        [id, secret] if id.starts_with("AKID") && secret.len() >= SECRET_CHARS_MIN => {
            Ok(pair(id, secret, vec![Grant::everything()]))
        }
        _ => Err(failed(format!("it must hold AKID… and a secret of {SECRET_CHARS_MIN} characters or more"))),
    }
}

/// A pair that was never rotated.
pub(crate) fn pair(id: &str, secret: &str, grants: Vec<Grant>) -> KeyPair {
    let (created, rotated) = (TimestampMs(0), TimestampMs(0));
    KeyPair { id: id.to_owned(), secret: Secret::new(secret.to_owned()), former: None, grants, created, rotated }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_operators_key_is_a_pair_that_only_its_owner_can_read() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("key");
        let good = "AKIDop 0123456789abcdef\n";
        let table = [
            (good, 0o600, true),
            (good, 0o400, true),
            (good, 0o640, false),
            (good, 0o604, false),
            ("AKIDop short", 0o600, false),
            ("op 0123456789abcdef", 0o600, false),
            ("AKIDop", 0o600, false),
            ("", 0o600, false),
        ];
        for (text, mode, is_good) in table {
            let _ = fs::remove_file(&file);
            fs::write(&file, text).expect("the file can be written");
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("its mode can be set");
            let read = read_operator(&file);
            assert_eq!(read.is_ok(), is_good, "{text:?} {mode:o}");
            assert!(
                read.is_err()
                    || read.is_ok_and(|pair| pair.id == "AKIDop" && pair.allows(queue_core::Right::Manage, ""))
            );
        }
        assert!(read_operator(&folder.path().join("none")).is_err());
    }
}
