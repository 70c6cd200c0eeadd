//! Breaches, the exemptions from the laws, and the verdict over both.
//!
//! Must never: let an exemption outlive its breach; the list may only shrink.

use core::fmt;

/// One place where a law is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The file, or the crate's folder, from the root of the repository.
    pub path: String,
    /// The line, from 1; 0 means the file as a whole.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl Breach {
    /// A breach in one line of a file; line 0 means the file as a whole.
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// A file that may break a law for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemption {
    /// The law's name: that of its test.
    pub law: &'static str,
    /// The file, from the root of the repository.
    pub path: &'static str,
    /// Why it may.
    pub reason: &'static str,
}

/// All exemptions there are. Empty on day one; it may only shrink.
pub const EXEMPTIONS: &[Exemption] = &[];

/// The verdict on one law.
///
/// Errors: the breaches that no exemption covers, and the exemptions from this law that cover none, a line each.
pub fn judge(law: &str, breaches: &[Breach], exemptions: &[Exemption]) -> Result<(), String> {
    let of_this_law = || exemptions.iter().filter(|exemption| exemption.law == law);
    let standing = breaches.iter().filter(|breach| !of_this_law().any(|exemption| exemption.path == breach.path));
    let stale = of_this_law().filter(|exemption| !breaches.iter().any(|breach| breach.path == exemption.path));
    let lines: Vec<String> = standing
        .map(ToString::to_string)
        .chain(
            stale.map(|exemption| format!("{}: exempt from {law}, but keeps it: strike the exemption", exemption.path)),
        )
        .collect();
    if lines.is_empty() { Ok(()) } else { Err(format!("{law} is broken:\n  {}", lines.join("\n  "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAW: &str = "a_law";

    #[test]
    fn a_breach_breaks_its_law_and_an_exemption_covers_its_file_alone() {
        let breaches = [Breach::new("a.rs", 3, "too long"), Breach::new("b.rs", 0, "too wide")];
        let exempt = |path| [Exemption { law: LAW, path, reason: "until it is mended" }];
        assert!(judge(LAW, &[], &[]).is_ok());
        assert_eq!(
            judge(LAW, &breaches, &[]),
            Err("a_law is broken:\n  a.rs:3: too long\n  b.rs: too wide".to_owned())
        );
        assert_eq!(judge(LAW, &breaches, &exempt("a.rs")), Err("a_law is broken:\n  b.rs: too wide".to_owned()));
        assert!(judge("another_law", &breaches, &exempt("a.rs")).is_err_and(|text| text.contains("a.rs:3")));
    }

    #[test]
    fn an_exemption_without_a_breach_must_go() {
        let stale = [Exemption { law: LAW, path: "a.rs", reason: "no longer needed" }];
        assert!(judge(LAW, &[], &stale).is_err_and(|text| text.contains("strike the exemption")));
        assert!(judge("another_law", &[], &stale).is_ok());
    }
}
