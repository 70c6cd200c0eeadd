//! The screen: answers go to stdout, everything else to stderr.
//!
//! Must never: fail because nobody reads. A closed pipe ends the printing, not the work.

use std::io::{IsTerminal as _, Write as _, stderr, stdout};

/// Prints an answer.
pub(crate) fn out(text: &str) {
    // The reader may have left; there is nobody to tell.
    let _ = writeln!(stdout().lock(), "{text}");
}

/// Prints an answer over the one before, on a terminal; below it elsewhere.
pub(crate) fn page(text: &str) {
    if stdout().is_terminal() {
        let _ = write!(stdout().lock(), "\x1b[H\x1b[2J");
    }
    out(text);
}

/// Prints a line beside the answer.
pub(crate) fn note(text: &str) {
    let _ = writeln!(stderr().lock(), "{text}");
}

/// A line that is written over by the next one; on anything but a terminal only every fifth is kept.
#[derive(Debug)]
pub(crate) struct Progress {
    is_terminal: bool,
    lines: u32,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { is_terminal: stderr().is_terminal(), lines: 0 }
    }

    /// Shows where things stand.
    pub(crate) fn show(&mut self, text: &str) {
        if self.is_terminal {
            let _ = write!(stderr().lock(), "\r\x1b[K{text}");
        } else if self.lines.is_multiple_of(5) {
            note(text);
        }
        self.lines += 1;
    }

    /// Prints a line that stays.
    pub(crate) fn note(&self, text: &str) {
        if self.is_terminal {
            let _ = write!(stderr().lock(), "\r\x1b[K");
        }
        note(text);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_terminal {
            let _ = write!(stderr().lock(), "\r\x1b[K");
        }
    }
}

/// A bar of `width` places, `done` of `all` filled.
pub(crate) fn bar(done: u64, all: u64, width: usize) -> String {
    let width_wide = u64::try_from(width).unwrap_or(u64::MAX);
    let filled = usize::try_from(done.min(all).saturating_mul(width_wide) / all.max(1)).unwrap_or(width).min(width);
    format!("[{}{}]", "#".repeat(filled), ".".repeat(width - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_the_work_is_done() {
        for (done, all, expected) in
            [(0, 4, "[....]"), (1, 4, "[#...]"), (4, 4, "[####]"), (9, 4, "[####]"), (0, 0, "[....]")]
        {
            assert_eq!(bar(done, all, 4), expected, "{done} of {all}");
        }
    }
}
