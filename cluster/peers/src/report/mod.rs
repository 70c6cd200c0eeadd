//! The report: which goals are met, every figure beside the peers', plots. HTML without anything from outside, and the
//! Markdown table for `docs/performance.md`.
//!
//! Must never: show a ratio of figures from two runs.

mod html;
mod markdown;
mod svg;
mod table;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use crate::args::Shown;
use crate::error::Error;
use crate::medians::Medians;
use crate::record::Record;

/// Writes the report of results that are there. Errors: they cannot be read, or hold nothing.
pub(crate) fn render(shown: &Shown) -> Result<(), Error> {
    let mut records = Vec::new();
    for path in &shown.results {
        records.extend(read(path)?);
    }
    let Some(first) = shown.results.first() else { return Ok(()) };
    if records.is_empty() {
        return Err(Error::Impossible(format!("{} holds no results", first.display())));
    }
    let medians = Medians::of(&records);
    let path = shown.html.clone().unwrap_or_else(|| first.with_extension("html"));
    fs::write(&path, html::page(&medians)).map_err(Error::on(&path))?;
    let text = if shown.markdown { markdown::page(&medians) } else { markdown::goals(&medians) };
    std::io::stdout().write_all(text.as_bytes()).map_err(Error::call("standard output"))?;
    eprintln!("results: {}\nreport:  {}", first.display(), path.display());
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Record>, Error> {
    let file = fs::File::open(path).map_err(Error::on(path))?;
    let lines = BufReader::new(file).lines();
    let record = |line: std::io::Result<String>| {
        serde_json::from_str(&line.map_err(Error::on(path))?).map_err(Error::call("a line of the results"))
    };
    lines.map(record).collect()
}
