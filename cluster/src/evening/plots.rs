//! The report as a page with plots that needs nothing but itself.
//!
//! Must never: ask another machine for anything, or show what the table does not say.

use std::fmt::Write as _;

use super::report::Report;
use super::series::{KINDS, Second, kind_name, place};
use super::tide::PARTS;

const COLOURS: [&str; 4] = ["#c0392b", "#d99a16", "#2d7d9a", "#7a7a7a"];
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 40.0;

/// Names and values of a plot's lines.
type Curves<'a> = Vec<(&'a str, Vec<f64>)>;

/// A page with plots.
pub(crate) fn page(report: &Report) -> String {
    let seconds = &report.seconds;
    let of = |value: &dyn Fn(&Second) -> f64| seconds.iter().map(value).collect::<Vec<f64>>();
    let kinds = |value: fn(&Second, usize) -> u64| -> Curves<'_> {
        let curve = |kind| (kind_name(kind), of(&|second| value(second, place(kind)) as f64));
        KINDS.map(curve).into()
    };
    let classes = ["money", "open, send", "grab", "list"].into_iter().enumerate();
    let sent_away: Curves<'_> =
        classes.map(|(class, name)| (name, of(&|second| second.look.shed[class] as f64))).collect();
    let cores = vec![
        ("app", of(&|second| second.look.cores.app)),
        ("queue", of(&|second| second.look.cores.queue)),
        ("generator", of(&|second| second.look.cores.generator)),
        ("others", of(&|second| second.look.cores.others)),
    ];
    let plots: [(&str, Curves<'_>); 12] = [
        ("Wanted, actions a second", kinds(|second, kind| second.cells[kind].wanted)),
        ("Answered (goodput), actions a second", kinds(|second, kind| second.cells[kind].answered)),
        ("Sent away by the app, by class, requests a second", sent_away),
        (
            "Held back by phones that had been told to wait, actions a second",
            kinds(|second, kind| second.cells[kind].held),
        ),
        ("No answer, actions a second", kinds(|second, kind| second.cells[kind].failed)),
        ("99 of 100 answers came within, ms", kinds(|second, kind| u64::from(second.cells[kind].p99_us() / 1000))),
        ("Levels admitted by the most pressed node, of a thousand", vec![("levels", of(&|s| s.look.admitted as f64))]),
        ("Credits in the queue", vec![("credits", of(&|second| second.look.queued as f64))]),
        ("Age of the oldest credit, ms", vec![("oldest", of(&|second| second.look.oldest_ms as f64))]),
        ("Streams of news that are open", vec![("streams", of(&|second| second.look.streams as f64))]),
        ("Processors in use", cores),
        ("Lateness of the load generator, ms", vec![("late", of(&|second| second.late_us as f64 / 1000.0))]),
    ];
    let plots = plots.iter().map(|(title, curves)| plot(title, curves, report));
    let lines = report.verdicts().into_iter().map(|(line, is_met)| {
        let (class, word) = if is_met { ("met", "met") } else { ("missed", "missed") };
        format!("<li class=\"{class}\"><b>{word}</b> {}</li>", escaped(&line))
    });
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tercet: an evening</title>\
         <style>body{{font:15px/1.5 system-ui,sans-serif;max-width:780px;margin:2rem auto;padding:0 1rem;color:#222}}\
         pre{{background:#f6f4f0;padding:1rem;overflow:auto;font-size:12px}}svg{{width:100%;height:auto}}\
         figure{{margin:1.5rem 0}}figcaption{{font-weight:600}}.met b{{color:#2d7d3a}}.missed b{{color:#c0392b}}</style>\
         <h1>An evening of red packets</h1><ul>{}</ul><pre>{}</pre>{}</html>\n",
        lines.collect::<String>(),
        escaped(&report.text()),
        plots.collect::<String>()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Lines over the seconds, with their highest value at the left and the parts of the evening behind them.
fn plot(title: &str, curves: &Curves<'_>, report: &Report) -> String {
    let top = curves.iter().flat_map(|(_, values)| values).copied().fold(1.0, f64::max);
    let seconds = report.seconds.len().max(2) - 1;
    let step = (WIDTH - LEFT) / seconds as f64;
    let mut svg = format!(
        "<figure><figcaption>{title}</figcaption><svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{title}\">\
         <text x=\"0\" y=\"12\" font-size=\"11\">{top:.0}</text>\
         <path d=\"M{LEFT} 10V{HEIGHT}H{WIDTH}\" fill=\"none\" stroke=\"#999\"/>",
        HEIGHT + 24.0
    );
    for (part, _) in PARTS {
        let x = (LEFT + report.tide.span(part).0.as_secs_f64() * step).min(WIDTH);
        let _ = write!(
            svg,
            "<path d=\"M{x:.1} 10V{HEIGHT}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"10\" font-size=\"9\" fill=\"#888\">{}</text>",
            x + 2.0,
            part.name()
        );
    }
    for ((name, values), (number, colour)) in curves.iter().zip(COLOURS.iter().enumerate()) {
        let points = values.iter().enumerate().map(|(second, value)| {
            format!("{:.1},{:.1}", LEFT + second as f64 * step, HEIGHT - value / top * (HEIGHT - 14.0))
        });
        let points = points.collect::<Vec<_>>().join(" ");
        let x = 44 + number * 110;
        let _ = write!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>\
             <text x=\"{x}\" y=\"{}\" font-size=\"12\" fill=\"{colour}\">{name}</text>",
            HEIGHT + 18.0
        );
    }
    svg + "</svg></figure>"
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn the_page_is_whole_and_says_what_the_table_says() {
        let page = page(&report(9));
        assert_eq!(page.matches("<svg").count(), 12);
        assert_eq!(page.matches("<polyline").count(), 7 * 4 + 5);
        assert!(page.contains("at most 7 credits queued") && page.contains("<b>missed</b> the audit"));
        assert!(!page.contains("http"), "it needs nothing but itself");
    }
}
