//! Notices: a merchant is told that an order was paid, or that money went back, by a signed post to his address.
//!
//! ```text
//!  shard's record ──> signed ──> topic pay-notices-X (three copies) ──> the merchant's subscription ──> POST, again and again
//! ```
//!
//! Why a topic: its pushes have what a merchant's address needs: leases, growing pauses for a day, places that a merchant
//! who hangs does not take from others, a guard over where this cluster connects to, and a queue for what nobody took.
//!
//! Must never: hold the outbox up for a merchant who has no address; whoever is not told asks by the order's number.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use ledger::{AccountId, CourierRecord};
use queue_client::Error;
use serde_json::{Value, json};

use crate::access::session::Sessions;
use crate::limits::NOTICES_UNDER_WAY_MAX;
use crate::queues::Queues;

/// Tells merchants.
#[derive(Clone)]
pub(crate) struct Notices {
    pub(crate) queues: Queues,
    pub(crate) sessions: Sessions,
}

/// The topic that carries a merchant's notices: one of sixteen, because a topic has room for so many subscriptions.
fn topic(merchant: AccountId) -> String {
    format!("pay-notices-{:x}", merchant.0 & 0xf)
}

fn routing_key(merchant: AccountId) -> String {
    format!("merchant.{:032x}", merchant.0)
}

impl Notices {
    /// Posts notices for `merchant` to `url` from now on. Errors: not known to be so; `Refused`, the address is none.
    pub(crate) async fn post_to(&self, merchant: AccountId, url: &str) -> Result<(), Error> {
        let (name, key) = (format!("m-{:032x}", merchant.0), routing_key(merchant));
        self.queues.post_to(&topic(merchant), &name, (&key, url)).await
    }

    /// Publishes the news of orders. Errors: not known to be kept, all of them may be published again.
    pub(crate) async fn publish(&self, news: Vec<CourierRecord>) -> Result<(), Error> {
        let notices: Vec<(AccountId, Value)> = news.iter().filter_map(words).collect();
        let work = notices.into_iter().map(|(merchant, notice)| async move {
            let body = self.signed(merchant, &notice.to_string());
            match self.queues.publish(&topic(merchant), &routing_key(merchant), vec![body]).await {
                Err(Error::Refused { .. }) => {
                    tracing::debug!(merchant = merchant.0, "nobody takes this merchant's notices");
                    Ok(())
                }
                told => told,
            }
        });
        futures::stream::iter(work).buffer_unordered(NOTICES_UNDER_WAY_MAX).try_collect().await
    }

    fn signed(&self, merchant: AccountId, notice: &str) -> Bytes {
        let signature = hex(&self.sessions.sign_notice(merchant, notice));
        Bytes::from(json!({ "notice": notice, "signature": signature }).to_string())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a merchant is told of a record, and which one; `None`: it is no news of an order.
fn words(record: &CourierRecord) -> Option<(AccountId, Value)> {
    let id = |id: u128| format!("{id:032x}");
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    match record {
        CourierRecord::OrderPaid { order, merchant, payer, money, at, number, .. } => {
            let notice = json!({
                "event": "order.paid", "order": id(order.0), "merchant": id(merchant.0), "number": text(number),
                "amount_fen": money.amount.0, "payer": id(payer.0), "at_ms": at.0,
            });
            Some((*merchant, notice))
        }
        CourierRecord::OrderRefunded { order, merchant, money, refunded, at, number, refund, .. } => {
            let notice = json!({
                "event": "order.refunded", "order": id(order.0), "merchant": id(merchant.0), "number": text(number),
                "amount_fen": money.amount.0, "refund": text(refund), "refunded_fen": refunded.0, "at_ms": at.0,
            });
            Some((*merchant, notice))
        }
        CourierRecord::PacketPaid { .. } | CourierRecord::Payment { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use ledger::{Money, OrderId};
    use machine::{GroupId, TimestampMs};

    use super::*;

    #[test]
    fn a_notice_says_what_was_paid_for_which_number() {
        let paid = CourierRecord::OrderPaid {
            group: GroupId(1),
            order: OrderId(7),
            merchant: AccountId(0x1f),
            payer: AccountId(9),
            money: Money::cny(300),
            at: TimestampMs(5),
            number: Bytes::from_static(b"A-1"),
        };
        let (merchant, notice) = words(&paid).expect("it is news");
        assert_eq!((merchant, topic(merchant).as_str()), (AccountId(0x1f), "pay-notices-f"));
        assert_eq!(
            (&notice["event"], &notice["number"], &notice["amount_fen"]),
            (&json!("order.paid"), &json!("A-1"), &json!(300))
        );
    }
}
