//! The listener of the HTTP address: what the door lets in, and from where it came.
//!
//! Must never: hand on a connection that the door has not let in.

use std::net::{Ipv4Addr, SocketAddr};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tls::{Door, Incoming, Stream};
use tokio::net::TcpListener;

/// Where a caller is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller(pub(super) SocketAddr);

/// Connections that the door lets in.
pub(super) struct Sealed {
    incoming: Incoming,
    address: SocketAddr,
}

impl Sealed {
    /// Errors: the listener has no address.
    pub(super) fn new(listener: TcpListener, door: Door) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self { incoming: Incoming::new(listener, door), address })
    }
}

impl Listener for Sealed {
    type Io = Stream;
    type Addr = Caller;

    async fn accept(&mut self) -> (Stream, Caller) {
        match self.incoming.next().await {
            Some(stream) => {
                // One that is gone already has no address, and no request.
                let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
                let caller = Caller(stream.met().address.unwrap_or(nowhere));
                (stream, caller)
            }
            // The process ends.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Caller> {
        Ok(Caller(self.address))
    }
}

impl Connected<IncomingStream<'_, Sealed>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Sealed>) -> Self {
        *stream.remote_addr()
    }
}
