//! The tally: how often a node was asked, by queue and topic. What the machine cannot know, because a request that finds
//! nothing is never proposed.
//!
//! | counted | CMQ's monitoring calls it |
//! |---|---|
//! | `Send`, `SendBatch` | SendMsgReqCount (messages: SendMsgNum, `sent` of the queue's totals) |
//! | `Receive`, `ReceiveBatch` | RecvMsgReqCount |
//! | `ReceiveNull`, `ReceiveBatchNull` | RecvNullMsgNum, BatchRecvNullMsgNum |
//! | `Delete` | DelMsgReqCount (messages: DelMsgNum, `acked` of the queue's totals) |
//! | `Publish`, `PublishBatch` | CountOfMsgPublished, CountOfMsgBatchPublished |
//! | `PublishBytes` | PublishSize |
//! | `Notify`, `NotifyDone` | NumOfNotify, NumOfSuccNotify |
//!
//! Must never: be relied on. Each node counts what it was asked itself, since its start.

use std::collections::BTreeMap;

use machine::GroupId;
use parking_lot::Mutex;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Deed {
    Send,
    SendBatch,
    Receive,
    ReceiveBatch,
    ReceiveNull,
    ReceiveBatchNull,
    Delete,
    Publish,
    PublishBatch,
    PublishBytes,
    Notify,
    NotifyDone,
}

impl Deed {
    /// All, in their order, each with the name of its metric.
    pub(crate) const ALL: [(Self, &'static str); 12] = [
        (Self::Send, "send_requests"),
        (Self::SendBatch, "send_batch_requests"),
        (Self::Receive, "receive_requests"),
        (Self::ReceiveBatch, "receive_batch_requests"),
        (Self::ReceiveNull, "receives_empty"),
        (Self::ReceiveBatchNull, "batch_receives_empty"),
        (Self::Delete, "delete_requests"),
        (Self::Publish, "publish_requests"),
        (Self::PublishBatch, "publish_batch_requests"),
        (Self::PublishBytes, "publish_bytes"),
        (Self::Notify, "notifies"),
        (Self::NotifyDone, "notifies_done"),
    ];

    /// That of a send of so many messages.
    pub(crate) const fn send(messages: usize) -> Self {
        if messages == 1 { Self::Send } else { Self::SendBatch }
    }

    /// That of a receive of up to so many messages.
    pub(crate) const fn receive(messages_max: usize) -> Self {
        if messages_max == 1 { Self::Receive } else { Self::ReceiveBatch }
    }

    /// That of such a receive that found none.
    pub(crate) const fn receive_null(messages_max: usize) -> Self {
        if messages_max == 1 { Self::ReceiveNull } else { Self::ReceiveBatchNull }
    }

    /// That of a publish of so many messages.
    pub(crate) const fn publish(messages: usize) -> Self {
        if messages == 1 { Self::Publish } else { Self::PublishBatch }
    }
}

/// The counts of one queue or topic, in the order of [`Deed::ALL`].
pub(crate) type Counts = [u64; Deed::ALL.len()];

/// Whose counts they are: a group, and the number of a queue or a topic in it (they share one range of numbers).
type Whose = (GroupId, u32);

/// Entries kept: more than there can be queues and topics. Those of deleted ones go when there is no room.
const ENTRIES_MAX: usize = 65_536;

/// Counts by queue and topic.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<Whose, Counts>>);

impl Tally {
    /// Counts one.
    pub(crate) fn count(&self, group: GroupId, id: u32, deed: Deed) {
        self.add(group, id, deed, 1);
    }

    /// Counts `more`.
    pub(crate) fn add(&self, group: GroupId, id: u32, deed: Deed, more: u64) {
        let mut counts = self.0.lock();
        if counts.len() >= ENTRIES_MAX && !counts.contains_key(&(group, id)) {
            // The lowest numbers are the oldest queues.
            counts.pop_first();
        }
        let counts = counts.entry((group, id)).or_default();
        if let Some(count) = counts.get_mut(deed as usize) {
            *count = count.saturating_add(more);
        }
    }

    /// The counts of a queue or topic.
    pub(crate) fn of(&self, group: GroupId, id: u32) -> Counts {
        self.0.lock().get(&(group, id)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deed_has_a_place_and_a_name_of_its_own() {
        let tally = Tally::default();
        for (place, (deed, name)) in Deed::ALL.into_iter().enumerate() {
            assert_eq!(deed as usize, place, "{name}");
            tally.add(GroupId(1), 7, deed, place as u64 + 1);
            tally.count(GroupId(2), 7, deed);
        }
        assert_eq!(tally.of(GroupId(1), 7), std::array::from_fn(|place| place as u64 + 1));
        assert_eq!(tally.of(GroupId(2), 7), [1; Deed::ALL.len()]);
        assert_eq!(tally.of(GroupId(3), 7), [0; Deed::ALL.len()]);
        let mut names: Vec<_> = Deed::ALL.iter().map(|(_, name)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Deed::ALL.len());
    }

    #[test]
    fn one_message_is_no_batch() {
        assert_eq!((Deed::send(1), Deed::send(2)), (Deed::Send, Deed::SendBatch));
        assert_eq!((Deed::receive(1), Deed::receive(16)), (Deed::Receive, Deed::ReceiveBatch));
        assert_eq!((Deed::receive_null(1), Deed::receive_null(2)), (Deed::ReceiveNull, Deed::ReceiveBatchNull));
        assert_eq!((Deed::publish(1), Deed::publish(9)), (Deed::Publish, Deed::PublishBatch));
    }
}
