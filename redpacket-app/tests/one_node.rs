//! One node as a process of its own: the evening in small, over the public doors.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use proto::admin::v1::AuditRequest;
use proto::admin::v1::admin_client::AdminClient;
use proto::ledger::v1::GetAccountRequest;
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::outcome::{Outcome, outcome_of};
use proto::packet::v1::red_packet_client::RedPacketClient;
use proto::packet::v1::{
    BalanceRequest, CreateChatRequest, CreditState, GetPacketRequest, GrabRequest, JoinChatRequest, OpenRequest,
    OrderRequest, OrderState, PacketKind, RegisterUserRequest, SendPacketRequest,
};
use tempfile::TempDir;
use tonic::transport::Channel;

const START_DEADLINE: Duration = Duration::from_secs(30);

struct Node {
    process: Child,
    grpc: String,
    _data: TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that is free now.
fn port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a listener has an address").port()
}

async fn start(more: &[&str]) -> (Node, Channel) {
    let data = tempfile::tempdir().expect("a folder can be made");
    let (grpc, http) = (format!("127.0.0.1:{}", port()), format!("127.0.0.1:{}", port()));
    let process = Command::new(env!("CARGO_BIN_EXE_redpacket-app"))
        .args(["--node", "1", "--grpc", &grpc, "--http", &http, "--member", &format!("1={grpc}")])
        .args(["--queue", &format!("127.0.0.1:{}", port()), "--data"])
        .arg(data.path())
        .args(more)
        .stderr(Stdio::null())
        .spawn()
        .expect("the node starts");
    let node = Node { process, grpc, _data: data };
    let until = Instant::now() + START_DEADLINE;
    let endpoint = tonic::transport::Endpoint::try_from(format!("http://{}", node.grpc)).expect("an address");
    loop {
        if let Ok(channel) = endpoint.connect().await {
            let request = OrderRequest { order: id(1), sender: id(1) };
            let asked = RedPacketClient::new(channel.clone()).order(request).await;
            if asked.is_ok() || asked.is_err_and(|status| matches!(outcome_of(&status), Outcome::Refused { .. })) {
                return (node, channel);
            }
        }
        assert!(Instant::now() < until, "the node answers in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn id(number: u128) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(&number.to_be_bytes())
}

fn new_packet(order: u128, sender: u128) -> SendPacketRequest {
    SendPacketRequest {
        order: id(order),
        sender: id(sender),
        kind: PacketKind::GroupLucky.into(),
        chat: id(9),
        total_fen: 1000,
        shares: 3,
        ..SendPacketRequest::default()
    }
}

#[tokio::test]
async fn an_evening_in_small_ends_with_every_fen_in_its_place() {
    let (_node, channel) = start(&["--open-registration"]).await;
    let mut phone = RedPacketClient::new(channel.clone());
    for user in 1..=3 {
        let request = RegisterUserRequest { user: id(user), name: format!("user {user}"), fund_fen: 10_000 };
        phone.register_user(request.clone()).await.expect("registered");
        phone.register_user(request).await.expect("a repeat changes nothing");
    }
    phone.create_chat(CreateChatRequest { chat: id(9), name: "chat".to_owned(), owner: id(1) }).await.expect("made");
    for user in 2..=3 {
        let joined = phone.join_chat(JoinChatRequest { chat: id(9), user: id(user) }).await.expect("joined");
        assert_eq!(u128::from(joined.into_inner().members), user);
    }
    let sent = phone.send_packet(new_packet(0x500, 1)).await.expect("sent").into_inner();
    assert_eq!(sent.state(), OrderState::Sent);
    assert_eq!(phone.send_packet(new_packet(0x500, 1)).await.expect("the same").into_inner(), sent);

    let mut shares = [0; 3];
    for (user, share) in (1..).zip(&mut shares) {
        let grab =
            phone.grab(GrabRequest { user: id(user), packet: sent.packet.clone() }).await.expect("a share is left");
        assert!(grab.into_inner().shares_left > 0);
        let open = OpenRequest { user: id(user), packet: sent.packet.clone(), password: String::new() };
        let claim = phone.open(open.clone()).await.expect("opened").into_inner().claim.expect("a share");
        assert_eq!(claim.credit(), CreditState::Arrived);
        let again = phone.open(open).await.expect("opened").into_inner().claim.expect("a share");
        assert_eq!((again.share, again.fen), (claim.share, claim.fen), "a repeat gets the same share");
        *share = claim.fen;
    }
    assert_eq!(shares.iter().sum::<i64>(), 1000);
    for (user, share) in (1..).zip(shares) {
        let balance = phone.balance(BalanceRequest { user: id(user) }).await.expect("a wallet").into_inner();
        let paid = if user == 1 { 1000 } else { 0 };
        assert_eq!((balance.balance_fen, balance.pending_fen), (10_000 - paid + share, 0), "user {user}");
    }
    let shown =
        phone.get_packet(GetPacketRequest { user: id(2), packet: sent.packet }).await.expect("shown").into_inner();
    let most = shares.iter().max().copied().expect("three shares");
    let luckiest = shown.claims.iter().find(|claim| claim.share == shown.luckiest_share).expect("the luckiest");
    assert_eq!(luckiest.fen, most);

    let audit = AdminClient::new(channel).audit(AuditRequest {}).await.expect("audited").into_inner();
    assert!(audit.ok, "{:?}", audit.items);
    assert_eq!((audit.packets, audit.fen_in, audit.fen_out, audit.credits_now), (1, 1000, 1000, 3));
}

#[tokio::test]
async fn what_is_refused_says_so_and_leaves_no_trace() {
    let (_node, channel) = start(&["--open-registration"]).await;
    let mut phone = RedPacketClient::new(channel);
    let register = RegisterUserRequest { user: id(1), name: "one".to_owned(), fund_fen: 500 };
    phone.register_user(register).await.expect("registered");
    phone.create_chat(CreateChatRequest { chat: id(9), name: "chat".to_owned(), owner: id(1) }).await.expect("made");
    let change = |change: fn(&mut SendPacketRequest)| {
        let mut request = new_packet(0x500, 1);
        change(&mut request);
        request
    };
    let table = [
        (change(|request| request.order = bytes::Bytes::new()), 20_001),
        (change(|request| request.kind = 0), 20_003),
        (change(|request| request.total_fen = 2), 9),
        (change(|request| request.sender = id(2)), 14),
        (change(|request| request.chat = id(8)), 15),
        (change(|_| {}), 21_032),
    ];
    for (request, number) in table {
        let status = phone.send_packet(request.clone()).await.expect_err("it is refused");
        assert_eq!(outcome_of(&status), Outcome::Refused { number }, "{request:?}: {status}");
    }
    let order = phone.order(OrderRequest { order: id(0x500), sender: id(1) }).await.expect("asked").into_inner();
    assert_eq!(order.state(), OrderState::Absent);
}

#[tokio::test]
async fn a_closed_cluster_wants_a_token_of_the_right_user() {
    let (_node, channel) = start(&["--session-key", "secret"]).await;
    let mut phone = RedPacketClient::new(channel.clone());
    let funded = RegisterUserRequest { user: id(1), name: "one".to_owned(), fund_fen: 1 };
    let status = phone.register_user(funded.clone()).await.expect_err("no funding here");
    assert_eq!(outcome_of(&status), Outcome::Refused { number: 20_005 });
    let plain = RegisterUserRequest { fund_fen: 0, ..funded };
    let token = phone.register_user(plain).await.expect("registered").into_inner().token;

    let with_token = |user: u128| {
        let mut request = tonic::Request::new(BalanceRequest { user: id(user) });
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("ASCII"));
        request
    };
    assert_eq!(phone.balance(with_token(1)).await.expect("the right user").into_inner().balance_fen, 0);
    let account = GetAccountRequest { account: id(1) };
    let status = LedgerClient::new(channel.clone()).get_account(account.clone()).await.expect_err("no key shown");
    assert_eq!(outcome_of(&status), Outcome::Refused { number: 20_004 });
    let mut keyed = tonic::Request::new(account);
    keyed.metadata_mut().insert("authorization", "Bearer secret".parse().expect("ASCII"));
    LedgerClient::new(channel).get_account(keyed).await.expect("a program with the key");
    for request in [with_token(2), tonic::Request::new(BalanceRequest { user: id(1) })] {
        let status = phone.balance(request).await.expect_err("not this user");
        assert_eq!(outcome_of(&status), Outcome::Refused { number: 20_004 });
    }
}
