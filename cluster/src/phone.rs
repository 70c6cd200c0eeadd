//! A phone: what a user of red packets asks of the app, each call repeated under the same ids until it is answered.
//!
//! Must never: make an id of its own. Who calls names users, chats and orders, so that a repeat is the same call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use proto::packet::v1::red_packet_client::RedPacketClient;
use proto::packet::v1::{
    BalanceReply, BalanceRequest, Claim, CreateChatRequest, GetPacketReply, GetPacketRequest, GrabReply, GrabRequest,
    JoinChatRequest, ListReceivedReply, ListReceivedRequest, OpenRequest, OrderReply, OrderRequest, PacketKind,
    RegisterUserRequest, SendPacketRequest,
};
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};

use crate::doors::{Doors, Miss, again, doors};
use crate::error::Error;
use crate::limits::CALL_MAX;

/// A name of 128 bits: user, chat, order, packet.
pub(crate) type Id = [u8; 16];

/// A packet as its sender offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The payment; the packet's id follows from it.
    pub(crate) order: Id,
    /// Who pays.
    pub(crate) sender: Id,
    /// For whom, and how divided.
    pub(crate) kind: PacketKind,
    /// The chat that shows it; none for a direct packet.
    pub(crate) chat: Option<Id>,
    /// Who may open a direct or an exclusive packet.
    pub(crate) recipients: Vec<Id>,
    /// Fen in it.
    pub(crate) total_fen: i64,
    /// Its shares.
    pub(crate) shares: u32,
    /// How long it can be opened; 0 = 24 hours.
    pub(crate) life_ms: u64,
}

/// A phone, used by one user after the other.
#[derive(Debug)]
pub(crate) struct Phone {
    doors: Doors,
    tokens: Arc<Mutex<BTreeMap<Id, MetadataValue<Ascii>>>>,
}

impl Phone {
    /// A phone that knows these app nodes. Errors: `NoApp`, an address is none.
    pub(crate) fn new(addresses: Vec<String>) -> Result<Self, Error> {
        Ok(Self { doors: doors(addresses, 0)?, tokens: Arc::default() })
    }

    /// Another phone of the same users, that begins with another node.
    pub(crate) fn beside(&self, first: usize) -> Result<Self, Error> {
        Ok(Self { doors: again(&self.doors, first)?, tokens: Arc::clone(&self.tokens) })
    }

    /// Registers a user with a funded wallet, and keeps the session's token.
    pub(crate) async fn register(&self, user: Id, name: &str, fund_fen: i64) -> Result<(), Miss> {
        let request = RegisterUserRequest { user: bytes(user), name: name.to_owned(), fund_fen };
        let registered = self.doors.call(CALL_MAX, |channel| {
            let request = request.clone();
            async move { RedPacketClient::new(channel).register_user(request).await }
        });
        let token = registered.await?.token;
        if let Ok(token) = MetadataValue::try_from(format!("Bearer {token}")) {
            self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(user, token);
        }
        Ok(())
    }

    /// Makes a chat.
    pub(crate) async fn create_chat(&self, chat: Id, name: &str, owner: Id) -> Result<(), Miss> {
        let request = CreateChatRequest { chat: bytes(chat), name: name.to_owned(), owner: bytes(owner) };
        let created = self.doors.call(CALL_MAX, |channel| {
            let request = self.signed(owner, request.clone());
            async move { RedPacketClient::new(channel).create_chat(request).await }
        });
        created.await.map(drop)
    }

    /// Joins a chat.
    pub(crate) async fn join_chat(&self, chat: Id, user: Id) -> Result<(), Miss> {
        let joined = self.doors.call(CALL_MAX, |channel| {
            let request = self.signed(user, JoinChatRequest { chat: bytes(chat), user: bytes(user) });
            async move { RedPacketClient::new(channel).join_chat(request).await }
        });
        joined.await.map(drop)
    }

    /// Pays for a packet and sends it; says its id.
    pub(crate) async fn send(&self, offer: &Offer) -> Result<Id, Miss> {
        let request = SendPacketRequest {
            order: bytes(offer.order),
            sender: bytes(offer.sender),
            kind: offer.kind.into(),
            chat: offer.chat.map(bytes).unwrap_or_default(),
            recipients: offer.recipients.iter().copied().map(bytes).collect(),
            total_fen: offer.total_fen,
            shares: offer.shares,
            greeting: "Good luck in the new year".to_owned(),
            life_ms: offer.life_ms,
            ..SendPacketRequest::default()
        };
        let sent = self.doors.call(CALL_MAX, |channel| {
            let request = self.signed(offer.sender, request.clone());
            async move { RedPacketClient::new(channel).send_packet(request).await }
        });
        id(&sent.await?.packet)
    }

    /// Asks whether a share is left.
    pub(crate) async fn grab(&self, user: Id, packet: Id) -> Result<GrabReply, Miss> {
        let grabbed = self.doors.call(CALL_MAX, |channel| {
            let request = self.signed(user, GrabRequest { user: bytes(user), packet: bytes(packet) });
            async move { RedPacketClient::new(channel).grab(request).await }
        });
        grabbed.await
    }

    /// Takes a share.
    pub(crate) async fn open(&self, user: Id, packet: Id) -> Result<Claim, Miss> {
        let opened = self.doors.call(CALL_MAX, |channel| {
            let request = OpenRequest { user: bytes(user), packet: bytes(packet), password: String::new() };
            let request = self.signed(user, request);
            async move { RedPacketClient::new(channel).open(request).await }
        });
        opened.await?.claim.ok_or_else(|| Miss::Unknown { reason: "an open without a claim".to_owned() })
    }

    /// Shows a packet and its claims.
    pub(crate) async fn packet(&self, user: Id, packet: Id) -> Result<GetPacketReply, Miss> {
        let shown = self.doors.call(CALL_MAX, |channel| {
            let request = self.signed(user, GetPacketRequest { user: bytes(user), packet: bytes(packet) });
            async move { RedPacketClient::new(channel).get_packet(request).await }
        });
        shown.await
    }

    /// The newest shares that a user has received.
    pub(crate) async fn received(&self, user: Id) -> Result<ListReceivedReply, Miss> {
        let listed = self.doors.call(CALL_MAX, |channel| {
            let request = ListReceivedRequest { user: bytes(user), ..ListReceivedRequest::default() };
            let request = self.signed(user, request);
            async move { RedPacketClient::new(channel).list_received(request).await }
        });
        listed.await
    }

    /// What a user can spend, and what is on its way.
    pub(crate) async fn balance(&self, user: Id) -> Result<BalanceReply, Miss> {
        let balance = self.doors.call(CALL_MAX, |channel| {
            let request = self.signed(user, BalanceRequest { user: bytes(user) });
            async move { RedPacketClient::new(channel).balance(request).await }
        });
        balance.await
    }

    /// What became of a payment.
    pub(crate) async fn order(&self, order: Id, sender: Id) -> Result<OrderReply, Miss> {
        let shown = self.doors.call(CALL_MAX, |channel| {
            let request = self.signed(sender, OrderRequest { order: bytes(order), sender: bytes(sender) });
            async move { RedPacketClient::new(channel).order(request).await }
        });
        shown.await
    }

    /// A request in a user's session.
    fn signed<T>(&self, user: Id, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&user) {
            request.metadata_mut().insert("authorization", token.clone());
        }
        request
    }
}

/// An id as it travels. The type is that of the contract's byte fields.
pub(crate) fn bytes<B: From<Vec<u8>>>(id: Id) -> B {
    B::from(id.to_vec())
}

/// An id that came back. Errors: `Unknown`, it has another length.
pub(crate) fn id(bytes: &[u8]) -> Result<Id, Miss> {
    bytes.try_into().map_err(|_| Miss::Unknown { reason: format!("an id of {} bytes", bytes.len()) })
}
