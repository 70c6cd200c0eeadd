//! The gRPC door of the queue: one file a verb.

mod admin;
mod admin_backup;
mod admin_members;
mod consume;
mod entrance;
mod exchange;
mod failure;
mod half;
mod held;
mod history;
mod keys;
mod listen;
mod manage;
mod moves;
mod receive;
mod rights;
mod send;
mod service;
mod settle;
mod subscriptions;
mod topics;
mod used;

use admin::AdminDoor;
use admin_backup::BackupsDoor;
use admin_members::MembersDoor;
pub(crate) use entrance::Entrance;
use history::HistoryDoor;
use keys::KeysDoor;
pub(crate) use listen::serve_grpc;
use moves::MovesDoor;
use service::QueueDoor;
use topics::TopicsDoor;
