//! One node as a process of its own, over its public doors.
//!
//! Must never: need a queue that answers; what waits for one is looked at by the tests of whole clusters.

mod bad_inputs;
mod crowds;
mod grpc_doors;
mod http_door;
mod metrics;
mod node;
mod paying;
mod pending_credits;
