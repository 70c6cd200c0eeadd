//! A snapshot as a set of named files: on disk for RocksDB, in memory for the simulation; read and written in chunks.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotFile {
    pub name: String,
    pub bytes: u64,
}

/// A folder that is removed with its last owner, unless it was moved away.
#[derive(Debug)]
pub(crate) struct OwnedFolder(pub PathBuf);

impl Drop for OwnedFolder {
    fn drop(&mut self) {
        if self.0.exists()
            && let Err(error) = fs::remove_dir_all(&self.0)
        {
            tracing::warn!(folder = %self.0.display(), %error, "a snapshot folder could not be removed");
        }
    }
}

#[derive(Clone, Debug)]
enum Place {
    Folder(Arc<OwnedFolder>),
    Memory(Arc<BTreeMap<String, Bytes>>),
}

/// Adds the files that a snapshot lacks: called when it is sent, for most are never sent.
type Completion = dyn Fn() -> io::Result<()> + Send + Sync;

/// What became of the files that a snapshot lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Untried,
    Failed,
    Added,
}

/// A snapshot.
#[derive(Clone)]
pub(crate) struct SnapshotData {
    pub files: Vec<SnapshotFile>,
    place: Place,
    /// What became of the rest, and what adds it.
    rest: Option<Arc<(Mutex<Rest>, Box<Completion>)>>,
}

impl std::fmt::Debug for SnapshotData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotData").field("files", &self.files).field("place", &self.place).finish_non_exhaustive()
    }
}

impl SnapshotData {
    /// All files of `folder`, which it owns from now on.
    pub(crate) fn of_folder(folder: PathBuf) -> io::Result<Self> {
        let files = files_of(&folder)?;
        Ok(Self { files, place: Place::Folder(Arc::new(OwnedFolder(folder))), rest: None })
    }

    /// This snapshot, with files that `completion` adds to its folder before it is sent.
    pub(crate) fn completed_by(self, completion: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { rest: Some(Arc::new((Mutex::new(Rest::Untried), Box::new(completion)))), ..self }
    }

    /// The snapshot with all its files. Blocks. Errors: what it lacks cannot be read any more; a newer one is asked for.
    pub(crate) fn complete(&self) -> io::Result<Self> {
        let (Some(rest), Place::Folder(folder)) = (&self.rest, &self.place) else { return Ok(self.clone()) };
        let mut state = rest.0.lock();
        if *state != Rest::Added {
            *state = Rest::Failed;
            (rest.1)()?;
            *state = Rest::Added;
        }
        Ok(Self { files: files_of(&folder.0)?, place: self.place.clone(), rest: None })
    }

    /// Whether it was tried to complete it, in vain: a newer one may be whole. False while somebody is at it.
    pub(crate) fn has_failed(&self) -> bool {
        let failed = |state: parking_lot::MutexGuard<'_, Rest>| *state == Rest::Failed;
        self.rest.as_ref().is_some_and(|rest| rest.0.try_lock().is_some_and(failed))
    }

    pub(crate) fn of_memory(files: BTreeMap<String, Bytes>) -> Self {
        let list = files.iter().map(|(name, bytes)| SnapshotFile { name: name.clone(), bytes: bytes.len() as u64 });
        Self { files: list.collect(), place: Place::Memory(Arc::new(files)), rest: None }
    }

    /// Up to `count` bytes of a file from `offset` on.
    pub(crate) fn read(&self, name: &str, offset: u64, count: usize) -> io::Result<Bytes> {
        match &self.place {
            Place::Memory(files) => {
                let whole = files.get(name).ok_or_else(|| io::Error::other("no such snapshot file"))?;
                let from = usize::try_from(offset).map_or(whole.len(), |offset| offset.min(whole.len()));
                Ok(whole.slice(from..whole.len().min(from.saturating_add(count))))
            }
            Place::Folder(folder) => {
                let file = File::open(folder.0.join(name))?;
                let left = file.metadata()?.len().saturating_sub(offset);
                let mut buffer = BytesMut::zeroed(usize::try_from(left).map_or(count, |left| left.min(count)));
                file.read_exact_at(&mut buffer, offset)?;
                Ok(buffer.freeze())
            }
        }
    }

    /// The folder, if it is one on disk.
    pub(crate) fn folder(&self) -> Option<&Path> {
        if let Place::Folder(folder) = &self.place { Some(&folder.0) } else { None }
    }
}

fn files_of(folder: &Path) -> io::Result<Vec<SnapshotFile>> {
    let mut files = Vec::new();
    for item in fs::read_dir(folder)? {
        let item = item?;
        let name = item.file_name().into_string().map_err(|_| io::Error::other("a file name is not UTF-8"))?;
        files.push(SnapshotFile { name, bytes: item.metadata()?.len() });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Receives a snapshot. On disk, what was received survives a lost connection and the transfer goes on from there.
#[derive(Debug)]
pub(crate) enum SnapshotWriter {
    Folder(PathBuf),
    Memory(BTreeMap<String, BytesMut>),
}

impl SnapshotWriter {
    /// Bytes of `name` that are already here.
    pub(crate) fn received(&self, name: &str) -> u64 {
        match self {
            Self::Folder(folder) => fs::metadata(folder.join(name)).map_or(0, |data| data.len()),
            Self::Memory(files) => files.get(name).map_or(0, |bytes| bytes.len() as u64),
        }
    }

    /// Appends a chunk. Errors: it does not begin where the last one ended, or the name leads out of the folder.
    pub(crate) fn write(&mut self, name: &str, offset: u64, chunk: &[u8]) -> io::Result<()> {
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(io::Error::other("a snapshot file has an unsafe name"));
        }
        if self.received(name) != offset {
            return Err(io::Error::other("a snapshot chunk is out of order"));
        }
        match self {
            Self::Folder(folder) => {
                fs::create_dir_all(&*folder)?;
                let mut file = File::options().create(true).append(true).open(folder.join(name))?;
                file.write_all(chunk)?;
            }
            Self::Memory(files) => files.entry(name.to_owned()).or_default().extend_from_slice(chunk),
        }
        Ok(())
    }

    /// Syncs and closes. Errors: a file is not complete.
    pub(crate) fn finish(self, expected: &[SnapshotFile]) -> io::Result<SnapshotData> {
        if let Some(short) = expected.iter().find(|file| self.received(&file.name) != file.bytes) {
            return Err(io::Error::other(format!("snapshot file {} is not complete", short.name)));
        }
        match self {
            Self::Folder(folder) => {
                for file in expected {
                    // An empty file had no chunk that would have made it.
                    File::options().create(true).append(true).open(folder.join(&file.name))?.sync_all()?;
                }
                File::open(&folder)?.sync_all()?;
                SnapshotData::of_folder(folder)
            }
            Self::Memory(files) => {
                Ok(SnapshotData::of_memory(files.into_iter().map(|(name, bytes)| (name, bytes.freeze())).collect()))
            }
        }
    }
}
