//! A table, for people at a terminal and for pages in Markdown.
//!
//! Must never: hide a column; both forms show the same cells.

/// Cells under their heads; what begins with a digit or a sign stands to the right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|&cell| cell.to_owned()).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether each column holds numbers alone.
    fn numbers(&self) -> Vec<bool> {
        let is_number = |cell: &String| cell.is_empty() || cell.starts_with(|first: char| first.is_ascii_digit());
        let column = |at: usize| self.rows.iter().all(|row| row.get(at).is_none_or(is_number));
        (0..self.head.len()).map(column).collect()
    }

    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
        let rule = self.numbers().into_iter().map(|is_number| if is_number { "---:" } else { "---" });
        let rule = format!("|{}|", rule.collect::<Vec<_>>().join("|"));
        let rows = self.rows.iter().map(|row| line(row));
        [line(&self.head), rule].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn text(&self) -> String {
        let numbers = self.numbers();
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let width = |at: usize| all().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..self.head.len()).map(|at| width(at).unwrap_or_default()).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).zip(&numbers).map(|((cell, &width), is_number)| {
                if *is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        all().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_show_the_same_cells_and_numbers_stand_to_the_right() {
        let mut table = Table::new(&["way", "per s"]);
        table.row(vec!["polled table".to_owned(), "1,200".to_owned()]);
        table.row(vec!["Tenpay".to_owned(), "7".to_owned()]);
        assert_eq!(table.markdown(), "| way | per s |\n|---|---:|\n| polled table | 1,200 |\n| Tenpay | 7 |");
        assert_eq!(table.text(), "way           per s\npolled table  1,200\nTenpay            7");
    }
}
