//! Parked credits: money that its account could not take (closed, full, unknown), and that waits for an operator.
//!
//! Must never: draw a new id for a second try. The credit's own place names it, so that a repeat lands it once.

use clap::Subcommand;
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::ledger::v1::{ListParkedRequest, ParkedCredit, RetryParkedRequest};
use proto::outcome::{Outcome, outcome_of};

use crate::admin;
use crate::args::Dir;
use crate::error::Error;
use crate::file::{ClusterFile, Folder, Kind};
use crate::link::{self, Signed};
use crate::screen;

/// Credits of one answer.
const PAGE: u32 = 1000;
/// Marks the ids of retries: "parked", as bytes.
const RETRY_IDS: u128 = 0x7061_726b_6564 << 80;

/// What to do with parked credits.
#[derive(Debug, Subcommand)]
pub(crate) enum Parked {
    /// Show every one, oldest first, shard by shard; exit 0 only if there is none.
    List {
        #[command(flatten)]
        dir: Dir,
    },
    /// Land one: in the account it was for, or in another one of its shard.
    Retry {
        #[command(flatten)]
        dir: Dir,
        /// The shard, as `list` shows it.
        group: u32,
        /// The credit's number, as `list` shows it.
        number: u64,
        /// Who gets it, 32 hexadecimal digits [default: who should have got it].
        #[arg(long, value_parser = account)]
        account: Option<u128>,
    },
}

fn account(text: &str) -> Result<u128, String> {
    let number = u128::from_str_radix(text, 16).map_err(|error| error.to_string());
    number.and_then(|number| if text.len() == 32 { Ok(number) } else { Err("an account has 32 digits".to_owned()) })
}

/// Does what was asked. `false`: some credits are parked, or the credit was refused again.
pub(crate) async fn parked(verb: Parked) -> Result<bool, Error> {
    match verb {
        Parked::List { dir } => {
            let lines = list(&Folder::open(&dir)?.cluster()?).await?;
            let is_empty = lines.is_empty();
            lines.iter().for_each(|line| screen::out(line));
            if is_empty {
                screen::out("no credit is parked");
            }
            Ok(is_empty)
        }
        Parked::Retry { dir, group, number, account } => {
            let cluster = Folder::open(&dir)?.cluster()?;
            let request = retry_of(group, number, account);
            match client(&cluster).await?.retry_parked(request).await {
                Ok(reply) => {
                    screen::out(&format!("landed by posting {} of shard {group}", reply.into_inner().journal));
                    Ok(true)
                }
                Err(status) if matches!(outcome_of(&status), Outcome::Refused { .. }) => {
                    screen::out(&format!("refused: {}", status.message()));
                    Ok(false)
                }
                Err(status) => Err(Error::call("parked retry")(status.message())),
            }
        }
    }
}

/// The same credit and account make the same id.
fn retry_of(group: u32, number: u64, account: Option<u128>) -> RetryParkedRequest {
    let fold = account.map_or(0, |account| (account >> 64) ^ (account & u128::from(u64::MAX)));
    let place = (u128::from(group) << 64) | u128::from(number);
    let id = RETRY_IDS ^ place ^ (fold << 16);
    let bytes = |number: u128| number.to_be_bytes().to_vec().into();
    RetryParkedRequest { id: bytes(id), group, number, account: account.map(bytes).unwrap_or_default() }
}

async fn list(cluster: &ClusterFile) -> Result<Vec<String>, Error> {
    let mut client = client(cluster).await?;
    let failed = |status: tonic::Status| Error::call::<&str>("parked list")(status.message());
    let mut lines = Vec::new();
    for group in ledger_groups(cluster).await {
        let mut after = 0;
        loop {
            let request = ListParkedRequest { group, after, limit: PAGE };
            let page = client.list_parked(request).await.map_err(failed)?.into_inner().parked;
            let Some(last) = page.last() else { break };
            after = last.number;
            lines.extend(page.iter().map(|credit| line(group, credit)));
        }
    }
    Ok(lines)
}

/// The shards of the ledger, as the app's nodes name them.
async fn ledger_groups(cluster: &ClusterFile) -> Vec<u32> {
    let views = admin::look(cluster.of(Kind::App)).await;
    let replicas = views.iter().filter_map(|view| view.answer.as_ref().ok()).flat_map(|status| &status.groups);
    let ledgers = replicas.filter(|replica| replica.kind() == proto::admin::v1::GroupKind::Ledger);
    let groups: std::collections::BTreeSet<u32> = ledgers.map(|replica| replica.group).collect();
    groups.into_iter().collect()
}

/// The first app node that can be reached.
async fn client(cluster: &ClusterFile) -> Result<LedgerClient<Signed>, Error> {
    let mut last = Err(Error::NoApp);
    for node in cluster.of(Kind::App) {
        match link::connected(&node.grpc).await {
            Ok(channel) => return Ok(LedgerClient::new(channel)),
            Err(error) => last = Err(error),
        }
    }
    last
}

fn line(group: u32, credit: &ParkedCredit) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!(
        "{group} {}  {} fen for {} from shard {}, transfer {}: {} ({})",
        credit.number,
        credit.amount_fen,
        hex(&credit.account),
        credit.source,
        hex(&credit.transfer),
        credit.text,
        credit.refusal
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_retry_bears_the_same_id_and_another_account_another() {
        let (same, again) = (retry_of(1, 7, None), retry_of(1, 7, None));
        assert_eq!(same, again);
        for other in [retry_of(2, 7, None), retry_of(1, 8, None), retry_of(1, 7, Some(9))] {
            assert_ne!(same.id, other.id, "{other:?}");
        }
        assert_eq!(same.id.len(), 16);
        assert!(same.account.is_empty(), "who should have got it");
    }

    #[test]
    fn an_account_is_thirty_two_digits() {
        assert_eq!(account("0000000000000000000000000000000a"), Ok(10));
        for text in ["a", "", "g0000000000000000000000000000000"] {
            assert!(account(text).is_err(), "{text:?}");
        }
    }
}
