//! What the ledger hands to the courier: credits for other shards, and "packet paid" for the outside.
//!
//! ```text
//!  1 packet paid: group u32 | order u128 | packet u128 | payer u128 | money | paid_ms u64 | details bytes
//!  2 credit:      source u32 | packet u128 share u32 | account u128 | money | serial u64
//! ```
//!
//! Why: a record stays in its shard's rows until its target took it, and the target takes it once; so money between two
//! shards is either here, or on the way, or there, and the serials of the two clearing accounts say which.
//!
//! Must never: be refused by a target for a reason that time does not mend: it would hold up all behind it. What cannot
//! land is parked.

use bytes::Bytes;
use machine::{DecodeError, GroupId, Key, Layout, Reader, TimestampMs, Writer};

use crate::account::{AccountKey, Body};
use crate::book::Book;
use crate::claim::ClaimKey;
use crate::fen::Money;
use crate::ids::{AccountId, OrderId, PacketId, ShareId};
use crate::parked::Landing;
use crate::rows;
use crate::transfer::{Fingerprint, StoredTransfer, TransferKey};

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
    /// To another shard: a share's credit.
    Credit {
        /// The shard that sent it.
        source: GroupId,
        /// The share.
        share: ShareId,
        /// Who gets it.
        account: AccountId,
        /// How much.
        money: Money,
        /// Its number among the credits of this currency between the two shards: from 1, without gaps.
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
            Self::Credit { source, share, account, money, serial } => {
                out.u8(2);
                out.u32(source.0);
                share.encode(out);
                account.encode(out);
                money.encode(out);
                out.u64(*serial);
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
            2 => Ok(Self::Credit {
                source: GroupId(input.u32()?),
                share: ShareId::decode(input)?,
                account: AccountId::decode(input)?,
                money: Money::decode(input)?,
                serial: input.u64()?,
            }),
            tag => Err(DecodeError::Unknown { what: "courier record", tag }),
        }
    }
}

/// Names the rows that taking `record` reads.
pub(crate) fn record_keys(record: &Bytes, keys: &mut Vec<Key>) {
    let Ok(CourierRecord::Credit { source, share, account, money, .. }) = CourierRecord::from_bytes(record) else {
        return;
    };
    keys.extend([
        rows::transfer(TransferKey::Arrival(source, share)),
        rows::account(AccountKey::Clearing(source, money.currency)),
        rows::account(AccountKey::Customer(account)),
        rows::account(AccountKey::Suspense(money.currency)),
        rows::claim(&ClaimKey { account, source, share }),
    ]);
}

impl Book<'_> {
    /// Takes a credit from another shard, once. Errors: a record that a newer build wrote, or that is no credit from
    /// `source`; it waits at its source until it can be taken.
    pub(crate) fn arrive(&mut self, source: GroupId, record: &Bytes) -> Result<(), String> {
        let credit = CourierRecord::from_bytes(record).map_err(|error| error.to_string())?;
        let CourierRecord::Credit { source: sender, share, account, money, serial } = credit else {
            return Err("a ledger takes credits only".to_owned());
        };
        if sender != source {
            return Err(format!("the record was sent by group {}, not {}", sender.0, source.0));
        }
        let key = TransferKey::Arrival(source, share);
        if self.stored(key).is_some() {
            // A source that was moved or restored sends again what it does not know to have arrived.
            return Ok(());
        }
        let from = AccountKey::Clearing(source, money.currency);
        let mut clearing = self.account(from).ok_or("no clearing account")?;
        if let Body::Clearing { received, .. } = &mut clearing.body {
            *received = received.saturating_add(1);
        }
        let landing = Landing { key, from, source, share, account, money, memo: u128::from(serial) };
        let done = self.land(&landing, clearing).map_err(|refusal| refusal.to_string())?;
        let fingerprint = Fingerprint::of(&CourierRecord::Credit { source, share, account, money, serial });
        self.store(key, StoredTransfer { done, fingerprint });
        Ok(())
    }
}
