//! Packed numbers: seven bits a byte, so that a small number takes little of a row that is written a million times.
//!
//! Why: most amounts, numbers and counts are small; a transfer's rows are half as long for it.
//!
//! Must never: stand in a key whose order is relied on.

use machine::{DecodeError, Reader, TimestampMs, Writer};

/// Bytes of the longest packed number.
pub(crate) const PACKED_BYTES_MAX: usize = 10;

/// The bytes of a packed number, lowest bits first; the top bit says that more follow.
pub(crate) fn bytes_of(mut value: u64) -> ([u8; PACKED_BYTES_MAX], usize) {
    let mut bytes = [0; PACKED_BYTES_MAX];
    let mut length: usize = 0;
    for byte in &mut bytes {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        length = length.saturating_add(1);
        *byte = low & 0x7f;
        if value == 0 {
            break;
        }
        *byte |= 0x80;
    }
    (bytes, length)
}

/// Appends a number.
pub(crate) fn put(out: &mut Writer, value: u64) {
    if let Ok(small @ 0..0x80) = u8::try_from(value) {
        return out.u8(small);
    }
    let (bytes, length) = bytes_of(value);
    out.raw(bytes.get(..length).unwrap_or_default());
}

/// Folds the bytes that `next` gives into a number.
pub(crate) fn fold(mut next: impl FnMut() -> Result<u8, DecodeError>) -> Result<u64, DecodeError> {
    let (mut value, mut shift) = (0_u64, 0_u32);
    loop {
        let byte = next()?;
        let bits = u64::from(byte & 0x7f);
        let placed = bits.checked_shl(shift).filter(|placed| placed.checked_shr(shift) == Some(bits));
        value |= placed.ok_or(DecodeError::Invalid("packed number"))?;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
        shift = shift.saturating_add(7);
    }
}

/// Reads a number.
pub(crate) fn get(input: &mut Reader) -> Result<u64, DecodeError> {
    fold(|| input.u8())
}

/// Reads a number of 32 bits.
pub(crate) fn get_u32(input: &mut Reader) -> Result<u32, DecodeError> {
    u32::try_from(get(input)?).map_err(|_| DecodeError::Invalid("packed number"))
}

/// Appends a signed number: small either way is short.
pub(crate) fn put_signed(out: &mut Writer, value: i64) {
    put(out, (value.wrapping_shl(1) ^ (value >> 63)).cast_unsigned());
}

/// Reads a signed number.
pub(crate) fn get_signed(input: &mut Reader) -> Result<i64, DecodeError> {
    let value = get(input)?;
    Ok((value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg())
}

/// Appends an instant.
pub(crate) fn put_time(out: &mut Writer, at: TimestampMs) {
    put(out, at.0);
}

/// Reads an instant.
pub(crate) fn get_time(input: &mut Reader) -> Result<TimestampMs, DecodeError> {
    get(input).map(TimestampMs)
}

/// Appends a caller's reference: one byte if there is none.
pub(crate) fn put_memo(out: &mut Writer, memo: u128) {
    out.bool(memo != 0);
    if memo != 0 {
        out.u128(memo);
    }
}

/// Reads a caller's reference.
pub(crate) fn get_memo(input: &mut Reader) -> Result<u128, DecodeError> {
    if input.bool()? { input.u128() } else { Ok(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_being_packed_and_torn_or_endless_ones_do_not() {
        for bits in 0..64_u32 {
            for value in [1_u64 << bits, (1_u64 << bits).wrapping_sub(1), u64::MAX >> bits] {
                let mut out = Writer::default();
                put(&mut out, value);
                put_signed(&mut out, value.cast_signed());
                let bytes = out.finish();
                let mut input = Reader::new(bytes.clone());
                assert_eq!(get(&mut input), Ok(value));
                assert_eq!(get_signed(&mut input), Ok(value.cast_signed()));
                assert_eq!(input.end(), Ok(()));
                assert!(get(&mut Reader::new(bytes.slice(..bytes_of(value).1.saturating_sub(1)))).is_err());
            }
        }
        for endless in [vec![0xff; 10], vec![0x80; 20]] {
            assert!(get(&mut Reader::new(endless.into())).is_err());
        }
    }
}
