//! Lists of the machine come page by page; whoever needs all of one gathers it here.
//!
//! Must never: go round for ever. A list that shrinks between two pages ends with the first empty one.

/// All of a list. `next`: its length, and the page that begins at an offset.
pub(crate) fn all<T>(next: impl Fn(usize) -> (usize, Vec<T>)) -> Vec<T> {
    let mut found = Vec::new();
    loop {
        let (total, mut page) = next(found.len());
        let is_last = page.is_empty() || found.len() + page.len() >= total;
        found.append(&mut page);
        if is_last {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn a_list_is_gathered_to_its_end_and_no_further() {
        let list: Vec<usize> = (0..10).collect();
        for page in [1, 3, 10, 50] {
            let next = |offset: usize| (list.len(), list.iter().copied().skip(offset).take(page).collect());
            assert_eq!(all(next), list, "pages of {page}");
        }
        assert!(all(|_| (7, Vec::<u8>::new())).is_empty(), "a page that is empty is the last");
    }
}
