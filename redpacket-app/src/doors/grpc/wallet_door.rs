//! The wallet's service: orders paid by phones, money brought in and taken out.
//!
//! Must never: let money leave a wallet without its payment password.

use bytes::Bytes;
use ledger::{Done, Money, OrderId, TransferId, Verb};
use packets::UserId;
use proto::pay::v1::wallet_server::Wallet;
use proto::pay::v1::{
    PayOrderReply, PayOrderRequest, SetPayPasswordReply, SetPayPasswordRequest, ShowOrderReply, ShowOrderRequest,
    TakeOutReply, TakeOutRequest, TopUpReply, TopUpRequest,
};
use tonic::{Request, Status};

use super::Door;
use super::convert::{self, Reply, enter, id, packet_status, reply};
use super::convert_pay as words;
use crate::access::admission::Class;
use crate::access::entrance::Turn;
use crate::app::App;
use crate::derived::derived;
use crate::failure::{Failure, unexpected};
use crate::limits::COMMAND_DEADLINE;
use crate::tenpay::accounts::wallet;

#[tonic::async_trait]
impl Wallet for Door {
    async fn set_pay_password(&self, request: Request<SetPayPasswordRequest>) -> Reply<SetPayPasswordReply> {
        let app = self.app()?;
        let (_place, user) = self.let_owner_in(&request, |request| &request.user).await?;
        let SetPayPasswordRequest { former, password, .. } = request.get_ref();
        reply(app.passwords.set(user, former, password).await.map(|()| SetPayPasswordReply {}))
    }

    async fn show_order(&self, request: Request<ShowOrderRequest>) -> Reply<ShowOrderReply> {
        let app = self.app()?;
        let (_place, user) = self.let_owner_in(&request, |request| &request.user).await?;
        reply(show(app, user, &request.get_ref().order).await)
    }

    async fn pay_order(&self, request: Request<PayOrderRequest>) -> Reply<PayOrderReply> {
        let app = self.app()?;
        let (_place, user) = self.let_owner_in(&request, |request| &request.user).await?;
        reply(pay(app, user, request.get_ref()).await)
    }

    async fn top_up(&self, request: Request<TopUpRequest>) -> Reply<TopUpReply> {
        let app = self.app()?;
        let (_place, user) = self.let_owner_in(&request, |request| &request.user).await?;
        reply(top_up(app, user, request.get_ref()).await)
    }

    async fn take_out(&self, request: Request<TakeOutRequest>) -> Reply<TakeOutReply> {
        let app = self.app()?;
        let (_place, user) = self.let_owner_in(&request, |request| &request.user).await?;
        reply(take_out(app, user, request.get_ref()).await)
    }
}

async fn show(app: &App, user: UserId, order: &Bytes) -> Result<ShowOrderReply, Failure> {
    let found = app.orders.find(OrderId(id(order)?)).await?;
    let has_password = app.passwords.is_set(user).await?;
    Ok(ShowOrderReply { order: Some(words::shown(&found, wallet(user))), has_password })
}

async fn pay(app: &App, user: UserId, request: &PayOrderRequest) -> Result<PayOrderReply, Failure> {
    let order = OrderId(id(&request.order)?);
    app.passwords.check(user, &request.password).await?;
    let progress = app.orders.pay(order, wallet(user)).await?;
    Ok(PayOrderReply { state: words::state(progress).into() })
}

async fn top_up(app: &App, user: UserId, request: &TopUpRequest) -> Result<TopUpReply, Failure> {
    app.check_funding(request.amount_fen)?;
    let fund = of_phone(user, &request.id, request.amount_fen)?;
    match app.accounts.booking.step(wallet(user), Verb::Fund(fund), COMMAND_DEADLINE).await? {
        Done::Booked(_) => Ok(TopUpReply {}),
        other => Err(unexpected(&other)),
    }
}

async fn take_out(app: &App, user: UserId, request: &TakeOutRequest) -> Result<TakeOutReply, Failure> {
    let withdraw = of_phone(user, &request.id, request.amount_fen)?;
    app.passwords.check(user, &request.password).await?;
    let spender = (wallet(user), request.amount_fen);
    match app.opening.pending.spend(&app.accounts, spender, Verb::Withdraw(withdraw)).await? {
        Done::Booked(_) => Ok(TakeOutReply {}),
        other => Err(unexpected(&other)),
    }
}

/// Money that enters or leaves a wallet, under the phone's number. It is the user's own: nobody else's can be in its way.
fn of_phone(user: UserId, number: &Bytes, fen: i64) -> Result<ledger::Wallet, Failure> {
    let number = id(number)?;
    let id = TransferId(derived(&[b"wallet", &user.0.to_be_bytes(), &number.to_be_bytes()]));
    Ok(ledger::Wallet { id, account: wallet(user), money: Money::cny(fen), memo: 0 })
}

impl Door {
    /// Lets a wallet's owner in: a place, and who it is.
    async fn let_owner_in<T: Sync>(
        &self,
        request: &Request<T>,
        who: impl Fn(&T) -> &Bytes + Send,
    ) -> Result<(Turn, UserId), Status> {
        let user = convert::user(who(request.get_ref())).map_err(packet_status)?;
        let place = enter(self.app()?, request, Class::Money, user).await.map_err(packet_status)?;
        Ok((place, user))
    }
}
