//! The API of the phone page: each call is the call of the same name of the red-packet service.
//!
//! Must never: take a road of its own. Form, sessions and admission are those of the gRPC door.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use proto::packet::v1::red_packet_server::RedPacket as _;
use proto::packet::v1::{
    BalanceRequest, BillRequest, CreateChatRequest, GetPacketRequest, GrabRequest, JoinChatRequest, ListChatRequest,
    ListReceivedRequest, ListSentRequest, OpenRequest, OrderRequest, OrderState, RegisterUserRequest,
    SendPacketRequest,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tonic::Request;
use tonic::metadata::MetadataValue;

use super::convert_json::{self as words, Failed, bytes_of, digits, id};
use super::form::{Asking, Body};
use crate::access::admission::Class;
use crate::doors::grpc::{Door, convert, convert_packet};
use crate::packet::lists;

type Answer = Result<Json<Value>, Failed>;

/// Who asks, for what, from where on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) user: String,
    chat: String,
    packet: String,
    order: String,
    cursor: String,
    limit: u32,
}

/// Something a user does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Deed {
    user: String,
    name: String,
    fund_fen: i64,
    chat: String,
    packet: String,
    password: String,
}

/// A packet to be sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NewPacket {
    user: String,
    order: String,
    kind: String,
    chat: String,
    recipients: Vec<String>,
    total_fen: i64,
    shares: u32,
    greeting: String,
    cover: String,
    password: String,
    life_ms: u64,
    pay_password: String,
}

/// The request with the phone's token.
pub(super) fn with_token<T>(headers: &HeaderMap, body: T) -> Request<T> {
    let mut request = Request::new(body);
    let token = headers.get("authorization").and_then(|token| token.to_str().ok());
    if let Some(token) = token.and_then(|token| MetadataValue::try_from(token).ok()) {
        request.metadata_mut().insert("authorization", token);
    }
    request
}

pub(super) async fn register(State(door): State<Door>, Body(deed): Body<Deed>) -> Answer {
    let request = RegisterUserRequest { user: id(&deed.user), name: deed.name, fund_fen: deed.fund_fen };
    let reply = door.register_user(Request::new(request)).await?.into_inner();
    Ok(Json(json!({ "account": digits(&reply.account), "token": reply.token })))
}

pub(super) async fn balance(State(door): State<Door>, headers: HeaderMap, Asking(asked): Asking<Asked>) -> Answer {
    let request = BalanceRequest { user: id(&asked.user) };
    let reply = door.balance(with_token(&headers, request)).await?.into_inner();
    Ok(Json(json!({
        "balance_fen": reply.balance_fen, "held_fen": reply.held_fen, "pending_fen": reply.pending_fen,
        "pending_credits": reply.pending_credits,
    })))
}

pub(super) async fn bill(State(door): State<Door>, headers: HeaderMap, Asking(asked): Asking<Asked>) -> Answer {
    let cursor = asked.cursor.parse().unwrap_or_default();
    let request = BillRequest { user: id(&asked.user), cursor, limit: asked.limit };
    let reply = door.bill(with_token(&headers, request)).await?.into_inner();
    Ok(Json(words::bill(&reply)))
}

pub(super) async fn create_chat(State(door): State<Door>, headers: HeaderMap, Body(deed): Body<Deed>) -> Answer {
    let request = CreateChatRequest { chat: id(&deed.chat), name: deed.name, owner: id(&deed.user) };
    door.create_chat(with_token(&headers, request)).await?;
    Ok(Json(json!({})))
}

pub(super) async fn join_chat(State(door): State<Door>, headers: HeaderMap, Body(deed): Body<Deed>) -> Answer {
    let request = JoinChatRequest { chat: id(&deed.chat), user: id(&deed.user) };
    let reply = door.join_chat(with_token(&headers, request)).await?.into_inner();
    Ok(Json(json!({ "members": reply.members })))
}

pub(super) async fn send(State(door): State<Door>, headers: HeaderMap, Body(new): Body<NewPacket>) -> Answer {
    let request = SendPacketRequest {
        order: id(&new.order),
        sender: id(&new.user),
        kind: words::kind(&new.kind).into(),
        chat: id(&new.chat),
        recipients: new.recipients.iter().map(|user| id(user)).collect(),
        total_fen: new.total_fen,
        shares: new.shares,
        greeting: new.greeting,
        cover: new.cover,
        password: new.password,
        life_ms: new.life_ms,
        pay_password: new.pay_password,
    };
    let reply = door.send_packet(with_token(&headers, request)).await?.into_inner();
    let is_sent = reply.state() == OrderState::Sent;
    Ok(Json(json!({ "packet": digits(&reply.packet), "is_sent": is_sent, "expires_ms": reply.expires_ms })))
}

pub(super) async fn order(State(door): State<Door>, headers: HeaderMap, Asking(asked): Asking<Asked>) -> Answer {
    let request = OrderRequest { order: id(&asked.order), sender: id(&asked.user) };
    let reply = door.order(with_token(&headers, request)).await?.into_inner();
    Ok(Json(words::order(&reply)))
}

pub(super) async fn grab(State(door): State<Door>, headers: HeaderMap, Body(deed): Body<Deed>) -> Answer {
    let request = GrabRequest { user: id(&deed.user), packet: id(&deed.packet) };
    let reply = door.grab(with_token(&headers, request)).await?.into_inner();
    Ok(Json(words::grabbed(&reply)))
}

pub(super) async fn open(State(door): State<Door>, headers: HeaderMap, Body(deed): Body<Deed>) -> Answer {
    let request = OpenRequest { user: id(&deed.user), packet: id(&deed.packet), password: deed.password };
    let reply = door.open(with_token(&headers, request)).await?.into_inner();
    Ok(Json(json!({ "claim": reply.claim.as_ref().map(words::claim) })))
}

pub(super) async fn packet(State(door): State<Door>, headers: HeaderMap, Asking(asked): Asking<Asked>) -> Answer {
    let request = GetPacketRequest { user: id(&asked.user), packet: id(&asked.packet) };
    let reply = door.get_packet(with_token(&headers, request)).await?.into_inner();
    Ok(Json(words::shown(&reply)))
}

pub(super) async fn shown(State(door): State<Door>, headers: HeaderMap, Asking(asked): Asking<Asked>) -> Answer {
    let request = ListChatRequest {
        user: id(&asked.user),
        chat: id(&asked.chat),
        cursor: bytes_of(&asked.cursor),
        limit: asked.limit,
    };
    let reply = door.list_chat(with_token(&headers, request)).await?.into_inner();
    let packets: Vec<Value> = reply.packets.iter().map(words::packet).collect();
    Ok(Json(json!({ "packets": packets, "next": digits(&reply.next) })))
}

pub(super) async fn sent(State(door): State<Door>, headers: HeaderMap, Asking(asked): Asking<Asked>) -> Answer {
    let request = ListSentRequest { user: id(&asked.user), cursor: bytes_of(&asked.cursor), limit: asked.limit };
    let reply = door.list_sent(with_token(&headers, request)).await?.into_inner();
    let packets: Vec<Value> = reply.packets.iter().map(words::packet).collect();
    let years: Vec<Value> = reply.years.iter().map(words::year).collect();
    Ok(Json(json!({ "packets": packets, "next": digits(&reply.next), "years": years })))
}

pub(super) async fn received(State(door): State<Door>, headers: HeaderMap, Asking(asked): Asking<Asked>) -> Answer {
    let request = ListReceivedRequest { user: id(&asked.user), cursor: bytes_of(&asked.cursor), limit: asked.limit };
    let reply = door.list_received(with_token(&headers, request)).await?.into_inner();
    let received: Vec<Value> = reply.received.iter().map(words::received).collect();
    let years: Vec<Value> = reply.years.iter().map(words::year).collect();
    Ok(Json(json!({ "received": received, "next": digits(&reply.next), "years": years })))
}

/// Direct packets for the user; the phone alone asks for them.
pub(super) async fn offered(State(door): State<Door>, headers: HeaderMap, Asking(asked): Asking<Asked>) -> Answer {
    let (app, failed) = (door.app()?, convert::packet_status);
    let user = convert::user(&id(&asked.user)).map_err(failed)?;
    let request = with_token(&headers, ());
    let _place = convert::enter(app, &request, Class::List, user).await.map_err(failed)?;
    let page = convert::page(&bytes_of(&asked.cursor), asked.limit).map_err(failed)?;
    let page = lists::offered(&app.homes, user, page).map_err(failed)?;
    let packets = page.items.iter().map(|(at, (item, name))| convert_packet::item(at.packet, item, name));
    let packets: Vec<Value> = packets.map(|packet| words::packet(&packet)).collect();
    Ok(Json(json!({ "packets": packets, "next": digits(&convert::wire_cursor(page.next)) })))
}

/// Chats of the user; the phone alone asks for them.
pub(super) async fn chats(State(door): State<Door>, headers: HeaderMap, Asking(asked): Asking<Asked>) -> Answer {
    let (app, failed) = (door.app()?, convert::packet_status);
    let user = convert::user(&id(&asked.user)).map_err(failed)?;
    let request = with_token(&headers, ());
    let _place = convert::enter(app, &request, Class::List, user).await.map_err(failed)?;
    let chats = lists::chats(&app.homes, user).map_err(failed)?;
    Ok(Json(json!({ "chats": chats.iter().map(words::chat).collect::<Vec<_>>() })))
}

/// Members of a chat of the user; the phone alone asks for them.
pub(super) async fn members(State(door): State<Door>, headers: HeaderMap, Asking(asked): Asking<Asked>) -> Answer {
    let (app, failed) = (door.app()?, convert::packet_status);
    let user = convert::user(&id(&asked.user)).map_err(failed)?;
    let chat = convert::chat(&id(&asked.chat)).map_err(failed)?;
    let request = with_token(&headers, ());
    let _place = convert::enter(app, &request, Class::List, user).await.map_err(failed)?;
    let after = if asked.cursor.is_empty() { None } else { Some(convert::user(&id(&asked.cursor)).map_err(failed)?) };
    let members = lists::members(&app.homes, chat, user, after).map_err(failed)?;
    let is_more = members.len() == packets::limits::PAGE_ITEMS_MAX;
    let next = members.last().filter(|_| is_more).map_or_else(String::new, |(user, _)| words::number(user.0));
    let members: Vec<Value> =
        members.iter().map(|(user, name)| json!({ "user": words::number(user.0), "name": name })).collect();
    Ok(Json(json!({ "members": members, "next": next })))
}
