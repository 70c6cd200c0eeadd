//! Refuses what would fill the disk while what empties it goes on.
//!
//! Why: a full disk fails an fsync, and a failed fsync ends the process. Receiving and settling need little room and make
//! some; sending is what must stop in time.
//!
//! Must never: ask the system with every message.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// What was seen is believed for so long.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The mark, and what was seen last.
#[derive(Debug)]
pub(crate) struct DiskGuard {
    free_min: u64,
    seen: Mutex<Option<(Instant, u64)>>,
}

impl DiskGuard {
    /// A guard with its mark in bytes; 0 = none.
    pub(crate) const fn new(free_min: u64) -> Self {
        Self { free_min, seen: Mutex::new(None) }
    }

    /// Whether there is room, as far as `look` (free bytes) said lately. Errors: why not, in words.
    pub(crate) fn judge(&self, look: impl FnOnce() -> u64) -> Result<(), String> {
        let free = {
            let mut seen = self.seen.lock();
            match *seen {
                Some((at, free)) if at.elapsed() < LOOK_EVERY => free,
                _ => {
                    let free = look();
                    *seen = Some((Instant::now(), free));
                    free
                }
            }
        };
        if free >= self.free_min {
            return Ok(());
        }
        Err(format!("the disk is nearly full: {free} bytes are free, and below {} nothing is taken", self.free_min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_the_mark_there_is_no_room_and_the_system_is_asked_seldom() {
        let guard = DiskGuard::new(100);
        assert!(guard.judge(|| 100).is_ok());
        assert!(guard.judge(|| unreachable!("it was asked just now")).is_ok());
        let full = DiskGuard::new(100).judge(|| 99);
        assert!(full.is_err_and(|reason| reason.contains("99 bytes are free")));
        assert!(DiskGuard::new(0).judge(|| 0).is_ok());
    }
}
