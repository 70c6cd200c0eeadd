//! The public gRPC contracts of Tercet, and what a failed call says.
//!
//! ```text
//!  tercet/queue/v1/queue.proto    -> queue::v1     messages and queues
//!  tercet/queue/v1/topic.proto    -> queue::v1     topics and subscriptions
//!  tercet/queue/v1/history.proto  -> queue::v1     search, stories, rewind, redrive
//!  tercet/queue/v1/move.proto     -> queue::v1     a queue moves to another group
//!  tercet/ledger/v1/ledger.proto  -> ledger::v1    accounts and transfers
//!  tercet/packet/v1/packet.proto  -> packet::v1    red packets, for phones
//!  tercet/pay/v1/pay.proto        -> pay::v1       orders of merchants and their payments
//!  tercet/admin/v1/admin.proto    -> admin::v1     for operators, on every node
//!  tercet/admin/v1/keys.proto     -> admin::v1     key pairs, on queue nodes
//!  tercet/admin/v1/backup.proto   -> admin::v1     copies of groups, on queue nodes
//!  tercet/admin/v1/members.proto  -> admin::v1     who belongs to a cluster, on every node
//!  tercet/admin/v1/recovery.proto -> admin::v1     what follows the loss of a majority, on app nodes
//!  src/codec.rs                   -> codec         how messages become bytes
//!  src/outcome.rs                 -> outcome       refused, not applied, unknown: the trailers of a failure
//!  src/proof.rs                   -> proof         how a caller proves its key pair
//!  src/credentials.rs             -> credentials   who signs such a proof
//!  src/verdict.rs                 -> verdict       what the answers of nodes come to
//!  src/traces/                    -> traces        the context of a trace on every wire, and the way of spans to a collector
//! ```
//!
//! Why: servers, clients and other languages agree on these files alone.
//!
//! Must never: depend on another crate of Tercet, or hold a rule of the queue or of money.

pub mod codec;
pub mod credentials;
pub mod limits;
pub mod outcome;
pub mod proof;
pub mod traces;
pub mod verdict;

/// Messages as bytes, for what travels within a body.
pub use prost::Message;

/// The queue's contract.
pub mod queue {
    /// Version 1.
    #[expect(clippy::allow_attributes, clippy::too_many_lines, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("tercet.queue.v1");
    }
}

/// The ledger's contract.
pub mod ledger {
    /// Version 1.
    #[expect(clippy::allow_attributes, clippy::too_many_lines, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("tercet.ledger.v1");
    }
}

/// The red packets' contract.
pub mod packet {
    /// Version 1.
    #[expect(clippy::allow_attributes, clippy::too_many_lines, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("tercet.packet.v1");
    }
}

/// The payments' contract.
pub mod pay {
    /// Version 1.
    #[expect(clippy::allow_attributes, clippy::too_many_lines, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("tercet.pay.v1");
    }
}

/// The operators' contract.
pub mod admin {
    /// Version 1.
    #[expect(clippy::allow_attributes, clippy::too_many_lines, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("tercet.admin.v1");
    }
}

/// All contracts as an encoded `google.protobuf.FileDescriptorSet`, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("tercet");
