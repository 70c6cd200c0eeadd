//! What a segment holds, from bytes that need not come from one. Checksums are made to fit, or nothing behind them is met.
//!
//! Must never: accept what does not read back as it was written.

#[path = "../../../replica/src/log/segment/footer.rs"]
mod footer;
#[path = "../../../replica/src/log/segment/record.rs"]
mod record;

use bytes::Bytes;

use crate::codec;
use record::{Change, Kind, RecordHead, SegmentHead};

const KINDS: [Kind; 5] = [Kind::Entry, Kind::Vote, Kind::Committed, Kind::Truncate, Kind::Purge];

/// One segment's worth of bytes.
pub(crate) fn play(bytes: Bytes) {
    let _ = SegmentHead::read(&bytes);
    let _ = RecordHead::read(&bytes, 7, 32);
    for kind in KINDS {
        let _ = Change::read(kind, &bytes);
        let _ = Change::read(kind, &codec::with_checksum(&bytes));
    }
    let _ = footer::place_of(&bytes, bytes.len() as u64);
    let head = SegmentHead { number: 3, salt: 7 };
    let _ = footer::read(&bytes, head);
    // A footer of these bytes, sealed as a segment's writer does it.
    if let Ok(groups) = footer::read(&footer::sealed(&bytes, head, 32), head) {
        let again = footer::to_bytes(&groups, head, 32);
        assert_eq!(footer::read(&again, head).as_ref(), Ok(&groups), "a footer reads back");
    }
}
