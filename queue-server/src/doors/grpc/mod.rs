//! The gRPC door of the queue: one file a verb.

mod admin;
mod admin_backup;
mod admin_members;
mod consume;
mod exchange;
mod failure;
mod half;
mod history;
mod keys;
mod listen;
mod manage;
mod receive;
mod send;
mod service;
mod settle;
mod subscriptions;
mod topics;

use admin::AdminDoor;
use admin_backup::BackupsDoor;
use admin_members::MembersDoor;
use history::HistoryDoor;
use keys::KeysDoor;
pub(crate) use listen::serve_grpc;
use service::QueueDoor;
use topics::TopicsDoor;
