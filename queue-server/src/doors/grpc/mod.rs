//! The gRPC door of the queue: one file a verb.

mod admin;
mod exchange;
mod failure;
mod listen;
mod manage;
mod receive;
mod send;
mod service;
mod settle;

use admin::AdminDoor;
pub(crate) use listen::serve_grpc;
use service::QueueDoor;
