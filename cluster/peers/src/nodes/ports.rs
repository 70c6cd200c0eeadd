//! Ports: one block of consecutive ones for all systems, since only one of them runs at a time.
//!
//! ```text
//!  +0 RabbitMQ: clients (3), between nodes (3), epmd, tools (11)    +20 NATS: clients (3), routes (3)    +28 Tercet (9)
//! ```
//!
//! Must never: hand out a port that the system gives to outgoing connections: a client that dials a dead node there may
//! be given the node's own port.

use std::net::{Ipv4Addr, TcpListener};

use crate::error::Error;

/// Ports of the block.
const BLOCK: u16 = 40;
/// Where NATS' ports begin.
pub(super) const NATS_OFFSET: u16 = 20;
/// Where Tercet's begin.
pub(super) const TERCET_OFFSET: u16 = 28;
/// Below what any system hands out.
const FIRST: u16 = 21_000;
const LAST: u16 = 32_000;

/// The block at `base`, or the first one that is free. Errors: `Impossible`, a port of it is taken.
pub(super) fn find(base: Option<u16>) -> Result<u16, Error> {
    match base {
        Some(base) if is_free(base) => Ok(base),
        Some(base) => Err(Error::Impossible(format!("not all of the {BLOCK} ports from {base} are free"))),
        None => (FIRST..LAST)
            .step_by(usize::from(BLOCK))
            .find(|base| is_free(*base))
            .ok_or_else(|| Error::Impossible(format!("no {BLOCK} consecutive ports are free"))),
    }
}

fn is_free(base: u16) -> bool {
    let Some(end) = base.checked_add(BLOCK) else { return false };
    (base..end).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_with_a_taken_port_is_not_handed_out() {
        let base = find(None).expect("there is a free block");
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, base + 5)).expect("it was free");
        assert!(find(Some(base)).is_err());
        assert_ne!(find(None).ok(), Some(base));
        assert!(find(Some(u16::MAX)).is_err());
    }
}
