//! People and chats: known in every packet group, so that an open asks one group only.
//!
//! Must never: answer before all groups know; a repeat brings those up to date that missed it.

use std::sync::Arc;

use futures::future::try_join_all;
use packets::{ChatId, Command, Reply, UserId, read};

use crate::failure::{Failure, unexpected};
use crate::homes::Homes;
use crate::limits::COMMAND_DEADLINE;
use crate::tenpay::accounts::wallet;

/// Registers users and fills chats.
#[derive(Clone)]
pub(crate) struct People {
    pub(crate) homes: Arc<Homes>,
}

impl People {
    /// Makes a user known everywhere. Refuses: as [`Command::RegisterUser`].
    pub(crate) async fn register(&self, user: UserId, name: &str) -> Result<(), Failure> {
        let account = packets::AccountId(wallet(user).0);
        self.everywhere(&Command::RegisterUser { user, account, name: name.to_owned() }).await
    }

    /// Makes a chat everywhere. Refuses: as [`Command::CreateChat`].
    pub(crate) async fn create_chat(&self, chat: ChatId, owner: UserId, name: &str) -> Result<(), Failure> {
        self.everywhere(&Command::CreateChat { chat, owner, name: name.to_owned() }).await
    }

    /// Lets a user into a chat, everywhere; answers how many are in it. Refuses: as [`Command::JoinChat`].
    pub(crate) async fn join_chat(&self, chat: ChatId, user: UserId) -> Result<u32, Failure> {
        self.everywhere(&Command::JoinChat { chat, user }).await?;
        let Some(shard) = self.homes.packet_shards().next() else { return Ok(0) };
        let chat = shard.stale(|seen| read::chat(seen.rows, chat))??;
        Ok(chat.map_or(0, |chat| chat.members))
    }

    async fn everywhere(&self, command: &Command) -> Result<(), Failure> {
        let groups = self.homes.packet_shards().map(|shard| async move {
            match shard.command(command, COMMAND_DEADLINE).await?.reply {
                Reply::Done => Ok(()),
                Reply::Refused(refusal) => Err(Failure::from(refusal)),
                other => Err(unexpected(&other)),
            }
        });
        try_join_all(groups).await.map(|_| ())
    }
}
