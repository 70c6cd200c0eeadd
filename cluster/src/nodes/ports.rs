//! Ports for a new cluster: consecutive ones where a first is given, else free ones.
//!
//! Why not port 0: the system would choose among the ports of outgoing connections. While a node is down its clients
//! keep dialling it, one of these connections may be given the node's own port, and the node could not start again.
//!
//! Must never: hand out a port twice.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use rand::Rng as _;

use crate::error::Error;
use crate::limits::{PORT_MAX, PORT_MIN};

/// `count` ports. Errors: a port at or after `base` is taken or out of range, or too few are free.
pub(crate) fn find(base: Option<u16>, count: usize) -> Result<Vec<u16>, Error> {
    match base {
        Some(base) => consecutive(base, count),
        None => free(count, lowest_outgoing()),
    }
}

fn consecutive(base: u16, count: usize) -> Result<Vec<u16>, Error> {
    let ports: Vec<u16> = (base..=u16::MAX).take(count).collect();
    if ports.len() < count {
        return Err(Error::Impossible(format!("there are no {count} ports from {base} on")));
    }
    match ports.iter().find(|port| !is_free(**port)) {
        Some(port) => Err(Error::Impossible(format!("port {port} is taken; choose another --base-port"))),
        None => Ok(ports),
    }
}

/// Free ports below `limit`, from a place drawn by lot, so that two clusters seldom try the same ones.
fn free(count: usize, limit: u16) -> Result<Vec<u16>, Error> {
    let range = PORT_MIN..limit.max(PORT_MIN + 1);
    let from = rand::rng().random_range(range.clone());
    let ports: Vec<u16> =
        (from..range.end).chain(range.start..from).filter(|port| is_free(*port)).take(count).collect();
    if ports.len() < count {
        return Err(Error::Impossible(format!("fewer than {count} ports are free between {PORT_MIN} and {limit}")));
    }
    Ok(ports)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The lowest port that the system gives to outgoing connections.
fn lowest_outgoing() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    let lowest = range.as_deref().and_then(|range| range.split_whitespace().next()?.parse().ok());
    lowest.filter(|lowest| *lowest > PORT_MIN + 1000).unwrap_or(PORT_MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn free_ports_are_all_different_and_can_be_listened_on() {
        let ports = find(None, 15).expect("15 ports are free");
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 15);
        assert!(ports.iter().all(|port| *port >= PORT_MIN));
    }

    #[test]
    fn consecutive_ports_begin_at_the_base_and_a_taken_one_is_named() {
        assert!(matches!(consecutive(u16::MAX, 2), Err(Error::Impossible(_))));
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = taken.local_addr().expect("it listens").port();
        let error = consecutive(port, 1).expect_err("the port is taken");
        assert!(error.to_string().contains(&port.to_string()));
    }
}
