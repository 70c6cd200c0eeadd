//! The house as it stands: its files, its pages of text, and its rooms (crates) with their arrows.
//!
//! Must never: follow a link out of the repository, or read what a build has left in it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::tokens::{Token, tokens};

/// Folders that hold nothing of ours.
const FOLDERS_SKIPPED: [&str; 2] = ["target", ".git"];
/// Extensions of what is written by hand as code, besides scripts.
const SOURCE_EXTENSIONS: [&str; 6] = ["rs", "proto", "sh", "js", "css", "html"];

/// A text file.
#[derive(Clone, Debug)]
pub struct Page {
    /// From the root of the repository, parted by `/`.
    pub path: String,
    /// The whole text.
    pub text: String,
    tokens: Vec<Token>,
}

impl Page {
    /// A page; Rust is lexed at once. Errors: Rust that does not lex.
    pub fn new(path: &str, text: &str) -> Result<Self, String> {
        let tokens = if Path::new(path).extension().is_some_and(|extension| extension == "rs") {
            tokens(text).map_err(|error| format!("{path}: {error}"))?
        } else {
            Vec::new()
        };
        Ok(Self { path: path.to_owned(), text: text.to_owned(), tokens })
    }

    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The file's name without its folders.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The file's name without its folders and its extension.
    pub(crate) fn stem(&self) -> &str {
        self.name().split_once('.').map_or(self.name(), |(stem, _)| stem)
    }

    pub(crate) fn is_under(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether the file lies in a folder of this name, at any depth.
    pub(crate) fn is_within(&self, folder: &str) -> bool {
        self.path.split('/').rev().skip(1).any(|part| part == folder)
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    pub(crate) fn is_paper(&self) -> bool {
        self.has_extension("md")
    }

    /// Code of any kind: Rust, protocol, script, page.
    pub(crate) fn is_source(&self) -> bool {
        SOURCE_EXTENSIONS.iter().any(|extension| self.has_extension(extension)) || self.text.starts_with("#!/")
    }

    /// Rust that only tests run.
    pub(crate) fn is_test(&self) -> bool {
        let stem = self.stem();
        self.is_rust() && (self.is_within("tests") || stem == "tests" || stem.ends_with("_tests"))
    }

    fn has_extension(&self, extension: &str) -> bool {
        self.name().rsplit_once('.').is_some_and(|(_, last)| last == extension)
    }
}

/// A crate of the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// The crate's name.
    pub name: String,
    /// Its folder, from the root of the repository.
    pub folder: String,
    /// What it names for itself and its build, ours and others'.
    pub needs: BTreeSet<String>,
    /// What only its tests name.
    pub test_needs: BTreeSet<String>,
}

/// All that the laws look at.
#[derive(Clone, Debug, Default)]
pub struct House {
    /// Text files in order of their paths.
    pub pages: Vec<Page>,
    /// Every file and folder, text or not.
    pub paths: BTreeSet<String>,
    /// The crates.
    pub rooms: Vec<Room>,
}

impl House {
    /// Reads the house. Errors: a file that cannot be read, Rust that does not lex, or what `cargo metadata` says.
    pub fn read(root: &Path) -> Result<Self, String> {
        let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
        let mut house = Self { rooms: rooms(&root)?, ..Self::default() };
        house.enter(&root, &root)?;
        house.pages.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(house)
    }

    /// The page at `path`, if there is one.
    #[must_use]
    pub fn page(&self, path: &str) -> Option<&Page> {
        self.pages.iter().find(|page| page.path == path)
    }

    fn enter(&mut self, root: &Path, folder: &Path) -> Result<(), String> {
        let failed = |error: io::Error| format!("{}: {error}", folder.display());
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            let from_root = relative(root, &path);
            if kind.is_dir() && !FOLDERS_SKIPPED.contains(&name.as_str()) {
                self.paths.insert(from_root);
                self.enter(root, &path)?;
            } else if kind.is_file() {
                let bytes = fs::read(&path).map_err(failed)?;
                if let Ok(text) = String::from_utf8(bytes) {
                    self.pages.push(Page::new(&from_root, &text)?);
                }
                self.paths.insert(from_root);
            }
        }
        Ok(())
    }
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

fn rooms(root: &Path) -> Result<Vec<Room>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--no-deps"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    rooms_of(&metadata, root)
}

/// The rooms that `cargo metadata` lists. Errors: a field is missing.
fn rooms_of(metadata: &Value, root: &Path) -> Result<Vec<Room>, String> {
    let list = |value: &Value, field: &str| {
        value.get(field).and_then(Value::as_array).cloned().ok_or_else(|| format!("cargo metadata: no {field}"))
    };
    let text = |value: &Value, field: &str| {
        value.get(field).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("cargo metadata: no {field}"))
    };
    let mut rooms = Vec::new();
    for package in list(metadata, "packages")? {
        let manifest = PathBuf::from(text(&package, "manifest_path")?);
        let folder = manifest.parent().map(|folder| relative(root, folder)).unwrap_or_default();
        let mut room = Room { name: text(&package, "name")?, folder, ..Room::default() };
        for dependency in list(&package, "dependencies")? {
            let is_for_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
            let needs = if is_for_tests { &mut room.test_needs } else { &mut room.needs };
            needs.insert(text(&dependency, "name")?);
        }
        rooms.push(room);
    }
    Ok(rooms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_what_kind_of_text_it_is() {
        let table = [
            // path, text, is source, is test, stem
            ("replica/src/clock.rs", "", true, false, "clock"),
            ("tests/tests/tidy.rs", "", true, true, "tidy"),
            ("ledger/src/hold/tests.rs", "", true, true, "tests"),
            ("ledger/src/hold_tests.rs", "", true, true, "hold_tests"),
            ("ledger/src/contests.rs", "", true, false, "contests"),
            ("tests/run", "#!/usr/bin/env bash\n", true, false, "run"),
            ("README.md", "", false, false, "README"),
        ];
        for (path, text, is_source, is_test, stem) in table {
            let page = Page::new(path, text).expect("the sample lexes");
            assert_eq!((page.is_source(), page.is_test(), page.stem()), (is_source, is_test, stem), "{path}");
        }
    }

    #[test]
    fn a_folder_is_matched_by_its_whole_name() {
        let page = Page::new("queue-server/src/doors/grpc.rs", "").expect("the sample lexes");
        assert!(page.is_under("queue-server") && page.is_within("doors"));
        assert!(!page.is_under("queue") && !page.is_within("door") && !page.is_within("grpc.rs"));
    }

    #[test]
    fn rooms_keep_needs_of_tests_apart() {
        let metadata = serde_json::json!({"packages": [{
            "name": "ledger",
            "manifest_path": "/house/redpacket-app/ledger/Cargo.toml",
            "dependencies": [{"name": "machine", "kind": null}, {"name": "cc", "kind": "build"}, {"name": "proptest", "kind": "dev"}],
        }]});
        let expected = Room {
            name: "ledger".to_owned(),
            folder: "redpacket-app/ledger".to_owned(),
            needs: ["cc".to_owned(), "machine".to_owned()].into(),
            test_needs: ["proptest".to_owned()].into(),
        };
        assert_eq!(rooms_of(&metadata, Path::new("/house")), Ok(vec![expected]));
        assert!(rooms_of(&serde_json::json!({}), Path::new("/house")).is_err());
    }
}
