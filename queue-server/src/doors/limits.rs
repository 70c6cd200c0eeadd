//! What the doors let come in, in one place: connections, streams, times, bytes. CMQ's own numbers are in `cmq/limits.rs`.
//!
//! Why: whoever can reach a door can try to fill it. Each thing that a caller can hold has a number here, and a time after
//! which he holds it no longer.
//!
//! Must never: hold a limit of the queue machine.

use std::time::Duration;

use tls::{Patience, Room};

/// What is behind each of the three doors: connections at once, those of one address among them; and descriptors that are
/// left to the log, the rows and the other nodes.
pub(crate) const ROOM: Room = Room {
    connections_max: 4_096,
    per_address_max: 1_024,
    is_own_counted: true,
    descriptors_kept: 1_024,
    part: (1, 3),
};
/// A client that takes nothing for this long is gone.
pub(crate) const STALL_MAX: Duration = Duration::from_secs(30);

/// HTTP: headers of a request are there within this, from the end of the one before: idle connections end by it too.
pub(crate) const HTTP_HEADERS_MAX: Duration = Duration::from_secs(30);
/// HTTP: bytes of a request's first line and headers. A GET carries its pairs there.
pub(crate) const HTTP_HEADER_BYTES_MAX: usize = 256 * 1024;

/// gRPC: the first bytes of a connection are there within this: HTTP/2's preface.
pub(crate) const GRPC_PATIENCE: Patience = Patience { first: Some((24, Duration::from_secs(10))), stall: STALL_MAX };
/// gRPC: a connection is asked for a sign of life this often, and has the next for it.
pub(crate) const GRPC_KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
pub(crate) const GRPC_KEEPALIVE_MAX: Duration = Duration::from_secs(5);
/// gRPC: calls under way on one connection; more wait at the client.
pub(crate) const GRPC_STREAMS_MAX: u32 = 512;
/// gRPC: bytes of a call's headers.
pub(crate) const GRPC_HEADER_BYTES_MAX: u32 = 16 * 1024;
/// gRPC: a call that is no stream is whole and answered within this: the longest wait, and time to answer.
pub(crate) const GRPC_CALL_MAX: Duration = Duration::from_secs(45);
/// gRPC: bytes that all calls under way, but for streams, may have brought. Beyond it calls are sent away.
pub(crate) const GRPC_HELD_BYTES_MAX: usize = 512 * 1024 * 1024;
/// gRPC: bytes that answers hold which their callers have not taken yet, those of streams too. Beyond it an answer is not
/// given, and its caller asks again.
pub(crate) const GRPC_ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// gRPC: an answer smaller than this is not counted: a stream costs as much by itself.
pub(crate) const GRPC_ANSWER_BYTES_COUNTED: usize = 4 * 1024;
/// gRPC: calls that a client has given up before they were looked at, on one connection. As many as it may make: who gives
/// up all his calls at once, because a node was slow, keeps his connection; who goes on so is closed.
pub(crate) const GRPC_RESETS_WAITING_MAX: usize = GRPC_STREAMS_MAX as usize;

/// CMQ over TCP: bytes of answers that wait for clients which do not read, of all connections together. Beyond it a
/// connection with more to take ends; what it was leased comes again.
pub(crate) const TCP_ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A proof of a key pair is good so long before and after it was signed: clocks are not one.
pub(crate) const PROOF_AGE_MAX: Duration = Duration::from_secs(30);
/// Proofs that are remembered, so that none is used twice: those of the present span of time, and of the one before.
pub(crate) const PROOFS_MAX: usize = 1 << 19;

const _: () = assert!(ROOM.per_address_max < ROOM.connections_max);
const _: () = assert!(GRPC_CALL_MAX.as_millis() > proto::limits::WAIT_MS_MAX as u128 + 3_000);
const _: () = assert!(GRPC_ANSWER_BYTES_MAX > 8 * proto::limits::WIRE_BYTES_MAX);
const _: () =
    assert!(GRPC_HELD_BYTES_MAX > 16 * proto::limits::WIRE_BYTES_MAX && GRPC_HELD_BYTES_MAX < u32::MAX as usize);
