//! What the ledger hands to the courier: payments for other shards; for the outside "packet paid", and news of orders.
//!
//! ```text
//!  1 packet paid: group u32 | order u128 | packet u128 | payer u128 | money | paid_ms u64 | details bytes
//!  3 order paid:     group u32 | order u128 | merchant u128 | payer u128 | money | at_ms u64 | number bytes
//!  4 order refunded: group u32 | order u128 | merchant u128 | money | refunded | at_ms u64 | number bytes | refund bytes
//!  2 payment:     source u32 | carried | from u128 | account u128 | money | code u16 | memo | serial packed
//!
//!  here  payer ─> clearing(there)  ··payment··>  there  clearing(here) ─> payee
//!                                                or     clearing(here) ─> suspense ─> clearing(here)
//!  here  clearing(there) ─> payer  <··return··
//! ```
//!
//! Why: a record stays in its shard's rows until its target took it, and the target takes it once; so money between two
//! shards is either here, or on the way, or there, and the serials of the two clearing accounts say which. A customer's
//! payment that cannot land comes back by itself; a share of a packet, whose escrow it left for good, is parked, and so
//! is what goes back of an order.
//!
//! Must never: be refused by a target for a reason that time does not mend: it would hold up all behind it.

use bytes::Bytes;
use machine::{DecodeError, GroupId, Key, Layout, Reader, TimestampMs, Writer};

use crate::account::{Account, AccountKey, Body};
use crate::book::{Book, Posting};
use crate::carried::Carried;
use crate::claim::ClaimKey;
use crate::fen::{Fen, Money};
use crate::ids::{AccountId, JournalNumber, OrderId, PacketId, TransferId};
use crate::order::PAYMENT_CODE;
use crate::packed;
use crate::parked::Landing;
use crate::refusal::Refusal;
use crate::reply::{Answer, Done};
use crate::rows::{self, RowKey};
use crate::transfer::{Fingerprint, StoredTransfer, TransferKey, check_code};
use crate::verb::{Remit, Transfer};

/// A record under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CourierRecord {
    /// To the outside: a packet was paid and shall be made.
    PacketPaid {
        /// The group that holds its escrow.
        group: GroupId,
        /// The order.
        order: OrderId,
        /// The packet.
        packet: PacketId,
        /// Who paid.
        payer: AccountId,
        /// How much.
        money: Money,
        /// Machine time of the debit.
        paid: TimestampMs,
        /// What the packet shall be.
        details: Bytes,
    },
    /// To the outside: an order of a merchant was paid.
    OrderPaid {
        /// The merchant's group.
        group: GroupId,
        /// The order.
        order: OrderId,
        /// Whose it is.
        merchant: AccountId,
        /// Who paid.
        payer: AccountId,
        /// How much.
        money: Money,
        /// Machine time.
        at: TimestampMs,
        /// The merchant's number of the order.
        number: Bytes,
    },
    /// To the outside: what an order was paid with, or a part of it, goes back.
    OrderRefunded {
        /// The merchant's group.
        group: GroupId,
        /// The order.
        order: OrderId,
        /// Whose it is.
        merchant: AccountId,
        /// How much.
        money: Money,
        /// How much went back up to now, this counted.
        refunded: Fen,
        /// Machine time.
        at: TimestampMs,
        /// The merchant's number of the order.
        number: Bytes,
        /// The merchant's number of the refund.
        refund: Bytes,
    },
    /// To another shard: money for one of its customers.
    Payment {
        /// The shard that sent it.
        source: GroupId,
        /// Which it is.
        what: Carried,
        /// Who pays: the packet's payer, the debit account, or the account that it could not land in.
        from: AccountId,
        /// Who gets it.
        account: AccountId,
        /// How much.
        money: Money,
        /// The caller's word for what it is; of a return: the number of the refusal.
        code: u16,
        /// The caller's reference.
        memo: u128,
        /// Its number among the payments of this currency between the two shards: from 1, without gaps.
        serial: u64,
    },
}

impl Layout for CourierRecord {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::PacketPaid { group, order, packet, payer, money, paid, details } => {
                out.u8(1);
                out.u32(group.0);
                order.encode(out);
                packet.encode(out);
                payer.encode(out);
                money.encode(out);
                paid.encode(out);
                out.bytes(details);
            }
            Self::OrderPaid { group, order, merchant, payer, money, at, number } => {
                out.u8(3);
                out.u32(group.0);
                order.encode(out);
                merchant.encode(out);
                payer.encode(out);
                money.encode(out);
                at.encode(out);
                out.bytes(number);
            }
            Self::OrderRefunded { group, order, merchant, money, refunded, at, number, refund } => {
                out.u8(4);
                out.u32(group.0);
                order.encode(out);
                merchant.encode(out);
                money.encode(out);
                refunded.encode(out);
                at.encode(out);
                out.bytes(number);
                out.bytes(refund);
            }
            Self::Payment { source, what, from, account, money, code, memo, serial } => {
                out.u8(2);
                out.u32(source.0);
                what.encode(out);
                from.encode(out);
                account.encode(out);
                money.encode(out);
                out.u16(*code);
                packed::put_memo(out, *memo);
                packed::put(out, *serial);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::PacketPaid {
                group: GroupId(input.u32()?),
                order: OrderId::decode(input)?,
                packet: PacketId::decode(input)?,
                payer: AccountId::decode(input)?,
                money: Money::decode(input)?,
                paid: TimestampMs::decode(input)?,
                details: input.bytes()?,
            }),
            2 => Ok(Self::Payment {
                source: GroupId(input.u32()?),
                what: Carried::decode(input)?,
                from: AccountId::decode(input)?,
                account: AccountId::decode(input)?,
                money: Money::decode(input)?,
                code: input.u16()?,
                memo: packed::get_memo(input)?,
                serial: packed::get(input)?,
            }),
            3 => Ok(Self::OrderPaid {
                group: GroupId(input.u32()?),
                order: OrderId::decode(input)?,
                merchant: AccountId::decode(input)?,
                payer: AccountId::decode(input)?,
                money: Money::decode(input)?,
                at: TimestampMs::decode(input)?,
                number: input.bytes()?,
            }),
            4 => Ok(Self::OrderRefunded {
                group: GroupId(input.u32()?),
                order: OrderId::decode(input)?,
                merchant: AccountId::decode(input)?,
                money: Money::decode(input)?,
                refunded: Fen::decode(input)?,
                at: TimestampMs::decode(input)?,
                number: input.bytes()?,
                refund: input.bytes()?,
            }),
            tag => Err(DecodeError::Unknown { what: "courier record", tag }),
        }
    }
}

/// Names the rows that taking `record` reads.
pub(crate) fn record_keys(record: &Bytes, keys: &mut Vec<Key>) {
    let Ok(CourierRecord::Payment { source, what, account, money, code, memo, .. }) = CourierRecord::from_bytes(record)
    else {
        return;
    };
    let mut name = |key: RowKey| keys.push(key.to_key());
    name(rows::transfer(what.arrival(source)));
    name(rows::account(AccountKey::Clearing(source, money.currency)));
    name(rows::account(AccountKey::Customer(account)));
    name(rows::account(AccountKey::Suspense(money.currency)));
    if code == PAYMENT_CODE {
        name(rows::order(OrderId(memo)));
    }
    if let Carried::Share(share) = what {
        name(rows::claim(&ClaimKey { account, source, share }));
    }
}

/// A payment that leaves this shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure {
    /// From its payer to the clearing account of the other group; its serial is made here.
    pub(crate) posting: Posting,
    pub(crate) to_group: GroupId,
    pub(crate) what: Carried,
    pub(crate) from: AccountId,
    pub(crate) account: AccountId,
}

impl Book<'_> {
    /// Refuses: `AmountNotPositive`, `AmountTooLarge`, `GroupInvalid`, `SameAccount`, `DebitUnknown`, `DebitClosed`,
    /// `DebitFrozen`, `CurrencyMismatch`, `InsufficientFunds`, `CodeReserved`, `BalanceLimit`.
    pub(crate) fn remit(&mut self, remit: &Remit) -> Answer {
        let Remit { transfer: Transfer { id, debit, credit, money, code, memo }, to_group } = *remit;
        money.amount.check_amount()?;
        if [GroupId::META, GroupId::OUTSIDE, self.context.group].contains(&to_group) {
            return Err(Refusal::GroupInvalid);
        }
        if debit == credit {
            return Err(Refusal::SameAccount);
        }
        let (payer, clearing) = (AccountKey::Customer(debit), AccountKey::Clearing(to_group, money.currency));
        let (row, _) = self.parties(payer, clearing, money.currency)?;
        row.check_available(money.amount)?;
        check_code(code)?;
        let posting = Posting { code, memo, ..Posting::of(TransferKey::Own(id), payer, clearing, money) };
        let what = Carried::Transfer(id);
        self.depart(&Departure { posting, to_group, what, from: debit, account: credit }, row).map(Done::Sent)
    }

    /// Books a payment into the clearing account of the other group, and sends it there.
    ///
    /// Refuses: `EscrowShort`, `InsufficientFunds`, `BalanceLimit`.
    pub(crate) fn depart(&mut self, departure: &Departure, payer: Account) -> Result<JournalNumber, Refusal> {
        let Departure { posting, to_group, what, from, account } = *departure;
        let Posting { money, code, memo, .. } = posting;
        let mut clearing = self.account(posting.credit).ok_or(Refusal::GroupInvalid)?;
        let mut serial = 0;
        if let Body::Clearing { sent, .. } = &mut clearing.body {
            *sent = sent.saturating_add(1);
            serial = *sent;
        }
        let number = self.post(&Posting { serial, ..posting }, payer, clearing)?;
        let source = self.context.group;
        let payment = CourierRecord::Payment { source, what, from, account, money, code, memo, serial };
        self.send(to_group, payment.to_bytes());
        Ok(number)
    }

    /// Takes a payment from another shard, once. Errors: a record that a newer build wrote, or that is no payment from
    /// `source`; it waits at its source until it can be taken.
    pub(crate) fn arrive(&mut self, source: GroupId, record: &Bytes) -> Result<(), String> {
        let payment = CourierRecord::from_bytes(record).map_err(|error| error.to_string())?;
        let CourierRecord::Payment { source: sender, what, from, account, money, code, memo, serial } = payment else {
            return Err("a ledger takes payments only".to_owned());
        };
        if sender != source {
            return Err(format!("the record was sent by group {}, not {}", sender.0, source.0));
        }
        let key = what.arrival(source);
        if self.stored(key).is_some() {
            // A source that was moved or restored sends again what it does not know to have arrived.
            return Ok(());
        }
        let clearing_key = AccountKey::Clearing(source, money.currency);
        let mut clearing = self.account(clearing_key).ok_or("no clearing account")?;
        if let Body::Clearing { received, .. } = &mut clearing.body {
            *received = received.saturating_add(1);
        }
        let posting = Posting::of(key, clearing_key, AccountKey::Customer(account), money);
        let landing = Landing { posting: Posting { code, memo, serial, ..posting }, source, what, account };
        let fits = self.receiver(&landing).and_then(|_| self.check_order_of(&landing));
        let done = match (what, fits) {
            (Carried::Transfer(id), Err(reason)) if !landing.is_refund() => {
                self.bounce(&landing, id, from, reason, clearing)
            }
            _ => self.land(&landing, clearing),
        };
        let done = done.map_err(|refusal| refusal.to_string())?;
        if let (Some(order), Done::Booked(entry)) = (landing.order(), done) {
            self.order_is_paid(order, from, source, entry);
        }
        self.store(key, StoredTransfer { done, fingerprint: Fingerprint::of_record(record) });
        Ok(())
    }

    /// Sends back what cannot land: into suspense and out of it, so that every serial has its entry.
    fn bounce(
        &mut self,
        landing: &Landing,
        id: TransferId,
        from: AccountId,
        reason: Refusal,
        clearing: Account,
    ) -> Answer {
        let Landing { posting, source, account, .. } = *landing;
        let number = self.suspend(&posting, clearing)?;
        let key = TransferKey::Bounce(source, id);
        let suspense_key = AccountKey::Suspense(posting.money.currency);
        let suspense = self.account(suspense_key).ok_or(Refusal::CreditUnknown)?;
        let back = Posting::of(key, suspense_key, posting.debit, posting.money);
        let back = Posting { code: reason.number(), memo: posting.memo, ..back };
        // It goes to whom it came from, and from whom it was for. No limit can refuse it: what it moves was moved just now.
        let what = Carried::Return(id);
        let departure = Departure { posting: back, to_group: source, what, from: account, account: from };
        let sent = self.depart(&departure, suspense)?;
        self.store(key, StoredTransfer { done: Done::Sent(sent), fingerprint: Fingerprint::default() });
        Ok(Done::Bounced(number))
    }
}
