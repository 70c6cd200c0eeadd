//! The page of metrics: what it serves is documented, and what the dashboard and the alerts name is served.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::node::Node;

const PREFIX: &str = "tercet_app_";

/// The names that a text says behind the prefix.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    text.split(|c| !is_part(c)).filter_map(|word| word.strip_prefix(PREFIX)).map(str::to_owned).collect()
}

#[test]
fn every_metric_is_documented_and_what_operators_look_at_is_served() {
    let node = Node::start(&["--open-registration"]);
    let mut stream = TcpStream::connect(&node.http).expect("the node listens");
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: operator\r\nconnection: close\r\n\r\n").expect("it is asked");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("it answers");
    let served: BTreeSet<String> = page.lines().filter(|line| line.starts_with("# TYPE ")).flat_map(named).collect();
    assert!(served.len() > 20, "{page}");

    let table: BTreeSet<&str> = include_str!("../../src/doors/http/metrics.rs")
        .lines()
        .filter(|line| line.starts_with("//! | `"))
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter_map(|word| word.split('{').next())
        .collect();
    for name in &served {
        assert!(table.contains(name.as_str()), "{PREFIX}{name} is not documented");
    }
    let looked_at = named(include_str!("../../../deploy/grafana/app.json"));
    let alerts = named(include_str!("../../../deploy/grafana/alerts.json"));
    assert!(looked_at.len() > 20 && alerts.len() > 8);
    for name in looked_at.union(&alerts) {
        assert!(table.contains(name.as_str()), "{PREFIX}{name} is not documented");
        // Nodes with certificates, and those that record traces, alone serve these.
        let is_off = name.starts_with("tls_") || name.starts_with("trace_");
        assert!(is_off || served.contains(name), "{PREFIX}{name} is not served");
    }
}
