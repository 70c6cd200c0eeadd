//! Whose a data folder is, and the latest format anything in it was written with.
//!
//! ```text
//!  folder/IDENTITY:   tercet-<format>
//!                     node <id>
//! ```
//! Why a file beside the rows, which know their group's format: an older program must be refused before it opens anything,
//! and rows that came after the last flush lie in the log alone.
//!
//! Must never: let the format go down, or rows of a format be committed before the file says so.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use machine::Format;
use parking_lot::Mutex;

use crate::errors::StartError;

const IDENTITY: &str = "IDENTITY";
const PREFIX: &str = "tercet-";

/// Notes, durably, that something of this format is about to be written.
pub(crate) type FormatMark = Arc<dyn Fn(Format) -> io::Result<()> + Send + Sync>;

/// What this process knows, and where its folder remembers with what it was written.
#[derive(Clone)]
pub(crate) struct Knowledge {
    pub format: Format,
    pub mark: FormatMark,
}

impl Knowledge {
    /// Of this release, for a store that no other release opens.
    pub(crate) fn latest() -> Self {
        Self { format: Format::LATEST, mark: Arc::new(|_| Ok(())) }
    }
}

/// The identity of a folder that is in use.
pub(crate) struct Identity {
    path: PathBuf,
    node: u64,
    format: Mutex<Format>,
}

impl Identity {
    /// Writes the identity of a new folder, or checks the one that is there.
    ///
    /// Errors: the folder has a later format than `known`; it belongs to another node; the file is none of ours.
    pub(crate) fn check(folder: &Path, node: u64, known: Format) -> Result<Arc<Self>, StartError> {
        let path = folder.join(IDENTITY);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write(&path, node, Format::FIRST)?;
                return Ok(Arc::new(Self { path, node, format: Mutex::new(Format::FIRST) }));
            }
            Err(error) => return Err(error.into()),
        };
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let Some(format) = first.strip_prefix(PREFIX).and_then(|number| number.parse().ok()).map(Format) else {
            return Err(StartError::WrongFormat(first.to_owned()));
        };
        if format > known {
            return Err(StartError::NewerFormat { found: format.0, known: known.0 });
        }
        match lines.next().and_then(|line| line.strip_prefix("node ")).and_then(|id| id.parse().ok()) {
            Some(found) if found == node => Ok(Arc::new(Self { path, node, format: Mutex::new(format) })),
            found => Err(StartError::WrongNode { found: found.unwrap_or(0), expected: node }),
        }
    }

    /// The mark for groups of this folder.
    pub(crate) fn mark(self: &Arc<Self>) -> FormatMark {
        let identity = Arc::clone(self);
        Arc::new(move |format| identity.keep(format))
    }

    fn keep(&self, format: Format) -> io::Result<()> {
        let mut kept = self.format.lock();
        if format > *kept {
            write(&self.path, self.node, format)?;
            *kept = format;
        }
        Ok(())
    }
}

/// Replaces the file as a whole: after a crash it is the old one or the new one.
fn write(path: &Path, node: u64, format: Format) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(format!("{PREFIX}{}\nnode {node}\n", format.0).as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, known: u32, expected: &str) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join(IDENTITY), text).expect("written");
        let found = Identity::check(folder.path(), 3, Format(known));
        let found = found.map_or_else(|error| error.to_string(), |identity| identity.format.lock().0.to_string());
        assert!(found.contains(expected), "{text:?} for who knows {known}: {found:?} says nothing of {expected:?}");
    }

    #[test]
    fn a_folder_is_opened_by_its_node_and_by_no_older_release() {
        check("tercet-1\nnode 3\n", 1, "1");
        check("tercet-1\nnode 3\n", 2, "1");
        check("tercet-2\nnode 3\n", 2, "2");
        check("tercet-2\nnode 3\n", 1, "format 2, and this release knows formats up to 1: start the newer release");
        check("tercet-1\nnode 4\n", 1, "belongs to node 4");
        check("tercet-x\nnode 3\n", 1, "tercet-x");
        check("", 1, "cannot read");
    }

    #[test]
    fn the_format_of_a_folder_only_goes_up() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mark = Identity::check(folder.path(), 3, Format(5)).expect("a new folder").mark();
        for (marked, kept) in [(1, 1), (4, 4), (2, 4)] {
            mark(Format(marked)).expect("marked");
            let text = fs::read_to_string(folder.path().join(IDENTITY)).expect("the file");
            assert_eq!(text, format!("tercet-{kept}\nnode 3\n"));
        }
        assert!(Identity::check(folder.path(), 3, Format(3)).is_err(), "an older release is refused");
    }
}
