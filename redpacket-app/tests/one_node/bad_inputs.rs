//! Bad input, one table a door: each is refused by its number, and nothing was changed by it.

use proto::admin::v1::AuditRequest;
use proto::admin::v1::admin_client::AdminClient;
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::ledger::v1::{CloseAccountRequest, GetAccountRequest, TransferRequest};
use proto::outcome::{Outcome, outcome_of};
use proto::packet::v1::red_packet_client::RedPacketClient;
use proto::packet::v1::{
    BalanceRequest, CreateChatRequest, GrabRequest, JoinChatRequest, OpenRequest, OrderRequest, OrderState, PacketKind,
    RegisterUserRequest, SendPacketRequest,
};
use proto::pay::v1::merchants_client::MerchantsClient;
use proto::pay::v1::wallet_client::WalletClient;
use proto::pay::v1::{
    CloseOrderRequest, PayOrderRequest, PlaceOrderRequest, RefundOrderRequest, RegisterMerchantRequest,
    SetPayPasswordRequest, TakeOutRequest,
};
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::http_door;
use crate::node::{Node, id, start};

const CHAT: u128 = 9;
const SENDER: u128 = 1;
const TAKER: u128 = 2;
const STRANGER: u128 = 3;
/// Somebody whose account is closed.
const GONE: u128 = 4;
/// Packets: half taken, over, for somebody else, and with a password.
const HALF: u128 = 0x500;
const OVER: u128 = 0x600;
const FOREIGN: u128 = 0x700;
const SECRET: u128 = 0x800;
/// What all of them hold together.
const SENT_FEN: i64 = 400;

fn packet(order: u128) -> SendPacketRequest {
    SendPacketRequest {
        order: id(order),
        sender: id(SENDER),
        kind: PacketKind::GroupLucky.into(),
        chat: id(CHAT),
        total_fen: 100,
        shares: 2,
        ..SendPacketRequest::default()
    }
}

/// A town with packets of every kind of trouble; answers the token of the sender, and what the taker has.
async fn town(channel: &Channel) -> (String, i64) {
    let mut phone = RedPacketClient::new(channel.clone());
    let mut token = String::new();
    for (user, fund_fen) in [(GONE, 0), (STRANGER, 0), (TAKER, 0), (SENDER, 10_000)] {
        let request = RegisterUserRequest { user: id(user), name: format!("user {user}"), fund_fen };
        token = phone.register_user(request).await.expect("registered").into_inner().token;
    }
    let chat = CreateChatRequest { chat: id(CHAT), name: "chat".to_owned(), owner: id(SENDER) };
    phone.create_chat(chat).await.expect("made");
    for user in [TAKER, GONE] {
        phone.join_chat(JoinChatRequest { chat: id(CHAT), user: id(user) }).await.expect("joined");
    }
    let foreign = SendPacketRequest {
        kind: PacketKind::Direct.into(),
        chat: bytes::Bytes::new(),
        recipients: vec![id(STRANGER)],
        shares: 1,
        ..packet(FOREIGN)
    };
    let secret = SendPacketRequest { password: "year".to_owned(), ..packet(SECRET) };
    for sent in [packet(HALF), SendPacketRequest { life_ms: 1, ..packet(OVER) }, foreign, secret] {
        phone.send_packet(sent).await.expect("sent");
    }
    let open = OpenRequest { user: id(TAKER), packet: id(HALF), password: String::new() };
    let taken = phone.open(open).await.expect("opened").into_inner().claim.expect("a share").fen;
    let close = CloseAccountRequest { account: id(GONE) };
    LedgerClient::new(channel.clone()).close_account(close).await.expect("closed");
    (token, taken)
}

/// Every fen is where it was, but for what went back of the packet that is over.
async fn nothing_changed(channel: &Channel, taken: i64) {
    let mut phone = RedPacketClient::new(channel.clone());
    for (user, least, most) in [(SENDER, 10_000 - SENT_FEN, 10_100 - SENT_FEN), (TAKER, taken, taken), (STRANGER, 0, 0)]
    {
        let seen = phone.balance(BalanceRequest { user: id(user) }).await.expect("a wallet").into_inner().balance_fen;
        assert!((least..=most).contains(&seen), "user {user} has {seen}");
    }
    let audit = AdminClient::new(channel.clone()).audit(AuditRequest {}).await.expect("audited").into_inner();
    assert!(audit.ok, "{:?}", audit.items);
    assert_eq!(audit.packets, 4, "no packet came into being");
}

fn refused<T>(answer: Result<T, Status>, number: u16, what: &str) {
    let Err(status) = answer else { panic!("{what} is done") };
    assert_eq!(outcome_of(&status), Outcome::Refused { number }, "{what}: {status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_http_door_refuses_bad_input_in_words_and_changes_nothing() {
    let (node, channel) = start(&["--open-registration"]).await;
    let (token, taken) = town(&channel).await;
    let user = http_door::id;
    let deed = |who: u128, packet: u128, password: &str| json!({ "user": user(who), "packet": user(packet), "password": password });
    let send = |order: u128, change: Value| {
        let mut body = json!({ "user": user(SENDER), "order": user(order), "kind": "lucky", "chat": user(CHAT), "total_fen": 100, "shares": 2 });
        for (name, value) in change.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        body
    };
    let giant = json!({ "user": user(TAKER), "greeting": "long".repeat(50_000) });
    let table: [(&str, &str, Value, u16, u64); 14] = [
        ("a foreign packet", "/api/grab", deed(TAKER, FOREIGN, ""), 403, 18),
        ("a foreign packet", "/api/open", deed(TAKER, FOREIGN, ""), 403, 18),
        ("a packet that is over", "/api/open", deed(TAKER, OVER, ""), 409, 21),
        ("a wrong password", "/api/open", deed(TAKER, SECRET, "guess"), 403, 19),
        ("no password", "/api/open", deed(TAKER, SECRET, ""), 403, 19),
        ("no packet", "/api/open", deed(TAKER, 0xabc00, ""), 404, 1),
        ("a closed account", "/api/send", send(0x900, json!({ "user": user(GONE) })), 409, 21_024),
        ("a replayed order", "/api/send", send(HALF, json!({ "total_fen": 101 })), 409, 21_004),
        ("a share of no fen", "/api/send", send(0x900, json!({ "total_fen": 1 })), 400, 9),
        ("a share of too much", "/api/send", send(0x900, json!({ "total_fen": 40_001 })), 400, 10),
        ("too many shares", "/api/send", send(0x900, json!({ "shares": 101 })), 400, 8),
        ("no kind of packet", "/api/send", send(0x900, json!({ "kind": "loud" })), 400, 20_003),
        ("another form", "/api/open", json!([1]), 400, 20_020),
        ("a giant", "/api/send", giant, 413, 20_021),
    ];
    for (what, path, body, status, refusal) in table {
        let answer = node.post(path, &body, None);
        assert_eq!(answer.refusal(), (status, refusal), "{what}: {answer:?}");
        assert_eq!(answer.body["outcome"], "refused", "{what}");
    }
    assert_eq!(node.ask("POST", "/api/send", "{\"user\":", &[]).refusal(), (400, 20_020), "broken JSON");
    for forged in ["forged", &token[1..], token.as_str()] {
        let answer = node.post("/api/open", &deed(TAKER, HALF, ""), Some(forged));
        assert_eq!(answer.refusal(), (401, 20_004), "a forged token, or another user's");
    }
    let again = node.post("/api/open", &deed(TAKER, HALF, ""), None);
    assert_eq!(again.body["claim"]["fen"].as_i64(), Some(taken), "a second grab gets the share of the first");
    nothing_changed(&channel, taken).await;
}

#[tokio::test]
async fn the_packet_door_refuses_bad_input_by_number_and_changes_nothing() {
    let (_node, channel) = start(&["--open-registration"]).await;
    let (token, taken) = town(&channel).await;
    let mut phone = RedPacketClient::new(channel.clone());
    let table = [
        ("a foreign packet", TAKER, FOREIGN, "", 18),
        ("a packet that is over", TAKER, OVER, "", 21),
        ("a wrong password", TAKER, SECRET, "guess", 19),
        ("a chat of others", STRANGER, HALF, "", 18),
        ("nobody", 77, HALF, "", 14),
        ("no packet", TAKER, 0xabc00, "", 1),
    ];
    for (what, user, packet, password, number) in table {
        let open = OpenRequest { user: id(user), packet: id(packet), password: password.to_owned() };
        refused(phone.open(open).await, number, what);
    }
    let new = packet(0x900);
    let table = [
        ("a closed account", SendPacketRequest { sender: id(GONE), ..new.clone() }, 21_024),
        ("a replayed order", SendPacketRequest { total_fen: 101, ..packet(HALF) }, 21_004),
        ("a giant", SendPacketRequest { greeting: "g".repeat(1 << 20), ..new.clone() }, 5),
        ("half an id", SendPacketRequest { order: id(1).slice(..8), ..new.clone() }, 20_001),
        ("more shares than there are", SendPacketRequest { shares: u32::MAX, ..new.clone() }, 20_002),
        ("a direct packet for many", SendPacketRequest { kind: PacketKind::Direct.into(), ..new }, 20_003),
    ];
    for (what, send, number) in table {
        refused(phone.send_packet(send).await, number, what);
    }
    for forged in [token.as_str(), "forged"] {
        let mut request = Request::new(GrabRequest { user: id(TAKER), packet: id(HALF) });
        let bearer = format!("Bearer {forged}").parse().expect("ASCII");
        request.metadata_mut().insert("authorization", bearer);
        refused(phone.grab(request).await, 20_004, "a forged token, or another user's");
    }
    let open = OpenRequest { user: id(TAKER), packet: id(HALF), password: String::new() };
    let again = phone.open(open).await.expect("opened").into_inner().claim.expect("a share");
    assert_eq!(again.fen, taken, "a second grab gets the share of the first");
    let mut state = async |sender: u128| {
        let asked = phone.order(OrderRequest { order: id(HALF), sender: id(sender) }).await;
        asked.expect("asked").into_inner().state()
    };
    assert_eq!(state(SENDER).await, OrderState::Sent);
    // So many that some share the sender's shard.
    for other in TAKER..=20 {
        assert_eq!(state(other).await, OrderState::Absent, "a payment is shown to its payer alone");
    }
    nothing_changed(&channel, taken).await;
}

#[tokio::test]
async fn the_ledger_door_refuses_bad_input_by_number_and_changes_nothing() {
    let (_node, channel) = start(&["--open-registration"]).await;
    let (_, taken) = town(&channel).await;
    let mut desk = LedgerClient::new(channel.clone());
    let pay = |number: u128, debit: u128, credit: u128, amount_fen: i64| TransferRequest {
        id: id(number),
        debit: id(debit),
        credit: id(credit),
        amount_fen,
        ..TransferRequest::default()
    };
    let table = [
        ("half an id", TransferRequest { id: id(1).slice(..8), ..pay(1, SENDER, TAKER, 5) }, 20_001),
        ("nothing", pay(1, SENDER, TAKER, 0), 7),
        ("less than nothing", pay(1, SENDER, TAKER, -5), 7),
        ("everything", pay(1, SENDER, TAKER, i64::MAX), 8),
        ("to itself", pay(1, SENDER, SENDER, 5), 13),
        ("from nobody", pay(1, 77, TAKER, 5), 21),
        ("from a closed account", pay(1, GONE, TAKER, 5), 24),
        ("more than there is", pay(1, SENDER, TAKER, 1_000_000), 34),
        ("a word of the ledger's own", TransferRequest { code: 0xff01, ..pay(1, SENDER, TAKER, 5) }, 52),
    ];
    for (what, transfer, number) in table {
        refused(desk.transfer(transfer).await, number, what);
    }
    let unknown = GetAccountRequest { account: id(77), stale_ms_max: 0 };
    refused(desk.get_account(unknown).await, 20, "nobody");
    let ancient = GetAccountRequest { account: id(SENDER), stale_ms_max: u64::MAX };
    refused(desk.get_account(ancient).await, 20_002, "any age");
    nothing_changed(&channel, taken).await;
}

const PASSWORD: &str = "135790";

#[tokio::test]
async fn the_doors_of_pay_refuse_bad_input_by_number_and_change_nothing() {
    let (_node, channel): (Node, Channel) = start(&["--open-registration"]).await;
    let (_, taken) = town(&channel).await;
    let (mut shops, mut wallet) = (MerchantsClient::new(channel.clone()), WalletClient::new(channel.clone()));
    let mut keys = Vec::new();
    for merchant in [0x51_u128, 0x52] {
        let request = RegisterMerchantRequest { merchant: id(merchant), notice_url: String::new() };
        keys.push(shops.register_merchant(request).await.expect("registered").into_inner().key);
    }
    let place = |amount_fen: i64| PlaceOrderRequest {
        merchant: id(0x51),
        number: "A-1".to_owned(),
        amount_fen,
        subject: "tea".to_owned(),
        life_ms: 0,
    };
    let order = shops.place_order(keyed(&keys[0], place(300))).await.expect("placed").into_inner().order;
    refused(shops.place_order(keyed(&keys[1], place(300))).await, 20_004, "another merchant's key");
    refused(shops.place_order(Request::new(place(300))).await, 20_004, "no key");
    refused(shops.place_order(keyed(&keys[0], place(301))).await, 21_004, "a replayed number");
    let long = PlaceOrderRequest { number: "9".repeat(33), ..place(300) };
    refused(shops.place_order(keyed(&keys[0], long)).await, 20_002, "a number too long");
    let foreign = CloseOrderRequest { merchant: id(0x52), order: order.clone(), number: String::new() };
    refused(shops.close_order(keyed(&keys[1], foreign)).await, 21_045, "another merchant's order");
    let refund = RefundOrderRequest {
        merchant: id(0x51),
        order: order.clone(),
        refund: "R-1".to_owned(),
        amount_fen: 1,
        ..RefundOrderRequest::default()
    };
    refused(shops.refund_order(keyed(&keys[0], refund)).await, 21_049, "a refund of what was not paid");

    let pay = |user: u128, order: &bytes::Bytes, password: &str| PayOrderRequest {
        user: id(user),
        order: order.clone(),
        password: password.to_owned(),
    };
    refused(wallet.pay_order(pay(SENDER, &order, PASSWORD)).await, 20_024, "no payment password yet");
    for (password, number) in [("12345", 20_026), ("abcdef", 20_026), ("", 20_026)] {
        let set = SetPayPasswordRequest { user: id(SENDER), former: String::new(), password: password.to_owned() };
        refused(wallet.set_pay_password(set).await, number, "a weak password");
    }
    for user in [SENDER, TAKER] {
        let set = SetPayPasswordRequest { user: id(user), former: String::new(), password: PASSWORD.to_owned() };
        wallet.set_pay_password(set).await.expect("set");
    }
    refused(wallet.pay_order(pay(SENDER, &order, "000000")).await, 20_025, "a wrong payment password");
    refused(wallet.pay_order(pay(SENDER, &id(77), PASSWORD)).await, 21_044, "no order");
    refused(wallet.pay_order(pay(TAKER, &order, PASSWORD)).await, 21_034, "more than there is");
    let out = TakeOutRequest { user: id(TAKER), id: id(5), amount_fen: 10_000, password: PASSWORD.to_owned() };
    refused(wallet.take_out(out).await, 21_034, "more than there is");
    let close = CloseOrderRequest { merchant: id(0x51), order: order.clone(), number: String::new() };
    shops.close_order(keyed(&keys[0], close)).await.expect("closed");
    refused(wallet.pay_order(pay(SENDER, &order, PASSWORD)).await, 21_048, "a closed order");
    nothing_changed(&channel, taken).await;
}

fn keyed<T>(key: &str, body: T) -> Request<T> {
    let mut request = Request::new(body);
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().expect("ASCII"));
    request
}
