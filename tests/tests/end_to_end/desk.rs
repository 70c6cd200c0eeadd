//! The app's client: single transfers of many callers share calls, each is booked once while the ledger's leader is killed,
//! and a refusal is its caller's alone.
//!
//! Must never: read a balance that may be older than the last booking.

use std::sync::Arc;
use std::time::Duration;

use app_client::{Booked, Desk, Doors, Id, Miss, Transfer, book_batch};
use bytes::Bytes;
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::ledger::v1::{AccountKind, FundRequest, GetAccountRequest, OpenAccountRequest};
use tests::local::LocalCluster;
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

const DEADLINE: Duration = Duration::from_secs(60);
const FUND_FEN: i64 = 100_000;
const TRANSFERS: u128 = 600;
/// The ledger's refusals, see docs/refusals.
const SAME_ACCOUNT: u16 = ledger::Refusal::SameAccount.number();
const INSUFFICIENT_FUNDS: u16 = ledger::Refusal::InsufficientFunds.number();
const ID_REUSED: u16 = ledger::Refusal::IdReused.number();

const fn id(number: u128) -> Id {
    number.to_be_bytes()
}

const fn transfer(number: u128, debit: u128, credit: u128, amount_fen: i64) -> Transfer {
    Transfer { id: id(number), debit: id(debit), credit: id(credit), amount_fen, code: 0, memo: id(0) }
}

fn doors(cluster: &LocalCluster) -> Doors {
    let file = cluster.file();
    let nodes = file["app"].as_array().expect("the file lists the app's nodes");
    let door = |node: &serde_json::Value| {
        let address = node["grpc"].as_str().expect("it has an address").to_owned();
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("it is an address");
        (address, endpoint.connect_lazy())
    };
    Doors::new(nodes.iter().map(door).collect(), 0).expect("there are nodes")
}

async fn open(doors: &Doors, account: u128, fund_fen: i64) {
    let account = Bytes::copy_from_slice(&id(account));
    let request = OpenAccountRequest { account: account.clone(), kind: AccountKind::User.into(), currency: 0 };
    let opened = doors.call(DEADLINE, |channel| {
        let request = request.clone();
        async move { LedgerClient::new(channel).open_account(request).await }
    });
    opened.await.expect("the account is opened");
    if fund_fen > 0 {
        let request = FundRequest { id: account.clone(), account, amount_fen: fund_fen };
        let funded = doors.call(DEADLINE, |channel| {
            let request = request.clone();
            async move { LedgerClient::new(channel).fund(request).await }
        });
        funded.await.expect("the account is funded");
    }
}

async fn balance(doors: &Doors, account: u128) -> i64 {
    let account = Bytes::copy_from_slice(&id(account));
    let shown = doors.call(DEADLINE, |channel| {
        let request = GetAccountRequest { account: account.clone(), stale_ms_max: 0 };
        async move { LedgerClient::new(channel).get_account(request).await }
    });
    shown.await.expect("the account is shown").balance_fen
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_that_share_calls_are_booked_once_each_though_the_leader_dies() {
    let cluster = Arc::new(LocalCluster::start(true));
    let doors = Arc::new(doors(&cluster));
    for account in 1..=8 {
        open(&doors, account, if account <= 4 { FUND_FEN } else { 0 }).await;
    }
    let desk = Desk::open(Arc::clone(&doors), DEADLINE);
    let kill = {
        let cluster = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || cluster.must(&["kill", "ledger-leader", "--signal", "9"]))
    };
    let mut callers = JoinSet::new();
    for number in 0..TRANSFERS {
        let desk = desk.clone();
        callers.spawn(async move {
            let asked = transfer(1_000 + number, 1 + number % 4, 5 + number % 4, 1);
            let booked = desk.transfer(asked).await?;
            // A repeat books nothing, and is told the same.
            let again = desk.transfer(asked).await?;
            Ok::<_, Miss>((booked, again))
        });
    }
    for told in callers.join_all().await {
        let (booked, again) = told.expect("it is booked");
        assert_eq!(booked.journal, again.journal);
    }
    kill.await.expect("the leader was killed");
    let each = i64::try_from(TRANSFERS / 4).expect("it is small");
    for account in 1..=4 {
        assert_eq!(balance(&doors, account).await, FUND_FEN - each, "account {account}");
    }

    // Of many in one call each is refused for itself, and alone with the same number.
    let table = [
        (transfer(2_001, 1, 1, 1), Some(SAME_ACCOUNT)),
        (transfer(2_002, 1, 2, FUND_FEN * 10), Some(INSUFFICIENT_FUNDS)),
        (transfer(1_000, 1, 5, 2), Some(ID_REUSED)),
        (transfer(2_003, 1, 2, 7), None),
    ];
    let many = book_batch(&doors, DEADLINE, table.iter().map(|(transfer, _)| transfer)).await.expect("it is answered");
    for ((transfer, refusal), result) in table.iter().zip(many.each) {
        assert_eq!(result.err(), *refusal, "{transfer:?}");
        match (desk.transfer(*transfer).await, refusal) {
            (Ok(Booked { journal, .. }), None) => assert!(journal > 0),
            (Err(Miss::Refused { number, text, .. }), Some(refusal)) => {
                assert!(number == *refusal && !text.is_empty(), "{transfer:?}: {number}, {text}");
            }
            (told, _) => panic!("{transfer:?}: {told:?}"),
        }
    }
    let first = balance(&doors, 1).await;
    assert_eq!(first, FUND_FEN - each - 7, "what was refused left no trace");
}
