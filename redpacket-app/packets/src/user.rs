//! Users: a name, an account of the ledger, and totals by year.
//!
//! Why in every group of packets: an open must find its user without asking another group. A door registers a user in
//! all groups; a repeat changes nothing. Totals count only what happened in their own group, and a door adds them up.
//!
//! ```text
//!  user row  version u8=1 | account u128 | name str | registered_ms u64 | count u32 | count x {year u16 | sent u64 |
//!            sent_fen i64 | received u64 | received_fen i64}
//! ```
//!
//! Must never: hold a balance. That is the ledger's.

use std::collections::BTreeMap;

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::calendar::year_of;
use crate::fen::Fen;
use crate::ids::{AccountId, UserId};
use crate::limits::{NAME_BYTES_MAX, YEARS_MAX};
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rows::{self, ROW_VERSION, check_version};
use crate::turn::Turn;

/// What a user sent and received in a year, in one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct YearTotals {
    /// Packets sent.
    pub sent: u64,
    /// Their fen, before any refund.
    pub sent_fen: Fen,
    /// Shares opened.
    pub received: u64,
    /// Their fen, arrived or waiting.
    pub received_fen: Fen,
}

impl YearTotals {
    /// These totals and those of another group.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent.saturating_add(other.sent),
            sent_fen: self.sent_fen.plus(other.sent_fen),
            received: self.received.saturating_add(other.received),
            received_fen: self.received_fen.plus(other.received_fen),
        }
    }
}

/// A person with a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Where credits go.
    pub account: AccountId,
    /// What others see.
    pub name: String,
    /// Machine time of the registration.
    pub registered: TimestampMs,
    /// Totals by year; the last [`YEARS_MAX`] years that have any.
    pub years: BTreeMap<u16, YearTotals>,
}

impl User {
    pub(crate) fn count_sent(&mut self, fen: Fen, now: TimestampMs) {
        self.add(now, YearTotals { sent: 1, sent_fen: fen, ..YearTotals::default() });
    }

    pub(crate) fn count_received(&mut self, fen: Fen, now: TimestampMs) {
        self.add(now, YearTotals { received: 1, received_fen: fen, ..YearTotals::default() });
    }

    fn add(&mut self, now: TimestampMs, totals: YearTotals) {
        let year = self.years.entry(year_of(now)).or_default();
        *year = year.plus(totals);
        while self.years.len() > YEARS_MAX {
            self.years.pop_first();
        }
    }
}

impl Layout for User {
    fn encode(&self, out: &mut Writer) {
        out.u8(ROW_VERSION);
        self.account.encode(out);
        out.str(&self.name);
        self.registered.encode(out);
        out.len(self.years.len());
        for (year, totals) in &self.years {
            out.u16(*year);
            out.u64(totals.sent);
            totals.sent_fen.encode(out);
            out.u64(totals.received);
            totals.received_fen.encode(out);
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "user row")?;
        let (account, name) = (AccountId::decode(input)?, input.str()?);
        let registered = TimestampMs::decode(input)?;
        let mut years = BTreeMap::new();
        for _ in 0..input.count(YEARS_MAX)? {
            let year = input.u16()?;
            let (sent, sent_fen) = (input.u64()?, Fen::decode(input)?);
            let (received, received_fen) = (input.u64()?, Fen::decode(input)?);
            years.insert(year, YearTotals { sent, sent_fen, received, received_fen });
        }
        Ok(Self { account, name, registered, years })
    }
}

/// A name that can be shown. Refuses: `BadName`.
pub(crate) const fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX { Err(Refusal::BadName) } else { Ok(()) }
}

/// Makes a user known. Refuses: `AlreadyExists` (with another account or name), `BadName`.
pub(crate) fn register(turn: &mut Turn<'_>, id: UserId, account: AccountId, name: String) -> Result<Reply, Refusal> {
    let key = rows::user(id);
    if let Some(known) = rows::get::<User>(turn.rows, &key) {
        let is_same = known.account == account && known.name == name;
        return if is_same { Ok(Reply::Done) } else { Err(Refusal::AlreadyExists) };
    }
    check_name(&name)?;
    let user = User { account, name, registered: turn.now(), years: BTreeMap::new() };
    turn.rows.put(key, user.to_bytes());
    turn.counts.users = turn.counts.users.saturating_add(1);
    Ok(Reply::Done)
}
