//! The merchants' service: orders placed, asked for, closed, paid back.
//!
//! Must never: do for one merchant what another one's key asks for.

use std::sync::Arc;

use bytes::Bytes;
use ledger::{AccountId, OrderId};
use proto::pay::v1::merchants_server::Merchants;
use proto::pay::v1::{
    CloseOrderRequest, GetOrderRequest, GetRefundRequest, Order, PlaceOrderRequest, Refund, RefundOrderRequest,
    RegisterMerchantReply, RegisterMerchantRequest,
};
use tonic::{Request, Status};

use super::Door;
use super::convert::{self, Reply, packet_status, reply};
use super::convert_pay as words;
use crate::app::App;
use crate::failure::{DoorRefusal, Failure};
use crate::pay::orders::fen;

#[tonic::async_trait]
impl Merchants for Door {
    async fn register_merchant(&self, request: Request<RegisterMerchantRequest>) -> Reply<RegisterMerchantReply> {
        let app = self.app()?;
        app.sessions.check_program(convert::token(&request)).map_err(packet_status)?;
        reply(register(app, request.get_ref()).await)
    }

    async fn place_order(&self, request: Request<PlaceOrderRequest>) -> Reply<Order> {
        let (app, _) = self.let_merchant_in(&request, |request| &request.merchant)?;
        let place = words::place(request.get_ref()).map_err(packet_status)?;
        reply(app.orders.place(place).await.map(|found| words::found(&found)))
    }

    async fn get_order(&self, request: Request<GetOrderRequest>) -> Reply<Order> {
        let (app, merchant) = self.let_merchant_in(&request, |request| &request.merchant)?;
        let GetOrderRequest { order, number, .. } = request.get_ref();
        let order = words::order(merchant, order, number).map_err(packet_status)?;
        reply(app.orders.get(merchant, order).await.map(|found| words::found(&found)))
    }

    async fn close_order(&self, request: Request<CloseOrderRequest>) -> Reply<Order> {
        let (app, merchant) = self.let_merchant_in(&request, |request| &request.merchant)?;
        let CloseOrderRequest { order, number, .. } = request.get_ref();
        let order = words::order(merchant, order, number).map_err(packet_status)?;
        reply(app.orders.close(merchant, order).await.map(|found| words::found(&found)))
    }

    async fn refund_order(&self, request: Request<RefundOrderRequest>) -> Reply<Refund> {
        let (app, merchant) = self.let_merchant_in(&request, |request| &request.merchant)?;
        let RefundOrderRequest { order, number, refund, amount_fen, .. } = request.get_ref();
        let (order, refund) = both(merchant, order, number, refund).map_err(packet_status)?;
        let refunded = app.orders.refund(merchant, order, (refund, fen(*amount_fen))).await;
        reply(refunded.map(|refunded| words::refunded(order, refund, &refunded)))
    }

    async fn get_refund(&self, request: Request<GetRefundRequest>) -> Reply<Refund> {
        let (app, merchant) = self.let_merchant_in(&request, |request| &request.merchant)?;
        let GetRefundRequest { order, number, refund, .. } = request.get_ref();
        let (order, refund) = both(merchant, order, number, refund).map_err(packet_status)?;
        let refunded = app.orders.get_refund(merchant, order, refund).await;
        reply(refunded.map(|refunded| words::refunded(order, refund, &refunded)))
    }
}

/// An order and the number of a refund. Refuses: `BadId`, `BadField`.
fn both<'a>(merchant: AccountId, order: &Bytes, number: &str, refund: &'a str) -> Result<(OrderId, &'a str), Failure> {
    Ok((words::order(merchant, order, number)?, words::checked(refund)?))
}

async fn register(app: &App, request: &RegisterMerchantRequest) -> Result<RegisterMerchantReply, Failure> {
    let merchant = words::merchant(&request.merchant)?;
    app.orders.open_merchant(merchant).await?;
    if !request.notice_url.is_empty() {
        app.notices.post_to(merchant, &request.notice_url).await.map_err(|error| match error {
            queue_client::Error::Refused { .. } => DoorRefusal::BadField.into(),
            error => Failure::Unknown(error.to_string()),
        })?;
    }
    let (key, notice_key) = (app.sessions.merchant_key(merchant), app.sessions.notice_key(merchant));
    Ok(RegisterMerchantReply { key, notice_key })
}

impl Door {
    /// The roles, and which merchant asks. Refuses: `BadId`, `BadToken`.
    fn let_merchant_in<T>(
        &self,
        request: &Request<T>,
        who: impl Fn(&T) -> &Bytes,
    ) -> Result<(&Arc<App>, AccountId), Status> {
        let app = self.app()?;
        let merchant = words::merchant(who(request.get_ref())).map_err(packet_status)?;
        app.sessions.check_merchant(convert::token(request), merchant).map_err(packet_status)?;
        Ok((app, merchant))
    }
}
