//! Accounts as phones see them: opened, funded, shown, with bills in real time.
//!
//! Must never: show a balance that is older than what was acknowledged.

use std::sync::Arc;
use std::time::Duration;

use ledger::{
    Account, AccountKey, BillPage, BillQuery, Claim, ClaimKey, Currency, CustomerKind, JournalNumber, LedgerView,
    Money, OpenAccount, TransferId, Verb, Wallet,
};
use packets::UserId;

use crate::derived::derived;
use crate::failure::Failure;
use crate::homes::Homes;
use crate::limits::COMMAND_DEADLINE;
use crate::tenpay::booking::Booking;
use crate::tenpay::pending::Pending;

/// The account of a user's wallet: it bears the user's own number.
pub(crate) const fn wallet(user: UserId) -> ledger::AccountId {
    ledger::AccountId(user.0)
}

/// What a wallet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Balance {
    /// Fen booked.
    pub(crate) booked: i64,
    /// Fen of it that holds have set aside.
    pub(crate) held: i64,
    /// Fen on their way.
    pub(crate) pending: i64,
    /// How many credits these are.
    pub(crate) pending_credits: u32,
}

/// An account and what is on its way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The account's row.
    pub(crate) account: Account,
    /// What is on its way.
    pub(crate) balance: Balance,
    /// The last entry of the shard's journal that this holds.
    pub(crate) journal: JournalNumber,
}

/// Opens, funds and shows accounts.
#[derive(Clone)]
pub(crate) struct Accounts {
    pub(crate) homes: Arc<Homes>,
    pub(crate) booking: Booking,
}

impl Accounts {
    /// Opens a user's wallet, and brings `fund_fen` in, once. Errors: as the ledger's `OpenAccount` and `Wallet`.
    pub(crate) async fn open_wallet(&self, user: UserId, fund_fen: i64) -> Result<(), Failure> {
        let account = wallet(user);
        let open = OpenAccount { account, kind: CustomerKind::User, currency: Currency::CNY };
        self.booking.step(account, Verb::Open(open), COMMAND_DEADLINE).await?;
        if fund_fen > 0 {
            let fund = Wallet { id: first_funding(user), account, money: Money::cny(fund_fen), memo: 0 };
            self.booking.step(account, Verb::Fund(fund), COMMAND_DEADLINE).await?;
        }
        Ok(())
    }

    /// An account as it is now. Refuses: `AccountUnknown`.
    pub(crate) async fn standing(&self, account: ledger::AccountId) -> Result<Standing, Failure> {
        self.standing_within(account, Duration::ZERO).await
    }

    /// An account as it was `age` ago, or later. Refuses: `AccountUnknown`.
    pub(crate) async fn standing_within(&self, account: ledger::AccountId, age: Duration) -> Result<Standing, Failure> {
        let read = self.homes.ledger(account).within(age, |seen| {
            let view = LedgerView::over(seen.rows);
            let row = view.account(AccountKey::Customer(account))?;
            Ok::<_, machine::LoadError>((row, view.claims(account)?, seen.machine.journal_end().0))
        });
        let (row, claims, journal) = read.await??;
        let account = row.ok_or(ledger::Refusal::AccountUnknown)?;
        Ok(Standing { account, balance: balance(&account, &claims), journal })
    }

    /// What `account` holds, as far as this node knows; `None`: it does not know the account.
    pub(crate) fn balance_here(&self, account: ledger::AccountId) -> Result<Option<Balance>, Failure> {
        let read = self.homes.ledger(account).stale(|seen| {
            let view = LedgerView::over(seen.rows);
            let Some(row) = view.account(AccountKey::Customer(account))? else { return Ok(None) };
            Ok::<_, machine::LoadError>(Some(balance(&row, &view.claims(account)?)))
        });
        Ok(read??)
    }

    /// A page of an account's bill, as it was `age` ago, or later. Refuses: `AccountUnknown`.
    pub(crate) async fn bill(
        &self,
        account: ledger::AccountId,
        query: &BillQuery,
        age: Duration,
    ) -> Result<BillPage, Failure> {
        let read = self.homes.ledger(account).within(age, |seen| {
            let view = LedgerView::over(seen.rows);
            let is_known = view.account(AccountKey::Customer(account))?.is_some();
            Ok::<_, machine::LoadError>((is_known, view.bill(account, query)?))
        });
        match read.await?? {
            (true, page) => Ok(page),
            (false, _) => Err(ledger::Refusal::AccountUnknown.into()),
        }
    }
}

fn balance(account: &Account, claims: &[(ClaimKey, Claim)]) -> Balance {
    let (pending, pending_credits) = Pending::sum(claims);
    let held = account.customer().map_or(0, |customer| customer.held.0);
    Balance { booked: account.balance.0, held, pending, pending_credits }
}

/// The id of a user's first funding: computed, so that a repeated registration funds once.
fn first_funding(user: UserId) -> TransferId {
    TransferId(derived(&[b"first funding", &user.0.to_be_bytes()]))
}
