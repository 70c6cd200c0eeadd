//! The packed form of a batch, as `ledger.proto` says it: 80 bytes a transfer, 16 a result.
//!
//! Must never: take a result that it does not know for a booking.

use crate::booking::{Booked, Transfer};

const TRANSFER_BYTES: usize = 80;
const RESULT_BYTES: usize = 16;
/// The flag of a result: the money is carried to another group.
const UNDER_WAY: u16 = 1;

/// The bytes of a call for these transfers, none linked to another.
pub(crate) fn write<'a>(transfers: impl ExactSizeIterator<Item = &'a Transfer>) -> Vec<u8> {
    let mut packed = Vec::with_capacity(transfers.len() * TRANSFER_BYTES);
    for Transfer { id, debit, credit, amount_fen, code, memo } in transfers {
        for part in [&id[..], debit, credit, memo, &amount_fen.to_be_bytes(), &code.to_be_bytes(), &[0; 6]] {
            packed.extend_from_slice(part);
        }
    }
    packed
}

/// The results of `count` transfers: booked, or the number of the refusal. `None`: the reply is another one's.
pub(crate) fn read(packed: &[u8], count: usize) -> Option<Vec<Result<Booked, u16>>> {
    let (results, rest) = packed.as_chunks::<RESULT_BYTES>();
    (results.len() == count && rest.is_empty()).then(|| results.iter().map(result).collect())
}

fn result(bytes: &[u8; RESULT_BYTES]) -> Result<Booked, u16> {
    let [j0, j1, j2, j3, j4, j5, j6, j7, r0, r1, f0, f1, ..] = *bytes;
    match u16::from_be_bytes([r0, r1]) {
        0 => Ok(Booked {
            journal: u64::from_be_bytes([j0, j1, j2, j3, j4, j5, j6, j7]),
            is_under_way: u16::from_be_bytes([f0, f1]) & UNDER_WAY != 0,
        }),
        refusal => Err(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_transfer_has_eighty_bytes_each_part_at_its_place() {
        let transfer =
            Transfer { id: [1; 16], debit: [2; 16], credit: [3; 16], amount_fen: -2, code: 0x0506, memo: [4; 16] };
        let bytes = write([transfer, transfer].iter());
        assert_eq!(bytes.len(), 2 * TRANSFER_BYTES);
        let parts: Vec<&[u8]> = bytes[..64].chunks(16).collect();
        assert_eq!(parts, [[1; 16], [2; 16], [3; 16], [4; 16]]);
        assert_eq!(bytes[64..80], [255, 255, 255, 255, 255, 255, 255, 254, 5, 6, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_result_is_a_booking_or_a_refusal_and_a_reply_of_another_length_is_none() {
        let booked = [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 1, 0, 0, 0, 0];
        let refused = [0, 0, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0];
        let reply = [booked, refused].concat();
        assert_eq!(read(&reply, 2), Some(vec![Ok(Booked { journal: 0x0102, is_under_way: true }), Err(0x0104)]));
        for (reply, count) in [(&reply[..], 1), (&reply[..], 3), (&reply[..31], 2), (&[], 1)] {
            assert_eq!(read(reply, count), None);
        }
    }
}
