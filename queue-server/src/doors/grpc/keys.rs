//! Key pairs, for operators: those who may manage everything.
//!
//! Must never: show a secret but to who made it, in the reply to the making.

use std::sync::Arc;
use std::time::Duration;

use machine::RequestId;
use proto::admin::v1::keys_server::Keys;
use proto::admin::v1::*;
use queue_core::{DirectoryCommand, DirectoryReply, Grant, KeyCommand, KeyPair, KeyRefusal, Right, Secret};
use rand::Rng as _;
use rand::distr::Alphanumeric;
use replica::ProposeError;
use tonic::{Code, Request, Response, Status};

use super::entrance::admitted;
use super::failure::{DoorRefusal, propose_failed, read_failed};
use crate::node::Node;

/// Characters of an id behind `AKID`, and of a secret: as long as Tencent's.
const DRAWN_CHARS: usize = 32;
const DEADLINE: Duration = Duration::from_secs(3);

/// Answers operators.
pub(crate) struct KeysDoor {
    node: Arc<Node>,
}

type Answer<T> = Result<Response<T>, Status>;

impl KeysDoor {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    async fn propose(&self, command: KeyCommand) -> Result<(), Status> {
        let starting = || propose_failed(ProposeError::NotApplied("the node is starting".to_owned()));
        let directory = self.node.directory().ok_or_else(starting)?;
        // A key command is known again by what it says: a repeat is refused as existing, or does the same once more.
        let command = DirectoryCommand::Key(command);
        let applied = directory.propose_anywhere(RequestId::NONE, &command, DEADLINE).await.map_err(propose_failed)?;
        match applied.reply {
            DirectoryReply::KeyDone(Ok(())) => Ok(()),
            DirectoryReply::KeyDone(Err(refusal)) => Err(key_refused(refusal)),
            DirectoryReply::Placed(_) => {
                Err(propose_failed(ProposeError::Unknown("the directory gave another reply".to_owned())))
            }
        }
    }
}

fn key_refused(refusal: KeyRefusal) -> Status {
    let (code, door) = match refusal {
        KeyRefusal::KeyInvalid => (Code::InvalidArgument, DoorRefusal::KeyInvalid),
        KeyRefusal::KeyExists => (Code::AlreadyExists, DoorRefusal::KeyExists),
        KeyRefusal::KeyMissing => (Code::NotFound, DoorRefusal::KeyMissing),
        KeyRefusal::TooManyKeys => (Code::ResourceExhausted, DoorRefusal::TooManyKeys),
    };
    proto::outcome::refused(code, proto::outcome::DOOR_REFUSALS + door as u16, &refusal.to_string())
}

fn drawn() -> String {
    rand::rng().sample_iter(Alphanumeric).take(DRAWN_CHARS).map(char::from).collect()
}

fn grants(list: Vec<KeyGrant>) -> Vec<Grant> {
    let rights = |grant: &KeyGrant| {
        let given = [(grant.send, Right::Send), (grant.receive, Right::Receive), (grant.manage, Right::Manage)];
        given.into_iter().filter(|(is_given, _)| *is_given).map(|(_, right)| right as u8).sum()
    };
    list.into_iter().map(|grant| Grant { rights: rights(&grant), pattern: grant.pattern }).collect()
}

fn shown(pair: &KeyPair) -> Key {
    let grant = |grant: &Grant| KeyGrant {
        pattern: grant.pattern.clone(),
        send: grant.rights & Right::Send as u8 != 0,
        receive: grant.rights & Right::Receive as u8 != 0,
        manage: grant.rights & Right::Manage as u8 != 0,
    };
    Key {
        id: pair.id.clone(),
        grants: pair.grants.iter().map(grant).collect(),
        created_ms: pair.created.0,
        rotated_ms: pair.rotated.0,
    }
}

#[tonic::async_trait]
impl Keys for KeysDoor {
    async fn create_key(&self, request: Request<CreateKeyRequest>) -> Answer<CreateKeyReply> {
        let grants = grants(admitted(request)?.grants);
        let (id, secret) = (format!("AKID{}", drawn()), drawn());
        self.propose(KeyCommand::Create { id: id.clone(), secret: Secret::new(secret.clone()), grants }).await?;
        Ok(Response::new(CreateKeyReply { id, secret }))
    }

    async fn list_keys(&self, request: Request<ListKeysRequest>) -> Answer<ListKeysReply> {
        admitted(request)?;
        let starting = || propose_failed(ProposeError::NotApplied("the node is starting".to_owned()));
        let directory = self.node.directory().ok_or_else(starting)?;
        let read = directory.read_anywhere(DEADLINE, |view| view.machine.key_pairs().map(shown).collect());
        Ok(Response::new(ListKeysReply { keys: read.await.map_err(read_failed)? }))
    }

    async fn rotate_key(&self, request: Request<RotateKeyRequest>) -> Answer<RotateKeyReply> {
        let RotateKeyRequest { id, overlap_ms } = admitted(request)?;
        let secret = drawn();
        self.propose(KeyCommand::Rotate { id, secret: Secret::new(secret.clone()), overlap_ms }).await?;
        Ok(Response::new(RotateKeyReply { secret }))
    }

    async fn grant_key(&self, request: Request<GrantKeyRequest>) -> Answer<GrantKeyReply> {
        let call = admitted(request)?;
        self.propose(KeyCommand::Grant { id: call.id, grants: grants(call.grants) }).await?;
        Ok(Response::new(GrantKeyReply {}))
    }

    async fn revoke_key(&self, request: Request<RevokeKeyRequest>) -> Answer<RevokeKeyReply> {
        self.propose(KeyCommand::Revoke { id: admitted(request)?.id }).await?;
        Ok(Response::new(RevokeKeyReply {}))
    }
}
