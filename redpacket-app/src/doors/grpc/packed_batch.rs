//! Packed batches: transfers and their results in bytes of fixed length.
//!
//! ```text
//!  transfer, 80 bytes: id 16 | debit 16 | credit 16 | memo 16 | amount_fen 8 | code 2 | flags 2 | zeros 4
//!  result, 16 bytes:   journal 8 | refusal 2 | flags 2 | zeros 4
//! ```
//!
//! Why: of a batch of thousands, taking the usual form apart costs more than booking it.
//!
//! Must never: read a bit that it does not know as nothing; a later release may give it a meaning.

use bytes::{BufMut as _, Bytes, BytesMut};
use ledger::{AccountId, Done, Money, Transfer, TransferId};
use machine::{DecodeError, Layout as _, Reader};

use super::ledger_booking::Dated;
use crate::failure::{DoorRefusal, Failure};
use crate::limits::PACKED_TRANSFER_BYTES;

const LINKED: u16 = 1;
const UNDER_WAY: u16 = 1;

/// The transfers, each with whether it is linked to the next. Refuses: `BadField`.
pub(super) fn read(packed: &Bytes) -> Result<Vec<(bool, Transfer)>, Failure> {
    if !packed.len().is_multiple_of(PACKED_TRANSFER_BYTES) {
        return Err(DoorRefusal::BadField.into());
    }
    let mut input = Reader::new(packed.clone());
    let count = packed.len() / PACKED_TRANSFER_BYTES;
    let transfers = (0..count).map(|_| read_one(&mut input)).collect::<Result<_, _>>();
    transfers.map_err(|_| DoorRefusal::BadField.into())
}

fn read_one(input: &mut Reader) -> Result<(bool, Transfer), DecodeError> {
    let transfer = Transfer {
        id: TransferId::decode(input)?,
        debit: AccountId::decode(input)?,
        credit: AccountId::decode(input)?,
        memo: input.u128()?,
        money: Money::cny(input.u64()?.cast_signed()),
        code: input.u16()?,
    };
    let flags = input.u16()?;
    if flags > LINKED || input.u32()? != 0 {
        return Err(DecodeError::Invalid("flags"));
    }
    Ok((flags == LINKED, transfer))
}

/// The results.
pub(super) fn write(answers: &[Dated]) -> Bytes {
    let mut packed = BytesMut::with_capacity(answers.len() * 16);
    for (answer, _) in answers {
        let number = answer.ok().and_then(Done::journal_number).map_or(0, |number| number.0);
        packed.put_u64(number);
        packed.put_u16(answer.err().map_or(0, ledger::Refusal::number));
        packed.put_u16(if matches!(answer, Ok(Done::Sent(_))) { UNDER_WAY } else { 0 });
        packed.put_u32(0);
    }
    packed.freeze()
}

#[cfg(test)]
mod tests {
    use ledger::{JournalNumber, Refusal};

    use super::*;

    fn packed(flags: u16, rest: u32) -> Bytes {
        let mut out = BytesMut::new();
        for number in 1..=4_u128 {
            out.put_u128(number);
        }
        out.put_i64(-5);
        out.put_u16(6);
        out.put_u16(flags);
        out.put_u32(rest);
        out.freeze()
    }

    #[test]
    fn a_packed_transfer_has_eighty_bytes_and_no_unknown_bit() {
        let transfer = Transfer {
            id: TransferId(1),
            debit: AccountId(2),
            credit: AccountId(3),
            memo: 4,
            money: Money::cny(-5),
            code: 6,
        };
        assert_eq!(packed(0, 0).len(), PACKED_TRANSFER_BYTES);
        let two = Bytes::from([packed(1, 0), packed(0, 0)].concat());
        assert_eq!(read(&two), Ok(vec![(true, transfer), (false, transfer)]));
        for wrong in [packed(2, 0), packed(0, 1), packed(0, 0).slice(..79)] {
            assert_eq!(read(&wrong), Err(DoorRefusal::BadField.into()));
        }
    }

    #[test]
    fn a_packed_result_has_sixteen_bytes() {
        let number = JournalNumber(0x0102);
        let answers =
            [(Ok(Done::Booked(number)), None), (Ok(Done::Sent(number)), None), (Err(Refusal::IdReused), None)];
        let bytes = write(&answers);
        let row = |tail: [u8; 8]| [vec![0, 0, 0, 0, 0, 0, 1, 2], tail.to_vec()].concat();
        let refused = vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0];
        assert_eq!(bytes, [row([0; 8]), row([0, 0, 0, 1, 0, 0, 0, 0]), refused].concat());
    }
}
