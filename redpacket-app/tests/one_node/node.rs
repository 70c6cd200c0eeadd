//! One node as a process of its own, ended with its test.
//!
//! Must never: outlive who started it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use proto::outcome::{Outcome, outcome_of};
use proto::packet::v1::OrderRequest;
use proto::packet::v1::red_packet_client::RedPacketClient;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

/// A node that does not answer by then will not.
pub(crate) const START_DEADLINE: Duration = Duration::from_secs(30);

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

/// A node, and a channel to its gRPC door once it answers.
pub(crate) async fn start(more: &[&str]) -> (Node, Channel) {
    let node = Node::spawn(more);
    let until = Instant::now() + START_DEADLINE;
    let endpoint = Endpoint::try_from(format!("http://{}", node.grpc)).expect("an address");
    loop {
        if let Ok(channel) = endpoint.connect().await {
            let request = OrderRequest { order: id(1), sender: id(1) };
            let asked = RedPacketClient::new(channel.clone()).order(request).await;
            if asked.is_ok() || asked.is_err_and(|status| matches!(outcome_of(&status), Outcome::Refused { .. })) {
                return (node, channel);
            }
        }
        assert!(Instant::now() < until, "the node answers in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An id as it stands in a request.
pub(crate) fn id(number: u128) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(&number.to_be_bytes())
}
