//! One node as a process of its own, ended with its test.
//!
//! Must never: outlive who started it.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A node; its addresses answer once it is ready.
pub(crate) struct Node {
    process: Child,
    pub(crate) grpc: String,
    pub(crate) http: String,
    pub(crate) data: TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that is free now.
fn port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a listener has an address").port()
}

impl Node {
    /// Starts a cluster of one node, whose queue nobody serves, with `more` flags.
    pub(crate) fn spawn(more: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a folder can be made");
        let (grpc, http) = (format!("127.0.0.1:{}", port()), format!("127.0.0.1:{}", port()));
        let process = Command::new(env!("CARGO_BIN_EXE_redpacket-app"))
            .args(["--node", "1", "--grpc", &grpc, "--http", &http, "--member", &format!("1={grpc}")])
            .args(["--queue", &format!("127.0.0.1:{}", port()), "--data"])
            .arg(data.path())
            .args(more)
            .stderr(Stdio::null())
            .spawn()
            .expect("the node starts");
        Self { process, grpc, http, data }
    }
}
