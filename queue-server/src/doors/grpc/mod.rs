//! The gRPC door of the queue: one file a verb.

mod admin;
mod exchange;
mod failure;
mod manage;
mod receive;
mod send;
mod service;
mod settle;

pub(crate) use admin::AdminDoor;
pub(crate) use service::QueueDoor;
