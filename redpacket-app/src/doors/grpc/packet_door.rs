//! The red-packet service: what a phone asks for.
//!
//! Must never: do more than check the form, let the caller in, call a role, and translate.

use std::time::Duration;

use packets::{ChatId, OrderId, UserId};
use proto::packet::v1::red_packet_server::RedPacket;
use proto::packet::v1::{
    BalanceReply, BalanceRequest, BillReply, BillRequest, CreateChatReply, CreateChatRequest, GetPacketReply,
    GetPacketRequest, GrabReply, GrabRequest, JoinChatReply, JoinChatRequest, ListChatReply, ListChatRequest,
    ListReceivedReply, ListReceivedRequest, ListSentReply, ListSentRequest, OpenReply, OpenRequest, OrderReply,
    OrderRequest, RegisterUserReply, RegisterUserRequest, SendPacketReply, SendPacketRequest,
};
use proto::traces;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::Door;
use super::convert::{self, Reply, enter, id, packet_status, reply, wire_cursor, wire_id};
use super::convert_packet as words;
use crate::access::admission::Class;
use crate::access::entrance::Turn;
use crate::failure::DoorRefusal;
use crate::packet::open::{Asked, Grabbed};
use crate::packet::{lists, show};
use crate::pay::order;
use crate::tenpay::accounts::wallet;

#[tonic::async_trait]
impl RedPacket for Door {
    async fn register_user(&self, request: Request<RegisterUserRequest>) -> Reply<RegisterUserReply> {
        let app = self.app()?;
        let RegisterUserRequest { user, name, fund_fen } = request.into_inner();
        let user = convert::user(&user).map_err(packet_status)?;
        let _place = app.entrance.enter(Class::List, user).await.map_err(packet_status)?;
        let token = app.register(user, &name, fund_fen).await.map_err(packet_status)?;
        Ok(Response::new(RegisterUserReply { account: wire_id(wallet(user).0), token }))
    }

    async fn create_chat(&self, request: Request<CreateChatRequest>) -> Reply<CreateChatReply> {
        let app = self.app()?;
        let (_place, owner) = self.let_in(&request, |request| &request.owner, Class::List).await?;
        let CreateChatRequest { chat, name, .. } = request.into_inner();
        let chat = ChatId(id(&chat).map_err(packet_status)?);
        reply(app.people.create_chat(chat, owner, &name).await.map(|()| CreateChatReply {}))
    }

    async fn join_chat(&self, request: Request<JoinChatRequest>) -> Reply<JoinChatReply> {
        let app = self.app()?;
        let (_place, user) = self.let_in(&request, |request| &request.user, Class::List).await?;
        let chat = ChatId(id(&request.get_ref().chat).map_err(packet_status)?);
        reply(app.people.join_chat(chat, user).await.map(|members| JoinChatReply { members }))
    }

    async fn send_packet(&self, request: Request<SendPacketRequest>) -> Reply<SendPacketReply> {
        let app = self.app()?;
        let (turn, _) = self.let_in(&request, |request| &request.sender, Class::Open).await?;
        let mut request = request.into_inner();
        let password = std::mem::take(&mut request.pay_password);
        let terms = words::terms(request).map_err(packet_status)?;
        let span = traces::child("pay.send", traces::Kind::Within);
        reply(span.around(app.send(terms, &password, turn.level)).await.map(|paid| SendPacketReply {
            packet: wire_id(paid.packet.bits()),
            state: words::paid_state(paid.expires.is_some()).into(),
            expires_ms: paid.expires.map_or(0, |expires| expires.0),
        }))
    }

    async fn grab(&self, request: Request<GrabRequest>) -> Reply<GrabReply> {
        let app = self.app()?;
        let (turn, user) = self.let_in(&request, |request| &request.user, Class::Grab).await?;
        let packet = convert::packet(&request.get_ref().packet).map_err(packet_status)?;
        let span = traces::child("packet.grab", traces::Kind::Within);
        reply(span.around(app.opening.grab(packet, user, turn.level)).await.map(|answer| match answer {
            Grabbed::Left { shares, needs_password } => {
                GrabReply { shares_left: u32::from(shares), claim: None, has_password: needs_password }
            }
            Grabbed::Claimed(credit) => GrabReply { claim: Some(words::claimed(&credit)), ..GrabReply::default() },
        }))
    }

    async fn open(&self, request: Request<OpenRequest>) -> Reply<OpenReply> {
        let app = self.app()?;
        let (turn, user) = self.let_in(&request, |request| &request.user, Class::Open).await?;
        let OpenRequest { packet, password, .. } = request.into_inner();
        let packet = convert::packet(&packet).map_err(packet_status)?;
        if !password.is_empty() && app.guesses.is_locked(&user, Instant::now()) {
            return Err(packet_status(DoorRefusal::LockedOut));
        }
        let asked = Asked { packet, user, level: turn.level };
        let span = traces::child("packet.open", traces::Kind::Within);
        let opened = span.around(app.opening.open(asked, words::password(&password))).await;
        match &opened {
            _ if password.is_empty() => {}
            Ok(_) => app.guesses.right(&user),
            Err(failure) if *failure == packets::Refusal::WrongPassword.into() => {
                app.guesses.wrong(user, Instant::now());
            }
            Err(_) => {}
        }
        reply(opened.map(|opened| OpenReply { claim: Some(words::opened(&opened)) }))
    }

    async fn get_packet(&self, request: Request<GetPacketRequest>) -> Reply<GetPacketReply> {
        let app = self.app()?;
        // It tells of a credit too: it is shed only with the grabs.
        let (_place, user) = self.let_in(&request, |request| &request.user, Class::Grab).await?;
        let packet = convert::packet(&request.get_ref().packet).map_err(packet_status)?;
        reply(show::show(&app.homes, packet, user).await.map(|shown| words::shown(&shown)))
    }

    async fn list_sent(&self, request: Request<ListSentRequest>) -> Reply<ListSentReply> {
        let app = self.app()?;
        let (_place, user) = self.let_in(&request, |request| &request.user, Class::List).await?;
        let ListSentRequest { cursor, limit, .. } = request.into_inner();
        let asked = convert::page(&cursor, limit).map_err(packet_status)?;
        let page = lists::sent(&app.homes, user, asked).map_err(packet_status)?;
        let years = if cursor.is_empty() { lists::years(&app.homes, user) } else { Ok(Vec::new()) };
        let years = words::years(&years.map_err(packet_status)?, true);
        let packets = page.items.iter().map(|(at, (item, name))| words::item(at.packet, item, name)).collect();
        Ok(Response::new(ListSentReply { packets, next: wire_cursor(page.next), years }))
    }

    async fn list_received(&self, request: Request<ListReceivedRequest>) -> Reply<ListReceivedReply> {
        let app = self.app()?;
        let (_place, user) = self.let_in(&request, |request| &request.user, Class::List).await?;
        let ListReceivedRequest { cursor, limit, .. } = request.into_inner();
        let asked = convert::page(&cursor, limit).map_err(packet_status)?;
        let page = lists::received(&app.homes, user, asked).map_err(packet_status)?;
        let years = if cursor.is_empty() { lists::years(&app.homes, user) } else { Ok(Vec::new()) };
        let years = words::years(&years.map_err(packet_status)?, false);
        let received = page.items.iter().map(|(at, (item, name))| words::received(at.packet, item, name)).collect();
        Ok(Response::new(ListReceivedReply { received, next: wire_cursor(page.next), years }))
    }

    async fn list_chat(&self, request: Request<ListChatRequest>) -> Reply<ListChatReply> {
        let app = self.app()?;
        let (_place, user) = self.let_in(&request, |request| &request.user, Class::List).await?;
        let ListChatRequest { chat, cursor, limit, .. } = request.into_inner();
        let chat = ChatId(id(&chat).map_err(packet_status)?);
        let asked = convert::page(&cursor, limit).map_err(packet_status)?;
        let page = lists::of_chat(&app.homes, chat, user, asked).await.map_err(packet_status)?;
        let packets = page.items.iter().map(|(at, (item, name))| words::item(at.packet, item, name)).collect();
        Ok(Response::new(ListChatReply { packets, next: wire_cursor(page.next) }))
    }

    async fn balance(&self, request: Request<BalanceRequest>) -> Reply<BalanceReply> {
        let app = self.app()?;
        let (_place, user) = self.let_in(&request, |request| &request.user, Class::Money).await?;
        let standing = app.accounts.standing(wallet(user)).await;
        reply(standing.map(|standing| BalanceReply {
            balance_fen: standing.balance.booked,
            held_fen: standing.balance.held,
            pending_fen: standing.balance.pending,
            pending_credits: standing.balance.pending_credits,
        }))
    }

    async fn bill(&self, request: Request<BillRequest>) -> Reply<BillReply> {
        let app = self.app()?;
        let (_place, user) = self.let_in(&request, |request| &request.user, Class::Money).await?;
        let BillRequest { cursor, limit, .. } = request.into_inner();
        let limit = convert::limit(limit, packets::limits::PAGE_ITEMS_MAX).map_err(packet_status)?;
        let cursor = (cursor > 0).then_some(ledger::JournalNumber(cursor));
        let query = ledger::BillQuery { cursor, limit, ..ledger::BillQuery::default() };
        reply(app.accounts.bill(wallet(user), &query, Duration::ZERO).await.map(|page| words::bill(&page)))
    }

    async fn order(&self, request: Request<OrderRequest>) -> Reply<OrderReply> {
        let app = self.app()?;
        let (_place, sender) = self.let_in(&request, |request| &request.sender, Class::Money).await?;
        let order = OrderId(id(&request.get_ref().order).map_err(packet_status)?);
        reply(order::look_up(&app.homes, order, sender).await.map(|standing| words::order(&standing)))
    }
}

impl Door {
    /// Lets a phone in: a place, and who it is.
    async fn let_in<T: Sync>(
        &self,
        request: &Request<T>,
        who: impl Fn(&T) -> &bytes::Bytes + Send,
        class: Class,
    ) -> Result<(Turn, UserId), Status> {
        let user = convert::user(who(request.get_ref())).map_err(packet_status)?;
        let place = enter(self.app()?, request, class, user).await.map_err(packet_status)?;
        Ok((place, user))
    }
}
