//! The gRPC door of the queue: one file a verb.

mod admin;
mod exchange;
mod failure;
mod keys;
mod listen;
mod manage;
mod receive;
mod send;
mod service;
mod settle;

use admin::AdminDoor;
use keys::KeysDoor;
pub(crate) use listen::serve_grpc;
use service::QueueDoor;
