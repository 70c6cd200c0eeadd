//! One queue node alone, told what a test wants to tell it, ended with the test.
//!
//! Must never: leave a process or a folder behind, or end a process by its name.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::local::binary;

/// A node is ready within this, with room for a machine under load.
const READY_MAX: Duration = Duration::from_secs(60);
/// The operator's key pair that a node is given when it asks for keys.
pub const OPERATOR: (&str, &str) = ("AKIDoperator", "a-secret-of-no-worth");

/// A node.
pub struct LoneNode {
    folder: TempDir,
    child: Child,
    /// Where gRPC listens.
    pub grpc: String,
    /// Where HTTP listens.
    pub http: String,
    /// Where CMQ's TCP protocol is spoken.
    pub tcp: String,
}

impl LoneNode {
    /// A node that asks for keys, and takes the operator's.
    #[must_use]
    pub fn with_keys(more: &[&str]) -> Self {
        Self::start(true, None, None, more)
    }

    /// A node that asks for none.
    #[must_use]
    pub fn keyless(more: &[&str]) -> Self {
        Self::start(false, None, None, more)
    }

    /// A node that asks for none, and listens for gRPC at `grpc`.
    #[must_use]
    pub fn keyless_at(grpc: &str, more: &[&str]) -> Self {
        Self::start(false, Some(grpc), None, more)
    }

    /// A node that asks for none, on data that a node 1 left in the folder of this archive.
    #[must_use]
    pub fn keyless_on(archive: &Path, more: &[&str]) -> Self {
        Self::start(false, None, Some(archive), more)
    }

    /// Ends the node as an operator does, and puts its data into an archive.
    pub fn archive(mut self, archive: &Path) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the node is told to end");
        assert!(self.ended(), "the node ends well: {}", self.log());
        tar(&[
            "-czf".as_ref(),
            archive.as_os_str(),
            "--sparse".as_ref(),
            "-C".as_ref(),
            self.path().as_os_str(),
            "1".as_ref(),
        ]);
    }

    fn start(has_keys: bool, at: Option<&str>, data: Option<&Path>, more: &[&str]) -> Self {
        // The system's temporary folder may be memory; an fsync there means nothing.
        let folder = tempfile::Builder::new().prefix("tercet-test-").tempdir_in("/var/tmp");
        let folder = folder.expect("a temporary folder can be made");
        if let Some(archive) = data {
            tar(&["-xf".as_ref(), archive.as_os_str(), "-C".as_ref(), folder.path().as_os_str()]);
        }
        let [grpc, http, tcp] = ports().map(|port| format!("127.0.0.1:{port}"));
        let grpc = at.map_or(grpc, str::to_owned);
        let mut command = Command::new(binary("queue-server"));
        command.args(["--node", "1", "--local-key", "--push-allow", "loopback", "--member", &format!("1={grpc}")]);
        command.args(["--grpc", &grpc, "--http", &http, "--tcp", &tcp]).arg("--data").arg(folder.path().join("1"));
        if has_keys {
            command.arg("--operator-key").arg(operator_key(folder.path()));
        } else {
            command.arg("--keyless");
        }
        let log = fs::File::create(folder.path().join("log")).expect("the log can be made");
        let child = command.args(more).stdin(Stdio::null()).stderr(log).spawn().expect("the node starts");
        let node = serde_json::json!({ "node": "1", "pid": child.id(), "grpc": grpc, "http": http, "tcp": tcp });
        let file = serde_json::json!({ "queue": [node] });
        fs::write(folder.path().join("cluster.json"), file.to_string()).expect("the file can be written");
        Self { folder, child, grpc, http, tcp }
    }

    /// Waits until the node serves.
    #[must_use]
    pub fn ready(self) -> Self {
        let until = Instant::now() + READY_MAX;
        while !self.page("/readyz").is_some_and(|page| page.contains("ready\n") && page.contains(" 200 ")) {
            assert!(Instant::now() < until, "the node is not ready: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    /// A page of the node's HTTP address with its head, if it answers.
    #[must_use]
    pub fn page(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(&self.http).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        Some(page)
    }

    /// Runs a verb of `cluster` on this node, signed by `key` if there is one.
    #[must_use]
    pub fn cluster(&self, words: &[&str], key: Option<&Path>) -> Output {
        let mut command = Command::new(binary("cluster"));
        command.args(words).arg("--dir").arg(self.folder.path());
        if let Some(key) = key {
            command.arg("--key").arg(key);
        }
        command.output().expect("the cluster command runs")
    }

    /// The operator's key file.
    #[must_use]
    pub fn operator_key(&self) -> PathBuf {
        self.folder.path().join("operator")
    }

    /// The node's own folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Memory that the node holds. Units: bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the node lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it holds memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number") * 1024
    }

    /// What the node has said.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits for the node to end by itself, and says whether it ended well.
    pub fn ended(&mut self) -> bool {
        let until = Instant::now() + READY_MAX;
        loop {
            if let Some(status) = self.child.try_wait().expect("the node is ours") {
                return status.success();
            }
            assert!(Instant::now() < until, "the node goes on: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for LoneNode {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tar(words: &[&OsStr]) {
    let done = Command::new("tar").args(words).output().expect("tar runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn operator_key(folder: &Path) -> PathBuf {
    let file = folder.join("operator");
    fs::write(&file, format!("{} {}", OPERATOR.0, OPERATOR.1)).expect("the key can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode can be set");
    file
}

/// Ports that were free a moment ago.
fn ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    listeners.map(|listener| listener.local_addr().expect("it has an address").port())
}
