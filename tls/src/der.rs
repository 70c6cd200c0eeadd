//! When a certificate ends: the one field that the library checks and does not tell.
//!
//! ```text
//!  Certificate { TBSCertificate { [0] version?, serial, algorithm, issuer, Validity { from, until }, … }, … }
//! ```
//!
//! Source: RFC 5280, section 4.1; X.690 for the encoding.
//!
//! Must never: decide whether a certificate is good. The library does; this is shown to operators.

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The last second of a certificate, in seconds of Unix time. `None`: it does not read.
pub(crate) fn ends_s(certificate: &[u8]) -> Option<u64> {
    let (tag, certificate, _) = element(certificate)?;
    let (inner, to_be_signed, _) = element(certificate)?;
    if tag != SEQUENCE || inner != SEQUENCE {
        return None;
    }
    let mut rest = to_be_signed;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    // Serial, algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, until) = element(validity)?;
    let (tag, text, _) = element(until)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// The first element: its tag, what it holds, and what comes after it.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let bytes = usize::from(first & 0x7f);
        if bytes == 0 || bytes > 4 {
            return None;
        }
        let (number, after) = rest.split_at_checked(bytes)?;
        length = number.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte));
        rest = after;
    }
    let (held, after) = rest.split_at_checked(length)?;
    Some((tag, held, after))
}

/// `YYMMDDhhmmssZ`, of which 50 and later is the last century, or `YYYYMMDDhhmmssZ`.
fn time(tag: u8, text: &str) -> Option<u64> {
    let digits = text.strip_suffix('Z')?;
    let number = |from: usize, length: usize| digits.get(from..from + length)?.parse::<u64>().ok();
    let (year, from) = match tag {
        UTC_TIME => {
            let year = number(0, 2)?;
            (if year >= 50 { 1900 + year } else { 2000 + year }, 2)
        }
        GENERALIZED_TIME => (number(0, 4)?, 4),
        _ => return None,
    };
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|place| number(from + place, 2));
    let days = days(year, month?, day?)?;
    Some(((days * 24 + hour?) * 60 + minute?) * 60 + second?)
}

/// Days since 1970-01-01. Source: the civil calendar's days from a March that begins the year.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + in_year).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "260228235959Z", Some(1_772_323_199)),
            (UTC_TIME, "240229120000Z", Some(1_709_208_000)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "20500101000000", None),
            (UTC_TIME, "261301000000Z", None),
            (2, "260101000000Z", None),
        ] {
            assert_eq!(time(tag, text), expected, "{text}");
        }
    }

    #[test]
    fn a_certificate_that_is_cut_short_has_no_end() {
        let key = rcgen::KeyPair::generate().expect("a key is drawn");
        let mut params = rcgen::CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(2031, 5, 17);
        let certificate = params.self_signed(&key).expect("it is signed");
        assert_eq!(ends_s(certificate.der()), Some(1_936_742_400));
        for length in 0..200 {
            assert_eq!(ends_s(&certificate.der()[..length]), None);
        }
    }
}
