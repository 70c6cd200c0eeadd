//! Leases: who holds which message until when.
//!
//! A lease is *held* by a consumer, or *parked*: its message was released with a delay, or is a dead letter that waits for
//! its queue. Both end at their deadline; only a held one has a receipt that is good for anything.
//!
//! Must never: find a lease by its message. Only the delivery number leads to it, so a stale receipt leads nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::ids::DeliveryNumber;
use crate::rows::{check_version, put_version};
use crate::tries::Tries;

/// One message that is out of the ready set for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) seq: u64,
    pub(crate) deadline: TimestampMs,
    pub(crate) tries: Tries,
    pub(crate) is_parked: bool,
}

/// All leases of one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leases {
    by_delivery: BTreeMap<DeliveryNumber, Lease>,
    by_deadline: BTreeSet<(TimestampMs, DeliveryNumber)>,
    parked: u64,
}

impl Leases {
    /// Leases that consumers hold, also those past their deadline that no tick has ended yet.
    pub(crate) fn held(&self) -> u64 {
        self.len().saturating_sub(self.parked)
    }

    /// Leases that only wait for their deadline.
    pub(crate) const fn parked(&self) -> u64 {
        self.parked
    }

    /// All leases.
    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.by_delivery.len()).unwrap_or(u64::MAX)
    }

    pub(crate) fn get(&self, delivery: DeliveryNumber) -> Option<&Lease> {
        self.by_delivery.get(&delivery)
    }

    /// The lease that `receipt` is good for at `now`: held, and its deadline has not come.
    pub(crate) fn live(&self, receipt: DeliveryNumber, now: TimestampMs) -> Option<&Lease> {
        self.get(receipt).filter(|lease| !lease.is_parked && now < lease.deadline)
    }

    /// Adds a lease, or replaces that of the same delivery.
    pub(crate) fn put(&mut self, delivery: DeliveryNumber, lease: Lease) {
        self.remove(delivery);
        self.by_deadline.insert((lease.deadline, delivery));
        self.parked = self.parked.saturating_add(u64::from(lease.is_parked));
        self.by_delivery.insert(delivery, lease);
    }

    pub(crate) fn remove(&mut self, delivery: DeliveryNumber) -> Option<Lease> {
        let lease = self.by_delivery.remove(&delivery)?;
        self.by_deadline.remove(&(lease.deadline, delivery));
        self.parked = self.parked.saturating_sub(u64::from(lease.is_parked));
        Some(lease)
    }

    /// In the order of deliveries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DeliveryNumber, &Lease)> {
        self.by_delivery.iter().map(|(delivery, lease)| (*delivery, lease))
    }

    /// Behind `delivery`, in the order of deliveries.
    pub(crate) fn behind(&self, delivery: DeliveryNumber) -> impl Iterator<Item = (DeliveryNumber, &Lease)> {
        let behind = (Bound::Excluded(delivery), Bound::Unbounded);
        self.by_delivery.range(behind).map(|(delivery, lease)| (*delivery, lease))
    }

    /// The earliest deadline.
    pub(crate) fn first_deadline(&self) -> Option<TimestampMs> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// In the order of deadlines.
    pub(crate) fn by_deadline(&self) -> impl Iterator<Item = (DeliveryNumber, &Lease)> {
        self.by_deadline.iter().filter_map(|(_, delivery)| Some((*delivery, self.get(*delivery)?)))
    }
}

impl Layout for Lease {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        out.u64(self.seq);
        self.deadline.encode(out);
        self.tries.encode(out);
        out.bool(self.is_parked);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "lease row")?;
        Ok(Self {
            seq: input.u64()?,
            deadline: TimestampMs::decode(input)?,
            tries: Tries::decode(input)?,
            is_parked: input.bool()?,
        })
    }
}
