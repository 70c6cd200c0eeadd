//! Opening, bounding and closing customers' accounts.
//!
//! Must never: close an account that money can still come to or go from.

use crate::account::{Account, AccountKey, Body, Customer, CustomerKind, Status};
use crate::bill::BillTail;
use crate::book::Book;
use crate::fen::Fen;
use crate::ids::AccountId;
use crate::limits::{BALANCE_FEN_MAX, CURRENCIES_MAX};
use crate::refusal::Refusal;
use crate::reply::{Answer, Done};
use crate::verb::{OpenAccount, Restrict};

impl Customer {
    /// A new customer's part.
    pub(crate) const fn new(kind: CustomerKind) -> Self {
        Self {
            kind,
            status: Status::Open,
            held: Fen::ZERO,
            incoming: Fen::ZERO,
            ceiling: Fen::ZERO,
            holds: 0,
            claims: 0,
            packets: 0,
            bill: BillTail::EMPTY,
        }
    }
}

impl Book<'_> {
    /// Refuses: `AccountClosed`, `AccountDiffers`, `TooManyCurrencies`.
    pub(crate) fn open_account(&mut self, open: &OpenAccount) -> Answer {
        let key = AccountKey::Customer(open.account);
        if let Some(account) = self.account(key) {
            let is_open = account.customer().is_some_and(Customer::is_open);
            let is_same = account.customer().is_some_and(|customer| customer.kind == open.kind);
            return match (is_open, is_same && account.currency == open.currency) {
                (false, _) => Err(Refusal::AccountClosed),
                (true, false) => Err(Refusal::AccountDiffers),
                (true, true) => Ok(Done::Opened),
            };
        }
        if !self.state.sums.contains_key(&open.currency) {
            if self.state.sums.len() >= CURRENCIES_MAX {
                return Err(Refusal::TooManyCurrencies);
            }
            self.state.sums.entry(open.currency).or_default();
        }
        let body = Body::Customer(Customer::new(open.kind));
        self.put_account(key, &Account::new(open.currency, self.context.now, body));
        self.state.counts.accounts = self.state.counts.accounts.saturating_add(1);
        Ok(Done::Opened)
    }

    /// Refuses: `CeilingInvalid`, `AccountUnknown`, `AccountClosed`.
    pub(crate) fn restrict(&mut self, restrict: &Restrict) -> Answer {
        let Restrict { account, ceiling, is_frozen } = *restrict;
        if ceiling < Fen::ZERO || ceiling.0 > BALANCE_FEN_MAX {
            return Err(Refusal::CeilingInvalid);
        }
        let row = self.account(AccountKey::Customer(account)).ok_or(Refusal::AccountUnknown)?;
        if !row.customer().ok_or(Refusal::AccountUnknown)?.is_open() {
            return Err(Refusal::AccountClosed);
        }
        self.adjust(account, |customer| {
            customer.ceiling = ceiling;
            customer.status = if is_frozen { Status::Frozen } else { Status::Open };
        });
        Ok(Done::Restricted)
    }

    /// Refuses: `AccountUnknown`, `HoldsPending`, `ClaimsPending`, `PacketsLive`, `BalanceNotZero`.
    pub(crate) fn close_account(&mut self, account: AccountId) -> Answer {
        let row = self.account(AccountKey::Customer(account)).ok_or(Refusal::AccountUnknown)?;
        let customer = row.customer().ok_or(Refusal::AccountUnknown)?;
        if customer.holds > 0 {
            return Err(Refusal::HoldsPending);
        }
        if customer.claims > 0 {
            return Err(Refusal::ClaimsPending);
        }
        if customer.packets > 0 {
            return Err(Refusal::PacketsLive);
        }
        if row.balance != Fen::ZERO {
            return Err(Refusal::BalanceNotZero);
        }
        self.adjust(account, |customer| customer.status = Status::Closed);
        Ok(Done::Closed)
    }
}
