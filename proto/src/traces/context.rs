//! The context of a trace on a wire: W3C's `traceparent`.
//!
//! ```text
//!  00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
//!  version  trace, 16 bytes            span, 8 bytes    flags: 1 = recorded
//! ```
//!
//! Source: W3C Trace Context, level 1.
//!
//! Must never: take a line for a context that another reader would not.

/// Name of the header, of HTTP, gRPC and messages.
pub const TRACEPARENT: &str = "traceparent";

/// A place in a trace that is recorded: what is caused from there has it for a parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    pub(super) trace: u128,
    pub(super) span: u64,
}

impl Context {
    /// The line that travels.
    #[must_use]
    pub fn line(self) -> String {
        format!("00-{:032x}-{:016x}-01", self.trace, self.span)
    }
}

/// What a caller said of its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// Nothing, or nothing that could be read: a trace may begin here.
    Nothing,
    /// Its trace is not recorded, and so nothing that it causes is.
    Unrecorded,
    /// Its trace is recorded.
    Recorded(Context),
}

impl Given {
    /// What a line says.
    #[must_use]
    pub fn read(line: &str) -> Self {
        match parse(line) {
            None => Self::Nothing,
            Some((_, false)) => Self::Unrecorded,
            Some((context, true)) => Self::Recorded(context),
        }
    }
}

fn parse(line: &str) -> Option<(Context, bool)> {
    let mut parts = line.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex =
        |text: &str, length| text.len() == length && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    let is_sound = is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
    // A later version may say more behind what is known; this one may not, and ff is none.
    if !is_sound || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
    let span = u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((Context { trace, span }, flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_the_standard_says() {
        let context = Context { trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, span: 0xb7ad_6b71_6920_3331 };
        let table = [
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Given::Recorded(context)),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", Given::Recorded(context)),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", Given::Unrecorded),
            ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", Given::Recorded(context)),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", Given::Nothing),
            ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Given::Nothing),
            ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", Given::Nothing),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", Given::Nothing),
            ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", Given::Nothing),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", Given::Nothing),
            ("00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Given::Nothing),
            ("", Given::Nothing),
        ];
        for (line, expected) in table {
            assert_eq!(Given::read(line), expected, "{line}");
        }
        assert_eq!(Given::read(&context.line()), Given::Recorded(context));
    }
}
