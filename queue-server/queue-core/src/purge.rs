//! Purge: a queue drops its visible and delayed messages at once, and erases them bit by bit afterwards.
//!
//! Must never: take time that grows with the backlog's length. It grows with the raggedness, and with the messages that
//! were released with a delay and the half ones, both bounded.

use machine::{Rows, TimestampMs};

use crate::event::{EventKind, Step};
use crate::ids::DeliveryNumber;
use crate::lanes::start_of;
use crate::leases::Leases;
use crate::limits::ERASE_MAX;
use crate::queue::Queue;
use crate::tick::Moved;

impl Queue {
    /// Drops every visible, delayed and half message, and what a rewind could bring back. A held one is dropped when its
    /// lease ends. Answers: how many.
    pub(crate) fn purge(&mut self, now: TimestampMs, rows: &mut Rows) -> u64 {
        let visible = self.lanes.visible();
        self.lanes.purge();
        self.done.drop_all();
        self.counters.stall = None;
        let delayed = self.delays.clear();
        if delayed > 0 {
            self.counters.stale_delays = self.counters.stale_delays.saturating_add(delayed);
            self.counters.delay_epoch = self.counters.delay_epoch.saturating_add(1);
        }
        let dropped = visible.saturating_add(delayed).saturating_add(self.drop_halves(rows));
        self.counters.totals.purged = self.counters.totals.purged.saturating_add(dropped);
        let parked = self.leases.parked();
        for (delivery, seq) in parked_leases(&self.leases) {
            self.end_lease(delivery, rows);
            self.drop_message(seq, now, rows);
        }
        self.note(Step::of_queue(now, EventKind::Purged, 0), rows);
        dropped.saturating_add(parked)
    }

    /// Erases a bounded number of dropped messages; of a deleted queue, leased ones too.
    pub(crate) fn erase_some(&mut self, rows: &mut Rows) -> Moved {
        let mut stale = self.take_stale(ERASE_MAX);
        stale.append(&mut self.done.take_stale(ERASE_MAX.saturating_sub(stale.len())));
        let left = ERASE_MAX.saturating_sub(stale.len());
        let mut moved = if stale.is_empty() { Moved::Not } else { Moved::Done };
        for seq in stale {
            self.take_tries(seq, rows);
            self.erase(seq, rows);
        }
        if self.definition.is_deleted {
            let leased: Vec<_> = self.leases.iter().take(left).map(|(delivery, lease)| (delivery, lease.seq)).collect();
            for (delivery, seq) in leased {
                self.end_lease(delivery, rows);
                self.erase(seq, rows);
                moved = Moved::Done;
            }
        }
        moved
    }
}

impl Queue {
    /// Takes the first `count` places below their lanes' floors.
    fn take_stale(&mut self, count: usize) -> Vec<u64> {
        let mut taken = Vec::new();
        while let Some(lane) = self.lanes.first_stale().filter(|_| taken.len() < count) {
            let span = (start_of(lane), self.lanes.floor(lane));
            let stale = self.places.take(span, count.saturating_sub(taken.len()));
            self.lanes.take_stale(lane, u64::try_from(stale.len()).unwrap_or(u64::MAX));
            taken.extend(stale);
        }
        taken
    }
}

fn parked_leases(leases: &Leases) -> Vec<(DeliveryNumber, u64)> {
    leases.iter().filter(|(_, lease)| lease.is_parked).map(|(delivery, lease)| (delivery, lease.seq)).collect()
}
