//! The wallet's part of the phone's API: orders paid, money brought in and taken out.
//!
//! Must never: take a road of its own. Form, sessions and admission are those of the gRPC door.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use proto::pay::v1::wallet_server::Wallet as _;
use proto::pay::v1::{
    MoneyState, Order, OrderState, PayOrderRequest, SetPayPasswordRequest, ShowOrderRequest, TakeOutRequest,
    TopUpRequest,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::with_token;
use super::convert_json::{Failed, digits, id};
use super::form::{Asking, Body};
use crate::doors::grpc::Door;

type Answer = Result<Json<Value>, Failed>;

/// Who asks for which order.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AskedOrder {
    user: String,
    order: String,
}

/// Something the owner of a wallet does.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Spending {
    user: String,
    order: String,
    id: String,
    amount_fen: i64,
    former: String,
    password: String,
}

fn order(order: &Order) -> Value {
    let state = match order.state() {
        OrderState::Open => "open",
        OrderState::Closed => "closed",
        OrderState::Paid => "paid",
        OrderState::Unspecified => "",
    };
    json!({
        "order": digits(&order.order), "merchant": digits(&order.merchant), "number": order.number,
        "amount_fen": order.amount_fen, "subject": order.subject, "state": state, "ends_ms": order.ends_ms,
        "paid_ms": order.paid_ms, "refunded_fen": order.refunded_fen, "is_mine": !order.payer.is_empty(),
    })
}

pub(super) async fn show(State(door): State<Door>, headers: HeaderMap, Asking(asked): Asking<AskedOrder>) -> Answer {
    let request = ShowOrderRequest { user: id(&asked.user), order: id(&asked.order) };
    let reply = door.show_order(with_token(&headers, request)).await?.into_inner();
    Ok(Json(json!({ "order": reply.order.as_ref().map(order), "has_password": reply.has_password })))
}

pub(super) async fn pay(State(door): State<Door>, headers: HeaderMap, Body(spent): Body<Spending>) -> Answer {
    let request = PayOrderRequest { user: id(&spent.user), order: id(&spent.order), password: spent.password };
    let reply = door.pay_order(with_token(&headers, request)).await?.into_inner();
    Ok(Json(json!({ "is_arrived": reply.state() == MoneyState::Arrived })))
}

pub(super) async fn set_password(State(door): State<Door>, headers: HeaderMap, Body(set): Body<Spending>) -> Answer {
    let request = SetPayPasswordRequest { user: id(&set.user), former: set.former, password: set.password };
    door.set_pay_password(with_token(&headers, request)).await?;
    Ok(Json(json!({})))
}

pub(super) async fn top_up(State(door): State<Door>, headers: HeaderMap, Body(added): Body<Spending>) -> Answer {
    let request = TopUpRequest { user: id(&added.user), id: id(&added.id), amount_fen: added.amount_fen };
    door.top_up(with_token(&headers, request)).await?;
    Ok(Json(json!({})))
}

pub(super) async fn take_out(State(door): State<Door>, headers: HeaderMap, Body(taken): Body<Spending>) -> Answer {
    let (user, number) = (id(&taken.user), id(&taken.id));
    let request = TakeOutRequest { user, id: number, amount_fen: taken.amount_fen, password: taken.password };
    door.take_out(with_token(&headers, request)).await?;
    Ok(Json(json!({})))
}
