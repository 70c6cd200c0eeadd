//! The HTML report: one page that needs nothing else.
//!
//! Must never: load anything.

use std::fmt::Write as _;

use super::markdown::ratio;
use super::svg::{Bar, Line, escaped, plot};
use super::table::{FIGURES, PEERS, PLACES, Shown};
use crate::goals::GOALS;
use crate::medians::Medians;
use crate::plan::{Point, System};
use crate::record::{CPU, GAP, Phase, RATE, RESIDENT, RESTART, WRITTEN};

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Tercet beside its peers</title>
<meta name=\"viewport\" content=\"width=device-width\">
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1000px; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px; } td, th { border-bottom: 1px solid #ddd; padding: 3px 8px; }
td.n { text-align: right; font-variant-numeric: tabular-nums; } .met { color: #2b8a5b; } .missed { color: #b3261e; }
figure { display: inline-block; width: 460px; margin: 0 16px 20px 0; vertical-align: top; } figcaption { font-weight: 600; }
svg { width: 100%; } svg text { font: 12px system-ui, sans-serif; fill: #222; }
svg text.met { fill: #2b8a5b; } svg text.missed { fill: #b3261e; }
svg line { stroke-width: 1.5; stroke-dasharray: 4 3; } svg line.met { stroke: #2b8a5b; } svg line.missed { stroke: #b3261e; }
</style></head><body>
<h1>Tercet beside its peers</h1>
<p>Three nodes and the clients on one machine, medians of one run. Tercet, RabbitMQ quorum queues and NATS with
<code>sync_interval: always</code> sync a majority before each yes; NATS as it comes syncs every two minutes.
A dashed line is a goal: green where it is met.</p>
";

/// What is drawn; what is not is in the table.
const PLOTS: [(Point, Phase, &str); 22] = [
    (Point::Many, Phase::Send, RATE),
    (Point::Many, Phase::E2e, RATE),
    (Point::Many, Phase::Drain, RATE),
    (Point::Batch, Phase::Send, RATE),
    (Point::Batch, Phase::E2e, RATE),
    (Point::Few, Phase::Send, RATE),
    (Point::Few, Phase::E2e, RATE),
    (Point::One, Phase::Send, "confirm_p50_ms"),
    (Point::One, Phase::Send, "confirm_p99_ms"),
    (Point::Open, Phase::E2e, "ack_p50_ms"),
    (Point::Open, Phase::E2e, "ack_p99_ms"),
    (Point::Many, Phase::Send, CPU),
    (Point::Many, Phase::E2e, CPU),
    (Point::Many, Phase::E2e, WRITTEN),
    (Point::Many, Phase::E2e, RESIDENT),
    (Point::Backlog, Phase::DeepSend, RATE),
    (Point::Backlog, Phase::DeepDrain, RATE),
    (Point::Backlog, Phase::Fill, WRITTEN),
    (Point::Backlog, Phase::DeepDrain, RESIDENT),
    (Point::Backlog, Phase::Restart, RESTART),
    (Point::Kill, Phase::Fault, GAP),
    (Point::Hang, Phase::Fault, GAP),
];

/// The page.
pub(super) fn page(medians: &Medians) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("<h2>Goals</h2>\n");
    goals(&mut page, medians);
    page.push_str("<h2>Plots</h2>\n");
    for (point, phase, figure) in PLOTS {
        picture(&mut page, medians, (point, phase), figure);
    }
    page.push_str("<h2>All figures</h2>\n");
    figures(&mut page, medians);
    page + "</body></html>\n"
}

fn goals(page: &mut String, medians: &Medians) {
    page.push_str("<table><tr><th>point<th>phase<th>figure<th>goal<th>bound<th>Tercet<th></tr>\n");
    for goal in GOALS {
        let (Some(outcome), Some(shown)) = (goal.judge(medians), Shown::of(goal.figure)) else { continue };
        let verdict = if outcome.is_met { "met" } else { "missed" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"{verdict}\">{verdict}</tr>",
            goal.point.title(),
            goal.phase.title(),
            shown.title,
            escaped(&goal.wish()),
            shown.text(outcome.bound),
            shown.text(outcome.reached),
        );
    }
    page.push_str("</table>\n");
}

fn picture(page: &mut String, medians: &Medians, (point, phase): (Point, Phase), figure: &str) {
    let Some(shown) = Shown::of(figure) else { return };
    let bar = |system| {
        let value = medians.get(system, point, phase, figure)?;
        Some(Bar { system, value, text: shown.text(value) })
    };
    let bars: Vec<Bar> = System::ALL.into_iter().filter_map(bar).collect();
    if bars.is_empty() {
        return;
    }
    let here = GOALS.iter().filter(|goal| (goal.point, goal.phase, goal.figure) == (point, phase, figure));
    let line = |goal: &crate::goals::Goal| {
        let outcome = goal.judge(medians)?;
        let text = format!("{} = {}", goal.wish(), shown.text(outcome.bound));
        Some(Line { value: outcome.bound, text, is_met: outcome.is_met })
    };
    let lines: Vec<Line> = here.filter_map(line).collect();
    let caption = format!("{}, {}: {}", point.title(), phase.title(), shown.title);
    let _ = writeln!(page, "<figure><figcaption>{caption}</figcaption>{}</figure>", plot(&bars, &lines));
}

fn figures(page: &mut String, medians: &Medians) {
    page.push_str("<table><tr><th>point<th>phase<th>figure");
    for system in PEERS.into_iter().chain([System::Tercet]) {
        let _ = write!(page, "<th>{}", system.title());
    }
    page.push_str("<th>Tercet's ratios</tr>\n");
    for (point, phase) in PLACES.into_iter().filter(|(point, phase)| medians.has(*point, *phase)) {
        for shown in &FIGURES {
            let of = |system| medians.get(system, point, phase, shown.figure);
            if System::ALL.into_iter().all(|system| of(system).is_none()) {
                continue;
            }
            let _ = write!(page, "<tr><td>{}<td>{}<td>{}", point.title(), phase.title(), shown.title);
            for system in PEERS.into_iter().chain([System::Tercet]) {
                let text = of(system).map_or("–".to_owned(), |value| shown.text(value));
                let _ = write!(page, "<td class=\"n\">{text}");
            }
            let own = of(System::Tercet);
            let to = |peer| own.zip(of(peer).filter(|value| *value > 0.0)).map(|(own, peer)| ratio(own / peer));
            let ratios = PEERS.map(|peer| to(peer).unwrap_or_else(|| "–".to_owned()));
            let _ = writeln!(page, "<td class=\"n\">{}</tr>", ratios.join(" · "));
        }
    }
    page.push_str("</table>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::medians::tests::record;

    #[test]
    fn the_page_shows_goals_plots_and_figures_and_loads_nothing() {
        let here = (Point::Many, Phase::Send);
        let medians =
            Medians::of(&[record(System::Rabbit, here, RATE, 10_000.0), record(System::Tercet, here, RATE, 90_000.0)]);
        let page = page(&medians);
        for expected in
            ["<td>≥ 8 × RabbitMQ<td class=\"n\">80,000", "<figcaption>1,024 in flight, send: messages/s", "9.0 · – · –"]
        {
            assert!(page.contains(expected), "{expected} is missing in {page}");
        }
        assert_eq!(page.matches("<svg").count(), 1);
        for loading in ["src=", "href=", "@import", "url("] {
            assert!(!page.contains(loading), "{loading}");
        }
    }

    #[test]
    fn what_is_drawn_is_a_figure_that_is_shown() {
        for (point, phase, figure) in PLOTS {
            assert!(PLACES.contains(&(point, phase)) && Shown::of(figure).is_some(), "{point} {figure}");
        }
    }
}
