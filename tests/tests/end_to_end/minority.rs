//! A node whose cluster has lost its majority: it says nothing that may not be true any more, unless its caller allows that.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::ledger::v1::GetAccountRequest;
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::outcome::{Outcome, outcome_of};
use proto::packet::v1::RegisterUserRequest;
use proto::packet::v1::red_packet_client::RedPacketClient;
use tests::local::LocalCluster;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

const DEADLINE: Duration = Duration::from_secs(60);
/// A node answers within this, or says that it cannot.
const PATIENCE: Duration = Duration::from_secs(15);
/// Users enough that each group of the ledger holds some.
const USERS: u128 = 8;
const HOUR_MS: u64 = 3_600_000;

fn id(number: u128) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

async fn balance(node: &Channel, user: u128, stale_ms_max: u64) -> Result<i64, Status> {
    let request = GetAccountRequest { account: id(user), stale_ms_max };
    LedgerClient::new(node.clone()).get_account(request).await.map(|reply| reply.into_inner().balance_fen)
}

#[tokio::test]
async fn without_a_majority_a_balance_is_told_as_it_was_or_not_at_all() {
    let cluster = LocalCluster::start(true);
    let file = cluster.file();
    let address = file["app"][0]["grpc"].as_str().expect("a node has an address").to_owned();
    let node = Endpoint::try_from(format!("http://{address}")).expect("an address").timeout(PATIENCE).connect_lazy();
    for user in 1..=USERS {
        let request = RegisterUserRequest { user: id(user), name: format!("user {user}"), fund_fen: 500 };
        let until = Instant::now() + DEADLINE;
        while let Err(status) = RedPacketClient::new(node.clone()).register_user(request.clone()).await {
            assert!(Instant::now() < until, "registered in time: {status}");
        }
        assert_eq!(balance(&node, user, 0).await.expect("a majority is there"), 500);
    }
    for dead in ["a2", "a3"] {
        cluster.must(&["kill", dead]);
    }
    for user in 1..=USERS {
        let known = balance(&node, user, HOUR_MS).await.expect("an answer of an hour ago will do");
        assert_eq!(known, 500, "user {user}");
    }
    // Every group by one of its users: reads without a majority wait for it until their deadline.
    let mut asked = JoinSet::new();
    for user in 1..=USERS {
        let node = node.clone();
        asked.spawn(async move { (user, balance(&node, user, 0).await) });
    }
    for (user, answer) in asked.join_all().await {
        let status = answer.expect_err("nobody says that this is still true");
        assert!(matches!(outcome_of(&status), Outcome::NotApplied(_)), "user {user}: {status}");
    }
    let recent = balance(&node, 1, 1).await.expect_err("what is known is older than a millisecond");
    assert!(matches!(outcome_of(&recent), Outcome::NotApplied(_)), "{recent}");
    cluster.must(&["start", "a2"]);
    let until = Instant::now() + DEADLINE;
    for user in 1..=USERS {
        while !matches!(balance(&node, user, 0).await, Ok(500)) {
            assert!(Instant::now() < until, "two of three are a majority again");
        }
    }
}
