//! Paying: the payment password before a packet, and an order that is tried again after the money came back.

use std::time::Instant;

use proto::admin::v1::AuditRequest;
use proto::admin::v1::admin_client::AdminClient;
use proto::ledger::v1::RestrictAccountRequest;
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::outcome::{Outcome, outcome_of};
use proto::packet::v1::red_packet_client::RedPacketClient;
use proto::packet::v1::{BalanceRequest, RegisterUserRequest};
use proto::pay::v1::merchants_client::MerchantsClient;
use proto::pay::v1::wallet_client::WalletClient;
use proto::pay::v1::{MoneyState, PayOrderRequest, PlaceOrderRequest, RegisterMerchantRequest, SetPayPasswordRequest};
use serde_json::json;
use tonic::Request;
use tonic::transport::Channel;

use crate::http_door;
use crate::node::{Node, START_DEADLINE, id, start};

const PASSWORD: &str = "135790";
/// Wrong guesses after which a user must wait.
const GUESSES: usize = 5;

#[test]
fn who_has_a_payment_password_sends_with_it_and_who_has_none_without() {
    let node = Node::start(&["--open-registration"]);
    let user = http_door::id;
    node.register(1, 1_000);
    node.register(2, 1_000);
    let chat = json!({ "user": user(1), "chat": user(9), "name": "chat" });
    assert_eq!(node.post("/api/chats", &chat, None).status, 200);
    assert_eq!(node.post("/api/join", &json!({ "user": user(2), "chat": user(9) }), None).status, 200);
    let send = |who: u128, order: u128, password: &str| {
        let packet = json!({
            "user": user(who), "order": user(order), "kind": "lucky", "chat": user(9), "total_fen": 100, "shares": 1,
            "pay_password": password,
        });
        node.post("/api/send", &packet, None)
    };
    let balance = || node.get(&format!("/api/balance?user={}", user(1)), None).body["balance_fen"].as_i64();
    assert_eq!(send(1, 0x500, "").status, 200, "no password is set");
    assert_eq!(send(1, 0x600, "anything").status, 200, "and none is looked at");
    let set = json!({ "user": user(1), "password": PASSWORD });
    assert_eq!(node.post("/api/pay-password", &set, None).status, 200);
    assert_eq!(send(1, 0x700, "").refusal(), (403, 20_029), "it is asked for");
    assert_eq!(send(1, 0x700, "000000").refusal(), (403, 20_025));
    assert_eq!(balance(), Some(800), "nothing was paid");
    let sent = send(1, 0x700, PASSWORD);
    assert_eq!((sent.status, balance()), (200, Some(700)));
    assert_eq!(send(1, 0x700, PASSWORD).body, sent.body, "a repeat is the same payment");
    assert_eq!(send(1, 0x700, "").refusal(), (403, 20_029), "and asks for the password like the first");
    assert_eq!(send(2, 0x800, "").status, 200, "one user's password is no other's");
    let large = json!({ "user": user(1), "order": user(0x900), "kind": "lucky", "chat": user(9), "total_fen": 30_000, "shares": 1 });
    assert_eq!(node.post("/api/send", &large, None).refusal(), (400, 10), "what no packet may be costs no guess");
    for _ in 0..GUESSES {
        assert_eq!(send(1, 0x900, "111111").refusal(), (403, 20_025));
    }
    assert_eq!(send(1, 0x900, PASSWORD).refusal(), (403, 20_023), "locked out");
    assert_eq!(balance(), Some(700));
}

const GROUPS: [machine::GroupId; 2] = [machine::GroupId(1), machine::GroupId(2)];
const PAYER: u128 = 1;

fn home(account: u128) -> machine::GroupId {
    ledger::home(ledger::AccountId(account), &GROUPS)
}

struct Town {
    desk: LedgerClient<Channel>,
    wallet: WalletClient<Channel>,
    phone: RedPacketClient<Channel>,
    order: bytes::Bytes,
}

impl Town {
    /// Pays until the end is known. Errors: the refusal's number.
    async fn pay(&mut self) -> Result<(), u16> {
        let until = Instant::now() + START_DEADLINE;
        let pay = PayOrderRequest { user: id(PAYER), order: self.order.clone(), password: PASSWORD.to_owned() };
        loop {
            match self.wallet.pay_order(pay.clone()).await {
                Ok(reply) if reply.get_ref().state() == MoneyState::Arrived => return Ok(()),
                Err(status) => match outcome_of(&status) {
                    Outcome::Refused { number } => return Err(number),
                    other => assert!(Instant::now() < until, "an answer in time: {other:?}"),
                },
                Ok(_) => assert!(Instant::now() < until, "it arrives, or comes back, in time"),
            }
        }
    }

    async fn restrict(&mut self, account: u128, ceiling_fen: i64) {
        let restrict = RestrictAccountRequest { account: id(account), ceiling_fen, frozen: false };
        self.desk.restrict_account(restrict).await.expect("bounded");
    }

    async fn balance(&mut self) -> i64 {
        self.phone.balance(BalanceRequest { user: id(PAYER) }).await.expect("a wallet").into_inner().balance_fen
    }
}

#[tokio::test]
async fn a_payment_that_a_full_merchant_sent_back_is_tried_again_by_the_same_payer() {
    let (_node, channel) = start(&["--open-registration"]).await;
    let merchant = (0x51_u128..).find(|account| home(*account) != home(PAYER)).expect("endless");
    let (mut phone, mut wallet) = (RedPacketClient::new(channel.clone()), WalletClient::new(channel.clone()));
    let register = RegisterUserRequest { user: id(PAYER), name: "payer".to_owned(), fund_fen: 1_000 };
    phone.register_user(register).await.expect("registered");
    let set = SetPayPasswordRequest { user: id(PAYER), former: String::new(), password: PASSWORD.to_owned() };
    wallet.set_pay_password(set).await.expect("set");
    let mut shops = MerchantsClient::new(channel.clone());
    let request = RegisterMerchantRequest { merchant: id(merchant), notice_url: String::new() };
    let key = shops.register_merchant(request).await.expect("registered").into_inner().key;
    let place = PlaceOrderRequest {
        merchant: id(merchant),
        number: "A-1".to_owned(),
        amount_fen: 300,
        subject: "tea".to_owned(),
        life_ms: 0,
    };
    let mut place = Request::new(place);
    place.metadata_mut().insert("authorization", format!("Bearer {key}").parse().expect("ASCII"));
    let order = shops.place_order(place).await.expect("placed").into_inner().order;
    let mut town = Town { desk: LedgerClient::new(channel.clone()), wallet, phone, order };

    town.restrict(merchant, 10).await;
    for attempt in 1..=2 {
        assert_eq!(town.pay().await, Err(21_035), "attempt {attempt}: the merchant's account is full");
        assert_eq!(town.balance().await, 1_000, "attempt {attempt}: the money came back");
    }
    town.restrict(merchant, 0).await;
    assert_eq!(town.pay().await, Ok(()), "the same payer pays the same order");
    assert_eq!(town.balance().await, 700);
    assert_eq!(town.pay().await, Ok(()), "a repeat is told what became of it");
    assert_eq!(town.balance().await, 700, "and pays nothing");
    let audit = AdminClient::new(channel).audit(AuditRequest {}).await.expect("audited").into_inner();
    assert!(audit.ok, "{:?}", audit.items);
}
