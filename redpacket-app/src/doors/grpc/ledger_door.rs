//! The ledger's service: accounts, transfers, holds and the journal, for programs that are trusted.
//!
//! Must never: decide what the ledger decides; a refusal comes back with the ledger's own number.

use std::sync::Arc;

use futures::stream::BoxStream;
use ledger::Verb;
use proto::ledger::v1::ledger_server::Ledger;
use proto::ledger::v1::{
    BalanceAtReply, BalanceAtRequest, BatchReply, BatchRequest, BillReply, BillRequest, CloseAccountReply,
    CloseAccountRequest, FollowJournalRequest, FundRequest, GetAccountReply, GetAccountRequest, GetPaymentLimitsReply,
    GetPaymentLimitsRequest, GetTransferReply, GetTransferRequest, HoldReply, HoldRequest, JournalReply,
    JournalRequest, LimitPaymentsReply, LimitPaymentsRequest, ListParkedReply, ListParkedRequest, OpenAccountReply,
    OpenAccountRequest, PostRequest, RestrictAccountReply, RestrictAccountRequest, RetryParkedRequest, TransferReply,
    TransferRequest, VoidReply, VoidRequest, WatchAccountReply, WatchAccountRequest, WithdrawRequest,
};
use tonic::{Request, Response, Status};

use super::Door;
use super::convert::{self, Reply, ledger_status};
use super::{
    ledger_accounts as accounts, ledger_booking as booking, ledger_limits as limits, ledger_reading as reading,
};
use crate::app::App;
use crate::failure::{DoorRefusal, Failure};

fn reply<T>(answer: Result<T, Failure>) -> Reply<T> {
    answer.map(Response::new).map_err(ledger_status)
}

#[tonic::async_trait]
impl Ledger for Door {
    type WatchAccountStream = BoxStream<'static, Result<WatchAccountReply, Status>>;
    type FollowJournalStream = BoxStream<'static, Result<JournalReply, Status>>;

    async fn open_account(&self, request: Request<OpenAccountRequest>) -> Reply<OpenAccountReply> {
        reply(accounts::open(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn restrict_account(&self, request: Request<RestrictAccountRequest>) -> Reply<RestrictAccountReply> {
        reply(accounts::restrict(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn limit_payments(&self, request: Request<LimitPaymentsRequest>) -> Reply<LimitPaymentsReply> {
        reply(limits::limit(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn get_payment_limits(&self, request: Request<GetPaymentLimitsRequest>) -> Reply<GetPaymentLimitsReply> {
        reply(limits::show(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn close_account(&self, request: Request<CloseAccountRequest>) -> Reply<CloseAccountReply> {
        reply(accounts::close(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn fund(&self, request: Request<FundRequest>) -> Reply<TransferReply> {
        let app = self.let_program_in(&request)?;
        let FundRequest { id, account, amount_fen } = request.into_inner();
        if !app.sessions.is_open {
            return Err(ledger_status(DoorRefusal::FundingClosed));
        }
        reply(booking::wallet(app, (&id, &account), amount_fen, Verb::Fund).await)
    }

    async fn withdraw(&self, request: Request<WithdrawRequest>) -> Reply<TransferReply> {
        let app = self.let_program_in(&request)?;
        let WithdrawRequest { id, account, amount_fen } = request.into_inner();
        reply(booking::wallet(app, (&id, &account), amount_fen, Verb::Withdraw).await)
    }

    async fn transfer(&self, request: Request<TransferRequest>) -> Reply<TransferReply> {
        reply(booking::transfer(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn batch(&self, request: Request<BatchRequest>) -> Reply<BatchReply> {
        reply(booking::batch(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn hold(&self, request: Request<HoldRequest>) -> Reply<HoldReply> {
        reply(booking::hold(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn post(&self, request: Request<PostRequest>) -> Reply<TransferReply> {
        reply(booking::post(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn void(&self, request: Request<VoidRequest>) -> Reply<VoidReply> {
        reply(booking::void(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn get_account(&self, request: Request<GetAccountRequest>) -> Reply<GetAccountReply> {
        reply(accounts::show(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn balance_at(&self, request: Request<BalanceAtRequest>) -> Reply<BalanceAtReply> {
        reply(accounts::balance_at(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn bill(&self, request: Request<BillRequest>) -> Reply<BillReply> {
        reply(accounts::bill(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn watch_account(&self, request: Request<WatchAccountRequest>) -> Reply<Self::WatchAccountStream> {
        reply(reading::watch(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn journal(&self, request: Request<JournalRequest>) -> Reply<JournalReply> {
        reply(reading::journal(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn follow_journal(&self, request: Request<FollowJournalRequest>) -> Reply<Self::FollowJournalStream> {
        reply(reading::follow(self.let_program_in(&request)?, request.get_ref()))
    }

    async fn get_transfer(&self, request: Request<GetTransferRequest>) -> Reply<GetTransferReply> {
        reply(reading::transfer(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn list_parked(&self, request: Request<ListParkedRequest>) -> Reply<ListParkedReply> {
        reply(reading::parked(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn retry_parked(&self, request: Request<RetryParkedRequest>) -> Reply<TransferReply> {
        reply(booking::retry(self.let_program_in(&request)?, request.get_ref()).await)
    }
}

impl Door {
    /// The roles, for a program that may use the ledger. Refuses: `BadToken`.
    fn let_program_in<T>(&self, request: &Request<T>) -> Result<&Arc<App>, Status> {
        let app = self.app()?;
        app.sessions.check_program(convert::token(request)).map_err(ledger_status)?;
        Ok(app)
    }
}
