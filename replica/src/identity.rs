//! Whose a data folder is, the latest format anything in it was written with, and the cluster it belongs to.
//!
//! ```text
//!  folder/IDENTITY:   tercet-<format>                      of a cluster that was recovered:  tercet-<format> <lineage>
//!                     node <id>                                                             node <id>
//! ```
//! The lineage stands where a release that knows of none finds a format that it cannot read.
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
use crate::lineage::{Ancestry, Lineage};

const IDENTITY: &str = "IDENTITY";
const PREFIX: &str = "tercet-";

/// Notes, durably, that something of this format is about to be written.
pub(crate) type FormatMark = Arc<dyn Fn(Format) -> io::Result<()> + Send + Sync>;

/// What this process knows, and where its folder remembers with what it was written.
#[derive(Clone)]
pub(crate) struct Knowledge {
    pub format: Format,
    pub mark: FormatMark,
    /// The cluster that the folder belongs to.
    pub ancestry: Arc<Ancestry>,
}

impl Knowledge {
    /// Of this release, for a store that no other release opens.
    pub(crate) fn latest() -> Self {
        Self { format: Format::LATEST, mark: Arc::new(|_| Ok(())), ancestry: Arc::default() }
    }
}

/// What a folder says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub node: u64,
    pub format: Format,
    pub lineage: Lineage,
}

impl Said {
    /// Reads the identity of a folder, and changes nothing. `None`: the folder is new. Errors: the file is none of ours.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, StartError> {
        let text = match fs::read_to_string(folder.join(IDENTITY)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let (format, lineage) = match first.split_once(' ') {
            None => (first, Ok(Lineage::NONE)),
            Some((format, lineage)) => (format, lineage.parse()),
        };
        let format = format.strip_prefix(PREFIX).and_then(|number| number.parse().ok()).map(Format);
        let (Some(format), Ok(lineage)) = (format, lineage) else {
            return Err(StartError::WrongFormat(first.to_owned()));
        };
        let node = lines.next().and_then(|line| line.strip_prefix("node ")).and_then(|id| id.parse().ok()).unwrap_or(0);
        Ok(Some(Self { node, format, lineage }))
    }

    /// Refuses a folder that this process cannot read.
    pub(crate) fn is_known(&self, known: Format) -> Result<(), StartError> {
        match self.format > known {
            true => Err(StartError::NewerFormat { found: self.format.0, known: known.0 }),
            false => Ok(()),
        }
    }
}

/// The identity of a folder that is in use.
pub(crate) struct Identity {
    path: PathBuf,
    kept: Mutex<Said>,
}

impl Identity {
    /// Writes the identity of a new folder, or checks the one that is there.
    ///
    /// Errors: the folder has a later format than `known`; it belongs to another node; the file is none of ours.
    pub(crate) fn check(folder: &Path, node: u64, known: Format) -> Result<Arc<Self>, StartError> {
        let path = folder.join(IDENTITY);
        let Some(said) = Said::read(folder)? else {
            let said = Said { node, format: Format::FIRST, lineage: Lineage::NONE };
            write(&path, said)?;
            return Ok(Arc::new(Self { path, kept: Mutex::new(said) }));
        };
        said.is_known(known)?;
        if said.node != node {
            return Err(StartError::WrongNode { found: said.node, expected: node });
        }
        Ok(Arc::new(Self { path, kept: Mutex::new(said) }))
    }

    /// The mark for groups of this folder.
    pub(crate) fn mark(self: &Arc<Self>) -> FormatMark {
        let identity = Arc::clone(self);
        Arc::new(move |format| identity.keep(format))
    }

    /// The lineage of this folder; `is_blank`: it holds nothing, and may take one.
    pub(crate) fn ancestry(self: &Arc<Self>, is_blank: bool) -> Ancestry {
        let (identity, lineage) = (Arc::clone(self), self.kept.lock().lineage);
        let own = (!is_blank || lineage != Lineage::NONE).then_some(lineage);
        Ancestry::new(own, move |lineage| identity.set_lineage(lineage))
    }

    /// Keeps a lineage, durably.
    pub(crate) fn set_lineage(&self, lineage: Lineage) -> io::Result<()> {
        let mut kept = self.kept.lock();
        let said = Said { lineage, ..*kept };
        write(&self.path, said)?;
        *kept = said;
        Ok(())
    }

    fn keep(&self, format: Format) -> io::Result<()> {
        let mut kept = self.kept.lock();
        if format > kept.format {
            let said = Said { format, ..*kept };
            write(&self.path, said)?;
            *kept = said;
        }
        Ok(())
    }
}

/// Replaces the file as a whole: after a crash it is the old one or the new one.
fn write(path: &Path, said: Said) -> io::Result<()> {
    let Said { node, format, lineage } = said;
    let lineage = if lineage == Lineage::NONE { String::new() } else { format!(" {lineage}") };
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(format!("{PREFIX}{}{lineage}\nnode {node}\n", format.0).as_bytes())?;
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
        let found = found.map_or_else(|error| error.to_string(), |identity| identity.kept.lock().format.0.to_string());
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
        check("tercet-1 2-00000000beef\nnode 3\n", 1, "1");
        check("tercet-1 beef\nnode 3\n", 1, "tercet-1 beef");
    }

    #[test]
    fn a_lineage_stays_when_the_format_rises() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let identity = Identity::check(folder.path(), 3, Format(5)).expect("a new folder");
        let lineage = Lineage::NONE.next(0xbeef);
        identity.set_lineage(lineage).expect("kept");
        identity.mark()(Format(2)).expect("marked");
        let text = fs::read_to_string(folder.path().join(IDENTITY)).expect("the file");
        assert_eq!(text, "tercet-2 1-00000000beef\nnode 3\n");
        let said = Said::read(folder.path()).expect("read").expect("it is there");
        assert_eq!(said, Said { node: 3, format: Format(2), lineage });
        let again = Identity::check(folder.path(), 3, Format(5)).expect("the folder opens");
        assert_eq!(again.ancestry(true).own(), lineage, "a node that joined holds to it, though it holds nothing yet");
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
