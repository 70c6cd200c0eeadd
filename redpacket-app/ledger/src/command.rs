//! Commands: what may be asked of a ledger shard.
//!
//! ```text
//!  command: verb | 64 count u32, count x { linked u8, verb } | 65 count u32, count x { hold u128, debit u128, credit u128 }
//!           | 66 published up to u64
//!  verb: 1 open | 2 close | 3 fund | 4 withdraw | 5 transfer | 6 hold | 7 post | 8 void | 9 pay packet
//!        10 settle or cancel | 11 credit share | 12 refund packet | 13 announce | 14 forget | 15 retry parked
//!        16 remit | 17 restrict | 18 limit payments | 19 place order | 20 pay order | 21 close order
//!        22 refund order | 23 set verifier
//! ```
//!
//! Must never: change a number; an unknown one parks the group until a newer build comes.

use machine::{DecodeError, Key, Layout, Reader, Writer};

use crate::account::AccountKey;
use crate::allowance::LimitPayments;
use crate::claim::ClaimKey;
use crate::ids::{AccountId, JournalNumber, OrderId, TransferId};
use crate::limits::{BATCH_STEPS_MAX, STEPS_DECODED_MAX, TICK_HOLDS_MAX};
use crate::order_verb::{CloseOrder, PayOrder, PlaceOrder, RefundOrder};
use crate::rows::{self, RowKey};
use crate::transfer::TransferKey;
use crate::verb::{
    AnnounceClaim, CreditShare, Hold, OpenAccount, PayPacket, Post, RefundPacket, Remit, Restrict, RetryParked,
    Transfer, Void, Wallet,
};
use crate::verifier::SetVerifier;

const BATCH: u8 = 64;
const TICK: u8 = 65;
const PUBLISHED: u8 = 66;

/// One thing to do. Every verb may be repeated: what its identity did first is answered again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// See [`OpenAccount`].
    Open(OpenAccount),
    /// Closes a customer's account, for ever.
    ///
    /// Refuses: `AccountUnknown`, `HoldsPending`, `ClaimsPending`, `PacketsLive`, `BalanceNotZero`.
    Close(AccountId),
    /// Issue to customer.
    Fund(Wallet),
    /// Customer to issue.
    Withdraw(Wallet),
    /// Customer to customer, both here.
    Transfer(Transfer),
    /// See [`Hold`].
    Hold(Hold),
    /// See [`Post`].
    Post(Post),
    /// See [`Void`].
    Void(Void),
    /// See [`PayPacket`].
    Pay(PayPacket),
    /// Answers what the order did, or sees to it that it never does anything.
    SettleOrCancel(OrderId),
    /// See [`CreditShare`].
    Credit(CreditShare),
    /// See [`RefundPacket`].
    Refund(RefundPacket),
    /// See [`AnnounceClaim`].
    Announce(AnnounceClaim),
    /// Takes a claim out of the index again.
    Forget(ClaimKey),
    /// See [`RetryParked`].
    Retry(RetryParked),
    /// Customer here to customer in another group.
    Remit(Remit),
    /// See [`Restrict`].
    Restrict(Restrict),
    /// See [`LimitPayments`].
    Limit(LimitPayments),
    /// See [`PlaceOrder`].
    PlaceOrder(PlaceOrder),
    /// See [`PayOrder`].
    PayOrder(PayOrder),
    /// See [`CloseOrder`].
    CloseOrder(CloseOrder),
    /// See [`RefundOrder`].
    RefundOrder(RefundOrder),
    /// See [`SetVerifier`].
    SetVerifier(SetVerifier),
}

impl Verb {
    /// The identity under which the verb happens at most once; `None`: it changes a state that its body names.
    #[must_use]
    pub const fn transfer_key(&self) -> Option<TransferKey> {
        match self {
            Self::Fund(body) | Self::Withdraw(body) => Some(TransferKey::Own(body.id)),
            Self::Transfer(body) => Some(TransferKey::Own(body.id)),
            Self::Hold(body) => Some(TransferKey::Own(body.id)),
            Self::Post(body) => Some(TransferKey::Own(body.id)),
            Self::Void(body) => Some(TransferKey::Own(body.id)),
            Self::Retry(body) => Some(TransferKey::Own(body.id)),
            Self::Remit(body) => Some(TransferKey::Own(body.transfer.id)),
            Self::PayOrder(body) => Some(TransferKey::Own(body.id)),
            Self::RefundOrder(body) => Some(TransferKey::Own(body.id)),
            Self::Pay(body) => Some(TransferKey::Order(body.order)),
            Self::Credit(body) => Some(TransferKey::Credit(body.share)),
            Self::Refund(body) => Some(TransferKey::Refund(body.packet)),
            Self::Open(_)
            | Self::Close(_)
            | Self::SettleOrCancel(_)
            | Self::Announce(_)
            | Self::Forget(_)
            | Self::Restrict(_)
            | Self::Limit(_)
            | Self::PlaceOrder(_)
            | Self::CloseOrder(_)
            | Self::SetVerifier(_) => None,
        }
    }

    /// Names the rows the verb reads; at most `KEYS_PER_STEP_MAX`.
    pub(crate) fn keys(&self, keys: &mut Vec<Key>) {
        let mut name = |key: RowKey| keys.push(key.to_key());
        let account = |account: AccountKey| rows::account(account);
        let customer = |account: AccountId| rows::account(AccountKey::Customer(account));
        if let Some(key) = self.transfer_key() {
            name(rows::transfer(key));
        }
        match self {
            Self::Open(OpenAccount { account, .. }) | Self::Restrict(Restrict { account, .. }) => {
                name(customer(*account));
            }
            Self::Close(account) => name(customer(*account)),
            Self::Fund(body) | Self::Withdraw(body) => {
                name(customer(body.account));
                name(account(AccountKey::Issue(body.money.currency)));
            }
            Self::Transfer(Transfer { debit, credit, .. }) | Self::Hold(Hold { debit, credit, .. }) => {
                name(customer(*debit));
                name(customer(*credit));
            }
            Self::Remit(Remit { transfer, to_group }) => {
                name(customer(transfer.debit));
                name(account(AccountKey::Clearing(*to_group, transfer.money.currency)));
            }
            Self::Post(Post { hold, debit, credit, .. }) | Self::Void(Void { hold, debit, credit, .. }) => {
                name(rows::transfer(TransferKey::Own(*hold)));
                name(rows::hold(*hold));
                name(customer(*debit));
                name(customer(*credit));
            }
            Self::Pay(pay) => {
                name(customer(pay.payer));
                name(account(AccountKey::Escrow(pay.packet)));
                name(rows::allowance(pay.payer));
            }
            Self::Limit(LimitPayments { account, .. }) => {
                name(customer(*account));
                name(rows::allowance(*account));
            }
            Self::SettleOrCancel(order) => name(rows::transfer(TransferKey::Order(*order))),
            Self::PlaceOrder(_) | Self::PayOrder(_) | Self::CloseOrder(_) | Self::RefundOrder(_) => {
                self.order_keys(&mut name);
            }
            Self::SetVerifier(SetVerifier { account, .. }) => {
                name(customer(*account));
                name(rows::verifier(*account));
            }
            Self::Credit(credit) => credit_keys(credit, &mut name),
            Self::Refund(refund) => {
                name(account(AccountKey::Escrow(refund.packet)));
                name(customer(refund.payer));
            }
            Self::Announce(AnnounceClaim { claim, .. }) => {
                name(rows::transfer(TransferKey::Credit(claim.share)));
                name(rows::transfer(TransferKey::Arrival(claim.source, claim.share)));
                name(rows::claim(claim));
                name(customer(claim.account));
            }
            Self::Forget(claim) => {
                name(rows::claim(claim));
                name(customer(claim.account));
            }
            Self::Retry(retry) => {
                name(rows::parked(retry.parked));
                name(account(AccountKey::Suspense(retry.currency)));
                name(customer(retry.account));
            }
        }
    }

    /// Names the rows that a verb of orders reads.
    fn order_keys(&self, name: &mut dyn FnMut(RowKey)) {
        let customer = |account: AccountId| rows::account(AccountKey::Customer(account));
        match self {
            Self::PlaceOrder(PlaceOrder { order, merchant, .. }) => {
                name(rows::order(*order));
                name(customer(*merchant));
            }
            Self::CloseOrder(CloseOrder { order, .. }) => name(rows::order(*order)),
            Self::PayOrder(PayOrder { order, payer, merchant, to_group, money, .. }) => {
                name(rows::order(*order));
                name(customer(*payer));
                name(customer(*merchant));
                name(rows::account(AccountKey::Clearing(*to_group, money.currency)));
                name(rows::allowance(*payer));
            }
            Self::RefundOrder(RefundOrder { order, payer, merchant, to_group, money, .. }) => {
                name(rows::order(*order));
                name(customer(*merchant));
                name(customer(*payer));
                name(rows::account(AccountKey::Clearing(*to_group, money.currency)));
                name(rows::account(AccountKey::Suspense(money.currency)));
            }
            _ => {}
        }
    }

    const fn tag(&self) -> u8 {
        match self {
            Self::Open(_) => 1,
            Self::Close(_) => 2,
            Self::Fund(_) => 3,
            Self::Withdraw(_) => 4,
            Self::Transfer(_) => 5,
            Self::Hold(_) => 6,
            Self::Post(_) => 7,
            Self::Void(_) => 8,
            Self::Pay(_) => 9,
            Self::SettleOrCancel(_) => 10,
            Self::Credit(_) => 11,
            Self::Refund(_) => 12,
            Self::Announce(_) => 13,
            Self::Forget(_) => 14,
            Self::Retry(_) => 15,
            Self::Remit(_) => 16,
            Self::Restrict(_) => 17,
            Self::Limit(_) => 18,
            Self::PlaceOrder(_) => 19,
            Self::PayOrder(_) => 20,
            Self::CloseOrder(_) => 21,
            Self::RefundOrder(_) => 22,
            Self::SetVerifier(_) => 23,
        }
    }

    fn decode_tagged(tag: u8, input: &mut Reader) -> Result<Self, DecodeError> {
        match tag {
            1 => OpenAccount::decode(input).map(Self::Open),
            2 => AccountId::decode(input).map(Self::Close),
            3 => Wallet::decode(input).map(Self::Fund),
            4 => Wallet::decode(input).map(Self::Withdraw),
            5 => Transfer::decode(input).map(Self::Transfer),
            6 => Hold::decode(input).map(Self::Hold),
            7 => Post::decode(input).map(Self::Post),
            8 => Void::decode(input).map(Self::Void),
            9 => PayPacket::decode(input).map(Self::Pay),
            10 => OrderId::decode(input).map(Self::SettleOrCancel),
            11 => CreditShare::decode(input).map(Self::Credit),
            12 => RefundPacket::decode(input).map(Self::Refund),
            13 => AnnounceClaim::decode(input).map(Self::Announce),
            14 => ClaimKey::decode(input).map(Self::Forget),
            15 => RetryParked::decode(input).map(Self::Retry),
            16 => Remit::decode(input).map(Self::Remit),
            17 => Restrict::decode(input).map(Self::Restrict),
            18 => LimitPayments::decode(input).map(Self::Limit),
            19 => PlaceOrder::decode(input).map(Self::PlaceOrder),
            20 => PayOrder::decode(input).map(Self::PayOrder),
            21 => CloseOrder::decode(input).map(Self::CloseOrder),
            22 => RefundOrder::decode(input).map(Self::RefundOrder),
            23 => SetVerifier::decode(input).map(Self::SetVerifier),
            tag => Err(DecodeError::Unknown { what: "verb", tag }),
        }
    }
}

/// The group that applies is not known here: so both ways a credit may go are named.
fn credit_keys(credit: &CreditShare, name: &mut dyn FnMut(RowKey)) {
    let currency = credit.money.currency;
    // The source of a claim that is credited within its group is the target group itself.
    let claim = ClaimKey { account: credit.account, source: credit.to_group, share: credit.share };
    for account in [
        AccountKey::Escrow(credit.share.packet),
        AccountKey::Customer(credit.payer),
        AccountKey::Customer(credit.account),
        AccountKey::Clearing(credit.to_group, currency),
        AccountKey::Suspense(currency),
    ] {
        name(rows::account(account));
    }
    name(rows::claim(&claim));
}

impl Layout for Verb {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.tag());
        match self {
            Self::Open(body) => body.encode(out),
            Self::Close(account) => account.encode(out),
            Self::Fund(body) | Self::Withdraw(body) => body.encode(out),
            Self::Transfer(body) => body.encode(out),
            Self::Hold(body) => body.encode(out),
            Self::Post(body) => body.encode(out),
            Self::Void(body) => body.encode(out),
            Self::Pay(body) => body.encode(out),
            Self::SettleOrCancel(order) => order.encode(out),
            Self::Credit(body) => body.encode(out),
            Self::Refund(body) => body.encode(out),
            Self::Announce(body) => body.encode(out),
            Self::Forget(claim) => claim.encode(out),
            Self::Retry(body) => body.encode(out),
            Self::Remit(body) => body.encode(out),
            Self::Restrict(body) => body.encode(out),
            Self::Limit(body) => body.encode(out),
            Self::PlaceOrder(body) => body.encode(out),
            Self::PayOrder(body) => body.encode(out),
            Self::CloseOrder(body) => body.encode(out),
            Self::RefundOrder(body) => body.encode(out),
            Self::SetVerifier(body) => body.encode(out),
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let tag = input.u8()?;
        Self::decode_tagged(tag, input)
    }
}

/// One verb of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Linked to the next step: both are done, or neither. A chain ends at its first step that is not linked.
    pub is_linked: bool,
    /// What to do.
    pub verb: Verb,
}

impl Layout for Step {
    fn encode(&self, out: &mut Writer) {
        out.bool(self.is_linked);
        self.verb.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { is_linked: input.bool()?, verb: Verb::decode(input)? })
    }
}

/// A hold whose time is over, with the accounts whose rows end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueHold {
    /// The hold.
    pub hold: TransferId,
    /// Its debit account.
    pub debit: AccountId,
    /// Its credit account.
    pub credit: AccountId,
}

impl Layout for DueHold {
    fn encode(&self, out: &mut Writer) {
        self.hold.encode(out);
        self.debit.encode(out);
        self.credit.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            hold: TransferId::decode(input)?,
            debit: AccountId::decode(input)?,
            credit: AccountId::decode(input)?,
        })
    }
}

/// What is proposed to a ledger shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A single step.
    One(Verb),
    /// Many steps, each answered by itself. Refuses as a whole: `BatchTooLarge`.
    Batch(Vec<Step>),
    /// Ends holds whose time is over by the entry's own stamp; proposed by the leader. Refuses: `BatchTooLarge`.
    Tick(Vec<DueHold>),
    /// Remembers up to where the journal has been handed to those outside. It never goes back, nor beyond the journal.
    Published(JournalNumber),
}

impl Command {
    /// Whether it holds more than one command may. Such a command must decode all the same: a door that proposed it is
    /// refused, and the group goes on.
    pub(crate) const fn is_too_large(&self) -> bool {
        match self {
            Self::One(_) | Self::Published(_) => false,
            Self::Batch(steps) => steps.len() > BATCH_STEPS_MAX,
            Self::Tick(due) => due.len() > TICK_HOLDS_MAX,
        }
    }

    /// Names the rows it reads.
    pub(crate) fn keys(&self, keys: &mut Vec<Key>) {
        if self.is_too_large() {
            return;
        }
        match self {
            Self::One(verb) => verb.keys(keys),
            Self::Published(_) => {}
            Self::Batch(steps) => steps.iter().for_each(|step| step.verb.keys(keys)),
            Self::Tick(due) => {
                for due in due {
                    keys.push(rows::hold(due.hold).to_key());
                    keys.push(rows::account(AccountKey::Customer(due.debit)).to_key());
                    keys.push(rows::account(AccountKey::Customer(due.credit)).to_key());
                }
            }
        }
    }
}

impl Layout for Command {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::One(verb) => verb.encode(out),
            Self::Batch(steps) => {
                out.u8(BATCH);
                out.list(steps);
            }
            Self::Tick(due) => {
                out.u8(TICK);
                out.list(due);
            }
            Self::Published(number) => {
                out.u8(PUBLISHED);
                number.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            BATCH => input.list(STEPS_DECODED_MAX).map(Self::Batch),
            TICK => input.list(STEPS_DECODED_MAX).map(Self::Tick),
            PUBLISHED => JournalNumber::decode(input).map(Self::Published),
            tag => Verb::decode_tagged(tag, input).map(Self::One),
        }
    }
}
