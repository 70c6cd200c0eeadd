//! How the tests of deployment look at files and programs.
//!
//! Must never: need a program that a machine for builds may lack.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_owned()
}

/// A file of the repository.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether a program can be run.
pub(crate) fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The flags of a program, from its help, with their defaults.
pub(crate) fn flags_of(binary: &Path) -> Vec<(String, Option<String>)> {
    let output = Command::new(binary).arg("--help").output().expect("the program says what it takes");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut flags: Vec<(String, Option<String>)> = Vec::new();
    for line in help.lines().map(str::trim) {
        let flag = line.strip_prefix("-h, ").or_else(|| line.strip_prefix("-V, ")).unwrap_or(line);
        if let Some(name) = flag.strip_prefix("--").and_then(|rest| rest.split([' ', '=']).next())
            && line.starts_with("--")
        {
            flags.push((format!("--{name}"), None));
        }
        if let Some(default) = line.split("[default: ").nth(1).and_then(|rest| rest.split(']').next())
            && let Some(last) = flags.last_mut()
        {
            last.1 = Some(default.to_owned());
        }
    }
    assert!(flags.len() > 5, "{} names its flags: {help}", binary.display());
    // The example in the program's description names flags, too; each is meant once.
    let mut seen = BTreeSet::new();
    flags.reverse();
    flags.retain(|(flag, _)| seen.insert(flag.clone()));
    flags
}

/// The keys of a unit.
pub(crate) fn systemd_keys(unit: &str) -> BTreeSet<&str> {
    let lines = unit.lines().filter(|line| !line.starts_with(['#', '[']) && !line.is_empty());
    lines.map(|line| line.split_once('=').unwrap_or_else(|| panic!("{line:?} sets nothing")).0).collect()
}

/// A unit whose programs and files are there on any machine.
pub(crate) fn service_of(unit: &str) -> String {
    let line = |line: &str| {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        match key {
            "ExecStart" | "ExecStop" => {
                let rest = value.split_once(' ').map_or("", |(_, rest)| rest);
                format!("{key}=/bin/true {rest}")
            }
            "User" | "Group" => format!("{key}=root"),
            "EnvironmentFile" => "EnvironmentFile=-/nonexistent".to_owned(),
            _ => line.to_owned(),
        }
    };
    unit.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// The documents of a YAML file: kind and text. Refuses what YAML refuses first: tabs, and lists or keys out of step.
pub(crate) fn documents(text: &str) -> Vec<(String, String)> {
    assert!(!text.contains('\t'), "YAML takes no tabs");
    let documents = text.split("\n---\n").map(|document| {
        let lines: Vec<&str> = document.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        for line in lines.iter().filter(|line| !line.trim().is_empty()) {
            let indent = line.len() - line.trim_start().len();
            assert!(indent % 2 == 0, "an odd indent: {line:?}");
        }
        let field = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).map(str::trim);
        assert!(field("apiVersion:").is_some() && lines.contains(&"metadata:"), "no manifest: {document}");
        (field("kind:").expect("a kind").to_owned(), lines.join("\n"))
    });
    documents.collect()
}

/// Every metric that a text names.
pub(crate) fn metrics_named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !is_part(c)).filter(|word| word.starts_with("tercet_")).map(str::to_owned).collect()
}
