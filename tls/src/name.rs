//! Who a certificate is for: a node of the cluster by its number, or a client by its name.
//!
//! ```text
//!  2.queue.node.tercet      node 2 of the queue
//!  2.app.node.tercet        node 2 of the app
//!  ops.client.tercet        a client
//! ```
//!
//! Why DNS names that nobody looks up: every TLS library can ask for one, check one, and print one. What is told apart by
//! addresses is mixed up by whoever moves an address.
//!
//! Must never: read two names out of one text, or one name out of two.

use std::fmt::{self, Display, Formatter};

/// The end of all names: no zone of the public DNS.
const ZONE: &str = "tercet";
const NODE: &str = "node";
const CLIENT: &str = "client";

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// A node.
    Node {
        /// What it is a node of: `queue`, `app`.
        house: String,
        /// Its number.
        number: u64,
    },
    /// A client.
    Client(String),
}

impl Name {
    /// Node `number` of `house`.
    #[must_use]
    pub fn node(house: &str, number: u64) -> Self {
        Self::Node { house: house.to_owned(), number }
    }

    /// The name as it stands in a certificate.
    #[must_use]
    pub fn dns(&self) -> String {
        match self {
            Self::Node { house, number } => format!("{number}.{house}.{NODE}.{ZONE}"),
            Self::Client(name) => format!("{name}.{CLIENT}.{ZONE}"),
        }
    }

    /// Whom a name of a certificate stands for; `None`: nobody of a cluster.
    #[must_use]
    pub fn read(dns: &str) -> Option<Self> {
        let words: Vec<&str> = dns.split('.').collect();
        let name = match words[..] {
            [number, house, NODE, ZONE] => Self::node(house, number.parse().ok()?),
            [name, CLIENT, ZONE] => Self::Client(name.to_owned()),
            _ => return None,
        };
        // What was written in another way, as 02 for 2, is not this name.
        (name.is_sound() && name.dns() == dns).then_some(name)
    }

    /// Whether it can stand in a certificate.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_word = |text: &str| {
            let is_char = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
            !text.is_empty() && text.len() <= 63 && text.bytes().all(is_char) && !text.starts_with('-')
        };
        match self {
            Self::Node { house, number } => is_word(house) && *number > 0,
            Self::Client(name) => is_word(name),
        }
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { house, number } => write!(f, "{house} node {number}"),
            Self::Client(name) => write!(f, "client {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_and_nothing_else_is_one() {
        for name in [Name::node("queue", 2), Name::node("app", u64::MAX), Name::Client("ops".to_owned())] {
            assert_eq!(Name::read(&name.dns()), Some(name));
        }
        for text in [
            "",
            "tercet",
            "02.queue.node.tercet",
            "0.queue.node.tercet",
            "-1.queue.node.tercet",
            "x.queue.node.tercet",
            "1.queue.node.tercet.example",
            "1.node.tercet",
            "*.queue.node.tercet",
            "*.client.tercet",
            ".client.tercet",
            "a.b.client.tercet",
            "A.client.tercet",
        ] {
            assert_eq!(Name::read(text), None, "{text:?}");
        }
    }
}
