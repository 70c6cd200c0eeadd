//! One node as a process of its own: the evening in small, over the public doors.

use std::time::{Duration, Instant};

use proto::admin::v1::AuditRequest;
use proto::admin::v1::admin_client::AdminClient;
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::ledger::v1::{
    AccountKind, BalanceAtRequest, BatchRequest, BillKind, BillRequest, CloseAccountRequest, FollowJournalRequest,
    FundRequest, GetAccountRequest, GetPaymentLimitsRequest, GetTransferRequest, HoldRequest, LimitPaymentsRequest,
    OpenAccountRequest, PostRequest, RestrictAccountRequest, TransferRequest, TransferState, WatchAccountRequest,
};
use proto::outcome::{Outcome, outcome_of};
use proto::packet::v1::red_packet_client::RedPacketClient;
use proto::packet::v1::{
    BalanceRequest, CreateChatRequest, CreditState, GetPacketRequest, GrabRequest, JoinChatRequest, OpenRequest,
    OrderRequest, OrderState, PacketKind, RegisterUserRequest, SendPacketRequest,
};
use tonic::transport::Channel;

use crate::node::{START_DEADLINE, id, start};

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
        (change(|_| {}), 21_034),
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
    let account = GetAccountRequest { account: id(1), stale_ms_max: 0 };
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

type Desk = LedgerClient<Channel>;

/// Opens `account` with 1,000 fen; says its group.
async fn furnish(desk: &mut Desk, account: u128) -> u32 {
    let open = OpenAccountRequest { account: id(account), kind: AccountKind::User.into(), currency: 0 };
    let group = desk.open_account(open).await.expect("opened").into_inner().group;
    let fund = FundRequest { id: id(account << 64), account: id(account), amount_fen: 1_000 };
    desk.fund(fund).await.expect("funded");
    group
}

fn pay(number: u128, debit: u128, credit: u128, fen: i64) -> TransferRequest {
    TransferRequest {
        id: id(number),
        debit: id(debit),
        credit: id(credit),
        amount_fen: fen,
        ..TransferRequest::default()
    }
}

async fn balance(desk: &mut Desk, account: u128) -> i64 {
    let request = GetAccountRequest { account: id(account), stale_ms_max: 0 };
    desk.get_account(request).await.expect("it is open").into_inner().balance_fen
}

/// Waits until an account holds `fen`: what crosses shards is on its way for a moment.
async fn wait_for(desk: &mut Desk, account: u128, fen: i64) {
    let until = Instant::now() + START_DEADLINE;
    while balance(desk, account).await != fen {
        assert!(Instant::now() < until, "the money arrives in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Two accounts of one group, and one of the other.
async fn three_accounts(desk: &mut Desk) -> (u128, u128, u128) {
    let mut homes = [Vec::new(), Vec::new()];
    for account in 1..=32 {
        let group = furnish(desk, account).await;
        homes[usize::try_from(group - 1).expect("two groups")].push(account);
    }
    match homes {
        [one, other] if one.len() > 1 && !other.is_empty() => (one[0], one[1], other[0]),
        homes => panic!("accounts spread over the groups: {homes:?}"),
    }
}

#[tokio::test]
async fn a_program_moves_money_within_and_between_shards() {
    let (_node, channel) = start(&["--open-registration"]).await;
    let mut desk = LedgerClient::new(channel.clone());
    let (ann, ben, far) = three_accounts(&mut desk).await;
    let booked = desk.transfer(pay(1, ann, ben, 100)).await.expect("booked").into_inner();
    assert_eq!(desk.transfer(pay(1, ann, ben, 100)).await.expect("a repeat").into_inner(), booked);
    assert!(booked.booked_ms > 0 && !booked.under_way);
    let sent = desk.transfer(pay(2, ann, far, 50)).await.expect("sent").into_inner();
    assert!(sent.under_way);
    wait_for(&mut desk, far, 1_050).await;

    // To nobody in the other group: it comes back, with the reason.
    let nobody = (1_000_u128..).find(|account| ledger::home(ledger::AccountId(*account), &GROUPS) != home(ann));
    desk.transfer(pay(3, ann, nobody.expect("endless"), 70)).await.expect("sent");
    wait_for(&mut desk, ann, 850).await;
    let asked = GetTransferRequest { id: id(3), account: id(ann) };
    let until = Instant::now() + START_DEADLINE;
    let back = loop {
        let back = desk.get_transfer(asked.clone()).await.expect("known").into_inner();
        if back.state() != TransferState::Sent || Instant::now() > until {
            break back;
        }
    };
    assert_eq!((back.state(), back.returned_for), (TransferState::Returned, 22));

    let hold = HoldRequest { transfer: Some(pay(4, ann, ben, 40)), timeout_ms: 60_000 };
    desk.hold(hold).await.expect("held");
    desk.post(PostRequest { id: id(5), hold: id(4), amount_fen: 30 }).await.expect("posted");
    let posted = desk.get_transfer(GetTransferRequest { id: id(4), account: id(ann) }).await.expect("known");
    assert_eq!(posted.into_inner().state(), TransferState::Posted);

    let restrict = RestrictAccountRequest { account: id(ben), ceiling_fen: 1_130, frozen: false };
    desk.restrict_account(restrict).await.expect("bounded");
    let status = desk.transfer(pay(6, ann, ben, 1)).await.expect_err("it is full");
    assert_eq!(outcome_of(&status), Outcome::Refused { number: 35 });
    let status = desk.close_account(CloseAccountRequest { account: id(ben) }).await.expect_err("it holds money");
    assert_eq!(outcome_of(&status), Outcome::Refused { number: 40 });

    let mut packed = Vec::new();
    for (number, credit) in [(10_u128, far), (11, ben), (12, ann)] {
        for part in [number, ann, credit, 0] {
            packed.extend_from_slice(&part.to_be_bytes());
        }
        packed.extend_from_slice(&5_i64.to_be_bytes());
        packed.extend_from_slice(&[0; 8]);
    }
    let batch = BatchRequest { packed: packed.into(), ..BatchRequest::default() };
    let results = desk.batch(batch).await.expect("answered").into_inner().packed;
    let refusals: Vec<u8> = results.chunks(16).map(|result| result[9]).collect();
    assert_eq!((refusals, results[11]), (vec![0, 35, 13], 1), "under way, too full, to itself");
    wait_for(&mut desk, far, 1_055).await;

    let audit = AdminClient::new(channel).audit(AuditRequest {}).await.expect("audited").into_inner();
    assert!(audit.ok, "{:?}", audit.items);
}

#[tokio::test]
async fn a_payer_with_a_limit_sends_no_more_than_it_within_a_day() {
    let (_node, channel) = start(&["--open-registration"]).await;
    let mut phone = RedPacketClient::new(channel.clone());
    let mut desk = LedgerClient::new(channel);
    let register = RegisterUserRequest { user: id(1), name: "user 1".to_owned(), fund_fen: 10_000 };
    phone.register_user(register).await.expect("registered");
    phone.create_chat(CreateChatRequest { chat: id(9), name: "chat".to_owned(), owner: id(1) }).await.expect("made");
    let limit = LimitPaymentsRequest { account: id(1), payment_fen_max: 1_500, day_fen_max: 1_800 };
    desk.limit_payments(limit).await.expect("limited");
    let send = |order: u128, total_fen: i64| SendPacketRequest { total_fen, ..new_packet(order, 1) };
    for (order, fen, refusal) in
        [(0x5000, 1_501, Some(21_041)), (0x5100, 1_000, None), (0x5200, 801, Some(21_042)), (0x5200, 800, None)]
    {
        let answer = phone.send_packet(send(order, fen)).await;
        let found = answer.err().map(|status| outcome_of(&status));
        assert_eq!(found, refusal.map(|number| Outcome::Refused { number }), "{order:x}: {fen} fen");
    }
    let shown = desk.get_payment_limits(GetPaymentLimitsRequest { account: id(1) }).await.expect("shown").into_inner();
    assert_eq!((shown.payment_fen_max, shown.day_fen_max, shown.day_fen_spent), (1_500, 1_800, 1_800));
}

const GROUPS: [machine::GroupId; 2] = [machine::GroupId(1), machine::GroupId(2)];

fn home(account: u128) -> machine::GroupId {
    ledger::home(ledger::AccountId(account), &GROUPS)
}

#[tokio::test]
async fn bills_and_journals_are_read_by_kind_and_time_and_as_they_grow() {
    let (_node, channel) = start(&["--open-registration"]).await;
    let mut desk = LedgerClient::new(channel);
    let (ann, ben, _) = three_accounts(&mut desk).await;
    let watched = WatchAccountRequest { account: id(ben), after: 0 };
    let mut pushed = desk.watch_account(watched).await.expect("a stream").into_inner();
    let first = desk.transfer(pay(1, ann, ben, 10)).await.expect("booked").into_inner();
    for number in 2..=40 {
        desk.transfer(pay(number, ann, ben, 10)).await.expect("booked");
    }
    let mut seen = Vec::new();
    while seen.len() < 40 {
        let more = pushed.message().await.expect("it goes on").expect("it does not end");
        seen.extend(more.lines.into_iter().map(|line| (line.amount_fen, line.balance_fen)));
    }
    assert_eq!(seen, (1..=40).map(|number| (10, 1_000 + 10 * number)).collect::<Vec<_>>());

    let bill = BillRequest { account: id(ann), limit: 100, ..BillRequest::default() };
    let of_kind = BillRequest { kinds: vec![BillKind::Funded.into()], ..bill.clone() };
    let funded = desk.bill(of_kind).await.expect("shown").into_inner().lines;
    assert_eq!(funded.iter().map(|line| line.amount_fen).collect::<Vec<_>>(), [1_000]);
    let early = BillRequest { before_ms: first.booked_ms, oldest_first: true, stale_ms_max: 60_000, ..bill };
    assert_eq!(desk.bill(early).await.expect("shown").into_inner().lines, funded);
    let at = BalanceAtRequest { account: id(ann), before_ms: first.booked_ms };
    assert_eq!(desk.balance_at(at).await.expect("shown").into_inner().balance_fen, 1_000);

    let follow = FollowJournalRequest { group: home(ann).0, from: first.journal };
    let mut journal = desk.follow_journal(follow).await.expect("a stream").into_inner();
    let mut numbers = Vec::new();
    while numbers.len() < 41 {
        let page = journal.message().await.expect("it goes on").expect("it does not end");
        numbers.extend(page.postings.iter().map(|posting| posting.number));
        if numbers.len() == 40 {
            desk.transfer(pay(41, ann, ben, 10)).await.expect("booked");
        }
    }
    assert_eq!(numbers, (first.journal..first.journal + 41).collect::<Vec<_>>(), "no gap, and nothing twice");
}
