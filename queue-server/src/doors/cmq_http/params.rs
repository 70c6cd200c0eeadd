//! Parameters by name: what an action reads out of a request's pairs.
//!
//! Must never: refuse a parameter that nobody asks for; SDKs send more than the server knows.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::form::Pair;
use crate::doors::cmq::{BATCH_MAX, Flaw, OFFSET_MAX, PAGE, PAGE_DEFAULT, Page, Said, no};

/// The parameters of a request.
pub(super) struct Params<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Params<'a> {
    pub(super) fn new(pairs: &'a [Pair]) -> Self {
        Self(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
    }

    /// The value as it was sent, blank or not.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    /// The value, if one is given: a blank one says nothing.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// The value. Flaw: none is given.
    pub(super) fn required(&self, name: &str) -> Said<&'a str> {
        self.text(name).ok_or_else(|| no::LACKS.about(name))
    }

    /// A whole number in its range. Flaws: not a number; out of range.
    pub(super) fn number(&self, name: &str, range: &RangeInclusive<u64>) -> Said<Option<u64>> {
        let Some(number) = self.signed(name)? else { return Ok(None) };
        let fitting = u64::try_from(number).ok().filter(|number| range.contains(number));
        fitting.map(Some).ok_or_else(|| no::OUT_OF_RANGE.about(name))
    }

    /// As [`Self::number`], in 32 bits.
    pub(super) fn small(&self, name: &str, range: &RangeInclusive<u64>) -> Said<Option<u32>> {
        let number = self.number(name, range)?;
        number.map(|number| u32::try_from(number).map_err(|_| no::OUT_OF_RANGE.about(name))).transpose()
    }

    /// A whole number of any size: what does not fit is held at the ends. Flaw: not a number.
    pub(super) fn signed(&self, name: &str) -> Said<Option<i64>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let text = text.trim();
        let digits = text.strip_prefix('-').unwrap_or(text);
        Flaw::unless(
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
            no::WRONG_TYPE.about(name),
        )?;
        Ok(Some(text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX })))
    }

    /// Yes or no: `1`, `0`, `true`, `false`. Flaw: anything else.
    pub(super) fn flag(&self, name: &str) -> Said<Option<bool>> {
        match self.text(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("1" | "true") => Ok(Some(true)),
            Some("0" | "false") => Ok(Some(false)),
            Some(_) => Err(no::WRONG_TYPE.about(name)),
        }
    }

    /// `name.N` in the order of N, which begins at 0 or 1. Flaws: a subscript that is no number; too many; gaps.
    pub(super) fn list(&self, name: &str) -> Said<Vec<&'a str>> {
        let mut elements = BTreeMap::new();
        let after = format!("{name}.");
        for (key, value) in self.0.range(after.as_str()..).take_while(|(key, _)| key.starts_with(&after)) {
            let subscript = key.get(after.len()..).unwrap_or_default();
            let is_plain = subscript == "0" || !subscript.starts_with('0');
            let number = subscript.parse::<u32>().ok().filter(|_| is_plain && !subscript.starts_with('+'));
            elements.insert(number.ok_or_else(|| no::KEY_FORMAT.about(key))?, *value);
        }
        Flaw::unless(elements.len() <= BATCH_MAX, no::BATCH_SIZE.about(name))?;
        let first = elements.keys().next().copied().unwrap_or(0);
        let is_consecutive = first <= 1 && (first..).zip(elements.keys()).all(|(wanted, found)| wanted == *found);
        Flaw::unless(is_consecutive, no::NOT_CONSEQUENT.about(name))?;
        Ok(elements.into_values().collect())
    }

    /// As [`Self::list`], at least one. Flaw: none is given.
    pub(super) fn required_list(&self, name: &str) -> Said<Vec<&'a str>> {
        let list = self.list(name)?;
        Flaw::unless(!list.is_empty(), no::LACKS.about(name))?;
        Ok(list)
    }

    /// `searchWord`, `offset`, `limit`.
    pub(super) fn page(&self) -> Said<Page> {
        let offset = self.number("offset", &(0..=OFFSET_MAX))?.unwrap_or(0);
        let limit = self.number("limit", &PAGE)?.unwrap_or(PAGE_DEFAULT);
        let search = self.text("searchWord").unwrap_or_default().to_owned();
        let whole = |number: u64, name| usize::try_from(number).map_err(|_| no::OUT_OF_RANGE.about(name));
        Ok(Page { search, offset: whole(offset, "offset")?, limit: whole(limit, "limit")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(query: &str, look: impl Fn(&Params<'_>) -> T) -> T {
        let pairs = super::super::form::parse(query.as_bytes(), b"").expect("the sample is well formed");
        look(&Params::new(&pairs))
    }

    #[test]
    fn a_list_begins_at_0_or_1_and_has_no_gaps() {
        let seventeen = (1..=17).map(|number| format!("m.{number}=x&")).collect::<String>();
        let eleven = (1..=11).map(|number| format!("m.{number}={number}&")).collect::<String>();
        let in_order: Vec<String> = (1..=11).map(|number| number.to_string()).collect();
        let table: [(&str, Result<Vec<&str>, Flaw>); 12] = [
            ("", Ok(vec![])),
            ("m.0=a&m.1=b", Ok(vec!["a", "b"])),
            ("m.2=b&m.1=a&mm.1=c&m=d", Ok(vec!["a", "b"])),
            (&eleven, Ok(in_order.iter().map(String::as_str).collect())),
            ("m.1=", Ok(vec![""])),
            ("m.1=a&m.3=c", Err(no::NOT_CONSEQUENT.about("m"))),
            ("m.2=a", Err(no::NOT_CONSEQUENT.about("m"))),
            ("m.x=a", Err(no::KEY_FORMAT.about("m.x"))),
            ("m.=a", Err(no::KEY_FORMAT.about("m."))),
            ("m.01=a", Err(no::KEY_FORMAT.about("m.01"))),
            ("m.-1=a", Err(no::KEY_FORMAT.about("m.-1"))),
            (&seventeen, Err(no::BATCH_SIZE.about("m"))),
        ];
        for (query, expected) in table {
            let found = with(query, |params| params.list("m").map(|list| list.join(",")));
            assert_eq!(found, expected.map(|list| list.join(",")), "{query}");
        }
    }

    #[test]
    fn a_number_is_whole_and_in_its_range() {
        let table = [
            ("", Ok(None)),
            ("n=", Ok(None)),
            ("n=5", Ok(Some(5))),
            ("n=+5", Ok(Some(5))),
            ("n=11", Err(no::OUT_OF_RANGE.about("n"))),
            ("n=-1", Err(no::OUT_OF_RANGE.about("n"))),
            ("n=99999999999999999999", Err(no::OUT_OF_RANGE.about("n"))),
            ("n=1.5", Err(no::WRONG_TYPE.about("n"))),
            ("n=x", Err(no::WRONG_TYPE.about("n"))),
            ("n=-", Err(no::WRONG_TYPE.about("n"))),
        ];
        for (query, expected) in table {
            assert_eq!(with(query, |params| params.number("n", &(0..=10))), expected, "{query}");
        }
    }
}
