//! The three numbers of the queue machine that must not be mixed: queue, message, delivery.
//!
//! ```text
//!  message id       group 8 | birth queue 20 | the queue's own count 36
//!  delivery number  queue 20 | the queue's own count 44
//! ```
//!
//! Why packed: consecutive sends to one queue get consecutive ids however many queues interleave, so that ids of a long
//! backlog are one run in memory; and a delivery number of a deleted queue can never match its successor of the same name.
//!
//! Must never: give a number twice.

use machine::{BodyRef, DecodeError, GroupId, Layout, Reader, Writer};

use crate::limits::{DELIVERY_BITS, GROUP_BITS, MESSAGE_BITS, QUEUE_ID_BITS, QUEUE_ID_MAX};

/// Names a queue for ever: a queue created again under the same name has another id. From 1 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u32);

/// Names a message for ever, also when it moves to a dead-letter queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

/// Names one delivery of one message: the receipt its consumer holds, and a fencing token, for it only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryNumber(pub u64);

impl QueueId {
    /// The id after this one. `None`: all are used up.
    pub(crate) fn next(self) -> Option<Self> {
        self.0.checked_add(1).filter(|next| *next <= QUEUE_ID_MAX).map(Self)
    }
}

impl MessageId {
    /// The id of the message that `queue` counts as its `count`-th. `None`: a part does not fit its bits.
    pub(crate) fn new(group: GroupId, queue: QueueId, count: u64) -> Option<Self> {
        let fits = group.0 >> GROUP_BITS == 0 && queue.0 <= QUEUE_ID_MAX && count >> MESSAGE_BITS == 0;
        let high = u64::from(group.0) << (QUEUE_ID_BITS + MESSAGE_BITS);
        fits.then_some(Self(high | u64::from(queue.0) << MESSAGE_BITS | count))
    }

    /// Whether `queue` of `group` gave this id, and which of its messages it named.
    pub(crate) fn count_in(self, group: GroupId, queue: QueueId) -> Option<u64> {
        let count = self.0 & ((1 << MESSAGE_BITS) - 1);
        (Self::new(group, queue, count) == Some(self)).then_some(count)
    }

    /// The queue that gave this id.
    pub(crate) const fn birth_queue(self) -> QueueId {
        // The mask leaves 20 bits.
        QueueId((self.0 >> MESSAGE_BITS & QUEUE_ID_MAX as u64) as u32)
    }

    /// The name of the message's body.
    #[must_use]
    pub const fn body(self) -> BodyRef {
        BodyRef(self.0)
    }

    /// The id `steps` behind this one in the run of its queue's ids.
    pub(crate) const fn plus(self, steps: u64) -> Self {
        Self(self.0.saturating_add(steps))
    }
}

impl DeliveryNumber {
    /// The number of the delivery that `queue` counts as its `count`-th. `None`: a part does not fit its bits.
    pub(crate) fn new(queue: QueueId, count: u64) -> Option<Self> {
        let fits = queue.0 <= QUEUE_ID_MAX && count >> DELIVERY_BITS == 0;
        fits.then_some(Self(u64::from(queue.0) << DELIVERY_BITS | count))
    }
}

impl Layout for QueueId {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(input.u32()?))
    }
}

impl Layout for MessageId {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(input.u64()?))
    }
}

impl Layout for DeliveryNumber {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(input.u64()?))
    }
}

#[cfg(test)]
mod tests {
    use super::{DeliveryNumber, MessageId, QueueId};
    use crate::limits::QUEUE_ID_MAX;
    use machine::GroupId;

    #[test]
    fn a_message_id_has_one_place_for_each_part() {
        let rows = [
            (0, 1, 1, Some(0x0000_0010_0000_0001)),
            (0xab, 0x1_2345, 0x7, Some(0xab12_3450_0000_0007)),
            (255, QUEUE_ID_MAX, (1 << 36) - 1, Some(u64::MAX)),
            (256, 1, 1, None),
            (0, QUEUE_ID_MAX + 1, 1, None),
            (0, 1, 1 << 36, None),
        ];
        for (group, queue, count, id) in rows {
            assert_eq!(MessageId::new(GroupId(group), QueueId(queue), count), id.map(MessageId));
        }
    }

    #[test]
    fn a_delivery_number_has_one_place_for_each_part() {
        let rows = [
            (1, 1, Some(0x0000_1000_0000_0001)),
            (QUEUE_ID_MAX, (1 << 44) - 1, Some(u64::MAX)),
            (QUEUE_ID_MAX + 1, 1, None),
            (1, 1 << 44, None),
        ];
        for (queue, count, number) in rows {
            assert_eq!(DeliveryNumber::new(QueueId(queue), count), number.map(DeliveryNumber));
        }
    }

    #[test]
    fn queue_ids_end_at_their_bits() {
        assert_eq!(QueueId(0).next(), Some(QueueId(1)));
        assert_eq!(QueueId(QUEUE_ID_MAX).next(), None);
    }
}
