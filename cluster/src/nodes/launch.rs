//! Launching: a node's command line, its log, its process in the background.
//!
//! Must never: give a node other data or ports than those in the cluster's file.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::certs;
use crate::error::Error;
use crate::file::{ClusterFile, Folder, Kind, NodeEntry};
use crate::limits::{GROUPS, LOG_TAIL_BYTES, LOG_TAIL_LINES};

/// Starts a node and says which process it is. It outlives this command: it stands in a process group of its own and
/// holds none of the command's pipes.
pub(crate) fn launch(folder: &Folder, cluster: &ClusterFile, kind: Kind, entry: &NodeEntry) -> Result<u32, Error> {
    let binary = binary(kind)?;
    let (data, log) = (folder.data(&entry.node), folder.log(&entry.node));
    fs::create_dir_all(&data).map_err(Error::on(&data))?;
    let out = File::options().create(true).append(true).open(&log).map_err(Error::on(&log))?;
    let err = out.try_clone().map_err(Error::on(&log))?;
    let key = Some(folder.operator_key()).filter(|key| key.exists());
    let papers = Papers { certs: certs::of_node(folder, kind, entry)?, key };
    let child = Command::new(&binary)
        .args(arguments(cluster, kind, entry, &papers))
        .arg("--data")
        .arg(&data)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .process_group(0)
        .spawn()
        .map_err(Error::on(&binary))?;
    child.id().ok_or_else(|| Error::NotReady {
        node: entry.node.clone(),
        what: "ended at once".to_owned(),
        tail: tail(&log),
    })
}

/// What proves a node, and whoever calls it.
#[derive(Default)]
struct Papers {
    /// Its certificates, if the cluster is sealed.
    certs: Option<PathBuf>,
    /// The operator's key pair, if the cluster asks for keys.
    key: Option<PathBuf>,
}

/// What a node is told, but for its data.
fn arguments(cluster: &ClusterFile, kind: Kind, entry: &NodeEntry, papers: &Papers) -> Vec<String> {
    let mut words = Vec::new();
    let mut say = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    say("--node", entry.number());
    say("--grpc", &entry.grpc);
    say("--http", &entry.http);
    if let Some(tcp) = &entry.tcp {
        say("--tcp", tcp);
    }
    for member in cluster.of(kind) {
        say("--member", &format!("{}={}", member.number(), member.grpc));
    }
    if let Some(certs) = &papers.certs {
        say("--tls", &certs.display().to_string());
    }
    let groups = GROUPS.to_string();
    match kind {
        Kind::Queue => {
            say("--groups", &groups);
            cluster.queue.iter().filter_map(|node| node.tcp.as_deref()).for_each(|tcp| say("--tcp-route", tcp));
            cluster.app.iter().for_each(|node| say("--app", &node.grpc));
            // A local cluster takes CMQ's key pair AKIDlocal / local and gRPC calls without one, unless it was told to ask for
            // keys, and pushes to subscribers on this machine.
            match &papers.key {
                Some(key) => say("--operator-key", &key.display().to_string()),
                None => words.extend(["--local-key", "--keyless"].map(str::to_owned)),
            }
            words.extend(["--push-allow".to_owned(), "loopback".to_owned()]);
        }
        Kind::App => {
            cluster.queue.iter().for_each(|node| say("--queue", &node.grpc));
            say("--ledger-groups", &groups);
            say("--packet-groups", &groups);
            if let Some(key) = &papers.key {
                say("--queue-key", &key.display().to_string());
            }
            // A local cluster lets anyone register a user with a funded wallet.
            words.push("--open-registration".to_owned());
            words.extend(["--journal-topic".to_owned(), "journal".to_owned()]);
        }
    }
    words
}

/// The server's binary: beside this one.
pub(crate) fn binary(kind: Kind) -> Result<PathBuf, Error> {
    let own = std::env::current_exe().map_err(|source| Error::Io { what: "the own binary".to_owned(), source })?;
    let path = own.with_file_name(kind.binary());
    if path.is_file() {
        return Ok(path);
    }
    let what = format!("{} is missing: build it with cargo build --release -p {}", path.display(), kind.binary());
    Err(Error::Impossible(what))
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_else(|error| format!("{}: {error}", log.display()));
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.get(lines.len().saturating_sub(LOG_TAIL_LINES)..).unwrap_or_default();
    shown.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::sample;

    #[test]
    fn a_queue_node_is_told_its_number_ports_members_and_groups() {
        let cluster = sample();
        let words = arguments(&cluster, Kind::Queue, &cluster.queue[0], &Papers::default()).join(" ");
        let expected = "--node 1 --grpc 127.0.0.1:100 --http 127.0.0.1:101 --tcp 127.0.0.1:102 \
                        --member 1=127.0.0.1:100 --groups 2 --tcp-route 127.0.0.1:102 --app 127.0.0.1:200 --local-key --keyless --push-allow loopback";
        assert_eq!(words, expected);
    }

    #[test]
    fn an_app_node_is_told_where_the_queue_is_and_lets_anyone_register() {
        let cluster = sample();
        let words = arguments(&cluster, Kind::App, &cluster.app[0], &Papers::default()).join(" ");
        let expected = "--node 1 --grpc 127.0.0.1:200 --http 127.0.0.1:201 --member 1=127.0.0.1:200 \
                        --queue 127.0.0.1:100 --ledger-groups 2 --packet-groups 2 --open-registration \
                        --journal-topic journal";
        assert_eq!(words, expected);
    }

    #[test]
    fn a_node_of_a_sealed_cluster_that_asks_for_keys_is_told_where_both_are() {
        let cluster = sample();
        let papers = Papers { certs: Some("/c".into()), key: Some("/k".into()) };
        for (kind, entry, key) in
            [(Kind::Queue, &cluster.queue[0], "--operator-key /k"), (Kind::App, &cluster.app[0], "--queue-key /k")]
        {
            let words = arguments(&cluster, kind, entry, &papers).join(" ");
            assert!(words.contains("--tls /c") && words.contains(key) && !words.contains("--keyless"), "{words}");
            assert!(!words.contains("--local-key"), "{words}");
        }
    }

    #[test]
    fn a_tail_is_the_last_lines_and_says_why_there_is_none() {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let log = dir.path().join("1.log");
        assert!(tail(&log).contains("No such file"));
        let lines: Vec<String> = (1..=100).map(|number| format!("line {number}")).collect();
        fs::write(&log, lines.join("\n")).expect("the log can be written");
        let shown = tail(&log);
        assert_eq!(shown.lines().count(), LOG_TAIL_LINES);
        assert!(shown.ends_with("  line 100"));
    }
}
