//! Reading the journal: entries by number, by range and by time, out of sealed pages.
//!
//! Why: a page holds up to thirty-two entries; whoever reads neighbours reads their page once.
//!
//! Must never: hold more than one page.

use machine::{LoadError, RowSource, TimestampMs, prefix_end};

use crate::ids::JournalNumber;
use crate::journal::{JournalEntry, JournalPage, SealedPage};
use crate::read::each;
use crate::rows;

/// A reader of pages, with the one it read last.
pub(crate) struct Pages<'a> {
    rows: &'a dyn RowSource,
    page: Option<(JournalNumber, Vec<JournalEntry>)>,
}

fn place(first: JournalNumber, number: JournalNumber) -> Option<usize> {
    number.0.checked_sub(first.0).and_then(|place| usize::try_from(place).ok())
}

impl<'a> Pages<'a> {
    pub(crate) const fn over(rows: &'a dyn RowSource) -> Self {
        Self { rows, page: None }
    }

    /// The page that holds `number`, if it is in the journal, or the last one before it.
    fn at_or_before(&self, number: JournalNumber) -> Result<Option<(JournalNumber, SealedPage)>, LoadError> {
        let (from, to) = (rows::journal(JournalNumber(0)), rows::journal(number.next()));
        let mut found = None;
        let mut visit = |key: &[u8], value: &[u8]| {
            found = Some(rows::name(key).and_then(|first| Ok((first, rows::value::<SealedPage>(key, value)?))));
            false
        };
        self.rows.scan_back(from.as_slice(), to.as_slice(), &mut visit)?;
        found.transpose()
    }

    /// One entry.
    pub(crate) fn entry(&mut self, number: JournalNumber) -> Result<Option<JournalEntry>, LoadError> {
        let held = self.page.as_ref().and_then(|(first, entries)| entries.get(place(*first, number)?));
        if let Some(entry) = held {
            return Ok(Some(*entry));
        }
        let Some((first, page)) = self.at_or_before(number)? else { return Ok(None) };
        let entries = entries_of(first, &page)?;
        let entry = place(first, number).and_then(|place| entries.get(place)).copied();
        self.page = Some((first, entries));
        Ok(entry)
    }

    /// Entries from `from` on, at most `limit`.
    pub(crate) fn range(&self, from: JournalNumber, limit: usize) -> Result<JournalPage, LoadError> {
        let start = self.at_or_before(from)?.map_or(from, |(first, _)| first);
        let (mut range, mut broken) = (JournalPage::default(), None);
        if limit == 0 {
            return Ok(range);
        }
        let key = rows::journal(start);
        each(
            self.rows,
            key.as_slice(),
            &prefix_end(&[rows::JOURNAL]),
            &mut |first: JournalNumber, page: SealedPage| {
                let entries = match entries_of(first, &page) {
                    Ok(entries) => entries,
                    Err(error) => {
                        broken = Some(error);
                        return false;
                    }
                };
                let numbered = (first.0..).map(JournalNumber).zip(entries);
                let mut last = None;
                for (number, entry) in numbered {
                    if number >= from && range.entries.len() < limit {
                        range.entries.push((number, entry));
                    }
                    last = Some(number);
                }
                let is_whole = range.entries.last().map(|(number, _)| *number) == last;
                range.links.extend(last.filter(|_| is_whole).map(|last| (last, page.link)));
                range.entries.len() < limit
            },
        )?;
        broken.map_or(Ok(range), Err)
    }

    /// The first entry booked at `at` or later, of a journal that ends with `last`; the number behind it if there is
    /// none. The time of entries never falls, so it is found by halving.
    pub(crate) fn first_at(&self, at: TimestampMs, last: JournalNumber) -> Result<JournalNumber, LoadError> {
        // Invariant: what lies before `low` is earlier, what lies from `high` on is not.
        let (mut low, mut high) = (1_u64, last.next().0);
        while low < high {
            let middle = low.midpoint(high);
            let Some((first, page)) = self.at_or_before(JournalNumber(middle))? else { break };
            let head = page.head().map_err(|error| LoadError::row(rows::journal(first).as_slice(), error));
            let (time, count) = head?;
            if time < at {
                low = first.0.saturating_add(u64::from(count)).max(middle.saturating_add(1));
            } else {
                high = first.0.max(low);
            }
        }
        Ok(JournalNumber(low))
    }
}

/// The entries of a page that lies under `first`.
pub(crate) fn entries_of(first: JournalNumber, page: &SealedPage) -> Result<Vec<JournalEntry>, LoadError> {
    page.entries().map_err(|error| LoadError::row(rows::journal(first).as_slice(), error))
}
