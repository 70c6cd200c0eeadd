//! Pay: orders of merchants paid from phones over two shards, notices to an address that fails and recovers, refunds, and a
//! ledger leader that is killed in the middle; every fen is where it should be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::ledger::v1::{AccountKind, GetAccountRequest, OpenAccountRequest};
use proto::outcome::{Outcome, outcome_of};
use proto::packet::v1::RegisterUserRequest;
use proto::packet::v1::red_packet_client::RedPacketClient;
use proto::pay::v1::merchants_client::MerchantsClient;
use proto::pay::v1::wallet_client::WalletClient;
use proto::pay::v1::{
    CloseOrderRequest, GetOrderRequest, GetRefundRequest, MoneyState, Order, OrderState, PayOrderReply,
    PayOrderRequest, PlaceOrderRequest, Refund, RefundOrderRequest, RegisterMerchantRequest, SetPayPasswordRequest,
    TakeOutRequest, TopUpRequest,
};
use serde_json::Value;
use sha2::Sha256;
use tests::local::LocalCluster;
use tokio::sync::Notify;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::topics::Endpoints;

const DEADLINE: Duration = Duration::from_secs(60);
const FUND_FEN: i64 = 100_000;
const PASSWORD: &str = "135790";
/// What a phone is told of a refusal of the ledger.
const LEDGER: u16 = 21_000;

fn id(number: u128) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// The app, by any of its nodes.
struct App {
    nodes: Vec<Channel>,
}

impl App {
    fn of(cluster: &LocalCluster) -> Self {
        let file = cluster.file();
        let nodes = file["app"].as_array().expect("the file lists the app nodes");
        let channel = |node: &Value| {
            let address = format!("http://{}", node["grpc"].as_str().expect("a node has an address"));
            Endpoint::try_from(address).expect("an address").timeout(Duration::from_secs(10)).connect_lazy()
        };
        Self { nodes: nodes.iter().map(channel).collect() }
    }

    /// Asks one node after the other under the same ids until there is an answer. Errors: the refusal's number.
    async fn ask<T, W>(&self, ask: impl Fn(Channel) -> W) -> Result<T, u16>
    where
        W: Future<Output = Result<Response<T>, Status>>,
    {
        let until = Instant::now() + DEADLINE;
        for node in self.nodes.iter().cycle() {
            match ask(node.clone()).await {
                Ok(reply) => return Ok(reply.into_inner()),
                Err(status) => match outcome_of(&status) {
                    Outcome::Refused { number } => return Err(number),
                    _ => assert!(Instant::now() < until, "an answer comes in time: {status}"),
                },
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        unreachable!("there are nodes")
    }

    async fn group_of(&self, account: u128, kind: AccountKind) -> u32 {
        let request = OpenAccountRequest { account: id(account), kind: kind.into(), currency: 0 };
        let asked = self.ask(|node| {
            let request = request.clone();
            async move { LedgerClient::new(node).open_account(request).await }
        });
        asked.await.expect("the account is opened").group
    }

    /// Accounts from `first` on, one in each of the two groups of the ledger.
    async fn one_a_group(&self, first: u128, kind: AccountKind) -> [u128; 2] {
        let mut found = BTreeMap::new();
        for account in first.. {
            found.entry(self.group_of(account, kind).await).or_insert(account);
            if let [one, two] = found.values().copied().collect::<Vec<_>>()[..] {
                return [one, two];
            }
        }
        unreachable!("there are two groups")
    }

    async fn balance(&self, account: u128) -> i64 {
        let asked = self.ask(|node| async move { LedgerClient::new(node).get_account(request_of(account)).await });
        asked.await.expect("the account is shown").balance_fen
    }

    async fn register(&self, user: u128) {
        let request = RegisterUserRequest { user: id(user), name: format!("user {user}"), fund_fen: FUND_FEN };
        let asked = self.ask(|node| {
            let request = request.clone();
            async move { RedPacketClient::new(node).register_user(request).await }
        });
        asked.await.expect("the user is registered");
    }

    async fn set_password(&self, user: u128, former: &str, password: &str) -> Result<(), u16> {
        let request =
            SetPayPasswordRequest { user: id(user), former: former.to_owned(), password: password.to_owned() };
        let asked = self.ask(|node| {
            let request = request.clone();
            async move { WalletClient::new(node).set_pay_password(request).await }
        });
        asked.await.map(drop)
    }

    async fn pay(&self, user: u128, order: &Bytes, password: &str) -> Result<MoneyState, u16> {
        let request = PayOrderRequest { user: id(user), order: order.clone(), password: password.to_owned() };
        let asked = self.ask(|node| {
            let request = request.clone();
            async move { WalletClient::new(node).pay_order(request).await }
        });
        asked.await.map(|reply: PayOrderReply| reply.state())
    }
}

fn request_of(account: u128) -> GetAccountRequest {
    GetAccountRequest { account: id(account), stale_ms_max: 0 }
}

/// A merchant with its keys.
struct Shop<'a> {
    app: &'a App,
    merchant: u128,
    key: String,
    notice_key: String,
}

impl<'a> Shop<'a> {
    async fn open(app: &'a App, merchant: u128, notice_url: &str) -> Self {
        let request = RegisterMerchantRequest { merchant: id(merchant), notice_url: notice_url.to_owned() };
        let asked = app.ask(|node| {
            let request = request.clone();
            async move { MerchantsClient::new(node).register_merchant(request).await }
        });
        let reply = asked.await.expect("the merchant is registered");
        Self { app, merchant, key: reply.key, notice_key: reply.notice_key }
    }

    fn with_key<T>(&self, body: T) -> Request<T> {
        let mut request = Request::new(body);
        let bearer = format!("Bearer {}", self.key).parse().expect("a key can stand in a header");
        request.metadata_mut().insert("authorization", bearer);
        request
    }

    async fn place(&self, number: &str, amount_fen: i64, life_ms: u64) -> Result<Order, u16> {
        let request = PlaceOrderRequest {
            merchant: id(self.merchant),
            number: number.to_owned(),
            amount_fen,
            subject: "tea".to_owned(),
            life_ms,
        };
        let ask = |node: Channel| {
            let request = self.with_key(request.clone());
            async move { MerchantsClient::new(node).place_order(request).await }
        };
        self.app.ask(ask).await
    }

    async fn get(&self, number: &str) -> Order {
        let request =
            GetOrderRequest { merchant: id(self.merchant), number: number.to_owned(), ..GetOrderRequest::default() };
        let ask = |node: Channel| {
            let request = self.with_key(request.clone());
            async move { MerchantsClient::new(node).get_order(request).await }
        };
        self.app.ask(ask).await.expect("the order is shown")
    }

    async fn close(&self, number: &str) -> Result<Order, u16> {
        let request = CloseOrderRequest {
            merchant: id(self.merchant),
            number: number.to_owned(),
            ..CloseOrderRequest::default()
        };
        let ask = |node: Channel| {
            let request = self.with_key(request.clone());
            async move { MerchantsClient::new(node).close_order(request).await }
        };
        self.app.ask(ask).await
    }

    async fn refund(&self, number: &str, refund: &str, amount_fen: i64) -> Result<Refund, u16> {
        let request = RefundOrderRequest {
            merchant: id(self.merchant),
            number: number.to_owned(),
            refund: refund.to_owned(),
            amount_fen,
            ..RefundOrderRequest::default()
        };
        let ask = |node: Channel| {
            let request = self.with_key(request.clone());
            async move { MerchantsClient::new(node).refund_order(request).await }
        };
        self.app.ask(ask).await
    }

    /// Asks for a refund until it has arrived.
    async fn refund_arrives(&self, number: &str, refund: &str) {
        let request = GetRefundRequest {
            merchant: id(self.merchant),
            number: number.to_owned(),
            refund: refund.to_owned(),
            ..GetRefundRequest::default()
        };
        let until = Instant::now() + DEADLINE;
        loop {
            let ask = |node: Channel| {
                let request = self.with_key(request.clone());
                async move { MerchantsClient::new(node).get_refund(request).await }
            };
            let shown: Refund = self.app.ask(ask).await.expect("the refund is shown");
            if shown.state() == MoneyState::Arrived {
                return;
            }
            assert!(Instant::now() < until, "refund {refund} of {number} arrives");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The notice in a post, if its signature is this merchant's.
    fn notice(&self, post: &str) -> Option<Value> {
        let (_, body) = post.split_once("\r\n\r\n")?;
        let body: Value = serde_json::from_str(body).ok()?;
        let text = body["notice"].as_str()?;
        let mut signer = Hmac::<Sha256>::new_from_slice(self.notice_key.as_bytes()).expect("a key of any length");
        signer.update(text.as_bytes());
        let signature = signer.finalize().into_bytes();
        let hex: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        (body["signature"] == hex.as_str()).then(|| serde_json::from_str(text).expect("a notice is JSON"))
    }
}

async fn wallets(app: &App, [ann, ben]: [u128; 2], order: &Bytes) {
    assert_eq!(app.pay(ann, order, PASSWORD).await, Err(20_024), "there is no password yet");
    assert_eq!(app.set_password(ann, "", "12345").await, Err(20_026));
    for user in [ann, ben] {
        assert_eq!(app.set_password(user, "", "000000").await, Ok(()));
        assert_eq!(app.set_password(user, "111111", PASSWORD).await, Err(20_025));
        assert_eq!(app.set_password(user, "000000", PASSWORD).await, Ok(()));
    }
    assert_eq!(app.pay(ann, order, "000000").await, Err(20_025), "the former password opens nothing");
    let top_up = TopUpRequest { user: id(ann), id: id(77), amount_fen: 500 };
    let take_out = TakeOutRequest { user: id(ann), id: id(78), amount_fen: 500, password: PASSWORD.to_owned() };
    for _ in 0..2 {
        let topped = app.ask(|node| {
            let request = top_up.clone();
            async move { WalletClient::new(node).top_up(request).await }
        });
        topped.await.expect("money comes in");
        let taken = app.ask(|node| {
            let request = take_out.clone();
            async move { WalletClient::new(node).take_out(request).await }
        });
        taken.await.expect("money goes out");
    }
    assert_eq!(app.balance(ann).await, FUND_FEN, "each happened once");
}

async fn orders(app: &App, shops: &[Shop<'_>; 2], [ann, ben]: [u128; 2]) {
    for shop in shops {
        for (number, user, other) in [("A", ann, ben), ("B", ben, ann)] {
            let order = shop.place(number, 300, 0).await.expect("the order is placed").order;
            assert_eq!(shop.place(number, 300, 0).await.map(|again| again.order), Ok(order.clone()));
            assert_eq!(shop.place(number, 301, 0).await, Err(LEDGER + 4), "the number is used");
            for _ in 0..2 {
                assert_eq!(app.pay(user, &order, PASSWORD).await, Ok(MoneyState::Arrived), "{number}");
            }
            assert_eq!(app.pay(other, &order, PASSWORD).await, Err(LEDGER + 47), "it is paid");
            assert_eq!(shop.close(number).await, Err(LEDGER + 47));
            let paid = shop.get(number).await;
            assert_eq!((paid.state(), paid.payer), (OrderState::Paid, id(user)));
        }
        let closed = shop.place("C", 300, 0).await.expect("the order is placed").order;
        assert_eq!(shop.close("C").await.map(|order| order.state()), Ok(OrderState::Closed));
        assert_eq!(app.pay(ann, &closed, PASSWORD).await, Err(LEDGER + 48));
        let short = shop.place("D", 300, 1).await.expect("the order is placed").order;
        assert_eq!(app.pay(ann, &short, PASSWORD).await, Err(LEDGER + 48), "its time is over");
        assert_eq!(shop.get("D").await.state(), OrderState::Closed);
        for _ in 0..2 {
            shop.refund("A", "one", 100).await.expect("a part goes back");
        }
        assert_eq!(shop.refund("A", "one", 99).await, Err(LEDGER + 4), "the refund's number is used");
        assert_eq!(shop.refund("A", "two", 201).await, Err(LEDGER + 50), "more than was paid");
        shop.refund("A", "two", 200).await.expect("the rest goes back");
        assert_eq!(shop.refund("C", "one", 1).await, Err(LEDGER + 49), "it was not paid");
        shop.refund_arrives("A", "two").await;
    }
    let forged = Shop { app, merchant: shops[0].merchant, key: shops[1].key.clone(), notice_key: String::new() };
    assert_eq!(forged.place("X", 1, 0).await, Err(20_004), "a key speaks for one merchant");
    assert_eq!(app.balance(ann).await, FUND_FEN);
    assert_eq!(app.balance(ben).await, FUND_FEN - 600);
}

/// Takes posts until each of `expected`, as (event, merchant, number), has come with the right signature.
async fn told(endpoint: &mut Endpoints, shops: &[Shop<'_>; 2], mut expected: BTreeSet<(String, u128, String)>) {
    while !expected.is_empty() {
        let post = endpoint.next().await;
        let (shop, notice) = shops
            .iter()
            .find_map(|shop| Some((shop, shop.notice(&post)?)))
            .unwrap_or_else(|| panic!("a notice is signed: {post}"));
        assert_eq!(notice["merchant"], format!("{:032x}", shop.merchant));
        let text = |key: &str| notice[key].as_str().unwrap_or_default().to_owned();
        expected.remove(&(text("event"), shop.merchant, text("number")));
    }
}

fn news(shops: &[Shop<'_>; 2], event: &str, numbers: &[&str]) -> BTreeSet<(String, u128, String)> {
    let of = |shop: &Shop<'_>| {
        numbers.iter().map(|number| (event.to_owned(), shop.merchant, (*number).to_owned())).collect::<Vec<_>>()
    };
    shops.iter().flat_map(of).collect()
}

/// Pays and pays back again and again, while the ledger's leader is killed and started again.
async fn a_leader_is_killed(cluster: &LocalCluster, app: &App, shops: &[Shop<'_>; 2], users: [u128; 2]) {
    let is_going = Notify::new();
    let work = async {
        for round in 0..6 {
            if round == 2 {
                is_going.notify_one();
            }
            for (shop, user) in shops.iter().flat_map(|shop| users.map(|user| (shop, user))) {
                let number = format!("kill {round} {user}");
                let order = shop.place(&number, 50, 0).await.expect("the order is placed").order;
                app.pay(user, &order, PASSWORD).await.expect("it is paid");
                shop.refund(&number, "part", 10).await.expect("a part goes back");
            }
        }
    };
    let before = cluster.file();
    let kill = async {
        is_going.notified().await;
        // Whatever is asked at this moment is asked of a leader that dies.
        tokio::task::block_in_place(|| cluster.must(&["kill", "ledger-leader", "--signal", "9"]));
    };
    tokio::join!(work, kill);
    let nodes = before["app"].as_array().expect("the file lists the app nodes").clone();
    let is_dead = |node: &&Value| !std::path::Path::new(&format!("/proc/{}", node["pid"])).exists();
    let until = Instant::now() + DEADLINE;
    let dead = loop {
        if let Some(dead) = nodes.iter().find(is_dead).and_then(|node| node["node"].as_str()) {
            break dead;
        }
        assert!(Instant::now() < until, "the killed process ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    tokio::task::block_in_place(|| cluster.must(&["start", dead]));
    for (shop, user) in shops.iter().flat_map(|shop| users.map(|user| (shop, user))) {
        for round in 0..6 {
            let number = format!("kill {round} {user}");
            shop.refund_arrives(&number, "part").await;
            let order = shop.get(&number).await;
            assert_eq!((order.state(), order.refunded_fen), (OrderState::Paid, 10), "{number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_paid_told_and_paid_back_although_a_leader_is_killed() {
    let cluster = LocalCluster::start(true);
    let app = App::of(&cluster);
    let mut endpoint = Endpoints::listen(500).await;
    let users = app.one_a_group(100, AccountKind::User).await;
    for user in users {
        app.register(user).await;
    }
    let [one, two] = app.one_a_group(200, AccountKind::Merchant).await;
    let shops = [Shop::open(&app, one, &endpoint.url).await, Shop::open(&app, two, &endpoint.url).await];
    let first = shops[0].place("A", 300, 0).await.expect("the order is placed").order;
    wallets(&app, users, &first).await;
    orders(&app, &shops, users).await;
    // Nobody has taken a notice yet.
    assert!(endpoint.next().await.contains("order."));
    endpoint.status.store(200, Ordering::Relaxed);
    let mut expected = news(&shops, "order.paid", &["A", "B"]);
    expected.append(&mut news(&shops, "order.refunded", &["A"]));
    told(&mut endpoint, &shops, expected).await;

    a_leader_is_killed(&cluster, &app, &shops, users).await;
    let mut everywhere = 0;
    for account in users.into_iter().chain([one, two]) {
        everywhere += app.balance(account).await;
    }
    assert_eq!(everywhere, 2 * FUND_FEN);
    // Order B, and six rounds of 40 fen from each of the two.
    assert_eq!((app.balance(one).await, app.balance(two).await), (780, 780));
    tokio::task::block_in_place(|| cluster.must(&["audit"]));
}
