//! Risk: whether a payment may go on. A few rules of our own, then a risk system, if one was named.
//!
//! ```text
//!  too much at once, too many in a moment ──> refused
//!  risk system: no ──> refused     yes ──> on     silent ──> small payments go on, large ones wait
//! ```
//!
//! Why both ways when it is silent: a tea must be payable while the risk system restarts, and a car need not be.
//!
//! Must never: be asked about a payment that is already made; its repeat must find out, whatever the risk is thought to be.

use std::sync::Arc;

use futures::future::BoxFuture;
use ledger::{AccountId, OrderId};
use tokio::time::{Instant, timeout};

use crate::access::rates::Rates;
use crate::failure::{DoorRefusal, Failure};
use crate::limits::{RISK_BURST, RISK_DEADLINE, RISK_OPEN_FEN_MAX, RISK_PAYMENT_FEN_MAX};

/// A payment that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// Who pays.
    pub(crate) payer: AccountId,
    /// Who is paid.
    pub(crate) merchant: AccountId,
    /// For which order.
    pub(crate) order: OrderId,
    /// How much.
    pub(crate) fen: i64,
}

/// Somebody who is asked.
pub(crate) trait Judge: Send + Sync {
    /// Whether the payment may go on. Errors: no answer.
    fn judge(&self, attempt: Attempt) -> BoxFuture<'_, Result<bool, String>>;
}

/// The rules, and the risk system behind them.
pub(crate) struct Risk {
    pace: Rates<AccountId>,
    judge: Option<Arc<dyn Judge>>,
}

impl Risk {
    pub(crate) fn new(judge: Option<Arc<dyn Judge>>) -> Self {
        Self { pace: Rates::new(1, RISK_BURST), judge }
    }

    /// Refuses: `TooRisky`. Errors: `Busy`, too many payments in a moment; `NotApplied`, the risk system is silent.
    pub(crate) async fn assess(&self, attempt: Attempt) -> Result<(), Failure> {
        if attempt.fen > RISK_PAYMENT_FEN_MAX {
            return Err(DoorRefusal::TooRisky.into());
        }
        self.pace.take(attempt.payer, Instant::now())?;
        let Some(judge) = &self.judge else { return Ok(()) };
        let silent = match timeout(RISK_DEADLINE, judge.judge(attempt)).await {
            Ok(Ok(true)) => return Ok(()),
            Ok(Ok(false)) => return Err(DoorRefusal::TooRisky.into()),
            Ok(Err(reason)) => reason,
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(silent, fen = attempt.fen, "the risk system is silent");
        if attempt.fen <= RISK_OPEN_FEN_MAX {
            return Ok(());
        }
        Err(Failure::NotApplied("the risk system is silent".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as it was made to; `None`: not at all.
    struct Stub(Option<Result<bool, String>>);

    impl Judge for Stub {
        fn judge(&self, _: Attempt) -> BoxFuture<'_, Result<bool, String>> {
            match self.0.clone() {
                Some(answer) => Box::pin(std::future::ready(answer)),
                None => Box::pin(std::future::pending()),
            }
        }
    }

    #[tokio::test]
    async fn silence_lets_small_payments_on_and_holds_large_ones() {
        let (small, large, giant) = (RISK_OPEN_FEN_MAX, RISK_OPEN_FEN_MAX + 1, RISK_PAYMENT_FEN_MAX + 1);
        let refused = || Err(Failure::from(DoorRefusal::TooRisky));
        let waits = || Err(Failure::NotApplied("the risk system is silent".to_owned()));
        let table = [
            (Some(Ok(true)), small, Ok(())),
            (Some(Ok(true)), large, Ok(())),
            (Some(Ok(true)), giant, refused()),
            (Some(Ok(false)), small, refused()),
            (Some(Err("down".to_owned())), small, Ok(())),
            (Some(Err("down".to_owned())), large, waits()),
            (None, small, Ok(())),
            (None, large, waits()),
        ];
        for (answer, fen, expected) in table {
            let risk = Risk::new(Some(Arc::new(Stub(answer.clone()))));
            let attempt = Attempt { payer: AccountId(1), merchant: AccountId(2), order: OrderId(3), fen };
            assert_eq!(risk.assess(attempt).await, expected, "{answer:?} {fen}");
        }
    }

    #[tokio::test]
    async fn nobody_pays_many_orders_in_a_moment() {
        let risk = Risk::new(None);
        let attempt = |payer| Attempt { payer: AccountId(payer), merchant: AccountId(2), order: OrderId(3), fen: 1 };
        for _ in 0..RISK_BURST.as_secs() {
            assert_eq!(risk.assess(attempt(1)).await, Ok(()));
        }
        assert!(matches!(risk.assess(attempt(1)).await, Err(Failure::Busy { .. })));
        assert_eq!(risk.assess(attempt(9)).await, Ok(()), "another payer");
    }
}
