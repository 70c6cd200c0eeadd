//! Credits that wait: whoever has drawn a share may spend it before the queue's workers have booked it.
//!
//! The node's credits go by a queue that nobody serves, so nothing but a payment can book them.

use std::time::{Duration, Instant};

use proto::admin::v1::AuditRequest;
use proto::admin::v1::admin_client::AdminClient;
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::ledger::v1::{AccountKind, HoldRequest, OpenAccountRequest, TransferRequest, WithdrawRequest};
use proto::outcome::{Outcome, outcome_of};
use proto::packet::v1::red_packet_client::RedPacketClient;
use proto::packet::v1::{
    BalanceReply, BalanceRequest, CreateChatRequest, CreditState, JoinChatRequest, OpenRequest, PacketKind,
    RegisterUserRequest, SendPacketRequest,
};
use tonic::transport::Channel;

use crate::node::{id, start};

const SENDER: u128 = 1;
const CHAT: u128 = 9;
/// Each packet is one share of so many fen.
const SHARE_FEN: i64 = 250;
/// What everybody has at first.
const FUND_FEN: i64 = 100_000;
/// The ledger's "insufficient funds".
const SHORT: u16 = 34;
/// A condition that does not hold by then will not.
const DEADLINE: Duration = Duration::from_secs(30);
/// How often it is looked whether it holds.
const LOOK_EVERY: Duration = Duration::from_millis(80);

type Phone = RedPacketClient<Channel>;

async fn balance(phone: &mut Phone, user: u128) -> BalanceReply {
    phone.balance(BalanceRequest { user: id(user) }).await.expect("a wallet").into_inner()
}

/// Sends a packet of one share under `order`, and has `user` open it.
async fn open(phone: &mut Phone, order: u128, user: u128) -> CreditState {
    let packet = SendPacketRequest {
        order: id(order),
        sender: id(SENDER),
        kind: PacketKind::GroupLucky.into(),
        chat: id(CHAT),
        total_fen: SHARE_FEN,
        shares: 1,
        ..SendPacketRequest::default()
    };
    let sent = phone.send_packet(packet).await.expect("sent").into_inner();
    let request = OpenRequest { user: id(user), packet: sent.packet, password: String::new() };
    phone.open(request).await.expect("opened").into_inner().claim.expect("a share").credit()
}

async fn town(phone: &mut Phone, users: &[u128]) {
    for user in [&[SENDER], users].concat() {
        let request = RegisterUserRequest { user: id(user), name: format!("user {user}"), fund_fen: FUND_FEN };
        phone.register_user(request).await.expect("registered");
    }
    let chat = CreateChatRequest { chat: id(CHAT), name: "chat".to_owned(), owner: id(SENDER) };
    phone.create_chat(chat).await.expect("made");
    for user in users {
        phone.join_chat(JoinChatRequest { chat: id(CHAT), user: id(*user) }).await.expect("joined");
    }
}

/// An account in the shard of `account`: a hold does not leave it.
async fn neighbour(ledger: &mut LedgerClient<Channel>, account: u128) -> u128 {
    let mut home = None;
    for number in std::iter::once(account).chain(0x800..) {
        let open = OpenAccountRequest { account: id(number), kind: AccountKind::User.into(), currency: 0 };
        let group = ledger.open_account(open).await.expect("opened").into_inner().group;
        if number != account && home == Some(group) {
            return number;
        }
        home.get_or_insert(group);
    }
    unreachable!("there are many accounts")
}

#[tokio::test]
async fn a_payment_books_what_waits_for_the_payer_before_it_is_refused() {
    let (node, channel) = start(&["--open-registration"]).await;
    let (mut phone, mut ledger) = (RedPacketClient::new(channel.clone()), LedgerClient::new(channel.clone()));
    let (payer, holder, sender, leaver) = (2, 3, 4, 5);
    town(&mut phone, &[payer, holder, sender, leaver]).await;
    std::fs::write(node.data.path().join("switches"), "credits queued\n").expect("the switches can be thrown");
    // A packet bears its order's number but for the lowest byte.
    let (mut orders, until) = ((5_u128..).map(|number| number << 8), Instant::now() + DEADLINE);
    for user in [payer, payer, holder, sender, leaver] {
        // The switch is seen within a second; what is opened before arrives at once.
        let credit = loop {
            let credit = open(&mut phone, orders.next().expect("endless"), user).await;
            if credit != CreditState::Arrived {
                break credit;
            }
            assert!(Instant::now() < until, "the switch is seen in time");
            // Each look costs the sender a share, and he has four hundred.
            tokio::time::sleep(LOOK_EVERY).await;
        };
        assert_eq!(credit, CreditState::Unknown, "no queue says that it keeps a credit");
    }
    // The index learns of a claim beside the answer.
    let mut standing = Vec::new();
    for (user, waiting) in [(payer, 2 * SHARE_FEN), (holder, SHARE_FEN), (sender, SHARE_FEN), (leaver, SHARE_FEN)] {
        let mut seen = balance(&mut phone, user).await;
        while seen.pending_fen != waiting {
            assert!(Instant::now() < until, "user {user} sees {seen:?}, and {waiting} wait");
            tokio::time::sleep(LOOK_EVERY).await;
            seen = balance(&mut phone, user).await;
        }
        standing.push(seen.balance_fen + waiting);
    }

    let transfer = |id_of: u128, debit: u128, fen: i64| TransferRequest {
        id: id(id_of),
        debit: id(debit),
        credit: id(SENDER),
        amount_fen: fen,
        ..TransferRequest::default()
    };
    let too_much = ledger.transfer(transfer(0x700, payer, standing[0] + 1)).await.expect_err("more than there will be");
    assert_eq!(outcome_of(&too_much), Outcome::Refused { number: SHORT });
    assert_eq!(balance(&mut phone, payer).await.pending_fen, 2 * SHARE_FEN, "nothing is forced for what cannot do");

    ledger.transfer(transfer(0x701, payer, standing[0])).await.expect("both shares are booked first");
    let credit = id(neighbour(&mut ledger, holder).await);
    let held = TransferRequest { credit, ..transfer(0x702, holder, standing[1]) };
    let hold = HoldRequest { transfer: Some(held), timeout_ms: 60_000 };
    ledger.hold(hold).await.expect("the share is booked first");
    let packet = SendPacketRequest {
        order: id(0x90_0000),
        sender: id(sender),
        kind: PacketKind::GroupLucky.into(),
        chat: id(CHAT),
        total_fen: standing[2],
        shares: 10,
        ..SendPacketRequest::default()
    };
    phone.send_packet(packet).await.expect("the share is booked first");
    let out = WithdrawRequest { id: id(0x703), account: id(leaver), amount_fen: standing[3] };
    ledger.withdraw(out).await.expect("the share is booked first");
    for (user, left) in [(payer, 0), (holder, standing[1]), (sender, 0), (leaver, 0)] {
        let seen = balance(&mut phone, user).await;
        assert_eq!((seen.balance_fen, seen.pending_fen), (left, 0), "user {user}");
    }
    let audit = AdminClient::new(channel).audit(AuditRequest {}).await.expect("audited").into_inner();
    assert!(audit.ok, "{:?}", audit.items);
}
